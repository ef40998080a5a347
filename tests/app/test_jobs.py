from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from app import dataset, documents, jobs, registry
from app.dataset import People
from app.jobs import JobError
from app.store import DeniedError, StoreError

if TYPE_CHECKING:
    from tests.app.conftest import Stores


def read(stores: Stores, key: str) -> dict[str, Any]:
    return dict(json.loads(stores.models.read(key).data))


def test_a_trained_version_has_its_model_manifest_and_data(stores: Stores) -> None:
    version = stores.train()
    manifest = read(stores, f"versions/{version}/manifest.json")
    model = stores.models.read(f"versions/{version}/model.json").data
    data = stores.data.read(f"versions/{manifest['data']['version']}/people.csv").data
    assert documents.sha256(model) == manifest["sha256"]
    assert version == manifest["sha256"][:16]
    assert documents.sha256(data) == manifest["data"]["sha256"]
    assert data == dataset.generate(500, 1).to_csv()
    assert manifest["code"]["release"].startswith("sha256:")


def test_what_the_jobs_write_satisfies_the_published_schemas(stores: Stores) -> None:
    first, second = stores.publish(seed=1), stores.publish(seed=2)
    written = {
        "current": "current.json",
        "candidate": "candidate.json",
        "model": f"versions/{first}/model.json",
        "model-manifest": f"versions/{second}/manifest.json",
        "evaluation": f"versions/{second}/evaluation.json",
        "judgement": f"versions/{second}/judgement.json",
        "card": f"versions/{first}/card.json",
        "reference": f"versions/{first}/reference.json",
    }
    for schema, key in written.items():
        jsonschema.validate(read(stores, key), documents.load_schema(schema))
    manifest = next(key for key in stores.keys("data") if key.endswith("manifest.json"))
    data_manifest = json.loads(stores.data.read(manifest.removeprefix("people/")).data)
    jsonschema.validate(data_manifest, documents.load_schema("data-manifest"))
    assert {*written, "data-manifest", "labels-manifest", "checkpoint", "drift"} == {
        path.name.split(".")[0] for path in documents.SCHEMAS.iterdir()
    }


def test_training_twice_finds_the_version_there_and_writes_nothing(stores: Stores) -> None:
    people = dataset.generate(500, 1)
    first = jobs.train(people, "generated, seed 1", 1, stores.data, stores.models)
    before = written(stores)
    second = jobs.train(people, "generated, seed 1", 1, stores.data, stores.models)
    assert (first["created"], first["data_created"]) == (True, True)
    assert (second["created"], second["data_created"]) == (False, False)
    assert second["version"] == first["version"]
    assert written(stores) == before


def written(stores: Stores) -> set[tuple[str, str]]:
    """Every write that the model store has seen."""
    found = stores.s3.list_object_versions(Bucket="models")["Versions"]
    return {(item["Key"], item["VersionId"]) for item in found}


def test_a_training_that_was_killed_before_its_manifest_is_finished_by_the_next(stores: Stores) -> None:
    version = stores.train()
    stores.s3.delete_object(Bucket="models", Key=f"height-weight/versions/{version}/manifest.json")
    stores.s3.delete_object(Bucket="models", Key="height-weight/candidate.json")
    assert stores.train() == version
    assert read(stores, "candidate.json")["version"] == version


def test_a_version_that_somebody_changed_is_not_overwritten(stores: Stores) -> None:
    version = stores.train()
    stores.damage(f"versions/{version}/model.json", b"{}")
    with pytest.raises(JobError, match=r"model\.json exists with other content"):
        stores.train()
    assert stores.models.read(f"versions/{version}/model.json").data == b"{}"


def test_the_evaluation_is_of_the_held_out_rows_alone(stores: Stores) -> None:
    stores.train()
    answer = jobs.evaluate(stores.data, stores.models)
    assert answer["rows"] == 100
    assert answer["metrics"] != read(stores, f"versions/{answer['version']}/manifest.json")["metrics"]
    assert answer["metrics"]["rmse"] < answer["baseline"]["rmse"]


def test_evaluating_twice_finds_the_evaluation_there(stores: Stores) -> None:
    stores.train()
    assert jobs.evaluate(stores.data, stores.models)["created"]
    assert not jobs.evaluate(stores.data, stores.models)["created"]


