"""Who deploys on GCP: which tokens are taken for whom, and what each identity may do where."""

import re
from pathlib import Path
from typing import Any

import pytest

from infra.context import Context
from infra.gcp import trust
from infra.gcp.rights import APPLY_ROLES, PLAN_PERMISSIONS, PLAN_ROLES, project_wide
from infra.github import Repository
from infra.shape import Unsupported
from tests.infra.gcp.planned import PROJECT, Planned, named, of_type, only, planned
from tests.infra.oidc import LONGEST_SUBJECT, cel

REPOSITORY = Repository("acme", 1234567, "groundwork", 7654321, True)
PROJECTS = {"dev": "acme-ml-play", "staging": "acme-ml-staging", "prod": "acme-ml-prod"}
PROGRAM = """
    from dataclasses import replace
    from infra.github import Repository
    parts = replace(parts, args=replace(parts.args, projects={projects}))
    key = parts.key("state")
    state = parts.store("state", StoreArgs(key))
    parts.deployer(DeployerArgs(
        Repository("acme", 1234567, "groundwork", 7654321, True),
        {{"dev": "dev", "staging": "staging", "prod": "main"}},
        state,
        key,
    ))
"""


def deployer(path: Path, projects: dict[str, str] = PROJECTS) -> list[Planned]:
    return planned(path, PROGRAM.format(projects=projects), environment="bootstrap-gcp")


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    return deployer(tmp_path_factory.mktemp("bootstrap"))


def granted(resources: list[Planned], name: str) -> list[Planned]:
    """What the identity is granted."""
    email = named(resources, "Account")[name].outputs["email"]
    return [row for row in resources if str(row.inputs.get("member")) == f"serviceAccount:{email}"]


def roles(resources: list[Planned], name: str, kind: str = "IAMMember") -> set[str]:
    return {row.inputs["role"] for row in granted(resources, name) if row.kind == kind}


def test_a_door_takes_tokens_of_github_made_out_to_itself(resources: list[Planned]) -> None:
    doors = named(resources, "WorkloadIdentityPoolProvider")
    assert set(doors) == {"plan", "dev", "staging", "prod"}
    for door in doors.values():
        assert door.inputs["oidc"] == {"issuerUri": "https://token.actions.githubusercontent.com"}
        assert "repository_owner_id" in door.inputs["attributeCondition"]
        assert re.fullmatch(r"[a-z0-9-]{4,32}", door.inputs["workloadIdentityPoolProviderId"])


def test_a_subject_fits_however_long_the_names_are() -> None:
    token = {"repository_id": "9" * 15, "run_id": "9" * 20, "sub": "repo:" + "x" * 400}
    assert len(cel(trust.SUBJECT, token).encode()) <= LONGEST_SUBJECT


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_an_apply_identity_is_for_tokens_of_its_environment_alone(resources: list[Planned], environment: str) -> None:
    (binding,) = (
        row
        for row in of_type(resources, "IAMMember")
        if row.type.startswith("gcp:serviceaccount/") and row.name == f"apply-{environment}"
    )
    assert binding.inputs["role"] == "roles/iam.workloadIdentityUser"
    assert binding.inputs["member"].endswith(f"/attribute.deploys/7654321/apply/{environment}")
    assert binding.inputs["member"].startswith("principalSet://iam.googleapis.com/projects/")


def test_nobody_is_let_in_by_a_key(resources: list[Planned]) -> None:
    assert not of_type(resources, "Key")
    members = [str(row.inputs.get("member")) for row in resources]
    assert not [
        member for member in members if member in ("allUsers", "allAuthenticatedUsers") or member.endswith("/*")
    ]


def test_plans_read_configuration_in_every_project_and_change_nothing(resources: list[Planned]) -> None:
    assert all(re.search(r"(viewer|reader|Reviewer|Viewer|Consumer|browser)$", role) for role in PLAN_ROLES)
    assert all(re.search(r"\.(get|getMetadata|getIamPolicy)$", one) for one in PLAN_PERMISSIONS)
    own = {row.outputs["name"] for row in of_type(resources, "IAMCustomRole") if row.name.startswith("plan-")}
    assert len(own) == 3
    assert roles(resources, "plan") == {*PLAN_ROLES, *own}
    projects = {row.inputs["project"] for row in granted(resources, "plan") if row.kind == "IAMMember"}
    assert projects == set(PROJECTS.values())


