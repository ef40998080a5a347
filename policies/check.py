"""Judges the plans of stacks: every tool's findings, waived where a waiver holds, in one report."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from policies import own, waivers
from policies.finding import STATUSES, Assessment, Finding, NotAssessed, Policy, Status, Waiver
from policies.graph import Graph, PlanError, parse
from policies.rule import SEVERITIES

WAIVERS = Path(__file__).with_name("waivers.yaml")
LEVELS = ("mandatory", "advisory", "disabled")
Assessor = Callable[[Sequence[Graph]], Assessment]


@dataclass(frozen=True)
class Report:
    """All that is known about some stacks; every rendering shows this and nothing else.

    graphs: by project and stack. findings: worst first, one for each policy, resource and path. waivers: those that
    hold, whether they match here or not. versions: of tools, by name. commit: of the work tree, "" outside one;
    `-dirty` behind it where files differ. made: ISO time, the one field in which two runs differ. errors: sentences;
    with any of them the stacks have not passed.
    """

    graphs: tuple[Graph, ...]
    policies: Mapping[str, Policy]
    findings: tuple[Finding, ...]
    not_assessed: tuple[NotAssessed, ...]
    waivers: tuple[Waiver, ...]
    versions: Mapping[str, str]
    commit: str
    made: str
    errors: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is in the way of a deployment: no error, no blocking finding."""
        return not self.errors and not any(self.blocks(finding) for finding in self.findings)

    def blocks(self, finding: Finding) -> bool:
        """Whether a finding stops a deployment: a mandatory policy is broken, or nobody can say whether it is."""
        return finding.status in waivers.WAIVABLE and self.policies[finding.policy].level == "mandatory"

    def of(self, graph: Graph) -> tuple[Finding, ...]:
        """The findings about one stack."""
        return self._by_stack.get(f"{graph.project}/{graph.stack}", ())

    @cached_property
    def _by_stack(self) -> Mapping[str, tuple[Finding, ...]]:
        found: dict[str, list[Finding]] = {}
        for row in self.findings:
            found.setdefault(category(row.urn), []).append(row)
        return {name: tuple(rows) for name, rows in found.items()}


def category(urn: str) -> str:
    """PROJECT/STACK of a URN: what tells the stacks of a report apart."""
    parts = urn.removeprefix("urn:pulumi:").split("::")
    return f"{parts[1]}/{parts[0]}" if len(parts) > 1 else urn


def counts(findings: Iterable[Finding]) -> dict[Status, int]:
    """How many findings there are of each status."""
    found = Counter(finding.status for finding in findings)
    return {status: found[status] for status in STATUSES}


def elsewhere(module: str) -> Assessor:
    """The assessor of a module, imported when it is asked: another environment, or one that may be missing."""

    def assess(graphs: Sequence[Graph]) -> Assessment:
        found: Assessment = importlib.import_module(module).assess(graphs)
        return found

    return assess


def halved(assess: Assessor) -> Assessor:
    """The assessor asked twice at once, each time about half of the stacks: for one that judges each by itself.

    It pays where the assessor works in a process of its own, and there are processors for two.
    """

    def assess_halves(graphs: Sequence[Graph]) -> Assessment:
        halves: tuple[list[Graph], list[Graph]] = ([], [])
        for graph in sorted(graphs, key=lambda graph: len(graph.resources), reverse=True):
            min(halves, key=lambda half: sum(len(each.resources) for each in half)).append(graph)
        if not halves[1] or (os.cpu_count() or 1) < 2:
            return assess(graphs)
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(assess, halves)
        return Assessment(
            tuple({policy.id: policy for policy in (*first.policies, *second.policies)}.values()),
            first.findings + second.findings,
            first.not_assessed + second.not_assessed,
            {**first.versions, **second.versions},
        )

    return assess_halves


ASSESSORS: Mapping[str, Assessor] = {
    own.TOOL: own.assess,
    "iam": elsewhere("policies.iam"),
    "checkov": halved(elsewhere("policies.checkov")),
}


