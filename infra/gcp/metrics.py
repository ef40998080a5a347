"""Which metrics of Cloud Monitoring say how the service, its model and its retraining are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_gcp as gcp

from infra.alerts import DRIFT_EVENT, DRIFT_SHARE, EVALUATION_ERROR, EVALUATION_EVENT
from infra.context import Context
from infra.gcp.names import METRIC, Account

CALLS, LATENCY, COPIES = "request_count", "request_latencies", "container/instance_count"
CPU, RUNS = "container/cpu/utilizations", "finished_execution_count"
MILLISECONDS = 1000  # in a second; Cloud Run counts latency in them


@dataclass(frozen=True)
class Event:
    """What the app says in its log: the field that counts, the width of the ranges that it is counted in (200 of
    them), what it is, and what of Cloud Run says it."""

    field: str
    width: float
    meaning: str
    runs_as: str


EVENTS = {
    DRIFT_EVENT: Event(DRIFT_SHARE, 0.01, "Distance of live inputs from the training data", "cloud_run_revision"),
    EVALUATION_EVENT: Event(EVALUATION_ERROR, 0.25, "Error on held-out data", "cloud_run_job"),
}


@dataclass(frozen=True)
class Subject:
    """Whom the metrics are about, as filters of Cloud Monitoring name them."""

    service: pulumi.Output[str]
    workflow: pulumi.Output[str]
    logged: Mapping[str, pulumi.Output[str]]

    def of_service(self, metric: str, only: str = "") -> pulumi.Output[str]:
        """One of Cloud Run's metrics of the service."""
        return pulumi.Output.format(
            'metric.type="run.googleapis.com/{0}" AND resource.type="cloud_run_revision" AND '
            'resource.labels.service_name="{1}"{2}',
            metric,
            self.service,
            f" AND {only}" if only else "",
        )

    def of_workflow(self, only: str) -> pulumi.Output[str]:
        """How runs of the workflow ended."""
        return pulumi.Output.format(
            'metric.type="workflows.googleapis.com/{0}" AND resource.type="workflows.googleapis.com/Workflow" AND '
            'resource.labels.workflow_id="{1}" AND {2}',
            RUNS,
            self.workflow,
            only,
        )

    def of_log(self, event: str) -> pulumi.Output[str]:
        """The number that the app's events of this name bring."""
        return pulumi.Output.format(
            'metric.type="logging.googleapis.com/user/{0}" AND resource.type="{1}"',
            self.logged[event],
            EVENTS[event].runs_as,
        )


def subject(
    service: pulumi.Output[str],
    workflow: pulumi.Output[str],
    *,
    account: Account,
    ctx: Context,
    opts: pulumi.ResourceOptions,
) -> Subject:
    """The service and the workflow of these names, and metrics of what the app logs."""
    logged = {event: from_log(event, account=account, ctx=ctx, opts=opts) for event in EVENTS}
    return Subject(service, workflow, logged)


def from_log(event: str, *, account: Account, ctx: Context, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Makes a metric of the number that the app's events of this name bring; hands back its name."""
    said = EVENTS[event]
    return gcp.logging.Metric(
        event,
        name=ctx.name(event, METRIC),
        description=said.meaning,
        project=account.project,
        filter=f'resource.type="{said.runs_as}" AND jsonPayload.event="{event}"',
        value_extractor=f"EXTRACT(jsonPayload.{said.field})",
        metric_descriptor={
            "metric_kind": "DELTA",
            "value_type": "DISTRIBUTION",
            "unit": "1",
            "display_name": f"{ctx.project} {ctx.environment}: {said.meaning}",
        },
        bucket_options={"linear_buckets": {"num_finite_buckets": 200, "width": said.width, "offset": 0}},
        opts=opts,
    ).name


def merged(aligner: str, reducer: str, seconds: int = 300) -> dict[str, Any]:
    """All series of a metric as one, by Monitoring's words for over time and across series."""
    return {"alignment_period": f"{seconds}s", "per_series_aligner": aligner, "cross_series_reducer": reducer}
