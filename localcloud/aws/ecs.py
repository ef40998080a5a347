"""ECS: clusters, their capacity providers, and services. Task definitions have a module of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.aws import task_definitions
from localcloud.aws.answers import fit, present, unless_gone
from localcloud.aws.calls import all_of, changed, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.meaning import same
from localcloud.aws.task_definitions import retag

if TYPE_CHECKING:
    from localcloud.aws.account import Account

_NO_CLUSTER = "ClusterNotFoundException"


def _client(account: Account) -> Any:
    return account.client("ecs")


# --- Cluster

# what AWS sets when nobody says anything
_SETTINGS = [{"name": "containerInsights", "value": "disabled"}]
# what stands for no configuration: one that was set can be changed and not be taken away
_NO_CONFIGURATION = {"executeCommandConfiguration": {"logging": "DEFAULT"}}


def _configuration(block: Properties | None) -> dict[str, Any] | None:
    """The API names the parts as Pulumi does, but for one."""
    if not block:
        return None
    said = dict(block)
    execute = said.get("executeCommandConfiguration")
    if execute and "logConfiguration" in execute:
        logs = dict(execute["logConfiguration"])
        if "s3BucketEncryptionEnabled" in logs:
            logs["s3EncryptionEnabled"] = logs.pop("s3BucketEncryptionEnabled")
        said["executeCommandConfiguration"] = {**execute, "logConfiguration": logs}
    return said


def _live_configuration(block: dict[str, Any] | None) -> Properties | None:
    execute = (block or {}).get("executeCommandConfiguration") or {}
    if block == _NO_CONFIGURATION:
        return None
    logs = dict(execute.get("logConfiguration") or {})
    if "s3EncryptionEnabled" in logs:
        logs["s3BucketEncryptionEnabled"] = logs.pop("s3EncryptionEnabled")
    return {**(block or {}), "executeCommandConfiguration": {**execute, "logConfiguration": logs}} if logs else block


def _create_cluster(account: Account, inputs: Properties, tags: Tags) -> str:
    arguments = present(
        settings=inputs.get("settings"),
        configuration=_configuration(inputs.get("configuration")),
        serviceConnectDefaults=inputs.get("serviceConnectDefaults"),
    )
    created = _client(account).create_cluster(
        clusterName=inputs["name"], tags=tag_list(tags, "key", "value"), **arguments
    )
    return str(created["cluster"]["clusterArn"])


def _live_cluster(account: Account, name: str) -> dict[str, Any] | None:
    """A deleted cluster stays for a while, as INACTIVE."""
    answer = _client(account).describe_clusters(clusters=[name], include=["TAGS", "SETTINGS", "CONFIGURATIONS"])
    return next((cluster for cluster in answer["clusters"] if cluster["status"] != "INACTIVE"), None)


def _read_cluster(account: Account, arn: str, _inputs: Properties) -> Properties | None:
    found = _live_cluster(account, arn)
    if found is None:
        return None
    return present(
        arn=found["clusterArn"],
        name=found["clusterName"],
        settings=[dict(setting) for setting in found.get("settings") or []],
        configuration=_live_configuration(found.get("configuration")),
        serviceConnectDefaults=found.get("serviceConnectDefaults"),
        tags=tag_map(found.get("tags") or [], "key", "value"),
    )


def _update_cluster(account: Account, arn: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "settings", "configuration", "serviceConnectDefaults"):
        arguments = present(
            configuration=_configuration(new.get("configuration"))
            or (_NO_CONFIGURATION if old.get("configuration") else None),
            # an empty namespace takes the default away
            serviceConnectDefaults=new.get("serviceConnectDefaults")
            or ({"namespace": ""} if old.get("serviceConnectDefaults") else None),
        )
        _client(account).update_cluster(cluster=arn, settings=new.get("settings") or _SETTINGS, **arguments)
    retag(account, arn, old, new)


def _delete_cluster(account: Account, arn: str, _inputs: Properties) -> None:
    if _live_cluster(account, arn):
        unless_gone(lambda: _client(account).delete_cluster(cluster=arn))


def _live_clusters(account: Account) -> list[dict[str, Any]]:
    arns = all_of(_client(account), "list_clusters", "clusterArns")
    found = _client(account).describe_clusters(clusters=arns, include=["TAGS"])["clusters"] if arns else []
    return [cluster for cluster in found if cluster["status"] != "INACTIVE"]


def _list_clusters(account: Account) -> list[tuple[str, Tags]]:
    return [(row["clusterArn"], tag_map(row.get("tags") or [], "key", "value")) for row in _live_clusters(account)]


CLUSTER = Kind(
    token="aws:ecs/cluster:Cluster",
    create=_create_cluster,
    read=_read_cluster,
    update=_update_cluster,
    delete=_delete_cluster,
    list=_list_clusters,
    read_back=frozenset({"name", "settings", "configuration", "serviceConnectDefaults", "tags"}),
    computed=frozenset({"settings"}),
    unordered=frozenset({"settings"}),
    name_input="name",
    tagged=True,
)


# --- ClusterCapacityProviders


def _put_providers(account: Account, inputs: Properties) -> None:
    _client(account).put_cluster_capacity_providers(
        cluster=inputs["clusterName"],
        capacityProviders=inputs.get("capacityProviders") or [],
        defaultCapacityProviderStrategy=inputs.get("defaultCapacityProviderStrategies") or [],
    )


def _create_providers(account: Account, inputs: Properties, _tags: Tags) -> str:
    _put_providers(account, inputs)
    return str(inputs["clusterName"])


def _read_providers(account: Account, name: str, inputs: Properties) -> Properties | None:
    found = _live_cluster(account, name)
    if found is None or not found.get("capacityProviders"):
        return None
    asked = inputs.get("defaultCapacityProviderStrategies") or []
    live = found.get("defaultCapacityProviderStrategy") or []
    return present(
        clusterName=found["clusterName"],
        capacityProviders=found["capacityProviders"],
        defaultCapacityProviderStrategies=_strategies(live, asked),
    )


def _strategies(live: list[dict[str, Any]], asked: list[Properties]) -> list[Properties]:
    """Live strategies without the weight and base that their declared ones leave out, if they are AWS's own."""
    wanted = {row.get("capacityProvider"): row for row in asked}
    return [
        fit(row, wanted.get(row["capacityProvider"], row), {"base": 0, "weight": 0, "capacityProvider": None}) or row
        for row in live
    ]


