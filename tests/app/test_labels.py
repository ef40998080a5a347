from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import dataset, labels, records, training
from app.dataset import DataError, People
from app.labels import FEWEST, Label
from app.model import Model
from app.records import Feedback, Prediction
from tests.app.crowd import Loop, people

TABLE = dataset.generate(2_000)
ALONE = training.fit(TABLE, data="d" * 64, seed=1, held_out=400)
WHEN = "2026-11-20T12:00:00.000Z"
LATER = "2026-11-20T12:00:01.000Z"
ONE, TWO = "1" * 32, "2" * 32


def asked(id_: str, *heights: float) -> Prediction:
    return Prediction(id_, WHEN, list(heights), [127.0] * len(heights), "a" * 16)


def labelled(crowd: People, start: int = 0) -> list[Label]:
    """A label for each person, each of a call of its own."""
    pairs = zip(crowd.heights, crowd.weights, strict=True)
    return [Label(f"{start + n:032x}", 0, WHEN, height, weight) for n, (height, weight) in enumerate(pairs)]


def bounded(told: list[Label]) -> list[Label]:
    return labels.bounded(told, ALONE, Counter())


def test_feedback_finds_its_prediction_by_id_and_row() -> None:
    told = [Feedback(ONE, 1, WHEN, 150.0), Feedback(TWO, 0, WHEN, 120.0)]
    found = set(labels.join([asked(ONE, 60.0, 70.0), asked(TWO, 65.0)], told))
    assert found == {Label(ONE, 1, WHEN, 70.0, 150.0), Label(TWO, 0, WHEN, 65.0, 120.0)}


@pytest.mark.parametrize("order", [1, -1])
def test_the_last_telling_of_a_row_holds_in_whatever_order_it_is_read(order: int) -> None:
    told = [Feedback(ONE, 0, LATER, 131.0), Feedback(ONE, 0, WHEN, 150.0), Feedback(ONE, 0, LATER, 130.0)][::order]
    assert list(labels.join([asked(ONE, 68.0)], told)) == [Label(ONE, 0, LATER, 68.0, 131.0)]


@pytest.mark.parametrize(
    "told",
    [
        Feedback(TWO, 0, WHEN, 130.0),
        Feedback(ONE, 1, WHEN, 130.0),
        Feedback(ONE, 0, WHEN, 1.0),
        Feedback(ONE, 0, WHEN, 1_501.0),
    ],
    ids=["of no prediction", "of no row", "too light", "too heavy"],
)
def test_what_cannot_be_true_is_no_label(told: Feedback) -> None:
    assert list(labels.join([asked(ONE, 68.0)], [told])) == []


def test_a_height_that_nobody_has_is_no_label() -> None:
    assert list(labels.join([asked(ONE, 110.0000005)], [Feedback(ONE, 0, WHEN, 130.0)])) == []


def test_the_lake_gives_the_same_labels_each_time_and_in_order_of_time() -> None:
    loop = Loop()
    loop.ask(people(300, 1))
    found = loop.gather()
    assert len(found) == 300
    assert found == loop.gather() == sorted(found, key=lambda one: (one.time, one.id, one.row))


def test_of_one_call_only_so_many_rows_are_labels_and_nobody_chooses_which() -> None:
    loop = Loop()
    crowd = people(300, 1)
    loop.ask(crowd, call=300)
    found = loop.gather()
    assert len(found) == labels.CALL_ROWS
    assert [one.row for one in found] != list(range(labels.CALL_ROWS))
    assert all(one.height == crowd.heights[one.row] for one in found)


def test_the_newest_labels_are_taken_and_reading_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST", 100)
    monkeypatch.setattr(labels, "MOST_READ", 150)
    loop = Loop()
    ids = loop.ask(people(400, 1))
    counts: Counter[str] = Counter()
    found = labels.gather(loop.lake, counts, loop.now)
    assert {one.id for one in found} == set(ids[-5:])
    assert (counts["told"], counts["joined"], counts["older"]) == (150, 150, 50)


def test_ids_of_no_prediction_make_nobody_read_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop()
    ids = loop.ask(people(400, 1))
    loop.put("feedback", [records.line(Feedback(TWO, row, loop.moment(), 130.0)) for row in range(100)])
    assert len(loop.gather()) == 400
    monkeypatch.setattr(labels, "MOST_SCANNED", 5)
    assert {one.id for one in loop.gather()} == set(ids[-5:])


def test_what_is_older_than_four_weeks_is_not_read() -> None:
    loop = Loop()
    loop.ask(people(100, 1))
    loop.now += timedelta(days=27)
    assert len(loop.gather()) == 100
    loop.now += timedelta(days=2)
    assert loop.gather() == []


def test_lines_that_are_none_and_lines_twice_change_nothing() -> None:
    loop = Loop()
    loop.ask(people(100, 1))
    before = loop.gather()
    for kind in ("predictions", "feedback"):
        twice = [content for key, content in loop.lake.objects.items() if key.startswith(kind)]
        loop.put(kind, [*twice, b"null\n", b"{}\n", b'{"id":"x"\n', b"\xff\n"])
    assert loop.gather() == before


