"""Machines to train on: an Auto Scaling group of spot instances above a floor on demand."""

import pulumi
import pulumi_aws as aws

from infra.aws.boot import user_data
from infra.aws.file_system import FileSystem
from infra.aws.names import INSTANCE_PROFILE, KEY_PAIR, LAUNCH_TEMPLATE, MACHINES, Account
from infra.aws.network import open_port, security_group
from infra.aws.policy import allow, grant
from infra.aws.sizes import SIZES
from infra.aws.watch import Log
from infra.context import Context
from infra.shape import Accelerator, TrainerArgs

SSH = 22
DISK_GIB = 100
# Images of AWS with Docker and, where a GPU is asked for, its driver: EC2 looks the newest up at each start.
IMAGES: dict[Accelerator, str] = {
    "none": "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
    "gpu-small": "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id",
    "gpu-large": "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id",
}


class Trainer(pulumi.ComponentResource):
    """Machines by need, of several types so that spot can be found, none with a public address.

    Whoever trains sets how many there are. A spot machine that is about to be taken away is replaced before it
    goes; one that has nothing to do leaves the group, but never below the floor.
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
        super().__init__("groundwork:aws:Trainer", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        log = Log(name, args.container.key, ctx=ctx, opts=self._child)
        log.grant_write(args.container.runs_as)
        template = self._template(self._doors(), log)
        group = self._group(template)
        grant(
            args.container.runs_as,
            "leave",
            name,
            [allow(["autoscaling:TerminateInstanceInAutoScalingGroup"], [group.arn])],
            parent=self,
        )
        self.name = group.name
        self.register_outputs({"name": self.name})

    def _doors(self) -> pulumi.Output[str]:
        """SSH from the networks that are listed, and the ports that are asked for from members of the network."""
        network, access = self._args.container.network, self._args.access
        group = security_group(f"{self._name}-machines", "Machines to train on", network.id, ctx=self._ctx, parent=self)
        for known in access.ssh_from:
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-ssh-from-{known}",
                security_group_id=group,
                description="SSH from a known network",
                ip_protocol="tcp",
                from_port=SSH,
                to_port=SSH,
                cidr_ipv4=known,
                tags=self._ctx.tags,
                opts=self._child,
            )
        for port in access.ports:
            open_port(f"members-to-{self._name}-{port}", port, network.members, group, ctx=self._ctx, parent=self)
        return group

    def _template(self, group: pulumi.Output[str], log: Log) -> aws.ec2.LaunchTemplate:
        args, ctx = self._args, self._ctx
        profile = aws.iam.InstanceProfile(
            self._name,
            name=ctx.name(self._name, INSTANCE_PROFILE),
            role=args.container.runs_as.id,
            tags=ctx.tags,
            opts=self._child,
        )
        pair = aws.ec2.KeyPair(
            self._name,
            key_name=ctx.name(self._name, KEY_PAIR),
            public_key=args.access.ssh_key,
            tags=ctx.tags,
            opts=self._child,
        )
        return aws.ec2.LaunchTemplate(
            self._name,
            name=ctx.name(self._name, LAUNCH_TEMPLATE),
            image_id=f"resolve:ssm:{IMAGES[args.fleet.accelerator]}",
            iam_instance_profile={"arn": profile.arn},
            key_name=pair.key_name,
            user_data=user_data(args, self._files(), log.name, ctx.name(self._name, MACHINES), self._account.region),
            update_default_version=True,
            instance_initiated_shutdown_behavior="terminate",
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 2,  # a container is one hop behind its machine
            },
            monitoring={"enabled": True},
            network_interfaces=[
                {
                    "device_index": 0,
                    "associate_public_ip_address": "false",
                    "delete_on_termination": "true",
                    "security_groups": [group, args.container.network.members],
                }
            ],
            # Encrypted with AWS's own key: Auto Scaling may use another one only if that key's policy names a role
            # of its own, which must exist before. What is to last is in the shared files, under a key of ours.
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "volume_size": DISK_GIB,
                        "volume_type": "gp3",
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            tag_specifications=[
                {"resource_type": kind, "tags": ctx.tags} for kind in ("instance", "volume", "network-interface")
            ],
            tags=ctx.tags,
            opts=self._child,
        )

    def _files(self) -> FileSystem:
        files = self._args.files
        if not isinstance(files, FileSystem):
            raise TypeError("The machines of AWS mount a file system of AWS (infra.aws.file_system).")
        return files

    def _group(self, template: aws.ec2.LaunchTemplate) -> aws.autoscaling.Group:
        fleet, full_name = self._args.fleet, self._ctx.name(self._name, MACHINES)
        return aws.autoscaling.Group(
            self._name,
            name=full_name,
            min_size=fleet.on_demand,
            desired_capacity=fleet.on_demand,
            max_size=fleet.maximum,
            vpc_zone_identifiers=self._args.container.network.subnets,
            capacity_rebalance=True,
            health_check_type="EC2",
            mixed_instances_policy={
                "launch_template": {
                    "launch_template_specification": {
                        "launch_template_id": template.id,
                        "version": template.latest_version.apply(str),
                    },
                    "overrides": [{"instance_type": size.name} for size in SIZES[fleet.accelerator]],
                },
                "instances_distribution": {
                    "on_demand_allocation_strategy": "prioritized",
                    "on_demand_base_capacity": fleet.on_demand,
                    "on_demand_percentage_above_base_capacity": 0,
                    "spot_allocation_strategy": "price-capacity-optimized",
                },
            },
            tags=[
                {"key": key, "value": value, "propagate_at_launch": True}
                for key, value in sorted({**self._ctx.tags, "Name": full_name}.items())
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["desiredCapacity"],  # whoever trains sets it from now on
            ),
        )
