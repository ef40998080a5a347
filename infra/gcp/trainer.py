"""Machines to train on: a group of spot machines of several types, and one of its own for the floor on demand."""

import hashlib
from functools import partial

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.boot import startup_script
from infra.gcp.file_system import FileSystem
from infra.gcp.keys import Key
from infra.gcp.names import COMPUTE, MACHINES, NETWORK_TAG, Account
from infra.gcp.network import Network, open_port
from infra.gcp.policy import own, role
from infra.gcp.sizes import offered
from infra.gcp.watch import Log
from infra.shape import TrainerArgs

SSH = 22
DISK_GIB = 100
USER = "trainer"  # whom the SSH key logs in as
# Google's image with Docker, NFS and NVIDIA's driver, which sleeps where there is no GPU: the newest at each change of
# the template. Source: Deep Learning VM Images, "Choose an image".
FAMILY = "common-cu129-ubuntu-2204-nvidia-580"
IMAGE = f"projects/deeplearning-platform-release/global/images/family/{FAMILY}"
HASHED = 8  # hexadecimal characters of what a machine runs, in its template's name: a template cannot be altered


class Trainer(pulumi.ComponentResource):
    """Machines by need, of several types so that spot can be found, none with a public address.

    Whoever trains sets how many spot machines there are. One that was taken away comes back, maybe as another type; one
    that has nothing to do leaves its group and goes. The floor is a group beside them, of the size that the settings
    say; its machines stay, idle or not (docs/adr/0064).
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: TrainerArgs,
        zones: tuple[str, ...],
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Trainer", name, None, opts)
        self._name, self._args, self._zones, self._account, self._ctx = name, args, zones, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._key = own(args.container.key, Key)
        own(args.files, FileSystem)
        Log(name, self._key, _written(ctx.name(name, MACHINES)), account=account, ctx=ctx, opts=self._child)
        self._doors(own(args.container.network, Network))
        self._grant_leave()
        if args.fleet.on_demand:
            self._group(f"{name}-floor", args.fleet.on_demand, spot=False)
        self.name = self._group(name, 0, spot=True).name
        self.register_outputs({"name": self.name})

    def _doors(self, network: Network) -> None:
        """SSH from the networks that are listed, and the ports that are asked for from within the network."""
        access, machines = self._args.access, self._ctx.name(self._name, NETWORK_TAG)
        opened = partial(open_port, account=self._account, ctx=self._ctx, parent=self)
        if access.ssh_from:
            opened(f"{self._name}-ssh", SSH, network.id, machines, by=access.ssh_from)
        for port in access.ports:
            opened(f"{self._name}-{port}", port, network.id, machines, by=[network.addresses])
            opened(f"members-to-{self._name}-{port}", port, network.id, network.members, to=[network.addresses])

    def _grant_leave(self) -> None:
        """Let a machine log, and take itself out of its group. Both are granted by the project: IAM has no less."""
        identity = self._args.container.runs_as
        leave = role(
            f"{self._name}-leave",
            ["compute.instanceGroupManagers.update", "logging.logEntries.create"],
            "Log, and leave a group of machines",
            account=self._account,
            ctx=self._ctx,
            parent=self,
        )
        gcp.projects.IAMMember(
            f"{identity.workload}-leaves-{self._name}",
            project=self._account.project,
            role=leave,
            member=identity.principal,
            opts=self._child,
        )

    def _group(self, name: str, size: int, *, spot: bool) -> gcp.compute.RegionInstanceGroupManager:
        types = offered(self._args.fleet.accelerator, self._account.region, on_demand=not spot)
        full_name = self._ctx.name(name, MACHINES)
        template = self._template(name, full_name, types[0], spot=spot)
        return gcp.compute.RegionInstanceGroupManager(
            name,
            name=full_name,
            description=f"{self._name}: {'spot' if spot else 'never taken away'}",
            project=self._account.project,
            region=self._account.region,
            base_instance_name=full_name,
            versions=[{"instance_template": template.self_link}],
            target_size=size,
            distribution_policy_zones=[f"{self._account.region}-{zone}" for zone in self._zones],
            distribution_policy_target_shape="ANY",  # wherever there is a machine
            instance_flexibility_policy={"instance_selections": [{"name": "any", "machine_types": list(types)}]},
            instance_lifecycle_policy={"default_action_on_failure": "REPAIR", "force_update_on_repair": "YES"},
            update_policy={
                "type": "OPPORTUNISTIC",  # a change waits for a machine's end: nothing that trains is stopped
                "minimal_action": "REPLACE",
                "instance_redistribution_type": "NONE",
                "max_surge_fixed": len(self._zones),
                "max_unavailable_fixed": 0,
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["targetSize"] if spot else [],  # whoever trains sets how many spot machines there are
            ),
        )

    def _template(self, name: str, group: str, machine: str, *, spot: bool) -> gcp.compute.RegionInstanceTemplate:
        args, ctx, account = self._args, self._ctx, self._account
        network, has_gpu = args.container.network, args.fleet.accelerator != "none"
        script = startup_script(args, group, account.region)
        unique = script.apply(lambda text: f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:HASHED]}")
        return gcp.compute.RegionInstanceTemplate(
            name,
            name=unique.apply(lambda part: ctx.name(part, COMPUTE)),
            description=f"A machine of {group}",
            project=account.project,
            region=account.region,
            machine_type=machine,
            disks=[
                {
                    "boot": True,
                    "auto_delete": True,
                    "source_image": IMAGE,
                    "disk_type": "pd-balanced",
                    "disk_size_gb": DISK_GIB,
                    "disk_encryption_key": {"kms_key_self_link": self._key.id},
                    "labels": ctx.tags,
                }
            ],
            network_interfaces=[{"subnetwork": network.subnets[0], "nic_type": "GVNIC"}],  # no address outside
            service_account={
                "email": args.container.runs_as.id,
                "scopes": ["https://www.googleapis.com/auth/cloud-platform"],  # IAM decides what it may
            },
            scheduling=_scheduling(spot=spot, has_gpu=has_gpu),
            shielded_instance_config={
                "enable_secure_boot": not has_gpu,  # the image's driver of NVIDIA is not signed for it
                "enable_vtpm": True,
                "enable_integrity_monitoring": True,
            },
            metadata={
                "startup-script": script,
                "ssh-keys": f"{USER}:{args.access.ssh_key}",
                "block-project-ssh-keys": "TRUE",
                "enable-oslogin": "FALSE",  # it would shut out the key that was asked for
                "disable-legacy-endpoints": "TRUE",
                "serial-port-enable": "FALSE",
            },
            tags=[network.members, ctx.name(self._name, NETWORK_TAG)],
            labels=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._key.open_to("compute")]),
        )


def _scheduling(*, spot: bool, has_gpu: bool) -> gcp.compute.RegionInstanceTemplateSchedulingArgsDict:
    """A machine that is not moved when its host is mended ends instead, and comes back: with a GPU none is moved."""
    if spot:
        return {
            "provisioning_model": "SPOT",
            "preemptible": True,
            "automatic_restart": False,
            "on_host_maintenance": "TERMINATE",
            "instance_termination_action": "DELETE",  # its group makes another, of a type that is there
        }
    return {
        "provisioning_model": "STANDARD",
        "automatic_restart": True,
        "on_host_maintenance": "TERMINATE" if has_gpu else "MIGRATE",
    }


def _written(group: str) -> str:
    """The filter of what the machines write: Docker's own driver sends what containers say, Google's agent the boot."""
    return (
        f'(log_id("gcplogs-docker-driver") AND jsonPayload.instance.name=~"^{group}-")'
        f' OR (resource.type="gce_instance" AND labels.instance_name=~"^{group}-")'
    )
