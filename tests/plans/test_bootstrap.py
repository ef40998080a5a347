"""The stacks of whole accounts: whom the identities of continuous delivery trust, and what is never deleted."""

import json
import re

import pytest
import yaml

from tests.plans.plans import CLOUDS, ROOT, Plan, plan_of

pytestmark = pytest.mark.slow
REPOSITORY = "repo:example@1234567/groundwork@7654321"  # owner and name with GitHub's numbers, as in the settings
MAP = yaml.safe_load((ROOT / ".github/branches.yaml").read_text())
BRANCHES = {row["environment"]: branch for branch, row in MAP["branches"].items()}
ENVIRONMENTS = tuple(BRANCHES)


def trusted(plan: Plan, cloud: str) -> dict[str, set[str]]:
    """By identity, the subjects of tokens that its trust names."""
    documents: dict[str, list[str]] = {}
    if cloud == "aws":
        documents = {row.name: [row.inputs["assumeRolePolicy"]] for row in plan.of_type("iam:Role")}
    elif cloud == "gcp":
        doors = {row.name: row.inputs["attributeCondition"] for row in plan.of_type("iam:WorkloadIdentityPoolProvider")}
        documents = {name if name == "plan" else f"apply-{name}": [text] for name, text in doors.items()}
    else:
        for row in plan.of_type("managedidentity:FederatedIdentityCredential"):
            documents.setdefault(row.name.rpartition("-")[0], []).append(json.dumps(row.inputs["subject"]))
    return {
        name: {one for text in texts for one in re.findall(r'repo:[^"\\]+', text)} for name, texts in documents.items()
    }


@pytest.mark.parametrize("cloud", CLOUDS)
def test_plans_are_of_pull_requests_and_the_default_branch_and_each_environment_has_an_identity_of_its_own(
    cloud: str,
) -> None:
    assert trusted(plan_of(f"bootstrap-{cloud}", cloud), cloud) == {
        "plan": {f"{REPOSITORY}:pull_request", f"{REPOSITORY}:ref:refs/heads/{MAP['default']}"},
        **{f"apply-{environment}": {f"{REPOSITORY}:environment:{environment}"} for environment in ENVIRONMENTS},
    }


def test_each_environment_is_deployed_from_the_branch_that_the_map_names_and_from_no_other() -> None:
    assert BRANCHES == {"dev": "dev", "staging": "staging", "prod": "main"}
    for cloud, kind, place in (
        ("aws", "iam:Role", "assumeRolePolicy"),
        ("gcp", "iam:WorkloadIdentityPoolProvider", "attributeCondition"),
    ):
        plan = plan_of(f"bootstrap-{cloud}", cloud)
        for environment, branch in BRANCHES.items():
            row = plan.named(kind, f"apply-{environment}" if cloud == "aws" else environment)
            assert re.findall(r"refs/[a-z]+/[^\"\\]+", row.inputs[place]) == [f"refs/heads/{branch}"], row.urn


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_state_and_its_key_are_protected(cloud: str) -> None:
    plan = plan_of(f"bootstrap-{cloud}", cloud)
    kinds = {
        "aws": ("s3:Bucket", "kms:Key"),
        "gcp": ("storage:Bucket", "kms:KeyRing", "kms:CryptoKey"),
        "azure": ("storage:StorageAccount", "storage:BlobContainer", "keyvault:Vault", "keyvault:Key"),
    }
    for kind in kinds[cloud]:
        assert plan.named(kind, "state").options.get("protect") is True, kind


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_state_is_not_held_by_a_lock_as_each_deployment_overwrites_it(cloud: str) -> None:
    plan = plan_of(f"bootstrap-{cloud}", cloud)
    assert not plan.any_of_type("s3:BucketObjectLockConfiguration")
    assert not any(row.inputs.get("retentionPolicy") for row in plan.any_of_type("storage:Bucket"))
    assert not any(
        row.inputs.get("immutableStorageWithVersioning") for row in plan.any_of_type("storage:StorageAccount")
    )


def test_on_gcp_the_account_has_a_project_that_no_environment_is_in() -> None:
    plan = plan_of("bootstrap-gcp", "gcp")
    own = plan.named("pulumi:providers:gcp", "gcp").inputs["project"]
    granted = {row.inputs["project"] for row in plan.of_type("projects:IAMMember")}
    assert len(granted) == len(ENVIRONMENTS)
    assert own not in granted
