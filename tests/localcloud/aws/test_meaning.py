"""When two values mean the same to AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.aws.meaning import same

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


ALIKE = {
    "spaces in JSON": ('{"a": 1}', '{"a":1}'),
    "one action as a list": (policy(Action="s3:Get"), policy(Action=["s3:Get"])),
    "actions in another order": (policy(Action=["a", "b"]), policy(Action=["b", "a"])),
    "principals in another order": (policy(Principal={"AWS": ["1", "2"]}), policy(Principal={"AWS": ["2", "1"]})),
    "a condition's value as a list": (
        policy(Condition={"StringEquals": {"aws:k": "v"}}),
        policy(Condition={"StringEquals": {"aws:k": ["v"]}}),
    ),
    "an absent part and an empty one": ({"a": 1, "b": None, "c": [], "d": {"e": 0}}, {"a": 1}),
    "a whole number and a float": ({"threshold": 75}, {"threshold": 75.0}),
}
UNLIKE = {
    "another value": ({"a": 1}, {"a": 2}),
    "true and one": ({"a": True}, {"a": 1}),
    "a number and its text": ({"a": 1}, {"a": "1"}),
    "another order of a list": ([1, 2], [2, 1]),
    "a longer list": ([1], [1, 1]),
    "another action": (policy(Action="a"), policy(Action="b")),
    "another effect": (policy(Action="a", Effect="Deny"), policy(Action="a")),
    "JSON lists in another order": ('{"command": ["a", "b"]}', '{"command": ["b", "a"]}'),
    "JSON and what is none": ('{"a": 1}', "{a: 1}"),
    "something and nothing": ({"a": 1}, None),
}


@pytest.mark.parametrize("case", ALIKE)
def test_these_mean_the_same(case: str) -> None:
    assert same(*ALIKE[case])


@pytest.mark.parametrize("case", UNLIKE)
def test_these_do_not_mean_the_same(case: str) -> None:
    assert not same(*UNLIKE[case])


@given(values)
def test_a_value_means_the_same_as_itself(value: Any) -> None:
    assert same(value, json.loads(json.dumps(value)))


@given(values, values)
def test_it_does_not_matter_which_of_two_values_is_named_first(one: Any, other: Any) -> None:
    assert same(one, other) == same(other, one)


@given(st.lists(values))
def test_lists_named_as_unordered_compare_as_sets(items: list[Any]) -> None:
    assert same(items, items[::-1], "rules.names", unordered=["rules.names"])


def test_unordered_lists_still_count_their_items() -> None:
    assert not same(["a", "a", "b"], ["a", "b", "b"], "names", unordered=["names"])


def test_an_ignored_part_is_not_compared_and_its_neighbours_are() -> None:
    one, other = [{"days": 1, "sizes": 5}], [{"days": 1}]
    assert same(one, other, "rules", ignored=["rules.sizes"])
    assert not same(one, other, "rules")
    assert not same(one, [{"days": 2}], "rules", ignored=["rules.sizes"])
