"""The watch: a trail that nobody changes, one page to look at, few alerts that say what to do, a budget."""

import json
from typing import Any

import pytest

from infra.alerts import ALERTS, CAPACITY, DRIFT, ERRORS, LATENCY, RETRAINING
from tests.infra.azure.planned import Planned, planned, unknown_keys

WATCH = """
class Retrain:
    name = pulumi.Output.from_input("retrain")
    id = pulumi.Output.from_input("/subscriptions/0/resourceGroups/g/providers/Microsoft.Logic/workflows/retrain")
predict = parts.service("predict", served)
audit = parts.store("audit", StoreArgs(logs_key, logs, 365))
runbook = "https://example.com/runbook"
watch = parts.watch(WatchArgs(predict, Retrain(), audit, logs_key, "ml@example.com", runbook, 300))
pulumi.export("dashboard", watch.dashboard)
"""
QUERIES, METRICS = "monitor:ScheduledQueryRule", "monitor:MetricAlert"


def plan(program: str = WATCH) -> Planned:
    return planned(program, ground=True)


def test_there_are_five_alerts_at_most_and_each_tells_its_owner_what_to_do() -> None:
    rules = {row.name: row.inputs for kind in (QUERIES, METRICS) for row in plan().of_type(kind)}
    assert set(rules) == {alert.id for alert in ALERTS}
    assert len(rules) <= 5
    group = plan().only("monitor:ActionGroup")
    assert group.inputs["emailReceivers"][0]["emailAddress"] == "ml@example.com"
    for alert in ALERTS:
        inputs = rules[alert.id]
        assert inputs["description"] == alert.text("ml@example.com", "https://example.com/runbook")
        assert inputs["tags"]["owner"] == "ml-platform"
        assert inputs["enabled"] is True
        told = inputs["actions"]
        assert group.outputs["id"] in (told["actionGroups"] if isinstance(told, dict) else [told[0]["actionGroupId"]])


