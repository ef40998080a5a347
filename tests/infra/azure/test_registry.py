"""The registry: images by digest, fetched from within the network by whom it was granted."""

from infra.azure.policy import ACR_PULL, ACR_PUSH
from tests.infra.azure.planned import Planned, planned

PROGRAM = """
images.grant_pull(server)
images.grant_push(parts.identity("builder", "container"))
pulumi.export("image", images.image("sha256:" + "1" * 64).uri)
"""


def plan() -> Planned:
    return planned(PROGRAM, ground=True)


def test_an_image_is_named_by_its_digest() -> None:
    assert plan().outputs["image"] == "acmegroundworkdevapp.azurecr.io/app@sha256:" + "1" * 64


def test_the_registry_takes_no_passwords_and_is_closed_to_the_internet() -> None:
    inputs = plan().only("containerregistry:Registry").inputs
    assert inputs["sku"]["name"] == "Premium"
    assert inputs["adminUserEnabled"] is False
    assert inputs["anonymousPullEnabled"] is False
    assert inputs["publicNetworkAccess"] == "Disabled"
    assert inputs["policies"]["exportPolicy"] == {"status": "disabled"}
    (door,) = [row for row in plan().of_type("network:PrivateEndpoint") if row.name == "app-registry"]
    (connection,) = door.inputs["privateLinkServiceConnections"]
    assert connection["privateLinkServiceId"] == plan().only("containerregistry:Registry").outputs["id"]


def test_images_are_encrypted_with_our_key_over_all_zones() -> None:
    inputs = plan().only("containerregistry:Registry").inputs
    user = plan().named("managedidentity:UserAssignedIdentity", "data-key").outputs
    assert inputs["encryption"] == {
        "status": "enabled",
        "keyVaultProperties": {
            "identity": user["clientId"],
            "keyIdentifier": "https://acme-groundwork-dev-data.vault.azure.net/keys/groundwork-dev-data",
        },
    }
    assert inputs["identity"]["userAssignedIdentities"] == {user["id"]: {}}
    assert inputs["zoneRedundancy"] == "Enabled"


def test_images_without_a_tag_go() -> None:
    inputs = plan().only("containerregistry:Registry").inputs
    assert inputs["policies"]["retentionPolicy"] == {"status": "enabled", "days": 7}


def test_images_are_scanned_and_stay_so_for_other_environments_of_the_subscription() -> None:
    scan = plan().only("security:Pricing")
    assert (scan.inputs["pricingName"], scan.inputs["pricingTier"]) == ("Containers", "Standard")
    assert scan.inputs["extensions"] == [{"name": "ContainerRegistriesVulnerabilityAssessments", "isEnabled": "True"}]
    assert scan.options["retainOnDelete"] is True


def test_a_grant_to_pull_fetches_from_this_registry_and_no_more() -> None:
    grant = plan().granted("server-pull-app-images").inputs
    assert grant["roleDefinitionId"].endswith(ACR_PULL)
    assert grant["scope"] == plan().only("containerregistry:Registry").outputs["id"]
    of = [row for row in plan().of_type("authorization:RoleAssignment") if row.name.startswith("server-")]
    assert len(of) == 1


def test_a_grant_to_push_adds_from_within_the_network_or_by_import() -> None:
    assert plan().granted("builder-push-app-images").inputs["roleDefinitionId"].endswith(ACR_PUSH)
    importer = plan().named("authorization:RoleDefinition", "app-importer-builder")
    assert plan().granted("builder-import-app-images").inputs["roleDefinitionId"] == importer.outputs["id"]
    (permissions,) = importer.inputs["permissions"]
    assert permissions["actions"] == [
        "Microsoft.ContainerRegistry/registries/importImage/action",
        "Microsoft.ContainerRegistry/registries/read",
    ]
