"""The loop around the model, closed in memory: the lake is told, drift sees it, a model is trained and judged."""

from __future__ import annotations

import copy
import json
import math
from datetime import timedelta
from functools import cache
from typing import Any

import jsonschema
import pytest

from app import dataset, documents, jobs, registry, verdict
from app.dataset import People
from app.jobs import JobError
from app.judging import TOLERANCE
from app.model import Model
from app.serving import Models
from tests.app.crowd import SPREAD, Loop, people

TABLE = dataset.generate(2_500)
SHIFTED = {"taller": 1.9, "heavier": 6.0}  # one standard deviation in height; heavier than that explains


@cache
def environment() -> Loop:
    """An environment with a model of the table alone."""
    found = Loop()
    assert found.learn(TABLE)["created"]
    return found


@pytest.fixture
def loop() -> Loop:
    """A copy of it, for one test."""
    return copy.deepcopy(environment())


def served(loop: Loop) -> Model:
    pointer, _ = registry.read_current(loop.models)
    assert pointer is not None
    return registry.load_version(loop.models, pointer["version"]).model


def rmse(model: Model, crowd: People) -> float:
    pairs = zip(crowd.heights, crowd.weights, strict=True)
    return math.sqrt(sum((model.predict(height) - weight) ** 2 for height, weight in pairs) / len(crowd))


def document(loop: Loop, name: str) -> dict[str, Any]:
    return dict(json.loads(loop.models.objects[name]))


def test_people_change_the_loop_notices_learns_and_is_calm_again(loop: Loop) -> None:
    loop.ask(people(1_000, 1))
    calm = loop.verdict()
    assert (calm["rebuild"], calm["rows"], calm["accuracy"]["labels"]) == (False, 1_000, 1_000)
    loop.ask(people(2_000, 2, **SHIFTED))
    alarmed = loop.verdict()
    assert alarmed["rebuild"]
    assert alarmed["share"] == pytest.approx(1.0, abs=0.1)
    service = Models(loop.models)
    service.refresh()
    before = served(loop)
    learned = loop.learn(TABLE)
    assert (learned["created"], learned["evaluated"]["better"]) == (True, True)
    after, others = served(loop), people(2_000, 3, **SHIFTED)
    assert rmse(before, others) > 1.1 * SPREAD
    assert rmse(after, others) < 1.02 * SPREAD
    assert not loop.verdict()["rebuild"]
    service.refresh()
    assert service.served.trouble is None
    assert service.served.version is not None
    assert service.served.version.version == learned["version"]
    jobs.rollback(loop.models)
    service.refresh()
    assert service.served.trouble is None
    assert served(loop) == before


def test_people_who_are_taller_but_otherwise_the_same_end_the_alarm_too(loop: Loop) -> None:
    loop.ask(people(2_000, 2, taller=1.9))
    assert loop.verdict()["rebuild"]
    assert loop.learn(TABLE)["created"]  # no better, but as good, and it knows these people
    assert not loop.verdict()["rebuild"]


def test_accuracy_alone_asks_for_a_new_model(loop: Loop) -> None:
    loop.ask(people(1_000, 1, heavier=9.0))
    found = loop.verdict()
    assert found["share"] < 0.25
    assert found["rebuild"]
    [reason] = found["reasons"]
    assert reason.startswith("On 1000 true weights that came back, the error is ")


@pytest.mark.parametrize("seed", range(8))
def test_people_as_in_training_ask_for_no_new_model(loop: Loop, seed: int) -> None:
    loop.ask(people(400, seed))
    found = loop.verdict()
    assert (found["rebuild"], found["reasons"]) == (False, [])


def test_the_verdict_satisfies_its_schema_and_needs_enough(loop: Loop) -> None:
    few = loop.verdict()
    assert (few["rows"], few["share"], few["accuracy"], few["rebuild"]) == (0, None, None, False)
    loop.ask(people(400, 1))
    many = loop.verdict()
    for found in (few, many):
        jsonschema.validate(found, documents.load_schema("drift"))
    assert document(loop, verdict.DRIFT) == many
    assert many["model"] == document(loop, "current.json")["version"]


