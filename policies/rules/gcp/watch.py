"""Logs and alarms: that they are written, kept and heard."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource, listed
from policies.rule import Rule, Verdict, fail
from policies.rules.reading import UNKNOWN, every, given, must_have, must_not, on, read, uses

AUDIT_CONFIGS = (
    "gcp:projects/iAMAuditConfig:IAMAuditConfig",
    "gcp:folder/iamAuditConfig:IamAuditConfig",
    "gcp:organizations/iamAuditConfig:IamAuditConfig",
)
SERVICE = "gcp:cloudrunv2/service:Service"


def _exempted(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, members in every(given(resource), "auditLogConfigs.*.exemptedMembers"):
        if members and members is not UNKNOWN:
            yield fail(f"What {', '.join(map(str, listed(members)))} does is not logged.", path)


def _retention(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    days = read(resource, "retentionDays")
    if isinstance(days, int | float) and days < 30:
        yield fail(f"It keeps logs for {days:.0f} days.", "retentionDays")


def _unwatched(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    alarms = list(graph.of_type("gcp:monitoring/alertPolicy:AlertPolicy"))
    if not any(uses(row, resource) or "cloud_run_revision" in str(given(row)) for row in alarms):
        yield fail("No alert policy of the stack looks at it.")


RULES = (
    Rule(
        "GW-GCP-100",
        "An alarm must tell someone",
        "medium",
        "An alarm without a channel is seen by whoever happens to look.",
        "Set `notification_channels` on it.",
        ("SI-4", "IR-5", "AU-6"),
        ("gcp:monitoring/alertPolicy:AlertPolicy",),
        must_have(
            "notificationChannels", message="It tells nobody.", when=lambda row: on(row, "enabled", default=True)
        ),
    ),
    Rule(
        "GW-GCP-101",
        "An alarm must be switched on",
        "low",
        "An alarm that is off looks in a review like one that watches.",
        "Leave `enabled` out, or delete the alarm.",
        ("SI-4",),
        ("gcp:monitoring/alertPolicy:AlertPolicy",),
        must_not("enabled", False, message="It is switched off."),
        "advisory",
    ),
    Rule(
        "GW-GCP-102",
        "Nobody may be exempt from the audit log",
        "high",
        "Who breaks into an exempt account leaves no trace.",
        "Leave `exempted_members` out; filter noise in the sink.",
        ("AU-2", "AU-12"),
        AUDIT_CONFIGS,
        _exempted,
    ),
    Rule(
        "GW-GCP-103",
        "Logs must be kept for a month",
        "medium",
        "Most break-ins are found after weeks: by then the logs are gone.",
        "Set `retention_days` to 30 (the default) or more.",
        ("AU-11",),
        ("gcp:logging/projectBucketConfig:ProjectBucketConfig",),
        _retention,
        "advisory",
    ),
    Rule(
        "GW-GCP-104",
        "A service on Cloud Run must be watched",
        "low",
        "That it fails is told by its users.",
        "Declare an `AlertPolicy` on its errors or its latency.",
        ("SI-4", "CA-7"),
        (SERVICE,),
        _unwatched,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-GCP-105",
        "A sink must write as an identity of its own",
        "low",
        "With the shared identity another project's sink may write to the same place.",
        "Leave `unique_writer_identity` at its default, which is on.",
        ("AU-9", "AC-6"),
        ("gcp:logging/projectSink:ProjectSink",),
        must_not("uniqueWriterIdentity", False, message="It writes as an identity that all projects share."),
        "advisory",
    ),
)
