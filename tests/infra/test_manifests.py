"""The app's objects on Kubernetes: sound by Kubernetes's own schemas, and with the numbers of the service."""

from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest

from infra import manifests
from infra.shape import Callers, Container, Scale, ServiceArgs

TAGS = {"project": "groundwork", "environment": "prod", "owner": "ml-platform"}
IMAGE = "registry.example.com/app@sha256:" + "a" * 64
PLATFORM = manifests.Platform(
    {"example.com/identity": "server"}, {"example.com/use": "true"}, [("169.254.170.23/32", 80)]
)


def service(
    command: tuple[str, ...] = (), networks: tuple[str, ...] = ("10.0.0.0/8",), scratch: str | None = "/spool"
) -> ServiceArgs:
    """The service as settings ask for it. Image, identity and network are the cloud's, and not looked at."""
    nothing: Any = None
    container = Container(nothing, nothing, nothing, nothing, command, {"RELEASE": "one", "PORT": "1"}, scratch)
    callers = Callers(networks, "https://login.example.com", "predict", 600)
    return ServiceArgs(container, callers, "predict.example.com", 8080, Scale(3, 10))


def made(args: ServiceArgs | None = None, name: str = "predict") -> list[dict[str, Any]]:
    """All objects."""
    return manifests.manifests(name, args or service(), IMAGE, TAGS, PLATFORM)


