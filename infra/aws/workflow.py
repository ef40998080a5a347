"""Steps that run by themselves (Step Functions), each a container on Fargate, and then a deployment."""

import pulumi
import pulumi_aws as aws

from infra.aws import job, states
from infra.aws.identity import Identity
from infra.aws.names import CONTAINERS, RULE, STATE_MACHINE, Account
from infra.aws.policy import Statement, allow, grant
from infra.aws.watch import Log
from infra.context import Context
from infra.shape import Identity as AnyIdentity
from infra.shape import WorkflowArgs

# Step Functions watches the tasks that it waits for by a rule of this name, the same in every account.
TASKS_RULE = "rule/StepFunctionsGetEventsForECSTaskRule"
DELIVERY = [
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
]


class Workflow(pulumi.ComponentResource):
    """A state machine that is started by an object that lands, and by a schedule.

    The steps have the identity of the container; the state machine may start just them and deploy just the one
    service; each of its two starters may start it and nothing else.
    """

    name: pulumi.Output[str]
    log: Log

    def __init__(
        self,
        name: str,
        args: WorkflowArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Workflow", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        cluster = aws.ecs.Cluster(
            name,
            name=ctx.name(name, CONTAINERS),
            settings=[{"name": "containerInsights", "value": "enabled"}],
            tags=ctx.tags,
            opts=self._child,
        )
        starter = self._identity("starter", "container")
        runner = self._identity("runner", "state-machine")
        task, self.log = job.task(name, args.container, starter, account=account, ctx=ctx, parent=self)
        grants = self._grants(runner, starter, cluster, task)
        log = Log(f"{name}-states", args.container.key, ctx=ctx, opts=self._child)
        network = args.container.network
        definition = states.definition(
            args.steps,
            states.Task(cluster.arn, task.arn, name, network.subnets, [network.members]),
            {"Cluster": args.deploys.cluster, "Service": args.deploys.name},
        )
        machine = aws.sfn.StateMachine(
            name,
            name=ctx.name(name, STATE_MACHINE),
            type="STANDARD",
            role_arn=runner.principal,
            definition=pulumi.Output.json_dumps(definition),
            logging_configuration={
                "level": "ALL",
                "include_execution_data": False,
                "log_destination": pulumi.Output.concat(log.arn, ":*"),
            },
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=grants),  # it tries its log when it is made
        )
        self._on_landing(machine)
        self._on_schedule(machine)
        self.name = machine.name
        self.register_outputs({"name": self.name})

    def _identity(self, name: str, runs_on: str) -> Identity:
        return Identity(f"{self._name}-{name}", runs_on, account=self._account, ctx=self._ctx, opts=self._child)

    def _grants(
        self, runner: Identity, starter: Identity, cluster: aws.ecs.Cluster, task: aws.ecs.TaskDefinition
    ) -> list[pulumi.Resource]:
        """What the state machine may do: run the steps as they are, replace the service's copies, write its log."""
        account = self._account
        tasks = account.arn("ecs", f"task/{self._ctx.name(self._name, CONTAINERS)}/*")
        steps = [
            allow(["ecs:RunTask"], [task.arn], when={"ArnEquals": {"ecs:cluster": cluster.arn}}),
            allow(["ecs:DescribeTasks", "ecs:StopTask"], [tasks]),
            allow(["events:DescribeRule", "events:PutRule", "events:PutTargets"], [account.arn("events", TASKS_RULE)]),
            _pass_on([starter, self._args.container.runs_as], "ecs-tasks.amazonaws.com"),
        ]
        # The delivery of logs is set up for the account as a whole: the API knows no narrower resource.
        log = [allow(DELIVERY, ["*"])]
        self._args.deploys.grant_deploy(runner)
        return [
            grant(runner, "run", f"{self._name}-steps", steps, parent=self),
            grant(runner, "deliver", f"{self._name}-states-log", log, parent=self),
        ]

    def _may_start(self, identity: Identity, machine: aws.sfn.StateMachine) -> pulumi.Resource:
        start = allow(["states:StartExecution"], [machine.arn])
        return grant(identity, "start", self._name, [start], parent=self)

    def _on_landing(self, machine: aws.sfn.StateMachine) -> None:
        starts_on = self._args.starts_on
        aws.s3.BucketNotification(self._name, bucket=starts_on.name, eventbridge=True, opts=self._child)
        identity = self._identity("landing", "rule")
        rule = aws.cloudwatch.EventRule(
            f"{self._name}-landing",
            name=self._ctx.name(f"{self._name}-landing", RULE),
            description=f"An object under {self._args.prefix} starts {self._name}",
            event_pattern=pulumi.Output.json_dumps(states.landing(starts_on.name, self._args.prefix)),
            tags=self._ctx.tags,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            f"{self._name}-landing",
            rule=rule.name,
            arn=machine.arn,
            role_arn=identity.principal,
            retry_policy={"maximum_retry_attempts": 3, "maximum_event_age_in_seconds": 3600},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._may_start(identity, machine)]),
        )

    def _on_schedule(self, machine: aws.sfn.StateMachine) -> None:
        identity = self._identity("schedule", "schedule")
        full_name = self._ctx.name(self._name, RULE)
        group = aws.scheduler.ScheduleGroup(self._name, name=full_name, tags=self._ctx.tags, opts=self._child)
        aws.scheduler.Schedule(
            self._name,
            name=full_name,
            group_name=group.name,
            schedule_expression=states.schedule(self._args.schedule),
            schedule_expression_timezone="UTC",
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": machine.arn,
                "role_arn": identity.principal,
                "retry_policy": {"maximum_retry_attempts": 3, "maximum_event_age_in_seconds": 3600},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._may_start(identity, machine)]),
        )


def _pass_on(identities: list[AnyIdentity], service: str) -> Statement:
    """Leave to hand exactly these roles to one service."""
    return allow(
        ["iam:PassRole"],
        [identity.principal for identity in identities],
        when={"StringEquals": {"iam:PassedToService": service}},
    )
