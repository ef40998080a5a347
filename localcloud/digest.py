"""A preview as the Pulumi CLI's `preview --json` prints it, so that whoever reads one reads the other.

The form is that of the CLI (pkg/display/json.go: PreviewDigest, PreviewStep, PropertyDiff, PreviewDiagnostic):
`config`, `steps`, `diagnostics`, `duration` in nanoseconds, and `changeSummary`, the number of resources by operation,
components and providers of the program counted. As there, `steps` leaves out what stays the same but for the stack
itself, and default providers. A secret is the text `[secret]`; a value that is not yet known is Pulumi's placeholder.

One thing is told that the CLI leaves to `refresh`: with --refresh, a step `refresh` stands for each resource that was
found changed or gone, with the states before and after and a detailed diff. What the next `up` would do about it
follows as a step of its own, as with the CLI.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from localcloud.diff import MISSING, leaves, steps_of
from localcloud.events import Event
from localcloud.monitor import STACK_TYPE
from localcloud.project import Project
from localcloud.providers import PROVIDER_PREFIX
from localcloud.state import FIELDS, Resource
from localcloud.values import UNKNOWN, UNKNOWN_TEXT, Properties, Secret, transform

NANOSECONDS = 1_000_000_000
DEFAULT_PROVIDER = "default"


def document(
    project: Project,
    events: Sequence[Event],
    resources: Iterable[Resource],
    logs: Iterable[tuple[str, str]],
    seconds: float,
) -> dict[str, Any]:
    """The digest of a preview. events: all of it; resources: as they would be, in an order to show; logs: severity and
    message of what the program said and of the error that ended the preview, if one did."""
    counted: Counter[str] = Counter()
    steps: list[tuple[tuple[bool, int], dict[str, Any]]] = []
    final = {row.urn: (place, row) for place, row in enumerate(resources, start=1)}
    for event in events:
        if _is_default_provider(event) or event.kind in ("start", "failed", "adopt"):
            continue
        op = _operation(event)
        if op != "refresh" and (op != "read" or _read_otherwise(event)):
            counted[op] += 1
        if op == "same" and event.type != STACK_TYPE:
            continue
        place, row = final.get(event.urn, (len(final) + 1, event.after))
        if event.type == STACK_TYPE and op != "delete":
            event = replace(event, after=row)  # noqa: PLW2901 - with the outputs that the program gave it at its end
        steps.append(((op != "refresh", place), _step(op, event)))
    diagnostics = [{"message": message, "severity": severity} for severity, message in logs]
    digest = {
        "config": {
            key: "[secret]" if key in project.secret_keys else value for key, value in sorted(project.config.items())
        },
        "steps": [step for _, step in sorted(steps, key=lambda step: step[0])],
        "diagnostics": diagnostics,
        "duration": int(seconds * NANOSECONDS),
        "changeSummary": dict(sorted(counted.items())),
    }
    return {name: _masked(value, project) for name, value in digest.items() if value}


def _is_default_provider(event: Event) -> bool:
    return event.type.startswith(PROVIDER_PREFIX) and event.name == DEFAULT_PROVIDER


def _operation(event: Event) -> str:
    if event.kind in ("gone", "drift"):
        return "refresh"
    after = event.after
    if event.step == "create" and after is not None and after.import_id:
        return "import"
    if event.step == "delete" and after is not None and after.external:
        return "discard"
    return event.step


def _read_otherwise(event: Event) -> bool:
    """Whether a resource that the program only reads differs from when it was read last."""
    return event.before is not None and event.after is not None and event.before.outputs != event.after.outputs


def _step(op: str, event: Event) -> dict[str, Any]:
    """One step; of an update, a replacement and a refresh with what differs."""
    after = None if op in ("delete", "discard") or event.kind == "gone" else event.after
    step: dict[str, Any] = {"op": op, "urn": event.urn}
    provider = next((row.provider for row in (event.after, event.before) if row is not None), "")
    if provider:
        step["provider"] = provider
    for key, row in (("oldState", event.before), ("newState", after)):
        if row is not None:
            step[key] = _state(row)
    for key, names in (("diffReasons", event.changed), ("replaceReasons", event.replaces)):
        if names:
            step[key] = list(names)
    differs = event.before is not None and after is not None and event.changed
    return step | {"detailedDiff": _detailed(event) if differs else None}


def _detailed(event: Event) -> dict[str, dict[str, Any]]:
    found = {}
    for path, before, after in leaves(event.old, event.new):
        first = steps_of(path)[0]
        if first not in event.changed:
            continue
        kind = "add" if before is MISSING else "delete" if after is MISSING else "update"
        found[path] = {"kind": f"{kind}-replace" if first in event.replaces else kind, "inputDiff": True}
    return found


def _state(row: Resource) -> dict[str, Any]:
    """A resource in the form that it has in a state (apitype.ResourceV3), without anything that is secret."""
    found: dict[str, Any] = {"urn": row.urn, "custom": row.custom, "type": row.type}
    if row.delete:
        found["delete"] = True
    for attribute, key in FIELDS.items():
        value = getattr(row, attribute)
        if attribute in ("inputs", "outputs"):
            value = _shown(value)
        if value:
            found[key] = list(value) if isinstance(value, tuple) else value
    return found


def _shown(properties: Properties) -> Any:
    def leaf(value: Any) -> Any:
        return "[secret]" if isinstance(value, Secret) else UNKNOWN_TEXT if value is UNKNOWN else value

    return transform(properties, leaf)


def _masked(value: Any, project: Project) -> Any:
    """The value with each secret setting hidden, also where the program made a plain text of it, as a key too."""
    if isinstance(value, str):
        return project.masked(value)
    if isinstance(value, Mapping):
        return {project.masked(str(name)): _masked(item, project) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, project) for item in value]
    return value
