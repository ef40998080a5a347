"""Ways into a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policies.graph import Graph, Resource, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.reading import (
    UNKNOWN,
    every,
    given,
    guarded_ports,
    is_world,
    must_not,
    named,
    one_of,
    ports,
    read,
)

GROUP, RULE = "azure-native:network:NetworkSecurityGroup", "azure-native:network:SecurityRule"
INLINE = {
    GROUP: "securityRules.*",
    "azure-native:network:Subnet": "networkSecurityGroup.securityRules.*",
    "azure-native:network:VirtualNetwork": "subnets.*.networkSecurityGroup.securityRules.*",
}
GATEWAY = "azure-native:network:ApplicationGateway"
OLD_POLICIES = ("AppGwSslPolicy20150501", "AppGwSslPolicy20170401")


def _items(rule: Mapping[str, Any], *names: str) -> list[Any]:
    """What a rule says in one of its forms, alone or as a list; an unknown form as one UNKNOWN."""
    found: list[Any] = []
    for name in names:
        for _, value in every({name: rule.get(name)}, name):
            found += [UNKNOWN] if value is UNKNOWN else listed(value)
    return [UNKNOWN if isinstance(value, Mapping) else value for value in found]


def _rules(resource: Resource) -> Iterator[tuple[str, Any]]:
    if resource.kind == RULE:
        yield "", given(resource)
    else:
        yield from every(given(resource), INLINE[resource.kind])


def _lets_in(rule: Mapping[str, Any], *protocols: str) -> bool:
    return (
        one_of(rule.get("access"), "Allow")
        and one_of(rule.get("direction"), "Inbound")
        and one_of(rule.get("protocol"), *protocols)
    )


def _open(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, rule in _rules(resource):
        if rule is UNKNOWN:
            yield undetermined("Nobody knows the rule before the deployment.", path)
            continue
        if not isinstance(rule, Mapping) or not _lets_in(rule, "Tcp", "*"):
            continue
        sources = _items(rule, "sourceAddressPrefix", "sourceAddressPrefixes")
        targets = _items(rule, "destinationPortRange", "destinationPortRanges")
        reached = guarded_ports(value for value in targets if value is not UNKNOWN)
        where = f"{path}.destinationPortRange".lstrip(".")
        if reached and any(value is not UNKNOWN and is_world(value) for value in sources):
            yield fail(f"Anyone on the internet reaches port {named(reached)}.", where)
        elif (reached or UNKNOWN in targets) and UNKNOWN in sources:
            yield undetermined("Nobody knows from where it lets in before the deployment.", where)


def _every_udp_port(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, rule in _rules(resource):
        if not isinstance(rule, Mapping) or not _lets_in(rule, "Udp"):
            continue
        sources = _items(rule, "sourceAddressPrefix", "sourceAddressPrefixes")
        targets = [
            value for value in _items(rule, "destinationPortRange", "destinationPortRanges") if value is not UNKNOWN
        ]
        world = any(value is not UNKNOWN and is_world(value) for value in sources)
        if world and any(high - low > 60000 for low, high in ports(targets)):
            yield fail("Anyone on the internet reaches every UDP port.", f"{path}.destinationPortRange".lstrip("."))


def _bare_subnet(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    name = str(read(resource, "subnetName") or read(resource, "name") or resource.name)
    platforms = ("GatewaySubnet", "AzureFirewallSubnet", "AzureFirewallManagementSubnet", "RouteServerSubnet")
    if name in (*platforms, "AzureBastionSubnet") or read(resource, "networkSecurityGroup") is not None:
        return
    yield fail("It has no security group.", "networkSecurityGroup")


def _plain_listener(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    plain = [path for path, value in every(given(resource), "httpListeners.*.protocol") if one_of(value, "Http")]
    if plain and not listed(read(resource, "redirectConfigurations")):
        yield fail("It serves plain HTTP and redirects nowhere.", plain[0])


RULES = (
    Rule(
        "GW-AZ-001",
        "The internet must not reach a port of administration or of data",
        "critical",
        "Scanners find SSH, RDP or a database within minutes and try passwords and known holes on it.",
        "Name the networks that need it as the source; for SSH and RDP use Azure Bastion.",
        ("SC-7", "AC-17"),
        (RULE, *INLINE),
        _open,
    ),
    Rule(
        "GW-AZ-002",
        "The internet must not reach every UDP port",
        "medium",
        "Services that answer to UDP are found and used to flood others, and no one meant to offer most of them.",
        "Name the ports, or the networks.",
        ("SC-7",),
        (GROUP, RULE),
        _every_udp_port,
        "advisory",
    ),
    Rule(
        "GW-AZ-003",
        "A subnet must have a security group",
        "low",
        "Without one everything in the network, and whatever has a public address, is reached on every port.",
        "Give the subnet a `network_security_group`.",
        ("SC-7",),
        ("azure-native:network:Subnet",),
        _bare_subnet,
        "advisory",
    ),
    Rule(
        "GW-AZ-004",
        "A gateway must take TLS 1.2 or newer",
        "high",
        "TLS 1.0 and 1.1 are broken: what they carry can be read and changed.",
        'Set `ssl_policy` with `policy_name="AppGwSslPolicy20220101"`.',
        ("SC-8", "SC-13"),
        (GATEWAY,),
        lambda resource, graph: [
            *must_not("sslPolicy.policyName", *OLD_POLICIES, message="Its TLS policy {} takes TLS 1.0.")(
                resource, graph
            ),
            *must_not("sslPolicy.minProtocolVersion", "TLSv1_0", "TLSv1_1", message="It takes {}.")(resource, graph),
        ],
    ),
    Rule(
        "GW-AZ-005",
        "A gateway must redirect plain HTTP",
        "medium",
        "What a browser sends over plain HTTP, cookies and passwords included, can be read on its way.",
        "Add a `redirect_configurations` entry to the HTTPS listener and route the HTTP listener to it.",
        ("SC-8",),
        (GATEWAY,),
        _plain_listener,
        "advisory",
    ),
)
