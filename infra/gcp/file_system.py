"""Shared files (Filestore)."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.keys import Key
from infra.gcp.names import COMPUTE, FILE_SYSTEM, Account
from infra.gcp.network import FIRST, Network
from infra.gcp.policy import own
from infra.shape import Identity
from infra.shape import Key as AnyKey
from infra.shape import Network as AnyNetwork

NFS = 2049
GIB = 1024  # the least that a regional file system has


class FileSystem(pulumi.ComponentResource):
    """Files that outlive a machine and a zone, under our key, for the private subnet alone.

    `id` is what `mount -t nfs4` takes. Filestore asks nobody who they are: the firewall does, which lets out to it the
    machines of those identities that were granted it.
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
        super().__init__("groundwork:gcp:FileSystem", name, None, opts)
        self._name, self._account, self._ctx = name, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._network, encrypts = own(network, Network), own(key, Key)
        files = gcp.filestore.Instance(
            name,
            name=ctx.name(name, FILE_SYSTEM),
            description=f"{ctx.project} {ctx.environment}: {name}",
            project=account.project,
            location=account.region,
            tier="REGIONAL",  # one address that any zone reaches, and copies in more than one
            protocol="NFS_V4_1",  # one port, and callers start every connection
            kms_key_name=encrypts.id,
            file_shares={
                "name": name,
                "capacity_gb": GIB,
                "nfs_export_options": [
                    {
                        "ip_ranges": [self._network.addresses],
                        "access_mode": "READ_WRITE",
                        "squash_mode": "NO_ROOT_SQUASH",  # whoever boots a machine makes the directory of its user
                    }
                ],
            },
            networks=[{"network": network.id, "modes": ["MODE_IPV4"], "connect_mode": "DIRECT_PEERING"}],
            deletion_protection_enabled=not ctx.disposable,
            deletion_protection_reason=None if ctx.disposable else "Checkpoints of training",
            labels=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable, depends_on=[encrypts.open_to("file")]),
        )
        self._address = files.networks.apply(_first_address)
        self.id = pulumi.Output.format("{0}:/{1}", self._address, name)
        self.register_outputs({"id": self.id})

    def grant_mount(self, identity: Identity) -> None:
        """Let its machines mount the file system, and read and write files. Filestore itself uses the key."""
        name = f"{identity.workload}-mounts-{self._name}"
        gcp.compute.Firewall(
            name,
            name=self._ctx.name(name, COMPUTE),
            description=f"Machines of {identity.workload} to {self._name}",
            project=self._account.project,
            network=self._network.id,
            direction="EGRESS",
            priority=FIRST,
            allows=[{"protocol": "tcp", "ports": [str(NFS)]}],
            destination_ranges=[pulumi.Output.concat(self._address, "/32")],
            target_service_accounts=[identity.id],
            log_config={"metadata": "INCLUDE_ALL_METADATA"},
            opts=self._child,
        )


def _first_address(doors: Sequence[Any]) -> str:
    """There is one door with one address; while it is planned, there may be none yet."""
    return str(next((address for door in doors for address in door.ip_addresses or ()), ""))
