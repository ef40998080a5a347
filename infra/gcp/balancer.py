"""What stands before the service: an internal load balancer that speaks TLS alone, its certificate and its rules."""

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.names import CERTIFICATE, COMPUTE, Account
from infra.shape import Callers, ServiceArgs

HTTPS = "443"
RANGES_A_RULE = 10  # addresses that one rule of Cloud Armor may list
LAST = 2_147_483_647  # the priority of the rule for all others


class LoadBalancer(pulumi.ComponentResource):
    """One address for the service, within the network, for the callers of listed networks.

    Each caller's address has its number of calls a minute; beyond it calls are turned away, and those of
    anybody else always.
    """

    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: ServiceArgs,
        service: pulumi.Output[str],
        managed_zone: str,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:LoadBalancer", name, None, opts)
        self._name, self._full_name = name, ctx.name(name, COMPUTE)
        self._zone, self._account, self._ctx = managed_zone, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        subnet = args.container.network.subnets[0]
        address = gcp.compute.Address(
            name,
            name=self._full_name,
            description="Where callers reach the service",
            project=account.project,
            region=account.region,
            address_type="INTERNAL",
            purpose="GCE_ENDPOINT",
            subnetwork=subnet,
            labels=ctx.tags,
            opts=self._child,
        )
        gcp.compute.ForwardingRule(
            name,
            name=self._full_name,
            project=account.project,
            region=account.region,
            load_balancing_scheme="INTERNAL_MANAGED",
            ip_protocol="TCP",
            ip_address=address.id,
            port_range=HTTPS,
            target=self._proxy(args.domain, self._backend(args.callers, service)),
            network=args.container.network.id,
            subnetwork=subnet,
            labels=ctx.tags,
            opts=self._child,
        )
        self._record(name, f"{args.domain}.", "A", address.address)
        self.url = pulumi.Output.from_input(f"https://{args.domain}")
        self.register_outputs({"url": self.url})

    def _backend(self, callers: Callers, service: pulumi.Output[str]) -> pulumi.Output[str]:
        """The service as the load balancer's one backend, behind the rules."""
        endpoints = gcp.compute.RegionNetworkEndpointGroup(
            self._name,
            name=self._full_name,
            project=self._account.project,
            region=self._account.region,
            network_endpoint_type="SERVERLESS",
            cloud_run={"service": service},
            opts=self._child,
        )
        rules = gcp.compute.RegionSecurityPolicy(
            self._name,
            name=self._full_name,
            description="Listed networks, each address at its rate",
            project=self._account.project,
            region=self._account.region,
            type="CLOUD_ARMOR",
            rules=_rules(callers),
            opts=self._child,
        )
        return gcp.compute.RegionBackendService(
            self._name,
            name=self._full_name,
            project=self._account.project,
            region=self._account.region,
            load_balancing_scheme="INTERNAL_MANAGED",
            protocol="HTTPS",
            backends=[{"group": endpoints.id, "balancing_mode": "UTILIZATION", "capacity_scaler": 1.0}],
            security_policy=rules.id,
            log_config={"enable": True, "sample_rate": 1.0},
            opts=self._child,
        ).id

    def _proxy(self, domain: str, backend: pulumi.Output[str]) -> pulumi.Output[str]:
        """What speaks TLS to callers."""
        routes = gcp.compute.RegionUrlMap(
            self._name,
            name=self._full_name,
            project=self._account.project,
            region=self._account.region,
            default_service=backend,
            opts=self._child,
        )
        tls = gcp.compute.RegionSslPolicy(
            self._name,
            name=self._full_name,
            project=self._account.project,
            region=self._account.region,
            profile="RESTRICTED",
            min_tls_version="TLS_1_2",
            opts=self._child,
        )
        return gcp.compute.RegionTargetHttpsProxy(
            self._name,
            name=self._full_name,
            project=self._account.project,
            region=self._account.region,
            url_map=routes.id,
            ssl_policy=tls.id,
            certificate_manager_certificates=[self._certificate(domain)],
            opts=self._child,
        ).id

    def _certificate(self, domain: str) -> pulumi.Output[str]:
        """A certificate that renews itself, as long as the record that proves whose domain it is stays."""
        full_name = self._ctx.name(self._name, CERTIFICATE)
        proof = gcp.certificatemanager.DnsAuthorization(
            self._name,
            name=full_name,
            project=self._account.project,
            location=self._account.region,
            domain=domain,
            type="PER_PROJECT_RECORD",
            labels=self._ctx.tags,
            opts=self._child,
        )
        shown = proof.dns_resource_records[0]
        record = self._record(f"{self._name}-proof", shown.name, shown.type, shown.data)
        return gcp.certificatemanager.Certificate(
            self._name,
            name=full_name,
            project=self._account.project,
            location=self._account.region,
            managed={"domains": [domain], "dns_authorizations": [proof.id]},
            labels=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[record]),
        ).id

    def _record(
        self, name: str, domain: pulumi.Input[str], kind: pulumi.Input[str], value: pulumi.Input[str]
    ) -> pulumi.Resource:
        return gcp.dns.RecordSet(
            name,
            managed_zone=self._zone,
            name=domain,
            type=kind,
            ttl=300,
            rrdatas=[value],
            project=self._account.project,
            opts=self._child,
        )


def _rules(callers: Callers) -> list[gcp.compute.RegionSecurityPolicyRuleArgsDict]:
    groups = [
        callers.networks[start : start + RANGES_A_RULE] for start in range(0, len(callers.networks), RANGES_A_RULE)
    ]
    rules: list[gcp.compute.RegionSecurityPolicyRuleArgsDict] = [
        {
            "priority": 1000 + number,
            "description": "Callers, each address at its rate",
            "action": "throttle",
            "match": {"versioned_expr": "SRC_IPS_V1", "config": {"src_ip_ranges": list(networks)}},
            "rate_limit_options": {
                "conform_action": "allow",
                "exceed_action": "deny(429)",
                "enforce_on_key": "IP",
                "rate_limit_threshold": {"count": callers.per_minute, "interval_sec": 60},
            },
        }
        for number, networks in enumerate(groups)
    ]
    return [
        *rules,
        {
            "priority": LAST,
            "description": "Nobody else",
            "action": "deny(403)",
            # Any address: this is how the API writes it.
            "match": {"versioned_expr": "SRC_IPS_V1", "config": {"src_ip_ranges": ["*"]}},
        },
    ]
