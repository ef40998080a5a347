"""What to ignore, what to replace, what to show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.diff import ignoring, lines, replacing, same, shown, steps_of
from localcloud.values import UNKNOWN, Secret


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a", ["a"]),
        ("a.b", ["a", "b"]),
        ("a[0].b", ["a", 0, "b"]),
        ('a["b.c"]', ["a", "b.c"]),
        ("a[*].b", ["a", "*", "b"]),
    ],
)
def test_a_property_path_has_these_steps(path: str, steps: list[Any]) -> None:
    assert steps_of(path) == steps


@pytest.mark.parametrize(
    ("new", "old", "path", "result"),
    [
        ({"a": 2}, {"a": 1}, "a", {"a": 1}),
        ({"a": 2}, {}, "a", {}),
        ({}, {"a": 1}, "a", {"a": 1}),
        ({"a": {"b": 2, "c": 2}}, {"a": {"b": 1, "c": 1}}, "a.b", {"a": {"b": 1, "c": 2}}),
        ({"a": [{"b": 2}, {"b": 2}]}, {"a": [{"b": 1}]}, "a[*].b", {"a": [{"b": 1}, {"b": 2}]}),
        ({"a": 2, "b": 2}, {"a": 1, "b": 1}, "*", {"a": 1, "b": 1}),
    ],
)
def test_an_ignored_path_keeps_its_old_value(new: Any, old: Any, path: str, result: Any) -> None:
    assert ignoring(new, old, [path]) == result


def test_ignoring_leaves_its_arguments_alone() -> None:
    new, old = {"a": {"b": 2}}, {"a": {"b": 1}}
    ignoring(new, old, ["a.b"])
    assert (new, old) == ({"a": {"b": 2}}, {"a": {"b": 1}})


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("a", ("a",)),
        ("a.x", ("a",)),
        ("a.y", ()),
        ("b[*].z", ("b",)),
        ("b[0].z", ()),
        ("b[1].z", ("b",)),
        ("*", ("a", "b")),
        ("c", ()),
    ],
)
def test_replace_on_changes_is_about_what_changes_under_its_path(path: str, names: tuple[str, ...]) -> None:
    old = {"a": {"x": 1, "y": 1}, "b": [{"z": 1}], "c": 1}
    new = {"a": {"x": 2, "y": 1}, "b": [{"z": 1}, {"z": 2}], "c": 1}
    assert replacing(old, new, ("a", "b"), [path]) == names


def test_lines_show_each_leaf_that_changes_and_no_secret() -> None:
    old = {"same": 1, "gone": True, "list": [1, 2], "password": Secret("old-word")}
    new = {"same": 1, "new": None, "list": [1, 3, 4], "password": Secret("new-word")}
    assert list(lines(old, new)) == [
        "- gone: true",
        "~ list[1]: 2 => 3",
        "+ list[2]: 4",
        "+ new: null",
        "~ password: [secret] => [secret]",
    ]


def test_an_unknown_equals_nothing_not_even_itself() -> None:
    assert not same(UNKNOWN, UNKNOWN)
    assert shown(UNKNOWN) == "[known after it is created]"


def test_true_is_not_one() -> None:
    assert not same(True, 1)
    assert shown(1) == "1"
    assert shown(True) == "true"


@given(st.text(max_size=300))
def test_a_value_is_shown_on_one_short_line(text: str) -> None:
    assert "\n" not in shown(text)
    assert len(shown(text)) <= 72