def criterion(kind: str, name: str) -> dict[str, Any]:
    (found,) = plan().named(kind, name).inputs["criteria"]["allOf"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("alert", [ERRORS, LATENCY, DRIFT], ids=lambda alert: alert.id)
def test_an_alert_on_what_the_app_says_has_its_threshold(alert: Any) -> None:
    found = criterion(QUERIES, alert.id)
    assert (found["operator"], found["threshold"]) == ("GreaterThan", alert.threshold)
    inputs = plan().named(QUERIES, alert.id).inputs
    assert inputs["windowSize"] == (f"PT{alert.minutes}M" if alert.minutes else "PT1H")
    assert inputs["scopes"] == [plan().only("operationalinsights:Workspace").outputs["id"]]


def test_queries_ask_for_the_fields_that_the_app_writes() -> None:
    errors, latency, drift = (criterion(QUERIES, alert.id)["query"] for alert in (ERRORS, LATENCY, DRIFT))
    assert "ContainerAppName == 'groundwork-dev-predict'" in errors
    assert "event.event == 'request'" in errors
    assert "calls = coalesce(tolong(event['count']), 1)" in errors
    assert "todouble(sumif(calls, toint(event.status) >= 500)) / sum(calls)" in errors
    assert "percentilew(todouble(event.seconds), calls, 99)" in latency
    assert "event.event == 'drift'" in drift
    assert "max(todouble(event.share))" in drift


def test_an_alert_on_capacity_is_raised_when_all_copies_have_run_for_half_an_hour() -> None:
    found, inputs = criterion(METRICS, CAPACITY.id), plan().named(METRICS, CAPACITY.id).inputs
    assert (found["metricName"], found["operator"], found["threshold"]) == ("Replicas", "GreaterThanOrEqual", 4)
    assert found["timeAggregation"] == "Minimum"
    assert inputs["windowSize"] == "PT30M"
    assert inputs["scopes"] == [plan().only("app:ContainerApp").outputs["id"]]


def test_what_cannot_grow_has_no_alert_on_capacity() -> None:
    fixed = "from dataclasses import replace\nserved = replace(served, scale=Scale(2, 2))\n"
    assert CAPACITY.id not in {row.name for row in plan(fixed + WATCH).of_type(METRICS)}


def test_an_alert_on_retraining_is_raised_by_one_failed_run() -> None:
    found = criterion(METRICS, RETRAINING.id)
    assert (found["metricName"], found["operator"], found["threshold"]) == ("RunsFailed", "GreaterThan", 0)
    assert plan().named(METRICS, RETRAINING.id).inputs["scopes"][0].endswith("Microsoft.Logic/workflows/retrain")


def test_the_dashboard_shows_latency_errors_scale_accuracy_and_drift() -> None:
    page = plan().only("applicationinsights:Workbook")
    charts = {item["name"]: item["content"]["query"] for item in json.loads(page.inputs["serializedData"])["items"]}
    assert all(
        f"percentilew(todouble(event.seconds), calls, {share})" in charts["Latency (s)"] for share in (50, 95, 99)
    )
    assert "event.status" in charts["Calls and errors"]
    assert "dcount(ContainerGroupName)" in charts["Copies"]
    assert "event.rmse" in charts["Accuracy: error on held-out data"]
    assert "event.share" in charts["Drift"]
    assert plan().outputs["dashboard"].endswith(f"{page.outputs['id']}/workbook")


def test_logs_are_kept_for_a_year_and_read_with_a_token_alone() -> None:
    inputs = plan().only("operationalinsights:Workspace").inputs
    assert inputs["retentionInDays"] == 365
    assert inputs["features"]["disableLocalAuth"] is True
    assert inputs["publicNetworkAccessForIngestion"] == "Disabled"


def test_what_is_done_to_the_subscription_and_with_keys_is_written_to_the_locked_bucket() -> None:
    audit = plan().named("storage:StorageAccount", "audit")
    assert audit.inputs["immutableStorageWithVersioning"] == {"enabled": True}
    trail = {row.name: row.inputs for row in plan().of_type("monitor:DiagnosticSetting") if "trail" in row.name}
    assert set(trail) == {"trail", "data-key-trail", "logs-key-trail"}
    assert {inputs["storageAccountId"] for inputs in trail.values()} == {audit.outputs["id"]}
    assert trail["trail"]["resourceUri"] == "/subscriptions/00000000-0000-4000-8000-000000000001"
    assert "Administrative" in [row["category"] for row in trail["trail"]["logs"]]
    assert [row["category"] for row in trail["data-key-trail"]["logs"]] == ["AuditEvent"]


def test_the_budget_is_of_the_resource_group_and_tells_its_owner_early() -> None:
    budget = plan().only("consumption:Budget")
    assert budget.inputs["scope"].endswith("/resourceGroups/groundwork-dev-group")
    assert (budget.inputs["amount"], budget.inputs["timeGrain"]) == (300, "Monthly")
    told = budget.inputs["notifications"]
    assert set(told) == {"actual-50", "actual-80", "actual-100", "forecasted-100"}
    assert all(row["enabled"] and row["contactEmails"] == ["ml@example.com"] for row in told.values())
    assert budget.options["ignoreChanges"] == ["timePeriod"]


def test_the_budget_begins_with_the_month_of_the_settings_whenever_it_is_planned() -> None:
    assert plan().only("consumption:Budget").inputs["timePeriod"] == {"startDate": "2026-12-01T00:00:00Z"}
    changed = "from dataclasses import replace\nparts.args = replace(parts.args, budget_since={since})\n"
    later = plan(changed.format(since='"2027-03"') + WATCH).only("consumption:Budget")
    assert later.inputs["timePeriod"] == {"startDate": "2027-03-01T00:00:00Z"}
    with pytest.raises(Exception, match=r"name the one in which it is made: azure.budgetSince"):
        plan(changed.format(since=None) + WATCH)


def test_a_service_of_another_cloud_is_refused() -> None:
    program = WATCH.replace("WatchArgs(predict,", "WatchArgs(object(),")
    with pytest.raises(Exception, match="a service and a workflow of Azure"):
        plan(program)


def test_every_key_of_every_resource_is_one_that_azure_knows() -> None:
    assert [found for row in plan().resources for found in unknown_keys(row.inputs, f"{row.type} {row.name}")] == []


def test_every_resource_that_takes_tags_has_them() -> None:
    untagged = {
        "app:ContainerAppsAuthConfig",
        "authorization:RoleAssignment",
        "consumption:Budget",
        "dns:RecordSet",
        "monitor:DiagnosticSetting",
        "network:PrivateDnsZoneGroup",
        "network:SecurityRule",
        "network:Subnet",
        "privatedns:PrivateRecordSet",
        "security:Pricing",
        "storage:BlobContainer",
        "storage:BlobServiceProperties",
        "storage:ManagementPolicy",
    }
    assert {row.type for row in plan().resources if not row.inputs.get("tags")} == untagged
