"""Customer-managed encryption keys (Key Vault)."""

import pulumi
from pulumi_azure_native import keyvault

from infra.azure.identity import Identity
from infra.azure.names import VAULT, VAULT_KEY, Account
from infra.azure.policy import KEY_ENCRYPTION_USER, built_in, grant
from infra.context import Context
from infra.shape import KeyPurpose


class Key(pulumi.ComponentResource):
    """A key in a vault of its own, that is rotated each year and outlives a mistake by its waiting time.

    Services encrypt with it as the identity `user`, which may do nothing else. Nobody reaches the vault over the
    network but Azure's own services on its behalf; the key of the stacks' state alone is called by whoever deploys,
    from anywhere, with a token of the tenant (docs/adr/0040). `id` names no version, so that services follow the
    rotation.
    """

    id: pulumi.Output[str]
    vault: pulumi.Output[str]
    vault_uri: pulumi.Output[str]
    name: pulumi.Output[str]
    version: pulumi.Output[str]
    resource: pulumi.Output[str]
    user: Identity

    def __init__(
        self,
        purpose: KeyPurpose,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Key", purpose, None, opts)
        self._account, self._ctx = account, ctx
        self._keep = pulumi.ResourceOptions(parent=self, protect=not ctx.disposable)
        vault = self._vault(purpose)
        key = self._key(purpose, vault)
        self.vault, self.name, self.resource = vault.id, key.name, key.id
        self.vault_uri = vault.properties.apply(lambda properties: properties.vault_uri)
        self.user = Identity(
            f"{purpose}-key", "container", account=account, ctx=ctx, opts=pulumi.ResourceOptions(parent=self)
        )
        may_use = grant(
            self.user,
            "use",
            f"{purpose}-key",
            built_in(KEY_ENCRYPTION_USER, account),
            key.id,
            account=account,
            ctx=ctx,
            parent=self,
        )
        # Whoever encrypts with the key comes after the grant, without which Azure refuses it.
        self.id = pulumi.Output.all(key.key_uri, may_use.id).apply(lambda both: both[0])
        # Disks and clusters ask for a version first, and follow the rotation later.
        self.version = pulumi.Output.all(key.key_uri_with_version, may_use.id).apply(lambda both: both[0])
        self.register_outputs({"id": self.id, "vault": self.vault})

    def _vault(self, purpose: KeyPurpose) -> keyvault.Vault:
        """Only that of the state is called from outside the network."""
        called_from_outside = purpose == "state"
        return keyvault.Vault(
            purpose,
            vault_name=self._ctx.unique_name(purpose, VAULT),
            resource_group_name=self._account.group,
            location=self._account.location,
            properties={
                "tenant_id": self._account.tenant,
                "sku": {"family": keyvault.SkuFamily.A, "name": keyvault.SkuName.PREMIUM},  # keys in a hardware module
                "enable_rbac_authorization": True,
                "enable_soft_delete": True,
                "soft_delete_retention_in_days": 7 if self._ctx.disposable else 90,
                "enable_purge_protection": True,  # storage refuses the key of a vault without it
                "public_network_access": "Enabled" if called_from_outside else "Disabled",
                "network_acls": {
                    "bypass": "AzureServices",
                    "default_action": "Allow" if called_from_outside else "Deny",
                },
            },
            tags=self._ctx.tags,
            opts=self._keep,
        )

    def _key(self, purpose: KeyPurpose, vault: keyvault.Vault) -> keyvault.Key:
        return keyvault.Key(
            purpose,
            key_name=self._ctx.name(purpose, VAULT_KEY),
            vault_name=vault.name,
            resource_group_name=self._account.group,
            properties={
                "kty": "RSA-HSM",
                "key_size": 3072,
                "key_ops": ["encrypt", "decrypt", "wrapKey", "unwrapKey"],
                "rotation_policy": {
                    "attributes": {"expiry_time": "P2Y"},
                    "lifetime_actions": [
                        {
                            "action": {"type": keyvault.KeyRotationPolicyActionType.ROTATE},
                            "trigger": {"time_after_create": "P1Y"},
                        }
                    ],
                },
            },
            tags=self._ctx.tags,
            opts=self._keep,
        )