def _update_providers(account: Account, _name: str, _old: Properties, new: Properties) -> None:
    _put_providers(account, new)


def _delete_providers(account: Account, name: str, _inputs: Properties) -> None:
    if _live_cluster(account, name):
        _put_providers(account, {"clusterName": name})


def _find_providers(account: Account, inputs: Properties) -> str | None:
    return str(inputs["clusterName"]) if _read_providers(account, inputs["clusterName"], inputs) else None


CAPACITY_PROVIDERS = Kind(
    token="aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
    create=_create_providers,
    read=_read_providers,
    update=_update_providers,
    delete=_delete_providers,
    find=_find_providers,
    read_back=frozenset({"clusterName", "capacityProviders", "defaultCapacityProviderStrategies"}),
    replaces=frozenset({"clusterName"}),
    unordered=frozenset({"capacityProviders", "defaultCapacityProviderStrategies"}),
    delete_before_replace=True,
)


# --- Service

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
    created = _client(account).create_service(
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
        _client(account).update_service(cluster=cluster, service=inputs["name"], **lost)
    return str(service["serviceArn"])


def _cluster_of(arn: str, inputs: Properties) -> str:
    """The cluster's name is a part of the service's ARN, in all but ARNs of before 2018."""
    return str(inputs.get("cluster") or arn.split("/")[-2])


def _live_service(account: Account, arn: str, inputs: Properties) -> dict[str, Any] | None:
    """A deleted service stays for a while, as DRAINING and then INACTIVE."""
    answer = unless_gone(
        lambda: _client(account).describe_services(cluster=_cluster_of(arn, inputs), services=[arn], include=["TAGS"]),
        _NO_CLUSTER,
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
        capacityProviderStrategies=_strategies(
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
        _client(account).update_service(cluster=_cluster_of(arn, new), service=arn, **changes, **force)
    retag(account, arn, old, new)


def _delete_service(account: Account, arn: str, inputs: Properties) -> None:
    """With its tasks, as the real provider does after it has scaled the service to nothing."""
    if _live_service(account, arn, inputs):
        cluster = _cluster_of(arn, inputs)
        unless_gone(lambda: _client(account).delete_service(cluster=cluster, service=arn, force=True))


def _list_services(account: Account) -> list[tuple[str, Tags]]:
    client, found = _client(account), []
    for cluster in _live_clusters(account):
        arns = all_of(client, "list_services", "serviceArns", cluster=cluster["clusterArn"])
        for start in range(0, len(arns), 10):  # ten a call is the API's limit
            answer = client.describe_services(
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

KINDS: tuple[Kind, ...] = (CLUSTER, CAPACITY_PROVIDERS, *task_definitions.KINDS, SERVICE)
