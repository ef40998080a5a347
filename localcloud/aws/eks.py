"""EKS: clusters and groups of nodes. Of add-ons and of who may enter, the emulator has nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.answers import fit, present
from localcloud.aws.calls import all_of, changed, if_found, retag
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.recorded import recorded

GONE = "ResourceNotFoundException"
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
NETWORK = ("endpointPrivateAccess", "endpointPublicAccess", "publicAccessCidrs", "securityGroupIds", "subnetIds")
ANYWHERE = {"endpointPublicAccess": True, "endpointPrivateAccess": False, "publicAccessCidrs": ["0.0.0.0/0"]}
LOST = {
    "accessConfig": "lost by CreateCluster",
    "deletionProtection": "lost by CreateCluster and UpdateClusterConfig",
    "upgradePolicy": "lost by CreateCluster and UpdateClusterConfig",
    "bootstrapSelfManagedAddons": "steers the creation; no cloud reports it",
}
OF_NODES = {
    "amiType": "amiType",
    "capacityType": "capacityType",
    "diskSize": "diskSize",
    "instanceTypes": "instanceTypes",
    "labels": "labels",
    "launchTemplate": "launchTemplate",
    "nodeRoleArn": "nodeRole",
    "scalingConfig": "scalingConfig",
    "subnetIds": "subnets",
    "version": "version",
}


def _logging(inputs: Properties) -> dict[str, Any]:
    on = inputs.get("enabledClusterLogTypes") or []
    rows = [(list(on), True), ([name for name in LOGS if name not in on], False)]
    return {"clusterLogging": [{"types": types, "enabled": enabled} for types, enabled in rows if types]}


def _network(inputs: Properties) -> dict[str, Any]:
    return {name: inputs["vpcConfig"][name] for name in NETWORK if name in inputs["vpcConfig"]}


def create_cluster(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the cluster's name."""
    encryption = inputs.get("encryptionConfig")
    account.client("eks").create_cluster(
        name=inputs["name"],
        roleArn=inputs["roleArn"],
        resourcesVpcConfig=_network(inputs),
        logging=_logging(inputs),
        tags=tags,
        **present(encryptionConfig=[encryption] if encryption else None),
        **{name: inputs[name] for name in ("version", *LOST) if name in inputs},
    )
    return str(inputs["name"])


def _described(account: Account, name: str) -> Any:
    answer = if_found(account.client("eks").describe_cluster, GONE, name=name)
    return answer and answer["cluster"]


