"""Container images (Azure Container Registry)."""

import pulumi
from pulumi_azure_native import containerregistry, security

from infra.azure.keys import Key
from infra.azure.names import REGISTRY, Account, own
from infra.azure.network import Network
from infra.azure.policy import ACR_PULL, ACR_PUSH, built_in, grant, role
from infra.context import Context
from infra.shape import Identity, Image
from infra.shape import Key as AnyKey

UNTAGGED_DAYS = 7
# Continuous delivery is not in the network: it has the registry fetch an image, which is a call to Azure's own API.
IMPORT = ["Microsoft.ContainerRegistry/registries/importImage/action", "Microsoft.ContainerRegistry/registries/read"]


class Registry(pulumi.ComponentResource):
    """One app's images, reached through the network alone: each is scanned, those without a tag go.

    A registry of its own for each app, so that a grant is to that app's images. Tags can move, as the registry has
    no rule against it: what runs is named by its digest, and a tag that moved moves nothing (docs/parity.md).
    """

    url: pulumi.Output[str]
    server: pulumi.Output[str]
    id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        key: AnyKey,
        inside: Network | None,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Registry", name, None, opts)
        self._account, self._ctx = account, ctx
        registry = self._registry(name, own(Key, key))
        self._scan()
        self.id, self.server = registry.id, registry.login_server
        self.url = pulumi.Output.concat(registry.login_server, "/", name)
        if inside:
            inside.door(name, registry.id, "registry", parent=self)
        self.register_outputs({"url": self.url, "id": self.id})

    def _registry(self, name: str, ours: Key) -> containerregistry.Registry:
        return containerregistry.Registry(
            name,
            registry_name=self._ctx.unique_name(name, REGISTRY),
            resource_group_name=self._account.group,
            location=self._account.location,
            sku={"name": "Premium"},  # the one with keys, endpoints and zones
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            public_network_access="Disabled",
            network_rule_bypass_options="AzureServices",  # the scanner comes in
            zone_redundancy="Enabled",
            identity={
                "type": containerregistry.ResourceIdentityType.USER_ASSIGNED,
                "user_assigned_identities": ours.user.id.apply(lambda user: {user: {}}),
            },
            encryption={
                "status": "enabled",
                "key_vault_properties": {"identity": ours.user.client, "key_identifier": ours.id},
            },
            policies={
                "retention_policy": {"status": "enabled", "days": UNTAGGED_DAYS},
                "export_policy": {"status": "disabled"},
            },
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not self._ctx.disposable),
        )

    def _scan(self) -> None:
        security.Pricing(
            "scan",
            # Azure scans images by subscription: what one environment switched on, none of them switches off.
            pricing_name="Containers",
            scope_id=f"subscriptions/{self._account.subscription}",
            pricing_tier="Standard",
            extensions=[{"name": "ContainerRegistriesVulnerabilityAssessments", "is_enabled": "True"}],
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )

    def image(self, release: str) -> Image:
        """One image by its digest."""
        return Image(pulumi.Output.concat(self.url, "@", release), self)

    def grant_pull(self, identity: Identity) -> None:
        """Let it fetch images."""
        self.pulls(identity)

    def pulls(self, identity: Identity) -> pulumi.Resource:
        """The same, to be waited for by what Azure refuses to start before its image can be fetched."""
        return self._grant(identity, "pull", built_in(ACR_PULL, self._account))

    def grant_push(self, identity: Identity) -> None:
        """Let it add images: from within the network, or by having the registry fetch them."""
        self._grant(identity, "push", built_in(ACR_PUSH, self._account))
        importer = role(
            f"{self.pulumi_resource_name}-importer-{identity.workload}",
            "Have the registry fetch images",
            actions=IMPORT,
            account=self._account,
            ctx=self._ctx,
            parent=self,
        )
        self._grant(identity, "import", importer)

    def _grant(self, identity: Identity, verb: str, role_id: pulumi.Input[str]) -> pulumi.Resource:
        name = f"{self.pulumi_resource_name}-images"
        return grant(identity, verb, name, role_id, self.id, account=self._account, ctx=self._ctx, parent=self)
