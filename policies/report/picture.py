"""The resource graph as a picture: a box for each part of a stack, in it a mark for each resource, lines between parts.

The layout is plain arithmetic over the order of the plan, so that two runs draw the same. A part is the component that
resources belong to, at the first depth at which a cloud has several; where there are too many, those of one type share
a box. So a stack of thousands of resources stays a picture of a few dozen boxes.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from policies.check import Report
from policies.finding import STATUSES
from policies.graph import STACK, Graph, Resource
from policies.report.view import CLOUDS, anchor, cloud_of, key, labels, numbers
from policies.rule import SEVERITIES

Part = tuple[str, str]  # name and type of a component; only one of them for what has none or is collapsed

WIDTH = 560  # of a picture: two stand beside each other on a desk, one on a phone
CELL, PAD, HEAD, GAP = 14, 8, 36, 22  # a mark with its margin; inside a box; its title; between boxes
SEVERAL, MOST_BOXES, MOST_MARKS = 4, 60, 96
LETTER = 6.3  # width of a letter of a title


@dataclass(frozen=True)
class Mark:
    """A resource: where it stands in its box, and its worst finding ("none" where no policy judged it)."""

    resource: int
    x: int
    y: int
    status: str
    severity: str
    title: str
    href: str


@dataclass(frozen=True)
class Box:
    """A part. more: how many resources have no mark of their own; none of them is worse than those that have."""

    number: int
    title: str
    kind: str
    x: int
    y: int
    width: int
    height: int
    status: str
    severity: str
    resources: int
    marks: tuple[Mark, ...]
    more: int


@dataclass(frozen=True)
class Line:
    """One part uses another: their boxes' numbers, and an SVG path."""

    user: int
    used: int
    path: str


@dataclass(frozen=True)
class Picture:
    """One stack on one cloud."""

    stack: str
    cloud: str
    width: int
    height: int
    resources: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Fact:
    """What is to be said of a resource: its number, its worst finding and how bad that is, how many it has."""

    number: int
    rank: tuple[int, int]
    status: str = "none"
    severity: str = ""
    count: int = 0
    href: str = "#findings"


def pictures(report: Report) -> tuple[Picture, ...]:
    """A picture for each stack and cloud that has resources."""
    stacks, facts = labels(report), _facts(report)
    made = []
    for graph in report.graphs:
        clouds = _clouds(graph)
        for cloud in sorted(set(clouds.values()), key=[*dict.fromkeys(CLOUDS.values()), "other"].index):
            rows = [row for row in graph.resources if clouds.get(row.urn) == cloud]
            made.append(_picture(graph, rows, facts, stack=stacks[key(graph)], cloud=cloud))
    return tuple(made)


def _facts(report: Report) -> dict[str, Fact]:
    """The fact of each resource, by its URN."""
    facts = {urn: Fact(number, (len(STATUSES), 0)) for urn, number in numbers(report).items()}
    for row in report.findings:
        if have := facts.get(row.urn):
            severity = report.policies[row.policy].severity
            rank = (STATUSES.index(row.status), SEVERITIES.index(severity))
            href = f"#{anchor(row)}" if row.status != "pass" else "#findings"
            worse = Fact(have.number, rank, row.status, severity, have.count + 1, href)
            facts[row.urn] = worse if rank < have.rank else replace(have, count=have.count + 1)
    return facts


def _clouds(graph: Graph) -> dict[str, str]:
    """The cloud of each resource that gets a mark: components stand as boxes; a cluster's objects stand in its part."""
    clouds = {}
    for row in graph.resources:
        if row.custom and row.type != STACK:
            above = (cloud_of(parent.type) for parent in _above(row, graph))
            own = cloud_of(row.type)
            clouds[row.urn] = (
                own if own not in ("kubernetes", "other") else next((c for c in above if c != "other"), own)
            )
    return clouds


def _above(row: Resource, graph: Graph) -> list[Resource]:
    """The components that a resource belongs to, the innermost first."""
    found: list[Resource] = []
    while (parent := graph.by_urn.get(row.parent)) and parent.type != STACK and len(found) < 50:  # a loop is hostile
        row = parent
        if not row.custom:
            found.append(row)
    return found


def _picture(graph: Graph, rows: Sequence[Resource], facts: Mapping[str, Fact], *, stack: str, cloud: str) -> Picture:
    part_of = _parts(graph, rows)
    parts: dict[Part, list[Resource]] = defaultdict(list)
    for row in rows:
        parts[part_of[row.urn]].append(row)
    uses = Counter(
        (part_of[row.urn], part_of[other])
        for row in rows
        for other in sorted(row.dependencies)
        if other in part_of and part_of[other] != part_of[row.urn]
    )
    layers = _layers(parts, uses, graph)
    sizes = {part: _size(part, rows) for part, rows in parts.items()}
    places, height = _placed(layers, sizes)
    boxes = {
        part: _box(part, parts[part], facts, number=number, place=place, size=sizes[part])
        for number, (part, place) in enumerate(places.items())
    }
    lines = tuple(
        Line(boxes[user].number, boxes[used].number, _curve(boxes[user], boxes[used])) for user, used in sorted(uses)
    )
    return Picture(stack, cloud, WIDTH, height, len(rows), tuple(boxes.values()), lines)


