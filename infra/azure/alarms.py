"""The alerts, as rules over logs and over Azure's own metrics, and the group through which they reach their owner."""

import pulumi
from pulumi_azure_native import monitor

from infra.alerts import CAPACITY, DRIFT, ERRORS, LATENCY, RETRAINING, Alert
from infra.azure import queries
from infra.azure.names import ACTION_GROUP, ALERT, SHORT, Account
from infra.context import Context, joined
from infra.shape import Scale

SEVERITY = 1  # an error: someone must act
HOUR = 60  # minutes


class Alarms(pulumi.ComponentResource):
    """A rule for each alert, an e-mail for each rule that is broken."""

    def __init__(
        self,
        of: queries.Subject,
        scale: Scale,
        owner: str,
        runbook: str,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Alarms", "alerts", None, opts)
        self._owner, self._runbook, self._account, self._ctx = owner, runbook, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._group = monitor.ActionGroup(
            "alerts",
            action_group_name=ctx.name("alerts", ACTION_GROUP),
            group_short_name=joined((ctx.environment,), SHORT),
            resource_group_name=account.group,
            location="global",
            enabled=True,
            email_receivers=[{"name": "owner", "email_address": owner, "use_common_alert_schema": True}],
            tags=ctx.tags,
            opts=self._child,
        )
        self._by_query(ERRORS, of.log, queries.share_of_errors(of))
        self._by_query(LATENCY, of.log, queries.slowest(of))
        if scale.maximum > scale.minimum:  # what cannot grow is always at its maximum
            self._by_metric(
                CAPACITY, of.app, "Replicas", operator="GreaterThanOrEqual", threshold=scale.maximum, over="Minimum"
            )
        self._by_query(DRIFT, of.log, queries.largest_drift())
        self._by_metric(
            RETRAINING, of.workflow, "RunsFailed", operator="GreaterThan", threshold=RETRAINING.threshold, over="Total"
        )
        self.register_outputs({})

    def _by_query(self, alert: Alert, log: pulumi.Output[str], query: pulumi.Input[str]) -> None:
        """The query's one number, over as many minutes as the alert says, or an hour."""
        over = alert.minutes or HOUR
        monitor.ScheduledQueryRule(
            alert.id,
            rule_name=self._ctx.name(alert.id, ALERT),
            resource_group_name=self._account.group,
            location=self._account.location,
            kind="LogAlert",
            description=alert.text(self._owner, self._runbook),
            severity=SEVERITY,
            enabled=True,
            auto_mitigate=True,
            scopes=[log],
            window_size=_minutes(over),
            evaluation_frequency=_minutes(min(over, 5)),
            criteria={
                "all_of": [
                    {
                        "query": query,
                        "metric_measure_column": queries.MEASURE,
                        "time_aggregation": "Maximum",
                        "operator": "GreaterThan",
                        "threshold": alert.threshold,
                        "failing_periods": {"number_of_evaluation_periods": 1, "min_failing_periods_to_alert": 1},
                    }
                ]
            },
            actions={"action_groups": [self._group.id]},
            tags=self._ctx.tags,
            opts=self._child,
        )

    def _by_metric(
        self, alert: Alert, subject: pulumi.Output[str], metric: str, *, operator: str, threshold: float, over: str
    ) -> None:
        """The metric, over as many minutes as the alert says, or five."""
        criterion = monitor.MetricCriteriaArgs(
            name=metric,
            criterion_type="StaticThresholdCriterion",
            metric_name=metric,
            operator=operator,
            threshold=threshold,
            time_aggregation=over,
        )
        monitor.MetricAlert(
            alert.id,
            rule_name=self._ctx.name(alert.id, ALERT),
            resource_group_name=self._account.group,
            location="global",
            description=alert.text(self._owner, self._runbook),
            severity=SEVERITY,
            enabled=True,
            auto_mitigate=True,
            scopes=[subject],
            window_size=_minutes(alert.minutes or 5),
            evaluation_frequency=_minutes(5),
            # No dictionary: of a choice of types the SDK would not know which, and leave its keys as they are.
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", all_of=[criterion]
            ),
            actions=[{"action_group_id": self._group.id}],
            tags=self._ctx.tags,
            opts=self._child,
        )


def _minutes(number: int) -> str:
    return f"PT{number // HOUR}H" if number % HOUR == 0 else f"PT{number}M"
