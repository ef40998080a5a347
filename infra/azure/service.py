"""The app as a service: containers in Container Apps, over the zones of the region."""

from typing import Any

import pulumi
from pulumi_azure_native import app, dns

from infra.azure.args import AzureArgs
from infra.azure.environment import PROFILE, Containers
from infra.azure.identity import Identity
from infra.azure.names import CONTAINER_APP, Account, own
from infra.azure.network import HTTPS, Network
from infra.azure.policy import grant, role
from infra.azure.registry import Registry
from infra.context import Context
from infra.shape import Callers, Scale, ServiceArgs, Unsupported
from infra.shape import Identity as AnyIdentity

CPUS, MEMORY = 0.5, "1Gi"  # the smallest size with 1 GiB
REPLACE = [
    "Microsoft.App/containerApps/read",
    "Microsoft.App/containerApps/revisions/read",
    "Microsoft.App/containerApps/revisions/restart/action",
]
ENTRA = ("https://login.microsoftonline.com/", "https://sts.windows.net/")  # issuers within Azure's own network


class Service(pulumi.ComponentResource):
    """A rolling, self-healing service that is never under its minimum of copies.

    A new revision gets calls once its copies say that they are ready, and only then the old one ends: one that never
    becomes ready changes nothing for callers. Calls without a token of the issuer are refused before they reach the
    app. Azure has one target for the CPU in place of two thresholds, and no limit of rates (docs/parity.md).
    """

    cluster: pulumi.Output[str]
    name: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: ServiceArgs,
        azure: AzureArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Service", name, None, opts)
        self._account, self._ctx, self._child = account, ctx, pulumi.ResourceOptions(parent=self)
        container, network = args.container, own(Network, args.container.network)
        self.containers = Containers(name, network, account=account, ctx=ctx, opts=self._child)
        self.log, self.scale = network.log, args.scale
        starter = Identity(f"{name}-starter", "container", account=account, ctx=ctx, opts=self._child)
        registry = own(Registry, container.image.registry)
        domains, records = self._domain(name, args.domain, azure)
        service = app.ContainerApp(
            name,
            container_app_name=ctx.name(name, CONTAINER_APP),
            resource_group_name=account.group,
            location=account.location,
            managed_environment_id=self.containers.id,
            workload_profile_name=PROFILE,
            identity={"type": "UserAssigned", "user_assigned_identities": [container.runs_as.id, starter.id]},
            configuration=_configuration(args, registry, starter, domains),
            template=_template(name, args),
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[registry.pulls(starter), *records]),
        )
        self._authenticate(name, args.callers, service, network)
        self.cluster, self.name, self.id = self.containers.name, service.name, service.id
        self.url = pulumi.Output.from_input(f"https://{args.domain}")
        self.register_outputs({"cluster": self.cluster, "name": self.name, "url": self.url})

    def grant_deploy(self, identity: AnyIdentity) -> None:
        """Let it start new copies in place of the running ones, and see whether they became healthy."""
        name = self.pulumi_resource_name
        deployer = role(
            f"{name}-deployer-{identity.workload}",
            f"Replace the copies of {name}; neither what they are nor what they may do",
            actions=REPLACE,
            account=self._account,
            ctx=self._ctx,
            parent=self,
        )
        grant(identity, "deploy", name, deployer, self.id, account=self._account, ctx=self._ctx, parent=self)

    def _domain(self, name: str, domain: str, azure: AzureArgs) -> tuple[list[Any], list[pulumi.Resource]]:
        """The domain with its certificate, and the records by which it is found and proven ours."""
        if not azure.certificate:
            raise Unsupported(
                f"azure: {domain} has no certificate, and Azure issues none for what the internet does not reach; set "
                "azure.certificate to the id of the Key Vault secret that holds one."
            )
        relative = domain.removesuffix(f".{azure.dns_zone}")
        if relative == domain:
            raise Unsupported(
                f"azure: {domain} is not in the DNS zone {azure.dns_zone}; set azure.dnsZone to the zone that holds it."
            )
        of: dict[str, Any] = {"zone_name": azure.dns_zone, "resource_group_name": azure.dns_group, "ttl": 300}
        records: list[pulumi.Resource] = [
            dns.RecordSet(
                name,
                relative_record_set_name=relative,
                record_type="A",
                a_records=[{"ipv4_address": self.containers.address}],
                opts=self._child,
                **of,
            ),
            dns.RecordSet(
                f"{name}-proof",
                relative_record_set_name=f"asuid.{relative}",
                record_type="TXT",
                txt_records=[{"value": [self.containers.proof]}],
                opts=self._child,
                **of,
            ),
        ]
        certificate = self.containers.certificate(name, azure.certificate)
        return [{"name": domain, "binding_type": "SniEnabled", "certificate_id": certificate}], records

    def _authenticate(self, name: str, callers: Callers, service: app.ContainerApp, network: Network) -> None:
        """Refuse calls without a token that the issuer signed for the audience. There is no secret in it."""
        app.ContainerAppsAuthConfig(
            name,
            auth_config_name="current",  # the one name that Azure knows
            container_app_name=service.name,
            resource_group_name=self._account.group,
            platform={"enabled": True},
            global_validation={"unauthenticated_client_action": app.UnauthenticatedClientActionV2.RETURN401},
            http_settings={"require_https": True},
            identity_providers={
                "azure_active_directory": {
                    "enabled": True,
                    "registration": {"open_id_issuer": callers.issuer, "client_id": callers.audience},
                    "validation": {"allowed_audiences": [callers.audience]},
                }
            },
            opts=self._child,
        )
        if not callers.issuer.startswith(ENTRA):
            # Its keys are fetched from the issuer, and rules of a network know no names: any address, one port.
            apps = network.ranges["apps"]
            network.rule("apps-to-issuer", "apps", "Outbound", str(HTTPS), source=apps, destination="Internet")


