"""CloudWatch: alarms on metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.calls import ProviderError, all_of, tag_changes, tag_list, tag_map, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags

# inputs whose values CloudWatch takes as they are, and its names for them
PLAIN = {
    "name": "AlarmName",
    "alarmDescription": "AlarmDescription",
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "okActions": "OKActions",
    "insufficientDataActions": "InsufficientDataActions",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "thresholdMetricId": "ThresholdMetricId",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}


def _put(account: Account, inputs: Properties, **more: Any) -> None:
    arguments = {cloud: inputs[name] for name, cloud in PLAIN.items() if name in inputs}
    if "dimensions" in inputs:
        arguments["Dimensions"] = tag_list(inputs["dimensions"], "Name")
    if "metricQueries" in inputs:
        arguments["Metrics"] = [_query_to_cloud(query) for query in inputs["metricQueries"]]
    account.client("cloudwatch").put_metric_alarm(**arguments, **more)


def _query_to_cloud(query: Properties) -> dict[str, Any]:
    cloud: dict[str, Any] = to_cloud({name: value for name, value in query.items() if name != "metric"})
    metric = query.get("metric")
    if metric:
        about = {"Namespace": metric.get("namespace"), "MetricName": metric["metricName"]}
        cloud["MetricStat"] = {
            "Metric": {name: value for name, value in about.items() if value}
            | {"Dimensions": tag_list(metric.get("dimensions", {}), "Name")},
            **to_cloud({name: metric[name] for name in ("period", "stat", "unit") if name in metric}),
        }
    return cloud


def _query_to_wire(query: dict[str, Any]) -> Properties:
    wire: Properties = to_wire({name: value for name, value in query.items() if name != "MetricStat"})
    stat = query.get("MetricStat")
    if stat:
        metric = {"dimensions": tag_map(stat["Metric"].get("Dimensions", []), "Name")}
        metric |= to_wire({name: stat["Metric"].get(name) for name in ("Namespace", "MetricName")})
        wire["metric"] = metric | to_wire({name: stat.get(name) for name in ("Period", "Stat", "Unit")})
    return wire


def create(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the alarm's name."""
    if account.client("cloudwatch").describe_alarms(AlarmNames=[inputs["name"]])["MetricAlarms"]:
        raise ProviderError(f"the alarm {inputs['name']} exists already. Choose another name, or import it.")
    _put(account, inputs, Tags=tag_list(tags))
    return str(inputs["name"])


def read(account: Account, name: str, _: Properties) -> Properties | None:
    """Two calls, as the tags go by ARN."""
    cloudwatch = account.client("cloudwatch")
    alarms = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    if not alarms:
        return None
    alarm = alarms[0]
    return {
        **{wire: alarm.get(cloud) for wire, cloud in PLAIN.items() if alarm.get(cloud) is not None},
        "arn": alarm["AlarmArn"],
        "dimensions": tag_map(alarm.get("Dimensions", []), "Name"),
        "metricQueries": [_query_to_wire(query) for query in alarm.get("Metrics", [])],
        "tags": tag_map(cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]),
    }


def update(account: Account, name: str, old: Properties, new: Properties) -> None:
    """An alarm is written whole; its tags, once it exists, only by themselves."""
    _put(account, new)
    added, removed = tag_changes(old, new)
    arn = f"arn:{account.partition}:cloudwatch:{account.region}:{account.account_id}:alarm:{name}"
    if removed:
        account.client("cloudwatch").untag_resource(ResourceARN=arn, TagKeys=removed)
    if added:
        account.client("cloudwatch").tag_resource(ResourceARN=arn, Tags=tag_list(added))


def delete(account: Account, name: str, _: Properties) -> None:
    """CloudWatch does not mind names that it does not know."""
    account.client("cloudwatch").delete_alarms(AlarmNames=[name])


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """Every metric alarm of the region."""
    cloudwatch = account.client("cloudwatch")
    for alarm in all_of(cloudwatch, "describe_alarms", "MetricAlarms", AlarmTypes=["MetricAlarm"]):
        tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        yield alarm["AlarmName"], tag_map(tags)


KINDS = (
    Kind(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        read_back=frozenset([*PLAIN, "dimensions", "metricQueries", "tags"]),
        replaces=frozenset(["name"]),
        unordered=frozenset(["alarmActions", "okActions", "insufficientDataActions", "metricQueries"]),
        defaults={"actionsEnabled": True, "treatMissingData": "missing"},
        name_input="name",
        tagged=True,
    ),
)
