"""What the page shows, as plain rows: findings grouped for a reader, counts, coverage. No markup here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from policies.check import Report, category
from policies.finding import STATUSES, Finding, Policy, Status, Waiver
from policies.graph import STACK, Graph, Resource
from policies.rule import SEVERITIES, Severity

CLOUDS = {"aws": "aws", "gcp": "gcp", "azure": "azure", "azure-native": "azure", "kubernetes": "kubernetes"}
PROVIDERS = "pulumi:providers:"
WORDS: Mapping[Status, str] = {
    "fail": "failed",
    "undetermined": "undetermined",
    "waived": "waived",
    "pass": "passed",
}


@dataclass(frozen=True)
class Place:
    """One finding of an item: its stack's label, its anchor on the page, the number of its resource."""

    stack: str
    anchor: str
    resource: int


@dataclass(frozen=True)
class Item:
    """The same answer about the same resource, in each stack that has it."""

    status: Status
    name: str
    type: str
    cloud: str
    path: str
    message: str
    source: str
    waiver: Waiver | None
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Card:
    """One policy: what it says that needs a reader (`open`), what passed, and how many findings of each status."""

    policy: Policy
    worst: Status
    counts: Mapping[Status, int]
    open: tuple[Item, ...]
    passed: tuple[Item, ...]


@dataclass(frozen=True)
class Row:
    """The summary of one stack; of all together where `stack` is "". failed: by severity."""

    stack: str
    resources: int
    failed: Mapping[Severity, int]
    counts: Mapping[Status, int]
    not_assessed: int
    tone: str
    verdict: str


@dataclass(frozen=True)
class Coverage:
    """How much of a type each tool looked at: resources with at least one finding of it, of how many there are."""

    type: str
    cloud: str
    resources: int
    by_tool: Mapping[str, int]

    @property
    def judged(self) -> bool:
        """Whether any tool looked at any resource of the type."""
        return any(self.by_tool.values())


@dataclass(frozen=True)
class Gap:
    """What a tool did not look at, for one reason: how many resources, in which stacks, and some of their names."""

    tool: str
    type: str
    path: str
    reason: str
    count: int
    stacks: tuple[str, ...]
    names: tuple[str, ...]


def cloud_of(token: str) -> str:
    """The cloud of a type token, by its package; for a component (`groundwork:aws:Store`) by its module."""
    package, *rest = token.split(":")
    if token.startswith(PROVIDERS):
        package = token.removeprefix(PROVIDERS)
    return CLOUDS.get(package) or CLOUDS.get(rest[0] if rest else "") or "other"


def labels(report: Report) -> dict[str, str]:
    """What to call each stack, by PROJECT/STACK: its own name, or both where two projects have one of that name."""
    names = Counter(graph.stack for graph in report.graphs)
    return {key(graph): graph.stack if names[graph.stack] == 1 else key(graph) for graph in report.graphs}


def key(graph: Graph) -> str:
    """PROJECT/STACK."""
    return f"{graph.project}/{graph.stack}"


def numbers(report: Report) -> dict[str, int]:
    """A number for each resource, by its URN: what findings and the picture find each other by."""
    return {row.urn: number for number, row in enumerate(row for graph in report.graphs for row in graph.resources)}


def anchor(finding: Finding) -> str:
    """The id of a finding on the page; the same in the next report."""
    return f"f-{finding.fingerprint[:20]}"


def cards(report: Report) -> tuple[Card, ...]:
    """The policies that have findings, worst first; the same answer in two stacks is one item."""
    stacks, known = labels(report), numbers(report)
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        found[finding.policy].append(finding)
    made = []
    for policy, rows in found.items():
        items = _items(rows, stacks, known)
        made.append(
            Card(
                report.policies[policy],
                rows[0].status,
                _counted(rows),
                tuple(item for item in items if item.status != "pass"),
                tuple(item for item in items if item.status == "pass"),
            )
        )
    return tuple(made)


def _items(rows: Iterable[Finding], stacks: Mapping[str, str], known: Mapping[str, int]) -> list[Item]:
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for row in rows:
        waiver = row.waiver and (row.waiver.owner, row.waiver.approver, row.waiver.reason, row.waiver.expires)
        same = (row.status, row.type, row.name, row.path, row.message, row.file, row.line, waiver)
        groups.setdefault(same, []).append(row)
    return [
        Item(
            first.status,
            first.name,
            first.type,
            cloud_of(first.type),
            first.path,
            first.message,
            f"{first.file}:{first.line}" if first.file else "",
            first.waiver,
            tuple(Place(_label(row, stacks), anchor(row), known.get(row.urn, -1)) for row in group),
        )
        for group in groups.values()
        for first in group[:1]
    ]


