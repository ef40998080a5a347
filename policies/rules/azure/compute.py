"""Machines and scale sets on Azure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policies.graph import Graph, Resource, is_known, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.reading import UNKNOWN, every, given, on, one_of, read, same

MACHINE, SET = "azure-native:compute:VirtualMachine", "azure-native:compute:VirtualMachineScaleSet"
INTERFACE = "azure-native:network:NetworkInterface"
PROFILE = {MACHINE: "", SET: "virtualMachineProfile."}


def _password(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    at = PROFILE[resource.kind] + "osProfile"
    linux = read(resource, f"{at}.linuxConfiguration")
    path = f"{at}.linuxConfiguration.disablePasswordAuthentication"
    disabled = read(resource, path)
    if disabled is UNKNOWN:
        yield undetermined("Nobody knows whether it takes passwords before the deployment.", path)
    elif disabled is not None and same(disabled, False):
        yield fail("It takes passwords over SSH.", path)
    elif disabled is None and isinstance(linux, Mapping) and read(resource, f"{at}.adminPassword") is not None:
        yield fail("It takes a password over SSH.", f"{at}.adminPassword")


def _address(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if resource.kind == INTERFACE:
        paths = ("ipConfigurations.*.publicIPAddress",)
    elif resource.kind == MACHINE:
        paths = ("networkProfile.networkInterfaceConfigurations.*.ipConfigurations.*.publicIPAddressConfiguration",)
    else:
        paths = (
            "virtualMachineProfile.networkProfile.networkInterfaceConfigurations.*.ipConfigurations.*"
            ".publicIPAddressConfiguration",
        )
    for path in paths:
        for where, value in every(given(resource), path):
            if value is not None:
                yield fail("It has an address on the internet.", where)


def _host(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    path = PROFILE[resource.kind] + "securityProfile.encryptionAtHost"
    if read(resource, path) is not UNKNOWN and not on(resource, path):
        yield fail("Its temporary disk and its caches are not encrypted.", path)


def _is_spot(row: Resource) -> bool:
    return one_of(read(row, "virtualMachineProfile.priority"), "Spot", "Low")


def _spot(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if not _is_spot(resource):
        return
    floor = read(resource, "priorityMixPolicy.baseRegularPriorityCount")
    if floor is UNKNOWN or (isinstance(floor, int | float) and floor > 0):
        return
    if any(not _is_spot(row) for row in graph.of_type(SET) if row is not resource):
        return
    yield fail("All its machines are spot machines: all can go at once.", "priorityMixPolicy.baseRegularPriorityCount")


def _zones(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    zones = read(resource, "zones")
    capacity = read(resource, "sku.capacity")
    several = not isinstance(capacity, int | float) or capacity > 1
    if several and isinstance(zones, list) and is_known(zones) and len(listed(zones)) == 1:
        yield fail("All its machines are in one zone.", "zones")


RULES = (
    Rule(
        "GW-AZ-060",
        "A machine must take no passwords over SSH",
        "high",
        "Passwords are guessed by scanners, day and night.",
        "Set `disable_password_authentication=True` and a public key.",
        ("IA-2", "AC-17"),
        (MACHINE, SET),
        _password,
    ),
    Rule(
        "GW-AZ-061",
        "A machine must have no address on the internet",
        "medium",
        "An address is found by scanners in minutes, and each is another way in.",
        "Leave the public address out; use a load balancer or a NAT gateway, and Azure Bastion for SSH.",
        ("SC-7", "AC-17"),
        (MACHINE, SET, INTERFACE),
        _address,
        "advisory",
    ),
    Rule(
        "GW-AZ-062",
        "A machine's disks must be encrypted at its host",
        "low",
        "Temporary disks and caches hold pieces of the data, and are left out of the disks' own encryption.",
        "Set `security_profile` with `encryption_at_host=True`.",
        ("SC-28",),
        (MACHINE, SET),
        _host,
        "advisory",
    ),
    Rule(
        "GW-AZ-063",
        "Spot machines must have a floor",
        "medium",
        "Azure may take all spot machines back within thirty seconds: then nothing runs.",
        "Set `priority_mix_policy` with a `base_regular_priority_count`, or keep a second set of standard machines.",
        ("CP-10", "SC-6"),
        (SET,),
        _spot,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AZ-064",
        "A scale set must be in two zones",
        "medium",
        "When its zone fails, all of it fails.",
        "Name two `zones` or more.",
        ("CP-10", "SC-36"),
        (SET,),
        _zones,
        "advisory",
    ),
)
