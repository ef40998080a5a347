"""Steps that run by themselves (Cloud Workflows), each a Cloud Run job, and then a deployment."""

import base64

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp import states
from infra.gcp.identity import Identity
from infra.gcp.job import job
from infra.gcp.keys import Key
from infra.gcp.names import RUN_SERVICE, SCHEDULE, TOPIC, TRIGGER, WORKFLOW, Account
from infra.gcp.policy import own, role
from infra.gcp.watch import Log
from infra.shape import WorkflowArgs

LANDED_AT_LEAST_SECONDS = 3600  # for so long an announcement of an object is kept for the workflow
TRIED_AGAIN = 3
NOTHING = base64.b64encode(b'{"argument": "{}"}').decode()


class Workflow(pulumi.ComponentResource):
    """A workflow that is started by an object that lands, and by a schedule.

    The steps have the identity of the container; the conductor may run just them and deploy just the one service;
    each of the two starters may start workflows and nothing else.
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: WorkflowArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Workflow", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._key = own(args.container.key, Key)
        log = Log(name, self._key, self._written(), account=account, ctx=ctx, opts=self._child)
        conductor = self._identity("conductor", "workflow")
        jobs = {
            step.name: job(f"{name}-{step.name}", args.container, step.command, account=account, ctx=ctx, parent=self)
            for step in args.steps
        }
        grants = self._grants(conductor, jobs)
        service = pulumi.Output.format(
            "projects/{0}/locations/{1}/services/{2}", account.project, args.deploys.cluster, args.deploys.name
        )
        definition = states.definition(args.steps, {step: job.id for step, job in jobs.items()}, service)
        workflow = gcp.workflows.Workflow(
            name,
            name=ctx.name(name, WORKFLOW),
            description=f"{' → '.join(step.name for step in args.steps)} → deploy",
            project=account.project,
            region=account.region,
            service_account=conductor.id,
            source_contents=pulumi.Output.json_dumps(definition),
            crypto_key_name=self._key.id,
            call_log_level="LOG_ALL_CALLS",
            deletion_protection=False,  # it holds no data: its executions are in the log
            labels=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log, *grants, self._key.open_to("workflows")]),
        )
        # Starting a workflow is granted for a project's workflows: IAM knows no narrower resource.
        may_start = role(
            f"{name}-start", ["workflows.executions.create"], "Start a workflow", account=account, ctx=ctx, parent=self
        )
        self._on_landing(workflow, may_start)
        self._on_schedule(workflow, may_start)
        self.name = workflow.name
        self.register_outputs({"name": self.name})

    def _written(self) -> str:
        """The filter of what the steps write, and the workflow that runs them."""
        jobs = " OR ".join(f'"{self._ctx.name(f"{self._name}-{step.name}", RUN_SERVICE)}"' for step in self._args.steps)
        workflow = self._ctx.name(self._name, WORKFLOW)
        return (
            f'(resource.type="cloud_run_job" AND resource.labels.job_name=({jobs}))'
            f' OR (resource.type="workflows.googleapis.com/Workflow" AND resource.labels.workflow_id="{workflow}")'
        )

    def _identity(self, name: str, runs_on: str) -> Identity:
        return Identity(f"{self._name}-{name}", runs_on, account=self._account, ctx=self._ctx, opts=self._child)

    def _grants(self, conductor: Identity, jobs: dict[str, gcp.cloudrunv2.Job]) -> list[pulumi.Resource]:
        """What the conductor may do: run the steps as they are, replace the service's copies, write its log."""
        self._args.deploys.grant_deploy(conductor)
        # What became of a run is asked of the project's operations: IAM knows no narrower resource.
        watch = role(
            f"{self._name}-conduct",
            ["logging.logEntries.create", "run.executions.get", "run.operations.get"],
            "See how runs of jobs end, and log it",
            account=self._account,
            ctx=self._ctx,
            parent=self,
        )
        return [self._granted(conductor, "conducts", watch)] + [
            gcp.cloudrunv2.JobIamMember(
                f"{self._name}-runs-{step}",
                project=self._account.project,
                location=self._account.region,
                name=job.name,
                role="roles/run.invoker",
                member=conductor.principal,
                opts=self._child,
            )
            for step, job in jobs.items()
        ]

    def _granted(self, identity: Identity, verb: str, what: pulumi.Input[str]) -> pulumi.Resource:
        return gcp.projects.IAMMember(
            f"{identity.workload}-{verb}",
            project=self._account.project,
            role=what,
            member=identity.principal,
            opts=self._child,
        )

    def _on_landing(self, workflow: gcp.workflows.Workflow, may_start: pulumi.Output[str]) -> None:
        """Cloud Storage announces what lands under the prefix alone: Eventarc itself cannot tell prefixes apart."""
        name, account = f"{self._name}-landing", self._account
        identity = self._identity("landing", "trigger")
        topic = gcp.pubsub.Topic(
            name,
            name=self._ctx.name(name, TOPIC),
            project=account.project,
            kms_key_name=self._key.id,
            message_storage_policy={"allowed_persistence_regions": [account.region]},
            message_retention_duration=f"{LANDED_AT_LEAST_SECONDS}s",
            labels=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._key.open_to("pubsub")]),
        )
        storage = gcp.storage.get_project_service_account_output(
            project=account.project, opts=pulumi.InvokeOptions(parent=self)
        )
        announces = gcp.pubsub.TopicIAMMember(
            name,
            project=account.project,
            topic=topic.name,
            role="roles/pubsub.publisher",
            member=storage.member,
            opts=self._child,
        )
        gcp.storage.Notification(
            name,
            bucket=self._args.starts_on.name,
            topic=topic.id,
            event_types=["OBJECT_FINALIZE"],
            object_name_prefix=self._args.prefix,
            payload_format="JSON_API_V1",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[announces]),
        )
        gcp.eventarc.Trigger(
            name,
            name=self._ctx.name(name, TRIGGER),
            project=account.project,
            location=account.region,
            service_account=identity.id,
            matching_criterias=[{"attribute": "type", "value": "google.cloud.pubsub.topic.v1.messagePublished"}],
            transport={"pubsub": {"topic": topic.id}},
            destination={"workflow": workflow.id},
            labels=self._ctx.tags,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self._granted(identity, f"starts-{self._name}", may_start)]
            ),
        )

    def _on_schedule(self, workflow: gcp.workflows.Workflow, may_start: pulumi.Output[str]) -> None:
        identity = self._identity("schedule", "schedule")
        gcp.cloudscheduler.Job(
            self._name,
            name=self._ctx.name(self._name, SCHEDULE),
            description=f"Starts {self._name}",
            project=self._account.project,
            region=self._account.region,
            schedule=self._args.schedule,
            time_zone="Etc/UTC",
            retry_config={"retry_count": TRIED_AGAIN},
            http_target={
                "http_method": "POST",
                "uri": pulumi.Output.concat(
                    "https://workflowexecutions.googleapis.com/v1/", workflow.id, "/executions"
                ),
                "body": NOTHING,
                "oauth_token": {
                    "service_account_email": identity.id,
                    "scope": "https://www.googleapis.com/auth/cloud-platform",
                },
            },
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self._granted(identity, f"starts-{self._name}", may_start)]
            ),
        )