def test_one_callers_batch_is_no_population(loop: Loop) -> None:
    loop.ask(people(900, 1), tell=False)
    loop.ask(people(1_000, 2, taller=3.0), tell=False, call=1_000)
    found = loop.verdict()
    assert (found["rows"], found["rebuild"]) == (1_000, False)


def test_what_was_asked_more_than_a_week_ago_is_no_verdict(loop: Loop) -> None:
    loop.ask(people(1_000, 1, taller=4.0))
    loop.now += timedelta(days=9)
    assert loop.verdict()["rows"] == 0


def test_weights_that_came_back_more_than_a_week_ago_say_nothing_of_today(loop: Loop) -> None:
    loop.ask(people(400, 1, heavier=20.0))
    loop.now += timedelta(days=9)
    loop.ask(people(100, 2))
    found = loop.verdict()
    assert (found["accuracy"], found["rebuild"]) == (None, False)
    loop.ask(people(400, 3))
    assert loop.verdict()["accuracy"]["labels"] == 500


def test_without_a_model_there_is_no_verdict_and_without_a_lake_nothing_is_known(loop: Loop) -> None:
    assert verdict.check(Loop().models, loop.lake, loop.now) is None
    found = verdict.check(loop.models, None, loop.now)
    assert found is not None
    assert (found["rows"], found["rebuild"]) == (0, False)


def test_a_slip_of_the_pen_is_no_loss_of_accuracy(loop: Loop) -> None:
    crowd = people(400, 1)
    loop.ask(People(crowd.heights, (1_400.0, *crowd.weights[1:])))
    assert not loop.verdict()["rebuild"]


def test_nothing_new_changes_nothing(loop: Loop) -> None:
    loop.ask(people(2_000, 1, **SHIFTED))
    assert loop.learn(TABLE)["created"]
    before = [dict(store.objects) for store in (loop.data, loop.models, loop.lake)]
    again = loop.learn(TABLE)
    assert (again["created"], again["trained"]["created"]) == (False, False)
    assert again["why"] == "It is the current one already."
    assert [store.objects for store in (loop.data, loop.models, loop.lake)] == before


def test_a_model_names_the_labels_that_it_was_fitted_to_and_they_can_be_read_back(loop: Loop) -> None:
    loop.ask(people(1_000, 1))
    trained = loop.train(TABLE)
    manifest = document(loop, f"versions/{trained['version']}/manifest.json")
    assert manifest["labels"]["rows"] == trained["labels"]["rows"] > 950
    told = loop.data.objects[f"labels/{manifest['labels']['version']}/labels.csv"]
    assert documents.sha256(told) == manifest["labels"]["sha256"]
    fitted = registry.load_version(loop.models, trained["version"]).model
    assert (fitted.labels, fitted.data) == (manifest["labels"]["sha256"], manifest["data"]["sha256"])
    assert 0.7 < fitted.labelled / fitted.rows <= 0.9
    manifest_of_labels = json.loads(loop.data.objects[f"labels/{manifest['labels']['version']}/manifest.json"])
    jsonschema.validate(manifest_of_labels, documents.load_schema("labels-manifest"))
    jsonschema.validate(manifest, documents.load_schema("model-manifest"))


def test_rows_that_were_forgotten_since_are_not_judged_on(loop: Loop) -> None:
    loop.ask(people(1_000, 1))
    version = loop.train(TABLE)["labels"]["version"]
    told = loop.data.objects[f"labels/{version}/labels.csv"]
    loop.data.write(f"labels/{version}/labels.csv", told[: told.rindex(b"\n", 0, -1) + 1])
    with pytest.raises(JobError, match=r"rows of it were forgotten .* Run `python -m app train` again"):
        jobs.evaluate(loop.data, loop.models)
    loop.data.delete(f"labels/{version}/labels.csv")
    with pytest.raises(JobError, match=r"are gone .* Run `python -m app train` again"):
        jobs.evaluate(loop.data, loop.models)


