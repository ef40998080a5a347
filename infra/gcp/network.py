"""A private network (VPC) in one region. It has no way to the internet: one route, to Google's own APIs."""

import ipaddress
from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.names import COMPUTE, DNS_ZONE, NETWORK_TAG, Account
from infra.gcp.watch import Log

# The addresses of Google's APIs for private networks; those that a service perimeter cannot guard do not answer there.
# Source: VPC documentation, "Configure Private Google Access", restricted.googleapis.com.
APIS = "199.36.153.4/30"
DOMAINS = ("googleapis.com", "pkg.dev", "gcr.io")  # APIs, and where images are
HTTPS = 443
SUBNET_BITS = 4  # sixteen subnets in the range: the first for workloads, the second for load balancers
PODS_BITS = 1  # the upper half of the range is for the pods of a cluster, where there is one
PODS, SERVICES = "pods", "services"  # the ranges of addresses by the names that a cluster knows them under
FIRST, LAST = 1000, 65534  # priorities of rules of the firewall: what is open, and then nothing


class Network(pulumi.ComponentResource):
    """A private subnet over all zones of the region, the way to Google's APIs, and a record of every connection.

    Workloads wear the network tag `members` to be let out to those APIs. Nothing else goes in or out. The
    load balancers of the region have a subnet of their own, in which nothing else can be.
    """

    id: pulumi.Output[str]
    subnets: Sequence[pulumi.Output[str]]
    members: pulumi.Output[str]
    callers: tuple[str, ...]
    addresses: str

    def __init__(
        self,
        addresses: str,
        callers: tuple[str, ...],
        flow_log: Log,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Network", "network", None, opts)
        self._ctx, self._account, self._child = ctx, account, pulumi.ResourceOptions(parent=self)
        self.callers, self.addresses = callers, addresses
        network = gcp.compute.Network(
            "network",
            name=ctx.name("network", COMPUTE),
            description=f"{ctx.project} {ctx.environment}",
            project=account.project,
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            delete_default_routes_on_create=True,
            opts=self._child,
        )
        self.id = network.id
        self.subnets = [self._subnets(ipaddress.IPv4Network(addresses), flow_log)]
        self.members = self._way_to_apis()
        self.register_outputs({"id": self.id, "subnets": self.subnets, "members": self.members})

    def _subnets(self, addresses: ipaddress.IPv4Network, flow_log: Log) -> pulumi.Output[str]:
        """The subnet of the workloads; beside it, that of the load balancers' proxies."""
        private, proxies, services, *_ = addresses.subnets(prefixlen_diff=SUBNET_BITS)
        _, pods = addresses.subnets(prefixlen_diff=PODS_BITS)
        gcp.compute.Subnetwork(
            "proxies",
            name=self._ctx.name("proxies", COMPUTE),
            description="Proxies of the region's load balancers",
            project=self._account.project,
            region=self._account.region,
            network=self.id,
            ip_cidr_range=str(proxies),
            purpose="REGIONAL_MANAGED_PROXY",
            role="ACTIVE",
            opts=self._child,
        )
        return gcp.compute.Subnetwork(
            "private",
            name=self._ctx.name("private", COMPUTE),
            description="Workloads",
            project=self._account.project,
            region=self._account.region,
            network=self.id,
            ip_cidr_range=str(private),
            secondary_ip_ranges=[
                {"range_name": PODS, "ip_cidr_range": str(pods)},
                {"range_name": SERVICES, "ip_cidr_range": str(services)},
            ],
            private_ip_google_access=True,
            log_config={
                "aggregation_interval": "INTERVAL_1_MIN",
                "flow_sampling": 1.0,
                "metadata": "INCLUDE_ALL_METADATA",
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[flow_log]),
        ).id

    def _way_to_apis(self) -> pulumi.Output[str]:
        """The one way out of the network, and the tag of those who may take it."""
        gcp.compute.Route(
            "apis",
            name=self._ctx.name("apis", COMPUTE),
            description="To Google's APIs; the gateway takes nothing else anywhere",
            project=self._account.project,
            network=self.id,
            dest_range=APIS,
            next_hop_gateway="default-internet-gateway",
            opts=self._child,
        )
        for domain in DOMAINS:
            self._resolve(domain)
        for direction in ("INGRESS", "EGRESS"):
            self._close(direction)
        return gcp.compute.Firewall(
            "members-to-apis",
            name=self._ctx.name("members-to-apis", COMPUTE),
            description="Workloads that may call Google's APIs",
            project=self._account.project,
            network=self.id,
            direction="EGRESS",
            priority=FIRST,
            allows=[{"protocol": "tcp", "ports": [str(HTTPS)]}],
            destination_ranges=[APIS],
            target_tags=[self._ctx.name("members", NETWORK_TAG)],
            log_config={"metadata": "INCLUDE_ALL_METADATA"},
            opts=self._child,
        ).target_tags.apply(lambda tags: tags[0] if tags else "")

    def _resolve(self, domain: str) -> None:
        """Let every name of the domain lead to the private addresses."""
        name = domain.replace(".", "-")
        zone = gcp.dns.ManagedZone(
            name,
            name=self._ctx.name(name, DNS_ZONE),
            dns_name=f"{domain}.",
            description=f"{domain} within the network",
            project=self._account.project,
            visibility="private",
            private_visibility_config={"networks": [{"network_url": self.id}]},
            labels=self._ctx.tags,
            opts=self._child,
        )
        addresses = [str(address) for address in ipaddress.IPv4Network(APIS)]
        for record, kind, values in (
            (f"{domain}.", "A", addresses),
            (f"*.{domain}.", "CNAME", [f"{domain}."]),
        ):
            gcp.dns.RecordSet(
                f"{name}-{kind.lower()}",
                managed_zone=zone.name,
                name=record,
                type=kind,
                ttl=300,
                rrdatas=values,
                project=self._account.project,
                opts=self._child,
            )

    def _close(self, direction: str) -> None:
        """Nothing goes this way but what a rule before this one opens; what is turned away is written down."""
        everything = ["0.0.0.0/0"]
        gcp.compute.Firewall(
            f"no-{direction.lower()}",
            name=self._ctx.name(f"no-{direction.lower()}", COMPUTE),
            description="Nothing but what another rule opens",
            project=self._account.project,
            network=self.id,
            direction=direction,
            priority=LAST,
            denies=[{"protocol": "all"}],
            source_ranges=everything if direction == "INGRESS" else None,
            destination_ranges=everything if direction == "EGRESS" else None,
            log_config={"metadata": "INCLUDE_ALL_METADATA"},
            opts=self._child,
        )


def flows(ctx: Context) -> str:
    """The filter of what the network writes down: connections, and what the firewall let through or turned away."""
    network = ctx.name("network", COMPUTE)
    return (
        f'(log_id("compute.googleapis.com/vpc_flows") AND jsonPayload.src_vpc.vpc_name="{network}")'
        f' OR (log_id("compute.googleapis.com/vpc_flows") AND jsonPayload.dest_vpc.vpc_name="{network}")'
        f' OR (log_id("compute.googleapis.com/firewall") AND jsonPayload.vpc.vpc_name="{network}")'
    )


def open_port(
    name: str,
    port: int,
    network: pulumi.Input[str],
    tag: pulumi.Input[str],
    *,
    to: Sequence[pulumi.Input[str]] = (),
    by: Sequence[pulumi.Input[str]] = (),
    account: Account,
    ctx: Context,
    parent: pulumi.Resource,
) -> pulumi.Resource:
    """Open one TCP port for those who wear the tag: out `to` ranges (CIDR), or in from the ranges in `by`."""
    return gcp.compute.Firewall(
        name,
        name=ctx.name(name, COMPUTE),
        description=name,
        project=account.project,
        network=network,
        direction="INGRESS" if by else "EGRESS",
        priority=FIRST,
        allows=[{"protocol": "tcp", "ports": [str(port)]}],
        source_ranges=list(by) or None,
        destination_ranges=list(to) or None,
        target_tags=[tag],
        log_config={"metadata": "INCLUDE_ALL_METADATA"},
        opts=pulumi.ResourceOptions(parent=parent),
    )
