"""The watch: what is written down stays, what is shown can be read, and who is told knows what to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra import alerts
from tests.infra.gcp.planned import Planned, named, of_type, only, planned

PROGRAM = """
    class Retrain:
        name = pulumi.Output.from_input("groundwork-dev-retrain")

    args = served({scale})
    audit = parts.store("audit", StoreArgs(args.container.key, locked_days=365))
    made = parts.watch(
        WatchArgs(
            parts.service("predict", args), Retrain(), audit, args.container.key, "ml-platform@example.com",
            "https://example.com/runbook", 300,
        )
    )
    made.dashboard.apply(lambda told: parts.identity(told, "container"))
"""


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    return planned(tmp_path_factory.mktemp("watch"), PROGRAM.format(scale=""))


def condition(watch: list[Planned], alert: str) -> Any:
    (found,) = named(watch, "AlertPolicy")[alert].inputs["conditions"]
    return found["conditionThreshold"]


def test_there_are_the_five_alerts_and_each_tells_its_owner_what_to_do(watch: list[Planned]) -> None:
    policies = named(watch, "AlertPolicy")
    assert set(policies) == {alert.id for alert in alerts.ALERTS}
    channel = only(watch, "NotificationChannel")
    assert channel.inputs["labels"] == {"email_address": "ml-platform@example.com"}
    for name, policy in policies.items():
        told = policy.inputs["documentation"]
        assert "ml-platform@example.com" in told["content"]
        assert told["links"] == [{"displayName": "Runbook", "url": f"https://example.com/runbook#{name}"}]
        assert policy.inputs["userLabels"]["owner"] == "ml-platform"
        assert policy.inputs["notificationChannels"] == [channel.outputs["name"]]


def test_errors_are_a_share_of_all_calls_over_ten_minutes(watch: list[Planned]) -> None:
    of = condition(watch, "errors")
    assert (of["comparison"], of["thresholdValue"], of["duration"]) == ("COMPARISON_GT", 0.01, "600s")
    assert 'response_code_class="5xx"' in of["filter"]
    assert "response_code_class" not in of["denominatorFilter"]
    for measured in (of["filter"], of["denominatorFilter"]):
        assert 'metric.type="run.googleapis.com/request_count"' in measured
        assert 'service_name="groundwork-dev-predict"' in measured


def test_latency_is_that_of_the_slowest_hundredth_in_milliseconds(watch: list[Planned]) -> None:
    of = condition(watch, "latency")
    assert (of["thresholdValue"], of["duration"]) == (500, "600s")
    assert of["aggregations"][0]["crossSeriesReducer"] == "REDUCE_PERCENTILE_99"


def test_capacity_is_short_when_all_copies_have_run_for_half_an_hour(watch: list[Planned]) -> None:
    of = condition(watch, "capacity")
    assert (of["thresholdValue"], of["duration"]) == (3, "1800s")  # over 3 are all 4


def test_a_service_that_cannot_grow_is_not_reported_for_it(tmp_path: Path) -> None:
    policies = named(planned(tmp_path, PROGRAM.format(scale="Scale(2, 2)")), "AlertPolicy")
    assert "capacity" not in policies


def test_drift_and_failed_retraining_are_reported_at_once(watch: list[Planned]) -> None:
    drift, retraining = condition(watch, "drift"), condition(watch, "retraining")
    assert (drift["thresholdValue"], drift["duration"]) == (0.25, "0s")
    assert "user/groundwork-dev-drift" in drift["filter"]
    assert (retraining["thresholdValue"], retraining["duration"]) == (0, "0s")
    assert 'workflow_id="groundwork-dev-retrain"' in retraining["filter"]
    assert 'status="FAILED"' in retraining["filter"]


def test_what_the_app_says_of_its_model_becomes_metrics(watch: list[Planned]) -> None:
    made = named(watch, "Metric")
    assert {name: metric.inputs["valueExtractor"] for name, metric in made.items()} == {
        "drift": "EXTRACT(jsonPayload.share)",
        "evaluation": "EXTRACT(jsonPayload.rmse)",
    }
    for name, metric in made.items():
        assert f'jsonPayload.event="{name}"' in metric.inputs["filter"]
        assert metric.inputs["metricDescriptor"]["valueType"] == "DISTRIBUTION"


def test_the_threshold_of_drift_lies_on_the_edge_of_a_range_that_is_counted(watch: list[Planned]) -> None:
    ranges = named(watch, "Metric")["drift"].inputs["bucketOptions"]["linearBuckets"]
    assert round(alerts.DRIFT.threshold / ranges["width"], 9).is_integer()
    assert ranges["width"] * ranges["numFiniteBuckets"] > alerts.DRIFT.threshold


def test_the_dashboard_shows_latency_errors_scale_accuracy_and_drift(watch: list[Planned]) -> None:
    layout = json.loads(only(watch, "Dashboard").inputs["dashboardJson"])["mosaicLayout"]
    charts = {tile["widget"]["title"]: tile["widget"]["xyChart"]["dataSets"] for tile in layout["tiles"]}
    assert list(charts) == [
        "Latency (ms)",
        "Calls and errors",
        "Copies",
        "CPU (share)",
        "Accuracy: error on held-out data",
        "Drift, and retraining",
    ]
    latency = [line["timeSeriesQuery"]["timeSeriesFilter"]["aggregation"] for line in charts["Latency (ms)"]]
    assert [how["crossSeriesReducer"] for how in latency] == [f"REDUCE_PERCENTILE_{share}" for share in (50, 95, 99)]
    for lines in charts.values():
        for line in lines:
            assert "metric.type=" in line["timeSeriesQuery"]["timeSeriesFilter"]["filter"]


def test_no_chart_lies_on_another(watch: list[Planned]) -> None:
    layout = json.loads(only(watch, "Dashboard").inputs["dashboardJson"])["mosaicLayout"]
    places = {(tile["xPos"], tile["yPos"]) for tile in layout["tiles"]}
    assert len(places) == len(layout["tiles"])
    assert all(tile["xPos"] + tile["width"] <= layout["columns"] for tile in layout["tiles"])


def test_the_dashboard_tells_where_it_is(watch: list[Planned]) -> None:
    start = "https://console.cloud.google.com/monitoring/dashboards/builder/"
    assert [
        name for name in named(watch, "Account") if name.startswith(start) and name.endswith("?project=acme-ml-dev")
    ]


def test_the_audit_trail_goes_to_the_locked_bucket_and_can_only_add(watch: list[Planned]) -> None:
    sink = named(watch, "ProjectSink")["audit"]
    assert sink.inputs["destination"] == "storage.googleapis.com/acme-groundwork-dev-audit"
    for log in ("activity", "data_access", "policy", "system_event"):
        assert f'log_id("cloudaudit.googleapis.com/{log}")' in sink.inputs["filter"]
    assert sink.inputs["uniqueWriterIdentity"] is True
    assert sink.options["protect"] is True
    grants = [grant.inputs for grant in of_type(watch, "BucketIAMMember")]
    assert [(grant["role"], grant["member"]) for grant in grants] == [
        ("roles/storage.objectCreator", sink.outputs["writerIdentity"])
    ]


def test_reading_of_the_project_and_writing_of_data_are_written_down(watch: list[Planned]) -> None:
    recorded = {
        config.inputs["service"]: [log["logType"] for log in config.inputs["auditLogConfigs"]]
        for config in of_type(watch, "IAMAuditConfig")
    }
    assert recorded["allServices"] == ["ADMIN_READ"]
    assert recorded["storage.googleapis.com"] == ["DATA_WRITE"]
    assert not [config for config in of_type(watch, "IAMAuditConfig") if "exemptedMembers" in str(config.inputs)]


def test_the_budget_of_the_project_tells_its_owner_before_it_is_spent(watch: list[Planned]) -> None:
    budget = only(watch, "Budget").inputs
    assert budget["billingAccount"] == "012345-6789AB-CDEF01"
    assert budget["amount"] == {"specifiedAmount": {"currencyCode": "USD", "units": "300"}}
    assert budget["budgetFilter"]["projects"] == ["projects/123456789012"]
    told = [(rule["thresholdPercent"], rule["spendBasis"]) for rule in budget["thresholdRules"]]
    assert told == [(0.5, "CURRENT_SPEND"), (0.8, "CURRENT_SPEND"), (1, "CURRENT_SPEND"), (1, "FORECASTED_SPEND")]
    channel = only(watch, "NotificationChannel").outputs["name"]
    assert budget["allUpdatesRule"]["monitoringNotificationChannels"] == [channel]
