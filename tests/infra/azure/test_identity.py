"""Identities: no secrets, and nothing allowed until it is granted."""

from tests.infra.azure.planned import planned

PROGRAM = """
server = parts.identity("server", "container")
pulumi.export("server", {"workload": server.workload, "principal": server.principal, "client": server.client})
"""


def test_an_identity_may_do_nothing_by_itself() -> None:
    plan = planned(PROGRAM)
    assert [row.type for row in plan.resources] == ["managedidentity:UserAssignedIdentity"]


def test_an_identity_says_its_name_its_principal_and_its_client() -> None:
    plan = planned(PROGRAM)
    identity = plan.only("managedidentity:UserAssignedIdentity").outputs
    assert plan.outputs["server"] == {
        "workload": "server",
        "principal": identity["principalId"],
        "client": identity["clientId"],
    }


def test_an_identity_is_named_and_tagged() -> None:
    inputs = planned(PROGRAM).only("managedidentity:UserAssignedIdentity").inputs
    assert inputs["resourceName"] == "groundwork-dev-server"
    assert inputs["tags"]["owner"] == "ml-platform"
