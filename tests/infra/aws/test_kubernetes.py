"""The app on EKS: a private cluster, its nodes, and the objects of infra/manifests.py on it."""

import json
from typing import Any

import pytest

from infra.aws.kubernetes import node_count
from tests.infra.aws.planning import plan_of
from tests.infra.test_manifests import check
from tests.plans.plans import Plan, Resource


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of()


def objects(plan: Plan) -> list[Resource]:
    """The Kubernetes objects of a plan."""
    return [row for row in plan.resources if row.type.startswith("kubernetes:")]


def cluster(plan: Plan) -> dict[str, Any]:
    return plan.only("eks:Cluster").inputs


def test_the_cluster_is_reached_from_its_own_network_alone(plan: Plan) -> None:
    vpc = cluster(plan)["vpcConfig"]
    assert (vpc["endpointPrivateAccess"], vpc["endpointPublicAccess"]) == (True, False)
    assert vpc["subnetIds"] == [row.outputs["id"] for row in plan.of_type("ec2:Subnet")]


def test_secrets_are_encrypted_with_our_key_and_the_cluster_s_role_may_use_it(plan: Plan) -> None:
    key = plan.named("kms:Key", "logs").outputs["arn"]
    assert cluster(plan)["encryptionConfig"] == {"provider": {"keyArn": key}, "resources": ["secrets"]}
    (statement,) = plan.granted("predict-cluster")
    assert statement["Resource"] == [key]


def test_all_that_the_control_plane_logs_is_kept_under_our_key(plan: Plan) -> None:
    assert set(cluster(plan)["enabledClusterLogTypes"]) == {
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    }
    log = plan.named("cloudwatch:LogGroup", "predict-cluster").inputs
    assert log["name"] == f"/aws/eks/{cluster(plan)['name']}/cluster"
    assert (log["retentionInDays"], bool(log["kmsKeyId"])) == (365, True)


def test_people_get_in_by_iam_and_not_by_an_object_in_the_cluster(plan: Plan) -> None:
    assert cluster(plan)["accessConfig"]["authenticationMode"] == "API"


def test_a_cluster_is_protected_unless_it_is_disposable(plan: Plan) -> None:
    assert cluster(plan)["deletionProtection"] is True
    assert cluster(plan_of("local"))["deletionProtection"] is False


def test_nodes_run_in_every_zone_and_hold_all_copies(plan: Plan) -> None:
    group = plan.only("eks:NodeGroup").inputs
    assert group["subnetIds"] == cluster(plan)["vpcConfig"]["subnetIds"]
    assert group["scalingConfig"] == {"minSize": 4, "desiredSize": 4, "maxSize": 5}
    assert group["launchTemplate"]["id"] == plan.named("ec2:LaunchTemplate", "predict-nodes").outputs["id"]


@pytest.mark.parametrize(("copies", "zones", "count"), [(1, 3, 3), (9, 3, 3), (10, 3, 4), (10, 2, 4)])
def test_the_number_of_nodes_follows_from_copies_and_zones(copies: int, zones: int, count: int) -> None:
    assert node_count(copies, zones) == count


def test_a_node_s_own_credentials_are_out_of_the_pods_reach(plan: Plan) -> None:
    metadata = plan.named("ec2:LaunchTemplate", "predict-nodes").inputs["metadataOptions"]
    assert (metadata["httpTokens"], metadata["httpPutResponseHopLimit"]) == ("required", 1)


def test_the_nodes_disks_are_encrypted(plan: Plan) -> None:
    for disk in plan.named("ec2:LaunchTemplate", "predict-nodes").inputs["blockDeviceMappings"]:
        assert disk["ebs"]["encrypted"] == "true"


def test_nodes_wear_what_lets_them_out_to_the_endpoints_and_into_the_cluster(plan: Plan) -> None:
    groups = plan.named("ec2:LaunchTemplate", "predict-nodes").inputs["vpcSecurityGroupIds"]
    own = plan.only("eks:Cluster").outputs["vpcConfig"]["clusterSecurityGroupId"]
    assert groups == [own, plan.named("ec2:SecurityGroup", "members").outputs["id"]]
    doors = {row.inputs["serviceName"].rpartition("eu-west-1.")[2] for row in plan.of_type("ec2:VpcEndpoint")}
    assert {"ec2", "eks", "eks-auth", "sts", "ecr.api", "ecr.dkr", "s3", "logs"} <= doors


def test_the_network_holds_to_policies_and_the_autoscaler_gets_its_figures(plan: Plan) -> None:
    add_ons = {row.inputs["addonName"]: row.inputs for row in plan.of_type("eks:Addon")}
    assert json.loads(add_ons["vpc-cni"]["configurationValues"]) == {"enableNetworkPolicy": "true"}
    assert {"metrics-server", "eks-pod-identity-agent", "kube-proxy", "coredns"} <= add_ons.keys()


def test_the_app_s_pods_and_no_others_run_as_the_service_s_identity(plan: Plan) -> None:
    pods = plan.only("eks:PodIdentityAssociation").inputs
    (account,) = [row for row in objects(plan) if row.inputs["kind"] == "ServiceAccount"]
    assert pods["roleArn"] == plan.named("iam:Role", "server").outputs["arn"]
    assert (pods["namespace"], pods["serviceAccount"]) == (
        account.inputs["metadata"]["namespace"],
        account.inputs["metadata"]["name"],
    )
    trust = plan.named("iam:Role", "server").document("assumeRolePolicy")[-1]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    pattern = trust["Condition"]["ArnLike"]["aws:RequestTag/eks-cluster-arn"]
    assert plan.only("eks:Cluster").outputs["arn"].startswith(pattern.removesuffix("*"))


def test_all_objects_are_on_the_cluster_and_sound(plan: Plan) -> None:
    (provider,) = [row for row in plan.resources if row.type == "pulumi:providers:kubernetes"]
    rows = objects(plan)
    assert len(rows) == 8
    for row in rows:
        assert row.provider is not None
        assert row.provider.startswith(provider.urn)
        check(row.inputs)


def test_the_way_to_the_cluster_holds_no_secret(plan: Plan) -> None:
    (provider,) = [row for row in plan.resources if row.type == "pulumi:providers:kubernetes"]
    (user,) = json.loads(provider.inputs["kubeconfig"])["users"]
    assert user["user"].keys() == {"exec"}
    assert user["user"]["exec"]["args"][:2] == ["eks", "get-token"]


def test_on_an_emulator_there_are_a_cluster_and_nodes_and_nothing_that_needs_a_real_one() -> None:
    plan = plan_of("local")
    assert plan.only("eks:Cluster")
    assert plan.only("eks:NodeGroup")
    assert not objects(plan)
    assert not [row for row in plan.resources if row.type.endswith((":Addon", ":PodIdentityAssociation"))]
