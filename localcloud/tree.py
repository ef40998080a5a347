"""The resources of a run as a tree that grows while it runs, for terminals: what each is at, and how long it took."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from localcloud.difference import differences, printable, properties
from localcloud.display import DOING, SIGNS, TENSES, short
from localcloud.events import Event

STYLES = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red", "read": "cyan"}
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
RATE = 8  # pictures a second
STACK = "pulumi:pulumi:Stack"


@dataclass
class Node:
    """One resource: where it hangs, the step it takes, and how that went (waiting, running, done, failed)."""

    urn: str
    type: str
    name: str
    parent: str
    step: str = ""
    state: str = "waiting"
    begun: float = 0.0
    seconds: float = 0.0
    event: Event | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def telling(self) -> bool:
        """Whether it is worth a line when all is over: it changed, failed, or was found changed or gone."""
        return self.state == "failed" or bool(self.notes) or (self.state == "done" and self.step in TENSES)


class Tree:
    """What the events of a run tell, as a tree. `note` may be called from any thread."""

    def __init__(self, *, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.nodes: dict[str, Node] = {}
        self.begun = time.monotonic()
        self._lock = threading.Lock()

    def note(self, event: Event) -> None:
        """Takes up one event."""
        row = event.after or event.before
        with self._lock:
            node = self.nodes.get(event.urn)
            if node is None:
                node = Node(event.urn, event.type, event.name, row.parent if row else "")
                self.nodes[event.urn] = node
            if event.kind in ("gone", "drift"):
                node.notes.append("had gone" if event.kind == "gone" else f"had drifted {_named(event.changed)}")
                return
            if event.kind == "adopt":
                node.notes.append("an earlier run had begun it")
                return
            node.step, node.event = event.step, event
            if event.kind == "start":
                node.state, node.begun = "running", time.monotonic()
            elif event.kind == "noted":
                node.state = "noted"
            else:
                node.state, node.seconds = event.kind, event.seconds

    def picture(self, room: int) -> Table:
        """The tree as it stands, in at most `room` lines: what is under way first, then what changed last."""
        with self._lock:
            nodes = dict(self.nodes)
        active = [node.urn for node in nodes.values() if node.state in ("running", "failed")]
        done = [node.urn for node in reversed(nodes.values()) if node.telling and node.state == "done"]
        room = max(room - 1, 1)
        chosen: dict[str, Node] = {}
        for urn in (*active, *done):
            line = {one.urn: one for one in _line_of(urn, nodes)}
            if len(chosen | line) <= room:
                chosen |= line
        table = _grid()
        for guide, _, node in _walk({urn: nodes[urn] for urn in nodes if urn in chosen}):
            self._row(table, guide, node)
        table.add_row(self._footer(nodes), "", Text(f"{time.monotonic() - self.begun:.1f} s"))
        return table

    def whole(self, *, diff: bool = False) -> Iterator[Table | Text]:
        """What is to stay on the screen: everything that changed, failed or was found changed, under its parents."""
        kept = {node.urn for urn, found in self.nodes.items() if found.telling for node in _line_of(urn, self.nodes)}
        table = _grid(cut=False)
        for guide, below, node in _walk({urn: node for urn, node in self.nodes.items() if urn in kept}):
            self._row(table, guide, node)
            if lines := list(_beneath(node, below, diff=diff)):
                yield table
                yield from lines
                table = _grid(cut=False)
        if table.row_count:
            yield table

    def _row(self, table: Table, guide: str, node: Node) -> None:
        style = STYLES.get(node.step, "") if node.state != "noted" else ""
        if node.state == "failed":
            style = "bold red"
        sign = (
            "!" if node.state == "failed" else SIGNS.get(node.step, " ") if node.state in ("running", "done") else " "
        )
        left = Text(guide, style="dim")
        left.append(f"{sign} ", style=style)
        left.append(f"{short(printable(node.type))} ", style="dim" if node.state == "noted" else "")
        left.append(printable(node.name), style=f"bold {style}".strip() if node.state != "noted" else "")
        if node.event is not None and node.event.changed and node.state != "noted":
            left.append(f"  {_named(node.event.changed)}", style="dim")
        status = Text(self._status(node), style=style)
        table.add_row(left, status, Text(self._took(node), style="dim"))

    def _status(self, node: Node) -> str:
        frame = FRAMES[int(time.monotonic() * RATE) % len(FRAMES)]
        text = ""
        if node.state == "running":
            text = f"{frame} {DOING.get(node.step, node.step)}"
        elif node.state == "failed":
            text = f"failed to {node.step}"
        elif node.state == "done" and node.step in TENSES:
            kept = node.event is not None and node.event.message
            text = printable(node.event.message) if kept and node.event else TENSES[node.step][0 if self.dry_run else 1]
        return "; ".join([*([text] if text else []), *map(printable, node.notes)])

    def _took(self, node: Node) -> str:
        if node.state == "running":
            return f"{time.monotonic() - node.begun:.1f} s"
        return f"{node.seconds:.1f} s" if node.seconds and node.state in ("done", "failed") else ""

    def _footer(self, nodes: dict[str, Node]) -> Text:
        counts = Counter(node.step for node in nodes.values() if node.state == "done")
        running = sum(node.state == "running" for node in nodes.values())
        words = [f"{counts[step]} {tense[0 if self.dry_run else 1]}" for step, tense in TENSES.items() if counts[step]]
        words += [f"{counts['same']} unchanged"] if counts["same"] else []
        words += [f"{running} under way"] if running else []
        return Text("  " + (", ".join(words) or "reading the program"), style="dim")


class LiveTree:
    """Draws a tree on standard error while a run lasts, and leaves what is worth keeping. Use as a context."""

    def __init__(self, *, dry_run: bool, diff: bool = False, console: Console | None = None) -> None:
        self.tree = Tree(dry_run=dry_run)
        self.console = console or Console(stderr=True, highlight=False)
        self._diff = diff
        self._live = Live(
            get_renderable=lambda: self.tree.picture(self.console.size[1] - 1),
            console=self.console,
            refresh_per_second=RATE,
            transient=True,
        )

    def __enter__(self) -> Tree:
        self._live.__enter__()
        return self.tree

    def __exit__(self, *_exception: object) -> None:
        self._live.__exit__(None, None, None)
        for part in self.tree.whole(diff=self._diff):
            self.console.print(part, soft_wrap=isinstance(part, Text))


def _beneath(node: Node, below: str, *, diff: bool) -> Iterator[Text]:
    """What stands under a resource's own line: why it failed, and what it changes."""
    event = node.event
    if event is not None and node.state == "failed":
        yield Text(f"{below}    ", style="dim").append(printable(event.message), style="red")
    if event is not None and diff:
        yield from (_coloured(below, line, node.step) for line in difference_of(event))


