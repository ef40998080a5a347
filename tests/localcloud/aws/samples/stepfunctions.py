"""Samples of Step Functions."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS


def states(account: Account) -> Any:
    return account.client("stepfunctions")


def change(**said: Any) -> Behind:
    return lambda a, i, _: states(a).update_state_machine(stateMachineArn=i, **said)


def definition(comment: str) -> str:
    return json.dumps({"Comment": comment, "StartAt": "Train", "States": {"Train": {"Type": "Succeed"}}})


def log(level: str) -> dict[str, Any]:
    return {"level": level, "includeExecutionData": False, "logDestination": "<<log-group.arn>>:*"}


KEY = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": Ref("key", "arn"), "kmsDataKeyReusePeriodSeconds": 300}

SAMPLES = {
    "machine": Sample(
        "aws:sfn/stateMachine:StateMachine",
        {
            "name": "retrain",
            "roleArn": Ref("role", "arn"),
            "definition": definition("first"),
            "loggingConfiguration": log("ALL"),
            "tracingConfiguration": {"enabled": True},
            "encryptionConfiguration": KEY,
            "tags": TAGS,
        },
        changes={
            "roleArn": Ref("role-in-a-path", "arn"),
            "definition": definition("second"),
            "loggingConfiguration": log("ERROR"),
            "tracingConfiguration": None,
            "encryptionConfiguration": {**KEY, "kmsDataKeyReusePeriodSeconds": 600},
            "tags": OTHER_TAGS,
        },
        behind={
            "roleArn": change(roleArn="arn:aws:iam::123456789012:role/stranger"),
            "definition": change(definition=definition("by hand")),
            "loggingConfiguration": change(loggingConfiguration={"level": "OFF"}),
            "tracingConfiguration": change(tracingConfiguration={"enabled": False}),
            "encryptionConfiguration": change(encryptionConfiguration={"type": "AWS_OWNED_KEY"}),
            "tags": lambda a, i, _: states(a).tag_resource(resourceArn=i, tags=[{"key": "added", "value": "1"}]),
        },
    ),
    "express-machine": Sample(
        "aws:sfn/stateMachine:StateMachine",
        {"roleArn": Ref("role", "arn"), "definition": definition("fast"), "type": "EXPRESS"},
        changes={"loggingConfiguration": log("FATAL")},
    ),
}
