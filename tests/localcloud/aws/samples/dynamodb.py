"""Samples of DynamoDB."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS


def dynamodb(account: Account) -> Any:
    return account.client("dynamodb")


def change(**said: Any) -> Behind:
    return lambda a, i, _: dynamodb(a).update_table(TableName=i, **said)


def capacity(read: int, write: int) -> Behind:
    return change(ProvisionedThroughput={"ReadCapacityUnits": read, "WriteCapacityUnits": write})


def recover(account: Account, table: str, _: Any) -> None:
    off = {"PointInTimeRecoveryEnabled": False}
    dynamodb(account).update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=off)


def expire(account: Account, table: str, _: Any) -> None:
    off = {"Enabled": False, "AttributeName": "expires"}
    dynamodb(account).update_time_to_live(TableName=table, TimeToLiveSpecification=off)


KEY = [{"name": "id", "type": "S"}]

SAMPLES = {
    "table": Sample(
        "aws:dynamodb/table:Table",
        {
            "name": "calls",
            "billingMode": "PAY_PER_REQUEST",
            "hashKey": "id",
            "attributes": KEY,
            "serverSideEncryption": {"enabled": True, "kmsKeyArn": Ref("key", "arn")},
            "pointInTimeRecovery": {"enabled": True},
            "ttl": {"enabled": True, "attributeName": "expires"},
            "deletionProtectionEnabled": False,
            "tags": TAGS,
        },
        changes={
            "pointInTimeRecovery": {"enabled": False},
            "ttl": None,
            "deletionProtectionEnabled": True,
            "tags": OTHER_TAGS,
        },
        behind={
            "pointInTimeRecovery": recover,
            "ttl": expire,
            "deletionProtectionEnabled": change(DeletionProtectionEnabled=True),
            "tags": lambda a, _, outputs: dynamodb(a).tag_resource(
                ResourceArn=outputs["arn"], Tags=[{"Key": "added", "Value": "1"}]
            ),
        },
        lost={
            "tableClass": (
                "STANDARD_INFREQUENT_ACCESS",
                lambda a, i: dynamodb(a).describe_table(TableName=i)["Table"].get("TableClassSummary"),
            )
        },
    ),
    "provisioned-table": Sample(
        "aws:dynamodb/table:Table",
        {
            "hashKey": "id",
            "rangeKey": "time",
            "attributes": [{"name": "time", "type": "N"}, *KEY],
            "readCapacity": 1,
            "writeCapacity": 2,
        },
        changes={"billingMode": "PAY_PER_REQUEST", "readCapacity": 3, "writeCapacity": 4},
        behind={
            "billingMode": change(BillingMode="PAY_PER_REQUEST"),
            "readCapacity": capacity(9, 2),
            "writeCapacity": capacity(1, 9),
        },
    ),
}
