"""What is asked of the logs (in Kusto), for the alerts and for the dashboard. Pure."""

from dataclasses import dataclass

import pulumi

from infra.alerts import (
    DRIFT_EVENT,
    DRIFT_SHARE,
    EVALUATION_ERROR,
    EVALUATION_EVENT,
    REQUEST_COUNT,
    REQUEST_EVENT,
    REQUEST_SECONDS,
    REQUEST_STATUS,
)

MEASURE = "measure"  # the column that an alert looks at
TABLE = "ContainerAppConsoleLogs"  # what containers say, a line a row, in the column Log


@dataclass(frozen=True)
class Subject:
    """What is watched: the workspace, the service and the workflow by their ids, and the service's name in its logs."""

    log: pulumi.Output[str]
    app: pulumi.Output[str]
    name: pulumi.Output[str]
    workflow: pulumi.Output[str]


def events(kind: str) -> str:
    """The events of a kind, of which the app writes one JSON object a line."""
    return f"{TABLE} | extend event = parse_json(Log) | where event.event == '{kind}'"


def _calls(of: Subject) -> pulumi.Output[str]:
    """Lines about the service's calls, without the questions whether it lives; `calls` is how many each stands for."""
    calls = events(REQUEST_EVENT).replace(TABLE, TABLE + " | where ContainerAppName == '{0}'", 1)
    return pulumi.Output.concat(
        calls.split("{0}")[0],
        of.name,
        calls.split("{0}")[1],
        " | where event.path !in ('/healthz', '/readyz')",
        f" | extend calls = coalesce(tolong(event['{REQUEST_COUNT}']), 1)",
    )


def share_of_errors(of: Subject) -> pulumi.Output[str]:
    """The share of calls that the service failed."""
    failed = f"sumif(calls, toint(event.{REQUEST_STATUS}) >= 500)"
    return pulumi.Output.concat(_calls(of), f" | summarize {MEASURE} = todouble({failed}) / sum(calls)")


def slowest(of: Subject) -> pulumi.Output[str]:
    """The seconds that the slowest hundredth of calls takes."""
    return pulumi.Output.concat(
        _calls(of), f" | summarize {MEASURE} = percentilew(todouble(event.{REQUEST_SECONDS}), calls, 99)"
    )


def largest_drift() -> str:
    """How far live inputs were from the training data at most."""
    return events(DRIFT_EVENT) + f" | summarize {MEASURE} = max(todouble(event.{DRIFT_SHARE}))"


def charts(of: Subject) -> list[tuple[str, pulumi.Output[str]]]:
    """Title and query of each chart, by what is looked at first."""
    each = "bin(TimeGenerated, 5m)"
    seconds, status = f"todouble(event.{REQUEST_SECONDS})", f"toint(event.{REQUEST_STATUS})"
    percentiles = ", ".join(f"p{share} = percentilew({seconds}, calls, {share})" for share in (50, 95, 99))
    failed, refused = f"sumif(calls, {status} >= 500)", f"sumif(calls, {status} between (400 .. 499))"
    counts = f"total = sum(calls), errors = {failed}, refused = {refused}"
    return [
        ("Latency (s)", pulumi.Output.concat(_calls(of), f" | summarize {percentiles} by {each}")),
        ("Calls and errors", pulumi.Output.concat(_calls(of), f" | summarize {counts} by {each}")),
        ("Copies", pulumi.Output.concat(_calls(of), f" | summarize copies = dcount(ContainerGroupName) by {each}")),
        (
            "Accuracy: error on held-out data",
            _asked(events(EVALUATION_EVENT), f"error = max(todouble(event.{EVALUATION_ERROR}))"),
        ),
        ("Drift", _asked(events(DRIFT_EVENT), f"share = max(todouble(event.{DRIFT_SHARE}))")),
    ]


def _asked(query: str, what: str) -> pulumi.Output[str]:
    return pulumi.Output.from_input(f"{query} | summarize {what} by bin(TimeGenerated, 1h)")
