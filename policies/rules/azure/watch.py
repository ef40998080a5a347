"""Logs and alarms on Azure: that they are written, kept and heard."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource
from policies.rule import Rule, Verdict, fail
from policies.rules.reading import given, must_have, must_not, on, read, uses

SETTING, WORKSPACE = "azure-native:monitor:DiagnosticSetting", "azure-native:operationalinsights:Workspace"
OLD_SETTING = "azure-native:insights:DiagnosticSetting"
WATCHED = (
    "azure-native:keyvault:Vault",
    "azure-native:sql:Database",
    "azure-native:dbforpostgresql:Server",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:containerregistry:Registry",
    "azure-native:containerservice:ManagedCluster",
    "azure-native:storage:StorageAccount",
)
ALERTS = ("azure-native:monitor:MetricAlert", "azure-native:insights:MetricAlert")


def _diagnosed(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    settings = list(graph.of_type(SETTING, OLD_SETTING))
    if not settings and not any(True for _ in graph.of_type(WORKSPACE)):
        return  # nothing here keeps logs of its own; a policy of the subscription may
    own = given(resource).get("accountName") or resource.outputs.get("id")
    for row in settings:
        target = given(row).get("resourceUri")
        if uses(row, resource, "resourceUri") or (own and isinstance(target, str) and f"{own}/" in f"{target}/"):
            return
    yield fail("Nobody writes down who uses it: no diagnostic setting of the stack is about it.")


def _retention(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    days = read(resource, "retentionInDays")
    if isinstance(days, int | float) and days < 30:
        yield fail(f"It keeps logs for {days:.0f} days.", "retentionInDays")


def _unwatched(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    alarms = list(graph.of_type(*ALERTS, "azure-native:monitor:ScheduledQueryRule"))
    if not any(uses(row, resource) or "ContainerApp" in str(given(row)) for row in alarms):
        yield fail("No alert of the stack looks at it.")


RULES = (
    Rule(
        "GW-AZ-100",
        "Who uses what holds data must be written down",
        "low",
        "After an incident nobody can say what was read, or by whom.",
        "Declare a `DiagnosticSetting` with its `resource_uri`.",
        ("AU-2", "AU-12"),
        WATCHED,
        _diagnosed,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AZ-101",
        "Logs must be kept for a month",
        "medium",
        "Most break-ins are found after weeks: by then the logs are gone.",
        "Set `retention_in_days` to 30 or more.",
        ("AU-11",),
        (WORKSPACE,),
        _retention,
        "advisory",
    ),
    Rule(
        "GW-AZ-102",
        "An alarm must tell someone",
        "medium",
        "An alarm without an action is seen by whoever happens to look.",
        "Set `actions` with an action group.",
        ("SI-4", "IR-5", "AU-6"),
        (*ALERTS, "azure-native:monitor:ScheduledQueryRule"),
        must_have("actions", message="It tells nobody.", when=lambda row: on(row, "enabled", default=True)),
    ),
    Rule(
        "GW-AZ-104",
        "A container app must be watched",
        "low",
        "That it fails is told by its users.",
        "Declare a `MetricAlert` or a `ScheduledQueryRule` on its errors or its latency.",
        ("SI-4", "CA-7"),
        ("azure-native:app:ContainerApp",),
        _unwatched,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AZ-103",
        "An alarm must be switched on",
        "low",
        "An alarm that is off looks in a review like one that watches.",
        "Set `enabled=True`, or delete the alarm.",
        ("SI-4",),
        (*ALERTS, "azure-native:monitor:ScheduledQueryRule"),
        must_not("enabled", False, message="It is switched off."),
        "advisory",
    ),
)
