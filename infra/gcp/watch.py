"""What is written down, shown and told: logs, the audit trail, the dashboard, the alerts and the budget."""

from typing import Protocol, runtime_checkable

import pulumi
import pulumi_gcp as gcp

from infra.alerts import BUDGET_SHARES, LOG_DAYS
from infra.context import Context
from infra.gcp import dashboard, metrics
from infra.gcp.alarms import Alarms
from infra.gcp.keys import Key
from infra.gcp.names import LOG_BUCKET, SINK, Account
from infra.gcp.policy import own
from infra.gcp.trail import Trail
from infra.shape import Key as AnyKey
from infra.shape import Scale, WatchArgs


class Log(pulumi.ComponentResource):
    """A log bucket for what a filter selects, which is then kept nowhere else in the project.

    The platform writes it: no workload needs a grant to log.
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        key: AnyKey,
        selects: pulumi.Input[str],
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Log", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = own(key, Key)
        bucket = gcp.logging.ProjectBucketConfig(
            name,
            project=account.project,
            location=account.region,
            bucket_id=ctx.name(name, LOG_BUCKET),
            description=f"{ctx.project} {ctx.environment}: {name}",
            retention_days=LOG_DAYS,
            cmek_settings={"kms_key_name": key.id},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[key.open_to("logging")]),
        )
        sink = gcp.logging.ProjectSink(
            name,
            name=ctx.name(name, SINK),
            project=account.project,
            destination=pulumi.Output.concat("logging.googleapis.com/", bucket.id),
            filter=selects,
            unique_writer_identity=True,
            opts=child,
        )
        gcp.logging.ProjectExclusion(
            name,
            name=ctx.name(name, SINK),
            description="Kept in the log bucket of the same name, encrypted with our key",
            project=account.project,
            filter=selects,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[sink]),
        )
        self.name = bucket.bucket_id
        self.register_outputs({"name": self.name})


@runtime_checkable
class Scaled(Protocol):
    """A service of GCP, and how far it scales."""

    scale: Scale


class Watch(pulumi.ComponentResource):
    """One page to look at, five alerts at most that say what to do, and a trail that nobody can change.

    The budget is that of the whole project. Whoever is named as owner hears of the alerts and of the budget.
    """

    dashboard: pulumi.Output[str]

    def __init__(
        self,
        args: WatchArgs,
        billing_account: str,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Watch", "watch", None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if not isinstance(args.service, Scaled):
            raise TypeError("What is watched on GCP is a service of GCP (infra.gcp).")
        Trail(args.audit, account=account, ctx=ctx, opts=child)
        subject = metrics.subject(args.service.name, args.workflow.name, account=account, ctx=ctx, opts=child)
        alarms = Alarms(subject, args.service.scale, args.owner, args.runbook, account=account, ctx=ctx, opts=child)
        page = gcp.monitoring.Dashboard(
            "watch",
            project=account.project,
            dashboard_json=pulumi.Output.json_dumps(dashboard.body(subject, f"{ctx.project} {ctx.environment}")),
            opts=child,
        )
        _budget(args.budget, billing_account, alarms.channel, account=account, ctx=ctx, opts=child)
        self.dashboard = dashboard.link(page.id, account.project)
        self.register_outputs({"dashboard": self.dashboard})


def _budget(
    dollars: int,
    billing_account: str,
    channel: pulumi.Output[str],
    *,
    account: Account,
    ctx: Context,
    opts: pulumi.ResourceOptions,
) -> None:
    spent = [("CURRENT_SPEND", share) for share in BUDGET_SHARES] + [("FORECASTED_SPEND", 100)]
    gcp.billing.Budget(
        "watch",
        billing_account=billing_account,
        display_name=f"{ctx.project} {ctx.environment}",
        amount={"specified_amount": {"currency_code": "USD", "units": str(dollars)}},
        budget_filter={"projects": [f"projects/{account.number}"], "calendar_period": "MONTH"},
        threshold_rules=[{"threshold_percent": share / 100, "spend_basis": basis} for basis, share in spent],
        all_updates_rule={"monitoring_notification_channels": [channel], "disable_default_iam_recipients": True},
        opts=opts,
    )
