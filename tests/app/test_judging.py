from __future__ import annotations

import dataclasses
import random

import pytest

from app.dataset import People
from app.judging import EQUAL, FEWEST, TOLERANCE, judge
from app.model import Model
from tests.app.lines import line

TRUTH = line()


def crowd(count: int, seed: int, spread: float = 10.0) -> People:
    """People about the line, whose errors are as even as they can be: the line's rmse on them is `spread`."""
    chance = random.Random(seed)
    heights = tuple(chance.gauss(68, 2) for _ in range(count))
    return People(heights, tuple(TRUTH.predict(h) + (spread if n % 2 else -spread) for n, h in enumerate(heights)))


def off(pounds: float) -> Model:
    """The line, moved: its rmse on a crowd is the root of 10² + pounds²."""
    return dataclasses.replace(TRUTH, intercept=TRUTH.intercept + pounds)


def off_by(factor: float) -> Model:
    """The line, moved so far that its rmse on a crowd is `factor` times as large."""
    return off(10.0 * (factor**2 - 1) ** 0.5)


TABLE, LABELLED, NOBODY = crowd(400, 1), crowd(200, 2), People((), ())


@pytest.mark.parametrize(
    ("factor", "better"), [(1.0, True), (EQUAL - 0.002, True), (EQUAL + 0.002, False), (TOLERANCE, False)]
)
@pytest.mark.parametrize("labelled", [LABELLED, NOBODY], ids=["on labels", "on the table"])
def test_a_candidate_is_better_or_equal_within_one_percent(labelled: People, factor: float, better: bool) -> None:
    found = judge(off_by(factor), TRUTH, TRUTH, TABLE, labelled)
    assert found.better is better
    assert f"on {len(labelled) or len(TABLE)} " in found.why
    assert ("as good as" if better else "worse than") in found.why


def test_a_candidate_that_is_better_says_so() -> None:
    found = judge(TRUTH, off(5.0), TRUTH, TABLE, LABELLED)
    assert (found.better, "It is better than the current model on 200 recent labelled rows" in found.why) == (
        True,
        True,
    )


@pytest.mark.parametrize(("factor", "better"), [(TOLERANCE - 0.01, True), (TOLERANCE + 0.01, False)])
def test_the_table_is_an_anchor_whatever_labels_say(factor: float, better: bool) -> None:
    moved = off_by(factor)
    liars = People(LABELLED.heights, tuple(moved.predict(h) + (-1) ** n for n, h in enumerate(LABELLED.heights)))
    found = judge(moved, TRUTH, TRUTH, TABLE, liars)
    assert found.better is better
    assert ("too far from its table" in found.why) is not better


@pytest.mark.parametrize("current", [TRUTH, None])
def test_what_predicts_no_better_than_one_weight_for_everybody_is_of_no_use(current: Model | None) -> None:
    flat = dataclasses.replace(TRUTH, coefficient=0.0)
    found = judge(flat, current and off(50.0), TRUTH, TABLE, LABELLED)
    assert (found.better, "no better than predicting the mean" in found.why) == (False, True)


def test_a_first_model_needs_no_other_to_be_better_than() -> None:
    found = judge(TRUTH, None, TRUTH, TABLE, NOBODY)
    assert (found.better, found.why.startswith("Nothing is served yet")) == (True, True)
    assert found.errors["table"] is not None
    assert "current" not in found.errors["table"]


@pytest.mark.parametrize(
    "labelled",
    [crowd(FEWEST - 1, 3), People(LABELLED.heights, (130.0,) * len(LABELLED))],
    ids=["too few", "all alike"],
)
def test_labels_that_say_too_little_leave_the_judgement_to_the_table(labelled: People) -> None:
    found = judge(TRUTH, off(5.0), TRUTH, TABLE, labelled)
    assert found.errors["labels"] is None
    assert "held-out rows of the table" in found.why


def test_every_model_is_measured_on_the_very_same_people() -> None:
    errors = judge(off(3.0), off(4.0), TRUTH, TABLE, LABELLED).errors
    for rows, people in (("table", TABLE), ("labels", LABELLED)):
        found = errors[rows]
        assert found is not None
        assert found["rows"] == len(people)
        for name, pounds in (("candidate", 3.0), ("current", 4.0), ("alone", 0.0)):
            assert found[name]["rmse"] == pytest.approx((100 + pounds**2) ** 0.5)


def test_the_bound_of_the_anchor_is_three_quarters_of_a_spread() -> None:
    assert pytest.approx(0.75) == (TOLERANCE**2 - 1) ** 0.5
