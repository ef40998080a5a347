"""Containers that run to their end (jobs in Container Apps): the steps of workflows, and jobs that people start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_azure_native import app

from infra.azure.environment import PROFILE
from infra.azure.identity import Identity
from infra.azure.names import CONTAINER_APP, Account, own
from infra.azure.registry import Registry
from infra.azure.service import Service
from infra.context import Context
from infra.shape import Container, JobArgs

CPUS, MEMORY = 1.0, "2Gi"
LONGEST_SECONDS = 24 * 3600


class Job(pulumi.ComponentResource):
    """A job that runs when somebody starts it (`az containerapp job start`), and by itself never."""

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
        super().__init__("groundwork:azure:Job", name, None, opts)
        starter = Identity(
            f"{name}-starter", "container", account=account, ctx=ctx, opts=pulumi.ResourceOptions(parent=self)
        )
        pulls = own(Registry, args.container.image.registry).pulls(starter)
        beside = Beside(own(Service, args.beside), starter, pulls)
        made = job(name, name, args.container, args.container.command, beside, account=account, ctx=ctx, parent=self)
        self.name = made.name
        self.register_outputs({"name": self.name})


@dataclass(frozen=True)
class Beside:
    """Where a job runs, as whom its image is fetched, and what lets that one."""

    service: Service
    starter: Identity
    pulls: pulumi.Resource


def job(
    name: str,
    inside: str,
    container: Container,
    command: Sequence[str],
    beside: Beside,
    *,
    account: Account,
    ctx: Context,
    parent: pulumi.Resource,
) -> app.Job:
    """It runs once when it is started, and not again if it fails; its container is called `inside`."""
    starter, registry = beside.starter, own(Registry, container.image.registry)
    configuration: Any = {
        "trigger_type": "Manual",
        "manual_trigger_config": {"parallelism": 1, "replica_completion_count": 1},
        "replica_timeout": LONGEST_SECONDS,
        "replica_retry_limit": 0,
        "registries": [{"server": registry.server, "identity": starter.id}],
        # The app gets no token of the identity that fetches its image.
        "identity_settings": [
            {"identity": container.runs_as.id, "lifecycle": "Main"},
            {"identity": starter.id, "lifecycle": "None"},
        ],
    }
    variables = {"AZURE_CLIENT_ID": own(Identity, container.runs_as).client, **container.environment}
    made: Any = {
        "name": inside,
        "image": container.image.uri,
        "args": list(command),
        "resources": {"cpu": CPUS, "memory": MEMORY},
        "env": [{"name": key, "value": variables[key]} for key in sorted(variables)],
    }
    return app.Job(
        name,
        job_name=ctx.name(name, CONTAINER_APP),
        resource_group_name=account.group,
        location=account.location,
        environment_id=beside.service.containers.id,
        workload_profile_name=PROFILE,
        identity={"type": "UserAssigned", "user_assigned_identities": [container.runs_as.id, starter.id]},
        configuration=configuration,
        template={"containers": [made]},
        tags=ctx.tags,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[beside.pulls]),
    )
