"""Waivers: who lets which finding stand, on whose word, why, and until when."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from policies.finding import Finding, Waiver
from policies.graph import PlanError

FIELDS = tuple(field.name for field in fields(Waiver))
URN = re.compile(r"urn:pulumi:(?P<stack>[^:]+)::[^:]+::.+::.*")
MOST = 1_000_000  # bytes
WAIVABLE = ("fail", "undetermined")


class _Loader(yaml.BaseLoader):
    """Texts, lists and mappings alone: a date stays the text that was written. A key that stands twice is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(str(key.value) for key, _ in node.value)
        if twice := [key for key, count in keys.items() if count > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file `waivers: [{policy, urn, …}]`, not judged yet. Raises PlanError where it cannot be read."""
    try:
        if path.stat().st_size > MOST:
            raise PlanError(f"{path} is larger than {MOST} bytes: no list of waivers that a person reads.")
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - makes texts only
    except OSError as error:
        raise PlanError(
            f"The waivers {path} cannot be read: {error.strerror}. Name the file with --waivers."
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise PlanError(f"The waivers {path} cannot be read: {' '.join(str(error).split())}.") from error
    rows = document.get("waivers") if isinstance(document, dict) and document.keys() == {"waivers"} else None
    rows = [] if rows == "" else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise PlanError(f"{path} has another form than `waivers: [{{{', '.join(FIELDS)}}}, …]`.")
    return rows


def judge(rows: Sequence[dict[str, Any]], today: date) -> tuple[tuple[Waiver, ...], tuple[str, ...]]:
    """The waivers that hold today, and a sentence for each row that does not."""
    waivers, errors = [], []
    keys = Counter((str(row.get("policy")), str(row.get("urn"))) for row in rows)
    for number, row in enumerate(rows, 1):
        where = f"Waiver {number} ({row.get('policy') or 'no policy'} on {row.get('urn') or 'no URN'})"
        problem = _problem(row, today)
        if not problem and keys[row["policy"], row["urn"]] > 1:
            problem = "stands more than once: keep one of them"
        if problem:
            errors.append(f"{where} {problem}.")
        else:
            waivers.append(Waiver(**{name: row[name].strip() for name in FIELDS}))
    return tuple(waivers), tuple(errors)


def _problem(row: dict[str, Any], today: date) -> str:
    """What is wrong with a row, as the end of a sentence; "" if nothing is."""
    missing = [name for name in FIELDS if not isinstance(row.get(name), str) or not row[name].strip()]
    if missing:
        ownerless = "is ownerless: name who answers for it"
        return ownerless if missing == ["owner"] else f"is incomplete: it has no {', no '.join(missing)}"
    if unknown := sorted(row.keys() - set(FIELDS)):
        return f"has {unknown[0]!r}, which no waiver has; it has {', '.join(FIELDS)}"
    if row["owner"].strip().casefold() == row["approver"].strip().casefold():
        return f"is approved by its owner, {row['owner'].strip()}: another person approves it"
    if not URN.fullmatch(row["urn"]) or "*" in row["urn"]:
        return "names no exact URN (urn:pulumi:STACK::PROJECT::TYPE::NAME)"
    return _expiry_problem(row["expires"].strip(), today)


def _expiry_problem(expires: str, today: date) -> str:
    try:
        last = date.fromisoformat(expires)
    except ValueError:
        return f"has the expiry {expires!r}, which is no date (2027-01-31)"
    return "" if last >= today else f"expired on {last}: mend what it waives, or have it approved again"


def apply(
    waivers: Iterable[Waiver], findings: Iterable[Finding], stacks: Iterable[str], *, complete: bool
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """The findings, the waived ones as such, and a sentence for each waiver that matches none.

    complete: these stacks are all there are, so that a waiver of another one is an error, too.
    """
    by_key = {(waiver.policy, waiver.urn): waiver for waiver in waivers}
    used, result = set(), []
    for finding in findings:
        key = (finding.policy, finding.urn)
        if finding.status in WAIVABLE and key in by_key:
            used.add(key)
            result.append(replace(finding, status="waived", waiver=by_key[key]))
        else:
            result.append(finding)
    judged = set(stacks)
    errors = [
        f"The waiver of {policy} on {urn} matches no finding: remove it, or correct its policy or URN."
        for policy, urn in by_key.keys() - used
        if complete or _stack(urn) in judged
    ]
    return tuple(result), tuple(sorted(errors))


def _stack(urn: str) -> str:
    match = URN.fullmatch(urn)
    return match["stack"] if match else ""
