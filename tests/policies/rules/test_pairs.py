"""Each rule on sound and on unsound resources, as `pairs/*.yaml` tell them.

    RULE-ID:
      sound: [GRAPH, ...]       # nobody says anything
      unsound: [GRAPH, ...]     # at least one resource fails
      undetermined: [GRAPH, ...]

A GRAPH is a list of resources `{type, name, inputs, uses: {INPUT: [NAME, ...]}, options, parent: NAME, synthetic}`, all
but type optional.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.graph import Graph, Resource
from policies.rule import Rule
from policies.rules import all_rules

KINDS = ("sound", "unsound", "undetermined")
PAIRS: dict[str, dict[str, list[Any]]] = {}
for each in sorted(Path(__file__).parent.glob("pairs/*.yaml")):
    rows = yaml.safe_load(each.read_text(encoding="utf-8"))
    assert not rows.keys() & PAIRS.keys(), f"{each.name} repeats a rule"
    PAIRS |= rows
CASES = [
    pytest.param(rule, kind, graph, id=f"{rule.id}-{kind}-{number}")
    for rule in all_rules()
    for kind, graphs in PAIRS.get(rule.id, {}).items()
    for number, graph in enumerate(graphs)
]


def graph_of(rows: list[dict[str, Any]]) -> Graph:
    def urn(name: str) -> str:
        (row,) = [row for row in rows if row.get("name", "it") == name]
        return f"urn:pulumi:dev::pairs::{row['type']}::{name}"

    return Graph(
        "pairs",
        "dev",
        tuple(
            Resource(
                urn(row.get("name", "it")),
                row["type"],
                row.get("name", "it"),
                inputs := row.get("inputs", {}),
                {**inputs, **row.get("outputs", {})},
                urn(row["parent"]) if "parent" in row else "",
                references={key: [urn(name) for name in names] for key, names in row.get("uses", {}).items()},
                dependencies=frozenset(urn(name) for names in row.get("uses", {}).values() for name in names),
                options=row.get("options", {}),
                synthetic=frozenset(row.get("synthetic", ())),
            )
            for row in rows
        ),
    )


def statuses(rule: Rule, graph: Graph) -> set[str]:
    return {verdict.status for row in graph.of_type(*rule.types) for verdict in rule.judge(row, graph)}


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("rule", "kind", "graph"), CASES)
def test_a_rule_tells_sound_from_unsound(rule: Rule, kind: str, graph: list[dict[str, Any]]) -> None:
    found = graph_of(graph)
    assert any(True for _ in found.of_type(*rule.types)), "no resource of a type that the rule judges"
    expected: set[str] = {"sound": set(), "unsound": {"fail"}, "undetermined": {"undetermined"}}[kind]
    assert statuses(rule, found) == expected


@pytest.mark.sampled(3)
@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_a_rule_has_pairs_and_says_all_that_an_auditor_asks(rule: Rule) -> None:
    pairs = PAIRS.get(rule.id, {})
    assert pairs.keys() <= set(KINDS)
    assert pairs.get("sound"), "nothing sound"
    assert pairs.get("unsound"), "nothing unsound"
    tried = {row["type"] for kind in ("sound", "unsound") for graph in pairs[kind] for row in graph}
    assert set(rule.types) <= tried, "types that no pair tries"
    for text in (rule.title, rule.why, rule.mend):
        assert len(text.split()) >= 3
    assert rule.controls


def test_no_pair_is_of_a_rule_that_is_not_there() -> None:
    assert PAIRS.keys() <= {rule.id for rule in all_rules()}
