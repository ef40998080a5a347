"""Continuous delivery: whose tokens are exchanged, and what plan and apply may do."""

import re
from typing import Any

import pytest

from infra.azure.names import Account
from infra.azure.policy import CLUSTER_READER, CLUSTER_USER, READER, SECRETS_USER
from infra.azure.rights import BEYOND, BUILT_IN, OURS, grantable
from infra.context import Context
from localcloud.evaluation import evaluate
from localcloud.plan import graph
from localcloud.program import ProgramError
from localcloud.project import load
from tests.infra.azure.planned import SECRET, SUBSCRIPTION, Planned, planned
from tests.plans.plans import ROOT

SUBJECT = "repo:example@1234567/groundwork@7654321:"


PROGRAM = """
from dataclasses import replace
from infra.github import Repository

args = replace(args, certificates={certificates})
account = Azure(replace(ctx, environment="bootstrap-azure"), args, "account")
parts = account.parts(root)
key = parts.key("state")
repository = Repository("example", 1234567, "groundwork", 7654321, immutable_subjects={immutable})
state = parts.store("state", StoreArgs(key))
deployer = parts.deployer(DeployerArgs(repository, {{"dev": "dev", "prod": "main"}}, state, key))
pulumi.export("plan", deployer.plan)
pulumi.export("apply", deployer.apply)
pulumi.export("providers", deployer.providers)
"""
CERTIFICATES = {environment: f"{SECRET}-{environment}" for environment in ("dev", "prod")}


def bootstrapped(*, immutable: bool = True, certificates: dict[str, str] = CERTIFICATES) -> Planned:
    return planned(PROGRAM.format(immutable=immutable, certificates=certificates))


@pytest.fixture(scope="module")
def plan() -> Planned:
    return bootstrapped()


def grants(plan: Planned, identity: str) -> dict[str, dict[str, Any]]:
    principal = plan.named("managedidentity:UserAssignedIdentity", identity).outputs["principalId"]
    rows = plan.of_type("authorization:RoleAssignment")
    return {row.name.removeprefix(f"{identity}-"): row.inputs for row in rows if row.inputs["principalId"] == principal}


def permissions(plan: Planned, role_id: str) -> dict[str, list[str]]:
    (found,) = [row for row in plan.of_type("authorization:RoleDefinition") if row.outputs["id"] == role_id]
    (permission,) = found.inputs["permissions"]
    assert isinstance(permission, dict)
    return permission


def test_a_token_is_trusted_by_its_exact_subject_issuer_and_audience(plan: Planned) -> None:
    trusted = [row.inputs for row in plan.of_type("managedidentity:FederatedIdentityCredential")]
    assert {row["issuer"] for row in trusted} == {"https://token.actions.githubusercontent.com"}
    assert all(row["audiences"] == ["api://AzureADTokenExchange"] for row in trusted)
    assert sorted((row["resourceName"], row["subject"].removeprefix(SUBJECT)) for row in trusted) == [
        ("groundwork-bootstrap-azure-apply-dev", "environment:dev"),
        ("groundwork-bootstrap-azure-apply-prod", "environment:prod"),
        ("groundwork-bootstrap-azure-plan", "pull_request"),
        ("groundwork-bootstrap-azure-plan", "ref:refs/heads/main"),
    ]


def test_credentials_of_one_identity_are_made_one_after_the_other(plan: Planned) -> None:
    second = plan.named("managedidentity:FederatedIdentityCredential", "plan-1")
    assert any(urn.endswith("::plan-0") for urn in second.dependencies)


def test_workflows_name_the_clients_of_the_identities(plan: Planned) -> None:
    identities = {row.name: row.outputs["clientId"] for row in plan.of_type("managedidentity:UserAssignedIdentity")}
    assert plan.outputs["plan"] == identities["plan"]
    assert plan.outputs["apply"] == {"dev": identities["apply-dev"], "prod": identities["apply-prod"]}
    assert plan.outputs["providers"] == dict.fromkeys(("plan", "dev", "prod"), "00000000-0000-4000-8000-000000000002")


def test_subjects_that_a_later_repository_of_the_name_would_have_too_are_refused_with_what_to_do() -> None:
    sentence = (
        r"azure: tokens of example/groundwork have classic subjects.*; have GitHub issue immutable subjects to it"
    )
    with pytest.raises(ProgramError, match=sentence):
        bootstrapped(immutable=False)


