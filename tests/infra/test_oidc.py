"""Of a table of GitHub's tokens each cloud takes the right one for each identity, and no other."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.github import ISSUER, Repository
from tests.infra import oidc

pytestmark = pytest.mark.drawn(4)

ROOT = Path(__file__).parents[2]
CLOUDS: dict[str, Callable[[list[oidc.Row]], dict[str, oidc.Takes]]] = {
    "aws": oidc.aws,
    "gcp": oidc.gcp,
    "azure": oidc.azure,
}
BRANCHES = {"dev": "dev", "staging": "staging", "prod": "main"}  # as .github/branches.yaml has it
ENVIRONMENTS = tuple(BRANCHES)
IDENTITIES = ("plan", *(f"apply-{environment}" for environment in ENVIRONMENTS))
OURS = Repository("example", 1234567, "groundwork", 7654321, immutable_subjects=True)
# Entra ID sees issuer, subject and audience alone. What differs in other claims only is kept out by GitHub, which
# issues no such token (it puts every claim in each) or, for the branch, by the rules of its environments. That a name
# is given to others after us shows in immutable subjects alone: with classic ones a deployer on Azure is refused.
UNSEEN_BY_AZURE = {
    "of another branch",
    "of a branch that begins alike",
    "of the branch of another environment",
    "of a tag that is named like the branch",
    "without repository_id",
    "without environment",
    "without ref",
}
TRUSTS = [*((cloud, "immutable") for cloud in CLOUDS), ("aws", "classic"), ("gcp", "classic")]


def planned(cloud: str, subjects: str) -> subprocess.CompletedProcess[str]:
    """A run that plans the account's stack for a repository with subjects in this format."""
    github = {
        "owner": OURS.owner,
        "ownerId": OURS.owner_id,
        "repository": OURS.name,
        "repositoryId": OURS.id,
        "immutableSubjects": subjects == "immutable",
    }
    command = [sys.executable, "-m", "localcloud", "plan", "-C", str(ROOT), "-s", f"bootstrap-{cloud}", "--json"]
    command += ["-c", f"groundwork:github={json.dumps(github)}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@functools.cache
def plan(cloud: str, subjects: str) -> Any:
    """The plan of the account's stack: its `resources` and its `outputs`."""
    done = planned(cloud, subjects)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows(cloud: str, subjects: str) -> list[oidc.Row]:
    """The resources of the account's stack."""
    found: list[oidc.Row] = plan(cloud, subjects)["resources"]
    return found


def repository(subjects: str) -> Repository:
    return replace(OURS, immutable_subjects=subjects == "immutable")


def audience(cloud: str, identity: str, found: list[oidc.Row]) -> str:
    """What a workflow asks GitHub to make its token out to, for an identity."""
    if cloud == "gcp":
        wanted = identity.removeprefix("apply-")
        (name,) = [name for name, row in oidc.doors(found).items() if row["name"] == wanted]
        return f"https://iam.googleapis.com/{name}"
    return {"aws": "sts.amazonaws.com", "azure": "api://AzureADTokenExchange"}[cloud]


def token(whose: Repository, context: str, ref: str, aud: str, environment: str = "") -> dict[str, str]:
    """A token as GitHub issues it; only that of a job in an environment has the claim of that name."""
    claims = {
        "iss": ISSUER,
        "aud": aud,
        "sub": whose.subject(context),
        "repository": f"{whose.owner}/{whose.name}",
        "repository_id": str(whose.id),
        "repository_owner": whose.owner,
        "repository_owner_id": str(whose.owner_id),
        "ref": ref,
        "run_id": "1",
    }
    return {**claims, "environment": environment} if environment else claims


def right(identity: str, whose: Repository, aud: str) -> dict[str, dict[str, str]]:
    """The tokens that an identity is for."""
    if identity == "plan":
        main = f"refs/heads/{whose.default}"
        return {
            "of a pull request": token(whose, "pull_request", "refs/pull/7/merge", aud),
            "of the default branch": token(whose, f"ref:{main}", main, aud),
        }
    environment = identity.removeprefix("apply-")
    ref = f"refs/heads/{BRANCHES[environment]}"
    return {f"of {environment}": token(whose, f"environment:{environment}", ref, aud, environment)}


def wrong(identity: str, whose: Repository, aud: str) -> dict[str, dict[str, str]]:
    """Tokens that it is not for: each differs from a right one by what its name says."""
    main, feature = f"refs/heads/{whose.default}", "refs/heads/feature"
    good = next(iter(right(identity, whose, aud).values()))

    def of(other: Repository) -> dict[str, str]:
        return next(iter(right(identity, other, aud).values()))

    found = {
        "of a fork": of(replace(whose, owner="mallory", owner_id=666, id=667)),
        "of a later owner of the names": of(replace(whose, owner_id=666, id=667)),
        "of a later repository of the name": of(replace(whose, id=667)),
        "of the repository under another name": of(replace(whose, name="groundwork2")),
        "of another repository of the owner": of(replace(whose, name="other", id=667)),
        "with the other format of subjects": of(replace(whose, immutable_subjects=not whose.immutable_subjects)),
        "for somebody else": {**good, "aud": "https://github.com/example"},
        "of another issuer": {**good, "iss": "https://github.example.com/_services/token"},
        "of a branch without an environment": token(whose, f"ref:{feature}", feature, aud),
        "of a tag": token(whose, "ref:refs/tags/v1", "refs/tags/v1", aud),
        "with a subject in capitals": {**good, "sub": good["sub"].upper()},
        "with more behind the subject": {**good, "sub": good["sub"] + "-2"},
    }
    claims = ["sub", "aud", "iss", "repository_id"]
    if identity == "plan":
        found["of an environment"] = token(whose, "environment:dev", main, aud, "dev")
        deployed = next(branch for branch in BRANCHES.values() if branch != whose.default)
        found["of a branch that is deployed"] = token(
            whose, f"ref:refs/heads/{deployed}", f"refs/heads/{deployed}", aud
        )
    else:
        environment = identity.removeprefix("apply-")
        other = next(name for name in ENVIRONMENTS if name != environment)
        context, branch = f"environment:{environment}", BRANCHES[environment]
        own = f"refs/heads/{branch}"
        claims += ["environment", "ref"]
        found |= {
            "of another environment": token(whose, f"environment:{other}", own, aud, other),
            "of an environment that begins alike": token(whose, f"{context}-2", own, aud, f"{environment}-2"),
            "of another branch": token(whose, context, feature, aud, environment),
            "of a branch that begins alike": token(whose, context, f"{own}2", aud, environment),
            "of the branch of another environment": token(
                whose, context, f"refs/heads/{BRANCHES[other]}", aud, environment
            ),
            "of a tag that is named like the branch": token(whose, context, f"refs/tags/{branch}", aud, environment),
            "of a pull request": token(whose, "pull_request", "refs/pull/7/merge", aud),
            "of the branch without an environment": token(whose, f"ref:{own}", own, aud),
        }
    found |= {f"without {name}": {key: good[key] for key in good if key != name} for name in claims}
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("cloud", "subjects"), TRUSTS)
def test_each_identity_takes_the_right_tokens_and_no_other(cloud: str, subjects: str) -> None:
    found = rows(cloud, subjects)
    trusts, whose = CLOUDS[cloud](found), repository(subjects)
    assert set(trusts) == set(IDENTITIES)
    for identity in IDENTITIES:
        aud = audience(cloud, identity, found)
        refused = [name for name, one in right(identity, whose, aud).items() if not trusts[identity](one)]
        assert refused == [], f"{identity} refuses the token {refused}"
        table = wrong(identity, whose, aud)
        taken = {name for name, one in table.items() if trusts[identity](one)}
        unseen = UNSEEN_BY_AZURE if cloud == "azure" else set()
        assert taken == unseen & table.keys(), identity