def _configuration(args: ServiceArgs, registry: Registry, starter: Identity, domains: list[Any]) -> Any:
    return {
        "active_revisions_mode": "Single",
        "max_inactive_revisions": 10,
        "registries": [{"server": registry.server, "identity": starter.id}],
        # The app gets no token of the identity that fetches its image.
        "identity_settings": [
            {"identity": args.container.runs_as.id, "lifecycle": "Main"},
            {"identity": starter.id, "lifecycle": "None"},
        ],
        "ingress": _ingress(args, domains),
    }


def _template(name: str, args: ServiceArgs) -> Any:
    return {"containers": [_container(name, args)], "scale": _scale(args.scale)}


def _ingress(args: ServiceArgs, domains: list[Any]) -> dict[str, Any]:
    return {
        "external": True,  # to the network: the environment has no address outside of it
        "target_port": args.port,
        "transport": "http",
        "allow_insecure": False,
        "client_certificate_mode": "ignore",
        "custom_domains": domains,
        "traffic": [{"latest_revision": True, "weight": 100}],
        "ip_security_restrictions": [
            {"name": f"callers-{number}", "action": "Allow", "ip_address_range": network}
            for number, network in enumerate(args.callers.networks)
        ],
    }


def _container(name: str, args: ServiceArgs) -> dict[str, Any]:
    client = own(Identity, args.container.runs_as).client
    variables = {"PORT": str(args.port), "AZURE_CLIENT_ID": client, **args.container.environment}
    return {
        "name": name,
        "image": args.container.image.uri,
        "args": list(args.container.command) or None,
        "resources": {"cpu": CPUS, "memory": MEMORY},
        "env": [{"name": key, "value": variables[key]} for key in sorted(variables)],
        "probes": [
            _probe("Startup", "/readyz", args.port, every=5, failures=24),
            _probe("Liveness", "/healthz", args.port, every=15, failures=3),
            _probe("Readiness", "/readyz", args.port, every=15, failures=3),
        ],
    }


def _probe(kind: str, path: str, port: int, *, every: int, failures: int) -> dict[str, Any]:
    return {
        "type": kind,
        "http_get": {"path": path, "port": port},
        "period_seconds": every,
        "timeout_seconds": 5,
        "failure_threshold": failures,
    }


def _scale(scale: Scale) -> dict[str, Any]:
    """Copies are added over `cpu_out`, and taken away once fewer would stay under it: Azure has one target."""
    target = {"type": "Utilization", "value": str(scale.cpu_out)}
    return {
        "min_replicas": scale.minimum,
        "max_replicas": scale.maximum,
        "polling_interval": 30,
        "rules": [{"name": "cpu", "custom": {"type": "cpu", "metadata": target}}],
    }