def one(kind: str, name: str = "predict", objects: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The one object of a kind with this name."""
    (found,) = [row for row in objects or made() if row["kind"] == kind and row["metadata"]["name"] == name]
    return found


def container() -> dict[str, Any]:
    """The one container of the pods."""
    (found,) = one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def check(manifest: dict[str, Any]) -> None:
    """Raises unless the object is one that this version of Kubernetes knows, with no field that it does not."""
    kubernetes_validate.validate(manifest, manifests.VERSION, strict=True)


@pytest.mark.parametrize("manifest", made(), ids=lambda row: f"{row['kind']}-{row['metadata']['name']}")
def test_each_object_is_sound_by_the_schema_of_its_kind(manifest: dict[str, Any]) -> None:
    check(manifest)


def test_a_copy_writes_to_its_scratch_directory_alone() -> None:
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert container()["volumeMounts"] == [{"name": "scratch", "mountPath": "/spool"}]
    pod = one("Deployment")["spec"]["template"]["spec"]
    assert pod["volumes"] == [{"name": "scratch", "emptyDir": {"sizeLimit": "256Mi"}}]
    bare = one("Deployment", objects=made(service(scratch=None)))["spec"]["template"]["spec"]
    assert not {"volumes"} & bare.keys() | {"volumeMounts"} & bare["containers"][0].keys()


def _without_selector(row: dict[str, Any]) -> None:
    del row["spec"]["selector"]


def _with_an_unknown_field(row: dict[str, Any]) -> None:
    row["spec"]["template"]["spec"]["readOnlyRootFilesystem"] = True


def _with_a_number_as_text(row: dict[str, Any]) -> None:
    row["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = "8080"


def _with_a_variable_that_is_a_number(row: dict[str, Any]) -> None:
    row["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "WORKERS", "value": 4})


@pytest.mark.parametrize(
    "spoil",
    [_without_selector, _with_an_unknown_field, _with_a_number_as_text, _with_a_variable_that_is_a_number],
)
def test_an_unsound_object_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    deployment = one("Deployment")
    spoil(deployment)
    with pytest.raises(kubernetes_validate.ValidationError):
        check(deployment)


def test_the_namespace_comes_first_and_holds_all_the_rest() -> None:
    namespace, *rest = made()
    assert namespace["kind"] == "Namespace"
    assert {row["metadata"]["namespace"] for row in rest} == {namespace["metadata"]["name"]}


def test_every_object_and_every_pod_is_tagged() -> None:
    for row in [*made(), one("Deployment")["spec"]["template"]]:
        assert TAGS.items() <= row["metadata"]["labels"].items()


def test_the_namespace_takes_only_pods_under_the_strictest_rules() -> None:
    labels = one("Namespace")["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_the_pods_keep_to_the_strictest_rules() -> None:
    pod = one("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(volume.keys() == {"name", "emptyDir"} for volume in pod["volumes"])  # nothing of the node


def test_the_image_is_the_one_that_was_given_and_its_arguments_its_own_or_the_given_ones() -> None:
    assert container()["image"] == IMAGE
    assert "args" not in container()
    (given,) = one("Deployment", objects=made(service(("serve",))))["spec"]["template"]["spec"]["containers"]
    assert given["args"] == ["serve"]


def test_the_variables_are_the_container_s_with_the_service_s_port() -> None:
    assert container()["env"] == [{"name": "PORT", "value": "8080"}, {"name": "RELEASE", "value": "one"}]


def test_a_copy_gets_requests_once_it_is_ready_and_is_restarted_once_it_is_dead() -> None:
    assert container()["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container()["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container()["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]


def test_the_copies_run_in_several_zones_and_none_stops_before_a_new_one_is_ready() -> None:
    spec = one("Deployment")["spec"]
    zones = spec["template"]["spec"]["topologySpreadConstraints"][0]
    assert (zones["topologyKey"], zones["maxSkew"]) == ("topology.kubernetes.io/zone", 1)
    assert zones["whenUnsatisfiable"] == "DoNotSchedule"
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_how_many_copies_run_is_left_to_the_autoscaler() -> None:
    assert "replicas" not in one("Deployment")["spec"]
    assert one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "predict",
    }


def test_the_autoscaler_has_the_service_s_numbers() -> None:
    spec = one("HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 10)
    assert spec["metrics"][0]["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 75},
    }


@pytest.mark.parametrize(("percent", "change"), [(24, -1), (26, 0), (74, 0), (76, 1)])
def test_the_autoscaler_moves_by_one_over_75_and_under_25_percent_alone(percent: int, change: int) -> None:
    """The formula of Kubernetes: the ratio of CPU to its target moves the copies if it leaves the tolerance."""
    spec = one("HorizontalPodAutoscaler")["spec"]
    ratio = percent / spec["metrics"][0]["resource"]["target"]["averageUtilization"]
    rules = spec["behavior"]
    down, up = (_quantity(rules[key]["tolerance"]) for key in ("scaleDown", "scaleUp"))
    moved = 0 if 1 - down <= ratio <= 1 + up else (1 if ratio > 1 else -1)
    assert moved == change
    for direction in rules.values():
        assert direction["policies"] == [
            {"type": "Pods", "value": 1, "periodSeconds": direction["stabilizationWindowSeconds"]}
        ]


def _quantity(text: str) -> float:
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


def test_a_node_is_emptied_one_copy_at_a_time() -> None:
    assert one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_everything_selects_the_pods_of_the_deployment() -> None:
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    for kind, path in (("Deployment", "matchLabels"), ("PodDisruptionBudget", "matchLabels"), ("Service", "")):
        selector = one(kind)["spec"]["selector"]
        assert (selector[path] if path else selector).items() <= labels
    assert one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels


def test_nothing_comes_in_or_goes_out_unless_it_is_allowed() -> None:
    assert one("NetworkPolicy", "closed")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_callers_reach_the_port_from_their_networks_alone() -> None:
    rows = made(service(networks=("10.1.0.0/16", "10.2.0.0/16")))
    assert one("NetworkPolicy", objects=rows)["spec"]["ingress"] == [
        {
            "from": [{"ipBlock": {"cidr": "10.1.0.0/16"}}, {"ipBlock": {"cidr": "10.2.0.0/16"}}],
            "ports": [{"protocol": "TCP", "port": 8080}],
        }
    ]


def test_pods_reach_names_https_and_their_credentials_alone() -> None:
    ports = [
        (port["protocol"], port["port"], "to" in rule)
        for rule in one("NetworkPolicy")["spec"]["egress"]
        for port in rule["ports"]
    ]
    assert ports == [("UDP", 53, True), ("TCP", 53, True), ("TCP", 443, False), ("TCP", 80, True)]


def test_the_platform_says_how_pods_get_their_identity() -> None:
    account, template = one("ServiceAccount"), one("Deployment")["spec"]["template"]
    assert account["metadata"]["annotations"] == {"example.com/identity": "server"}
    assert template["metadata"]["labels"]["example.com/use"] == "true"
    assert template["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert template["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", ["Predict_Height", "p" * 100, "éa", "predict.v2"])
def test_long_and_odd_names_become_labels_of_the_domain_name_system(name: str) -> None:
    rows = made(name=name)
    for row in rows:
        check(row)
        assert len(row["metadata"]["name"]) <= 63
        assert row["metadata"]["name"].strip("abcdefghijklmnopqrstuvwxyz0123456789-") == ""
