"""A change as lines that a person can read, in the form that GitHub colours as a diff.

A line begins with what happens: `+` made, `-` gone, `!` another value, `~` and `±` a resource that changes or may be
replaced. Every value is redacted, on one line, and shortened.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from rollout.changes import MISSING, Change, Op, Property, text_of
from rollout.markdown import printable
from rollout.redact import Redactor, document_of

WIDTH = 120  # letters of a value
SHORT = 44  # letters of each of two values that stand on one line
MOST_PROPERTIES = 40  # of a resource
MOST_INPUTS = 8  # of a new resource
MOST_LINES = 24  # of a text of several lines
SIGNS: dict[Op, str] = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
_DULL = ("tags", "labels", "tagsAll", "userLabels", "resourceLabels")  # of a new resource


def short_type(token: str) -> str:
    """A type as Pulumi's command line shows it: `aws:s3/bucket:Bucket` → `aws:s3:Bucket`."""
    package, _, rest = token.partition(":")
    module, _, name = rest.partition(":")
    head, _, last = module.partition("/")
    return f"{package}:{head}:{name}" if last and last == name[:1].lower() + name[1:] else token


def change_lines(change: Change, redactor: Redactor) -> list[str]:
    """The lines of one resource: what happens to it, where it is declared, and its properties."""
    label = redactor.text(f"{short_type(change.type)} {change.name}")
    notes = ["may be replaced"] if change.op == "replace" else []
    if change.moved:
        notes.append("an alias would keep what is made anew elsewhere")
    note = f" ({'; '.join(notes)})" if notes else ""
    lines = [printable(f"{SIGNS[change.op]} {label}{note}{redactor.text(_place(change))}")]
    if change.op == "create" and change.new:
        lines += _inputs(change.new["inputs"], redactor)
    for row in change.properties[:MOST_PROPERTIES]:
        lines += property_lines(row, redactor)
    more = len(change.properties) - MOST_PROPERTIES
    return lines + ([f"      … {more} more properties"] if more > 0 else [])


def property_lines(row: Property, redactor: Redactor) -> list[str]:
    """The lines of one value that changes."""
    name = redactor.text(f"[{row.path}]" if row.option else row.path)
    why = "  ← may make it anew" if row.forces else ""
    old, new = (_decoded(value, row.path, redactor) for value in (row.old, row.new))
    if isinstance(old, str) and isinstance(new, str) and "\n" in old + new:
        return [printable(f"!     {name}:{why}"), *_text_lines(old, new)]
    before, after = shown(old), shown(new)
    if row.old is MISSING:
        return [printable(f"+     {name}: {_cut(after)}{why}")]
    if row.new is MISSING:
        return [printable(f"-     {name}: {_cut(before)}{why}")]
    if len(before) <= SHORT and len(after) <= SHORT:
        return [printable(f"!     {name}: {before} → {after}{why}")]
    before, after = _cut_alike(before, after)
    return [printable(f"-     {name}: {before}"), printable(f"+     {name}: {after}{why}")]


def shown(value: Any) -> str:
    """A value on one line: as JSON, and what a plan marks in its own words."""
    if value is MISSING:
        return "none"
    if isinstance(value, dict) and len(value) == 1:
        mark, held = next(iter(value.items()))
        if mark in ("$secret", "$unknown"):
            return f"[{mark[1:]}]"
        if mark in ("$asset", "$archive") and isinstance(held, dict):
            told = held.get("path") or held.get("uri") or held.get("kind")
            return f"{mark[1:]} {told} {str(held.get('sha256') or '')[:12]}".rstrip()
        if mark == "$resource":
            return f"resource {str(held).rpartition('::')[2]}"
    document = document_of(value)
    return json.dumps(value if document is None else document, ensure_ascii=False, sort_keys=document is None)


def _decoded(value: Any, path: str, redactor: Redactor) -> Any:
    if value is MISSING:
        return value
    text = text_of(value)
    return redactor.value(value if text is None else text, path)


def _place(change: Change) -> str:
    row = change.new or change.old
    source = row["source"] if row else None
    return f"  # {source['file']}:{source['line']}" if source else ""


def _inputs(inputs: dict[str, Any], redactor: Redactor) -> Iterator[str]:
    told = {name: value for name, value in inputs.items() if name not in _DULL}
    for name, value in list(told.items())[:MOST_INPUTS]:
        yield printable(f"+     {redactor.text(name)}: {_cut(shown(redactor.value(value, name)))}")
    if len(told) > MOST_INPUTS:
        yield f"+     … {len(told) - MOST_INPUTS} more"


def _text_lines(old: str, new: str) -> list[str]:
    """What differs between two texts of several lines, each line with one around it."""
    rows = [
        line for line in difflib.unified_diff(_rows(old), _rows(new), n=1, lineterm="") if line[:2] not in ("--", "++")
    ]
    lines = [
        printable(f"{row[0]}         {row[1:]}" if row[0] in "+-" else f"          {row[1:]}")
        for row in rows
        if row[0] != "@"
    ]
    more = len(lines) - MOST_LINES
    return [_cut(line, WIDTH + 10) for line in lines[:MOST_LINES]] + (
        [f"          … {more} more lines"] if more > 0 else []
    )


def _rows(text: str) -> Sequence[str]:
    return text.splitlines()[:5_000]


def _cut(text: str, width: int = WIDTH) -> str:
    return text if len(text) <= width else f"{text[:width]}… ({len(text) - width} more letters)"


def _cut_alike(before: str, after: str) -> tuple[str, str]:
    """Two long values, from a little before where they part."""
    same = next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - 24) if max(len(before), len(after)) > WIDTH else 0
    lead = "…" if start else ""
    return lead + _cut(before[start:]), lead + _cut(after[start:])
