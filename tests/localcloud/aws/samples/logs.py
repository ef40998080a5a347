"""Samples of CloudWatch Logs."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample


def logs(account: Account) -> Any:
    return account.client("logs")


def group(account: Account, name: str) -> Any:
    return logs(account).describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]


SAMPLES = {
    "log-group": Sample(
        "aws:cloudwatch/logGroup:LogGroup",
        {"name": "/org/app", "retentionInDays": 30, "kmsKeyId": Ref("key", "arn"), "tags": {"project": "p"}},
        changes={"retentionInDays": 90, "tags": {"project": "q", "owner": "o"}},
        behind={
            "retentionInDays": lambda a, i, _: logs(a).delete_retention_policy(logGroupName=i),
            "tags": lambda a, _, outputs: logs(a).untag_resource(resourceArn=outputs["arn"], tagKeys=["project"]),
        },
        lost={
            "logGroupClass": ("INFREQUENT_ACCESS", lambda a, i: group(a, i).get("logGroupClass")),
            "deletionProtectionEnabled": (True, lambda a, i: group(a, i).get("deletionProtectionEnabled")),
        },
        steers=frozenset(["skipDestroy"]),
    ),
    "log-group-for-ever": Sample("aws:cloudwatch/logGroup:LogGroup", {}, changes={"retentionInDays": 7}),
}