def _parts(graph: Graph, rows: Sequence[Resource]) -> dict[str, Part]:
    """The part of each resource, as (name, type): by its component, or where it has none by its type's module."""
    chains = {row.urn: _above(row, graph)[::-1] for row in rows}
    deepest = max((len(chain) for chain in chains.values()), default=0)

    def at(depth: int) -> Callable[[Resource], Part]:
        def part(row: Resource) -> Part:
            chain = chains[row.urn][:depth]
            return (chain[-1].name, chain[-1].type) if chain else (row.type.rpartition(":")[0].partition("/")[0], "")

        return part

    def by_type(row: Resource) -> Part:
        chain = chains[row.urn]
        return ("", chain[-1].type) if chain else at(0)(row)

    def one(row: Resource) -> Part:
        return (row.type.partition(":")[0], "")

    depths = [at(depth) for depth in range(1, deepest + 1)] or [at(0)]
    several = (part for part in depths if len(set(map(part, rows))) >= SEVERAL)
    for part in (next(several, depths[-1]), by_type, one):
        found = {row.urn: part(row) for row in rows}
        if len(set(found.values())) <= MOST_BOXES:
            break
    return found


def _layers(
    parts: Mapping[Part, Sequence[Resource]],
    uses: Iterable[tuple[Part, Part]],
    graph: Graph,
) -> list[list[Part]]:
    """The parts in rows, each below what it uses. Where two use each other, the one that begins later is below."""
    place = {row.urn: number for number, row in enumerate(graph.resources)}
    begin = {part: sum(place[row.urn] for row in rows) / len(rows) for part, rows in parts.items()}
    order = sorted(parts, key=lambda part: (begin[part], part))
    rank = {part: number for number, part in enumerate(order)}
    needs: dict[Part, list[Part]] = defaultdict(list)
    for user, used in uses:
        if rank[used] < rank[user]:
            needs[user].append(used)
    depth: dict[Part, int] = {}
    for part in order:
        depth[part] = max((depth[used] + 1 for used in needs[part]), default=0)
    layers: list[list[Part]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for part in order:
        layers[depth[part]].append(part)
    return layers


def _size(part: Part, rows: Sequence[Resource]) -> tuple[int, int, int]:
    """Width and height of a box, and how many marks stand beside each other in it."""
    marks = min(len(rows), MOST_MARKS)
    title = max(len(_short(part[0] or part[1])), len(_kind(part)) + 5)
    columns = min(max(math.ceil(math.sqrt(marks * 2.5)), math.ceil(title * LETTER / CELL)), (WIDTH - 4 * PAD) // CELL)
    lines = math.ceil(marks / columns) + (len(rows) > marks)
    return columns * CELL + 2 * PAD, HEAD + lines * CELL + PAD, columns


def _placed(
    layers: Sequence[Sequence[Part]], sizes: Mapping[Part, tuple[int, int, int]]
) -> tuple[dict[Part, tuple[int, int]], int]:
    """Where each box stands, row under row, each row in the middle; and how high all of it is."""
    places: dict[Part, tuple[int, int]] = {}
    top = PAD
    for layer in layers:
        rows: list[list[Part]] = [[]]
        used = 0
        for part in layer:
            width = sizes[part][0]
            if rows[-1] and used + GAP // 2 + width > WIDTH - 2 * PAD:
                rows.append([])
                used = 0
            used += width + (GAP // 2 if rows[-1] else 0)
            rows[-1].append(part)
        for row in rows:
            total = sum(sizes[part][0] for part in row)
            space = GAP // 2
            left = (WIDTH - total - space * (len(row) - 1)) // 2
            for part in row:
                places[part] = (left, top)
                left += sizes[part][0] + space
            top += max(sizes[part][1] for part in row) + (GAP // 2 if row is not rows[-1] else GAP)
    return places, top - GAP + PAD


def _box(
    part: Part,
    rows: Sequence[Resource],
    facts: Mapping[str, Fact],
    *,
    number: int,
    place: tuple[int, int],
    size: tuple[int, int, int],
) -> Box:
    width, height, columns = size
    order = sorted(rows, key=lambda row: (facts[row.urn].rank, row.type, row.name, row.urn))
    marks = tuple(
        _mark(row, facts[row.urn], index % columns * CELL, index // columns * CELL)
        for index, row in enumerate(order[:MOST_MARKS])
    )
    worst = facts[order[0].urn]
    return Box(
        number,
        _short(part[0] or _kind(part)),
        _kind(part) if part[0] else "all of this type",
        *place,
        width,
        height,
        worst.status,
        worst.severity,
        len(rows),
        marks,
        len(rows) - len(marks),
    )


def _mark(row: Resource, fact: Fact, x: int, y: int) -> Mark:
    says = f"{fact.severity} {fact.status}, the worst of {fact.count}"
    if fact.status in ("none", "pass"):
        says = f"passed {fact.count}" if fact.count else "no policy judged it"
    title = f"{row.name} ({row.type}): {says}"
    return Mark(fact.number, x + PAD + CELL // 2, y + HEAD + CELL // 2, fact.status, fact.severity, title, fact.href)


def _kind(part: Part) -> str:
    return _short(part[1].rpartition(":")[2])


def _short(text: str, most: int = 26) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _curve(user: Box, used: Box) -> str:
    """From the top of the user to the bottom of what it uses; where it does not stand below, from side to side."""
    if user.y > used.y + used.height:
        ax, ay = user.x + user.width // 2, user.y
        bx, by = used.x + used.width // 2, used.y + used.height
        middle = (ay + by) // 2
        return f"M{ax} {ay}C{ax} {middle} {bx} {middle} {bx} {by}"
    left, right = sorted((user, used), key=lambda box: (box.x, box.y))
    ax, ay = left.x + left.width, left.y + left.height // 2
    bx, by = right.x, right.y + right.height // 2
    middle = (ay + by) // 2 + (14 if ay == by else 0)
    return f"M{ax} {ay}C{ax + 12} {middle} {bx - 12} {middle} {bx} {by}"
