"""CloudWatch Logs: log groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.calls import all_of, changed, if_found, tag_changes
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "ResourceNotFoundException"


def create(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the group's name."""
    logs = account.client("logs")
    optional = {
        "kmsKeyId": inputs.get("kmsKeyId"),
        "logGroupClass": inputs.get("logGroupClass"),
        "deletionProtectionEnabled": inputs.get("deletionProtectionEnabled"),
        "tags": tags or None,
    }
    logs.create_log_group(
        logGroupName=inputs["name"], **{name: value for name, value in optional.items() if value is not None}
    )
    _write_retention(logs, inputs["name"], {}, inputs)
    return str(inputs["name"])


def _write_retention(logs: Any, name: str, old: Properties, new: Properties) -> None:
    """No days, or 0, means for ever."""
    if new.get("retentionInDays"):
        logs.put_retention_policy(logGroupName=name, retentionInDays=new["retentionInDays"])
    elif old.get("retentionInDays"):
        logs.delete_retention_policy(logGroupName=name)


def read(account: Account, name: str, _: Properties) -> Properties | None:
    """The ARN has no `:*` at its end, as the real provider's has none."""
    logs = account.client("logs")
    groups = all_of(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    group = next((row for row in groups if row["logGroupName"] == name), None)
    if group is None:
        return None
    arn = group["arn"].removesuffix(":*")
    return {
        "name": name,
        "arn": arn,
        "retentionInDays": group.get("retentionInDays", 0),
        "kmsKeyId": group.get("kmsKeyId"),
        "tags": logs.list_tags_for_resource(resourceArn=arn)["tags"],
    }


def update(account: Account, name: str, old: Properties, new: Properties) -> None:
    """Retention and tags."""
    logs = account.client("logs")
    if changed(old, new, "retentionInDays"):
        _write_retention(logs, name, old, new)
    added, removed = tag_changes(old, new)
    arn = f"arn:{account.partition}:logs:{account.region}:{account.account_id}:log-group:{name}"
    if removed:
        logs.untag_resource(resourceArn=arn, tagKeys=removed)
    if added:
        logs.tag_resource(resourceArn=arn, tags=added)


def delete(account: Account, name: str, inputs: Properties) -> None:
    """With skipDestroy it stays, and with it what it holds."""
    if not inputs.get("skipDestroy"):
        if_found(account.client("logs").delete_log_group, GONE, logGroupName=name)


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """Every group of the region."""
    logs = account.client("logs")
    for group in all_of(logs, "describe_log_groups", "logGroups"):
        arn = group["arn"].removesuffix(":*")
        yield group["logGroupName"], logs.list_tags_for_resource(resourceArn=arn)["tags"]


KINDS = (
    Kind(
        "aws:cloudwatch/logGroup:LogGroup",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        read_back=frozenset(["name", "retentionInDays", "kmsKeyId", "tags"]),
        kept={
            "logGroupClass": "lost by CreateLogGroup",
            "deletionProtectionEnabled": "lost by CreateLogGroup; PutLogGroupDeletionProtection ends in a 500",
            "skipDestroy": "steers the deletion; no cloud reports it",
        },
        # kmsKeyId: AssociateKmsKey and DisassociateKmsKey end in a 500 of the emulator; AWS changes it in place
        replaces=frozenset(["name", "logGroupClass", "kmsKeyId"]),
        name_input="name",
        tagged=True,
    ),
)
