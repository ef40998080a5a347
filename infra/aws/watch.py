"""What is written down, shown and told: logs, the audit trail, the dashboard, the alerts and the budget."""

from typing import Protocol, runtime_checkable

import pulumi
import pulumi_aws as aws

from infra.alerts import BUDGET_SHARES, DRIFT_EVENT, EVALUATION_EVENT, LOG_DAYS
from infra.aws import dashboard, metrics
from infra.aws.alarms import Alarms
from infra.aws.names import BUDGET, DASHBOARD, Account, log_group
from infra.aws.policy import allow, grant
from infra.aws.trail import Trail
from infra.context import Context
from infra.shape import Identity, Key, Scale, WatchArgs

RETENTION_DAYS = LOG_DAYS


class Log(pulumi.ComponentResource):
    """A log group that its writers may append to and nobody may shorten by accident."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, key: Key, *, ctx: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:aws:Log", name, None, opts)
        group = aws.cloudwatch.LogGroup(
            name,
            name=log_group(ctx, name),
            retention_in_days=RETENTION_DAYS,
            kms_key_id=key.id,
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = group.name
        self.arn = group.arn
        self.register_outputs({"name": self.name, "arn": self.arn})

    def grant_write(self, identity: Identity) -> pulumi.Resource:
        """Let it append to streams of this group; flow logs also look up what they append to."""
        streams = pulumi.Output.concat(self.arn, ":*")
        statements = [
            allow(["logs:CreateLogStream", "logs:PutLogEvents"], [streams]),
            allow(["logs:DescribeLogGroups", "logs:DescribeLogStreams"], [self.arn, streams]),
        ]
        return grant(identity, "write", f"{self.pulumi_resource_name}-log", statements, parent=self)


@runtime_checkable
class Logged(Protocol):
    """A part of AWS that has a log of what the app says."""

    log: Log


@runtime_checkable
class Balanced(Logged, Protocol):
    """A service of AWS: its load balancer's name in metrics, and how far it scales."""

    balancer: pulumi.Output[str]
    scale: Scale


class Watch(pulumi.ComponentResource):
    """One page to look at, five alerts at most that say what to do, and a trail that nobody can change.

    The budget is that of the whole account, as tags count only once somebody has activated them in the billing
    settings. Whoever is named as owner confirms the first e-mail, or hears of no alert.
    """

    dashboard: pulumi.Output[str]

    def __init__(
        self, args: WatchArgs, *, account: Account, ctx: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("groundwork:aws:Watch", "watch", None, opts)
        child = pulumi.ResourceOptions(parent=self)
        service, workflow = args.service, args.workflow
        if not isinstance(service, Balanced) or not isinstance(workflow, Logged):
            raise TypeError("What is watched on AWS is a service and a workflow of AWS (infra.aws).")
        Trail(args.audit, args.key, ctx=ctx, opts=child)
        metrics.from_log(DRIFT_EVENT, service.log.name, ctx=ctx, opts=child)
        metrics.from_log(EVALUATION_EVENT, workflow.log.name, ctx=ctx, opts=child)
        subject = metrics.subject(
            service.balancer, args.service.cluster, args.service.name, args.workflow.name, account=account, ctx=ctx
        )
        Alarms(subject, service.scale, args.owner, args.runbook, args.key, account=account, ctx=ctx, opts=child)
        page = aws.cloudwatch.Dashboard(
            "watch",
            dashboard_name=ctx.name("watch", DASHBOARD),
            dashboard_body=pulumi.Output.json_dumps(dashboard.body(subject, account.region)),
            opts=child,
        )
        _budget(args, ctx, child)
        self.dashboard = dashboard.link(page.dashboard_name, account.region)
        self.register_outputs({"dashboard": self.dashboard})


def _budget(args: WatchArgs, ctx: Context, opts: pulumi.ResourceOptions) -> None:
    told = [("ACTUAL", share) for share in BUDGET_SHARES] + [("FORECASTED", 100)]
    aws.budgets.Budget(
        "watch",
        name=ctx.name("watch", BUDGET),
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount=str(args.budget),
        limit_unit="USD",
        notifications=[
            {
                "notification_type": kind,
                "comparison_operator": "GREATER_THAN",
                "threshold": share,
                "threshold_type": "PERCENTAGE",
                "subscriber_email_addresses": [args.owner],
            }
            for kind, share in told
        ],
        tags=ctx.tags,
        opts=opts,
    )
