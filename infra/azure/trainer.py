"""Machines to train on: a scale set of spot machines above a floor on demand."""

from typing import Any

import pulumi
from pulumi_azure_native import compute, monitor

from infra.azure.boot import custom_data
from infra.azure.identity import Identity
from infra.azure.keys import Key
from infra.azure.names import DISK_KEY, MACHINES, Account, own
from infra.azure.network import Network
from infra.azure.policy import grant, role
from infra.azure.sizes import SIZES
from infra.context import Context
from infra.shape import Fleet, TrainerArgs

SSH = "22"
DISK_GIB = 128
USER = "trainer"
# Microsoft's image with Docker and the driver of NVIDIA's GPUs: a machine that cannot reach the internet has to find
# them there.
IMAGE = {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2204", "version": "latest"}
IDLE_PERCENT = 5  # of CPU: less than what any training takes, its feeding of a GPU included
LEAST_MINUTES = 5  # of Azure's autoscaler
NOTICE = "PT15M"  # the longest that Azure waits for a machine that it was told to delete; spot has 30 seconds
LEAVE = "Microsoft.Compute/virtualMachineScaleSets/delete/action"  # takes instances out, not the set away


class Trainer(pulumi.ComponentResource):
    """Machines by need, of several sizes so that spot can be found, over all zones, none with a public address.

    Whoever trains sets how many there are, between the floor and the maximum. A machine that has nothing to do leaves
    the set, which its identity may ask for. Disks are under our key, and so is what the host keeps of them.
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: TrainerArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Trainer", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._full_name = ctx.name(name, MACHINES)
        self._doors(own(Network, args.container.network))
        machines = self._machines(self._disk_key())
        self._bounds(machines)
        leave = role(
            f"{name}-leave",
            "Take machines out of a scale set",
            actions=[LEAVE],
            account=account,
            ctx=ctx,
            parent=self,
        )
        grant(args.container.runs_as, "leave", name, leave, machines.id, account=account, ctx=ctx, parent=self)
        self.name = machines.name
        self.register_outputs({"name": self.name})

    def _doors(self, network: Network) -> None:
        """SSH from the networks that are listed, and the ports that are asked for from members of the network."""
        access, to = self._args.access, network.ranges["workloads"]
        for known in access.ssh_from:
            rule = f"{self._name}-ssh-from-" + known.translate({ord(mark): "-" for mark in ".:/"})
            network.rule(rule, "workloads", "Inbound", SSH, source=known, destination=to)
        for port in access.ports:
            members, number = network.members, str(port)
            network.rule(f"members-to-{number}", "workloads", "Inbound", number, source=members, destination=to)
            network.rule(f"members-out-{number}", "workloads", "Outbound", number, source=members, destination=to)

    def _disk_key(self) -> compute.DiskEncryptionSet:
        """Disks are encrypted by an identity that may do nothing else."""
        key = own(Key, self._args.container.key)
        return compute.DiskEncryptionSet(
            self._name,
            disk_encryption_set_name=self._ctx.name(self._name, DISK_KEY),
            resource_group_name=self._account.group,
            location=self._account.location,
            encryption_type="EncryptionAtRestWithCustomerKey",
            active_key={"key_url": key.version, "source_vault": {"id": key.vault}},
            rotation_to_latest_key_version_enabled=True,
            identity={
                "type": compute.DiskEncryptionSetIdentityType.USER_ASSIGNED,
                "user_assigned_identities": [key.user.id],
            },
            tags=self._ctx.tags,
            opts=self._child,
        )

    def _machines(self, disk_key: compute.DiskEncryptionSet) -> compute.VirtualMachineScaleSet:
        fleet, account = self._args.fleet, self._account
        profile: Any = {
            "priority": "Spot",
            "eviction_policy": "Delete",
            "billing_profile": {"max_price": -1},  # the list price at most: taken away for want of room alone
            "os_profile": self._system(),
            "storage_profile": {"image_reference": IMAGE, "os_disk": _disk(disk_key.id)},
            "network_profile": self._network(),
            "security_profile": {
                "security_type": "TrustedLaunch",
                # The GPU's driver in the image is not signed, and would not start (docs/parity.md).
                "uefi_settings": {"secure_boot_enabled": fleet.accelerator == "none", "v_tpm_enabled": True},
                "encryption_at_host": True,
            },
            "scheduled_events_profile": {
                "terminate_notification_profile": {"enable": True, "not_before_timeout": NOTICE}
            },
            "diagnostics_profile": {"boot_diagnostics": {"enabled": True}},  # kept by Azure, for people to read
        }
        return compute.VirtualMachineScaleSet(
            self._name,
            vm_scale_set_name=self._full_name,
            resource_group_name=account.group,
            location=account.location,
            zones=list(account.zones),
            orchestration_mode="Flexible",
            platform_fault_domain_count=1,  # with zones, as many as hardware allows
            single_placement_group=False,
            **self._sizes(),
            priority_mix_policy={
                "base_regular_priority_count": fleet.on_demand,
                "regular_priority_percentage_above_base": 0,
            },
            identity={
                "type": compute.ResourceIdentityType.USER_ASSIGNED,
                "user_assigned_identities": [self._args.container.runs_as.id],
            },
            virtual_machine_profile=profile,
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["sku.capacity"],  # whoever trains sets it from now on
            ),
        )

    def _sizes(self) -> dict[str, Any]:
        """The one size, or those of which Azure takes what costs least and is to be had."""
        names, floor = [size.name for size in SIZES[self._args.fleet.accelerator]], self._args.fleet.on_demand
        if len(names) == 1:
            return {"sku": {"name": names[0], "tier": "Standard", "capacity": floor}}
        mix = {"vm_sizes": [{"name": name} for name in names], "allocation_strategy": "CapacityOptimized"}
        return {"sku": {"name": "Mix", "capacity": floor}, "sku_profile": mix}

    def _system(self) -> dict[str, Any]:
        key = {"path": f"/home/{USER}/.ssh/authorized_keys", "key_data": self._args.access.ssh_key}
        container = self._args.container
        set_id = f"resourceGroups/{{0}}/providers/Microsoft.Compute/virtualMachineScaleSets/{self._full_name}"
        machines = pulumi.Output.format(f"/subscriptions/{self._account.subscription}/{set_id}", self._account.group)
        return {
            "computer_name_prefix": self._name[:9],
            "admin_username": USER,
            "custom_data": custom_data(self._args, own(Identity, container.runs_as), machines),
            "allow_extension_operations": False,
            "linux_configuration": {
                "disable_password_authentication": True,
                "provision_vm_agent": True,
                "ssh": {"public_keys": [key]},
            },
        }

    def _network(self) -> dict[str, Any]:
        """One interface with a private address, which wears the network's membership."""
        network = self._args.container.network
        address = {
            "name": "private",
            "primary": True,
            "subnet": {"id": network.subnets[0]},
            "application_security_groups": [{"id": network.members}],
        }
        interface = {"name": "private", "primary": True, "ip_configurations": [address], "delete_option": "Delete"}
        return {"network_api_version": "2022-11-01", "network_interface_configurations": [interface]}

    def _bounds(self, machines: compute.VirtualMachineScaleSet) -> None:
        """Never under the floor, never over the maximum, and back to the floor once nothing trains.

        A machine asks to leave by itself, too; but that call goes to an address of the internet, which the network
        does not reach unless it is given a way out.
        """
        fleet = self._args.fleet
        bounds: Any = {"minimum": str(fleet.on_demand), "maximum": str(fleet.maximum), "default": str(fleet.on_demand)}
        monitor.AutoscaleSetting(
            self._name,
            autoscale_setting_name=self._full_name,
            name=self._full_name,
            resource_group_name=self._account.group,
            location=self._account.location,
            target_resource_uri=machines.id,
            enabled=True,
            profiles=[{"name": "bounds", "capacity": bounds, "rules": [_idle(machines.id, fleet)]}],
            tags=self._ctx.tags,
            opts=self._child,
        )


def _idle(machines: pulumi.Output[str], fleet: Fleet) -> Any:
    """Azure sees no containers, so what idles is told by its CPUs, of all machines of the set together."""
    minutes = f"PT{max(fleet.idle_minutes, LEAST_MINUTES)}M"
    return {
        "metric_trigger": {
            "metric_name": "Percentage CPU",
            "metric_resource_uri": machines,
            "time_grain": "PT1M",
            "time_window": minutes,
            "statistic": "Average",
            "time_aggregation": "Maximum",
            "operator": "LessThan",
            "threshold": IDLE_PERCENT,
        },
        "scale_action": {
            "direction": "Decrease",
            "type": "ExactCount",
            "value": str(fleet.on_demand),
            "cooldown": minutes,
        },
    }


def _disk(disk_key: pulumi.Output[str]) -> dict[str, Any]:
    return {
        "create_option": "FromImage",
        "caching": "ReadWrite",
        "delete_option": "Delete",
        "disk_size_gb": DISK_GIB,
        "managed_disk": {"storage_account_type": "Premium_LRS", "disk_encryption_set": {"id": disk_key}},
    }
