"""The requirements of frameworks, and how far the findings of a report answer each of them.

`nist-800-53.yaml` holds what policies cite by id. Each other file is a benchmark whose requirements name the policies
that look at them. A requirement that nobody looked at is "not assessed", and never counts as met.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from policies.finding import Status

if TYPE_CHECKING:
    from policies.check import Report

Reach = Literal["full", "partial", "manual"]
Answer = Literal["full", "partial", "manual", "not assessed"]
ANSWERS: tuple[Answer, ...] = ("full", "partial", "manual", "not assessed")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Control:
    """One requirement of a framework.

    text: one sentence in our words; "" where the title says it all. iso: ids in Annex A of ISO/IEC 27001:2022 about the
    same subject. reach: how far policies over declared resources can serve it. person: what somebody must do besides;
    "" only where reach is full. policies: ids of those that look at it, beside the ones that cite it.
    """

    id: str
    family: str
    title: str
    reach: Reach
    text: str = ""
    person: str = ""
    iso: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Framework:
    """A list of requirements. file: the stem of its YAML file. title: name and version. note: where it comes from."""

    file: str
    title: str
    note: str
    controls: Mapping[str, Control]


@dataclass(frozen=True)
class Standing:
    """What a report says of one control.

    status: `full`: all its policies were assessed and passed, and policies can answer it wholly. `partial`: policies
    looked, but not all passed, one may have missed something, or a person must look besides. `manual`: no policy can
    answer it. `not assessed`: no policy looked. findings: how many by status. policies: those with findings. idle:
    those without. missed: the idle ones that were turned off, or whose tool left resources unread.
    """

    status: Answer
    findings: Mapping[Status, int]
    policies: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


@cache
def frameworks() -> tuple[Framework, ...]:
    """All frameworks, NIST's first. Raises ValueError where a file holds what a requirement cannot be."""
    files = sorted(FOLDER.glob("*.yaml"), key=lambda path: (not path.name.startswith("nist"), path.name))
    return tuple(_read(path) for path in files)


def _read(path: Path) -> Framework:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        rows = document["controls"].items()
        controls = {name: _control(name, row) for name, row in rows}
        return Framework(path.stem, document["title"], document["note"], controls)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} is no framework: {type(error).__name__}: {error}.") from error


def _control(name: str, row: dict[str, Any]) -> Control:
    lists: dict[str, Any] = {key: tuple(row.pop(key, ())) for key in ("iso", "policies")}
    control = Control(id=name, **row, **lists)
    if control.reach not in ANSWERS[:3] or bool(control.person) == (control.reach == "full"):
        raise ValueError(f"{name}: reach is full, or it is partial or manual and `person` says what to do.")
    return control


CONTROLS: Mapping[str, Control] = frameworks()[0].controls


def status_of(report: Report, controls: Mapping[str, Control] = CONTROLS) -> dict[str, Standing]:
    """How each of `controls` (NIST's unless told otherwise) stands by the findings of a report."""
    found: dict[str, Counter[Status]] = defaultdict(Counter)
    for row in report.findings:
        found[row.policy][row.status] += 1
    citing: dict[str, list[str]] = defaultdict(list)
    for policy in report.policies.values():
        for name in policy.controls:
            citing[name].append(policy.id)
    unread = {row.tool for row in report.not_assessed if not row.path}
    standings = {}
    for name, control in controls.items():
        known = sorted({*citing[name], *control.policies} & report.policies.keys())
        looked = tuple(policy for policy in known if found[policy])
        idle = tuple(policy for policy in known if not found[policy])
        # A policy without findings had nothing to judge, unless its tool left resources unread or it was turned off.
        missed = tuple(
            policy
            for policy in idle
            if report.policies[policy].tool in unread or report.policies[policy].level == "disabled"
        )
        counts = sum((found[policy] for policy in looked), Counter[Status]())
        whole = control.reach == "full" and not missed and not report.errors and set(counts) == {"pass"}
        standings[name] = Standing(_answer(control, bool(looked), whole), counts, looked, idle, missed)
    return standings


def _answer(control: Control, looked: bool, whole: bool) -> Answer:
    if control.reach == "manual":
        return "manual"
    if not looked:
        return "not assessed"
    return "full" if whole else "partial"
