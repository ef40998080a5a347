"""The app without a server of its own: a gateway (API Management), an app that is run for calls, a table."""

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_azure_native import apimanagement, app, authorization, storage

from infra.azure import gateway
from infra.azure.environment import PROFILE, Containers
from infra.azure.identity import Identity
from infra.azure.keys import Key
from infra.azure.names import CONTAINER_APP, GATEWAY, TABLE, Account, own
from infra.azure.network import HTTPS, Network
from infra.azure.policy import grant, role
from infra.azure.registry import Registry
from infra.azure.store import ZONES, private_account
from infra.context import Context
from infra.shape import ApiArgs
from infra.shape import Identity as AnIdentity

PORT = 8080
SECONDS = 30  # that a call may take, a cold start included
CPUS, MEMORY = 0.5, "1Gi"
MOST_COPIES, CALLS_A_COPY = 10, 20
TUNNEL = "31443"  # where the balancer of Container Apps hands calls of 443 to
ENTITIES = "Microsoft.Storage/storageAccounts/tableServices/tables/entities"
ADDS, ERASES = (f"{ENTITIES}/add/action",), (f"{ENTITIES}/read", f"{ENTITIES}/delete")


class Api(pulumi.ComponentResource):
    """`/predict` for callers with a token, each limited in its rate; each call is stored in a table that only grows.

    The app runs in the private network, from none to as many copies as calls need, and takes calls of the gateway
    alone.
    """

    url: pulumi.Output[str]
    table: pulumi.Output[str]
    calls: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: ApiArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Api", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._network = own(Network, args.container.network)
        self._kept = self._table()
        front = self._front(self._function())
        self._network.door(name, front.id, "Gateway", parent=self)
        self._open()
        self.url, self.table = front.gateway_url, self._kept.name
        self.register_outputs({"url": self.url, "table": self.table})

    def _table(self) -> storage.Table:
        """Rows can be added by the app, and neither read, changed nor deleted by it."""
        account, ctx, name = self._account, self._ctx, self._name
        kept = private_account(
            f"{name}-calls", own(Key, self._args.container.key), sku=ZONES, account=account, ctx=ctx, parent=self
        )
        self._network.door(f"{name}-calls", kept.id, "table", parent=self)
        table = storage.Table(
            name,
            table_name=ctx.name(name, TABLE),
            account_name=kept.name,
            resource_group_name=account.group,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        self.calls = pulumi.Output.concat("https://", kept.name, ".table.core.windows.net/", table.name)
        return table

    def grant_erase(self, identity: AnIdentity) -> None:
        """Let it find and remove rows, in this table alone."""
        self._grant(identity, "erase", "eraser", "Find and remove rows of a table", ERASES)

    def _grant(
        self, identity: AnIdentity, verb: str, of: str, why: str, actions: Sequence[str]
    ) -> authorization.RoleAssignment:
        account, ctx, name = self._account, self._ctx, self._name
        made = role(f"{name}-{of}", why, data_actions=actions, account=account, ctx=ctx, parent=self)
        return grant(identity, verb, name, made, self._kept.id, account=account, ctx=ctx, parent=self)

    def _function(self) -> app.ContainerApp:
        container, account, ctx = self._args.container, self._account, self._ctx
        containers = Containers(
            self._name, self._network, subnet="functions", account=account, ctx=ctx, opts=self._child
        )
        starter = Identity(f"{self._name}-starter", "container", account=account, ctx=ctx, opts=self._child)
        registry = own(Registry, container.image.registry)
        may_store = self._grant(container.runs_as, "store", "calls", "Add rows to a table", ADDS)
        return app.ContainerApp(
            self._name,
            container_app_name=ctx.name(self._name, CONTAINER_APP),
            resource_group_name=account.group,
            location=account.location,
            managed_environment_id=containers.id,
            workload_profile_name=PROFILE,
            identity={"type": "UserAssigned", "user_assigned_identities": [container.runs_as.id, starter.id]},
            configuration=self._configuration(registry, starter),
            template={"containers": [self._container()], "scale": _scale()},
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[registry.pulls(starter), may_store, self._kept]),
        )

    def _configuration(self, registry: Registry, starter: Identity) -> Any:
        only = {"name": "gateway", "action": "Allow", "ip_address_range": self._network.ranges["gateway"]}
        return {
            "active_revisions_mode": "Single",
            "registries": [{"server": registry.server, "identity": starter.id}],
            "identity_settings": [
                {"identity": self._args.container.runs_as.id, "lifecycle": "Main"},
                {"identity": starter.id, "lifecycle": "None"},
            ],
            "ingress": {
                "external": True,  # to the network: the environment has no address outside of it
                "target_port": PORT,
                "transport": "http",
                "allow_insecure": False,
                "traffic": [{"latest_revision": True, "weight": 100}],
                "ip_security_restrictions": [only],
            },
        }

    def _container(self) -> Any:
        container = self._args.container
        variables = {
            "PORT": str(PORT),
            "AZURE_CLIENT_ID": own(Identity, container.runs_as).client,
            "CALLS": self.calls,
            "CALLS_DAYS": str(self._args.kept_days),
            **container.environment,
        }
        return {
            "name": self._name,
            "image": container.image.uri,
            "args": list(container.command) or None,
            "resources": {"cpu": CPUS, "memory": MEMORY},
            "env": [{"name": key, "value": variables[key]} for key in sorted(variables)],
        }

    def _front(self, function: app.ContainerApp) -> apimanagement.ApiManagementService:
        account, ctx, name = self._account, self._ctx, self._name
        front = apimanagement.ApiManagementService(
            name,
            service_name=ctx.unique_name(name, GATEWAY),
            resource_group_name=account.group,
            location=account.location,
            sku={"name": "StandardV2", "capacity": 1},  # the smallest that reaches into a network
            publisher_name=ctx.owner,
            publisher_email=f"{ctx.owner}@{ctx.organisation}.invalid",  # Azure asks for one, and nobody is to be told
            virtual_network_type="External",
            virtual_network_configuration={"subnet_resource_id": self._network.subnet["gateway"]},
            developer_portal_status="Disabled",
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        of: Any = {"service_name": front.name, "resource_group_name": account.group}
        host = function.configuration.apply(_host)
        api = apimanagement.Api(
            name,
            api_id=name,
            display_name=name,
            path="",
            protocols=["https"],
            service_url=pulumi.Output.concat("https://", host),
            subscription_required=False,  # callers show a token, not one of the gateway's keys
            **of,
            opts=self._child,
        )
        apimanagement.ApiOperation(
            name,
            api_id=api.name,
            operation_id="predict",
            display_name="Predict",
            method="POST",
            url_template="/predict",
            **of,
            opts=self._child,
        )
        apimanagement.ApiPolicy(
            name,
            api_id=api.name,
            policy_id="policy",
            format="xml",
            value=gateway.policy(self._args.callers, SECONDS),
            **of,
            opts=self._child,
        )
        self._network.log.take(f"{name}-access", front.id, ("GatewayLogs",), parent=self)
        return front

    def _open(self) -> None:
        """Callers to the gateway, the gateway to the app and the issuer's keys, the app's copies to each other."""
        network, https = self._network, str(HTTPS)
        front, apps = network.ranges["gateway"], network.ranges["functions"]
        network.rule("gateway-to-functions", "gateway", "Outbound", https, source=front, destination=apps)
        # Its keys are fetched from the issuer, and rules of a network know no names: any address, one port.
        network.rule("gateway-to-issuer", "gateway", "Outbound", https, source=front, destination="Internet")
        for port in (https, TUNNEL):
            network.rule(f"gateway-in-{port}", "functions", "Inbound", port, source=front, destination=apps)
        network.rule("functions-among-in", "functions", "Inbound", "*", source=apps, destination=apps, protocol="*")
        network.rule("functions-among-out", "functions", "Outbound", "*", source=apps, destination=apps, protocol="*")
        for number, caller in enumerate(self._args.callers.networks):
            to = network.ranges["endpoints"]
            network.rule(f"callers-to-gateway-{number}", "endpoints", "Inbound", https, source=caller, destination=to)
        balancer = "AzureLoadBalancer"
        network.rule("functions-balancer", "functions", "Inbound", "30000-32767", source=balancer, destination=apps)


def _host(configuration: Any) -> str:
    """The name of the app within the network; none before Azure has made it."""
    return str(configuration.ingress.fqdn) if configuration and configuration.ingress else ""


def _scale() -> Any:
    """None runs until a call comes."""
    calls = {"name": "calls", "http": {"metadata": {"concurrentRequests": str(CALLS_A_COPY)}}}
    return {"min_replicas": 0, "max_replicas": MOST_COPIES, "rules": [calls]}
