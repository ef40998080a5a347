"""The network: closed by default, with doors to storage and registry, and a record of all flows."""

import ipaddress
from typing import Any

import pytest

from infra.azure.network import SUBNETS
from infra.azure.policy import BLOB_CONTRIBUTOR
from tests.infra.azure.planned import Planned, planned


def plan() -> Planned:
    return planned("", ground=True)


def rules(subnet: str, direction: str) -> list[dict[str, Any]]:
    """The rules of a subnet, as they are asked."""
    named = [row.inputs for row in plan().of_type("network:SecurityRule")]
    of = [row for row in named if row["networkSecurityGroupName"] == f"groundwork-dev-{subnet}"]
    return sorted((row for row in of if row["direction"] == direction), key=lambda row: row["priority"])


@pytest.mark.parametrize("direction", ["Inbound", "Outbound"])
@pytest.mark.parametrize("subnet", SUBNETS)
def test_a_subnet_refuses_what_no_rule_lets_in_or_out(subnet: str, direction: str) -> None:
    *_, last = rules(subnet, direction)
    assert (last["access"], last["protocol"], last["priority"]) == ("Deny", "*", 4096)
    assert {last[f"{side}AddressPrefix"] for side in ("source", "destination")} == {"*"}


@pytest.mark.parametrize("subnet", SUBNETS)
def test_no_two_rules_of_a_subnet_have_the_same_priority(subnet: str) -> None:
    for direction in ("Inbound", "Outbound"):
        priorities = [row["priority"] for row in rules(subnet, direction)]
        assert len(set(priorities)) == len(priorities)


def test_nothing_is_open_to_or_from_the_whole_internet() -> None:
    for subnet in SUBNETS:
        for direction in ("Inbound", "Outbound"):
            for row in rules(subnet, direction)[:-1]:
                for side in ("source", "destination"):
                    assert row.get(f"{side}AddressPrefix") not in ("*", "Internet", "0.0.0.0/0"), row[
                        "securityRuleName"
                    ]


def test_callers_reach_the_apps_by_https_alone() -> None:
    called = [row for row in rules("apps", "Inbound") if row["sourceAddressPrefix"] == "10.0.0.0/8"]
    assert sorted(row["destinationPortRange"] for row in called) == ["31443", "443"]


def test_machines_reach_the_endpoints_alone_and_nobody_reaches_machines() -> None:
    (out, _) = rules("workloads", "Outbound")
    assert out["sourceApplicationSecurityGroups"] == [
        {"id": plan().only("network:ApplicationSecurityGroup").outputs["id"]}
    ]
    assert (out["destinationAddressPrefix"], out["destinationPortRange"]) == ("10.10.32.0/20", "443")
    assert len(rules("workloads", "Inbound")) == 1


def test_no_subnet_has_a_way_out_by_default_and_each_has_rules() -> None:
    subnets = plan().of_type("network:Subnet")
    assert {row.name for row in subnets} == set(SUBNETS)
    for row in subnets:
        assert row.inputs["defaultOutboundAccess"] is False
        assert row.inputs["networkSecurityGroup"]["id"].endswith(f"groundwork-dev-{row.name}")
        assert row.inputs["privateEndpointNetworkPolicies"] == "Enabled"
        assert "natGateway" not in row.inputs


def test_there_is_no_public_address() -> None:
    assert not plan().of_type("network:PublicIPAddress")


def test_subnets_lie_within_the_addresses_and_apart() -> None:
    blocks = [ipaddress.IPv4Network(row.inputs["addressPrefix"]) for row in plan().of_type("network:Subnet")]
    assert all(block.subnet_of(ipaddress.IPv4Network("10.10.0.0/16")) for block in blocks)
    assert not any(one.overlaps(other) for one in blocks for other in blocks if one is not other)


def test_storage_and_registry_have_an_address_within_the_network() -> None:
    doors = {row.name: row.inputs for row in plan().of_type("network:PrivateEndpoint")}
    assert set(doors) == {"logs-blob", "app-registry"}
    for inputs in doors.values():
        assert inputs["subnet"]["id"].endswith("/subnets/groundwork-dev-endpoints")
    zones = {row.inputs["privateZoneName"] for row in plan().of_type("privatedns:PrivateZone")}
    assert zones == {"privatelink.blob.core.windows.net", "privatelink.azurecr.io"}
    links = plan().of_type("privatedns:VirtualNetworkLink")
    assert {row.inputs["privateZoneName"] for row in links} == zones


def test_all_flows_are_recorded_by_an_identity_that_may_do_nothing_else() -> None:
    flow = plan().only("network:FlowLog").inputs
    flows = plan().named("storage:StorageAccount", "flows").outputs
    assert flow["targetResourceId"] == plan().only("network:VirtualNetwork").outputs["id"]
    assert (flow["enabled"], flow["storageId"]) == (True, flows["id"])
    assert flow["networkWatcherName"] == "NetworkWatcher_westeurope"
    granted = [row for row in plan().of_type("authorization:RoleAssignment") if row.name.startswith("flow-recorder")]
    assert [(row.inputs["scope"], row.inputs["roleDefinitionId"][-36:]) for row in granted] == [
        (flows["id"], BLOB_CONTRIBUTOR)
    ]


def test_the_record_of_the_flows_is_encrypted_with_the_key_of_the_logs() -> None:
    encryption = plan().named("storage:StorageAccount", "flows").inputs["encryption"]
    assert encryption["keyVaultProperties"]["keyName"] == "groundwork-dev-logs"
