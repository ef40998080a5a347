"""ECS: services. Clusters and task definitions have modules of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.aws import ecs_clusters, task_definitions
from localcloud.aws.answers import present, unless_gone
from localcloud.aws.calls import all_of, changed, tag_list, tag_map
from localcloud.aws.ecs_clusters import client, live_clusters, strategies
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.meaning import same
from localcloud.aws.task_definitions import retag

if TYPE_CHECKING:
    from localcloud.aws.account import Account

# inputs that are said in one word to the API under the same name
_PLAIN = (
    "availabilityZoneRebalancing",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "platformVersion",
    "propagateTags",
    "placementConstraints",
)
# what CreateService takes and UpdateService does not
_ONCE = ("launchType", "schedulingStrategy")


def _network(block: Properties | None) -> dict[str, Any] | None:
    if not block:
        return None
    public = "ENABLED" if block.get("assignPublicIp") else "DISABLED"
    members = {"subnets": block["subnets"], "securityGroups": block.get("securityGroups") or []}
    return {"awsvpcConfiguration": {**members, "assignPublicIp": public}}


def _live_network(found: dict[str, Any]) -> Properties | None:
    block = (found.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if not block:
        return None
    return {
        "subnets": block.get("subnets") or [],
        "securityGroups": block.get("securityGroups") or [],
        "assignPublicIp": block.get("assignPublicIp") == "ENABLED",
    }


def _deployment(inputs: Properties) -> dict[str, Any]:
    """The API's deploymentConfiguration, which Pulumi spreads over four inputs."""
    return present(
        deploymentCircuitBreaker=inputs.get("deploymentCircuitBreaker"),
        maximumPercent=inputs.get("deploymentMaximumPercent"),
        minimumHealthyPercent=inputs.get("deploymentMinimumHealthyPercent"),
        alarms=inputs.get("alarms"),
    )


def _changeable(inputs: Properties) -> dict[str, Any]:
    """What both CreateService and UpdateService take."""
    return present(
        taskDefinition=inputs.get("taskDefinition"),
        desiredCount=inputs.get("desiredCount"),
        networkConfiguration=_network(inputs.get("networkConfiguration")),
        loadBalancers=inputs.get("loadBalancers"),
        deploymentConfiguration=_deployment(inputs) or None,
        capacityProviderStrategy=inputs.get("capacityProviderStrategies"),
        placementStrategy=inputs.get("orderedPlacementStrategies"),
        enableECSManagedTags=inputs.get("enableEcsManagedTags"),
        **{name: inputs.get(name) for name in _PLAIN},
    )


def _create_service(account: Account, inputs: Properties, tags: Tags) -> str:
    cluster = inputs.get("cluster", "default")
    said = _changeable(inputs)
    created = client(account).create_service(
        cluster=cluster,
        serviceName=inputs["name"],
        tags=tag_list(tags, "key", "value"),
        **said,
        **present(
            **{name: inputs.get(name) for name in _ONCE}, deploymentController=inputs.get("deploymentController")
        ),
    )
    service = created["service"]
    lost = {name: value for name, value in said.items() if name not in service}
    if lost:
        # the emulator forgets on creation what it remembers of an update; AWS has nothing to change then
        client(account).update_service(cluster=cluster, service=inputs["name"], **lost)
    return str(service["serviceArn"])


def _cluster_of(arn: str, inputs: Properties) -> str:
    """The cluster's name is a part of the service's ARN, in all but ARNs of before 2018."""
    return str(inputs.get("cluster") or arn.split("/")[-2])


def _live_service(account: Account, arn: str, inputs: Properties) -> dict[str, Any] | None:
    """A deleted service stays for a while, as DRAINING and then INACTIVE."""
    answer = unless_gone(
        lambda: client(account).describe_services(cluster=_cluster_of(arn, inputs), services=[arn], include=["TAGS"]),
    )
    found = answer["services"] if answer else []
    return next((service for service in found if service["status"] == "ACTIVE"), None)


def _as_named(live: str | None, declared: Any) -> str | None:
    """A live ARN as it was declared, where a name, a family or `family:revision` was."""
    tail = str(live).rpartition("/")[2]
    return declared if live and declared in (tail, tail.partition(":")[0]) and declared else live


def _propagation(found: dict[str, Any], inputs: Properties) -> Properties:
    """NONE is what AWS says where nobody said anything."""
    live = found.get("propagateTags")
    return {"propagateTags": None if live == "NONE" and not inputs.get("propagateTags") else live}


