"""The report for a person at a terminal: worst first, a policy at a time, with its mend; then a line a stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from policies.check import Report, counts
from policies.finding import Finding, NotAssessed, Policy
from policies.waivers import WAIVABLE

PLACES = 6  # of a policy that are shown; results.json has them all
ADVICE = 25  # advisory policies that are shown; blocking ones are all shown
TYPES = 4  # of what a tool did not assess
STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def show(report: Report, console: Console) -> None:
    """Prints the report, as wide as the console is."""
    findings = [row for row in report.findings if row.status in WAIVABLE]
    if findings:
        console.print(_findings(report, findings))
    waived = [row for row in report.findings if row.status == "waived"]
    if waived:
        console.print(_waived(waived))
    console.print(_summary(report))
    for line in _unassessed(report.not_assessed):
        console.print(_text(line, "dim"))
    for error in report.errors:
        console.print(_text(f"error: {error}", "bold red"))
    console.print(_text(verdict(report), "bold green" if report.passed else "bold red"))


def verdict(report: Report) -> str:
    """One sentence: whether the stacks may be deployed, and if not, what is in the way."""
    blocking = sum(report.blocks(finding) for finding in report.findings)
    reasons = [_many(len(report.errors), "error", "errors")] if report.errors else []
    reasons += [_many(blocking, "finding", "findings") + " of mandatory policies"] if blocking else []
    number = _many(len(report.graphs), "stack", "stacks")
    if reasons:
        return f"Not passed: {' and '.join(reasons)} in {number}."
    waived = counts(report.findings)["waived"]
    told = f"; {_many(waived, 'finding is', 'findings are')} waived" if waived else ""
    return f"No mandatory policy is broken in {number}{told}."


def _findings(report: Report, findings: Sequence[Finding]) -> Table:
    table = Table(show_lines=True, expand=True, title="Findings, worst first", title_justify="left")
    table.add_column("Severity", no_wrap=True)
    table.add_column("Policy", no_wrap=True, max_width=26)
    table.add_column("What, where, and the mend", ratio=1, overflow="fold")
    advice = 0
    for (status, name), rows in groupby(findings, lambda row: (row.status, row.policy)):
        policy = report.policies[name]
        advice += policy.level != "mandatory"
        if advice > ADVICE and policy.level != "mandatory":
            continue
        label = _text(policy.severity, STYLES[policy.severity])
        label.append_text(_text(f"\n{policy.level}", "bold" if policy.level == "mandatory" else "dim"))
        label.append_text(_text("\nundetermined" if status == "undetermined" else "", "magenta"))
        table.add_row(label, _text(policy.id), _story(policy, list(rows)))
    if advice > ADVICE:
        table.caption = f"and {advice - ADVICE} more advisory policies: results.json has them all"
    return table


def _story(policy: Policy, rows: Sequence[Finding]) -> Text:
    text = _text(policy.title, "bold")
    places: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        places.setdefault(_place(row), []).append(row.stack)
    for (where, name, message), named in list(places.items())[:PLACES]:
        stacks = ", ".join(dict.fromkeys(named))
        text.append_text(_text(f"\n{where}", "underline"))
        text.append_text(_text(f" {name} ({stacks}): {message}"))
    if len(places) > PLACES:
        text.append_text(_text(f"\nand {len(places) - PLACES} more places", "dim"))
    text.append_text(_text(f"\nMend: {policy.mend}" if policy.mend else "", "green"))
    return text


def _place(finding: Finding) -> tuple[str, str, str]:
    where = f"{finding.file}:{finding.line}" if finding.file else finding.type
    return where, finding.name, finding.message


def _waived(findings: Sequence[Finding]) -> Table:
    table = Table(show_lines=True, expand=True, title="Waived, not passed", title_justify="left")
    table.add_column("Policy", no_wrap=True, max_width=26)
    table.add_column("Resource, reason, and on whose word", ratio=1, overflow="fold")
    for row in dict.fromkeys((row.policy, row.urn, row.waiver) for row in findings):
        policy, urn, waiver = row
        if waiver:
            word = f"{waiver.owner} answers for it, {waiver.approver} approved it ({waiver.ticket})"
            table.add_row(_text(policy), _text(f"{urn}\n{waiver.reason}\n{word}, until {waiver.expires}"))
    return table


def _summary(report: Report) -> Table:
    projects = {graph.project for graph in report.graphs}
    (only,) = projects if len(projects) == 1 else ("",)
    table = Table(title=_text(f"Stacks of {only}" if only else "Stacks"), title_justify="left")
    table.add_column("Stack", overflow="fold")
    for name in ("Resources", "Blocking", "Advice", "Waived", "Passed", "Not\nassessed"):
        table.add_column(name, justify="right", overflow="fold")
    for graph in report.graphs:
        findings = report.of(graph)
        number = counts(findings)
        blocking = sum(report.blocks(row) for row in findings)
        advice = number["fail"] + number["undetermined"] - blocking
        missed = sum(row.urn in graph.by_urn for row in report.not_assessed)
        cells = (len(graph.resources), blocking, advice, number["waived"], number["pass"], missed)
        name = graph.stack if only else f"{graph.project}/{graph.stack}"
        table.add_row(_text(name), *map(str, cells), style="" if blocking else "green")
    return table


def _unassessed(rows: Iterable[NotAssessed]) -> Iterator[str]:
    by_tool: dict[str, Counter[str]] = {}
    for row in rows:
        by_tool.setdefault(row.tool, Counter())[row.type or row.reason] += 1
    for tool, types in sorted(by_tool.items()):
        most = sorted(types.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{name} ({number})" for name, number in most[:TYPES])
        more = f" and {len(most) - TYPES} more types" if len(most) > TYPES else ""
        number = _many(types.total(), "resource or input", "resources or inputs")
        yield f"Not assessed by {tool}: {number}, of {shown}{more}. results.json lists them."


def _text(text: str, style: str = "") -> Text:
    """Text as it is: what a program wrote moves no cursor and has no markup."""
    return Text("".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text), style)


def _many(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
