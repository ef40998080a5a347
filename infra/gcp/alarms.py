"""The alerts, as alert policies of Cloud Monitoring, and the channel through which they reach their owner."""

from typing import Any

import pulumi
import pulumi_gcp as gcp

from infra.alerts import CAPACITY, DRIFT, DRIFT_EVENT, ERRORS, LATENCY, RETRAINING, Alert
from infra.context import Context
from infra.gcp import metrics
from infra.gcp.metrics import CALLS, COPIES, MILLISECONDS, Subject, merged
from infra.gcp.names import Account
from infra.shape import Scale

OVER = "COMPARISON_GT"  # Monitoring has no "at least"
CLOSED_AFTER = "86400s"  # without news, a day later


class Alarms(pulumi.ComponentResource):
    """An alert policy for each alert, an e-mail for each incident."""

    channel: pulumi.Output[str]

    def __init__(
        self,
        of: Subject,
        scale: Scale,
        owner: str,
        runbook: str,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Alarms", "alerts", None, opts)
        self._owner, self._runbook, self._account, self._ctx = owner, runbook, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self.channel = self._mail()
        failed = of.of_service(CALLS, 'metric.labels.response_code_class="5xx"')
        self._alarm(
            ERRORS,
            filter=failed,
            aggregations=[merged("ALIGN_DELTA", "REDUCE_SUM")],
            denominator_filter=of.of_service(CALLS),
            denominator_aggregations=[merged("ALIGN_DELTA", "REDUCE_SUM")],
        )
        self._alarm(
            LATENCY,
            threshold=LATENCY.threshold * MILLISECONDS,
            filter=of.of_service(metrics.LATENCY),
            aggregations=[merged("ALIGN_DELTA", "REDUCE_PERCENTILE_99")],
        )
        if scale.maximum > scale.minimum:  # what cannot grow is always at its maximum
            self._alarm(
                CAPACITY,
                threshold=scale.maximum - 1,
                filter=of.of_service(COPIES),
                aggregations=[merged("ALIGN_MIN", "REDUCE_SUM")],
            )
        self._alarm(DRIFT, filter=of.of_log(DRIFT_EVENT), aggregations=[merged("ALIGN_DELTA", "REDUCE_PERCENTILE_99")])
        self._alarm(
            RETRAINING,
            filter=of.of_workflow('metric.labels.status="FAILED"'),
            aggregations=[merged("ALIGN_DELTA", "REDUCE_SUM")],
        )
        self.register_outputs({"channel": self.channel})

    def _mail(self) -> pulumi.Output[str]:
        return gcp.monitoring.NotificationChannel(
            "alerts",
            display_name=f"{self._ctx.project} {self._ctx.environment}: {self._owner}",
            description="Whoever owns the alerts",
            project=self._account.project,
            type="email",
            labels={"email_address": self._owner},
            user_labels=self._ctx.tags,
            opts=self._child,
        ).name

    def _alarm(self, alert: Alert, *, threshold: float | None = None, **measured: Any) -> None:
        condition: Any = {
            "comparison": OVER,
            "threshold_value": alert.threshold if threshold is None else threshold,
            "duration": f"{alert.minutes * 60}s",
            **measured,
        }
        if alert.minutes:
            condition["evaluation_missing_data"] = "EVALUATION_MISSING_DATA_INACTIVE"
        gcp.monitoring.AlertPolicy(
            alert.id,
            display_name=f"{self._ctx.project} {self._ctx.environment}: {alert.id}",
            project=self._account.project,
            combiner="OR",
            severity="ERROR",
            conditions=[{"display_name": alert.measure, "condition_threshold": condition}],
            documentation={
                "subject": f"{self._ctx.environment}: {alert.id}",
                "content": alert.text(self._owner, self._runbook),
                "mime_type": "text/markdown",
                "links": [{"display_name": "Runbook", "url": alert.link(self._runbook)}],
            },
            notification_channels=[self.channel],
            alert_strategy={"auto_close": CLOSED_AFTER},
            user_labels=self._ctx.tags,
            opts=self._child,
        )
