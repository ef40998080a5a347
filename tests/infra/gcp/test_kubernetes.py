"""The cluster on GCP: who reaches it, what its nodes are, and that the app is on it."""

import json
from typing import Any

import pytest

from infra.gcp.kubernetes import node_count
from infra.manifests import VERSION
from tests.infra.gcp.planned import PROJECT, Planned, named, of_type, only, planned

PROGRAM = """
    parts.kubernetes("predict", KubernetesArgs(served(Scale(2, 10))))
"""


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    return planned(tmp_path_factory.mktemp("cluster"), PROGRAM)


def cluster(resources: list[Planned]) -> dict[str, Any]:
    return only(resources, "Cluster").inputs


def node(resources: list[Planned]) -> dict[str, Any]:
    found = only(resources, "NodePool").inputs["nodeConfig"]
    assert isinstance(found, dict)
    return found


def test_nodes_and_control_plane_have_no_public_address(resources: list[Planned]) -> None:
    private = cluster(resources)["privateClusterConfig"]
    assert (private["enablePrivateNodes"], private["enablePrivateEndpoint"]) == (True, True)
    known = cluster(resources)["masterAuthorizedNetworksConfig"]
    assert [row["cidrBlock"] for row in known["cidrBlocks"]] == ["10.0.0.0/8"]
    assert known["privateEndpointEnforcementEnabled"] is True


def test_it_is_over_the_zones_and_kept_up_to_date(resources: list[Planned]) -> None:
    zones = ["europe-west1-b", "europe-west1-c"]
    assert cluster(resources)["location"] == "europe-west1"
    assert cluster(resources)["nodeLocations"] == only(resources, "NodePool").inputs["nodeLocations"] == zones
    assert cluster(resources)["releaseChannel"] == {"channel": "REGULAR"}
    assert cluster(resources)["minMasterVersion"] == VERSION
    assert only(resources, "NodePool").inputs["management"] == {"autoRepair": True, "autoUpgrade": True}


def test_secrets_and_disks_are_under_our_key(resources: list[Planned]) -> None:
    secrets = cluster(resources)["databaseEncryption"]
    assert secrets["state"] == "ENCRYPTED"
    for key in (secrets["keyName"], node(resources)["bootDiskKmsKey"]):
        assert key.endswith("/cryptoKeys/groundwork-dev-logs")
    assert {"logs-container", "logs-compute"} <= set(named(resources, "CryptoKeyIAMMember"))


def test_it_holds_to_network_policies_and_gives_out_no_certificates(resources: list[Planned]) -> None:
    assert cluster(resources)["datapathProvider"] == "ADVANCED_DATAPATH"
    assert cluster(resources)["masterAuth"] == {"clientCertificateConfig": {"issueClientCertificate": False}}
    assert cluster(resources)["binaryAuthorization"]["evaluationMode"] == "PROJECT_SINGLETON_POLICY_ENFORCE"
    assert cluster(resources)["enableShieldedNodes"] is True


def test_a_node_is_shielded_and_keeps_its_credentials_from_pods(resources: list[Planned]) -> None:
    for one in (node(resources), cluster(resources)["nodeConfig"]):
        assert one["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
        assert one["shieldedInstanceConfig"] == {"enableSecureBoot": True, "enableIntegrityMonitoring": True}
        assert one["metadata"]["disable-legacy-endpoints"] == "true"
        assert one["serviceAccount"].startswith("groundwork-dev-predict-nodes@")
        assert one["kubeletConfig"]["insecureKubeletReadonlyPortEnabled"] == "FALSE"


def test_a_node_may_log_measure_and_fetch_the_image_and_nothing_else(resources: list[Planned]) -> None:
    member = "groundwork-dev-predict-nodes@"
    grants = {(row.kind, row.inputs["role"]) for row in resources if member in str(row.inputs.get("member"))}
    assert grants == {
        ("IAMMember", "roles/container.defaultNodeServiceAccount"),
        ("RepositoryIamMember", "roles/artifactregistry.reader"),
    }


def test_the_app_s_pods_and_no_others_run_as_the_service_s_identity(resources: list[Planned]) -> None:
    (binding,) = (row for row in of_type(resources, "IAMMember") if row.type.startswith("gcp:serviceaccount/"))
    assert binding.inputs["member"] == f"serviceAccount:{PROJECT}.svc.id.goog[predict/predict]"
    assert binding.inputs["role"] == "roles/iam.workloadIdentityUser"
    assert "groundwork-dev-server@" in binding.inputs["serviceAccountId"]
    assert cluster(resources)["workloadIdentityConfig"] == {"workloadPool": f"{PROJECT}.svc.id.goog"}


def test_nodes_speak_within_the_network_and_with_google_alone(resources: list[Planned]) -> None:
    rule = named(resources, "Firewall")["predict-nodes-within"].inputs
    assert rule["destinationRanges"] == ["10.10.0.0/16"]
    assert set(node(resources)["tags"]) == {"groundwork-dev-members", *rule["targetTags"]}


@pytest.mark.parametrize(("copies", "zones", "nodes"), [(1, 2, 2), (6, 2, 2), (10, 2, 4), (10, 3, 4)])
def test_there_are_nodes_for_all_copies_in_each_zone(copies: int, zones: int, nodes: int) -> None:
    assert node_count(copies, zones) == nodes


def test_as_many_nodes_are_kept_as_the_most_copies_need(resources: list[Planned]) -> None:
    scaling = only(resources, "NodePool").inputs["autoscaling"]
    assert (scaling["totalMinNodeCount"], scaling["totalMaxNodeCount"]) == (4, 5)


def test_it_is_deleted_by_nobody_s_mistake(resources: list[Planned]) -> None:
    assert cluster(resources)["deletionProtection"] is True


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is put on the cluster, by kind, and how it is reached."""
    from localcloud import plan  # noqa: PLC0415 - of use here alone
    from tests.infra.gcp import planned as program  # noqa: PLC0415 - as above
    from tests.localcloud.planning import planned as evaluation  # noqa: PLC0415 - as above

    source = program.PREAMBLE.format(
        environment="dev",
        disposable=False,
        project=PROJECT,
        number=program.NUMBER,
        region=program.REGION,
        replica=None,
    )
    document = plan.graph(evaluation(tmp_path_factory.mktemp("objects"), source + PROGRAM.strip()))
    return {row["type"].rpartition(":")[2]: row["inputs"] for row in document["resources"]}


def test_the_app_is_on_it_with_the_service_s_numbers_and_identity(objects: dict[str, Any]) -> None:
    assert {"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"} <= set(objects)
    scaler = objects["HorizontalPodAutoscaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 10)
    annotations = objects["ServiceAccount"]["metadata"]["annotations"]
    assert annotations["iam.gke.io/gcp-service-account"].startswith("groundwork-dev-server@")


def test_it_is_reached_without_a_secret(objects: dict[str, Any]) -> None:
    config = json.loads(objects["kubernetes"]["kubeconfig"])
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"
    assert config["clusters"][0]["cluster"]["server"].startswith("https://")
