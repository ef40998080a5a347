"""CloudTrail: trails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.calls import all_of, changed, if_found, retag, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "TrailNotFoundException"
PLAIN = {
    "s3BucketName": "S3BucketName",
    "s3KeyPrefix": "S3KeyPrefix",
    "kmsKeyId": "KmsKeyId",
    "includeGlobalServiceEvents": "IncludeGlobalServiceEvents",
    "isMultiRegionTrail": "IsMultiRegionTrail",
    "enableLogFileValidation": "EnableLogFileValidation",
    "cloudWatchLogsGroupArn": "CloudWatchLogsLogGroupArn",
    "cloudWatchLogsRoleArn": "CloudWatchLogsRoleArn",
}
TOLD_AS = {"enableLogFileValidation": "LogFileValidationEnabled"}
FIELDS = {
    "field": "Field",
    "equals": "Equals",
    "notEquals": "NotEquals",
    "startsWiths": "StartsWith",
    "notStartsWiths": "NotStartsWith",
    "endsWiths": "EndsWith",
    "notEndsWiths": "NotEndsWith",
}


def _selectors(inputs: Properties) -> list[dict[str, Any]]:
    return [
        {
            "Name": row.get("name", ""),
            "FieldSelectors": [
                {cloud: field[wire] for wire, cloud in FIELDS.items() if field.get(wire)}
                for field in row["fieldSelectors"]
            ],
        }
        for row in inputs.get("advancedEventSelectors") or []
    ]


def create(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the trail's ARN. What it writes down, and that it does, is told after it."""
    client = account.client("cloudtrail")
    said = {cloud: inputs[name] for name, cloud in PLAIN.items() if inputs.get(name) not in (None, "")}
    arn = str(client.create_trail(Name=inputs["name"], TagsList=tag_list(tags), **said)["TrailARN"])
    _write_selectors(account, arn, inputs)
    _switch(account, arn, inputs)
    return arn


def _write_selectors(account: Account, arn: str, inputs: Properties) -> None:
    if inputs.get("advancedEventSelectors"):
        account.client("cloudtrail").put_event_selectors(TrailName=arn, AdvancedEventSelectors=_selectors(inputs))


def _switch(account: Account, arn: str, inputs: Properties) -> None:
    client = account.client("cloudtrail")
    (client.start_logging if inputs["enableLogging"] else client.stop_logging)(Name=arn)


def read(account: Account, arn: str, _: Properties) -> Properties | None:
    """Four calls, as state, selectors and tags are told apart."""
    client = account.client("cloudtrail")
    answer = if_found(client.get_trail, GONE, Name=arn)
    if answer is None:
        return None
    about = answer["Trail"]
    selectors = client.get_event_selectors(TrailName=arn).get("AdvancedEventSelectors", [])
    tags = client.list_tags(ResourceIdList=[arn])["ResourceTagList"]
    return {
        **{name: about[key] for name, cloud in PLAIN.items() if (key := TOLD_AS.get(name, cloud)) in about},
        "name": about["Name"],
        "arn": arn,
        "homeRegion": about.get("HomeRegion", account.region),
        "snsTopicArn": about.get("SnsTopicARN", ""),
        "enableLogging": client.get_trail_status(Name=arn)["IsLogging"],
        "advancedEventSelectors": [
            {
                "name": row.get("Name", ""),
                "fieldSelectors": [
                    {wire: field[cloud] for wire, cloud in FIELDS.items() if cloud in field}
                    for field in row["FieldSelectors"]
                ],
            }
            for row in selectors
        ],
        "tags": tag_map(tags[0]["TagsList"]) if tags else {},
    }


def update(account: Account, arn: str, old: Properties, new: Properties) -> None:
    """What is left out of the new inputs is written as empty, else it would stay."""
    client = account.client("cloudtrail")
    if changed(old, new, *PLAIN):
        texts = {"S3KeyPrefix": "", "KmsKeyId": "", "CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ""}
        switches = {"IsMultiRegionTrail": False, "EnableLogFileValidation": False}
        said = {cloud: new[name] for name, cloud in PLAIN.items() if new.get(name) is not None}
        client.update_trail(Name=arn, **{**texts, **switches, **said})
    if changed(old, new, "advancedEventSelectors"):
        _write_selectors(account, arn, new)
    if changed(old, new, "enableLogging"):
        _switch(account, arn, new)
    retag(
        old,
        new,
        lambda tags: client.add_tags(ResourceId=arn, TagsList=tag_list(tags)),
        lambda names: client.remove_tags(ResourceId=arn, TagsList=[{"Key": name} for name in names]),
    )


def delete(account: Account, arn: str, _: Properties) -> None:
    """What it has written stays. The emulator knows it by its name only, and does not mind others."""
    if_found(account.client("cloudtrail").delete_trail, GONE, Name=arn.rpartition("/")[2])


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """Those of the region: one of all regions is told in each."""
    client = account.client("cloudtrail")
    for row in all_of(client, "list_trails", "Trails"):
        if row.get("HomeRegion", account.region) == account.region:
            tags = client.list_tags(ResourceIdList=[row["TrailARN"]])["ResourceTagList"]
            yield row["TrailARN"], tag_map(tags[0]["TagsList"]) if tags else {}


KINDS = (
    Kind(
        "aws:cloudtrail/trail:Trail",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        read_back=frozenset([*PLAIN, "advancedEventSelectors", "enableLogging", "name", "tags"]),
        replaces=frozenset(["name"]),
        unordered=frozenset(["advancedEventSelectors", "advancedEventSelectors.fieldSelectors"]),
        defaults={"enableLogging": True, "includeGlobalServiceEvents": True},
        name_input="name",
        tagged=True,
    ),
)