def test_an_evaluation_that_says_something_else_is_not_overwritten(stores: Stores) -> None:
    version = stores.train()
    jobs.evaluate(stores.data, stores.models)
    changed = read(stores, f"versions/{version}/evaluation.json")
    changed["metrics"]["rmse"] = 1.0
    stores.damage(f"versions/{version}/evaluation.json", documents.dump(changed))
    with pytest.raises(JobError, match="says something else"):
        jobs.evaluate(stores.data, stores.models)


def test_data_that_was_changed_is_not_evaluated_on(stores: Stores) -> None:
    stores.train()
    key = next(key for key in stores.keys("data") if key.endswith("people.csv"))
    stores.s3.put_object(Bucket="data", Key=key, Body=dataset.generate(500, 2).to_csv())
    with pytest.raises(JobError, match="is not the data that model"):
        jobs.evaluate(stores.data, stores.models)


def test_evaluating_and_publishing_need_a_trained_model(stores: Stores) -> None:
    steps: list[Callable[[], Any]] = [
        lambda: jobs.evaluate(stores.data, stores.models),
        lambda: jobs.publish(stores.models),
    ]
    for step in steps:
        with pytest.raises(JobError, match=r"No model was trained yet .* Run `python -m app train` first"):
            step()
    with pytest.raises(JobError, match="There is no model version 0123456789abcdef"):
        jobs.publish(stores.models, "0123456789abcdef")


def test_a_model_that_was_not_evaluated_is_not_published(stores: Stores) -> None:
    version = stores.train()
    with pytest.raises(JobError, match=rf"Model {version} was not evaluated .* Run `python -m app evaluate`"):
        jobs.publish(stores.models)
    assert "height-weight/current.json" not in stores.keys("models")


def test_a_model_that_is_no_better_than_the_mean_is_not_published(stores: Stores) -> None:
    # Weight falls with height among the rows that are fitted and rises among those held out.
    _, held_out = dataset.split(100, 1)
    heights = tuple(60 + i / 10 for i in range(100))
    weights = tuple(85 + h if i in held_out else 215 - h for i, h in enumerate(heights))
    jobs.train(People(heights, weights), "a test", 1, stores.data, stores.models)
    jobs.evaluate(stores.data, stores.models)
    with pytest.raises(JobError, match=r"is not published\. It is no better than predicting the mean"):
        jobs.publish(stores.models)
    assert "height-weight/current.json" not in stores.keys("models")


def test_the_judgement_of_another_model_does_not_count(stores: Stores) -> None:
    first = stores.train(seed=1)
    jobs.evaluate(stores.data, stores.models)
    second = stores.train(seed=2)
    stores.damage(f"versions/{second}/judgement.json", stores.models.read(f"versions/{first}/judgement.json").data)
    with pytest.raises(JobError, match="judgement of another model"):
        jobs.publish(stores.models)


def test_publishing_moves_current_once(stores: Stores) -> None:
    version = stores.train()
    jobs.evaluate(stores.data, stores.models)
    assert jobs.publish(stores.models)["created"]
    before = stores.models.read("current.json")
    assert not jobs.publish(stores.models)["created"]
    assert stores.models.read("current.json") == before
    assert read(stores, "current.json")["version"] == version


def test_a_judgement_holds_only_beside_the_model_that_it_was_made_beside(stores: Stores) -> None:
    first = stores.train(seed=1)
    jobs.evaluate(stores.data, stores.models)
    second = stores.publish(seed=2)
    with pytest.raises(JobError, match=f"was judged beside nothing, and {second} is served now. Run .* evaluate"):
        jobs.publish(stores.models, first)
    assert jobs.evaluate(stores.data, stores.models, first)["against"] == second
    assert jobs.publish(stores.models, first)["version"] in (first, second)


def test_rolling_back_goes_through_what_was_published_step_by_step(stores: Stores) -> None:
    first, second, third = (stores.publish(seed) for seed in (1, 2, 3))
    assert jobs.rollback(stores.models) == {"version": second, "from": third, "previous": first}
    assert jobs.rollback(stores.models)["version"] == first
    with pytest.raises(JobError, match=f"Model {first} is the first one published"):
        jobs.rollback(stores.models)
    assert read(stores, "current.json")["withdrawn"] == [second, third]


