"""The cluster: who reaches it, what it keeps under our key, its nodes, and the app on it."""

import base64
import json
from typing import Any

import pytest

from infra.azure.kubernetes import kubeconfig, node_count
from tests.infra.azure.planned import Planned, planned


@pytest.fixture(scope="module")
def plan() -> Planned:
    return planned('pulumi.export("name", parts.kubernetes("predict", KubernetesArgs(served)).name)', ground=True)


@pytest.fixture(scope="module")
def cluster(plan: Planned) -> dict[str, Any]:
    return plan.only("containerservice:ManagedCluster").inputs


def test_only_the_network_reaches_the_cluster_and_its_nodes_reach_no_internet(
    plan: Planned, cluster: dict[str, Any]
) -> None:
    access = cluster["apiServerAccessProfile"]
    assert access["enablePrivateCluster"] is True
    assert access["enablePrivateClusterPublicFQDN"] is False
    assert access["disableRunCommand"] is True
    assert access["subnetId"] == plan.named("network:Subnet", "masters").outputs["id"]
    assert cluster["networkProfile"]["outboundType"] == "none"
    assert cluster["bootstrapProfile"] == {"artifactSource": "Cache"}


def test_callers_of_the_cluster_have_azures_roles_and_no_account_of_its_own(cluster: dict[str, Any]) -> None:
    assert cluster["disableLocalAccounts"] is True
    assert cluster["enableRBAC"] is True
    assert cluster["aadProfile"]["enableAzureRBAC"] is True


def test_secrets_and_disks_are_under_our_key(plan: Planned, cluster: dict[str, Any]) -> None:
    key = plan.named("keyvault:Key", "logs").outputs
    kms = cluster["securityProfile"]["azureKeyVaultKms"]
    assert (kms["enabled"], kms["keyId"]) == (True, key["keyUriWithVersion"])
    assert kms["keyVaultNetworkAccess"] == "Private"
    disks = plan.only("compute:DiskEncryptionSet")
    assert cluster["diskEncryptionSetID"] == disks.outputs["id"]
    assert disks.inputs["activeKey"]["keyUrl"] == key["keyUriWithVersion"]


def test_nodes_grow_over_all_zones_encrypted_and_without_public_addresses(
    plan: Planned, cluster: dict[str, Any]
) -> None:
    (pool,) = cluster["agentPoolProfiles"]
    assert pool["availabilityZones"] == ["1", "2"]
    assert (pool["enableAutoScaling"], pool["minCount"], pool["maxCount"]) == (True, 2, 3)
    assert pool["enableEncryptionAtHost"] is True
    assert pool["enableNodePublicIP"] is False
    assert pool["vnetSubnetID"] == plan.named("network:Subnet", "nodes").outputs["id"]


def test_policies_of_the_network_hold_between_pods(cluster: dict[str, Any]) -> None:
    network = cluster["networkProfile"]
    assert (network["networkPlugin"], network["networkPluginMode"]) == ("azure", "overlay")
    assert (network["networkPolicy"], network["networkDataplane"]) == ("cilium", "cilium")


def test_only_the_apps_pods_run_as_the_services_identity(plan: Planned, cluster: dict[str, Any]) -> None:
    assert cluster["oidcIssuerProfile"] == {"enabled": True}
    assert cluster["securityProfile"]["workloadIdentity"] == {"enabled": True}
    trusted = plan.only("managedidentity:FederatedIdentityCredential").inputs
    server = plan.named("managedidentity:UserAssignedIdentity", "server")
    assert trusted["resourceName"] == server.inputs["resourceName"]
    assert trusted["subject"] == "system:serviceaccount:predict:predict"
    assert trusted["audiences"] == ["api://AzureADTokenExchange"]
    issuer = plan.only("containerservice:ManagedCluster").outputs["oidcIssuerProfile"]["issuerURL"]
    assert trusted["issuer"] == issuer
    (account,) = [one for one in plan.objects if one["kind"] == "ServiceAccount"]
    annotations = account["metadata"]["annotations"]
    assert annotations == {"azure.workload.identity/client-id": server.outputs["clientId"]}
    (deployment,) = [one for one in plan.objects if one["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"


def test_the_app_has_the_services_numbers_on_the_cluster(plan: Planned) -> None:
    kinds = {one["kind"] for one in plan.objects}
    assert kinds >= {"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"}
    (scaler,) = [one for one in plan.objects if one["kind"] == "HorizontalPodAutoscaler"]
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 4)


def test_what_aks_does_in_our_name_is_granted_on_what_it_needs_alone(plan: Planned) -> None:
    scopes = {
        "predict-cluster-assign-predict-nodes": ("managedidentity:UserAssignedIdentity", "predict-nodes"),
        "predict-cluster-encrypt-predict": ("keyvault:Key", "logs"),
        "predict-cluster-join-predict-masters": ("network:Subnet", "masters"),
        "predict-cluster-join-predict-nodes": ("network:Subnet", "nodes"),
        "predict-cluster-reach-predict-vault": ("keyvault:Vault", "logs"),
    }
    for name, what in scopes.items():
        assert plan.granted(name).inputs["scope"] == plan.named(*what).outputs["id"]
    principal = plan.named("managedidentity:UserAssignedIdentity", "predict-cluster").outputs["principalId"]
    given = plan.of_type("authorization:RoleAssignment")
    assert sorted(row.name for row in given if row.inputs["principalId"] == principal) == sorted(scopes)


@pytest.mark.parametrize(("copies", "zones", "nodes"), [(4, 2, 2), (10, 3, 4), (1, 3, 3), (12, 2, 4)])
def test_nodes_hold_every_copy_with_one_in_each_zone(copies: int, zones: int, nodes: int) -> None:
    assert node_count(copies, zones) == nodes


def test_a_client_needs_no_secret() -> None:
    given = {"clusters": [{"name": "x", "cluster": {"server": "https://x", "certificate-authority-data": "Q0E="}}]}
    secret = {**given, "users": [{"name": "x", "user": {"token": "verysecret"}}]}
    config = kubeconfig(base64.b64encode(json.dumps(secret).encode()).decode())
    assert "verysecret" not in config
    found = json.loads(config)
    assert found["clusters"][0]["cluster"] == given["clusters"][0]["cluster"]
    assert found["users"][0]["user"]["exec"]["args"][:3] == ["get-token", "--login", "azurecli"]