def difference_of(event: Event) -> Iterator[str]:
    """What a step changes: id and URN as the Pulumi CLI shows them, then the properties."""
    row = event.before or event.after
    if row is None or event.kind not in ("done", "failed") or event.step not in TENSES:
        return
    if row.id:
        yield f"[id={printable(row.id)}]"
    yield f"[urn={printable(event.urn)}]"
    if event.step in ("create", "delete") or event.before is None:
        yield from properties(event.old if event.step == "delete" else event.new)
    else:
        yield from differences(event.old, event.new)


def _coloured(below: str, line: str, step: str) -> Text:
    sign = line.lstrip()[:2]
    styles = {"+ ": STYLES["create"], "- ": STYLES["delete"], "~ ": STYLES["update"]}
    plain = {"create": STYLES["create"], "delete": STYLES["delete"]}.get(step, "dim")
    return Text(f"{below}    ", style="dim").append(line, style=styles.get(sign, plain))


def _grid(*, cut: bool = True) -> Table:
    """Resource, status, seconds. A name that is too long is cut while the tree moves, and whole when it stands."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(overflow="ellipsis" if cut else "fold", no_wrap=cut, ratio=1)
    table.add_column(no_wrap=True, min_width=10, max_width=32, overflow="ellipsis")
    table.add_column(no_wrap=True, min_width=7, justify="right")
    return table


def _named(changed: tuple[str, ...]) -> str:
    return f"[{', '.join(map(printable, changed))}]" if changed else ""


def _line_of(urn: str, nodes: dict[str, Node]) -> Iterator[Node]:
    """The node and those above it. Bounded: a state that was written by hand may hold a circle."""
    seen: set[str] = set()
    while urn in nodes and urn not in seen:
        seen.add(urn)
        yield nodes[urn]
        urn = nodes[urn].parent


def _walk(nodes: dict[str, Node]) -> Iterator[tuple[str, str, Node]]:
    """The nodes, each below its parent, with the guides to draw before it and before what stands below it."""
    children: dict[str, list[Node]] = {}
    for node in nodes.values():
        children.setdefault(node.parent if node.parent in nodes and node.parent != node.urn else "", []).append(node)
    stack = [(node, "", "") for node in reversed(children.get("", []))]
    while stack:
        node, guide, below = stack.pop()
        yield guide, below, node
        inside = children.get(node.urn, [])
        for place, child in enumerate(reversed(inside)):
            last = place == 0
            stack.append((child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))
