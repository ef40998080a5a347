"""ECS task definitions: a family has revisions, none of which ever changes.

The id is the family, as with the real provider, so a revision and the one that replaces it have the same id. Which one
is meant is told by its content, as the last inputs have it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localcloud.aws.answers import code, present
from localcloud.aws.calls import ProviderError, all_of, tag_changes, tag_list, tag_map
from localcloud.aws.kind import MARK, Kind, Properties, Tags
from localcloud.aws.meaning import is_empty, same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.aws.account import Account

# inputs that the API takes under the same name
_PLAIN = (
    "family",
    "cpu",
    "memory",
    "networkMode",
    "executionRoleArn",
    "taskRoleArn",
    "requiresCompatibilities",
    "runtimePlatform",
    "ipcMode",
    "pidMode",
    "placementConstraints",
)
_CONTENT = (*_PLAIN, "ephemeralStorage", "containerDefinitions", "volumes")
_UNORDERED = ("requiresCompatibilities", "placementConstraints")
# what AWS adds to a container's health check that says nothing of it; seconds
_HEALTH_CHECK = {"interval": 30, "timeout": 5, "retries": 3}


def retag(account: Account, arn: str, old: Properties, new: Properties) -> None:
    """Bring the tags of anything on ECS from the old inputs to the new ones."""
    written, removed = tag_changes(old, new)
    if written:
        account.client("ecs").tag_resource(resourceArn=arn, tags=tag_list(written, "key", "value"))
    if removed:
        account.client("ecs").untag_resource(resourceArn=arn, tagKeys=removed)


def _containers(text: str) -> list[dict[str, Any]]:
    try:
        containers = json.loads(text)
    except ValueError as error:
        raise ProviderError(f"containerDefinitions is no JSON text ({error}).") from None
    return containers if isinstance(containers, list) else [containers]


def _canonical(text: str, network: str | None) -> list[dict[str, Any]]:
    """Container definitions without what AWS adds or reorders: defaults, empty parts, host ports, sorted variables."""
    found = []
    for container in _containers(text):
        said = _pruned(container) | {"essential": container.get("essential", True)}
        for name in ("environment", "secrets"):
            if name in said:
                said[name] = sorted(said[name], key=lambda row: str(row.get("name")))
        if "healthCheck" in said:
            said["healthCheck"] = {**_HEALTH_CHECK, **said["healthCheck"]}
        if "portMappings" in said:
            said["portMappings"] = [_canonical_port(row, network) for row in said["portMappings"]]
        found.append(said)
    return sorted(found, key=lambda container: str(container.get("name")))


def _pruned(value: Any) -> Any:
    """The value without the parts that say no more than their absence."""
    if isinstance(value, dict):
        return {name: _pruned(item) for name, item in value.items() if not is_empty(item)}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def _canonical_port(row: dict[str, Any], network: str | None) -> dict[str, Any]:
    said = {"protocol": "tcp", **row}
    if network in ("awsvpc", "host") and said.get("hostPort") == said.get("containerPort"):
        said.pop("hostPort", None)
    return said


def _volumes(volumes: list[Properties] | None) -> list[dict[str, Any]] | None:
    """Volumes as the API takes them: only the path on the host is spelled otherwise."""
    if not volumes:
        return None
    return [
        {**{name: value for name, value in volume.items() if name != "hostPath"}, **_host(volume.get("hostPath"))}
        for volume in volumes
    ]


def _host(path: str | None) -> dict[str, Any]:
    return {"host": {"sourcePath": path}} if path else {}


def _live_volumes(volumes: list[dict[str, Any]], declared: list[Properties] | None) -> list[Properties]:
    live = [
        present(**{name: value for name, value in volume.items() if name != "host"}, hostPath=_source_path(volume))
        for volume in volumes
    ]
    asked, found = ([_canonical_volume(volume) for volume in volumes] for volumes in (declared or [], live))
    return declared if declared and same(asked, found, "volumes", ("volumes",)) else live


def _canonical_volume(volume: Properties) -> Properties:
    """A volume without the root directory that AWS mounts where nobody says which."""
    efs = volume.get("efsVolumeConfiguration") or {}
    return {**volume, "efsVolumeConfiguration": {**efs, "rootDirectory": efs.get("rootDirectory") or "/"}}


def _source_path(volume: dict[str, Any]) -> str | None:
    return (volume.get("host") or {}).get("sourcePath")


def _create(account: Account, inputs: Properties, tags: Tags) -> str:
    storage = inputs.get("ephemeralStorage")
    created = account.client("ecs").register_task_definition(
        **present(**{name: inputs.get(name) for name in _PLAIN}, volumes=_volumes(inputs.get("volumes"))),
        **({"ephemeralStorage": {"sizeInGiB": storage["sizeInGib"]}} if storage else {}),
        containerDefinitions=_containers(inputs["containerDefinitions"]),
        tags=tag_list(tags, "key", "value"),
    )
    return str(created["taskDefinition"]["family"])


def _properties(answer: dict[str, Any], inputs: Properties) -> Properties:
    """A described revision in Pulumi's form; what means the same as declared, as it was declared."""
    found = answer["taskDefinition"]
    network = found.get("networkMode")
    text, declared = json.dumps(found["containerDefinitions"]), inputs.get("containerDefinitions")
    if declared and _canonical(declared, network) == _canonical(text, network):
        text = declared
    arn, storage = found["taskDefinitionArn"], found.get("ephemeralStorage")
    return present(
        **{name: found.get(name) for name in _PLAIN},
        ephemeralStorage={"sizeInGib": storage["sizeInGiB"]} if storage else None,
        containerDefinitions=text,
        volumes=_live_volumes(found.get("volumes") or [], inputs.get("volumes")),
        arn=arn,
        arnWithoutRevision=arn.rpartition(":")[0],
        revision=found["revision"],
        tags=tag_map(answer.get("tags") or [], "key", "value"),
    )