def test_rolling_back_before_anything_was_published_is_refused(stores: Stores) -> None:
    with pytest.raises(JobError, match="nothing to roll back"):
        jobs.rollback(stores.models)


def test_rolling_back_to_a_damaged_version_is_refused(stores: Stores) -> None:
    first, second = stores.publish(seed=1), stores.publish(seed=2)
    stores.damage(f"versions/{first}/model.json", b"{}")
    with pytest.raises(JobError, match="has the SHA-256"):
        jobs.rollback(stores.models)
    assert read(stores, "current.json")["version"] == second


def test_only_so_many_earlier_versions_are_remembered(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "KEPT", 2)
    versions = [stores.publish(seed) for seed in (1, 2, 3, 4)]
    assert [old["version"] for old in read(stores, "current.json")["previous"]] == [versions[2], versions[1]]


def test_two_who_publish_at_once_do_not_undo_each_other(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.publish(seed=1)
    second = stores.train(seed=2)
    jobs.evaluate(stores.data, stores.models)
    read_current = registry.read_current

    def slow(models: Any) -> Any:
        found = read_current(models)
        stores.damage("current.json", models.read("current.json").data + b"\n")
        return found

    monkeypatch.setattr(registry, "read_current", slow)
    with pytest.raises(JobError, match="moved by somebody else meanwhile"):
        registry.promote(stores.models, second)


@pytest.mark.parametrize(
    ("key", "damage", "message"),
    [
        ("manifest.json", b"not JSON", r"manifest\.json is not JSON"),
        ("manifest.json", b"{}", r"does not satisfy model-manifest\.schema\.json"),
        ("model.json", b"x", "has the SHA-256"),
        ("model.json", b"x" * 70_000, "larger than"),
    ],
)
def test_a_damaged_version_is_refused_by_every_step(stores: Stores, key: str, damage: bytes, message: str) -> None:
    version = stores.publish()
    stores.damage(f"versions/{version}/{key}", damage)
    for step in (
        lambda: jobs.evaluate(stores.data, stores.models),
        lambda: jobs.publish(stores.models),
        lambda: jobs.load_version(stores.models, version),
    ):
        with pytest.raises((JobError, StoreError), match=message):
            step()


def test_a_manifest_that_is_not_the_one_pointed_to_is_refused(stores: Stores) -> None:
    version = stores.publish()
    pointer = read(stores, "current.json")
    manifest = read(stores, f"versions/{version}/manifest.json")
    manifest["created"] = "2001-01-01T00:00:00Z"
    stores.damage(f"versions/{version}/manifest.json", documents.dump(manifest))
    with pytest.raises(JobError, match="but the pointer says"):
        jobs.load_version(stores.models, version, pointer["manifest"])


def test_a_table_that_landed_in_the_store_is_what_is_trained_on(stores: Stores) -> None:
    assert jobs.landed(stores.data) is None
    table = dataset.generate(40, 7)
    stores.data.write("incoming/people.csv", table.to_csv())
    found = jobs.landed(stores.data)
    assert found is not None
    people, source = found
    assert people.to_csv() == table.to_csv()
    assert source == f"landed, SHA-256 {documents.sha256(table.to_csv())}"


def test_a_landed_table_that_is_none_is_refused_with_its_address(stores: Stores) -> None:
    stores.data.write("incoming/people.csv", b"no,table\n1,2\n")
    with pytest.raises(dataset.DataError, match=r"incoming/people\.csv"):
        jobs.landed(stores.data)


def test_a_landing_place_that_may_not_be_read_is_not_taken_for_an_empty_one(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_key: str) -> bool:
        raise DeniedError("no")

    monkeypatch.setattr(stores.data, "has", denied)
    with pytest.raises(DeniedError):
        jobs.landed(stores.data)


def test_a_store_tells_what_it_has(stores: Stores) -> None:
    stores.data.write("incoming/people.csv.old", b"x")
    assert not stores.data.has("incoming/people.csv")
    assert stores.data.has("incoming/people.csv.old")
