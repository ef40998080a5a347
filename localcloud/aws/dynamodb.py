"""DynamoDB: tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.answers import present
from localcloud.aws.calls import all_of, changed, if_found, retag, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "ResourceNotFoundException"
DAYS = 35  # that AWS keeps what a table was, unless told otherwise


def _throughput(inputs: Properties) -> dict[str, Any]:
    mode = {"BillingMode": inputs["billingMode"]}
    if inputs["billingMode"] == "PROVISIONED":
        units = {"ReadCapacityUnits": inputs["readCapacity"], "WriteCapacityUnits": inputs["writeCapacity"]}
        mode["ProvisionedThroughput"] = units
    return mode


def create(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the table's name. Backups and expiry are told after it."""
    keys = [(inputs["hashKey"], "HASH"), *([(inputs["rangeKey"], "RANGE")] if inputs.get("rangeKey") else [])]
    encryption = inputs.get("serverSideEncryption", {})
    specification = present(
        Enabled=encryption.get("enabled", False),
        SSEType="KMS" if encryption.get("enabled") else None,
        KMSMasterKeyId=encryption.get("kmsKeyArn"),
    )
    account.client("dynamodb").create_table(
        TableName=inputs["name"],
        AttributeDefinitions=[
            {"AttributeName": it["name"], "AttributeType": it["type"]} for it in inputs["attributes"]
        ],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        DeletionProtectionEnabled=bool(inputs.get("deletionProtectionEnabled")),
        Tags=tag_list(tags),
        **({"SSESpecification": specification} if encryption.get("enabled") else {}),
        **present(TableClass=inputs.get("tableClass")),
        **_throughput(inputs),
    )
    _write_recovery(account, inputs["name"], inputs)
    _write_expiry(account, inputs["name"], {}, inputs)
    return str(inputs["name"])


def _write_recovery(account: Account, table: str, inputs: Properties) -> None:
    recovery = inputs.get("pointInTimeRecovery") or {}
    said = present(
        PointInTimeRecoveryEnabled=bool(recovery.get("enabled")),
        RecoveryPeriodInDays=recovery.get("recoveryPeriodInDays"),
    )
    account.client("dynamodb").update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=said)


def _write_expiry(account: Account, table: str, old: Properties, new: Properties) -> None:
    """One that is off already is not to be switched off."""
    before, after = old.get("ttl") or {}, new.get("ttl") or {}
    if before.get("enabled") or after.get("enabled"):
        said = {"Enabled": bool(after.get("enabled")), "AttributeName": (after or before)["attributeName"]}
        account.client("dynamodb").update_time_to_live(TableName=table, TimeToLiveSpecification=said)


def _described(account: Account, name: str) -> Any:
    answer = if_found(account.client("dynamodb").describe_table, GONE, TableName=name)
    return answer and answer["Table"]


def read(account: Account, name: str, inputs: Properties) -> Properties | None:
    """Four calls, as backups, expiry and tags are told apart."""
    about, client = _described(account, name), account.client("dynamodb")
    if about is None:
        return None
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    days, declared = recovery.get("RecoveryPeriodInDays"), inputs.get("pointInTimeRecovery", {})
    encryption = about.get("SSEDescription", {})
    enabled = encryption.get("Status") == "ENABLED"
    keys = {row["KeyType"]: row["AttributeName"] for row in about["KeySchema"]}
    mode, units = about.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"), about["ProvisionedThroughput"]
    if mode == "PAY_PER_REQUEST":  # then units mean nothing, declared or not
        capacities = {"ReadCapacityUnits": "readCapacity", "WriteCapacityUnits": "writeCapacity"}
        units = {cloud: inputs.get(wire, 0) for cloud, wire in capacities.items()}
    live = {
        "name": name,
        "arn": about["TableArn"],
        "streamArn": about.get("LatestStreamArn", ""),
        "streamLabel": about.get("LatestStreamLabel", ""),
        "billingMode": mode,
        "readCapacity": units["ReadCapacityUnits"],
        "writeCapacity": units["WriteCapacityUnits"],
        "hashKey": keys["HASH"],
        "attributes": [
            {"name": row["AttributeName"], "type": row["AttributeType"]} for row in about["AttributeDefinitions"]
        ],
        "serverSideEncryption": present(enabled=enabled, kmsKeyArn=encryption.get("KMSMasterKeyArn")),
        "pointInTimeRecovery": present(
            enabled=recovery["PointInTimeRecoveryStatus"] == "ENABLED",
            recoveryPeriodInDays=None if days == DAYS and "recoveryPeriodInDays" not in declared else days,
        ),
        "deletionProtectionEnabled": about.get("DeletionProtectionEnabled", False),
        "tags": tag_map(client.list_tags_of_resource(ResourceArn=about["TableArn"])["Tags"]),
        **present(rangeKey=keys.get("RANGE")),
    }
    if expiry["TimeToLiveStatus"] == "ENABLED":
        live["ttl"] = {"enabled": True, "attributeName": expiry["AttributeName"]}
    return live


def update(account: Account, name: str, old: Properties, new: Properties) -> None:
    """A call for each thing that DynamoDB changes by itself."""
    client = account.client("dynamodb")
    if changed(old, new, "billingMode", "readCapacity", "writeCapacity"):
        client.update_table(TableName=name, **_throughput(new))
    if changed(old, new, "deletionProtectionEnabled"):
        client.update_table(TableName=name, DeletionProtectionEnabled=bool(new.get("deletionProtectionEnabled")))
    if changed(old, new, "pointInTimeRecovery"):
        _write_recovery(account, name, new)
    if changed(old, new, "ttl"):
        _write_expiry(account, name, old, new)
    arn = f"arn:{account.partition}:dynamodb:{account.region}:{account.account_id}:table/{name}"
    retag(
        old,
        new,
        lambda tags: client.tag_resource(ResourceArn=arn, Tags=tag_list(tags)),
        lambda names: client.untag_resource(ResourceArn=arn, TagKeys=names),
    )


def delete(account: Account, name: str, _: Properties) -> None:
    """DynamoDB refuses while the table is protected."""
    if_found(account.client("dynamodb").delete_table, GONE, TableName=name)


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    client = account.client("dynamodb")
    for name in all_of(client, "list_tables", "TableNames"):
        arn = _described(account, name)["TableArn"]
        yield name, tag_map(client.list_tags_of_resource(ResourceArn=arn)["Tags"])


KINDS = (
    Kind(
        "aws:dynamodb/table:Table",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        read_back=frozenset(
            [
                *("attributes", "billingMode", "deletionProtectionEnabled", "hashKey", "name", "pointInTimeRecovery"),
                *("rangeKey", "readCapacity", "serverSideEncryption", "tags", "ttl", "writeCapacity"),
            ]
        ),
        kept={
            "tableClass": "lost by CreateTable",
        },
        # serverSideEncryption: UpdateTable of the emulator ignores it; AWS changes it in place
        replaces=frozenset(["attributes", "hashKey", "name", "rangeKey", "serverSideEncryption"]),
        unordered=frozenset(["attributes"]),
        defaults={"billingMode": "PROVISIONED"},
        name_input="name",
        tagged=True,
    ),
)
