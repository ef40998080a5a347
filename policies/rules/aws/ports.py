"""What a network lets in from everywhere."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies.graph import Graph, Resource, is_known, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.aws.reading import number, rows_of

GROUP = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
LIGHTSAIL = "aws:lightsail/instancePublicPorts:InstancePublicPorts"
TYPES = (GROUP, DEFAULT_GROUP, GROUP_RULE, INGRESS_RULE, LIGHTSAIL)

ADMIN = {22: "SSH", 3389: "RDP"}
INSIDE = {
    **{21: "FTP", 23: "Telnet", 135: "RPC", 445: "SMB", 5985: "WinRM", 5986: "WinRM", 5900: "VNC"},
    **{1433: "SQL Server", 1521: "Oracle", 3306: "MySQL", 5432: "PostgreSQL", 5439: "Redshift", 27017: "MongoDB"},
    **{6379: "Redis", 11211: "Memcached", 9042: "Cassandra", 9200: "Elasticsearch", 9300: "Elasticsearch"},
    **{2375: "Docker", 2376: "Docker", 2379: "etcd", 10250: "the kubelet", 2049: "NFS", 9092: "Kafka", 8888: "Jupyter"},
}
WIDE = 1000  # ports: no one service needs so many


@dataclass(frozen=True)
class Opening:
    """Ports that are open to some networks; a protocol of None is one that the program does not know yet."""

    protocol: str | None
    first: int
    last: int
    networks: tuple[Any, ...]
    path: str

    @property
    def all(self) -> bool:
        return self.protocol in ("-1", "all")

    def holds(self, port: int) -> bool:
        return self.all or (self.protocol in ("tcp", "6", "udp", "17") and self.first <= port <= self.last)


def world(network: Any) -> bool:
    """Whether a CIDR block is, or is as good as, the whole internet: `0.0.0.0/0`, `::/0`, half of it, `2000::/3`."""
    try:
        block = ipaddress.ip_network(str(network).strip(), strict=False)
    except ValueError:
        return False
    return block.prefixlen < (8 if block.version == 4 else 4)


def _opening(row: Mapping[str, Any], protocol: str, networks: list[str], path: str) -> Opening:
    kind = row.get(protocol)
    first, last = number(row.get("fromPort")), number(row.get("toPort"))
    if first is None or first < 0:
        first, last = 0, 65535 if first is None or last is None or last < 0 else last
    found = [
        value for key in networks for value in (listed(row.get(key)) if is_known(row.get(key)) else [row.get(key)])
    ]
    known = is_known([kind, row.get("fromPort"), row.get("toPort")])
    name = str(int(kind)) if isinstance(kind, float) else str(kind).lower()
    return Opening(name if known else None, int(first), int(65535 if last is None else last), tuple(found), path)


def openings(resource: Resource) -> Iterator[Opening]:
    """What a resource lets in."""
    if resource.type == INGRESS_RULE:
        yield _opening(resource.inputs, "ipProtocol", ["cidrIpv4", "cidrIpv6"], "")
    elif resource.type == GROUP_RULE:
        if resource.get("type") == "ingress":
            yield _opening(resource.inputs, "protocol", ["cidrBlocks", "ipv6CidrBlocks"], "")
    elif resource.type == LIGHTSAIL:
        for index, row in enumerate(rows_of(resource.get("portInfos"))):
            said = row if row.get("cidrs") or row.get("ipv6Cidrs") else {**row, "cidrs": ["0.0.0.0/0"]}
            yield _opening(said, "protocol", ["cidrs", "ipv6Cidrs"], f"portInfos.{index}")
    else:
        for index, row in enumerate(rows_of(resource.get("ingress"))):
            yield _opening(row, "protocol", ["cidrBlocks", "ipv6CidrBlocks"], f"ingress.{index}")


def _judge(resource: Resource, ports: Mapping[int, str]) -> Iterator[Verdict]:
    if not is_known(resource.get("ingress")) and not rows_of(resource.get("ingress")):
        yield undetermined("What it lets in is not known before the deployment.", "ingress")
    for row in openings(resource):
        names = sorted({f"{name} (port {port})" for port, name in ports.items() if row.holds(port)})
        everywhere = [str(network) for network in row.networks if is_known(network) and world(network)]
        if names and everywhere:
            meant = ", ".join(names) if len(names) < 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
            yield fail(f"It opens {meant} to {everywhere[0]}.", row.path)
        elif (row.protocol is None and everywhere) or (names and not is_known(list(row.networks))):
            yield undetermined("To whom which ports are opened is not known before the deployment.", row.path)


def _admin(resource: Resource, _: Graph) -> Iterator[Verdict]:
    return _judge(resource, ADMIN)


def _inside(resource: Resource, _: Graph) -> Iterator[Verdict]:
    return _judge(resource, INSIDE)


def _everything(resource: Resource, _: Graph) -> Iterator[Verdict]:
    for row in openings(resource):
        wide = row.all or (row.protocol in ("tcp", "6", "udp", "17") and row.last - row.first >= WIDE)
        everywhere = [str(network) for network in row.networks if is_known(network) and world(network)]
        if wide and everywhere:
            ports = "all ports of all protocols" if row.all else f"ports {row.first} to {row.last}"
            yield fail(f"It opens {ports} to {everywhere[0]}.", row.path)


RULES = (
    Rule(
        "GW-AWS-001",
        "The internet must not reach SSH or remote desktop",
        "critical",
        "Every machine behind the group is tried with stolen and guessed credentials within minutes.",
        "Reach machines through Session Manager, or name the networks that need the port in place of 0.0.0.0/0.",
        ("AC-4", "AC-17", "SC-7"),
        TYPES,
        _admin,
    ),
    Rule(
        "GW-AWS-002",
        "The internet must not reach a database or an internal service",
        "critical",
        "Data stores and control interfaces are found by scanners and emptied; many of them ask for no password.",
        "Name the security group of the clients as the source (referenced_security_group_id) in place of a network.",
        ("AC-4", "CM-7", "SC-7"),
        TYPES,
        _inside,
    ),
    Rule(
        "GW-AWS-003",
        "The internet must not reach a thousand ports or more",
        "high",
        "Whatever is ever started behind the group is public from its first second, meant or not.",
        "Open the one port that is served, 443 as a rule, and nothing else.",
        ("AC-4", "CM-7", "SC-7"),
        TYPES,
        _everything,
    ),
)
