"""Samples of metrics made of log lines, and of dashboards."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample


def write(**said: Any) -> Behind:
    """The filter as it is, but for some parts."""

    def behind(account: Account, name: str, outputs: Any) -> None:
        logs, group = account.client("logs"), outputs["logGroupName"]
        live = logs.describe_metric_filters(logGroupName=group, filterNamePrefix=name)["metricFilters"][0]
        keys = ("logGroupName", "filterName", "filterPattern", "metricTransformations")
        logs.delete_metric_filter(logGroupName=group, filterName=name)
        logs.put_metric_filter(**{**{key: live[key] for key in keys}, **said})

    return behind


def metric(value: str, **more: Any) -> dict[str, Any]:
    return {"name": "Drift", "namespace": "Predictions", "value": value, **more}


def body(title: str) -> str:
    return json.dumps({"widgets": [{"type": "text", "properties": {"markdown": title}}]})


SAMPLES = {
    "log-metric": Sample(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        {
            "name": "drift",
            "logGroupName": Ref("log-group", "name"),
            "pattern": '{ $.event = "drift" }',
            "metricTransformation": metric("$.share", defaultValue="0", unit="None"),
        },
        changes={
            "pattern": '{ $.event = "evaluation" }',
            "metricTransformation": metric("$.rmse", unit="Count", dimensions={"Path": "$.path"}),
        },
        behind={
            "pattern": write(filterPattern="{ $.event = * }"),
            "metricTransformation": write(
                metricTransformations=[{"metricName": "x", "metricNamespace": "y", "metricValue": "1"}]
            ),
        },
    ),
    "log-metric-without-unit": Sample(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        {"logGroupName": Ref("log-group", "name"), "pattern": "", "metricTransformation": metric("1")},
    ),
    "dashboard": Sample(
        "aws:cloudwatch/dashboard:Dashboard",
        {"dashboardName": "watch", "dashboardBody": body("first")},
        changes={"dashboardBody": body("second")},
        behind={
            "dashboardBody": lambda a, i, _: a.client("cloudwatch").put_dashboard(
                DashboardName=i, DashboardBody=body("by hand")
            )
        },
    ),
}
