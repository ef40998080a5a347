"""Machines to train on: sizes, floor, disks, doors, and what a machine is told when it starts."""

import base64
import json
import subprocess
from functools import cache
from typing import Any

import pytest

from infra.azure.boot import SCRIPT
from infra.azure.sizes import SIZES
from infra.shape import Accelerator
from tests.infra.azure.planned import Planned, planned

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA nobody@example.com"


@cache
def trainer(accelerator: str = "none", on_demand: int = 1) -> Planned:
    return planned(
        f"""
        shared = parts.file_system("shared", network, data_key)
        identity = parts.identity("trainer", "machine")
        command = ("python", "-m", "app", "it's")
        container = Container(container.image, identity, network, logs_key, command, {{"A": "b c"}})
        access = Access({KEY!r}, ("192.168.7.0/24",), (6006,))
        parts.trainer("trainer", TrainerArgs(container, Fleet({accelerator!r}, 4, {on_demand}, 20), access, shared))
        """,
        ground=True,
    )


@pytest.fixture(scope="module")
def plan() -> Planned:
    return trainer()


@pytest.fixture(scope="module")
def machines(plan: Planned) -> dict[str, Any]:
    return plan.only("compute:VirtualMachineScaleSet").inputs


def test_spot_is_looked_for_in_several_sizes_and_zones(machines: dict[str, Any]) -> None:
    assert machines["orchestrationMode"] == "Flexible"
    assert machines["zones"] == ["1", "2"]
    assert machines["sku"]["name"] == "Mix"
    assert [size["name"] for size in machines["skuProfile"]["vmSizes"]] == [size.name for size in SIZES["none"]]
    profile = machines["virtualMachineProfile"]
    assert (profile["priority"], profile["evictionPolicy"], profile["billingProfile"]) == (
        "Spot",
        "Delete",
        {"maxPrice": -1},
    )


@pytest.mark.parametrize("accelerator", ["gpu-small", "gpu-large"])
def test_a_gpu_is_chosen_by_need(accelerator: Accelerator) -> None:
    machines = trainer(accelerator).only("compute:VirtualMachineScaleSet").inputs
    assert machines["sku"]["name"] == SIZES[accelerator][0].name
    assert "skuProfile" not in machines  # Azure mixes no sizes with a GPU


@pytest.mark.parametrize("floor", [0, 1, 3])
def test_the_floor_is_never_spot_the_maximum_holds_and_an_idle_set_goes_back_to_its_floor(floor: int) -> None:
    plan = trainer(on_demand=floor)
    row = plan.only("compute:VirtualMachineScaleSet")
    assert row.inputs["priorityMixPolicy"] == {
        "baseRegularPriorityCount": floor,
        "regularPriorityPercentageAboveBase": 0,
    }
    assert row.inputs["sku"]["capacity"] == floor
    assert row.options["ignoreChanges"] == ["sku.capacity"]
    bounds = plan.only("monitor:AutoscaleSetting").inputs
    assert bounds["targetResourceUri"] == row.outputs["id"]
    (profile,) = bounds["profiles"]
    assert profile["capacity"] == {"minimum": str(floor), "maximum": "4", "default": str(floor)}
    (idle,) = profile["rules"]
    assert idle["metricTrigger"]["metricResourceUri"] == row.outputs["id"]
    assert (idle["metricTrigger"]["metricName"], idle["metricTrigger"]["timeWindow"]) == ("Percentage CPU", "PT20M")
    assert idle["scaleAction"]["direction"] == "Decrease"
    assert (idle["scaleAction"]["type"], idle["scaleAction"]["value"]) == ("ExactCount", str(floor))


def test_only_the_key_opens_a_machine_and_only_from_the_listed_networks(
    plan: Planned, machines: dict[str, Any]
) -> None:
    system = machines["virtualMachineProfile"]["osProfile"]
    assert system["linuxConfiguration"]["disablePasswordAuthentication"] is True
    assert [key["keyData"] for key in system["linuxConfiguration"]["ssh"]["publicKeys"]] == [KEY]
    assert "adminPassword" not in system
    rules = [row.inputs for row in plan.of_type("network:SecurityRule")]
    ssh = [rule for rule in rules if rule["destinationPortRange"] == "22"]
    assert [(rule["sourceAddressPrefix"], rule["direction"]) for rule in ssh] == [("192.168.7.0/24", "Inbound")]
    port = [rule for rule in rules if rule["destinationPortRange"] == "6006"]
    members = {"id": plan.only("network:ApplicationSecurityGroup").outputs["id"]}
    assert [rule["direction"] for rule in port] == ["Inbound", "Outbound"]
    assert all(rule["sourceApplicationSecurityGroups"] == [members] for rule in port)


