"""Samples of EKS."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Probe, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS

ROLE = "arn:aws:iam::123456789012:role/pod"


def eks(account: Account) -> Any:
    return account.client("eks")


def told(key: str) -> Probe:
    return lambda a, i: eks(a).describe_cluster(name=i)["cluster"].get(key)


def open_up(account: Account, made: str, _: Any) -> None:
    live = eks(account).describe_cluster(name=made)["cluster"]["resourcesVpcConfig"]
    kept = {key: live[key] for key in ("subnetIds", "securityGroupIds") if key in live}
    eks(account).update_cluster_config(name=made, resourcesVpcConfig={**kept, "endpointPublicAccess": True})


def change_nodes(**said: Any) -> Behind:
    return lambda a, _, outputs: eks(a).update_nodegroup_config(
        clusterName=outputs["clusterName"], nodegroupName=outputs["nodeGroupName"], **said
    )


def tag(account: Account, _: str, outputs: Any) -> None:
    eks(account).tag_resource(resourceArn=outputs["arn"], tags={"added": "1"})


def network(*subnets: str, public: bool = False) -> dict[str, Any]:
    return {
        "subnetIds": [Ref(name) for name in subnets],
        "endpointPrivateAccess": True,
        "endpointPublicAccess": public,
    }


SCALE = {"minSize": 2, "desiredSize": 2, "maxSize": 3}
TIMES = frozenset({"createdAt", "modifiedAt"})

SAMPLES = {
    "kubernetes": Sample(
        "aws:eks/cluster:Cluster",
        {
            "name": "predict",
            "version": "1.33",
            "roleArn": Ref("role", "arn"),
            "vpcConfig": network("subnet", "other-subnet"),
            "encryptionConfig": {"provider": {"keyArn": Ref("key", "arn")}, "resources": ["secrets"]},
            "enabledClusterLogTypes": ["api", "audit"],
            "tags": TAGS,
        },
        changes={
            "vpcConfig": network("subnet", "other-subnet", public=True),
            "enabledClusterLogTypes": ["audit", "scheduler"],
            "tags": OTHER_TAGS,
        },
        behind={
            "vpcConfig": open_up,
            "enabledClusterLogTypes": lambda a, i, _: eks(a).update_cluster_config(
                name=i, logging={"clusterLogging": [{"types": ["api", "audit"], "enabled": False}]}
            ),
            "tags": tag,
        },
        lost={
            "accessConfig": ({"authenticationMode": "API"}, told("accessConfig")),
            "deletionProtection": (True, told("deletionProtection")),
            "upgradePolicy": ({"supportType": "STANDARD"}, told("upgradePolicy")),
        },
        steers=frozenset({"bootstrapSelfManagedAddons"}),
    ),
    "nodes": Sample(
        "aws:eks/nodeGroup:NodeGroup",
        {
            "clusterName": Ref("kubernetes", "name"),
            "nodeGroupName": "predict",
            "nodeRoleArn": Ref("role-in-a-path", "arn"),
            "subnetIds": [Ref("subnet"), Ref("other-subnet")],
            "amiType": "BOTTLEROCKET_x86_64",
            "capacityType": "ON_DEMAND",
            "instanceTypes": ["m7i.large"],
            "launchTemplate": {"id": Ref("template-with-groups"), "version": "1"},
            "scalingConfig": SCALE,
            "updateConfig": {"maxUnavailable": 1},
            "labels": {"app": "predict"},
            "tags": TAGS,
        },
        changes={
            "scalingConfig": {**SCALE, "maxSize": 5},
            "updateConfig": {"maxUnavailable": 2},
            "labels": {"app": "other", "zone": "a"},
        },
        behind={
            "scalingConfig": change_nodes(scalingConfig={**SCALE, "maxSize": 100}),
            "updateConfig": change_nodes(updateConfig={"maxUnavailable": 9}),
            "labels": change_nodes(labels={"addOrUpdateLabels": {"app": "x"}}),
        },
    ),
    "nodes-with-disks": Sample(
        "aws:eks/nodeGroup:NodeGroup",
        {
            "clusterName": Ref("kubernetes", "name"),
            "nodeRoleArn": Ref("role-in-a-path", "arn"),
            "subnetIds": [Ref("subnet")],
            "scalingConfig": SCALE,
            "diskSize": 30,
            "version": "1.33",
        },
    ),
    "add-on": Sample(
        "aws:eks/addon:Addon",
        {
            "clusterName": Ref("kubernetes", "name"),
            "addonName": "vpc-cni",
            "configurationValues": '{"enableNetworkPolicy": "true"}',
            "tags": TAGS,
        },
        changes={"configurationValues": "{}", "tags": OTHER_TAGS},
        leaves="the record of the state",
        absent=TIMES,
        lacking=lambda a, i: eks(a).create_addon(clusterName="predict", addonName="vpc-cni"),
    ),
    "pod-identity": Sample(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        {
            "clusterName": Ref("kubernetes", "name"),
            "namespace": "predict",
            "serviceAccount": "predict",
            "roleArn": Ref("role", "arn"),
            "tags": TAGS,
        },
        changes={"roleArn": Ref("role-in-a-path", "arn")},
        leaves="the record of the state",
        absent=frozenset({"externalId"}),
        lacking=lambda a, i: eks(a).create_pod_identity_association(
            clusterName="predict", namespace="predict", serviceAccount="predict", roleArn=ROLE
        ),
    ),
    "access-entry": Sample(
        "aws:eks/accessEntry:AccessEntry",
        {"clusterName": Ref("kubernetes", "name"), "principalArn": Ref("role", "arn"), "tags": TAGS},
        changes={"kubernetesGroups": ["viewers"]},
        leaves="the record of the state",
        absent=TIMES,
        lacking=lambda a, i: eks(a).create_access_entry(clusterName="predict", principalArn=ROLE),
    ),
    "access-policy": Sample(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        {
            "clusterName": Ref("kubernetes", "name"),
            "principalArn": Ref("role", "arn"),
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
            "accessScope": {"type": "cluster"},
        },
        changes={"accessScope": {"type": "namespace", "namespaces": ["predict"]}},
        leaves="the record of the state",
        absent=frozenset({"associatedAt", "modifiedAt"}),
        lacking=lambda a, i: eks(a).associate_access_policy(
            clusterName="predict", principalArn=ROLE, policyArn="arn:aws:eks::aws:x", accessScope={"type": "cluster"}
        ),
    ),
}