def check(
    documents: Mapping[str, Any],
    waivers_file: Path,
    today: date,
    assessors: Mapping[str, Assessor] = ASSESSORS,
    *,
    complete: bool = False,
) -> Report:
    """Judges plan documents (or lists of them) by the names of their files. Raises PlanError for what does not parse.

    complete: they are all the stacks there are, so that a waiver of any other stack is an error.
    """
    graphs = _graphs(documents)
    held, errors = waivers.judge(waivers.read(waivers_file), today)
    with ThreadPoolExecutor(len(assessors) or 1) as pool:  # one of them waits for processes of its own
        parts = list(pool.map(lambda tool: _assessed(tool, assessors[tool], graphs), assessors))
    assessment, failures = _together(parts)
    policies = {policy.id: policy for policy in assessment.policies}
    judged = [row for row in assessment.findings if policies[row.policy].level != "disabled"]
    findings, unmatched = waivers.apply(held, _merged(judged), {graph.stack for graph in graphs}, complete=complete)
    return Report(
        graphs,
        policies,
        tuple(sorted(findings, key=lambda finding: _order(finding, policies))),
        tuple(sorted(set(assessment.not_assessed), key=lambda row: (row.tool, row.stack, row.type, row.urn, row.path))),
        held,
        dict(sorted(assessment.versions.items())),
        commit(),
        datetime.now(UTC).isoformat(timespec="seconds"),
        (*errors, *unmatched, *failures),
    )


def _graphs(documents: Mapping[str, Any]) -> tuple[Graph, ...]:
    graphs: dict[tuple[str, str], tuple[str, Graph]] = {}
    for where, document in documents.items():
        plans = document if isinstance(document, list) else [document]
        if not plans:
            raise PlanError(f"{where} holds no plan: make one with `python -m localcloud plan -s STACK --json`.")
        for plan in plans:
            graph = parse(plan, where)
            key = (graph.project, graph.stack)
            if key in graphs:
                raise PlanError(f"{where} and {graphs[key][0]} both hold the stack {graph.project}/{graph.stack}.")
            graphs[key] = (where, graph)
    if not graphs:
        raise PlanError("There is no plan to judge: name at least one.")
    return tuple(graph for _, (_, graph) in sorted(graphs.items()))


def _assessed(tool: str, assess: Assessor, graphs: Sequence[Graph]) -> Assessment | str:
    try:
        found = assess(graphs)
    except Exception as error:  # noqa: BLE001 - whatever keeps a tool from its work is told, and fails the run
        reason = " ".join(str(error).split()) or "it gave no reason"
        kind = "" if type(error).__module__.startswith("policies.") else f"{type(error).__name__}: "
        return f"{tool} assessed nothing: {kind}{own.shortened(reason)}".rstrip(".") + "."
    if not found.policies:
        return f"{tool} assessed nothing: it has no policy."
    unknown = {row.policy for row in found.findings} - {policy.id for policy in found.policies}
    return f"{tool} assessed nothing: it does not describe its policy {min(unknown)}." if unknown else found


def _together(parts: Iterable[Assessment | str]) -> tuple[Assessment, tuple[str, ...]]:
    found = [part for part in parts if isinstance(part, Assessment)]
    ids = Counter(policy.id for part in found for policy in part.policies)
    if twice := [policy for policy, count in ids.items() if count > 1]:
        raise ValueError(f"Two policies are called {twice[0]}.")
    return (
        Assessment(
            tuple(sorted((row for part in found for row in part.policies), key=lambda policy: policy.id)),
            tuple(row for part in found for row in part.findings),
            tuple(row for part in found for row in part.not_assessed),
            {name: version for part in found for name, version in part.versions.items()},
        ),
        tuple(part for part in parts if isinstance(part, str)),
    )


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each fingerprint: of several the worst status, and all that is said with it."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.fingerprint, []).append(finding)
    merged = []
    for rows in groups.values():
        worst = min(rows, key=lambda row: STATUSES.index(row.status))
        said = dict.fromkeys(row.message for row in rows if row.status == worst.status and row.message)
        merged.append(replace(worst, message=own.shortened(" ".join(said))) if len(rows) > 1 else worst)
    return merged


def _order(finding: Finding, policies: Mapping[str, Policy]) -> tuple[Any, ...]:
    policy = policies[finding.policy]
    return (
        STATUSES.index(finding.status),
        LEVELS.index(policy.level),
        SEVERITIES.index(policy.severity),
        policy.id,
        finding.file,
        finding.line,
        finding.stack,
        finding.urn,
        finding.path,
    )


def commit() -> str:
    """The commit of the working directory's git work tree, `-dirty` behind it where files differ; "" outside one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude", "*"],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip() if described.returncode == 0 else ""