def test_plans_read_and_decrypt_the_state_and_write_nothing(resources: list[Planned]) -> None:
    assert roles(resources, "plan", "BucketIAMMember") == {"roles/storage.objectViewer"}
    assert roles(resources, "plan", "CryptoKeyIAMMember") == {"roles/cloudkms.cryptoKeyDecrypter"}


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_an_apply_identity_changes_its_own_project_alone(resources: list[Planned], environment: str) -> None:
    rows = [row for row in granted(resources, f"apply-{environment}") if row.kind == "IAMMember"]
    assert {row.inputs["project"] for row in rows} == {PROJECTS[environment]}
    assert {row.inputs["role"] for row in rows} == {*APPLY_ROLES, "roles/resourcemanager.projectIamAdmin"}
    assert not {"roles/owner", "roles/editor"} & set(APPLY_ROLES)
    (lists,) = (row for row in of_type(resources, "IAMCustomRole") if row.name == "state-list")
    assert lists.inputs["permissions"] == ["storage.objects.list"]
    for row in granted(resources, f"apply-{environment}"):
        if row.kind == "BucketIAMMember" and row.inputs["role"] != lists.outputs["name"]:
            under = re.findall(r'/objects/([^"]+)"', row.inputs["condition"]["expression"])
            own = rf"\.pulumi/(meta\.yaml|\w+/(organization/)?groundwork/{environment}[./])"
            assert under, row.urn
            assert all(re.match(own, path) for path in under), under
            if "meta" in under[0]:
                assert row.inputs["role"] == "roles/storage.objectViewer"


def test_it_may_grant_for_the_whole_project_what_the_parts_grant_and_no_more(resources: list[Planned]) -> None:
    (row,) = (
        row for row in granted(resources, "apply-prod") if row.inputs["role"] == "roles/resourcemanager.projectIamAdmin"
    )
    expression = row.inputs["condition"]["expression"]
    ctx = Context("groundwork", "bootstrap-gcp", "acme", "ml-platform", "research", "internal")
    listed = re.findall(r'"([^"]+)"', expression.partition("hasOnly(")[2])
    assert listed == project_wide("acme-ml-prod", "prod", ctx)
    assert len(listed) <= 10  # Google's limit
    assert "roles/owner" not in listed


EVERYTHING = """
    logs = parts.key("logs")
    data = parts.store("data", StoreArgs(logs))
    app = container("server", key=logs)
    serves = ServiceArgs(app, CALLERS, "predict.dev.example.com", 8080, Scale(2, 4))
    predict = parts.service("predict", serves)
    steps = (Step("train", ("train",)),)
    parts.workflow("retrain", WorkflowArgs(app, steps, predict, data, "people/", "30 2 * * 0"))
    parts.api("api", ApiArgs(app, CALLERS, 30)).grant_erase(parts.identity("eraser", "container"))
    parts.kubernetes("predict", KubernetesArgs(serves))
    shared = parts.file_system("shared", app.network, logs)
    parts.trainer("trainer", TrainerArgs(app, Fleet(maximum=2, on_demand=1), Access("ssh-ed25519 AAAA"), shared))
"""


def test_the_list_of_what_parts_grant_for_the_whole_project_is_whole(tmp_path: Path) -> None:
    rows = [row for row in of_type(planned(tmp_path, EVERYTHING), "IAMMember") if row.type.startswith("gcp:projects/")]
    ctx = Context("groundwork", "dev", "acme", "ml-platform", "research", "internal")
    assert {row.inputs["role"] for row in rows} == set(project_wide(PROJECT, "dev", ctx))


@pytest.mark.parametrize(
    ("projects", "sentence"),
    [
        ({"dev": "acme-ml-dev"}, "no project is named for staging, prod; name one"),
        (dict.fromkeys(PROJECTS, "acme-ml"), "environments share a project"),
        ({**PROJECTS, "dev": PROJECT}, f"{PROJECT} holds the state and the identities that deploy, and is"),
    ],
)
def test_environments_that_cannot_be_kept_apart_are_refused(
    tmp_path: Path, projects: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Exception, match=sentence) as raised:
        deployer(tmp_path, projects)
    assert isinstance(raised.value, Unsupported) or "gcp: " in str(raised.value)


def test_the_pool_is_of_one_name_for_all(resources: list[Planned]) -> None:
    pool: dict[str, Any] = only(resources, "WorkloadIdentityPool").inputs
    assert pool["workloadIdentityPoolId"] == "groundwork-bootstrap-gcp-github"
