"""Containers that run to their end (tasks on Fargate): the steps of workflows, and jobs that people start."""

from typing import Any

import pulumi
import pulumi_aws as aws

from infra.aws.identity import Identity
from infra.aws.names import CONTAINERS, Account
from infra.aws.watch import Log
from infra.context import Context
from infra.shape import Container, JobArgs

CPU_UNITS, MEMORY_MIB = "1024", "2048"
NOBODY = "10001:10001"  # user and group of the image, not root


class Job(pulumi.ComponentResource):
    """A task that runs when somebody starts it (ecs:RunTask, on the service's cluster), and by itself never."""

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: JobArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Job", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        starter = Identity(f"{name}-starter", "container", account=account, ctx=ctx, opts=child)
        made, _ = task(name, args.container, starter, account=account, ctx=ctx, parent=self)
        self.name = made.family
        self.register_outputs({"name": self.name})


def task(
    name: str, container: Container, starter: Identity, *, account: Account, ctx: Context, parent: pulumi.Resource
) -> tuple[aws.ecs.TaskDefinition, Log]:
    """What runs a container to its end, and its log. `starter` fetches the image and writes the log."""
    child = pulumi.ResourceOptions(parent=parent)
    container.image.registry.grant_pull(starter)
    log = Log(name, container.key, ctx=ctx, opts=child)
    log.grant_write(starter)
    definition = aws.ecs.TaskDefinition(
        name,
        family=ctx.name(name, CONTAINERS),
        cpu=CPU_UNITS,
        memory=MEMORY_MIB,
        network_mode="awsvpc",
        requires_compatibilities=["FARGATE"],
        execution_role_arn=starter.principal,
        task_role_arn=container.runs_as.principal,
        container_definitions=pulumi.Output.json_dumps([_container(name, container, log, account.region)]),
        tags=ctx.tags,
        opts=child,
    )
    return definition, log


def _container(name: str, container: Container, log: Log, region: str) -> dict[str, Any]:
    """The one container: it writes nowhere, is not root and has no capability of the kernel."""
    command = {"command": list(container.command)} if container.command else {}
    return {
        "name": name,
        "image": container.image.uri,
        **command,
        "essential": True,
        "user": NOBODY,
        "privileged": False,
        "readonlyRootFilesystem": True,
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": True},
        "environment": [{"name": key, "value": container.environment[key]} for key in sorted(container.environment)],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": log.name,
                "awslogs-region": region,
                "awslogs-stream-prefix": name,
            },
        },
    }
