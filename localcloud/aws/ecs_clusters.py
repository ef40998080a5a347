"""ECS: clusters and their capacity providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.aws.answers import fit, present, unless_gone
from localcloud.aws.calls import ProviderError, all_of, changed, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.task_definitions import retag

if TYPE_CHECKING:
    from localcloud.aws.account import Account


def client(account: Account) -> Any:
    """The boto3 client."""
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
    if _live_cluster(account, inputs["name"]):
        # AWS answers with the one that exists, and Moto puts a new one into its place
        raise ProviderError(f"the cluster {inputs['name']} exists already. Choose another name, or import it.")
    arguments = present(
        settings=inputs.get("settings"),
        configuration=_configuration(inputs.get("configuration")),
        serviceConnectDefaults=inputs.get("serviceConnectDefaults"),
    )
    created = client(account).create_cluster(
        clusterName=inputs["name"], tags=tag_list(tags, "key", "value"), **arguments
    )
    return str(created["cluster"]["clusterArn"])


def _live_cluster(account: Account, name: str) -> dict[str, Any] | None:
    """A deleted cluster stays for a while, as INACTIVE."""
    answer = client(account).describe_clusters(clusters=[name], include=["TAGS", "SETTINGS", "CONFIGURATIONS"])
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
        client(account).update_cluster(cluster=arn, settings=new.get("settings") or _SETTINGS, **arguments)
    retag(account, arn, old, new)


def _delete_cluster(account: Account, arn: str, _inputs: Properties) -> None:
    if _live_cluster(account, arn):
        unless_gone(lambda: client(account).delete_cluster(cluster=arn))


def live_clusters(account: Account) -> list[dict[str, Any]]:
    """The account's clusters, without those that were deleted."""
    arns = all_of(client(account), "list_clusters", "clusterArns")
    found = client(account).describe_clusters(clusters=arns, include=["TAGS"])["clusters"] if arns else []
    return [cluster for cluster in found if cluster["status"] != "INACTIVE"]


def _list_clusters(account: Account) -> list[tuple[str, Tags]]:
    return [(row["clusterArn"], tag_map(row.get("tags") or [], "key", "value")) for row in live_clusters(account)]


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
    client(account).put_cluster_capacity_providers(
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
        defaultCapacityProviderStrategies=strategies(live, asked),
    )


def strategies(live: list[dict[str, Any]], asked: list[Properties]) -> list[Properties]:
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

KINDS: tuple[Kind, ...] = (CLUSTER, CAPACITY_PROVIDERS)
