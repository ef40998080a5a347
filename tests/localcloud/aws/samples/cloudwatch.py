"""Samples of CloudWatch alarms."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Sample

TOPIC = "arn:aws:sns:eu-central-1:123456789012:"


def change(**values: Any) -> Behind:
    """Writes the alarm as it is, but for some values."""

    def behind(account: Account, name: str, _: Any) -> None:
        client = account.client("cloudwatch")
        alarm = client.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
        takes = client.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
        same = {key: value for key, value in alarm.items() if key in takes and value not in ([], None)}
        client.put_metric_alarm(**{key: value for key, value in {**same, **values}.items() if value is not None})

    return behind


def ratio(factor: int) -> list[dict[str, Any]]:
    metric = {"metricName": "Errors", "namespace": "App", "period": 60, "stat": "Sum", "unit": "Count"}
    return [
        {"id": "errors", "metric": {**metric, "dimensions": {"Service": "predict"}}, "returnData": False},
        {"id": "ratio", "expression": f"errors * {factor}", "label": "errors", "returnData": True},
    ]


def tag(account: Account, _: str, outputs: dict[str, Any]) -> None:
    account.client("cloudwatch").tag_resource(ResourceARN=outputs["arn"], Tags=[{"Key": "added", "Value": "1"}])


SAMPLES = {
    "alarm": Sample(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        {
            "name": "cpu-out",
            "alarmDescription": "More tasks",
            "namespace": "AWS/ECS",
            "metricName": "CPUUtilization",
            "dimensions": {"ClusterName": "c", "ServiceName": "s"},
            "statistic": "Average",
            "unit": "Percent",
            "period": 60,
            "evaluationPeriods": 3,
            "datapointsToAlarm": 2,
            "comparisonOperator": "GreaterThanThreshold",
            "threshold": 75,
            "alarmActions": [TOPIC + "b", TOPIC + "a"],
            "okActions": [TOPIC + "a"],
            "insufficientDataActions": [TOPIC + "a"],
            "tags": {"project": "p"},
        },
        changes={
            "alarmDescription": "Fewer tasks",
            "actionsEnabled": False,
            "namespace": "App",
            "metricName": "Load",
            "dimensions": {"ClusterName": "d"},
            "statistic": "Maximum",
            "unit": "Count",
            "period": 300,
            "evaluationPeriods": 5,
            "datapointsToAlarm": 1,
            "comparisonOperator": "LessThanThreshold",
            "threshold": 25.5,
            "alarmActions": [],
            "okActions": None,
            "insufficientDataActions": [TOPIC + "c"],
            "treatMissingData": "breaching",
            "tags": {"project": "q", "owner": "o"},
        },
        behind={
            "alarmDescription": change(AlarmDescription="x"),
            "actionsEnabled": change(ActionsEnabled=False),
            "namespace": change(Namespace="x"),
            "metricName": change(MetricName="x"),
            "dimensions": change(Dimensions=[{"Name": "x", "Value": "y"}]),
            "statistic": change(Statistic="Minimum"),
            "unit": change(Unit="Bytes"),
            "period": change(Period=120),
            "evaluationPeriods": change(EvaluationPeriods=9),
            "datapointsToAlarm": change(DatapointsToAlarm=1),
            "comparisonOperator": change(ComparisonOperator="LessThanThreshold"),
            "threshold": change(Threshold=1.5),
            "alarmActions": change(AlarmActions=[TOPIC + "x"]),
            "okActions": change(OKActions=[TOPIC + "x"]),
            "insufficientDataActions": change(InsufficientDataActions=[TOPIC + "x"]),
            "treatMissingData": change(TreatMissingData="ignore"),
            "tags": tag,
        },
    ),
    "alarm-on-a-percentile": Sample(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        {
            "namespace": "App",
            "metricName": "Latency",
            "extendedStatistic": "p99",
            "evaluateLowSampleCountPercentiles": "ignore",
            "period": 60,
            "evaluationPeriods": 1,
            "comparisonOperator": "GreaterThanThreshold",
            "threshold": 0.5,
        },
        changes={"extendedStatistic": "p95", "evaluateLowSampleCountPercentiles": "evaluate"},
        behind={
            "extendedStatistic": change(ExtendedStatistic="p50"),
            "evaluateLowSampleCountPercentiles": change(EvaluateLowSampleCountPercentile="evaluate"),
        },
    ),
    "alarm-on-an-expression": Sample(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        {
            "metricQueries": ratio(2),
            "evaluationPeriods": 1,
            "comparisonOperator": "GreaterThanUpperThreshold",
            "thresholdMetricId": "ratio",
        },
        changes={"metricQueries": ratio(3), "thresholdMetricId": "errors"},
        behind={
            "metricQueries": change(Metrics=[{"Id": "ratio", "Expression": "1", "ReturnData": True}]),
            "thresholdMetricId": change(ThresholdMetricId="errors"),
        },
    ),
}
