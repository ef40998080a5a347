from __future__ import annotations

import dataclasses
import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import dataset, documents, model, training
from app.dataset import DataError, People
from app.documents import DocumentError

PEOPLE = dataset.generate()


def fitted(people: People = PEOPLE) -> model.Model:
    fitting, held_out = dataset.split(len(people), 1)
    return training.fit(people.rows(fitting), data="0" * 64, seed=1, held_out=len(held_out))


def test_a_person_of_68_inches_weighs_about_127_pounds() -> None:
    assert fitted().predict(68) == pytest.approx(127.1, abs=0.3)


def test_the_slope_is_what_the_published_statistics_imply() -> None:
    line = fitted()
    assert line.predict(69) - line.predict(68) == pytest.approx(0.50 * 11.66 / 1.90, rel=0.03)


def test_the_fit_is_that_of_the_standard_library_on_unscaled_heights() -> None:
    training_rows, _ = dataset.split(len(PEOPLE), 1)
    part = PEOPLE.rows(training_rows)
    slope, intercept = statistics.linear_regression(part.heights, part.weights)
    line = fitted()
    for height in (60.0, 68.0, 75.0):
        assert line.predict(height) == pytest.approx(intercept + slope * height, rel=1e-9)


@given(st.floats(-5, 15), st.floats(-500, 500))
def test_points_on_a_line_are_fitted_without_error(slope: float, offset: float) -> None:
    heights = tuple(60 + i / 10 for i in range(50))
    people = People(heights, tuple(slope * height + offset for height in heights))
    line = training.fit(people, data="0" * 64, seed=0, held_out=10)
    assert line.predict(100.0) == pytest.approx(slope * 100 + offset, abs=1e-6)


def test_the_errors_are_those_of_their_definitions() -> None:
    people = People((60.0, 61.0, 62.0), (100.0, 110.0, 126.0))
    found = training.measure(people, lambda height: height + 40)
    errors = [0.0, -9.0, -24.0]
    assert found["mae"] == pytest.approx(11.0)
    assert found["rmse"] == pytest.approx(math.sqrt((81 + 576) / 3))
    assert found["r2"] == pytest.approx(1 - sum(e * e for e in errors) / (144 + 4 + 196))


def test_a_training_part_of_one_height_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="two or more"):
        training.fit(People((68.0,) * 30, tuple(map(float, range(30)))), data="0" * 64, seed=1, held_out=5)


def test_r2_of_equal_weights_is_refused() -> None:
    with pytest.raises(DataError, match="r2 has no meaning"):
        training.measure(People((60.0, 61.0), (100.0, 100.0)), lambda height: height)


def test_a_model_survives_being_written_and_loaded() -> None:
    content = fitted().to_json()
    assert model.load(content, documents.sha256(content)) == fitted()


def test_the_same_data_and_seed_give_the_same_bytes() -> None:
    assert fitted().to_json() == fitted(dataset.generate()).to_json()


def test_a_model_with_one_changed_byte_is_refused() -> None:
    content = fitted().to_json()
    changed = content.replace(b'"scale":1', b'"scale":2')
    assert changed != content
    with pytest.raises(DocumentError, match=r"has the SHA-256 .* but its manifest says"):
        model.load(changed, documents.sha256(content))


def test_a_model_of_another_schema_is_refused_even_with_the_right_hash() -> None:
    document = json.loads(fitted().to_json())
    document["schema"] = "height-weight-model/1"
    content = documents.dump(document)
    with pytest.raises(DocumentError, match="schema is"):
        model.load(content, documents.sha256(content))


def test_a_model_knows_the_heights_it_was_fitted_to() -> None:
    line = fitted()
    assert line.knows(68)
    assert not line.knows(40)
    assert not line.knows(90)


def test_a_model_whose_quantiles_do_not_ascend_is_refused() -> None:
    document = json.loads(fitted().to_json())
    document["input"]["quantiles"].reverse()
    content = documents.dump(document)
    with pytest.raises(DocumentError, match="quantiles that do not ascend"):
        model.load(content, documents.sha256(content))


def test_a_model_that_was_stored_is_the_one_that_is_loaded() -> None:
    content = fitted().to_json()
    assert model.load(content, documents.sha256(content)) == fitted()


def test_the_quantiles_are_those_of_the_standard_library() -> None:
    line = fitted()
    heights = PEOPLE.rows(dataset.split(len(PEOPLE), 1)[0]).heights
    assert (line.minimum, line.maximum) == (min(heights), max(heights))
    assert line.quantiles[1:-1] == pytest.approx(statistics.quantiles(heights, n=20), abs=0.01)


def test_the_margin_holds_nineteen_of_twenty_people_whom_the_model_has_not_seen() -> None:
    _, held_out = dataset.split(len(PEOPLE), 1)
    line = fitted()
    people = PEOPLE.rows(held_out)
    pairs = zip(people.heights, people.weights, strict=True)
    inside = sum(abs(line.predict(height) - weight) <= line.margin() for height, weight in pairs)
    assert inside / len(people) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(("rows", "t"), [(16, 2.1448), (32, 2.0423), (102, 1.9840), (100_002, 1.9600)])
def test_the_margin_of_few_rows_is_that_of_students_t(rows: int, t: float) -> None:
    few = dataclasses.replace(fitted(), rows=rows, residual=10.0)
    assert few.margin() == pytest.approx(t * 10.0 * math.sqrt(1 + 1 / rows), rel=0.002)
