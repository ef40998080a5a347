"""What a workflow's Logic App does, as its definition. Pure: the same in, the same out, and no SDK.

Source of the form: Microsoft, "Schema reference guide for the Workflow Definition Language in Azure Logic Apps".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.shape import Step, Unsupported

SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
MANAGEMENT, STORAGE = "https://management.azure.com", "https://storage.azure.com"  # whom a token is for
APPS_VERSION, QUEUE_VERSION = "2024-03-01", "2021-12-02"  # of the interfaces that are called
ENDED = "createArray('Succeeded', 'Failed', 'Stopped', 'Degraded')"  # states that a job does not leave
POLLS = 1440  # a minute each; the job itself is given up well before
PAST = "2024-01-01T00:00:00Z"  # a schedule that begins at no time in particular runs once when it is deployed
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

Json = dict[str, Any]


def definition(steps: Sequence[Step], jobs: Mapping[str, str], deploys: str, queue: str, recurrence: Json) -> Json:
    """The steps in their order, each the job of its name (`jobs`: resource ids), then a restart of the container
    app `deploys` (resource id). The first step that fails ends the run as failed.

    Started by `recurrence`, and by messages in the queue with the URL `queue`: one run for all that are there, as
    a data set is many objects. They are taken away before the first step, so that what lands during a run starts
    another.
    """
    actions: Json = {"take-messages": _call("DELETE", f"{queue}/messages", STORAGE)}
    last = "take-messages"
    for step in steps:
        actions |= _step(step.name, jobs[step.name], last)
        last = f"judge-{step.name}"
    revision = "@{body('find-revision')['properties']['latestReadyRevisionName']}"
    actions["find-revision"] = _call("GET", MANAGEMENT + deploys, MANAGEMENT, last)
    restart = f"{MANAGEMENT}{deploys}/revisions/{revision}/restart"
    actions["deploy"] = _call("POST", restart, MANAGEMENT, "find-revision")
    waiting = "int(coalesce(triggerOutputs()?['headers']?['x-ms-approximate-messages-count'], '0'))"
    landed = {
        "type": "Http",
        "inputs": _request("GET", f"{queue}?comp=metadata", STORAGE),
        "conditions": [{"expression": f"@greater({waiting}, 0)"}],
        "recurrence": {"frequency": "Minute", "interval": 5},
    }
    scheduled = {"type": "Recurrence", "recurrence": recurrence}
    one_at_a_time = {"runtimeConfiguration": {"concurrency": {"runs": 1}}}
    return {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "triggers": {"object-landed": landed | one_at_a_time, "schedule": scheduled | one_at_a_time},
        "actions": actions,
    }


def _step(name: str, job: str, after: str) -> Json:
    """Start the job, ask each minute how its execution is, and end the run unless it succeeded.

    The execution is the one that began after the call: its name is known only from an answer that takes rights
    in the whole subscription to fetch (operation results of a region).
    """
    mark, start, watch, look, ours, judge = (
        f"{verb}-{name}" for verb in ("mark", "start", "await", "look", "ours", "judge")
    )
    since = f"@greaterOrEquals(formatDateTime(item()['properties']['startTime'], 's'), outputs('{mark}'))"
    status = f"coalesce(first(body('{ours}'))?['properties']?['status'], 'Running')"
    polling = {
        f"pause-{name}": {"type": "Wait", "inputs": {"interval": {"count": 1, "unit": "Minute"}}, "runAfter": {}},
        look: _call("GET", f"{MANAGEMENT}{job}/executions", MANAGEMENT, f"pause-{name}"),
        ours: {
            "type": "Query",
            "inputs": {"from": f"@body('{look}')['value']", "where": since},
            **_after(look),
        },
    }
    failure = {"code": "StepFailed", "message": f"The step '{name}' ended as @{{{status}}}."}
    return {
        mark: {"type": "Compose", "inputs": "@formatDateTime(utcNow(), 's')", **_after(after)},
        start: {
            **_call("POST", f"{MANAGEMENT}{job}/start", MANAGEMENT, mark),
            "operationOptions": "DisableAsyncPattern",
        },
        watch: {
            "type": "Until",
            "expression": f"@contains({ENDED}, {status})",
            "limit": {"count": POLLS, "timeout": "PT24H"},
            "actions": polling,
            **_after(start),
        },
        judge: {
            "type": "If",
            "expression": f"@equals({status}, 'Succeeded')",
            "actions": {},
            "else": {
                "actions": {
                    f"fail-{name}": {
                        "type": "Terminate",
                        "inputs": {"runStatus": "Failed", "runError": failure},
                        "runAfter": {},
                    }
                }
            },
            **_after(watch),
        },
    }


def _request(method: str, uri: str, audience: str) -> Json:
    """A request under the workflow's own identity."""
    request: Json = {
        "method": method,
        "uri": uri,
        "authentication": {"type": "ManagedServiceIdentity", "audience": audience},
    }
    if audience == STORAGE:
        return request | {"headers": {"x-ms-version": QUEUE_VERSION}}
    return request | {"queries": {"api-version": APPS_VERSION}}


def _call(method: str, uri: str, audience: str, after: str = "") -> Json:
    return {"type": "Http", "inputs": _request(method, uri, audience), **_after(after)}


def _after(action: str) -> Json:
    return {"runAfter": {action: ["Succeeded"]} if action else {}}


def landing(container: str, prefix: str) -> Json:
    """Which of a storage account's events are told: an object is there, whole, under the prefix."""
    return {
        "included_event_types": ["Microsoft.Storage.BlobCreated"],
        "subject_begins_with": f"/blobServices/default/containers/{container}/blobs/{prefix}",
        "is_subject_case_sensitive": True,
    }


def schedule(cron: str) -> Json:
    """A schedule (cron, five fields, UTC) as Logic Apps say it.

    Raises Unsupported for days of the month and months, which a recurrence of theirs cannot name.
    """
    fields = cron.split()
    if len(fields) != 5:
        raise Unsupported(f"azure: the schedule {cron!r} needs five fields: minute hour day month weekday.")
    minute, hour, day, month, weekday = fields
    if (day, month) != ("*", "*"):
        raise Unsupported(
            f"azure: the schedule {cron!r} names days of the month or months, which a Logic App's recurrence cannot; "
            "write * for both and name days of the week."
        )
    hours, minutes = _numbers(hour, 0, 23, cron), _numbers(minute, 0, 59, cron)
    always = {"interval": 1, "timeZone": "UTC", "startTime": PAST}
    if weekday == "*":
        return {"frequency": "Day", **always, "schedule": {"hours": hours, "minutes": minutes}}
    days = sorted({number % 7 for number in _numbers(weekday, 0, 7, cron)})  # Sunday is 0 and 7
    named = [WEEKDAYS[number] for number in days]
    return {"frequency": "Week", **always, "schedule": {"hours": hours, "minutes": minutes, "weekDays": named}}


def _numbers(field: str, low: int, high: int, cron: str) -> list[int]:
    """The numbers that a field of cron names: `*`, `5`, `1-5`, `*/15`, `0,30` and what these make together."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        try:
            begin, end = (low, high) if span == "*" else (int(first), int(last or (high if step else first)))
            numbers = range(begin, end + 1, int(step or 1))
        except ValueError:
            numbers = range(0)
        if not numbers or numbers[0] < low or numbers[-1] > high:
            raise Unsupported(f"azure: the schedule {cron!r} has {part!r} where numbers from {low} to {high} belong.")
        found.update(numbers)
    return sorted(found)
