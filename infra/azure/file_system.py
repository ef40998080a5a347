"""Shared files (Azure Files over NFS)."""

import pulumi
from pulumi_azure_native import storage

from infra.azure.keys import Key
from infra.azure.names import Account, own
from infra.azure.network import Network
from infra.azure.store import private_account
from infra.context import Context
from infra.shape import Identity
from infra.shape import Key as AnyKey
from infra.shape import Network as AnyNetwork

NFS = "2049"
GIB = 100  # the least that a share on SSDs has
RECOVERY_DAYS = 30  # for so long a deleted share can be brought back


class FileSystem(pulumi.ComponentResource):
    """Files that outlive a machine and a zone, under our key, for the private network alone, in TLS on the way.

    `id` is what `mount -t aznfs` takes. NFS asks nobody who they are: the network does, which lets the machines that
    are its members out to the files once somebody was granted them (docs/parity.md).
    """

    id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        network: AnyNetwork,
        key: AnyKey,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:FileSystem", name, None, opts)
        self._name, self._network, self._open = name, own(Network, network), False
        child = pulumi.ResourceOptions(parent=self)
        files = private_account(
            f"{name}-files",
            own(Key, key),
            kind="FileStorage",
            sku="Premium_ZRS",
            account=account,
            ctx=ctx,
            parent=self,
        )
        storage.FileServiceProperties(
            name,
            account_name=files.name,
            resource_group_name=account.group,
            file_services_name="default",
            share_delete_retention_policy={"enabled": True, "days": RECOVERY_DAYS},
            opts=child,
        )
        share = storage.FileShare(
            name,
            share_name=name,
            account_name=files.name,
            resource_group_name=account.group,
            enabled_protocols="NFS",
            root_squash="NoRootSquash",  # whoever boots a machine makes the directory of its user
            share_quota=GIB,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        self._network.door(f"{name}-files", files.id, "file", parent=self)
        self.id = pulumi.Output.format("{0}.file.core.windows.net:/{0}/{1}", files.name, share.name)
        self.register_outputs({"id": self.id})

    def grant_mount(self, identity: Identity) -> None:  # noqa: ARG002 - NFS knows no identity
        """Let its machines, and with them all members of the network, mount the file system."""
        if self._open:
            return
        self._open = True
        network, name = self._network, self._name
        members, of, to = network.members, network.ranges["workloads"], network.ranges["endpoints"]
        network.rule(f"members-to-{name}", "workloads", "Outbound", NFS, source=members, destination=to)
        network.rule(f"workloads-to-{name}", "endpoints", "Inbound", NFS, source=of, destination=to)
