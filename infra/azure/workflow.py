"""Steps that run by themselves (Logic Apps), each a job in Container Apps, and then a deployment."""

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_azure_native import app, eventgrid, logic, storage

from infra.azure import states
from infra.azure.identity import Identity
from infra.azure.job import Beside
from infra.azure.job import job as make_job
from infra.azure.keys import Key
from infra.azure.names import QUEUE, TOPIC, WORKFLOW, Account, own
from infra.azure.policy import QUEUE_SENDER, built_in, grant, role
from infra.azure.registry import Registry
from infra.azure.service import Service
from infra.azure.store import ZONES, Store, private_account
from infra.context import Context
from infra.shape import Step, WorkflowArgs

QUEUES = "Microsoft.Storage/storageAccounts/queueServices/queues"
DAY_SECONDS = 24 * 3600  # for so long it is remembered that an object landed


@dataclass
class Conductor:
    """The workflow's own identity, made and gone with it: Azure lets it in to storage past the network's rules."""

    workload: str
    id: pulumi.Output[str]
    principal: pulumi.Output[str]


class Workflow(pulumi.ComponentResource):
    """A Logic App that is started by an object that lands, and by a schedule.

    The steps have the identity of the container; the conductor may start just them and deploy just the one service.
    Azure tells of an object by a message in a queue, as a call of the Logic App would take a secret in its address.
    """

    name: pulumi.Output[str]
    id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: WorkflowArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Workflow", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._service = own(Service, args.deploys)
        starter = Identity(f"{name}-starter", "container", account=account, ctx=ctx, opts=self._child)
        beside = Beside(self._service, starter, own(Registry, args.container.image.registry).pulls(starter))
        jobs = {step.name: self._job(step, beside) for step in args.steps}
        doorbell = private_account(
            f"{name}-landed", own(Key, args.container.key), sku=ZONES, account=account, ctx=ctx, parent=self
        )
        queue = storage.Queue(
            name,
            queue_name=ctx.name(name, QUEUE),
            account_name=doorbell.name,
            resource_group_name=account.group,
            opts=self._child,
        )
        self._on_landing(doorbell, queue)
        workflow = self._workflow(jobs, doorbell, queue)
        conductor = Conductor(name, workflow.id, workflow.identity.apply(lambda own: own.principal_id if own else ""))
        self._grants(conductor, jobs, queue)
        self.name, self.id = workflow.name, workflow.id
        self.register_outputs({"name": self.name})

    def _job(self, step: Step, beside: Beside) -> app.Job:
        """One step: the workflow ends with it if it fails."""
        name = f"{self._name}-{step.name}"
        container, account = self._args.container, self._account
        return make_job(name, step.name, container, step.command, beside, account=account, ctx=self._ctx, parent=self)

    def _on_landing(self, doorbell: storage.StorageAccount, queue: storage.Queue) -> None:
        """A message for each object that lands under the prefix, sent by an identity that may do nothing else."""
        starts_on, account = own(Store, self._args.starts_on), self._account
        sender = Identity(f"{self._name}-landing", "topic", account=account, ctx=self._ctx, opts=self._child)
        may_send = grant(
            sender,
            "send",
            f"{self._name}-queue",
            built_in(QUEUE_SENDER, account),
            queue.id,
            account=account,
            ctx=self._ctx,
            parent=self,
        )
        topic = eventgrid.SystemTopic(
            self._name,
            system_topic_name=self._ctx.name(self._name, TOPIC),
            resource_group_name=account.group,
            location=account.location,
            source=starts_on.account,
            topic_type="Microsoft.Storage.StorageAccounts",
            identity={
                "type": "UserAssigned",
                "user_assigned_identities": sender.id.apply(lambda id_: {id_: {}}),
            },
            tags=self._ctx.tags,
            opts=self._child,
        )
        delivery: Any = {
            "identity": {"type": "UserAssigned", "user_assigned_identity": sender.id},
            "destination": {
                "endpoint_type": "StorageQueue",
                "resource_id": doorbell.id,
                "queue_name": queue.name,
                "queue_message_time_to_live_in_seconds": DAY_SECONDS,
            },
        }
        told: Any = states.landing(starts_on.purpose, self._args.prefix)
        eventgrid.SystemTopicEventSubscription(
            self._name,
            event_subscription_name=self._ctx.name(self._name, TOPIC),
            system_topic_name=topic.name,
            resource_group_name=account.group,
            event_delivery_schema="EventGridSchema",
            filter=told,
            delivery_with_resource_identity=delivery,
            retry_policy={"max_delivery_attempts": 30, "event_time_to_live_in_minutes": 1440},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may_send]),
        )

    def _workflow(
        self, jobs: dict[str, app.Job], doorbell: storage.StorageAccount, queue: storage.Queue
    ) -> logic.Workflow:
        address = pulumi.Output.concat("https://", doorbell.name, ".queue.core.windows.net/", queue.name)
        steps, schedule = self._args.steps, states.schedule(self._args.schedule)
        known = pulumi.Output.all(
            jobs={step: job.id for step, job in jobs.items()}, deploys=self._service.id, queue=address
        )
        return logic.Workflow(
            self._name,
            workflow_name=self._ctx.name(self._name, WORKFLOW),
            resource_group_name=self._account.group,
            location=self._account.location,
            state="Enabled",
            identity={"type": logic.ManagedServiceIdentityType.SYSTEM_ASSIGNED},
            # Nobody starts it or looks at its contents from an address: its triggers go and look for themselves.
            access_control={"contents": {"allowed_caller_ip_addresses": [{"address_range": "192.0.2.0/32"}]}},
            definition=known.apply(
                lambda known: states.definition(steps, known["jobs"], known["deploys"], known["queue"], schedule)
            ),
            tags=self._ctx.tags,
            opts=self._child,
        )

    def _grants(self, conductor: Conductor, jobs: dict[str, app.Job], queue: storage.Queue) -> None:
        """What the conductor may do: start the steps, see how they end, count and take messages, replace copies."""
        account, ctx = self._account, self._ctx
        run = role(
            f"{self._name}-run",
            "Start jobs and see how they end",
            actions=["Microsoft.App/jobs/executions/read", "Microsoft.App/jobs/start/action"],
            account=account,
            ctx=ctx,
            parent=self,
        )
        for step, job in jobs.items():
            grant(conductor, "run", step, run, job.id, account=account, ctx=ctx, parent=self)
        take = role(
            f"{self._name}-doorbell",
            "Count the messages of a queue, and take them away unread",
            actions=[f"{QUEUES}/read"],
            data_actions=[f"{QUEUES}/messages/delete"],
            account=account,
            ctx=ctx,
            parent=self,
        )
        grant(conductor, "take", f"{self._name}-queue", take, queue.id, account=account, ctx=ctx, parent=self)
        self._service.grant_deploy(conductor)
