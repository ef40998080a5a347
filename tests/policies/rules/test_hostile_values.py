"""No value that a program may write, however wrong, stops a judgement: each input of each pair in every wrong form."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.graph import Graph, Resource
from policies.rule import Rule
from policies.rules import all_rules

JUNK: tuple[Any, ...] = (
    "",
    "x",
    -1,
    1.5,
    True,
    None,
    [],
    {},
    [None],
    [["x"]],
    [1],
    {"a": {"b": 1}},
    {"$unknown": True},
)
OURS = ("GW-GCP-", "GW-AZ-", "GW-K8S-", "GW-ALL-")
ROWS = {
    rule: [row for graphs in kinds.values() for graph in graphs for row in graph]
    for file in sorted((Path(__file__).parent / "pairs").glob("*.yaml"))
    for rule, kinds in yaml.safe_load(file.read_text(encoding="utf-8")).items()
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {**value, path[0]: put(value[path[0]], path[1:], new)}
    return [put(item, path[1:], new) if at == path[0] else item for at, item in enumerate(value)]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("rule", [rule for rule in all_rules() if rule.id.startswith(OURS)], ids=lambda rule: rule.id)
def test_a_wrong_value_is_judged_without_an_error(rule: Rule) -> None:
    wrong = [
        (row["type"], put(row["inputs"], path, junk))
        for row in ROWS[rule.id]
        for path in places(row.get("inputs", {}))
        if path
        for junk in JUNK
    ]
    judged = 0
    for kind, inputs in wrong[:: max(1, len(wrong) // 400)]:
        row = Resource("it", kind, "audit", inputs, inputs)
        graph = Graph("p", "dev", (row, Resource("other", kind, "other", inputs, inputs)), outputs=inputs)
        if row.kind in rule.types:
            judged += 1
            for verdict in rule.judge(row, graph):
                assert verdict.message
    assert judged or not any(kind in rule.types for kind, _ in wrong)
