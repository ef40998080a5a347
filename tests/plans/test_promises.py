"""Promises that every cloud keeps alike, asked of the plans of all three."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.plans.plans import CLOUDS, Plan, environments_on, plan_of

pytestmark = pytest.mark.slow
EVERY = pytest.mark.parametrize(
    ("environment", "cloud"), [(environment, cloud) for cloud in CLOUDS for environment in environments_on(cloud)]
)
INTERNET = {"0.0.0.0/0", "::/0", "*", "Internet"}


def copies(plan: Plan, cloud: str) -> tuple[int, int]:
    """The fewest and the most copies of the service."""
    if cloud == "aws":
        scale = plan.named("appautoscaling:Target", "predict").inputs
        return scale["minCapacity"], scale["maxCapacity"]
    if cloud == "gcp":
        scale = plan.named("cloudrunv2:Service", "predict").inputs["template"]["scaling"]
        return scale["minInstanceCount"], scale["maxInstanceCount"]
    scale = plan.named("app:ContainerApp", "predict").inputs["template"]["scale"]
    return scale["minReplicas"], scale["maxReplicas"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_prod_is_never_under_three_copies_and_grows_to_ten(cloud: str) -> None:
    plan = plan_of("prod", cloud)
    pods = plan.only("autoscaling:HorizontalPodAutoscaler").inputs["spec"]
    assert copies(plan, cloud) == (pods["minReplicas"], pods["maxReplicas"]) == (3, 10)


@pytest.mark.parametrize("environment", ["dev", "staging"])
def test_an_environment_has_as_many_copies_on_each_cloud(environment: str) -> None:
    assert len({copies(plan_of(environment, cloud), cloud) for cloud in CLOUDS}) == 1


def on_kubernetes(cloud: str) -> dict[tuple[str, str], Any]:
    """The app's objects in prod by kind and name, without what a cloud has to say of itself: the image and where
    things are, how pods get credentials and from which address."""
    objects = {}
    for row in plan_of("prod", cloud).resources:
        if row.type.startswith("kubernetes:"):
            inputs = objects[row.type.rpartition(":")[2], row.name] = copy.deepcopy(row.inputs)
            inputs["metadata"].pop("annotations", None)
    template = objects["Deployment", "predict-Deployment"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    container["image"] = container["image"].rpartition("@")[2]
    container["env"] = sorted(one["name"] for one in container["env"] if not one["name"].startswith("AZURE_"))
    template["metadata"]["labels"].pop("azure.workload.identity/use", None)
    spec = objects["NetworkPolicy", "predict-NetworkPolicy"]["spec"]
    spec["egress"] = [rule for rule in spec["egress"] if not credentials(rule)]
    return objects


def credentials(rule: dict[str, Any]) -> bool:
    """Whether a rule is the way to the address that gives pods their credentials."""
    return any(str(to.get("ipBlock", {}).get("cidr", "")).startswith("169.254.") for to in rule.get("to", []))


@pytest.mark.parametrize("cloud", ["gcp", "azure"])
def test_the_app_on_kubernetes_is_the_same_as_on_aws(cloud: str) -> None:
    assert on_kubernetes(cloud) == on_kubernetes("aws")
    assert {kind for kind, _ in on_kubernetes(cloud)} >= {
        *("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy")
    }


def texts(value: Any) -> Iterator[str]:
    """All texts within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)


@EVERY
def test_whatever_runs_our_image_names_it_by_the_digest_of_the_release(environment: str, cloud: str) -> None:
    plan = plan_of(environment, cloud)
    image = re.compile(re.escape(plan.outputs[cloud]["registry"]) + r"([@:][\w:.-]+)")
    found = [end for row in plan.resources if row.custom for text in texts(row.inputs) for end in image.findall(text)]
    assert len(found) >= 3  # the service, the function, the steps
    assert all(re.fullmatch(r"@sha256:[0-9a-f]{64}", end) for end in found)
    assert len(set(found)) == 1


def ways_in(plan: Plan) -> Iterator[tuple[str, str]]:
    """Whence something is let in, with what lets it."""
    for row in plan.any_of_type("vpc:SecurityGroupIngressRule"):
        yield row.name, row.inputs.get("cidrIpv4") or row.inputs.get("cidrIpv6") or ""
    for row in plan.any_of_type("compute:Firewall"):
        if row.inputs.get("direction") == "INGRESS" and row.inputs.get("allows"):
            yield from ((row.name, source) for source in row.inputs.get("sourceRanges") or [])
    for row in plan.any_of_type("network:SecurityRule"):
        if (row.inputs["direction"], row.inputs["access"]) == ("Inbound", "Allow"):
            sources = row.inputs.get("sourceAddressPrefixes") or [row.inputs.get("sourceAddressPrefix", "")]
            yield from ((row.name, source) for source in sources)


@EVERY
def test_nothing_is_let_in_from_the_whole_internet(environment: str, cloud: str) -> None:
    plan = plan_of(environment, cloud)
    assert [name for name, source in ways_in(plan) if source in INTERNET] == []
    if environment == "dev":  # where SSH is let in from a known network
        assert "10.0.0.0/8" in {source for _, source in ways_in(plan)}


@EVERY
def test_nothing_has_an_address_on_the_internet(environment: str, cloud: str) -> None:
    plan = plan_of(environment, cloud)
    kinds = {row.type for row in plan.resources}
    assert not {kind for kind in kinds if re.search(r"(?i)publicip|:Eip$|natgateway|routernat|internetgateway", kind)}
    assert all(row.inputs["addressType"] == "INTERNAL" for row in plan.any_of_type("compute:Address"))
    outside = ("accessConfigs", "publicIPAddressConfiguration")
    assert not [row.urn for row in plan.resources for key in outside if f"'{key}'" in str(row.inputs)]


# What holds what nobody can make again, or keeps it readable.
HOLDS = {
    "aws": ("s3:Bucket", "kms:Key", "dynamodb:Table", "efs:FileSystem", "cloudtrail:Trail", "ecr:Repository"),
    "gcp": (
        *("storage:Bucket", "kms:KeyRing", "kms:CryptoKey", "firestore:Database", "filestore:Instance"),
        "artifactregistry:Repository",
    ),
    "azure": (
        *("storage:StorageAccount", "keyvault:Vault", "keyvault:Key", "storage:Table", "storage:FileShare"),
        "containerregistry:Registry",
    ),
}


@EVERY
def test_what_holds_data_is_destroyed_by_mistake_only_where_all_is_disposable(environment: str, cloud: str) -> None:
    for kind in HOLDS[cloud]:
        for row in plan_of(environment, cloud).of_type(kind):
            assert bool(row.options.get("protect")) is (environment != "local"), row.urn


@EVERY
def test_the_audit_is_locked_for_a_year(environment: str, cloud: str) -> None:
    plan = plan_of(environment, cloud)
    if cloud == "aws":
        lock = plan.named("s3:BucketObjectLockConfiguration", "audit").inputs["rule"]["defaultRetention"]
        assert lock == {"mode": "GOVERNANCE" if environment == "local" else "COMPLIANCE", "days": 365}
    elif cloud == "gcp":
        lock = plan.named("storage:Bucket", "audit").inputs["retentionPolicy"]
        assert lock == {"isLocked": True, "retentionPeriod": str(365 * 24 * 3600)}
    else:
        text = str(plan.named("resources:Deployment", "audit-lock").inputs)
        assert "'immutabilityPeriodSinceCreationInDays': 365" in text
        assert text.index("'state': 'Unlocked'") < text.index("'state': 'Locked'")
