"""The resource graph, drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from localcloud import __main__ as cli
from localcloud.graph import COLOURS, STEPS, Node, arrows, children, drawn, mermaid, of_state, page
from localcloud.state import Operation, Resource, Snapshot
from tests.localcloud.clouds import World

PROGRAM = """
part = pulumi.ComponentResource("test:index:Part", "part")
a = Thing("a", value="1", opts=Options(parent=part))
b = Thing("b", value=a.arn, opts=Options(parent=part))
c = Thing("c", value=b.arn, opts=Options(depends_on=[a]))
"""


def node(name: str, *needs: str, parent: str = "", step: str = "same", type_: str = "test:index:Thing") -> Node:
    return Node(f"urn::{name}", type_, parent and f"urn::{parent}", step, needs=tuple(f"urn::{one}" for one in needs))


def test_an_arrow_that_a_longer_way_says_as_well_is_left_out() -> None:
    nodes = drawn([node("a"), node("b", "a"), node("c", "a", "b")])
    assert arrows(nodes) == {"urn::a": set(), "urn::b": {"urn::a"}, "urn::c": {"urn::b"}}


def test_the_stack_and_providers_are_not_drawn() -> None:
    rows = [node("s", type_="pulumi:pulumi:Stack"), node("p", type_="pulumi:providers:aws"), node("a", "p", parent="s")]
    assert list(drawn(rows)) == ["urn::a"]
    assert [row.urn for row in children(drawn(rows))[""]] == ["urn::a"]


def test_a_component_is_a_group_with_what_is_in_it_in_the_colour_of_its_step() -> None:
    text = mermaid([node("part"), node("a", parent="part", step="create"), node("b", "a", step="delete")])
    assert text.splitlines() == [
        "flowchart LR",
        '  subgraph n0["test:index:Thing<br/>part"]',
        '    n1["+ test:index:Thing<br/>a"]:::create',
        "  end",
        '  n2["- test:index:Thing<br/>b"]:::delete',
        "  n1 --> n2",
        *(
            f"  classDef {step} fill:{COLOURS[step][0]},stroke:{COLOURS[step][1]},color:#1b1f24"
            for step in ("same", "create", "delete")
        ),
        "  class n0 same",
    ]


def test_each_step_has_a_colour() -> None:
    assert set(COLOURS) == set(STEPS)


def test_every_node_is_drawn_once_even_where_parents_or_needs_go_in_a_circle() -> None:
    nodes = [node("a", "b", parent="b"), node("b", "a", parent="a"), node("c", "c", parent="c"), node("d", parent="a")]
    for text in (mermaid(nodes), page(nodes, "t", "w")):
        assert len(set(re.findall(r'(?:id="|subgraph |^ +)(n\d+)\b', text, re.M))) == 4
    assert sorted(row.urn for rows in children(drawn(nodes)).values() for row in rows) == sorted(drawn(nodes))


@pytest.mark.parametrize(
    "name", ['"]:::x\n  evil --> n0', "</script><script>alert(1)</script>", "<img src=x onerror=y>", "`#;"]
)
def test_a_name_says_nothing_to_mermaid_or_to_a_browser(name: str) -> None:
    nodes = [node("part"), node(name, parent="part"), node("b", name)]
    assert len(mermaid(nodes).splitlines()) == len(
        mermaid([node("part"), node("a", parent="part"), node("b", "a")]).splitlines()
    )
    label = next(line for line in mermaid(nodes).splitlines() if line.lstrip().startswith("n1["))
    assert re.fullmatch(r' +n1\["[^"\[\]<>]*<br/>[^"\[\]<>]*"\]:::same', label)
    text = page(nodes, name, name)
    assert text.count("<script") == 2
    assert "<img" not in text


def test_the_page_loads_nothing_and_allows_its_own_script_alone() -> None:
    text = page([node("a")], "t", "w")
    assert re.search(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-[^']+'\"", text)
    assert not re.search(r"""(?:src|href)=|@import|url\(""", text.replace("http://www.w3.org/2000/svg", ""))


def test_a_state_tells_what_was_cut_off_and_what_still_has_to_go() -> None:
    urn = "urn:pulumi:dev::demo::test:index:Thing::"
    a, b, old = (
        Resource(urn + name, "test:index:Thing", custom=True, delete=name == "old") for name in ("a", "b", "old")
    )
    steps = {one.name: one.step for one in of_state(Snapshot([a, old], [Operation("creating", b)]))}
    assert steps == {"a": "same", "b": "pending", "old": "delete"}


def test_the_command_draws_the_state_and_with_preview_what_an_update_would_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.program(PROGRAM)
    monkeypatch.setattr(cli, "providers", world.factories)

    def steps(*words: str) -> dict[str, str]:
        assert cli.main(["graph", "-C", str(tmp_path), "-s", "dev", "--json", *words]) == 0
        rows = json.loads(capsys.readouterr().out)
        return {row["urn"].rsplit("::", 1)[1]: row["step"] for row in rows if row["type"] == "test:index:Thing"}

    world.up()
    assert steps() == {"a": "same", "b": "same", "c": "same"}
    world.program(PROGRAM.replace('"1"', '"2"').replace('Thing("c"', 'Thing("d"'))
    assert steps("--preview") == {"a": "update", "b": "same", "c": "delete", "d": "create"}


def test_a_page_and_markdown_are_written_by_the_name_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    monkeypatch.setattr(cli, "providers", world.factories)
    world.up(PROGRAM)
    command = ["graph", "-C", str(tmp_path), "-s", "dev"]
    for file, start in (("g.html", "<!doctype html>"), ("g.md", "# demo"), ("g.mmd", "flowchart LR")):
        assert cli.main([*command, "-o", str(tmp_path / file)]) == 0
        assert (tmp_path / file).read_text().startswith(start)
    assert cli.main(command) == 0
    assert capsys.readouterr().out == (tmp_path / "g.mmd").read_text()
    assert cli.main([*command, "-o", str(tmp_path / "nowhere/g.html")]) == 1
    assert "The graph cannot be written to" in capsys.readouterr().err
