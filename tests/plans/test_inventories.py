"""What each environment consists of: how many of each type, and the few values that matter."""

from collections import Counter
from typing import Any

import pytest
import yaml

from tests.plans.plans import ENVIRONMENTS, ROOT, evaluated, evaluated_once, plan_of

pytestmark = pytest.mark.slow


def inventory(environment: str) -> dict[str, Any]:
    """What an environment's file says, by cloud."""
    found = yaml.safe_load((ROOT / "tests/plans" / f"{environment}.yaml").read_text())
    assert isinstance(found, dict)
    return found


EVERY = [(environment, cloud) for environment in ENVIRONMENTS for cloud in inventory(environment)]


@pytest.mark.parametrize(("environment", "cloud"), EVERY)
def test_an_environment_has_just_what_its_inventory_counts(environment: str, cloud: str) -> None:
    counts = Counter(row.type for row in plan_of(environment, cloud).resources)
    counts.pop("pulumi:pulumi:Stack", None)
    assert dict(counts) == inventory(environment)[cloud]["counts"]


@pytest.mark.parametrize(("environment", "cloud"), EVERY)
def test_the_values_that_matter_are_what_the_inventory_says(environment: str, cloud: str) -> None:
    plan = plan_of(environment, cloud)
    for token, names in inventory(environment)[cloud]["values"].items():
        for name, values in names.items():
            inputs = plan.named(token, name).inputs
            assert {key: inputs.get(key) for key in values} == values, f"{token} {name}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_on_aws_hands_out_what_others_build_on(environment: str) -> None:
    handed_out = dict(plan_of(environment).outputs["aws"])
    api = handed_out.pop("api")
    assert api["table"] == f"groundwork-{environment}-api"
    assert api["url"].startswith("https://")
    assert handed_out.pop("dashboard").endswith(f"#dashboards/dashboard/groundwork-{environment}-watch")
    assert handed_out.pop("kubernetes", None) in (None, f"groundwork-{environment}-predict")
    assert handed_out == {
        "stores": {
            purpose: f"example-groundwork-{environment}-{purpose}" for purpose in ("data", "models", "logs", "audit")
        },
        "identities": {
            name: f"arn:aws:iam::123456789012:role/groundwork-{environment}-{name}"
            for name in ("server", "trainer", "workflow", "function")
        },
        "registry": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/groundwork-{environment}-app",
        "service": {
            "cluster": f"groundwork-{environment}-predict",
            "name": f"groundwork-{environment}-predict",
            "url": f"https://predict.{environment}.example.com",
        },
        "trainer": f"groundwork-{environment}-trainer",
        "workflow": f"groundwork-{environment}-retrain",
    }


def test_the_same_program_and_settings_give_the_same_plan() -> None:
    assert evaluated("dev", "aws").stdout == evaluated_once("dev", "aws").stdout != ""


# What a setting switches on, by a word in its URN: a cluster, copies in a second region, a way in for SSH.
SWITCHED = {
    "groundwork:aws:Kubernetes$": ("local", "prod"),
    "groundwork:aws:Replica$": ("prod",),
    "::aws-replica": ("prod",),
    "::trainer-ssh-from-": ("dev",),
}


def test_dev_staging_and_prod_differ_in_settings_alone() -> None:
    dev, staging, prod = (
        {
            (row.type, row.name, frozenset(row.inputs))
            for row in plan_of(environment).resources
            if row.custom and not any(word in row.urn for word in SWITCHED)
        }
        for environment in ("dev", "staging", "prod")
    )
    assert dev == staging == prod


@pytest.mark.parametrize("word", SWITCHED)
def test_a_setting_switches_on_just_what_it_is_about(word: str) -> None:
    found = [
        environment
        for environment in ENVIRONMENTS
        if any(word in row.urn for row in plan_of(environment).resources if row.custom)
    ]
    assert tuple(found) == SWITCHED[word]


def test_no_two_environments_share_a_name() -> None:
    named = {"aws:s3/bucket:Bucket": "bucket", "aws:ecs/taskDefinition:TaskDefinition": "family"}
    inherited = (  # named within what they belong to
        "aws:apigatewayv2/stage:Stage",
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:route53/record:Record",
    )
    names = Counter(
        (row.type, row.inputs[key])
        for environment in ENVIRONMENTS
        for row in plan_of(environment).resources
        if row.type not in inherited and (key := named.get(row.type, "name")) in row.inputs
    )
    assert len(names) >= 60
    assert [name for name, times in names.items() if times > 1] == []
