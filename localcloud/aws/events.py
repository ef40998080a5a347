"""EventBridge: rules and what they start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.answers import present
from localcloud.aws.calls import ProviderError, all_of, if_found, retag, tag_list, tag_map, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "ResourceNotFoundException"
PLAIN = {
    "description": "Description",
    "eventPattern": "EventPattern",
    "roleArn": "RoleArn",
    "scheduleExpression": "ScheduleExpression",
    "state": "State",
}
OF_TARGET = ("arn", "deadLetterConfig", "input", "inputPath", "retryPolicy", "roleArn")


def _place(id_: str) -> tuple[str, str]:
    """Bus and name of an id: NAME on the default bus, else BUS/NAME."""
    bus, _, name = id_.rpartition("/")
    return bus or "default", name


def _described(account: Account, id_: str) -> Any:
    bus, name = _place(id_)
    return if_found(account.client("events").describe_rule, GONE, Name=name, EventBusName=bus)


def _put(account: Account, inputs: Properties, **more: Any) -> None:
    said = {cloud: inputs[name] for name, cloud in PLAIN.items() if inputs.get(name)}
    account.client("events").put_rule(Name=inputs["name"], EventBusName=inputs["eventBusName"], **said, **more)


def create_rule(account: Account, inputs: Properties, tags: Tags) -> str:
    """PutRule would overwrite what is there already."""
    bus = inputs["eventBusName"]
    id_ = str(inputs["name"] if bus == "default" else f"{bus}/{inputs['name']}")
    if _described(account, id_):
        raise ProviderError(f"the rule {inputs['name']} exists already. Choose another name, or import it.")
    _put(account, inputs, Tags=tag_list(tags))
    return id_


def read_rule(account: Account, id_: str, _: Properties) -> Properties | None:
    """Two calls, as the tags go by ARN."""
    about = _described(account, id_)
    if about is None:
        return None
    return {
        **{wire: about[cloud] for wire, cloud in PLAIN.items() if cloud in about},
        "name": about["Name"],
        "eventBusName": about["EventBusName"],
        "arn": about["Arn"],
        "tags": tag_map(account.client("events").list_tags_for_resource(ResourceARN=about["Arn"])["Tags"]),
    }


def update_rule(account: Account, id_: str, old: Properties, new: Properties) -> None:
    """A rule is written whole; its tags, once it exists, only by themselves."""
    _put(account, new)
    about, events = _described(account, id_), account.client("events")
    retag(
        old,
        new,
        lambda tags: events.tag_resource(ResourceARN=about["Arn"], Tags=tag_list(tags)),
        lambda names: events.untag_resource(ResourceARN=about["Arn"], TagKeys=names),
    )


def delete_rule(account: Account, id_: str, inputs: Properties) -> None:
    """With forceDestroy, targets that others gave it go first."""
    bus, name = _place(id_)
    events = account.client("events")
    if _described(account, id_) is None:
        return
    if inputs.get("forceDestroy"):
        targets = events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
        if targets:
            events.remove_targets(Rule=name, EventBusName=bus, Ids=[row["Id"] for row in targets])
    events.delete_rule(Name=name, EventBusName=bus)


def _rules(account: Account) -> list[Any]:
    return all_of(account.client("events"), "list_rules", "Rules")


def list_rules(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region's default bus."""
    for row in _rules(account):
        tags = account.client("events").list_tags_for_resource(ResourceARN=row["Arn"])["Tags"]
        yield row["Name"], tag_map(tags)


def put_target(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is RULE-TARGET, as the real provider's is."""
    target = to_cloud({name: inputs[name] for name in OF_TARGET if name in inputs})
    transformer = inputs.get("inputTransformer")
    if transformer:
        target["InputTransformer"] = present(
            InputPathsMap=transformer.get("inputPaths"), InputTemplate=transformer["inputTemplate"]
        )
    answer = account.client("events").put_targets(
        Rule=inputs["rule"], EventBusName=inputs["eventBusName"], Targets=[{"Id": inputs["targetId"], **target}]
    )
    if answer["FailedEntryCount"]:
        failed = answer["FailedEntries"][0]
        raise ProviderError(f"PutTargets was refused: {failed.get('ErrorMessage')} ({failed.get('ErrorCode')}).")
    return f"{inputs['rule']}-{inputs['targetId']}"


def _target(account: Account, inputs: Properties) -> Any:
    events = account.client("events")
    answer = if_found(events.list_targets_by_rule, GONE, Rule=inputs["rule"], EventBusName=inputs["eventBusName"])
    return next((row for row in (answer or {}).get("Targets", []) if row["Id"] == inputs["targetId"]), None)


def read_target(account: Account, _: str, inputs: Properties) -> Properties | None:
    """Rule and target's own id are those that were declared: the id joins two names that may both have dashes."""
    about = _target(account, inputs)
    if about is None:
        return None
    transformer = about.get("InputTransformer")
    return {
        **to_wire({key: about[key] for name in OF_TARGET if (key := name[:1].upper() + name[1:]) in about}),
        "rule": inputs["rule"],
        "eventBusName": inputs["eventBusName"],
        "targetId": about["Id"],
        **present(
            inputTransformer=transformer
            and present(inputPaths=transformer.get("InputPathsMap"), inputTemplate=transformer["InputTemplate"])
        ),
    }


def update_target(account: Account, _: str, __: Properties, new: Properties) -> None:
    """Writes the target anew."""
    put_target(account, new, {})


def remove_target(account: Account, _: str, inputs: Properties) -> None:
    """The rule stays."""
    if _target(account, inputs):
        account.client("events").remove_targets(
            Rule=inputs["rule"], EventBusName=inputs["eventBusName"], Ids=[inputs["targetId"]]
        )


def list_targets(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of every rule."""
    for rule in _rules(account):
        for row in account.client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            yield f"{rule['Name']}-{row['Id']}", {}


def find_target(account: Account, inputs: Properties) -> str | None:
    """By its rule and its own id."""
    return f"{inputs['rule']}-{inputs['targetId']}" if _target(account, inputs) else None


KINDS = (
    Kind(
        "aws:cloudwatch/eventRule:EventRule",
        create=create_rule,
        read=read_rule,
        update=update_rule,
        delete=delete_rule,
        list=list_rules,
        read_back=frozenset([*PLAIN, "name", "eventBusName", "tags"]),
        kept={"forceDestroy": "steers the deletion; no cloud reports it"},
        replaces=frozenset(["name", "eventBusName"]),
        defaults={"eventBusName": "default", "state": "ENABLED"},
        name_input="name",
        tagged=True,
    ),
    Kind(
        "aws:cloudwatch/eventTarget:EventTarget",
        create=put_target,
        read=read_target,
        update=update_target,
        delete=remove_target,
        list=list_targets,
        find=find_target,
        read_back=frozenset([*OF_TARGET, "inputTransformer", "rule", "eventBusName", "targetId"]),
        replaces=frozenset(["rule", "eventBusName", "targetId"]),
        defaults={"eventBusName": "default"},
        name_input="targetId",
    ),
)
