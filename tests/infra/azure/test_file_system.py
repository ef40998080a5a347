"""Shared files: who reaches them, how, and under which key."""

import pytest

from tests.infra.azure.planned import Planned, planned


@pytest.fixture(scope="module")
def files() -> Planned:
    return planned(
        """
        shared = parts.file_system("shared", network, data_key)
        shared.grant_mount(parts.identity("trainer", "machine"))
        shared.grant_mount(server)
        pulumi.export("id", shared.id)
        """,
        ground=True,
    )


def test_shared_files_are_nfs_on_disks_over_three_zones(files: Planned) -> None:
    account = files.named("storage:StorageAccount", "shared-files").inputs
    assert (account["kind"], account["sku"]["name"]) == ("FileStorage", "Premium_ZRS")
    assert files.only("storage:FileShare").inputs["enabledProtocols"] == "NFS"


def test_shared_files_are_mounted_by_the_address_that_the_boot_script_is_told(files: Planned) -> None:
    account = files.named("storage:StorageAccount", "shared-files").inputs["accountName"]
    assert files.outputs["id"] == f"{account}.file.core.windows.net:/{account}/shared"


def test_shared_files_take_tls_alone_and_no_keys_or_calls_from_outside(files: Planned) -> None:
    account = files.named("storage:StorageAccount", "shared-files").inputs
    assert account["enableHttpsTrafficOnly"] is True
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert account["allowSharedKeyAccess"] is False
    assert account["publicNetworkAccess"] == "Disabled"
    assert account["networkRuleSet"]["defaultAction"] == "Deny"


def test_shared_files_are_under_the_key_that_was_given(files: Planned) -> None:
    encryption = files.named("storage:StorageAccount", "shared-files").inputs["encryption"]
    assert encryption["keySource"] == "Microsoft.Keyvault"
    assert encryption["keyVaultProperties"]["keyName"] == files.named("keyvault:Key", "data").inputs["keyName"]
    assert encryption["services"] == {"file": {"enabled": True, "keyType": "Account"}}


def test_shared_files_have_a_door_in_the_network(files: Planned) -> None:
    door = files.named("network:PrivateEndpoint", "shared-files-file").inputs
    (connection,) = door["privateLinkServiceConnections"]
    assert connection["privateLinkServiceId"] == files.named("storage:StorageAccount", "shared-files").outputs["id"]
    assert connection["groupIds"] == ["file"]


def test_the_network_lets_members_out_to_the_files_once_somebody_was_granted_them(files: Planned) -> None:
    rules = [
        row.inputs for row in files.of_type("network:SecurityRule") if row.inputs["destinationPortRange"] == "2049"
    ]
    assert [(rule["direction"], rule["access"]) for rule in rules] == [("Outbound", "Allow"), ("Inbound", "Allow")]
    (member,) = rules[0]["sourceApplicationSecurityGroups"]
    assert member["id"] == files.only("network:ApplicationSecurityGroup").outputs["id"]
    assert rules[1]["sourceAddressPrefix"] == "10.10.0.0/20"  # the machines' subnet


def test_nobody_reaches_the_files_before_a_grant() -> None:
    ungranted = planned('parts.file_system("shared", network, data_key)', ground=True)
    ports = {row.inputs["destinationPortRange"] for row in ungranted.of_type("network:SecurityRule")}
    assert "2049" not in ports


@pytest.mark.parametrize("disposable", [True, False])
def test_files_are_kept_from_a_mistake_unless_the_environment_is_disposable(disposable: bool) -> None:
    plan = planned('parts.file_system("shared", network, data_key)', ground=True, disposable=disposable)
    for row in (plan.named("storage:StorageAccount", "shared-files"), plan.only("storage:FileShare")):
        assert bool(row.options.get("protect")) is not disposable
    kept = plan.named("storage:FileServiceProperties", "shared").inputs["shareDeleteRetentionPolicy"]
    assert kept == {"enabled": True, "days": 30}