def _read_service(account: Account, arn: str, inputs: Properties) -> Properties | None:
    found = _live_service(account, arn, inputs)
    if found is None:
        return None
    deployment = found.get("deploymentConfiguration") or {}
    return present(
        arn=found["serviceArn"],
        name=found["serviceName"],
        cluster=_as_named(found["clusterArn"], inputs.get("cluster")),
        taskDefinition=_as_named(found.get("taskDefinition"), inputs.get("taskDefinition")),
        desiredCount=found.get("desiredCount"),
        networkConfiguration=_live_network(found),
        loadBalancers=[dict(row) for row in found.get("loadBalancers") or []],
        deploymentCircuitBreaker=deployment.get("deploymentCircuitBreaker"),
        deploymentMaximumPercent=deployment.get("maximumPercent", 200),
        deploymentMinimumHealthyPercent=deployment.get("minimumHealthyPercent", 100),
        alarms=deployment.get("alarms"),
        deploymentController=found.get("deploymentController"),
        capacityProviderStrategies=strategies(
            found.get("capacityProviderStrategy") or [], inputs.get("capacityProviderStrategies") or []
        ),
        orderedPlacementStrategies=found.get("placementStrategy") or [],
        enableEcsManagedTags=bool(found.get("enableECSManagedTags")),
        iamRole=found.get("roleArn"),
        **{name: found.get(name) for name in (*_PLAIN, *_ONCE)} | _propagation(found, inputs),
        tags=tag_map(found.get("tags") or [], "key", "value"),
    )


# what an input that is no longer declared goes back to
_BACK = {
    "desiredCount": 0,
    "loadBalancers": [],
    "capacityProviderStrategies": [],
    "orderedPlacementStrategies": [],
    "placementConstraints": [],
    "enableEcsManagedTags": False,
    "enableExecuteCommand": False,
    "healthCheckGracePeriodSeconds": 0,
    "availabilityZoneRebalancing": "DISABLED",
    "propagateTags": "NONE",
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    "alarms": {"alarmNames": [], "enable": False, "rollback": False},
}
_DEPLOYMENT = ("deploymentCircuitBreaker", "deploymentMaximumPercent", "deploymentMinimumHealthyPercent", "alarms")


def _update_service(account: Account, arn: str, old: Properties, new: Properties) -> None:
    wanted = {**{name: back for name, back in _BACK.items() if old.get(name) is not None}, **new}
    before, after = _changeable(old), _changeable(wanted)
    changes = {name: value for name, value in after.items() if not same(before.get(name), value)}
    if changes or changed(old, new, "triggers") or new.get("forceNewDeployment"):
        force = present(forceNewDeployment=new.get("forceNewDeployment"))
        client(account).update_service(cluster=_cluster_of(arn, new), service=arn, **changes, **force)
    retag(account, arn, old, new)


def _delete_service(account: Account, arn: str, inputs: Properties) -> None:
    """With its tasks, as the real provider does after it has scaled the service to nothing."""
    if _live_service(account, arn, inputs):
        cluster = _cluster_of(arn, inputs)
        unless_gone(lambda: client(account).delete_service(cluster=cluster, service=arn, force=True))


def _list_services(account: Account) -> list[tuple[str, Tags]]:
    ecs, found = client(account), []
    for cluster in live_clusters(account):
        arns = all_of(ecs, "list_services", "serviceArns", cluster=cluster["clusterArn"])
        for start in range(0, len(arns), 10):  # ten a call is the API's limit
            answer = ecs.describe_services(
                cluster=cluster["clusterArn"], services=arns[start : start + 10], include=["TAGS"]
            )
            found += [service for service in answer["services"] if service["status"] == "ACTIVE"]
    return [(row["serviceArn"], tag_map(row.get("tags") or [], "key", "value")) for row in found]


SERVICE = Kind(
    token="aws:ecs/service:Service",
    create=_create_service,
    read=_read_service,
    update=_update_service,
    delete=_delete_service,
    list=_list_services,
    read_back=frozenset(
        {
            "name",
            "cluster",
            "taskDefinition",
            "desiredCount",
            "networkConfiguration",
            "loadBalancers",
            "deploymentController",
            "capacityProviderStrategies",
            "orderedPlacementStrategies",
            "enableEcsManagedTags",
            "tags",
            *_DEPLOYMENT,
            *_PLAIN,
            *_ONCE,
        }
    ),
    computed=frozenset(
        {"cluster", "launchType", "platformVersion", "availabilityZoneRebalancing", "deploymentController"}
    ),
    kept={
        "serviceConnectConfiguration": "the service mesh's settings",
        "forceDelete": "steers the deletion; no cloud reports it",
        "forceNewDeployment": "steers the update; no cloud reports it",
        "triggers": "start an update when they change; no cloud reports them",
        "waitForSteadyState": "steers the calls; the emulator runs no tasks to wait for",
    },
    replaces=frozenset({"cluster", "launchType", "schedulingStrategy", "deploymentController"}),
    unordered=frozenset(
        {
            "loadBalancers",
            "capacityProviderStrategies",
            "placementConstraints",
            "networkConfiguration.subnets",
            "networkConfiguration.securityGroups",
            "alarms.alarmNames",
        }
    ),
    defaults={
        "deploymentMaximumPercent": 200,
        "deploymentMinimumHealthyPercent": 100,
        "schedulingStrategy": "REPLICA",
    },
    name_input="name",
    tagged=True,
)

KINDS: tuple[Kind, ...] = (*ecs_clusters.KINDS, *task_definitions.KINDS, SERVICE)
