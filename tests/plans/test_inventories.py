"""What each environment consists of: how many of each type, and the few values that matter."""

from collections import Counter
from typing import Any

import pytest
import yaml

from tests.plans.plans import ENVIRONMENTS, ROOT, evaluated, evaluated_once, plan_of

pytestmark = pytest.mark.slow


def inventory(environment: str) -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "tests/plans" / f"{environment}.yaml").read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_has_just_what_its_inventory_counts(environment: str) -> None:
    counts = Counter(row.type for row in plan_of(environment).resources)
    counts.pop("pulumi:pulumi:Stack", None)
    assert dict(counts) == inventory(environment)["counts"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_values_that_matter_are_what_the_inventory_says(environment: str) -> None:
    plan = plan_of(environment)
    for token, names in inventory(environment)["values"].items():
        for name, values in names.items():
            inputs = plan.named(token, name).inputs
            assert {key: inputs.get(key) for key in values} == values, f"{token} {name}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_hands_out_what_others_build_on(environment: str) -> None:
    assert plan_of(environment).outputs["aws"] == {
        "stores": {
            purpose: f"example-groundwork-{environment}-{purpose}" for purpose in ("data", "models", "logs", "audit")
        },
        "identities": {
            name: f"arn:aws:iam::123456789012:role/groundwork-{environment}-{name}" for name in ("server", "trainer")
        },
        "registry": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/groundwork-{environment}-app",
        "service": {
            "cluster": f"groundwork-{environment}-predict",
            "name": f"groundwork-{environment}-predict",
            "url": f"https://predict.{environment}.example.com",
        },
    }


def test_the_same_program_and_settings_give_the_same_plan() -> None:
    assert evaluated("dev").stdout == evaluated_once("dev").stdout != ""


def test_dev_staging_and_prod_differ_in_settings_alone() -> None:
    dev, staging, prod = (
        {(row.type, row.name, frozenset(row.inputs)) for row in plan_of(environment).resources if row.custom}
        for environment in ("dev", "staging", "prod")
    )
    assert dev == staging == prod


def test_no_two_environments_share_a_name() -> None:
    named = {"aws:s3/bucket:Bucket": "bucket", "aws:ecs/taskDefinition:TaskDefinition": "family"}
    inherited = ("aws:iam/rolePolicy:RolePolicy", "aws:route53/record:Record")  # named within what they belong to
    names = Counter(
        (row.type, row.inputs[key])
        for environment in ENVIRONMENTS
        for row in plan_of(environment).resources
        if row.type not in inherited and (key := named.get(row.type, "name")) in row.inputs
    )
    assert len(names) >= 60
    assert [name for name, times in names.items() if times > 1] == []
