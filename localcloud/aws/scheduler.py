"""EventBridge Scheduler: schedules and their groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.calls import all_of, if_found, retag, tag_list, tag_map, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "ResourceNotFoundException"
RETRIES = {"maximumEventAgeInSeconds": 86400, "maximumRetryAttempts": 185}
PLAIN = (
    *("description", "flexibleTimeWindow", "kmsKeyArn", "scheduleExpression", "scheduleExpressionTimezone", "state"),
    "target",
)


def _arguments(inputs: Properties) -> dict[str, Any]:
    said: dict[str, Any] = to_cloud({name: inputs[name] for name in PLAIN if name in inputs})
    return {"Name": inputs["name"], "GroupName": inputs["groupName"], **said}


def create_schedule(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is GROUP/NAME. Schedules have no tags."""
    account.client("scheduler").create_schedule(**_arguments(inputs))
    return f"{inputs['groupName']}/{inputs['name']}"


def read_schedule(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """One call tells all, and the retries that AWS chooses where none are declared."""
    group, name = id_.split("/", 1)
    about = if_found(account.client("scheduler").get_schedule, GONE, GroupName=group, Name=name)
    if about is None:
        return None
    wire: Properties = to_wire({key: about[key] for it in PLAIN if (key := it[:1].upper() + it[1:]) in about})
    target = wire["target"]
    if "retryPolicy" not in inputs.get("target", {}) and target.get("retryPolicy") == RETRIES:
        del target["retryPolicy"]
    return {"state": "ENABLED", **wire, "name": about["Name"], "groupName": about["GroupName"], "arn": about["Arn"]}


def update_schedule(account: Account, _: str, __: Properties, new: Properties) -> None:
    """A schedule is written whole."""
    account.client("scheduler").update_schedule(**_arguments(new))


def delete_schedule(account: Account, id_: str, _: Properties) -> None:
    """The group stays."""
    group, name = id_.split("/", 1)
    if_found(account.client("scheduler").delete_schedule, GONE, GroupName=group, Name=name)


def list_schedules(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for row in all_of(account.client("scheduler"), "list_schedules", "Schedules"):
        yield f"{row['GroupName']}/{row['Name']}", {}


def find_schedule(account: Account, inputs: Properties) -> str | None:
    """By its group and name."""
    id_ = f"{inputs['groupName']}/{inputs['name']}"
    return id_ if read_schedule(account, id_, inputs) else None


def create_group(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the group's name."""
    account.client("scheduler").create_schedule_group(Name=inputs["name"], Tags=tag_list(tags))
    return str(inputs["name"])


def read_group(account: Account, name: str, _: Properties) -> Properties | None:
    """Two calls, as the tags go by ARN."""
    scheduler = account.client("scheduler")
    about = if_found(scheduler.get_schedule_group, GONE, Name=name)
    if about is None:
        return None
    return {
        "name": about["Name"],
        "arn": about["Arn"],
        "state": about["State"],
        "creationDate": about["CreationDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastModificationDate": about["LastModificationDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tags": tag_map(scheduler.list_tags_for_resource(ResourceArn=about["Arn"])["Tags"]),
    }


def update_group(account: Account, name: str, old: Properties, new: Properties) -> None:
    """Its tags."""
    scheduler = account.client("scheduler")
    arn = f"arn:{account.partition}:scheduler:{account.region}:{account.account_id}:schedule-group/{name}"
    retag(
        old,
        new,
        lambda tags: scheduler.tag_resource(ResourceArn=arn, Tags=tag_list(tags)),
        lambda names: scheduler.untag_resource(ResourceArn=arn, TagKeys=names),
    )


def delete_group(account: Account, name: str, _: Properties) -> None:
    """With its schedules."""
    if read_group(account, name, {}):  # a second deletion ends in a 500 of the emulator
        if_found(account.client("scheduler").delete_schedule_group, GONE, Name=name)


def list_groups(account: Account) -> Iterator[tuple[str, Tags]]:
    """All but the one that every account has."""
    scheduler = account.client("scheduler")
    for row in all_of(scheduler, "list_schedule_groups", "ScheduleGroups"):
        if row["Name"] != "default":
            yield row["Name"], tag_map(scheduler.list_tags_for_resource(ResourceArn=row["Arn"])["Tags"])


KINDS = (
    Kind(
        "aws:scheduler/schedule:Schedule",
        create=create_schedule,
        read=read_schedule,
        update=update_schedule,
        delete=delete_schedule,
        list=list_schedules,
        find=find_schedule,
        read_back=frozenset([*PLAIN, "name", "groupName"]),
        replaces=frozenset(["name", "groupName"]),
        defaults={"groupName": "default", "scheduleExpressionTimezone": "UTC", "state": "ENABLED"},
        name_input="name",
    ),
    Kind(
        "aws:scheduler/scheduleGroup:ScheduleGroup",
        create=create_group,
        read=read_group,
        update=update_group,
        delete=delete_group,
        list=list_groups,
        read_back=frozenset(["name", "tags"]),
        replaces=frozenset(["name"]),
        name_input="name",
        tagged=True,
    ),
)