def test_who_corrects_a_weight_later_is_one_label_with_the_correction() -> None:
    loop = Loop()
    [id_] = loop.ask(People((68.0,), (310.0,)))
    loop.ask(people(20, 1))
    loop.put("feedback", [records.line(Feedback(id_, 0, loop.moment(), 131.0))])
    assert [one.weight for one in loop.gather() if one.id == id_] == [131.0]


def test_no_label_is_used_before_there_are_enough() -> None:
    counts: Counter[str] = Counter()
    assert labels.bounded(labelled(people(FEWEST - 1, 1)), ALONE, counts) == []
    assert counts == {"too_few": FEWEST - 1}
    assert len(bounded(labelled(people(2 * FEWEST, 1)))) > FEWEST


def test_honest_labels_are_nearly_all_kept_and_also_those_of_another_population() -> None:
    for moved in ({}, {"taller": 4.0, "steeper": 3.0}, {"heavier": 25.0}, {"taller": -3.0}):
        assert len(bounded(labelled(people(1_000, 1, **moved)))) > 980


@pytest.mark.parametrize("weight", [2.0, 30.0, 300.0, 1_500.0])
def test_a_crowd_of_lies_far_off_is_left_out_while_most_tell_the_truth(weight: float) -> None:
    honest, lies = labelled(people(600, 1)), labelled(people(400, 2), 1_000)
    kept = bounded([*honest, *(lie._replace(weight=weight) for lie in lies)])
    assert len([one for one in kept if one.weight == weight]) == 0
    assert len(kept) > 580


def test_labels_far_out_in_height_which_would_weigh_most_are_left_out() -> None:
    honest = labelled(people(900, 1))
    levers = [Label(f"{5_000 + n:032x}", 0, WHEN, 100.0, ALONE.predict(100.0) - 10) for n in range(100)]
    assert not set(levers) & set(bounded([*honest, *levers]))


def test_labels_that_are_all_alike_are_none() -> None:
    alike = [one._replace(height=68.0, weight=130.0) for one in labelled(people(500, 1))]
    assert bounded(alike) == []


def moved(model: Model) -> float:
    """How far a model's line is from that of the table alone, in the root mean square over the table's heights."""
    squares = [(model.predict(height) - ALONE.predict(height)) ** 2 for height in TABLE.heights]
    return float((sum(squares) / len(squares)) ** 0.5)


def trained(told: list[Label]) -> Model:
    """A model of the table and of labels as training makes it of them."""
    fitting, _ = labels.split(bounded(told))
    used, beside = labels.beside(len(fitting), len(TABLE))
    rows = TABLE.rows(list(range(beside))) + labels.people(fitting[len(fitting) - used :])
    return training.fit(rows, data="d" * 64, seed=1, held_out=1)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
@pytest.mark.parametrize("plan", ["heaviest", "random", "far out", "just within reach"])
def test_hostile_feedback_of_a_minority_moves_the_model_less_than_its_bound(plan: str, share: float) -> None:
    chance = random.Random(plan)
    crowd = people(2_000, 1)
    honest = labelled(crowd)
    number = int(share * 2_000)
    lies: dict[str, Any] = {
        "heaviest": lambda one: one._replace(weight=1_400.0),
        "random": lambda one: one._replace(weight=chance.uniform(2, 1_500)),
        "far out": lambda one: one._replace(height=chance.choice([25.0, 105.0]), weight=chance.uniform(2, 1_500)),
        "just within reach": lambda one: one._replace(weight=ALONE.predict(one.height) + 2.9 * ALONE.residual),
    }
    told = [*(lies[plan](one) for one in honest[:number]), *honest[number:]]
    # Within reach a lie is at most TRIM spreads off, and as wide as the labels' spread may be taken to be.
    bound = labels.SHARE * share * labels.TRIM * labels.WIDER * ALONE.residual if plan == "just within reach" else 1.5
    assert moved(trained(told)) < bound
    assert moved(trained(honest)) < 1.0


def test_labels_are_at_most_their_share_of_the_rows_of_a_model() -> None:
    for fitting in (160, 1_600, 10_000):
        for table in (16, 80, 400, 20_000):
            used, beside = labels.beside(fitting, table)
            assert used <= labels.SHARE * (used + beside) + 1
            assert beside <= table
            assert used == fitting or beside == table


def test_a_label_is_on_the_same_side_in_every_models_life() -> None:
    told = labelled(people(2_000, 1))
    fitting, held_out = labels.split(told)
    assert set(fitting) | set(held_out) == set(told)
    assert len(held_out) / len(told) == pytest.approx(0.2, abs=0.03)
    assert set(labels.split(told[500:])[1]) <= set(held_out)


@given(
    st.lists(
        st.builds(Label, st.just(ONE), st.integers(0, 999), st.just(WHEN), st.floats(20, 110), st.floats(2, 1_500)),
        max_size=5,
    )
)
def test_a_table_of_labels_is_read_as_it_was_written(told: list[Label]) -> None:
    assert labels.parse_csv(labels.to_csv(told), "labels.csv") == told


@pytest.mark.parametrize("content", [b"", b"x", b"\xff", b"Id,Row\n", labels.to_csv([]) + b"1,2,3,4,x\n", b'"'])
def test_what_is_no_table_of_labels_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"labels\.csv is not a table of labelled rows"):
        labels.parse_csv(content, "labels.csv")
