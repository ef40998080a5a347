"""The app as a service: containers on Fargate behind a load balancer, over all zones of the network."""

from typing import Any

import pulumi
import pulumi_aws as aws

from infra.aws.args import AwsArgs
from infra.aws.balancer import LoadBalancer
from infra.aws.identity import Identity
from infra.aws.names import CONTAINERS, Account
from infra.aws.network import open_port, security_group
from infra.aws.policy import allow, grant
from infra.aws.scaling import Scaling
from infra.aws.watch import Log
from infra.context import Context
from infra.shape import Identity as AnyIdentity
from infra.shape import Scale, ServiceArgs

CPU_UNITS, MEMORY_MIB = "512", "1024"  # half a core; Fargate has nothing smaller than 1 GiB for it
SCRATCH = "scratch"  # what the task calls its volume
NOBODY = "10001:10001"  # user and group of the image, not root
# Python is what the image certainly has. urlopen raises on anything but success, and so the command fails.
IS_ALIVE = (
    "import os, urllib.request; "
    "urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=2)"
)


class Service(pulumi.ComponentResource):
    """A rolling, self-healing service that is never under its minimum of copies.

    A deployment starts the new copies before it stops the old ones, and goes back by itself when the new
    ones do not become healthy. How many copies run is the scaling's business after the first deployment.
    """

    cluster: pulumi.Output[str]
    name: pulumi.Output[str]
    url: pulumi.Output[str]
    balancer: pulumi.Output[str]
    log: Log
    scale: Scale

    def __init__(
        self,
        name: str,
        args: ServiceArgs,
        cloud: AwsArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Service", name, None, opts)
        self._child, container = pulumi.ResourceOptions(parent=self), args.container
        child = self._child
        balancer = LoadBalancer(name, args, cloud, ctx=ctx, opts=child)
        group = security_group(f"{name}-tasks", "Tasks of the service", container.network.id, ctx=ctx, parent=self)
        open_port(f"{name}-balancer-to-tasks", args.port, balancer.group, group, ctx=ctx, parent=self)

        starter = Identity(f"{name}-starter", "container", account=account, ctx=ctx, opts=child)
        container.image.registry.grant_pull(starter)
        log = Log(name, container.key, ctx=ctx, opts=child)
        log.grant_write(starter)

        full_name = ctx.name(name, CONTAINERS)
        cluster = aws.ecs.Cluster(
            name,
            name=full_name,
            settings=[{"name": "containerInsights", "value": "enabled"}],
            tags=ctx.tags,
            opts=child,
        )
        task = aws.ecs.TaskDefinition(
            name,
            family=full_name,
            cpu=CPU_UNITS,
            memory=MEMORY_MIB,
            network_mode="awsvpc",
            requires_compatibilities=["FARGATE"],
            execution_role_arn=starter.principal,
            task_role_arn=container.runs_as.principal,
            container_definitions=pulumi.Output.json_dumps([_container(name, args, log, account.region)]),
            volumes=[{"name": SCRATCH}] if container.scratch else None,  # of the copy's own disk, gone with it
            tags=ctx.tags,
            opts=child,
        )
        service = aws.ecs.Service(
            name,
            name=full_name,
            cluster=cluster.arn,
            task_definition=task.arn,
            desired_count=args.scale.minimum,
            launch_type="FARGATE",
            network_configuration={
                "subnets": container.network.subnets,
                "security_groups": [group, container.network.members],
                "assign_public_ip": False,
            },
            load_balancers=[
                {
                    "target_group_arn": balancer.target_group,
                    "container_name": name,
                    "container_port": args.port,
                }
            ],
            deployment_circuit_breaker={"enable": True, "rollback": True},
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            health_check_grace_period_seconds=60,
            propagate_tags="SERVICE",
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["desiredCount"],  # the scaling sets it from now on
                depends_on=[balancer],  # ECS refuses a target group that no listener uses
            ),
        )
        Scaling(name, args.scale, cluster.name, service.name, ctx=ctx, opts=child)
        self.cluster, self.name, self.url = cluster.name, service.name, balancer.url
        self.balancer, self.log, self.scale = balancer.metrics, log, args.scale
        self._arn, self._cluster_arn = service.arn, cluster.arn
        self.register_outputs({"cluster": self.cluster, "name": self.name, "url": self.url})

    def grant_deploy(self, identity: AnyIdentity) -> None:
        """Let it replace the copies of this service by new ones, and see whether they became healthy."""
        here = {"ArnEquals": {"ecs:cluster": self._cluster_arn}}
        statements = [allow(["ecs:DescribeServices", "ecs:UpdateService"], [self._arn], when=here)]
        grant(identity, "deploy", self.pulumi_resource_name, statements, parent=self)


def _container(name: str, args: ServiceArgs, log: Log, region: str) -> dict[str, Any]:
    """The one container of the task: it writes to its scratch directory alone, is not root and has no capability of
    the kernel."""
    variables = {"PORT": str(args.port), **args.container.environment}
    command = {"command": list(args.container.command)} if args.container.command else {}
    return {
        "name": name,
        "image": args.container.image.uri,
        **command,
        "essential": True,
        "user": NOBODY,
        "privileged": False,
        "readonlyRootFilesystem": True,
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": True},
        **_scratch(args.container.scratch),
        "portMappings": [{"containerPort": args.port, "protocol": "tcp"}],
        "environment": [{"name": key, "value": variables[key]} for key in sorted(variables)],
        "healthCheck": {
            "command": ["CMD", "python", "-c", IS_ALIVE],
            "interval": 15,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 30,
        },
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": log.name,
                "awslogs-region": region,
                "awslogs-stream-prefix": name,
            },
        },
    }


def _scratch(path: str | None) -> dict[str, Any]:
    """Where the volume is mounted. It gets the owner that the directory has in the image.

    Source: Amazon ECS, "Use bind mounts with Amazon ECS" (Fargate, the VOLUME directive).
    """
    return {"mountPoints": [{"sourceVolume": SCRATCH, "containerPath": path, "readOnly": False}]} if path else {}
