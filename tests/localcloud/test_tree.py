"""The tree that grows in a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import threading
from pathlib import Path

import pytest
from rich.console import Console

from localcloud import __main__ as cli
from localcloud.events import Event
from localcloud.state import Resource
from localcloud.tree import Tree
from tests.localcloud.clouds import World

PROGRAM = """
part = pulumi.ComponentResource("test:index:Part", "part")
for number in range(3):
    Thing(f"thing-{number}", value="one", opts=Options(parent=part))
print("the program says this")
"""


def urn(name: str) -> str:
    return f"urn:pulumi:dev::demo::test:index:Thing::{name}"


def event(kind: str, step: str, name: str, parent: str = "", *, message: str = "", seconds: float = 0.0) -> Event:
    type_ = "test:index:Thing"
    row = Resource(urn(name), type_, custom=True, parent=urn(parent) if parent else "")
    return Event(kind, step, row.urn, type_, after=row, seconds=seconds, message=message)


def drawn(part: object, width: int = 80) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(part)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def stays(tree: Tree, width: int = 80, *, diff: bool = False) -> list[str]:
    return [line for part in tree.whole(diff=diff) for line in drawn(part, width)]


def test_a_resource_stands_below_its_parent_with_what_happened_and_how_long_it_took() -> None:
    tree = Tree(dry_run=False)
    tree.note(event("noted", "create", "part"))
    tree.note(event("start", "create", "a", "part"))
    tree.note(event("done", "create", "a", "part", seconds=1.25))
    tree.note(event("done", "update", "b", "part", seconds=0.5))
    first, second, third = stays(tree)
    assert first.strip() == "test:index:Thing part"
    assert re.fullmatch(r"├─ \+ test:index:Thing a +created +1\.2 s", second)
    assert re.fullmatch(r"└─ ~ test:index:Thing b +updated +0\.5 s", third)


def test_what_stays_the_same_is_counted_and_takes_no_line() -> None:
    tree = Tree(dry_run=True)
    tree.note(event("done", "same", "a"))
    tree.note(event("done", "create", "b"))
    assert len(stays(tree)) == 1
    assert "1 to create, 1 unchanged" in drawn(tree.picture(10))[-1]


def test_a_failure_and_what_a_refresh_found_stay_on_the_screen() -> None:
    tree = Tree(dry_run=False)
    tree.note(event("gone", "read", "a"))
    tree.note(event("failed", "delete", "b", message="no", seconds=2))
    lines = "\n".join(stays(tree))
    assert "had gone" in lines
    assert re.search(r"! test:index:Thing b +failed to delete +2\.0 s\n +no", lines)


@pytest.mark.parametrize("height", [2, 5, 12])
def test_the_tree_never_outgrows_the_screen_and_shows_what_is_under_way_first(height: int) -> None:
    tree = Tree(dry_run=False)
    tree.note(event("noted", "create", "part"))
    for number in range(40):
        tree.note(event("done", "create", f"done-{number}", "part"))
    tree.note(event("start", "create", "busy", "part"))
    lines = drawn(tree.picture(height))
    assert len(lines) <= height
    assert ("busy" in "\n".join(lines)) == (height > 2)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    tree = Tree(dry_run=False)
    tree.note(event("start", "create", "z" * 200))
    assert all(len(line) <= width for line in drawn(tree.picture(5), width))
    tree.note(event("done", "create", "z" * 200))
    assert "".join(stays(tree, width)).count("z") == 200


def test_a_name_cannot_command_the_terminal() -> None:
    tree = Tree(dry_run=False)
    tree.note(event("failed", "create", "\x1b[2J\x9b", message="\x1b[2J"))
    assert not re.search(r"[\x1b\x9b]", "\n".join(stays(tree)))


def test_a_state_whose_parents_go_in_a_circle_is_drawn_all_the_same() -> None:
    tree = Tree(dry_run=False)
    tree.note(event("done", "create", "a", "b"))
    tree.note(event("done", "create", "b", "a"))
    stays(tree)
    tree.picture(5)


def test_diff_stands_below_its_resource_as_the_cli_shows_it() -> None:
    tree = Tree(dry_run=True)
    old, new = (Resource(urn("a"), "test:index:Thing", custom=True, id="i-1", inputs={"size": n}) for n in (1, 2))
    tree.note(Event("done", "update", old.urn, old.type, ("size",), before=old, after=new))
    assert [line.strip() for line in stays(tree, 120, diff=True)[1:]] == [
        "[id=i-1]",
        f"[urn={old.urn}]",
        "~ size: 1 => 2",
    ]


@pytest.mark.parametrize("words", [("preview",), ("up", "--diff")])
def test_a_terminal_gets_the_tree_and_whatever_else_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    world = World(tmp_path)
    world.program(PROGRAM)
    monkeypatch.setattr(cli, "providers", world.factories)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    command, *options = words
    reader, writer = pty.openpty()
    heard: list[bytes] = []

    def listen() -> None:
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while piece := os.read(reader, 65536):
                heard.append(piece)

    listener = threading.Thread(target=listen)
    listener.start()
    with os.fdopen(writer, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        assert cli.main([command, "-C", str(tmp_path), "-s", "dev", *options]) == 0
    listener.join(10)
    os.close(reader)
    said = b"".join(heard).decode(errors="replace")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
    assert re.search(
        r"[├└]─ \+ test:index:Thing thing-2 +" + ("to create" if command == "preview" else "created"), text
    )
    assert "the program says this" in text
    assert "3 to create" in text or "3 created" in text


def test_without_a_terminal_there_is_a_line_for_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.program(PROGRAM)
    monkeypatch.setattr(cli, "providers", world.factories)
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    cli.main(["preview", "-C", str(tmp_path), "-s", "dev"])
    assert "+ create  test:index:Thing thing-1\n" in said.getvalue()
    assert "\x1b" not in said.getvalue()
    assert "├" not in said.getvalue()
