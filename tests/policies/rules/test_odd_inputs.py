"""Inputs of forms that no provider takes: a rule says what it can, and does not break."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from policies.iam.documents import documents
from policies.rule import Rule
from policies.rules import all_rules
from tests.policies.rules.test_pairs import PAIRS, graph_of

ODD: tuple[Any, ...] = (
    *(None, 7, True, "", "{", "[1]", [], [None], ["x"], {}, {"x": 1}, {"$unknown": True}, {"$secret": True}, [{}]),
    '{"Statement": 1}',
    '{"Statement": [{"Effect": "Allow", "Principal": ["*"], "Action": {"x": 1}, "Resource": 5, "Condition": [1]}]}',
    '[{"environment": {"x": 1}, "image": 7, "linuxParameters": [1]}]',
)
RULES = [rule for rule in all_rules() if rule.id.startswith("GW-AWS-")]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value below a value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_judges_odd_inputs_without_breaking(rule: Rule) -> None:
    chance = random.Random(rule.id)
    tried = 0
    for rows in (rows for graphs in PAIRS[rule.id].values() for rows in graphs):
        for number in range(sum(1 for _ in places([row.get("inputs", {}) for row in rows]))):
            odd = copy.deepcopy(rows)
            container, key = [*places([row.get("inputs", {}) for row in odd])][number]
            if isinstance(container, list) and container and isinstance(container[0], dict) and "type" in container[0]:
                continue
            for value in chance.sample(ODD, 5):
                container[key] = value
                try:
                    graph = graph_of(odd)
                except (AttributeError, TypeError):  # inputs that are no object: no plan has that
                    continue
                tried += sum(1 for row in graph.of_type(*rule.types) for _ in [*rule.judge(row, graph)]) + 1
                tried += len([*documents(graph)])
    assert tried