def test_a_candidate_that_is_worse_is_refused_and_why_is_kept(loop: Loop) -> None:
    fitted, _ = dataset.split(500, 1)
    weights = tuple(TABLE.weights[index] + 6 * (index in fitted) for index in range(500))  # those weighed with shoes on
    before = served(loop)
    learned = loop.learn(People(TABLE.heights[:500], weights))
    judgement = document(loop, f"versions/{learned['trained']['version']}/judgement.json")
    jsonschema.validate(judgement, documents.load_schema("judgement"))
    assert (learned["created"], judgement["better"], served(loop)) == (False, False, before)
    assert learned["why"].endswith(judgement["why"])
    assert "is worse than the current model on 100 held-out rows of the table" in judgement["why"]
    assert judgement["against"] == learned["version"]


@pytest.mark.parametrize("lie", [10.0, 15.0, 25.0, -12.0, -30.0])
def test_a_hostile_majority_is_refused_by_the_rows_that_no_caller_wrote(loop: Loop, lie: float) -> None:
    before = served(loop)
    loop.ask(people(2_000, 1, heavier=lie))
    learned = loop.learn(TABLE)
    assert (learned["created"], learned["evaluated"]["better"]) == (False, False)
    assert "Labels moved it too far from its table" in learned["why"]
    assert served(loop) == before
    judgement = document(loop, f"versions/{learned['trained']['version']}/judgement.json")
    errors = judgement["labels"]
    assert errors["candidate"]["rmse"] < errors["current"]["rmse"]  # by their own labels alone it would have passed


@pytest.mark.parametrize("lie", [2.0, 4.0, -7.0])
def test_lies_in_small_steps_lead_no_further_than_the_bound(loop: Loop, lie: float) -> None:
    alone = served(loop)
    for step in range(1, 4):
        loop.ask(people(2_000, step, heavier=lie * step))
        loop.learn(TABLE)
    squares = [(served(loop).predict(height) - alone.predict(height)) ** 2 for height in TABLE.heights]
    bound = math.sqrt(TOLERANCE**2 - 1) * alone.residual  # 0.75 of a residual spread; 3 % for the sample's chance
    assert math.sqrt(sum(squares) / len(squares)) < 1.03 * bound


def test_a_person_can_promote_what_the_judgement_refused(loop: Loop) -> None:
    loop.ask(people(2_000, 1, heavier=15.0))
    refused = loop.learn(TABLE)["trained"]["version"]
    assert registry.promote(loop.models, refused)["created"]
    assert document(loop, "current.json")["version"] == refused


def test_a_version_that_was_rolled_back_from_is_not_published_again_unless_a_person_says_so(loop: Loop) -> None:
    first = document(loop, "current.json")["version"]
    loop.ask(people(2_000, 1, **SHIFTED))
    second = loop.learn(TABLE)["version"]
    jobs.rollback(loop.models)
    again = loop.learn(TABLE)
    assert (again["created"], again["version"], again["trained"]["version"]) == (False, first, second)
    assert f"Model {second} was rolled back from" in again["why"]
    assert registry.promote(loop.models, second)["previous"] == first
    assert document(loop, "current.json")["withdrawn"] == []


def test_a_label_that_nobody_may_know_of_yet_never_fits_and_judges_the_same_model(loop: Loop) -> None:
    loop.ask(people(2_000, 1))
    loop.train(TABLE)
    pointer = document(loop, "candidate.json")
    version = registry.load_version(loop.models, pointer["version"])
    told = jobs._labels(loop.data, version)
    rows = jobs._parted(TABLE, 1, told)
    fitted = set(zip(rows.fitting.heights, rows.fitting.weights, strict=True))
    for held_out in (rows.of_labels, rows.of_table, rows.held_out):
        assert not fitted & set(zip(held_out.heights, held_out.weights, strict=True))