def _label(finding: Finding, stacks: Mapping[str, str]) -> str:
    return stacks.get(category(finding.urn), finding.stack)


def _counted(rows: Iterable[Finding]) -> dict[Status, int]:
    found = Counter(row.status for row in rows)
    return {status: found[status] for status in STATUSES}


def summary(report: Report) -> tuple[Row, ...]:
    """A row for each stack, and one for all of them at the end."""
    stacks = labels(report)
    found: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        found[_label(finding, stacks)].append(finding)
    unread = Counter(stacks.get(category(row.urn), row.stack) for row in report.not_assessed)
    sizes = {stacks[key(graph)]: len(graph.resources) for graph in report.graphs}
    rows = [_row(report, stack, sizes[stack], found[stack], unread[stack]) for stack in sizes]
    return (*rows, _row(report, "", sum(sizes.values()), report.findings, len(report.not_assessed)))


def _row(report: Report, stack: str, resources: int, findings: Sequence[Finding], unread: int) -> Row:
    severities = Counter(report.policies[row.policy].severity for row in findings if row.status == "fail")
    tone, verdict = judged(report, findings)
    failed = {severity: severities[severity] for severity in SEVERITIES}
    return Row(stack, resources, failed, _counted(findings), unread, tone, verdict)


def judged(report: Report, findings: Sequence[Finding]) -> tuple[str, str]:
    """What some findings of a report amount to: a tone (`bad`, `fair`, `good`) and two or three words.

    Good only where something was judged, all of it passed, and the report has no error.
    """
    counts = _counted(findings)
    if report.errors:
        return "bad", "not passed: see the errors"
    if not findings:
        return "bad", "nothing judged"
    if blocking := sum(report.blocks(row) for row in findings):
        return "bad", f"stopped by {blocking}"
    if counts["fail"] or counts["undetermined"]:
        return "fair", "not stopped, with findings"
    if counts["waived"]:
        return "fair", "not stopped, with waivers"
    return "good", "all that was judged passed"


def coverage(report: Report) -> tuple[tuple[str, ...], tuple[Coverage, ...]]:
    """The tools, and for each type of resource how many of it each of them judged."""
    tools = tuple(sorted({policy.tool for policy in report.policies.values()}))
    # A finding's own token may lack the API version that the resource's carries, so the resource's type counts.
    types = {row.urn: row.type for row in _custom(report)}
    totals = Counter(types.values())
    looked = {(report.policies[row.policy].tool, row.urn) for row in report.findings}
    seen = Counter((tool, types[urn]) for tool, urn in looked if urn in types)
    rows = (
        Coverage(token, cloud_of(token), total, {tool: seen[tool, token] for tool in tools})
        for token, total in totals.items()
    )
    return tools, tuple(sorted(rows, key=lambda row: (row.cloud, row.type)))


def reached(report: Report) -> tuple[int, int]:
    """How many resources at least one tool judged, and of how many."""
    urns = {row.urn for row in _custom(report)}
    return len(urns & {row.urn for row in report.findings}), len(urns)


def _custom(report: Report) -> Iterable[Resource]:
    """The resources that a cloud holds: components and stacks are not, though a policy may judge them."""
    return (row for graph in report.graphs for row in graph.resources if row.custom and row.type != STACK)


def gaps(report: Report) -> tuple[Gap, ...]:
    """What tools did not look at, grouped by tool, type, input and reason."""
    stacks = labels(report)
    by_urn: dict[str, Resource] = {row.urn: row for graph in report.graphs for row in graph.resources}
    groups: dict[tuple[str, str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for row in report.not_assessed:
        name = by_urn[row.urn].name if row.urn in by_urn else row.urn.rpartition("::")[2]
        groups[row.tool, row.type, row.path, row.reason].append((stacks.get(category(row.urn), row.stack), name))
    return tuple(
        Gap(*same, len(rows), tuple(dict.fromkeys(s for s, _ in rows)), tuple(dict.fromkeys(n for _, n in rows))[:6])
        for same, rows in sorted(groups.items())
    )


def waivers(report: Report) -> tuple[tuple[Waiver, int, int], ...]:
    """Each waiver, how many days it holds after the day of the report, how many findings it waives; soonest first."""
    used = Counter(row.waiver for row in report.findings if row.waiver)
    today = date.fromisoformat(report.made[:10])
    rows = ((row, (date.fromisoformat(row.expires) - today).days, used[row]) for row in report.waivers)
    return tuple(sorted(rows, key=lambda item: (item[1], item[0].policy, item[0].urn)))