def read_cluster(account: Account, name: str, inputs: Properties) -> Properties | None:
    """One call tells all."""
    about = _described(account, name)
    if about is None:
        return None
    logging = about.get("logging", {}).get("clusterLogging", [])
    encryption = about.get("encryptionConfig") or []
    network = {key: about["resourcesVpcConfig"].get(key) for key in NETWORK if key in about["resourcesVpcConfig"]}
    return {
        "name": about["name"],
        "arn": about["arn"],
        "roleArn": about["roleArn"],
        "version": about["version"],
        "vpcConfig": fit(network, inputs["vpcConfig"], ANYWHERE) if inputs.get("vpcConfig") else network,
        "encryptionConfig": encryption[0] if encryption else None,
        "enabledClusterLogTypes": [name for row in logging if row["enabled"] for name in row["types"]],
        "certificateAuthority": {"data": about["certificateAuthority"]["data"]},
        "clusterId": "",
        "createdAt": about["createdAt"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "endpoint": about["endpoint"],
        "identities": [{"oidcs": [{"issuer": about["identity"]["oidc"]["issuer"]}]}],
        "platformVersion": about.get("platformVersion", ""),
        "status": about["status"],
        "tags": about.get("tags", {}),
    }


def update_cluster(account: Account, name: str, old: Properties, new: Properties) -> None:
    """EKS takes one kind of change a call."""
    eks = account.client("eks")
    if changed(old, new, "vpcConfig"):
        eks.update_cluster_config(name=name, resourcesVpcConfig={**ANYWHERE, **_network(new)})
    if changed(old, new, "enabledClusterLogTypes"):
        eks.update_cluster_config(name=name, logging=_logging(new))
    for key in ("deletionProtection", "upgradePolicy"):
        if changed(old, new, key) and key in new:
            eks.update_cluster_config(name=name, **{key: new[key]})
    if changed(old, new, "accessConfig") and new.get("accessConfig"):
        mode = new["accessConfig"]["authenticationMode"]
        eks.update_cluster_config(name=name, accessConfig={"authenticationMode": mode})
    arn = _arn(account, f"cluster/{name}")
    retag(
        old,
        new,
        lambda tags: eks.tag_resource(resourceArn=arn, tags=tags),
        lambda names: eks.untag_resource(resourceArn=arn, tagKeys=names),
    )


def _arn(account: Account, what: str) -> str:
    return f"arn:{account.partition}:eks:{account.region}:{account.account_id}:{what}"


def delete_cluster(account: Account, name: str, _: Properties) -> None:
    """EKS refuses while there are groups of nodes."""
    if_found(account.client("eks").delete_cluster, GONE, name=name)


def list_clusters(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for name in all_of(account.client("eks"), "list_clusters", "clusters"):
        yield name, _described(account, name).get("tags", {})


def create_nodes(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is CLUSTER:GROUP. How it is renewed is told again after it, as the emulator keeps it only then."""
    about = {"clusterName": inputs["clusterName"], "nodegroupName": inputs["nodeGroupName"]}
    said = {cloud: inputs[name] for name, cloud in OF_NODES.items() if name in inputs}
    account.client("eks").create_nodegroup(**about, tags=tags, **said)
    if inputs.get("updateConfig"):
        account.client("eks").update_nodegroup_config(**about, updateConfig=inputs["updateConfig"])
    return f"{inputs['clusterName']}:{inputs['nodeGroupName']}"


def _nodes(account: Account, id_: str) -> Any:
    cluster, _, name = id_.partition(":")
    answer = if_found(account.client("eks").describe_nodegroup, GONE, clusterName=cluster, nodegroupName=name)
    return answer and answer["nodegroup"]


def read_nodes(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """A template is told by its id or its name; what was declared tells which of them counts."""
    about = _nodes(account, id_)
    if about is None:
        return None
    template = {key: it for key, it in about.get("launchTemplate", {}).items() if inputs or key != "name"}
    groups = about.get("resources", {}).get("autoScalingGroups", [])
    return {
        **{wire: about.get(cloud) for wire, cloud in OF_NODES.items() if wire != "launchTemplate"},
        "launchTemplate": fit(template, inputs["launchTemplate"]) if inputs.get("launchTemplate") else template,
        "clusterName": about["clusterName"],
        "nodeGroupName": about["nodegroupName"],
        "arn": about["nodegroupArn"],
        "resources": [
            {
                "autoscalingGroups": [{"name": row["name"]} for row in groups],
                "remoteAccessSecurityGroupId": about["resources"].get("remoteAccessSecurityGroup", ""),
            }
        ],
        "status": about["status"],
        "updateConfig": about.get("updateConfig"),
        "tags": about.get("tags", {}),
    }


def update_nodes(account: Account, id_: str, old: Properties, new: Properties) -> None:
    """Scale, labels, and how it is renewed."""
    cluster, _, name = id_.partition(":")
    before, after = old.get("labels") or {}, new.get("labels") or {}
    said: dict[str, Any] = {}
    if changed(old, new, "scalingConfig"):
        said["scalingConfig"] = new["scalingConfig"]
    if changed(old, new, "updateConfig") and new.get("updateConfig"):
        said["updateConfig"] = new["updateConfig"]
    if before != after:
        gone = [key for key in before if key not in after]
        said["labels"] = {"addOrUpdateLabels": after, "removeLabels": gone}
    if said:
        account.client("eks").update_nodegroup_config(clusterName=cluster, nodegroupName=name, **said)


def delete_nodes(account: Account, id_: str, _: Properties) -> None:
    """With its machines."""
    cluster, name = id_.split(":", 1)
    if_found(account.client("eks").delete_nodegroup, GONE, clusterName=cluster, nodegroupName=name)


def list_nodes(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of every cluster."""
    for cluster, _ in list_clusters(account):
        for name in all_of(account.client("eks"), "list_nodegroups", "nodegroups", clusterName=cluster):
            yield f"{cluster}:{name}", _nodes(account, f"{cluster}:{name}").get("tags", {})


def _cluster_of(account: Account, inputs: Properties) -> Any:
    return _described(account, inputs["clusterName"])


def _association(_: Account, inputs: Properties) -> str:
    whose = f"{inputs['clusterName']}/{inputs['namespace']}/{inputs['serviceAccount']}"
    return f"a-{hashlib.sha256(whose.encode()).hexdigest()[:17]}"


KINDS = (
    Kind(
        "aws:eks/cluster:Cluster",
        create=create_cluster,
        read=read_cluster,
        update=update_cluster,
        delete=delete_cluster,
        list=list_clusters,
        read_back=frozenset(
            ["enabledClusterLogTypes", "encryptionConfig", "name", "roleArn", "tags", "version", "vpcConfig"]
        ),
        computed=frozenset(["version"]),
        kept=LOST,
        # version: the emulator answers UpdateClusterVersion with a 404; AWS changes it in place
        replaces=frozenset(["encryptionConfig", "name", "roleArn", "version"]),
        unordered=frozenset(
            [
                *("enabledClusterLogTypes", "encryptionConfig.resources", "vpcConfig.publicAccessCidrs"),
                *("vpcConfig.securityGroupIds", "vpcConfig.subnetIds"),
            ]
        ),
        name_input="name",
        tagged=True,
    ),
    Kind(
        "aws:eks/nodeGroup:NodeGroup",
        create=create_nodes,
        read=read_nodes,
        update=update_nodes,
        delete=delete_nodes,
        list=list_nodes,
        read_back=frozenset([*OF_NODES, "clusterName", "nodeGroupName", "tags", "updateConfig"]),
        computed=frozenset(["amiType", "capacityType", "diskSize", "instanceTypes", "updateConfig", "version"]),
        # AWS changes these in place: version and launchTemplate, but the emulator answers UpdateNodegroupVersion with a
        # 404; tags, but it knows those of clusters alone
        replaces=frozenset(
            [
                *("amiType", "capacityType", "clusterName", "diskSize", "instanceTypes", "launchTemplate"),
                *("nodeGroupName", "nodeRoleArn", "subnetIds", "tags", "version"),
            ]
        ),
        unordered=frozenset(["subnetIds"]),
        name_input="nodeGroupName",
        tagged=True,
    ),
    recorded(
        "aws:eks/addon:Addon",
        "the emulator knows no CreateAddon",
        id_=lambda _, inputs: f"{inputs['clusterName']}:{inputs['addonName']}",
        inputs=[
            *("addonName", "addonVersion", "clusterName", "configurationValues", "podIdentityAssociations", "preserve"),
            *("resolveConflictsOnCreate", "resolveConflictsOnUpdate", "serviceAccountRoleArn", "tags"),
        ],
        owner=_cluster_of,
        outputs=lambda account, _, inputs: {
            "arn": _arn(account, f"addon/{inputs['clusterName']}/{inputs['addonName']}/recorded")
        },
        replaces=["addonName", "clusterName"],
    ),
    recorded(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "the emulator knows no CreatePodIdentityAssociation",
        id_=_association,
        inputs=["clusterName", "disableSessionTags", "namespace", "roleArn", "serviceAccount", "tags", "targetRoleArn"],
        owner=_cluster_of,
        outputs=lambda account, id_, inputs: {
            "associationArn": _arn(account, f"podidentityassociation/{inputs['clusterName']}/{id_}"),
            "associationId": id_,
        },
        replaces=["clusterName", "namespace", "serviceAccount"],
    ),
    recorded(
        "aws:eks/accessEntry:AccessEntry",
        "the emulator knows no CreateAccessEntry",
        id_=lambda _, inputs: f"{inputs['clusterName']}:{inputs['principalArn']}",
        inputs=["clusterName", "kubernetesGroups", "principalArn", "tags", "type", "userName"],
        owner=_cluster_of,
        outputs=lambda account, _, inputs: {
            "accessEntryArn": _arn(account, f"access-entry/{inputs['clusterName']}/recorded")
        },
        replaces=["clusterName", "principalArn", "type"],
        defaults={"type": "STANDARD"},
    ),
    recorded(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "the emulator knows no AssociateAccessPolicy",
        id_=lambda _, inputs: f"{inputs['clusterName']}#{inputs['principalArn']}#{inputs['policyArn']}",
        inputs=["accessScope", "clusterName", "policyArn", "principalArn"],
        owner=_cluster_of,
        replaces=["clusterName", "policyArn", "principalArn"],
    ),
)