def test_a_certificate_that_is_not_named_is_refused_with_what_to_do() -> None:
    with pytest.raises(ProgramError, match=r"azure: no certificate is named for prod; name the Key Vault secret"):
        bootstrapped(certificates={"dev": SECRET})


def test_an_apply_identity_may_let_others_read_the_one_secret_that_is_its_certificate_and_no_more(
    plan: Planned,
) -> None:
    for environment in ("dev", "prod"):
        found = grants(plan, f"apply-{environment}")
        outside = {name: grant for name, grant in found.items() if "/secrets/" in grant["scope"]}
        assert set(outside) == {f"give-{environment}-certificate"}
        (gives,) = outside.values()
        assert gives["scope"] == CERTIFICATES[environment]
        assert set(re.findall(r"GuidEquals \{([^}]*)\}", gives["condition"])) == {SECRETS_USER}
        assert gives["condition"].count("StringEqualsIgnoreCase {'ServicePrincipal'}") == 2
        assert gives["conditionVersion"] == "2.0"


def test_the_plan_identity_looks_and_opens_secrets_and_changes_nothing(plan: Planned) -> None:
    found = grants(plan, "plan")
    readers = {name for name, grant in found.items() if grant["roleDefinitionId"].endswith(READER)}
    assert readers == {
        *("look-account", "look-dev", "look-prod", "look-dev-certificate", "look-prod-certificate", "look-domain"),
    }
    assert all("/resourceGroups/" in found[name]["scope"] for name in readers)
    clusters = {f"{verb}-{environment}-cluster" for verb in ("find", "read") for environment in ("dev", "prod")}
    assert found.keys() - readers - clusters == {"look-beyond", "open-state-key", "read-state"}
    for environment in ("dev", "prod"):
        assert found[f"find-{environment}-cluster"]["roleDefinitionId"].endswith(CLUSTER_USER)
        assert found[f"read-{environment}-cluster"]["roleDefinitionId"].endswith(CLUSTER_READER)
    beyond = permissions(plan, found["look-beyond"]["roleDefinitionId"])
    assert set(beyond["actions"]) == {action for action in BEYOND if action.endswith("/read")}
    assert len(beyond["actions"]) == 4
    assert beyond["dataActions"] == []
    assert found["read-state"]["roleDefinitionId"].endswith("/2a2b9908-6ea1-4ae2-8e65-a410df84e7d1")  # Blob reader
    opens = permissions(plan, found["open-state-key"]["roleDefinitionId"])
    assert opens["actions"] == []
    assert opens["dataActions"] == [
        "Microsoft.KeyVault/vaults/keys/read",
        "Microsoft.KeyVault/vaults/keys/decrypt/action",
    ]
    assert found["open-state-key"]["scope"] == plan.only("keyvault:Key").outputs["id"]


def test_an_apply_identity_changes_its_own_group_and_no_other(plan: Planned) -> None:
    groups = {row.name: row.outputs["id"] for row in plan.of_type("resources:ResourceGroup")}
    for environment, other in (("dev", "prod"), ("prod", "dev")):
        found = grants(plan, f"apply-{environment}")
        assert found[f"change-{environment}"]["scope"] == groups[environment]
        assert all(other not in grant["scope"] for grant in found.values())
        wide = [name for name, grant in found.items() if grant["scope"] == f"/subscriptions/{SUBSCRIPTION}"]
        assert wide == [f"change-{environment}-beyond"]


def test_what_is_outside_the_groups_is_named_action_by_action(plan: Planned) -> None:
    beyond = permissions(plan, grants(plan, "apply-dev")["change-dev-beyond"]["roleDefinitionId"])
    assert all("*" not in action for action in beyond["actions"])
    assert not [action for action in beyond["actions"] if action.startswith("Microsoft.Authorization")]


