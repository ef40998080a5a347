"""The dashboard: what callers feel, what the service makes of it, and how good its model is. Pure."""

from typing import Any

import pulumi

from infra.aws.metrics import BALANCER, CONTAINERS, COPIES, RMSE, SHARE, STATES, Subject, row

WIDTH, HEIGHT = 12, 6  # of a chart, on a grid of 24 columns


def body(of: Subject, region: str) -> dict[str, Any]:
    """Six charts, two in a row, by what is looked at first."""
    charts = (
        _chart("Latency (s)", _latency(of)),
        _chart("Calls and errors", _calls(of), stat="Sum"),
        _chart("Copies", _copies(of)),
        _chart("CPU (%)", [row(CONTAINERS, "CPUUtilization", of.service, stat="Average")]),
        _chart("Accuracy: error on held-out data", [row(of.namespace, RMSE, {}, stat="Maximum")], period=3600),
        _chart("Drift, and retraining", [*_drift(of), *_retraining(of)], period=3600),
    )
    return {
        "widgets": [
            {
                "type": "metric",
                "x": WIDTH * (number % 2),
                "y": HEIGHT * (number // 2),
                "width": WIDTH,
                "height": HEIGHT,
                "properties": {"region": region, "view": "timeSeries", **chart},
            }
            for number, chart in enumerate(charts)
        ]
    }


def _chart(title: str, metrics: list[Any], **settings: Any) -> dict[str, Any]:
    return {"title": title, "metrics": metrics, "period": 60, **settings}


def _latency(of: Subject) -> list[Any]:
    return [row(BALANCER, "TargetResponseTime", of.balancer, stat=stat) for stat in ("p50", "p95", "p99")]


def _calls(of: Subject) -> list[Any]:
    names = ("RequestCount", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "HTTPCode_Target_4XX_Count")
    return [row(BALANCER, name, of.balancer) for name in names]


def _copies(of: Subject) -> list[Any]:
    return [row(COPIES, name, of.service, stat="Maximum") for name in ("DesiredTaskCount", "RunningTaskCount")]


def _drift(of: Subject) -> list[Any]:
    return [row(of.namespace, SHARE, {}, stat="Maximum")]


def _retraining(of: Subject) -> list[Any]:
    names = ("ExecutionsSucceeded", "ExecutionsFailed")
    return [row(STATES, name, of.workflow, stat="Sum", yAxis="right") for name in names]


def link(name: pulumi.Output[str], region: str) -> pulumi.Output[str]:
    """Where people find it."""
    return pulumi.Output.format(
        "https://{0}.console.aws.amazon.com/cloudwatch/home?region={0}#dashboards/dashboard/{1}", region, name
    )
