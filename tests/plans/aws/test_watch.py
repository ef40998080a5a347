"""The watch over AWS, in every plan: trail, dashboard, alerts, budget."""

import json

import pytest

from infra.alerts import ALERTS
from tests.plans.plans import Plan, Resource

pytestmark = pytest.mark.slow


def alarms(plan: Plan) -> dict[str, Resource]:
    """The alarms that somebody is told of; those of the scaling tell nobody."""
    told = plan.only("sns:Topic").outputs["arn"]
    return {row.name: row for row in plan.of_type("cloudwatch:MetricAlarm") if told in row.inputs["alarmActions"]}


def test_there_is_an_alarm_for_each_alert_and_for_nothing_else(plan: Plan) -> None:
    assert alarms(plan).keys() == {alert.id for alert in ALERTS}
    assert len(alarms(plan)) <= 5


def test_an_alarm_names_its_owner_and_links_to_its_chapter_of_the_runbook(plan: Plan) -> None:
    for name, alarm in alarms(plan).items():
        assert "Owner: ml-platform@example.com." in alarm.inputs["alarmDescription"]
        assert alarm.inputs["alarmDescription"].endswith(f"/runbook#{name}")


def test_thresholds_and_patience_are_those_of_the_alerts(plan: Plan) -> None:
    copies = plan.only("appautoscaling:Target").inputs["maxCapacity"]
    for alert in ALERTS:
        alarm = alarms(plan)[alert.id].inputs
        metrics = [alarm, *(query["metric"] for query in alarm.get("metricQueries", []) if "metric" in query)]
        assert {metric["period"] for metric in metrics if "period" in metric} == {300}
        assert alarm["evaluationPeriods"] * 5 == max(5, alert.minutes)
        assert alarm["threshold"] == (copies if alert.id == "capacity" else alert.threshold)


def test_alarms_watch_this_service_and_this_workflow(plan: Plan) -> None:
    text = json.dumps({name: alarm.inputs for name, alarm in alarms(plan).items()})
    assert plan.only("lb:LoadBalancer").outputs["arnSuffix"] in text
    assert plan.only("sfn:StateMachine").outputs["arn"] in text
    assert alarms(plan)["latency"].inputs["extendedStatistic"] == "p99"
    assert alarms(plan)["capacity"].inputs["dimensions"] == {
        "ClusterName": plan.named("ecs:Cluster", "predict").inputs["name"],
        "ServiceName": plan.only("ecs:Service").inputs["name"],
    }


def test_alerts_travel_encrypted_to_their_owner_and_only_this_account_sends_them(plan: Plan) -> None:
    topic = plan.only("sns:Topic")
    assert topic.inputs["kmsMasterKeyId"] == plan.named("kms:Key", "logs").outputs["arn"]
    subscription = plan.only("sns:TopicSubscription").inputs
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "ml-platform@example.com")
    senders = [one for one in plan.only("sns:TopicPolicy").document() if one["Effect"] == "Allow"]
    assert [one["Principal"] for one in senders] == [{"Service": "cloudwatch.amazonaws.com"}]
    assert senders[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_drift_and_evaluation_are_read_from_the_logs_of_the_app(plan: Plan) -> None:
    found = {row.name: row.inputs for row in plan.of_type("cloudwatch:LogMetricFilter")}
    for event, group, field in (("drift", "predict", "share"), ("evaluation", "retrain", "rmse")):
        assert found[event]["pattern"] == f'{{ $.event = "{event}" }}'
        assert found[event]["logGroupName"] == plan.named("cloudwatch:LogGroup", group).inputs["name"]
        assert found[event]["metricTransformation"]["value"] == f"$.{field}"
    drift = alarms(plan)["drift"].inputs
    measured = found["drift"]["metricTransformation"]
    assert (drift["namespace"], drift["metricName"]) == (measured["namespace"], measured["name"])


def test_the_dashboard_shows_latency_errors_scale_accuracy_and_drift(plan: Plan) -> None:
    charts = json.loads(plan.only("cloudwatch:Dashboard").inputs["dashboardBody"])["widgets"]
    shown = [(metric[1], metric[-1].get("stat")) for chart in charts for metric in chart["properties"]["metrics"]]
    assert {("TargetResponseTime", stat) for stat in ("p50", "p95", "p99")} <= set(shown)
    names = {name for name, _ in shown}
    assert {"HTTPCode_Target_5XX_Count", "RunningTaskCount", "EvaluationError", "DriftShare"} <= names
    assert len({(chart["x"], chart["y"]) for chart in charts}) == len(charts)


def test_the_trail_covers_all_regions_and_proves_its_own_files(plan: Plan) -> None:
    trail = plan.only("cloudtrail:Trail")
    assert trail.inputs["isMultiRegionTrail"] is True
    assert trail.inputs["enableLogFileValidation"] is True
    assert trail.inputs["kmsKeyId"] == plan.named("kms:Key", "logs").outputs["arn"]
    assert trail.inputs["s3BucketName"] == plan.named("s3:Bucket", "audit").inputs["bucket"]
    assert trail.options.get("protect", False) is (plan.environment != "local")


def test_the_trail_also_writes_down_who_wrote_data_and_models(plan: Plan) -> None:
    (data,) = [
        {one["field"]: one for one in selector["fieldSelectors"]}
        for selector in plan.only("cloudtrail:Trail").inputs["advancedEventSelectors"]
        if len(selector["fieldSelectors"]) > 1
    ]
    buckets = [plan.named("s3:Bucket", purpose).outputs["arn"] for purpose in ("data", "models")]
    assert data["resources.ARN"]["startsWiths"] == [f"{arn}/" for arn in buckets]
    assert data["readOnly"]["equals"] == ["false"]


def test_only_this_trail_writes_to_the_audit_and_uses_its_key(plan: Plan) -> None:
    trail = plan.only("cloudtrail:Trail").outputs["arn"]
    for row in (plan.named("s3:BucketPolicy", "audit"), plan.named("kms:Key", "logs")):
        mine = [one for one in row.document() if one.get("Principal") == {"Service": "cloudtrail.amazonaws.com"}]
        assert mine
        assert all(one["Condition"]["StringEquals"]["aws:SourceArn"] == trail for one in mine)


def test_the_owner_hears_of_the_budget_before_and_when_it_is_spent(plan: Plan) -> None:
    budget = plan.only("budgets:Budget").inputs
    expected = {"local": "50", "dev": "300", "prod": "12000"}
    assert budget["limitAmount"] == expected.get(plan.environment, budget["limitAmount"])
    told = {(one["notificationType"], one["threshold"]) for one in budget["notifications"]}
    assert told == {("ACTUAL", 50), ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)}
    assert {tuple(one["subscriberEmailAddresses"]) for one in budget["notifications"]} == {("ml-platform@example.com",)}
