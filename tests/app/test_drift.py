from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import dataset, drift, training
from app.dataset import People
from app.drift import ENOUGH, REBUILD, WINDOW, Drift, MidDistribution
from app.model import Model
from tests.app.lines import line

Draw = Callable[[random.Random], float]


def heavy_tailed(chance: random.Random) -> float:
    """Student's t with three degrees of freedom, within what heights can be."""
    while True:
        square = sum(chance.gauss(0, 1) ** 2 for _ in range(3)) / 3
        height = 68 + 1.2 * chance.gauss(0, 1) / math.sqrt(square)
        if 20 <= height <= 110:
            return height


SHAPES: dict[str, Draw] = {
    "normal": lambda chance: chance.gauss(68, 1.9),
    "skewed": lambda chance: 50 + chance.lognormvariate(2.5, 0.5),
    "bimodal": lambda chance: chance.gauss(64 if chance.random() < 0.5 else 71, 1.2),
    "uniform": lambda chance: chance.uniform(60, 76),
    "heavy-tailed": heavy_tailed,
    "rounded to inches": lambda chance: float(round(chance.gauss(68, 1.9))),
}
SHAPE = pytest.mark.parametrize("shape", SHAPES)


def drawn(shape: str, count: int, chance: random.Random) -> list[float]:
    return [SHAPES[shape](chance) for _ in range(count)]


