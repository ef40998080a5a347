"""What an account still holds, and what AWS keeps for a while of what was deleted."""

from __future__ import annotations

import json
import os

from localcloud.aws.account import Account
from localcloud.aws.provider import Provider

SERVICES = (
    "acm", "apigatewayv2", "applicationautoscaling", "autoscaling", "budgets", "cloudtrail", "cloudwatch", "dynamodb",
    "ec2", "ecr", "ecs", "efs", "eks", "elbv2", "events", "iam", "kms", "lambda", "logs", "route53", "s3", "scheduler",
    "sfn", "sns", "sts", "wafv2",
)  # fmt: skip


def remains(region: str) -> tuple[list[tuple[str, str]], list[str]]:
    """(token, id) of every resource of the kinds that localcloud knows, and a line for each thing that AWS keeps.

    The endpoint is that of the environment, AWS_ENDPOINT_URL.
    """
    endpoints = dict.fromkeys(SERVICES, os.environ["AWS_ENDPOINT_URL"])
    provider = Provider({"region": region, "endpoints": json.dumps([endpoints])})
    return sorted(provider.inventory()), sorted(_kept(provider.account))


def _kept(account: Account) -> list[str]:
    kms, ecs = account.client("kms"), account.client("ecs")
    found = []
    for row in kms.list_keys()["Keys"]:
        key = kms.describe_key(KeyId=row["KeyId"])["KeyMetadata"]
        if key["KeyState"] == "PendingDeletion":
            found.append(
                f"key {key['KeyId']} ({key['Description']}), pending deletion until {key['DeletionDate']:%Y-%m-%d}"
            )
    inactive = ecs.list_task_definitions(status="INACTIVE")["taskDefinitionArns"]
    found += [f"task definition {arn.rpartition('/')[2]}, inactive" for arn in inactive]
    return found
