"""The resource graph of a stack, drawn: as Mermaid, or as one HTML page that needs nothing else.

Resources are grouped by the component that they belong to and coloured by the step that they take. Arrows lead from
what is needed to what needs it; one that a longer way says as well is left out. Providers, which nearly everything
needs, and the stack itself are not drawn.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from localcloud.difference import printable
from localcloud.display import SIGNS, TENSES, short
from localcloud.evaluation import Evaluation
from localcloud.events import Event
from localcloud.monitor import STACK_TYPE
from localcloud.providers import PROVIDER_PREFIX
from localcloud.state import Snapshot

PAGE = Path(__file__).with_suffix(".html")
STEPS = ("same", *TENSES, "read", "pending")
COLOURS = {  # of a step, legible on white: fill, border
    "same": ("#eef0f2", "#66707a"),
    "create": ("#dff5e3", "#1a7f37"),
    "update": ("#fff3cd", "#946200"),
    "replace": ("#f3e3fb", "#8431a8"),
    "delete": ("#fde2e1", "#c1272d"),
    "read": ("#ddf1f8", "#0b6f8c"),
    "pending": ("#ffe6d5", "#b34700"),
}


@dataclass(frozen=True)
class Node:
    """One resource. step: one of STEPS. needs: URNs. source: `file:line` of the program, or empty."""

    urn: str
    type: str
    parent: str
    step: str
    custom: bool = True
    needs: tuple[str, ...] = ()
    source: str = ""
    changed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the URN."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def label(self) -> str:
        """Type as the CLI shows it."""
        return printable(short(self.type))


def of_state(snapshot: Snapshot) -> list[Node]:
    """What a state holds. `delete`: an old copy that still has to go; `pending`: an operation that was cut off."""
    pending = {operation.resource.urn for operation in snapshot.operations}
    rows = [*snapshot.resources, *(operation.resource for operation in snapshot.operations)]
    nodes: dict[str, Node] = {}
    for row in rows:
        step = "delete" if row.delete else "pending" if row.urn in pending else "same"
        source = row.source_position.removeprefix("project:///").replace("#", ":")
        node = Node(row.urn, row.type, row.parent, step, row.custom, tuple(sorted(row.needs)), source)
        nodes.setdefault(row.urn, node)
    return list(nodes.values())


def of_plan(evaluation: Evaluation) -> list[Node]:
    """What a program declares: all of it to create."""
    root = evaluation.project.root
    nodes = []
    for row in evaluation.resources:
        needs = {*row.dependencies, *(urn for urns in row.property_dependencies.values() for urn in urns)}
        file = Path(row.source_file)
        inside = row.source_file and file.is_relative_to(root)
        source = f"{file.relative_to(root)}:{row.source_line}" if inside else ""
        nodes.append(Node(row.urn, row.type, row.parent, "create", row.custom, tuple(sorted(needs)), source))
    return nodes


def of_preview(events: Iterable[Event]) -> list[Node]:
    """What an update would do to each resource, as a preview told it."""
    nodes: dict[str, Node] = {}
    for event in events:
        row = event.after or event.before
        if row is None or event.kind not in ("done", "noted"):
            continue
        step = event.step if event.step in STEPS else "same"
        source = row.source_position.removeprefix("project:///").replace("#", ":")
        needs = tuple(sorted(row.needs))
        nodes[row.urn] = Node(row.urn, row.type, row.parent, step, row.custom, needs, source, event.changed)
    return list(nodes.values())


def rendered(nodes: list[Node], title: str, what: str, out: Path | None, *, as_json: bool = False) -> str:
    """The graph in the form that the file's name asks for (`.html`; `.md`, Mermaid in Markdown; else Mermaid)."""
    if as_json:
        return json.dumps([asdict(node) for node in nodes], indent=2) + "\n"
    suffix = out.suffix.lower() if out is not None else ""
    if suffix in (".html", ".htm"):
        return page(nodes, title, what)
    if suffix == ".md":
        return f"# {_quoted(printable(title))}\n\n{what}\n\n```mermaid\n{mermaid(nodes)}```\n"
    return mermaid(nodes)


def drawn(nodes: Iterable[Node]) -> dict[str, Node]:
    """The nodes that are drawn, by URN."""
    return {node.urn: node for node in nodes if node.type != STACK_TYPE and not node.type.startswith(PROVIDER_PREFIX)}


def arrows(nodes: Mapping[str, Node]) -> dict[str, set[str]]:
    """URN → the URNs among `nodes` that it needs, but for parents and for what a longer way leads to as well."""
    needs = {urn: {one for one in node.needs if one in nodes and one != node.parent} for urn, node in nodes.items()}
    reached: dict[str, set[str]] = {}
    for urn in _needed_first(needs):
        reached[urn] = needs[urn].union(*(reached.get(one, ()) for one in needs[urn]))
    return {
        urn: {one for one in found if not any(one in reached[other] for other in found if other != one)}
        for urn, found in needs.items()
    }


def _needed_first(needs: Mapping[str, set[str]]) -> list[str]:
    """The URNs, each after what it needs; one of a circle stands where it was met first."""
    done: dict[str, None] = {}
    seen: set[str] = set()
    for urn in needs:
        stack = [(urn, False)]
        while stack:
            one, expanded = stack.pop()
            if expanded:
                done[one] = None
            elif one not in seen:
                seen.add(one)
                stack.append((one, True))
                stack.extend((other, False) for other in sorted(needs[one]) if other not in seen)
    return list(done)


