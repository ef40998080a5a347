"""What holds for every resource of every plan, on each cloud."""

import importlib
import json
from typing import Any

import pytest
import yaml

from tests.plans.plans import CLOUDS, ROOT, Plan, Resource, environments_on, plan_of

pytestmark = pytest.mark.slow
EVERY = pytest.mark.parametrize(
    ("environment", "cloud"), [(environment, cloud) for cloud in CLOUDS for environment in environments_on(cloud)]
)
SDKS = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure": "pulumi_azure_native"}
PREFIXES = {"aws": "aws:", "gcp": "gcp:", "azure": "azure-native:"}
# What a cloud calls tags, in the SDK and in a plan: the first that a type has. GCP's tags are for firewalls.
TAGS = {
    "aws": {"tags": "tags"},
    "gcp": {"user_labels": "userLabels", "resource_labels": "resourceLabels", "labels": "labels"},
    "azure": {"tags": "tags"},
}
MACHINES = "aws:autoscaling/group:Group"  # its tags are a list, which test_trainer.py looks at


def settings(environment: str, cloud: str) -> dict[str, Any]:
    """A cloud's own section of an environment's settings."""
    found = yaml.safe_load((ROOT / f"Pulumi.{environment}.yaml").read_text())["config"][f"groundwork:{cloud}"]
    assert isinstance(found, dict)
    return found


def tagged_by(row: Resource, cloud: str) -> str | None:
    """The input that has a resource's tags, as the SDK's own class of its type says; None if it can have none."""
    if not row.type.startswith(PREFIXES[cloud]) or row.type == MACHINES:
        return None
    module, kind = row.type.split(":")[1].split("/")[0], row.type.rpartition(":")[2]
    of_module = importlib.import_module(f"{SDKS[cloud]}.{ {'lambda': 'lambda_'}.get(module, module) }")
    return next((wire for name, wire in TAGS[cloud].items() if hasattr(getattr(of_module, kind), name)), None)


@EVERY
def test_everything_that_can_be_tagged_says_whose_it_is(environment: str, cloud: str) -> None:
    whose = {
        "project": "groundwork",
        "environment": environment,
        "owner": "ml-platform",
        "cost-center": "research",
        "data-class": "public" if environment == "local" else "confidential",
    }
    tagged = [(row, wire) for row in plan_of(environment, cloud).resources if (wire := tagged_by(row, cloud))]
    assert len({row.type for row, _ in tagged}) >= 18
    for row, wire in tagged:
        tags = row.inputs.get(wire) or {}
        assert whose == {key: value for key, value in tags.items() if key != "Name"}, row.urn


def providers(plan: Plan, cloud: str) -> dict[str, Resource]:
    """The providers of a cloud by the name that they have in the program."""
    return {row.name: row for row in plan.resources if row.type == f"pulumi:providers:{PREFIXES[cloud][:-1]}"}


@EVERY
def test_everything_is_under_an_explicit_provider_of_its_kind(environment: str, cloud: str) -> None:
    plan = plan_of(environment, cloud)
    kinds = {row.urn: row.type.rpartition(":")[2] for row in plan.resources if row.type.startswith("pulumi:providers:")}
    made = [row for row in plan.resources if row.custom and not row.type.startswith("pulumi:")]
    assert [row.urn for row in made if kinds.get(row.provider or "") != row.type.split(":")[0]] == []


@EVERY
def test_providers_are_of_the_account_and_the_region_of_the_settings(environment: str, cloud: str) -> None:
    said, known = settings(environment, cloud), providers(plan_of(environment, cloud), cloud)
    place = {"aws": ("region",), "gcp": ("project", "region"), "azure": ("subscription", "tenant", "location")}[cloud]
    written = {"subscription": "subscriptionId", "tenant": "tenantId"}
    main = known.pop(cloud).inputs
    assert {name: main[written.get(name, name)] for name in place} == {name: said[name] for name in place}
    others = {"aws-replica": {"region": said["replicaRegion"]}} if "replicaRegion" in said and cloud == "aws" else {}
    others |= {"gcp-services": {"project": said["project"]}} if cloud == "gcp" else {}
    assert {name: {key: row.inputs[key] for key in others[name]} for name, row in known.items()} == others


def elsewhere(environment: str, cloud: str) -> set[tuple[str, str]]:
    """The kind and the name of what is not in the region of the settings alone."""
    plan, said = plan_of(environment, cloud), settings(environment, cloud)
    if cloud == "aws":
        second = {row.urn for name, row in providers(plan, cloud).items() if name != "aws"}
        return {(row.type.rpartition(":")[2], row.name) for row in plan.resources if row.provider in second}
    here = {said.get("region"), said.get("location"), "global", None}
    return {
        (row.type.rpartition(":")[2], row.name)
        for row in plan.resources
        if row.custom and not row.type.startswith("pulumi:")
        for key in ("location", "region", "locationId")
        if row.inputs.get(key) not in here
    }


@EVERY
def test_only_copies_lie_in_the_second_region(environment: str, cloud: str) -> None:
    found = elsewhere(environment, cloud)
    if environment != "prod" or cloud == "azure":  # Azure copies by itself, within an account
        assert found == set()
    elif cloud == "gcp":  # a bucket in two regions, which asks for a key in both
        buckets, keys = (
            {("Bucket", name) for name in COPIED},
            {("KeyRing", f"{key}-europe") for key in ("data", "logs")},
        )
        assert found == buckets | keys
    else:
        assert {name.removesuffix("-replica") for _, name in found} == COPIED
        assert all(name.endswith("-replica") for _, name in found)


COPIED = {"data", "models", "audit"}


def test_azure_copies_data_models_and_audit_of_prod_to_the_paired_region_and_nothing_else() -> None:
    for environment in environments_on("azure"):
        accounts = plan_of(environment, "azure").of_type("storage:StorageAccount")
        copied = {
            row.name for row in accounts if "GRS" in row.inputs["sku"]["name"] or "GZRS" in row.inputs["sku"]["name"]
        }
        assert copied == (COPIED if environment == "prod" else set())


@pytest.mark.parametrize("environment", environments_on("aws"))
def test_only_the_local_environment_talks_to_an_emulator(environment: str) -> None:
    for provider in providers(plan_of(environment), "aws").values():
        endpoints = json.loads(provider.inputs.get("endpoints", "[{}]"))[0]
        assert bool(endpoints) is (environment == "local")
        assert set(endpoints.values()) <= {"https://localhost:4566"}


@EVERY
def test_every_resource_belongs_to_the_environment_by_its_parents(environment: str, cloud: str) -> None:
    for row in plan_of(environment, cloud).resources:
        if row.custom:
            assert "groundwork:stacks:Environment$" in row.urn, row.urn


@EVERY
def test_nothing_in_a_plan_is_a_secret(environment: str, cloud: str) -> None:
    assert [row.urn for row in plan_of(environment, cloud).resources if secret(row.inputs)] == []


def secret(value: Any) -> bool:
    """Whether there is a secret anywhere in a value."""
    if isinstance(value, dict):
        return value == {"$secret": True} or any(map(secret, value.values()))
    return isinstance(value, list) and any(map(secret, value))


def test_a_secret_is_seen_however_deep_it_lies() -> None:
    assert secret({"a": [{"b": {"$secret": True}}]})
    assert not secret({"a": [{"b": "$secret"}]})
