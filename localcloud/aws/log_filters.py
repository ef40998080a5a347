"""What watches: metrics made of log lines (CloudWatch Logs), and dashboards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.answers import present
from localcloud.aws.calls import all_of, if_found
from localcloud.aws.kind import Kind, Properties, Tags

NAMES = {
    "name": "metricName",
    "namespace": "metricNamespace",
    "value": "metricValue",
    "unit": "unit",
    "dimensions": "dimensions",
}


def put_filter(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the filter's name, which is unique in its log group alone."""
    metric = inputs["metricTransformation"]
    said: dict[str, Any] = {cloud: metric[wire] for wire, cloud in NAMES.items() if wire in metric}
    if metric.get("defaultValue") is not None:
        said["defaultValue"] = float(metric["defaultValue"])
    account.client("logs").put_metric_filter(
        logGroupName=inputs["logGroupName"],
        filterName=inputs["name"],
        filterPattern=inputs["pattern"],
        metricTransformations=[said],
    )
    return str(inputs["name"])


def _found(account: Account, group: str, name: str) -> Any:
    logs = account.client("logs")
    answer = if_found(
        logs.describe_metric_filters, "ResourceNotFoundException", logGroupName=group, filterNamePrefix=name
    )
    return next((row for row in (answer or {}).get("metricFilters", []) if row["filterName"] == name), None)


def read_filter(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """The id alone may also be GROUP:NAME, the form of imports. A default value is a text."""
    group, _, name = id_.rpartition(":")
    about = _found(account, inputs.get("logGroupName") or group, inputs.get("name") or name)
    if about is None:
        return None
    metric = about["metricTransformations"][0]
    live = present(**{wire: metric.get(cloud) for wire, cloud in NAMES.items()})
    declared = inputs.get("metricTransformation", {})
    if "defaultValue" in metric:
        given = declared.get("defaultValue")
        equal = given is not None and float(given) == metric["defaultValue"]
        live["defaultValue"] = given if equal else f"{metric['defaultValue']:g}"
    if live.get("unit") == "None" and "unit" not in declared:
        del live["unit"]
    return {
        "name": about["filterName"],
        "logGroupName": about["logGroupName"],
        "pattern": about.get("filterPattern", ""),
        "metricTransformation": live,
    }


def update_filter(account: Account, id_: str, _: Properties, new: Properties) -> None:
    """A filter is written whole; the emulator keeps what it has, so that it goes first."""
    delete_filter(account, id_, new)
    put_filter(account, new, {})


def delete_filter(account: Account, id_: str, inputs: Properties) -> None:
    """The log group stays, and the metric keeps what it has counted."""
    if _found(account, inputs["logGroupName"], id_):
        account.client("logs").delete_metric_filter(logGroupName=inputs["logGroupName"], filterName=id_)


def list_filters(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for row in all_of(account.client("logs"), "describe_metric_filters", "metricFilters"):
        yield row["filterName"], {}


def find_filter(account: Account, inputs: Properties) -> str | None:
    """By its group and name."""
    return str(inputs["name"]) if _found(account, inputs["logGroupName"], inputs["name"]) else None


def put_dashboard(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the dashboard's name."""
    account.client("cloudwatch").put_dashboard(
        DashboardName=inputs["dashboardName"], DashboardBody=inputs["dashboardBody"]
    )
    return str(inputs["dashboardName"])


def read_dashboard(account: Account, name: str, _: Properties) -> Properties | None:
    """One call tells all."""
    answer = if_found(account.client("cloudwatch").get_dashboard, "ResourceNotFound", DashboardName=name)
    return answer and {
        "dashboardName": answer["DashboardName"],
        "dashboardBody": answer["DashboardBody"],
        "dashboardArn": answer["DashboardArn"],
    }


def update_dashboard(account: Account, _: str, __: Properties, new: Properties) -> None:
    """A dashboard is written whole."""
    put_dashboard(account, new, {})


def delete_dashboard(account: Account, name: str, _: Properties) -> None:
    """What it shows stays."""
    if_found(account.client("cloudwatch").delete_dashboards, "ResourceNotFound", DashboardNames=[name])


def list_dashboards(account: Account) -> Iterator[tuple[str, Tags]]:
    """All of the account."""
    for row in account.client("cloudwatch").list_dashboards()["DashboardEntries"]:
        yield row["DashboardName"], {}


def find_dashboard(account: Account, inputs: Properties) -> str | None:
    """By its name."""
    return str(inputs["dashboardName"]) if read_dashboard(account, inputs["dashboardName"], inputs) else None


KINDS = (
    Kind(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        create=put_filter,
        read=read_filter,
        update=update_filter,
        delete=delete_filter,
        list=list_filters,
        find=find_filter,
        read_back=frozenset(["name", "logGroupName", "pattern", "metricTransformation"]),
        replaces=frozenset(["name", "logGroupName"]),
        name_input="name",
    ),
    Kind(
        "aws:cloudwatch/dashboard:Dashboard",
        create=put_dashboard,
        read=read_dashboard,
        update=update_dashboard,
        delete=delete_dashboard,
        list=list_dashboards,
        find=find_dashboard,
        read_back=frozenset(["dashboardName", "dashboardBody"]),
        replaces=frozenset(["dashboardName"]),
    ),
)