def children(nodes: Mapping[str, Node]) -> dict[str, list[Node]]:
    """Parent's URN → its nodes; "" holds those whose parent is not drawn, or that hang in a circle of parents."""
    found: dict[str, list[Node]] = {"": []}
    for node in nodes.values():
        above, seen = node, {node.urn}
        while above.parent in nodes and above.parent not in seen:
            above = nodes[above.parent]
            seen.add(above.urn)
        inside = node.parent in nodes and above.parent not in seen
        found.setdefault(node.parent if inside else "", []).append(node)
    return found


def mermaid(nodes: Iterable[Node]) -> str:
    """A flowchart for whatever renders Mermaid, as GitHub does in Markdown."""
    by_urn = drawn(nodes)
    below = children(by_urn)
    ids = {urn: f"n{number}" for number, urn in enumerate(by_urn)}

    def rows(parent: str, indent: str) -> Iterator[str]:
        for node in below.get(parent, []):
            text = f"{_quoted(node.label)}<br/>{_quoted(printable(node.name))}"
            if node.urn in below:
                yield f'{indent}subgraph {ids[node.urn]}["{text}"]'
                yield from rows(node.urn, f"{indent}  ")
                yield f"{indent}end"
            else:
                yield f'{indent}{ids[node.urn]}["{SIGNS.get(node.step, "")} {text}"]:::{node.step}'

    lines = ["flowchart LR", *rows("", "  ")]
    for urn, needed in arrows(by_urn).items():
        lines += [f"  {ids[one]} --> {ids[urn]}" for one in sorted(needed, key=lambda one: ids[one])]
    used = {node.step for node in by_urn.values()}
    for step, (fill, border) in COLOURS.items():
        if step in used:
            lines.append(f"  classDef {step} fill:{fill},stroke:{border},color:#1b1f24")
    lines += [f"  class {ids[urn]} {by_urn[urn].step}" for urn in by_urn if urn in below]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text inside of a Mermaid label: its own signs as entities."""
    return "".join(f"#{ord(sign)};" if sign in '"#<>&;`\\[](){}|' else sign for sign in text)


def page(nodes: Iterable[Node], title: str, what: str) -> str:
    """One HTML page that a person can open: groups, colours, a search, and for each resource what it needs and feeds.

    It loads nothing and runs no script but its own. what: a sentence on where the graph comes from.
    """
    by_urn = drawn(nodes)
    below = children(by_urn)
    needed = arrows(by_urn)
    ids = {urn: f"n{number}" for number, urn in enumerate(by_urn)}
    parts = PAGE.read_text(encoding="utf-8").split("<!-- graph -->")
    script = parts[2]
    counts = Counter(node.step for node in by_urn.values() if node.custom)
    legend = "".join(_toggle(step, counts[step]) for step in STEPS if counts[step])
    links = {ids[urn]: sorted(ids[one] for one in found) for urn, found in needed.items() if found}
    return "".join(
        (
            parts[0]
            .replace("{script}", _hash(script))
            .replace("{steps}", _css())
            .replace("{title}", html.escape(title)),
            f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(what)}</p>\n",
            f'<div class="tools"><input id="search" type="search" placeholder="Search name or type"'
            f' aria-label="Search name or type">{legend}</div>\n',
            parts[1],
            "".join(_section(node, below, ids) for node in below[""]),
            "</main>\n",
            f'<script type="application/json" id="links">{json.dumps(links)}</script>\n',
            f"<script>{script}</script>\n</body>\n</html>\n",
        )
    )


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def _css() -> str:
    rules = (f".{step} {{ --fill: {fill}; --edge: {edge}; }}" for step, (fill, edge) in COLOURS.items())
    return "\n".join(rules)


def _toggle(step: str, count: int) -> str:
    word = TENSES.get(step, (step,))[0].removeprefix("to ")
    return f'<label class="toggle {step}"><input type="checkbox" checked value="{step}"> {count} {word}</label>'


def _section(node: Node, below: Mapping[str, list[Node]], ids: Mapping[str, str]) -> str:
    """A component with what is in it, or the card of a resource."""
    name, label, step = html.escape(printable(node.name)), html.escape(node.label), html.escape(node.step)
    facts = {"step": node.step, "source": node.source, "changes": ", ".join(node.changed), "urn": node.urn}
    told = html.escape(json.dumps({key: printable(value) for key, value in facts.items() if value}), quote=True)
    sign = html.escape(SIGNS.get(node.step, "!").strip() or "·")
    card = (
        f'<button id="{ids[node.urn]}" class="card {step}" data-step="{step}" data-facts="{told}">'
        f'<span class="sign" aria-hidden="true">{sign}</span><b>{name}</b><small>{label}</small></button>\n'
    )
    if node.urn not in below:
        return card
    inside = "".join(_section(child, below, ids) for child in below[node.urn])
    head = card if node.custom else f'<h2 id="{ids[node.urn]}">{name} <small>{label}</small></h2>\n'
    return f'<section class="group">{head}<div class="cards">{inside}</div></section>\n'
