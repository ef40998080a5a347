"""Containers that run to their end (Cloud Run jobs): the steps of workflows, and jobs that people start."""

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp import states
from infra.gcp.keys import Key
from infra.gcp.names import RUN_SERVICE, Account
from infra.gcp.policy import own
from infra.gcp.watch import Log
from infra.shape import Container, JobArgs

CPU, MEMORY = "1", "2Gi"


class Job(pulumi.ComponentResource):
    """A job that runs when somebody starts it (`gcloud run jobs execute`), and by itself never."""

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
        super().__init__("groundwork:gcp:Job", name, None, opts)
        key = own(args.container.key, Key)
        written = f'resource.type="cloud_run_job" AND resource.labels.job_name="{ctx.name(name, RUN_SERVICE)}"'
        Log(name, key, written, account=account, ctx=ctx, opts=pulumi.ResourceOptions(parent=self))
        self.name = job(name, args.container, args.container.command, account=account, ctx=ctx, parent=self).name
        self.register_outputs({"name": self.name})


def job(
    name: str, container: Container, command: Sequence[str], *, account: Account, ctx: Context, parent: pulumi.Resource
) -> gcp.cloudrunv2.Job:
    """One try of one task, within the private network; another try is another run."""
    variables, key = container.environment, own(container.key, Key)
    return gcp.cloudrunv2.Job(
        name,
        name=ctx.name(name, RUN_SERVICE),
        project=account.project,
        location=account.region,
        deletion_protection=False,  # it holds no data
        template={
            "task_count": 1,
            "template": {
                "containers": [
                    {
                        "image": container.image.uri,
                        "args": list(command),
                        "envs": [{"name": each, "value": variables[each]} for each in sorted(variables)],
                        "resources": {"limits": {"cpu": CPU, "memory": MEMORY}},
                    }
                ],
                "service_account": container.runs_as.id,
                "encryption_key": key.id,
                "execution_environment": "EXECUTION_ENVIRONMENT_GEN2",
                "max_retries": 0,
                "timeout": f"{states.STEP_SECONDS}s",
                "vpc_access": {
                    "egress": "ALL_TRAFFIC",
                    "network_interfaces": [
                        {
                            "network": container.network.id,
                            "subnetwork": container.network.subnets[0],
                            "tags": [container.network.members],
                        }
                    ],
                },
            },
        },
        labels=ctx.tags,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[key.open_to("run")]),
    )