def test_an_apply_identity_gives_the_roles_of_its_environment_to_workloads_alone(plan: Planned) -> None:
    gives = grants(plan, "apply-prod")["give-prod-roles"]
    account = Account(SUBSCRIPTION, "", None, None, "", ())  # type: ignore[arg-type] # ids are made of names alone
    ours = Context("groundwork", "prod", "acme", "ml-platform", "research", "internal")
    assert set(re.findall(r"GuidEquals \{([^}]*)\}", gives["condition"])) == {", ".join(grantable(account, ours))}
    assert gives["condition"].count("StringEqualsIgnoreCase {'ServicePrincipal'}") == 2
    assert gives["conditionVersion"] == "2.0"
    for powerful in ("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "b24988ac-6180-42a0-ab88-20f7382dd24c", "f58310d9-a9f6-439a-9e8d-f62e7b41a168"):  # fmt: skip # noqa: E501 - a table
        assert powerful not in gives["condition"]  # Owner, User Access, Contributor, Access Control administrators


def test_an_apply_identity_keeps_its_own_state_alone(plan: Planned) -> None:
    keeps = grants(plan, "apply-dev")["keep-dev-state"]
    paths = re.findall(r"StringLike '([^']*)'", keeps["condition"])
    assert paths == [
        ".pulumi/stacks/groundwork/dev.json",
        ".pulumi/stacks/groundwork/dev.json.bak",
        ".pulumi/stacks/groundwork/dev.pulumi-tags",
        ".pulumi/backups/groundwork/dev/*",
        ".pulumi/history/groundwork/dev/*",
        ".pulumi/journal/groundwork/dev/*",
        ".pulumi/locks/organization/groundwork/dev/*",
        ".pulumi/meta.yaml",
    ]
    assert keeps["scope"] == plan.only("storage:BlobContainer").outputs["id"]


def test_no_role_of_ours_has_a_star(plan: Planned) -> None:
    for row in plan.of_type("authorization:RoleDefinition"):
        (permission,) = row.inputs["permissions"]
        assert not [action for actions in permission.values() for action in actions if "*" in action]


def test_an_apply_identity_may_give_every_role_that_an_environment_gives_and_set_all_that_it_sets_outside() -> None:
    """The whole of prod, which has every part: what is missing here would fail the first deployment."""
    whole = load(ROOT, "prod", ['groundwork:clouds=["azure"]'])
    rows = graph(evaluate(whole, lambda _severity, _message: None))["resources"]
    inputs = {kind: [row["inputs"] for row in rows if row["type"] == f"azure-native:{kind}"] for kind in (
        "authorization:RoleDefinition", "authorization:RoleAssignment", "network:FlowLog", "security:Pricing",
        "monitor:DiagnosticSetting",
    )}  # fmt: skip # a table
    assert {row["roleName"].rpartition("-prod-")[2] for row in inputs["authorization:RoleDefinition"]} == set(OURS)
    certificate = [row for row in inputs["authorization:RoleAssignment"] if "/secrets/" in row["scope"]]
    assert [row["roleDefinitionId"].rpartition("/")[2] for row in certificate] == [SECRETS_USER]
    within = [row for row in inputs["authorization:RoleAssignment"] if row not in certificate]
    given = {row["roleDefinitionId"].rpartition("/")[2] for row in within}
    assert {role for role in given if role[14] == "4"} <= set(BUILT_IN)  # version 4 of UUIDs: Azure's own
    outside = [row["resourceUri"] for row in inputs["monitor:DiagnosticSetting"]]
    assert {uri.count("/") for uri in outside if "/resourceGroups/" not in uri} == {2}  # the subscription itself
    assert "Microsoft.Insights/diagnosticSettings/write" in BEYOND
    assert {row["resourceGroupName"] for row in inputs["network:FlowLog"]} == {"NetworkWatcherRG"}
    assert "Microsoft.Network/networkWatchers/flowLogs/write" in BEYOND
    assert inputs["security:Pricing"]
    assert "Microsoft.Security/pricings/write" in BEYOND


def test_groups_are_kept_from_a_mistake(plan: Planned) -> None:
    groups = {row.name: row for row in plan.of_type("resources:ResourceGroup")}
    assert {row.inputs["resourceGroupName"] for row in groups.values()} == {
        "groundwork-bootstrap-azure-group",
        "groundwork-dev-group",
        "groundwork-prod-group",
    }
    assert all(row.options["protect"] for row in groups.values())
    assert groups["dev"].inputs["tags"]["environment"] == "dev"