@pytest.mark.slow
@pytest.mark.parametrize(("cloud", "subjects"), TRUSTS)
def test_no_identity_takes_the_token_that_is_right_for_another(cloud: str, subjects: str) -> None:
    found = rows(cloud, subjects)
    trusts, whose = CLOUDS[cloud](found), repository(subjects)
    for one in IDENTITIES:
        for another in IDENTITIES:
            for aud in {audience(cloud, identity, found) for identity in (one, another)}:
                for good in right(another, whose, aud).values():
                    taken = trusts[one](good)
                    assert taken == (one == another), f"{one} and the token of {another}"


@pytest.mark.slow
def test_azure_which_would_take_tokens_of_a_recycled_name_is_given_no_classic_subject() -> None:
    credential = {"issuer": ISSUER, "subject": repository("classic").subject("pull_request"), "audiences": ["azure"]}
    identity = {"inputs": {"resourceName": "plan"}, "name": "plan"}
    takes = oidc.azure(
        [
            {
                "type": "azure-native:managedidentity:FederatedIdentityCredential",
                "inputs": {**credential, "resourceName": "plan"},
            },
            {"type": "azure-native:managedidentity:UserAssignedIdentity", **identity},
        ]
    )["plan"]
    later = replace(repository("classic"), owner_id=666, id=667)
    assert takes(token(later, "pull_request", "refs/pull/7/merge", "azure"))
    done = planned("azure", "classic")
    assert done.returncode != 0
    assert "azure: tokens of example/groundwork have classic subjects" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_account_s_stack_tells_workflows_under_the_same_keys_what_to_log_in_with(cloud: str) -> None:
    told = plan(cloud, "immutable")["outputs"][cloud]
    assert {name: set(told[name]) for name in told} == {
        "state": {"url", "key"},
        "deployer": {"plan", "apply", "providers"},
    }
    deployer, found = told["deployer"], rows(cloud, "immutable")
    names = {"plan": deployer["plan"], **{f"apply-{name}": one for name, one in deployer["apply"].items()}}
    kind, key = {
        "aws": ("aws:iam/role:Role", "arn"),
        "gcp": ("gcp:serviceaccount/account:Account", "email"),
        "azure": ("azure-native:managedidentity:UserAssignedIdentity", "clientId"),
    }[cloud]
    who = {row["name"]: row["outputs"][key] for row in oidc.of_type(found, kind)}
    assert names == {identity: who[identity] for identity in IDENTITIES}
    doors = {row["name"]: name for name, row in oidc.doors(found).items()}
    tenant = dict.fromkeys(("plan", *ENVIRONMENTS), "00000000-0000-4000-8000-000000000000")
    roles = {"plan": deployer["plan"], **deployer["apply"]}
    assert deployer["providers"] == {"aws": roles, "gcp": doors, "azure": tenant}[cloud]


