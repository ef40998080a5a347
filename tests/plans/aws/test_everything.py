"""What holds for every resource of every plan of AWS."""

import json
from typing import Any

import pulumi_aws
import pytest

from tests.plans.plans import Plan, Resource, plan_of

pytestmark = pytest.mark.slow


MACHINES = "aws:autoscaling/group:Group"  # its tags are a list, which test_trainer.py looks at


def taggable(row: Resource) -> bool:
    """Whether a resource can have tags, as the SDK's own class of its type says."""
    if not row.type.startswith("aws:"):
        return False
    module, kind = row.type.removeprefix("aws:").split("/")[0], row.type.rpartition(":")[2]
    of_module = getattr(pulumi_aws, {"lambda": "lambda_"}.get(module, module))
    return hasattr(getattr(of_module, kind), "tags") and row.type != MACHINES


def test_everything_that_can_be_tagged_says_whose_it_is(plan: Plan) -> None:
    whose = {
        "project": "groundwork",
        "environment": plan.environment,
        "owner": "ml-platform",
        "cost-center": "research",
        "data-class": "public" if plan.environment == "local" else "confidential",
    }
    tagged = [row for row in plan.resources if taggable(row)]
    assert len({row.type for row in tagged}) >= 20
    for row in tagged:
        tags = row.inputs.get("tags", {})
        assert whose == {key: value for key, value in tags.items() if key != "Name"}, row.urn


def providers(plan: Plan) -> dict[str, Resource]:
    """The providers by the name that they have in the program."""
    return {row.name: row for row in plan.resources if row.type == "pulumi:providers:aws"}


def test_everything_is_under_an_explicit_provider_of_the_environment(plan: Plan) -> None:
    known = providers(plan)
    second = {"aws-replica": "eu-central-1"} if plan.environment == "prod" else {}
    assert {name: provider.inputs["region"] for name, provider in known.items()} == {"aws": "eu-west-1", **second}
    urns = {provider.urn for provider in known.values()}
    assert [row.urn for row in plan.resources if row.type.startswith("aws:") and row.provider not in urns] == []


def test_only_copies_lie_in_the_second_region() -> None:
    plan = plan_of("prod")
    there = providers(plan)["aws-replica"].urn
    rows = [row for row in plan.resources if row.provider == there]
    assert {row.name.removesuffix("-replica") for row in rows} == {"data", "models", "audit"}
    assert all(row.name.endswith("-replica") for row in rows)


def test_only_the_local_environment_talks_to_an_emulator(plan: Plan) -> None:
    for provider in providers(plan).values():
        endpoints = json.loads(provider.inputs.get("endpoints", "[{}]"))[0]
        assert bool(endpoints) is (plan.environment == "local")
        assert set(endpoints.values()) <= {"https://localhost:4566"}


def test_every_resource_belongs_to_the_environment_by_its_parents(plan: Plan) -> None:
    for row in plan.resources:
        if row.custom:
            assert "groundwork:stacks:Environment$" in row.urn, row.urn


def test_nothing_in_a_plan_is_a_secret(plan: Plan) -> None:
    def secrets(value: Any) -> bool:
        if isinstance(value, dict):
            return value == {"$secret": True} or any(map(secrets, value.values()))
        return isinstance(value, list) and any(map(secrets, value))

    assert [row.urn for row in plan.resources if secrets(row.inputs)] == []
