"""The dashboard: what callers feel, what the service makes of it, and how good its model is. Pure."""

from collections.abc import Sequence
from typing import Any

import pulumi

from infra.alerts import DRIFT_EVENT, EVALUATION_EVENT
from infra.gcp.metrics import CALLS, COPIES, CPU, LATENCY, Subject, merged

COLUMNS, HEIGHT = 48, 16
WIDTH = COLUMNS // 2  # of a chart
HOUR = 3600  # seconds


def body(of: Subject, title: str) -> dict[str, Any]:
    """Six charts, two in a row, by what is looked at first."""
    charts = (
        _chart("Latency (ms)", _percentiles(of, LATENCY, (50, 95, 99))),
        _chart("Calls and errors", _calls(of)),
        _chart("Copies", [_line(of.of_service(COPIES), merged("ALIGN_MAX", "REDUCE_SUM", 60), "running")]),
        _chart("CPU (share)", _percentiles(of, CPU, (50, 99))),
        _chart(
            "Accuracy: error on held-out data",
            [_line(of.of_log(EVALUATION_EVENT), merged("ALIGN_DELTA", "REDUCE_MEAN", HOUR), "error")],
        ),
        _chart("Drift, and retraining", [*_drift(of), *_retraining(of)]),
    )
    tiles = [
        {
            "xPos": WIDTH * (number % 2),
            "yPos": HEIGHT * (number // 2),
            "width": WIDTH,
            "height": HEIGHT,
            "widget": chart,
        }
        for number, chart in enumerate(charts)
    ]
    return {"displayName": title, "mosaicLayout": {"columns": COLUMNS, "tiles": tiles}}


def _chart(title: str, lines: Sequence[Any]) -> dict[str, Any]:
    return {"title": title, "xyChart": {"dataSets": list(lines)}}


def _line(what: pulumi.Output[str], how: dict[str, Any], legend: str, axis: str = "Y1") -> dict[str, Any]:
    words = {"alignment_period": "alignmentPeriod", "per_series_aligner": "perSeriesAligner"}
    words["cross_series_reducer"] = "crossSeriesReducer"
    aggregation = {words[key]: value for key, value in how.items()}
    query = {"timeSeriesFilter": {"filter": what, "aggregation": aggregation}}
    return {"timeSeriesQuery": query, "plotType": "LINE", "targetAxis": axis, "legendTemplate": legend}


def _percentiles(of: Subject, metric: str, shares: tuple[int, ...]) -> list[Any]:
    return [
        _line(of.of_service(metric), merged("ALIGN_DELTA", f"REDUCE_PERCENTILE_{share:02}", 60), f"p{share}")
        for share in shares
    ]


def _calls(of: Subject) -> list[Any]:
    how = merged("ALIGN_RATE", "REDUCE_SUM", 60)
    kinds = {
        "all": "",
        "5xx": 'metric.labels.response_code_class="5xx"',
        "4xx": 'metric.labels.response_code_class="4xx"',
    }
    return [_line(of.of_service(CALLS, only), how, kind) for kind, only in kinds.items()]


def _drift(of: Subject) -> list[Any]:
    return [_line(of.of_log(DRIFT_EVENT), merged("ALIGN_DELTA", "REDUCE_PERCENTILE_99", HOUR), "drift")]


def _retraining(of: Subject) -> list[Any]:
    how = merged("ALIGN_DELTA", "REDUCE_SUM", HOUR)
    ends = {"succeeded": 'metric.labels.status="SUCCEEDED"', "failed": 'metric.labels.status="FAILED"'}
    return [_line(of.of_workflow(only), how, end, "Y2") for end, only in ends.items()]


def link(dashboard: pulumi.Output[str], project: str) -> pulumi.Output[str]:
    """Where people find it, by its resource name."""
    number = dashboard.apply(lambda name: name.rpartition("/")[2])
    return pulumi.Output.format(
        "https://console.cloud.google.com/monitoring/dashboards/builder/{0}?project={1}", number, project
    )