def _revisions(account: Account, family: str, inputs: Properties) -> Iterator[Properties]:
    """The family's ACTIVE revisions, newest first."""
    client = account.client("ecs")
    latest = _described(client, family)
    if latest is None:
        return
    if latest["taskDefinition"]["status"] == "ACTIVE":
        yield _properties(latest, inputs)
    arns = all_of(client, "list_task_definitions", "taskDefinitionArns", familyPrefix=family, status="ACTIVE")
    own = [arn for arn in arns if arn.rpartition("/")[2].rpartition(":")[0] == family]
    for arn in sorted(own, key=lambda arn: -int(arn.rpartition(":")[2])):
        if arn != latest["taskDefinition"]["taskDefinitionArn"]:
            answer = _described(client, arn)
            if answer:
                yield _properties(answer, inputs)


def _described(client: Any, name: str) -> dict[str, Any] | None:
    try:
        answer = client.describe_task_definition(taskDefinition=name, include=["TAGS"])
    except ClientError as error:
        # so ECS says that there is none
        if code(error) != "ClientException":
            raise
        return None
    return dict(answer)


def _matches(live: Properties, inputs: Properties) -> bool:
    """Whether a revision has the content of the inputs; a left-out input may have been filled in."""
    return all(is_empty(inputs.get(name)) or same(inputs[name], live.get(name), name, _UNORDERED) for name in _CONTENT)


def _read(account: Account, family: str, inputs: Properties) -> Properties | None:
    """The newest revision of the inputs' content, else the newest at all."""
    newest = None
    for live in _revisions(account, family, inputs):
        if _matches(live, inputs):
            return live
        newest = newest or live
    return newest


def _update(account: Account, family: str, old: Properties, new: Properties) -> None:
    live = _read(account, family, new)
    if live:
        retag(account, live["arn"], old, new)


def _delete(account: Account, family: str, inputs: Properties) -> None:
    """Deregisters the revision of this content, and older ones of the same resource that a killed run left.

    AWS keeps deregistered revisions as INACTIVE.
    """
    if inputs.get("skipDestroy"):
        return
    mark = None
    for live in _revisions(account, family, inputs):
        if mark is None and _matches(live, inputs):
            mark = live["tags"].get(MARK, "")
        elif mark is None or live["tags"].get(MARK) != mark:
            continue
        account.client("ecs").deregister_task_definition(taskDefinition=live["arn"])


def _list(account: Account) -> list[tuple[str, Tags]]:
    """Families with an ACTIVE revision, each with the tags of its newest."""
    client = account.client("ecs")
    arns = all_of(client, "list_task_definitions", "taskDefinitionArns", status="ACTIVE")
    newest: dict[str, str] = {}
    for arn in sorted(arns, key=lambda arn: int(arn.rpartition(":")[2])):
        newest[arn.rpartition("/")[2].rpartition(":")[0]] = arn
    found = [(family, _described(client, arn)) for family, arn in newest.items()]
    return [(family, tag_map(answer.get("tags") or [], "key", "value")) for family, answer in found if answer]


TASK_DEFINITION = Kind(
    token="aws:ecs/taskDefinition:TaskDefinition",
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    list=_list,
    read_back=frozenset({*_CONTENT, "tags"}),
    computed=frozenset({"networkMode"}),
    kept={
        "enableFaultInjection": "whether tasks take fault injection requests",
        "skipDestroy": "steers the deletion; no cloud reports it",
        "trackLatest": "steers the reading; no cloud reports it",
    },
    replaces=frozenset({*_CONTENT, "enableFaultInjection"}),
    unordered=frozenset(_UNORDERED),
    tagged=True,
)

KINDS: tuple[Kind, ...] = (TASK_DEFINITION,)
