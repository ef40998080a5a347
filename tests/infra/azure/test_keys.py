"""Keys: rotated, kept from accidents and from the network, and used by one identity alone."""

from infra.azure.policy import KEY_ENCRYPTION_USER
from tests.infra.azure.planned import planned

KEY = 'key = parts.key("{0}")\npulumi.export("id", key.id)\n'


def test_a_key_is_rotated_each_year_and_never_leaves_its_module() -> None:
    properties = planned(KEY.format("data")).only("keyvault:Key").inputs["properties"]
    (action,) = properties["rotationPolicy"]["lifetimeActions"]
    assert action == {"action": {"type": "rotate"}, "trigger": {"timeAfterCreate": "P1Y"}}
    assert properties["kty"] == "RSA-HSM"


def test_the_id_of_a_key_names_no_version_so_that_users_follow_its_rotation() -> None:
    plan = planned(KEY.format("data"))
    assert plan.outputs["id"] == "https://acme-groundwork-dev-data.vault.azure.net/keys/groundwork-dev-data"


def test_a_vault_outlives_mistakes_and_is_reached_by_azures_own_services_alone() -> None:
    properties = planned(KEY.format("data")).only("keyvault:Vault").inputs["properties"]
    assert properties["enableRbacAuthorization"] is True
    assert "accessPolicies" not in properties
    assert properties["enablePurgeProtection"] is True
    assert (properties["enableSoftDelete"], properties["softDeleteRetentionInDays"]) == (True, 90)
    assert properties["publicNetworkAccess"] == "Disabled"
    assert properties["networkAcls"] == {"bypass": "AzureServices", "defaultAction": "Deny"}


def test_only_the_key_of_the_state_is_reached_from_outside() -> None:
    properties = planned(KEY.format("state")).only("keyvault:Vault").inputs["properties"]
    assert properties["publicNetworkAccess"] == "Enabled"


def test_one_identity_may_encrypt_with_the_key_and_with_no_other() -> None:
    plan = planned(KEY.format("data"))
    grant = plan.only("authorization:RoleAssignment").inputs
    user = plan.named("managedidentity:UserAssignedIdentity", "data-key")
    assert grant["principalId"] == user.outputs["principalId"]
    assert grant["roleDefinitionId"].endswith(KEY_ENCRYPTION_USER)
    assert grant["scope"] == plan.only("keyvault:Key").outputs["id"]


def test_a_key_is_protected_unless_nothing_is_worth_keeping() -> None:
    for disposable in (True, False):
        plan = planned(KEY.format("data"), disposable=disposable)
        for kind in ("keyvault:Vault", "keyvault:Key"):
            assert bool(plan.only(kind).options.get("protect")) is not disposable, kind