# The evaluators themselves: what they take if a condition is loose, and what they refuse to judge.

STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["sts:AssumeRoleWithWebIdentity"],
    "Principal": {"Federated": "arn:github"},
}


def aws_takes(condition: dict[str, Any], given: oidc.Token) -> bool:
    issuer = {"outputs": {"arn": "arn:github"}, "inputs": {"url": ISSUER, "clientIdLists": ["sts.amazonaws.com"]}}
    role = {"inputs": {"assumeRolePolicy": json.dumps({"Statement": [{**STATEMENT, "Condition": condition}]})}}
    return oidc.aws(
        [
            {"type": "aws:iam/openIdConnectProvider:OpenIdConnectProvider", "name": "github", **issuer},
            {"type": "aws:iam/role:Role", "name": "role", **role},
        ]
    )["role"](given)


GOOD = token(OURS, "pull_request", "refs/pull/7/merge", "sts.amazonaws.com")
START = "token.actions.githubusercontent.com:"


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ({"StringEquals": {f"{START}sub": GOOD["sub"]}}, True),
        ({"StringEquals": {f"{START}sub": ["other", GOOD["sub"]]}}, True),
        ({"StringEquals": {f"{START}sub": "other"}}, False),
        ({"StringEquals": {f"{START}sub": "repo:*"}}, False),
        ({"StringLike": {f"{START}sub": "repo:*"}}, True),
        ({"StringEquals": {f"{START}environment": "dev"}}, False),  # the token has none
        ({"ForAllValues:StringEquals": {f"{START}environment": "dev"}}, True),  # which is why none of ours has it
        ({"StringEquals": {f"{START}run_id": "1"}}, False),  # a claim that STS does not compare
    ],
)
def test_conditions_of_aws_hold_as_its_documentation_says(condition: dict[str, Any], taken: bool) -> None:
    assert aws_takes(condition, GOOD) is taken


def test_a_condition_that_nobody_taught_is_no_pass() -> None:
    with pytest.raises(NotImplementedError):
        aws_takes({"StringNotEquals": {f"{START}sub": "other"}}, GOOD)
    for expression in ("assertion.sub.startsWith('repo:')", "has(assertion.sub)", "assertion.sub != 'x'", "true"):
        with pytest.raises(NotImplementedError):
            oidc.cel(expression, GOOD)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("assertion.repository_id == '7654321' && assertion.run_id == '1'", True),
        ("assertion.repository_id == '1' && assertion.run_id == '1'", False),
        ("assertion.repository_id == '1' || assertion.run_id == '1'", True),
        ('assertion.ref in ["refs/heads/main", "refs/pull/7/merge"]', True),
        ('assertion.repository_id + "/plan"', "7654321/plan"),
    ],
)
def test_expressions_of_gcp_have_the_values_of_cel(expression: str, value: Any) -> None:
    assert oidc.cel(expression, GOOD) == value


def test_a_claim_that_is_missing_is_an_error_of_the_expression() -> None:
    with pytest.raises(KeyError):
        oidc.cel("assertion.environment == 'dev'", GOOD)