def test_a_machine_has_no_public_address(machines: dict[str, Any]) -> None:
    (interface,) = machines["virtualMachineProfile"]["networkProfile"]["networkInterfaceConfigurations"]
    (address,) = interface["ipConfigurations"]
    assert "publicIPAddressConfiguration" not in address
    assert address["applicationSecurityGroups"]


def test_disks_are_under_our_key_on_the_host_too(plan: Planned, machines: dict[str, Any]) -> None:
    profile = machines["virtualMachineProfile"]
    disk_key = plan.only("compute:DiskEncryptionSet")
    disk = profile["storageProfile"]["osDisk"]["managedDisk"]
    assert disk["diskEncryptionSet"] == {"id": disk_key.outputs["id"]}
    assert profile["securityProfile"]["encryptionAtHost"] is True
    key = plan.named("keyvault:Key", "logs")
    assert disk_key.inputs["activeKey"]["keyUrl"] == key.outputs["keyUriWithVersion"]
    assert disk_key.inputs["rotationToLatestKeyVersionEnabled"] is True


@pytest.mark.parametrize(("accelerator", "secure"), [("none", True), ("gpu-small", False)])
def test_machines_start_trusted_and_verified_wherever_their_driver_is_signed(accelerator: str, secure: bool) -> None:
    profile = trainer(accelerator).only("compute:VirtualMachineScaleSet").inputs["virtualMachineProfile"]
    security = profile["securityProfile"]
    assert security["securityType"] == "TrustedLaunch"
    assert security["uefiSettings"] == {"secureBootEnabled": secure, "vTpmEnabled": True}


def test_a_machine_is_told_before_it_goes(machines: dict[str, Any]) -> None:
    events = machines["virtualMachineProfile"]["scheduledEventsProfile"]
    assert events["terminateNotificationProfile"] == {"enable": True, "notBeforeTimeout": "PT15M"}


def test_a_machine_runs_as_the_trainer_which_may_take_machines_out_of_this_set_and_no_more(
    plan: Planned, machines: dict[str, Any]
) -> None:
    identity = plan.named("managedidentity:UserAssignedIdentity", "trainer").outputs
    assert machines["identity"] == {"type": "UserAssigned", "userAssignedIdentities": [identity["id"]]}
    (role,) = [row for row in plan.of_type("authorization:RoleDefinition") if row.name == "trainer-leave"]
    (permission,) = role.inputs["permissions"]
    assert permission["actions"] == ["Microsoft.Compute/virtualMachineScaleSets/delete/action"]
    assert permission["dataActions"] == []
    leave = plan.granted("trainer-leave-trainer").inputs
    assert leave["scope"] == plan.only("compute:VirtualMachineScaleSet").outputs["id"]
    assert leave["principalId"] == identity["principalId"]


def test_a_machine_starts_with_the_shared_script_behind_its_variables(plan: Planned, machines: dict[str, Any]) -> None:
    script = base64.b64decode(machines["virtualMachineProfile"]["osProfile"]["customData"]).decode()
    assert script.startswith("#!/bin/bash\n")
    assert script.endswith(SCRIPT.read_text(encoding="utf-8"))
    head = script.removesuffix(SCRIPT.read_text(encoding="utf-8"))
    seen = subprocess.run(["bash"], input=head + "\nenv -0", capture_output=True, text=True, check=True).stdout
    variables = dict(line.split("=", 1) for line in seen.split("\0") if line)
    client = plan.named("managedidentity:UserAssignedIdentity", "trainer").outputs["clientId"]
    account = plan.named("storage:StorageAccount", "shared-files").inputs["accountName"]
    assert variables["CLOUD"] == "azure"
    assert variables["AZURE_CLIENT_ID"] == client
    assert variables["IMAGE"].endswith("@sha256:" + "0" * 64)
    assert json.loads(variables["COMMAND"]) == ["python", "-m", "app", "it's"]
    assert json.loads(variables["ENVIRONMENT"]) == {"A": "b c", "AZURE_CLIENT_ID": client}
    assert variables["IDLE_MINUTES"] == "20"
    assert variables["SHARED"] == f"{account}.file.core.windows.net:/{account}/shared"
    group = plan.only("compute:VirtualMachineScaleSet").inputs
    assert variables["MACHINES"].endswith(
        f"/resourceGroups/{group['resourceGroupName']}/providers/Microsoft.Compute/virtualMachineScaleSets/{group['vmScaleSetName']}"
    )


def test_the_whole_internet_is_refused_with_a_sentence() -> None:
    with pytest.raises(Exception, match=r"0\.0\.0\.0/0 is the whole internet"):
        planned(f'Access({KEY!r}, ("0.0.0.0/0",))')


def test_a_machines_script_fits_into_what_azure_takes() -> None:
    assert len(base64.b64encode(SCRIPT.read_bytes())) < 65536 - 8192  # the limit of custom data, and its variables
