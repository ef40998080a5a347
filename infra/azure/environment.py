"""Where containers run (a Container Apps environment): within the network, over its zones."""

import pulumi
from pulumi_azure_native import app, privatedns

from infra.azure.identity import Identity
from infra.azure.names import CONTAINER_APP, NETWORK_RULES, RESOURCE_GROUP, Account
from infra.azure.network import Network
from infra.azure.policy import SECRETS_USER, built_in, grant
from infra.context import Context

LOGS = ("ContainerAppConsoleLogs", "ContainerAppSystemLogs")
PROFILE = "Consumption"


class Containers(pulumi.ComponentResource):
    """A private address in the network for all that runs here, and the private zone in which it is found.

    What is said on standard output goes to the network's log by Azure's own way, which takes no key of the workspace.
    """

    id: pulumi.Output[str]
    name: pulumi.Output[str]
    address: pulumi.Output[str]
    domain: pulumi.Output[str]
    proof: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        network: Network,
        *,
        subnet: str = "apps",
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Containers", name, None, opts)
        self._account, self._ctx, self._child = account, ctx, pulumi.ResourceOptions(parent=self)
        self.holder = Identity(f"{name}-certificate", "container", account=account, ctx=ctx, opts=self._child)
        environment = app.ManagedEnvironment(
            name,
            environment_name=ctx.name(name, CONTAINER_APP),
            resource_group_name=account.group,
            location=account.location,
            infrastructure_resource_group=ctx.name(f"{name}-platform", RESOURCE_GROUP),
            vnet_configuration={"infrastructure_subnet_id": network.subnet[subnet], "internal": True},
            public_network_access="Disabled",
            zone_redundant=True,
            workload_profiles=[{"name": PROFILE, "workload_profile_type": PROFILE}],
            app_logs_configuration={"destination": "azure-monitor"},
            peer_authentication={"mtls": {"enabled": False}},
            peer_traffic_configuration={"encryption": {"enabled": True}},
            identity={"type": "UserAssigned", "user_assigned_identities": [self.holder.id]},
            tags=ctx.tags,
            opts=self._child,
        )
        self.id, self.name = environment.id, environment.name
        self.address, self.domain = environment.static_ip, environment.default_domain
        self.proof = environment.custom_domain_configuration.apply(
            lambda custom: custom.custom_domain_verification_id if custom else ""
        )
        network.log.take(f"{name}-log", environment.id, LOGS, parent=self)
        self._find(name, network)
        self.register_outputs({"id": self.id, "name": self.name})

    def certificate(self, name: str, secret: str) -> pulumi.Output[str]:
        """The certificate that lies in a vault under this id; it is fetched again when it is renewed there.

        Azure issues none to what the internet does not reach (docs/adr/0042).
        """
        may_read = grant(
            self.holder,
            "read",
            f"{name}-certificate",
            built_in(SECRETS_USER, self._account),
            secret,
            account=self._account,
            ctx=self._ctx,
            parent=self,
        )
        vault, _, secret_name = secret.split("/")[-3:]
        return app.Certificate(
            name,
            certificate_name=self._ctx.name(name, CONTAINER_APP),
            environment_name=self.name,
            resource_group_name=self._account.group,
            location=self._account.location,
            properties={
                "certificate_key_vault_properties": {
                    "identity": self.holder.id,
                    "key_vault_url": f"https://{vault}.vault.azure.net/secrets/{secret_name}",
                }
            },
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may_read]),
        ).id

    def _find(self, name: str, network: Network) -> None:
        """Azure's own name for the environment, and all under it, as its private address."""
        zone = privatedns.PrivateZone(
            name,
            private_zone_name=self.domain,
            resource_group_name=self._account.group,
            location="global",
            tags=self._ctx.tags,
            opts=self._child,
        )
        privatedns.PrivateRecordSet(
            name,
            private_zone_name=zone.name,
            resource_group_name=self._account.group,
            record_type="A",
            relative_record_set_name="*",
            ttl=300,
            a_records=[{"ipv4_address": self.address}],
            opts=self._child,
        )
        network.link(self._ctx.name(f"{name}-apps", NETWORK_RULES), zone)
