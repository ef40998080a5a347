"""Samples of Lambda."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Probe, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS

IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app@sha256:"


def functions(account: Account) -> Any:
    return account.client("lambda")


def change(**said: Any) -> Behind:
    return lambda a, i, _: functions(a).update_function_configuration(FunctionName=i, **said)


def told(*keys: str) -> Probe:
    def probe(account: Account, made: str) -> Any:
        found = functions(account).get_function_configuration(FunctionName=made)
        for key in keys:
            found = (found or {}).get(key)
        return found

    return probe


SAMPLES = {
    "function": Sample(
        "aws:lambda/function:Function",
        {
            "name": "predict",
            "description": "One prediction a call",
            "packageType": "Image",
            "imageUri": f"{IMAGE}{'a' * 64}",
            "imageConfig": {"commands": ["function"], "entryPoints": ["python"], "workingDirectory": "/app"},
            "role": Ref("role", "arn"),
            "timeout": 10,
            "memorySize": 1024,
            "reservedConcurrentExecutions": 2,
            "environment": {"variables": {"RELEASE": "1"}},
            "kmsKeyArn": Ref("key", "arn"),
            "architectures": ["arm64"],
            "ephemeralStorage": {"size": 1024},
            "tracingConfig": {"mode": "Active"},
            "vpcConfig": {"subnetIds": [Ref("subnet"), Ref("other-subnet")], "securityGroupIds": [Ref("group")]},
            "tags": TAGS,
        },
        changes={
            "description": "changed",
            "imageUri": f"{IMAGE}{'b' * 64}",
            "role": Ref("role-in-a-path", "arn"),
            "timeout": 20,
            "memorySize": 512,
            "reservedConcurrentExecutions": -1,
            "environment": {"variables": {"RELEASE": "2"}},
            "vpcConfig": {"subnetIds": [Ref("subnet")], "securityGroupIds": [Ref("other-group")]},
            "tags": OTHER_TAGS,
        },
        behind={
            "description": change(Description="x"),
            "imageUri": lambda a, i, _: functions(a).update_function_code(FunctionName=i, ImageUri=IMAGE + "c" * 64),
            "role": change(Role="arn:aws:iam::123456789012:role/stranger"),
            "timeout": change(Timeout=900),
            "memorySize": change(MemorySize=10240),
            "reservedConcurrentExecutions": lambda a, i, _: functions(a).put_function_concurrency(
                FunctionName=i, ReservedConcurrentExecutions=900
            ),
            "environment": change(Environment={"Variables": {"RELEASE": "x"}}),
            "vpcConfig": change(VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}),
            "tags": lambda a, _, outputs: functions(a).tag_resource(Resource=outputs["arn"], Tags={"added": "1"}),
        },
        lost={
            "loggingConfig": ({"logFormat": "JSON", "logGroup": "/predict"}, told("LoggingConfig")),
        },
    ),
    "small-function": Sample(
        "aws:lambda/function:Function",
        {"packageType": "Image", "imageUri": f"{IMAGE}{'a' * 64}", "role": Ref("role", "arn")},
        changes={"reservedConcurrentExecutions": 0, "environment": {"variables": {"A": "b"}}},
    ),
    "permission": Sample(
        "aws:lambda/permission:Permission",
        {
            "function": Ref("function", "name"),
            "statementId": "gateway",
            "action": "lambda:InvokeFunction",
            "principal": "apigateway.amazonaws.com",
            "sourceArn": "arn:aws:execute-api:eu-central-1:123456789012:api/*/POST/predict",
            "sourceAccount": "123456789012",
        },
        behind={
            "sourceArn": lambda a, i, outputs: (
                functions(a).remove_permission(FunctionName=outputs["function"], StatementId=i),
                functions(a).add_permission(
                    FunctionName=outputs["function"],
                    StatementId=i,
                    Action=outputs["action"],
                    Principal=outputs["principal"],
                    SourceAccount=outputs["sourceAccount"],
                ),
            )
        },
    ),
}
