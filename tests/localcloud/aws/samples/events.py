"""Samples of EventBridge."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS

ROLE = "arn:aws:iam::123456789012:role/"
MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:"


def events(account: Account) -> Any:
    return account.client("events")


def pattern(prefix: str) -> str:
    return json.dumps({"source": ["aws.s3"], "detail": {"object": {"key": [{"prefix": prefix}]}}})


def rule(**said: Any) -> Behind:
    """The rule as it is, but for some parts."""

    def write(account: Account, made: str, _: Any) -> None:
        live = events(account).describe_rule(Name=made)
        keys = ("Description", "EventPattern", "RoleArn", "ScheduleExpression", "State")
        same = {key: live[key] for key in keys if key in live}
        events(account).put_rule(Name=made, **{**same, **said})

    return write


def target(**said: Any) -> Behind:
    """The target as it is, but for some parts."""

    def write(account: Account, _: str, outputs: Any) -> None:
        live = events(account).list_targets_by_rule(Rule=outputs["rule"])["Targets"][0]
        changed = {key: value for key, value in {**live, **said}.items() if value is not None}
        events(account).put_targets(Rule=outputs["rule"], Targets=[changed])

    return write


def transformer(word: str) -> dict[str, Any]:
    return {"inputPaths": {"key": "$.detail.object.key"}, "inputTemplate": f'{{"{word}": <key>}}'}


SAMPLES = {
    "rule": Sample(
        "aws:cloudwatch/eventRule:EventRule",
        {
            "name": "landing",
            "description": "An object has landed",
            "eventPattern": pattern("people/"),
            "roleArn": f"{ROLE}a",
            "tags": TAGS,
        },
        changes={
            "description": "changed",
            "eventPattern": pattern("lake/"),
            "roleArn": f"{ROLE}b",
            "state": "DISABLED",
            "tags": OTHER_TAGS,
        },
        behind={
            "description": rule(Description="x"),
            "eventPattern": rule(EventPattern=pattern("")),
            "roleArn": rule(RoleArn=f"{ROLE}x"),
            "state": rule(State="DISABLED"),
            "tags": lambda a, _, outputs: events(a).tag_resource(
                ResourceARN=outputs["arn"], Tags=[{"Key": "added", "Value": "1"}]
            ),
        },
        steers=frozenset({"forceDestroy"}),
    ),
    "clock": Sample(
        "aws:cloudwatch/eventRule:EventRule",
        {"scheduleExpression": "rate(1 day)", "eventBusName": "default"},
        changes={"scheduleExpression": "rate(2 days)"},
        behind={"scheduleExpression": rule(ScheduleExpression="rate(1 minute)")},
    ),
    "target": Sample(
        "aws:cloudwatch/eventTarget:EventTarget",
        {
            "rule": Ref("rule", "name"),
            "targetId": "retrain",
            "arn": f"{MACHINE}retrain",
            "roleArn": f"{ROLE}landing",
            "retryPolicy": {"maximumRetryAttempts": 3, "maximumEventAgeInSeconds": 3600},
            "deadLetterConfig": {"arn": "arn:aws:sqs:eu-central-1:123456789012:dead"},
            "inputTransformer": transformer("key"),
        },
        changes={
            "arn": f"{MACHINE}other",
            "roleArn": f"{ROLE}other",
            "retryPolicy": {"maximumRetryAttempts": 1, "maximumEventAgeInSeconds": 60},
            "deadLetterConfig": None,
            "inputTransformer": transformer("object"),
        },
        behind={
            "arn": target(Arn=f"{MACHINE}x"),
            "roleArn": target(RoleArn=f"{ROLE}x"),
            "retryPolicy": target(RetryPolicy={"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}),
            "deadLetterConfig": target(DeadLetterConfig=None),
            "inputTransformer": target(InputTransformer={"InputTemplate": '"x"'}),
        },
    ),
    "target-with-input": Sample(
        "aws:cloudwatch/eventTarget:EventTarget",
        {"rule": Ref("rule", "name"), "arn": f"{MACHINE}retrain", "input": '{"why": "landing"}'},
        changes={"input": '{"why": "other"}'},
        behind={"input": target(Input="{}")},
    ),
    "target-with-path": Sample(
        "aws:cloudwatch/eventTarget:EventTarget",
        {"rule": Ref("rule", "name"), "eventBusName": "default", "arn": f"{MACHINE}retrain", "inputPath": "$.detail"},
        changes={"inputPath": "$.id"},
        behind={"inputPath": target(InputPath="$.time")},
    ),
}
