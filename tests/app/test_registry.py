from __future__ import annotations

import math

import pytest

from app import cards, dataset, documents, jobs, registry, tables
from app.dataset import People
from app.registry import JobError
from tests.app.crowd import Loop, people


@pytest.fixture
def loop() -> Loop:
    """An environment in which a first model was published, then a second one by hand, and a third one trained."""
    found = Loop()
    found.learn(dataset.generate(500, 1))
    second = found.train(dataset.generate(500, 2))["version"]
    jobs.evaluate(found.data, found.models)
    registry.promote(found.models, second)
    found.train(dataset.generate(500, 3))
    return found


def states(loop: Loop) -> dict[str, str]:
    return {row["version"]: row["state"] for row in registry.models_list(loop.models)}


def test_the_list_has_every_version_and_its_state(loop: Loop) -> None:
    first, second, third = (registry_of(loop, name) for name in ("previous", "current", "candidate"))
    assert states(loop) == {first: "previous", second: "current", third: "candidate"}
    registry.rollback(loop.models)
    assert states(loop) == {first: "current", second: "withdrawn", third: "candidate"}
    rows = {row["version"]: row for row in registry.models_list(loop.models)}
    assert rows[first]["rmse"] == pytest.approx(10, abs=3)
    assert (rows[third]["rmse"], rows[third]["why"]) == (None, None)
    assert (rows[first]["rows"], rows[first]["labelled"]) == (400, 0)


def registry_of(loop: Loop, state: str) -> str:
    [version] = [version for version, found in states(loop).items() if found == state]
    return version


def test_the_table_for_people_has_a_line_for_each_version(loop: Loop) -> None:
    header, *lines = tables.of_models(registry.models_list(loop.models)).splitlines()
    assert header.split()[:3] == ["VERSION", "STATE", "TRAINED"]
    assert len(lines) == 3
    for column in ("STATE", "TRAINED", "DATA", "JUDGEMENT"):
        at = header.index(column)
        assert all(line[at - 1] == " " and line[at] != " " for line in lines)
    assert "Train one" in tables.of_models([])


def test_a_damaged_version_is_listed_with_its_trouble_and_hides_no_other(loop: Loop) -> None:
    version = registry_of(loop, "candidate")
    loop.models.write(f"versions/{version}/model.json", b"{}")
    loop.models.write("versions/not-a-version/manifest.json", b"{}")
    rows = {row["version"]: row for row in registry.models_list(loop.models)}
    assert len(rows) == 3
    assert "has the SHA-256" in rows[version]["trouble"]
    assert "damaged" in tables.of_models(list(rows.values()))


def test_an_empty_registry_has_no_versions() -> None:
    assert registry.models_list(Loop().models) == []


def test_a_version_shows_its_lineage_data_code_parameters_and_errors(loop: Loop) -> None:
    loop.ask(people(1_000, 1))
    version = loop.train()["version"]
    jobs.evaluate(loop.data, loop.models)
    found = registry.models_show(loop.models, version)
    manifest = found["manifest"]
    assert manifest["code"].keys() == {"release", "commit"}
    assert manifest["parameters"] == {"seed": 1, "share": 0.9, "trim": 3.0, "days": 28}
    assert found["evaluation"]["labels"] == manifest["labels"]
    assert found["judgement"]["against"] == registry_of(loop, "current")
    said = tables.of_model(found)
    for fact in (version, manifest["data"]["sha256"], manifest["labels"]["version"], manifest["code"]["commit"]):
        assert fact in said
    assert len({line.index("  ") for line in said.splitlines() if line.startswith("parameters")}) == 1


def test_the_current_version_is_shown_if_none_is_named(loop: Loop) -> None:
    assert registry.models_show(loop.models)["version"] == registry_of(loop, "current")
    assert tables.of_model(registry.models_show(loop.models)).count("\n") >= 8
    with pytest.raises(JobError, match="Nothing was published"):
        registry.models_show(Loop().models)
    with pytest.raises(JobError, match="There is no model version 0123456789abcdef"):
        registry.models_show(loop.models, "0123456789abcdef")


def test_what_nobody_has_measured_is_not_promoted(loop: Loop) -> None:
    version = registry_of(loop, "candidate")
    with pytest.raises(JobError, match=f"was not evaluated .* --version {version}"):
        registry.promote(loop.models, version)
    jobs.evaluate(loop.data, loop.models)
    assert registry.promote(loop.models, version)["created"]
    assert not registry.promote(loop.models, version)["created"]


def test_a_card_says_what_the_version_is_and_is_bound_to_it(loop: Loop) -> None:
    version = registry_of(loop, "current")
    card = jobs.load_card(loop.models, version)
    line = registry.load_version(loop.models, version).model
    assert card["version"] == version
    assert card["formula"]["margin"] == line.margin()
    assert card["metrics"].keys() == {"training", "held_out", "baseline"}
    assert card["limits"]
    changed = {**card, "purpose": "Anything."}
    loop.models.write(f"versions/{version}/card.json", documents.dump(changed))
    with pytest.raises(JobError, match=r"card\.json is not the one that the manifest names"):
        jobs.load_card(loop.models, version)


def test_a_reference_is_the_people_whom_the_version_has_not_seen(loop: Loop) -> None:
    groups = jobs.load_reference(loop.models, registry_of(loop, "current"))
    assert sum(people for _, _, people in groups) == 100
    rest = dataset.generate(500, 2).rows(dataset.split(500, 1)[1])
    assert math.fsum(weight * people for _, weight, people in groups) == pytest.approx(math.fsum(rest.weights))
    assert math.fsum(height * people for height, _, people in groups) == pytest.approx(math.fsum(rest.heights))


@pytest.mark.parametrize("count", [0, 4, 9, 10, 23, 400, 5_000])
def test_no_group_of_a_reference_and_no_cell_of_a_card_has_fewer_than_five_people(count: int) -> None:
    crowd = people(count, 1)
    groups = cards.reference("a" * 16, crowd)["groups"]
    assert all(group["people"] >= cards.FEWEST for group in groups)
    assert sum(group["people"] for group in groups) == (count if count >= 2 * cards.FEWEST else 0)
    if count > 20:
        _, counts = cards._cells(crowd)
        assert all(cell[2] >= cards.FEWEST for cell in counts)
        assert sum(cell[2] for cell in counts) <= count


@pytest.mark.parametrize(
    "crowd",
    [
        people(20_000, 1),
        People(
            tuple(20 + 90 * (i % 997) / 997 for i in range(50_000)),
            tuple(2 + 1_498 * (i % 991) / 991 for i in range(50_000)),
        ),
        People((*people(1_000, 1).heights, 21.0, 110.0), (*people(1_000, 1).weights, 2.0, 1_500.0)),
        People((68.0,) * 99 + (69.0,), (130.0,) * 99 + (131.0,)),
    ],
    ids=["as generated", "everywhere", "far out", "nearly one"],
)
def test_a_card_is_small_whatever_the_people_are_like(crowd: People) -> None:
    steps, counts = cards._cells(crowd)
    assert len(documents.dump({"counts": counts})) < 48 * 1024
    assert all(step > 0 for step in steps)


def test_most_people_of_an_ordinary_table_are_in_the_cells_of_its_card() -> None:
    (height, weight), counts = cards._cells(people(20_000, 1))
    assert (height, weight) == (0.5, 5.0)
    assert sum(cell[2] for cell in counts) > 19_000
    assert len(counts) > 200
