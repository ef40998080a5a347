"""Shared files (EFS)."""

import pulumi
import pulumi_aws as aws

from infra.aws.names import FILE_SYSTEM, named
from infra.aws.network import open_port, security_group
from infra.aws.policy import Condition, Statement, allow, document, grant
from infra.context import Context
from infra.shape import Identity, Key, Network

NFS = 2049
NOBODY = 10001  # user and group of the app's image: whoever mounts is this one, root as well


class FileSystem(pulumi.ComponentResource):
    """Files that outlive a machine, with a door in every zone, encrypted at rest and on the way, backed up daily.

    `id` is what `mount -t efs` takes. Only who was granted it may mount, over TLS and by one access point, which
    shows one directory to one user.
    """

    id: pulumi.Output[str]
    access_point: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        network: Network,
        key: Key,
        *,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:FileSystem", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = named(ctx, ctx.name(name, FILE_SYSTEM))
        files = aws.efs.FileSystem(
            name,
            creation_token=ctx.name(name, FILE_SYSTEM),
            encrypted=True,
            kms_key_id=key.id,
            throughput_mode="elastic",
            lifecycle_policies=[{"transition_to_ia": "AFTER_30_DAYS"}],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        aws.efs.BackupPolicy(name, file_system_id=files.id, backup_policy={"status": "ENABLED"}, opts=child)
        policy = aws.efs.FileSystemPolicy(
            name, file_system_id=files.id, policy=document(_only_over_tls(files.arn)), opts=child
        )
        doors = security_group(f"{name}-files", "Doors of the shared files", network.id, ctx=ctx, parent=self)
        open_port(f"members-to-{name}", NFS, network.members, doors, ctx=ctx, parent=self)
        for number, subnet in enumerate(network.subnets):
            aws.efs.MountTarget(
                f"{name}-{number}",
                file_system_id=policy.file_system_id,  # no door before the policy stands
                subnet_id=subnet,
                security_groups=[doors],
                opts=child,
            )
        point = aws.efs.AccessPoint(
            name,
            file_system_id=policy.file_system_id,
            posix_user={"uid": NOBODY, "gid": NOBODY},
            root_directory={
                "path": f"/{name}",
                "creation_info": {"owner_uid": NOBODY, "owner_gid": NOBODY, "permissions": "0750"},
            },
            tags=tags,
            opts=child,
        )
        self.id, self.arn = policy.file_system_id, files.arn
        self.access_point, self._access_point_arn = point.id, point.arn
        self.register_outputs({"id": self.id, "access_point": self.access_point})

    def grant_mount(self, identity: Identity) -> None:
        """Let it mount the file system by its access point, and read and write files. EFS itself uses the key."""
        only: Condition = {
            "StringEquals": {"elasticfilesystem:AccessPointArn": self._access_point_arn},
            "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
        }
        actions = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        statements = [allow(actions, [self.arn], when=only)]
        grant(identity, "mount", self.pulumi_resource_name, statements, parent=self)


def _only_over_tls(arn: pulumi.Output[str]) -> Statement:
    """Refuses everybody in clear. As it is the only statement, who was granted nothing elsewhere is refused too."""
    return {
        "Sid": "DenyPlainTransport",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": [
            "elasticfilesystem:ClientMount",
            "elasticfilesystem:ClientRootAccess",
            "elasticfilesystem:ClientWrite",
        ],
        "Resource": [arn],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
