"""Steps, results and differences as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.difference import differences, properties
from localcloud.events import Event
from localcloud.operations import CHANGES, Result
from localcloud.state import Resource
from localcloud.steps import Step
from localcloud.values import Properties

if TYPE_CHECKING:
    from localcloud.packs import Violation  # JSON schemas load only where there is a pack

SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "same": " ", "read": ">"}
TENSES = {
    "create": ("to create", "created"),
    "update": ("to update", "updated"),
    "replace": ("to replace", "replaced"),
    "delete": ("to delete", "deleted"),
}
DOING = {"create": "creating", "update": "updating", "replace": "replacing", "delete": "deleting", "read": "reading"}


def short(type_: str) -> str:
    """A type token as the Pulumi CLI shows it: `aws:s3/bucket:Bucket` → `aws:s3:Bucket`."""
    package, _, rest = type_.partition(":")
    module, _, name = rest.partition(":")
    head, _, last = module.partition("/")
    return f"{package}:{head}:{name}" if last == name[:1].lower() + name[1:] else type_


def event_lines(event: Event, *, dry_run: bool, diff: bool = False) -> Iterator[str]:
    """What to show of an event: nothing for what stays the same and for the start of a step."""
    label = f"{short(event.type)} {event.name}"
    if event.kind == "done" and event.step in CHANGES:
        took = "" if dry_run else f"  {event.seconds:.1f} s"
        what = f"  [{', '.join(event.changed)}]" if event.changed else ""
        note = f"  ({event.message})" if event.message else ""
        yield f"{SIGNS[event.step]} {event.step:8}{label}{what}{note}{took}"
        if diff and event.step in ("create", "update", "replace"):
            told = differences(event.old, event.new) if event.before else properties(event.new)
            yield from (f"      {line}" for line in told)
    elif event.kind == "failed":
        yield f"! {event.step:8}{label}  failed: {event.message}"
    elif event.kind == "gone":
        yield f"? gone    {label}  it was deleted behind our back"
    elif event.kind == "drift":
        yield f"? drift   {label}  [{', '.join(event.changed)}]"
        if diff:
            yield from (f"      {line}" for line in differences(event.old, event.new))
    elif event.kind == "adopt":
        yield f"= found   {label}  an earlier run had begun it"


def violation_line(violation: Violation) -> str:
    """One policy violation as a line."""
    message = " ".join(violation.message.split())
    return f"! {violation.level} {violation.policy} on {violation.urn.rsplit('::', 1)[-1]}: {message}"


def summary(result: Result, *, dry_run: bool) -> str:
    """One line: what changed, what stayed, how long it took."""
    parts = [f"{result.steps[step]} {TENSES[step][0 if dry_run else 1]}" for step in CHANGES if result.steps[step]]
    if not parts:
        parts = ["0 to change"]
    parts.append(f"{result.steps['same']} unchanged")
    if result.gone:
        parts.append(f"{len(result.gone)} had gone")
    if result.drifted:
        parts.append(f"{len(result.drifted)} had drifted")
    return f"{', '.join(parts)}  ({result.seconds:.1f} s)"


def result_document(result: Result, outputs: Properties) -> dict[str, object]:
    """A result for `--json`."""
    return {
        "steps": {step: result.steps[step] for step in (*CHANGES, "same")},
        "changes": result.changes,
        "gone": sorted(result.gone),
        "drifted": sorted(result.drifted),
        "outputs": outputs,
        "seconds": round(result.seconds, 3),
    }


def names(resources: list[Resource]) -> list[str]:
    """`type name` of each resource, sorted."""
    return sorted(f"{short(row.type)} {row.name}" for row in resources)


def tellers(step: Step, file: Path) -> tuple[Callable[[Event], None], Callable[[str, str], None]]:
    """What shows in a step how far the engine is and writes each event to a file, begun anew; and what writes the
    program's messages there too, by severity."""
    counts: Counter[str] = Counter()
    file.write_text("", encoding="utf-8")

    def write(lines: Iterator[str]) -> None:
        with file.open("a", encoding="utf-8") as events:
            events.writelines(f"{line}\n" for line in lines)

    def tell(event: Event) -> None:
        counts[event.kind] += event.step != "same" or event.kind == "done"
        if event.kind == "gone":
            step.say(f"{counts['gone']} of its resources are gone; making them again")
        elif event.kind != "drift":
            step.say(f"{counts['done']} done   {short(event.type)} {event.name}")
        write(event_lines(event, dry_run=False))

    return tell, lambda severity, message: write(iter([f"{severity}: {message}"]))
