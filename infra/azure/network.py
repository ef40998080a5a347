"""A private network (VNet). No subnet has a public address, or Azure's default way to the internet."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Literal

import pulumi
from pulumi_azure_native import network, privatedns

from infra.azure.identity import Identity
from infra.azure.names import NETWORK_RULES, VIRTUAL_NETWORK, Account
from infra.azure.policy import BLOB_CONTRIBUTOR, built_in, grant
from infra.azure.store import Store
from infra.azure.watch import Log
from infra.context import Context

HTTPS = 443
Direction = Literal["Inbound", "Outbound"]
DIRECTIONS: tuple[Direction, ...] = ("Inbound", "Outbound")
SUBNET_BITS = 4  # sixteen subnets in the range, of which these take the first, and what each is handed over to
SUBNETS: dict[str, str | None] = {
    "workloads": None,
    "apps": "Microsoft.App/environments",
    "endpoints": None,
    "functions": "Microsoft.App/environments",  # a function that scales by calls wants a subnet of its own
    "gateway": "Microsoft.Web/serverFarms",
    "nodes": None,
    "masters": "Microsoft.ContainerService/managedClusters",
}
# What stands behind a private endpoint, and the zone in which its private address is found.
ZONES = {
    "Gateway": "privatelink.azure-api.net",
    "blob": "privatelink.blob.core.windows.net",
    "file": "privatelink.file.core.windows.net",
    "queue": "privatelink.queue.core.windows.net",
    "registry": "privatelink.azurecr.io",
    "sites": "privatelink.azurewebsites.net",
    "table": "privatelink.table.core.windows.net",
}
# What an environment of Container Apps must reach. Source: Microsoft, "Secure a virtual network in Container Apps".
PLATFORM = ("MicrosoftContainerRegistry", "AzureFrontDoor.FirstParty", "AzureActiveDirectory", "AzureMonitor")
LAST = 4096  # the priority that is asked last
FIRST = 100


class Network(pulumi.ComponentResource):
    """Subnets that refuse whatever is not let in by name, endpoints for storage and registry, a record of all flows.

    A subnet of Azure spans its zones, so there is one for each use. Machines wear the application security group
    `members` to be let out to the endpoints; what runs in Container Apps is let out by its subnet. `log` is where
    the environment's workloads log to.
    """

    id: pulumi.Output[str]
    subnets: Sequence[pulumi.Output[str]]
    members: pulumi.Output[str]
    callers: tuple[str, ...]
    subnet: Mapping[str, pulumi.Output[str]]
    ranges: Mapping[str, str]
    log: Log

    def __init__(
        self,
        addresses: str,
        callers: tuple[str, ...],
        log: Log,
        flows: Store,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Network", "network", None, opts)
        self._account, self._ctx, self._child = account, ctx, pulumi.ResourceOptions(parent=self)
        self.callers, self.log = callers, log
        self._zones: dict[str, pulumi.Output[str]] = {}
        self._rules: dict[str, list[network.SecurityRule]] = {}
        net = network.VirtualNetwork(
            "network",
            virtual_network_name=ctx.name("network", VIRTUAL_NETWORK),
            resource_group_name=account.group,
            location=account.location,
            address_space={"address_prefixes": [addresses]},
            tags=ctx.tags,
            opts=self._child,
        )
        self.id, self._net = net.id, net.name
        blocks = ipaddress.IPv4Network(addresses).subnets(prefixlen_diff=SUBNET_BITS)
        self.ranges = {name: str(block) for name, block in zip(SUBNETS, blocks, strict=False)}
        self._groups = {name: self._closed(name) for name in SUBNETS}
        self.subnet = self._subnets()
        self.subnets = [self.subnet["workloads"]]
        self.members = network.ApplicationSecurityGroup(
            "members",
            application_security_group_name=ctx.name("members", NETWORK_RULES),
            resource_group_name=account.group,
            location=account.location,
            tags=ctx.tags,
            opts=self._child,
        ).id
        self._open()
        self._record(flows)
        self.register_outputs({"id": self.id, "subnets": self.subnets, "members": self.members})

    def rule(
        self,
        name: str,
        subnet: str,
        direction: Direction,
        ports: str,
        *,
        source: str | pulumi.Output[str],
        destination: str,
        protocol: Literal["Tcp", "Udp", "*"] = "Tcp",
        access: Literal["Allow", "Deny"] = "Allow",
        priority: int | None = None,
    ) -> None:
        """Let one kind of traffic into or out of a subnet. `source` may be an application security group (its id)."""
        before = self._rules.setdefault(subnet, [])
        group = isinstance(source, pulumi.Output)
        rule = network.SecurityRule(
            name,
            security_rule_name=name,
            network_security_group_name=self._groups[subnet].name,
            resource_group_name=self._account.group,
            description=name,
            direction=direction,
            access=access,
            protocol=protocol,
            priority=priority or FIRST + len(before),
            source_address_prefix=None if group else source,
            source_application_security_groups=[{"id": source}] if group else None,
            source_port_range="*",
            destination_address_prefix=destination,
            destination_port_range=ports,
            # Azure refuses a second change of a group while the first one is under way: one after the other.
            opts=pulumi.ResourceOptions(parent=self, depends_on=before[-1:]),
        )
        before.append(rule)

    def door(self, name: str, resource: pulumi.Input[str], kind: str, *, parent: pulumi.Resource) -> pulumi.Resource:
        """A private endpoint: from within the network, the resource has an address of the network and no other."""
        opts = pulumi.ResourceOptions(parent=parent)
        full_name = self._ctx.name(f"{name}-{kind}", NETWORK_RULES)
        endpoint = network.PrivateEndpoint(
            f"{name}-{kind}",
            private_endpoint_name=full_name,
            resource_group_name=self._account.group,
            location=self._account.location,
            subnet={"id": self.subnet["endpoints"]},
            private_link_service_connections=[
                {"name": full_name, "private_link_service_id": resource, "group_ids": [kind]}
            ],
            tags=self._ctx.tags,
            opts=opts,
        )
        return network.PrivateDnsZoneGroup(
            f"{name}-{kind}",
            private_dns_zone_group_name="default",
            private_endpoint_name=endpoint.name,
            resource_group_name=self._account.group,
            private_dns_zone_configs=[{"name": kind, "private_dns_zone_id": self._zone(kind)}],
            opts=opts,
        )

    def _zone(self, kind: str) -> pulumi.Output[str]:
        """The zone of one kind of endpoint, made when the first of them needs it."""
        if kind not in self._zones:
            zone = privatedns.PrivateZone(
                kind,
                private_zone_name=ZONES[kind],
                resource_group_name=self._account.group,
                location="global",
                tags=self._ctx.tags,
                opts=self._child,
            )
            self.link(kind, zone)
            self._zones[kind] = zone.id
        return self._zones[kind]

    def link(self, name: str, zone: privatedns.PrivateZone) -> None:
        """Have the network ask a private zone for its names."""
        privatedns.VirtualNetworkLink(
            name,
            virtual_network_link_name=self._ctx.name(name, NETWORK_RULES),
            private_zone_name=zone.name,
            resource_group_name=self._account.group,
            location="global",
            registration_enabled=False,
            virtual_network={"id": self.id},
            tags=self._ctx.tags,
            opts=self._child,
        )

    def _closed(self, name: str) -> network.NetworkSecurityGroup:
        return network.NetworkSecurityGroup(
            name,
            network_security_group_name=self._ctx.name(name, NETWORK_RULES),
            resource_group_name=self._account.group,
            location=self._account.location,
            tags=self._ctx.tags,
            opts=self._child,
        )

    def _subnets(self) -> dict[str, pulumi.Output[str]]:
        """One after the other, as Azure refuses two changes of a network at once."""
        made: list[network.Subnet] = []
        for name, handed_to in SUBNETS.items():
            subnet = network.Subnet(
                name,
                subnet_name=self._ctx.name(name, NETWORK_RULES),
                virtual_network_name=self._net,
                resource_group_name=self._account.group,
                address_prefix=self.ranges[name],
                network_security_group={"id": self._groups[name].id},
                default_outbound_access=False,
                private_endpoint_network_policies="Enabled",  # or the group's rules would not hold for endpoints
                delegations=[{"name": "delegation", "service_name": handed_to}] if handed_to else None,
                opts=pulumi.ResourceOptions(parent=self, depends_on=made[-1:]),
            )
            made.append(subnet)
        return dict(zip(SUBNETS, (subnet.id for subnet in made), strict=True))

    def _open(self) -> None:
        """Who may talk to whom. Whatever is not named here is refused, also within the network."""
        apps, endpoints = self.ranges["apps"], self.ranges["endpoints"]
        for name in SUBNETS:
            for direction in DIRECTIONS:
                self.rule(
                    f"{name}-{direction}-closed".lower(), name, direction, "*",
                    source="*", destination="*", protocol="*", access="Deny", priority=LAST,
                )  # fmt: skip
        https = str(HTTPS)
        self.rule("members-to-endpoints", "workloads", "Outbound", https, source=self.members, destination=endpoints)
        for name in ("workloads", "apps", "functions", "nodes"):
            self.rule(f"{name}-in", "endpoints", "Inbound", https, source=self.ranges[name], destination=endpoints)
        for name in ("apps", "functions"):
            of = self.ranges[name]
            self.rule(f"{name}-to-endpoints", name, "Outbound", https, source=of, destination=endpoints)
            for service in PLATFORM:
                rule = f"{name}-to-{service.replace('.', '-').lower()}"
                self.rule(rule, name, "Outbound", https, source=of, destination=service)
        for direction in DIRECTIONS:
            self.rule(f"apps-{direction}".lower(), "apps", direction, "*", source=apps, destination=apps, protocol="*")
        self.rule("balancer", "apps", "Inbound", "30000-32767", source="AzureLoadBalancer", destination=apps)
        for caller in self.callers:
            name = "callers-" + caller.translate({ord("."): "-", ord("/"): "-"})
            for port in (https, "31443"):  # 31443 is where the balancer hands calls of 443 to
                self.rule(f"{name}-{port}", "apps", "Inbound", port, source=caller, destination=apps)

    def _record(self, flows: Store) -> None:
        """All flows, written by an identity of their own. Azure makes a region's watcher with its first network."""
        recorder = Identity("flow-recorder", "flow-log", account=self._account, ctx=self._ctx, opts=self._child)
        may_write = grant(
            recorder,
            "write",
            "flows",
            built_in(BLOB_CONTRIBUTOR, self._account),
            flows.account,  # not a container in it: the recorder makes its own
            account=self._account,
            ctx=self._ctx,
            parent=self,
        )
        network.FlowLog(
            "flow",
            flow_log_name=self._ctx.name("flow", NETWORK_RULES),
            network_watcher_name=f"NetworkWatcher_{self._account.location}",
            resource_group_name="NetworkWatcherRG",
            location=self._account.location,
            target_resource_id=self.id,
            storage_id=flows.account,
            enabled=True,
            format={"type": "JSON", "version": 2},
            identity={
                "type": network.ResourceIdentityType.USER_ASSIGNED,
                "user_assigned_identities": [recorder.id],
            },
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may_write]),
        )