def fitted(heights: list[float]) -> Model:
    """A model of people with these heights."""
    people = People(tuple(heights), tuple(2 * height for height in heights))
    return training.fit(people, data="d" * 64, seed=1, held_out=len(heights) // 4)


@SHAPE
def test_of_windows_of_the_training_population_under_one_in_a_hundred_alarms(shape: str) -> None:
    chance = random.Random(f"calm {shape}")
    model = fitted(drawn(shape, 10_000, chance))
    shares = [drift.share(drawn(shape, ENOUGH, chance), model) for _ in range(500)]
    assert sum(share > REBUILD for share in shares) < 5
    assert max(shares) > 0.05  # and yet it is no constant


@SHAPE
def test_a_small_training_table_raises_no_more_alarms(shape: str) -> None:
    chance = random.Random(f"few {shape}")
    shares = (drift.share(drawn(shape, ENOUGH, chance), fitted(drawn(shape, 400, chance))) for _ in range(200))
    assert sum(share > REBUILD for share in shares) < 2


@SHAPE
def test_a_day_of_looks_at_the_same_population_alarms_nobody(shape: str) -> None:
    chance = random.Random(f"day {shape}")
    model = fitted(drawn(shape, 10_000, chance))
    watch = Drift(lambda _share: None)
    for _ in range(100):
        watch.observe(drawn(shape, 50, chance), model)
        assert (watch.share(model) or 0.0) <= REBUILD


@SHAPE
@pytest.mark.parametrize("direction", [1, -1])
def test_a_shift_of_one_standard_deviation_is_found_within_500_rows(shape: str, direction: int) -> None:
    chance = random.Random(f"shift {shape} {direction}")
    model = fitted(drawn(shape, 10_000, chance))
    moved = direction * model.scale
    if shape == "rounded to inches":
        moved = float(round(moved))
    for _ in range(5):  # each after a full window of people as they were: the slowest case
        watch = Drift(lambda _share: None)
        watch.observe(drawn(shape, WINDOW, chance), model)
        watch.observe([height + moved for height in drawn(shape, 500, chance)], model)
        assert (watch.share(model) or 0.0) > REBUILD


@SHAPE
def test_a_service_that_has_just_started_finds_the_shift_as_soon_as_it_says_anything(shape: str) -> None:
    chance = random.Random(f"start {shape}")
    model = fitted(drawn(shape, 10_000, chance))
    watch = Drift(lambda _share: None)
    watch.observe([height + model.scale for height in drawn(shape, ENOUGH, chance)], model)
    assert (watch.share(model) or 0.0) > REBUILD


@pytest.mark.parametrize("step", [1.0, 1 / 2.54, 0.5])
@pytest.mark.parametrize("live", [True, False])
def test_heights_that_somebody_rounds_have_not_drifted(step: float, live: bool) -> None:
    chance = random.Random(f"round {step}")
    exact, table = drawn("normal", WINDOW, chance), drawn("normal", 10_000, chance)

    def rounded(heights: list[float]) -> list[float]:
        return [round(height / step) * step for height in heights]

    model = fitted(table if live else rounded(table))
    assert drift.share(rounded(exact) if live else exact, model) < 0.15


def test_another_shape_of_the_same_mean_and_spread_is_found() -> None:
    chance = random.Random("shape")
    model = fitted(drawn("normal", 10_000, chance))
    halves = [model.mean + side * model.scale for side in (-0.95, 0.95)]
    two_groups = [chance.gauss(halves[number % 2], model.scale * 0.3) for number in range(WINDOW)]
    assert drift.distances(two_groups, model)["population_stability"] > REBUILD


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_spread_around_the_same_mean_is_found(factor: float) -> None:
    chance = random.Random("spread")
    model = fitted(drawn("normal", 10_000, chance))
    assert drift.share([chance.gauss(model.mean, factor * model.scale) for _ in range(WINDOW)], model) > REBUILD


def test_one_height_asked_about_again_and_again_is_drift() -> None:
    assert drift.share([68.0] * ENOUGH, line()) > REBUILD


def test_two_people_far_out_are_none() -> None:
    chance = random.Random("out")
    model = fitted(drawn("normal", 10_000, chance))
    assert drift.share([*drawn("normal", ENOUGH, chance), 107.0, 21.5], model) < REBUILD


def test_the_training_data_itself_has_not_drifted() -> None:
    for shape in SHAPES:
        heights = drawn(shape, 2_000, random.Random(shape))
        assert drift.share(heights, fitted(heights)) == pytest.approx(0.0, abs=1e-3)


def test_the_distances_are_those_of_their_definitions() -> None:
    heights = [60.0 + 16 * (index + 0.5) / 10_000 for index in range(10_000)]  # even from 60 to 76
    model = fitted(heights)
    moved = drift.distances([height + 1.6 for height in heights], model)  # by a bin of the ten
    assert moved["quantile_shift"] == pytest.approx(1.6 / (16 / math.sqrt(12)), rel=1e-3)
    size, parts = 10_000, [(0.0, 0.1), *[(0.1, 0.1)] * 8, (0.2, 0.1)]
    smooth = [((size * f + 0.5) / (size + 5), (size * e + 0.5) / (size + 5)) for f, e in parts]
    psi = sum((f - e) * math.log(f / e) for f, e in smooth)
    assert moved["population_stability"] == pytest.approx(math.sqrt(psi) / 2, rel=0.02)
    assert drift.share([height + 1.6 for height in heights], model) == max(moved.values())


def test_a_quarter_is_when_the_model_is_to_be_built_again() -> None:
    assert REBUILD == 0.25


def test_too_few_heights_say_nothing_whether_live_or_the_models_own() -> None:
    heights = drawn("normal", ENOUGH, random.Random("few"))
    watch = Drift(lambda _share: None)
    watch.observe(heights[:-1], line())
    assert watch.share(line()) is None
    watch.observe(heights[-1:], line())
    assert watch.share(line()) is not None
    assert watch.share(fitted(heights[:-1])) is None
    assert watch.share(fitted(heights)) is not None


@given(st.lists(st.sampled_from([60.0, 61.0, 61.5, 62.0, 70.0]) | st.floats(20, 110), min_size=1, max_size=50))
def test_a_quantile_is_where_that_share_lies_below(values: list[float]) -> None:
    middle = MidDistribution.of(values)
    assert (middle.quantile(0.0), middle.quantile(1.0)) == (min(values), max(values))
    quantiles = drift.quantiles(values)
    assert list(quantiles) == sorted(quantiles)
    for value in set(values):
        below, at = sum(one < value for one in values), sum(one == value for one in values)
        assert middle.below(value) == pytest.approx((below + at / 2) / len(values))
        assert middle.quantile(middle.below(value)) == pytest.approx(value, abs=1e-9)


@given(st.lists(st.floats(20, 110), min_size=1, max_size=40), st.floats(-5, 5))
def test_no_heights_break_the_measure(heights: list[float], moved: float) -> None:
    model = fitted([*dataset.generate(50).heights])
    found = drift.share([height + moved for height in heights], model)
    assert math.isfinite(found)
    assert found >= 0
