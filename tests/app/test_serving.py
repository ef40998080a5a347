from __future__ import annotations

import dataclasses
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from app import documents, jobs, registry, serving, training
from app.metrics import Metrics
from app.s3 import S3Store
from app.serving import Models
from app.store import StoreError

if TYPE_CHECKING:
    from tests.app.conftest import Stores


def version_of(models: Models) -> str | None:
    return models.served.version.version if models.served.version else None


def test_nothing_is_served_before_a_model_was_published(stores: Stores) -> None:
    models = Models(stores.models)
    models.refresh()
    assert models.served.version is None
    assert models.served.trouble is not None
    assert "current.json does not exist" in models.served.trouble


def test_a_published_model_is_served_and_so_is_the_next_and_the_one_rolled_back_to(stores: Stores) -> None:
    models = Models(stores.models)
    first = stores.publish(seed=1)
    models.refresh()
    assert version_of(models) == first
    second = stores.publish(seed=2)
    models.refresh()
    assert version_of(models) == second
    jobs.rollback(stores.models)
    models.refresh()
    assert version_of(models) == first
    assert models.loads == {"loaded": 3, "refused": 0, "unreachable": 0}


def test_a_pointer_that_did_not_move_costs_one_small_call(stores: Stores) -> None:
    stores.publish()
    models = Models(stores.models)
    models.refresh()
    calls: list[str] = []
    stores.s3.meta.events.register("before-call.s3", lambda model, **_: calls.append(model.name))
    models.refresh()
    assert calls == ["GetObject"]
    assert models.loads["loaded"] == 1


@pytest.mark.parametrize(
    ("key", "damage", "sentence"),
    [
        ("versions/{0}/model.json", b"{}", "has the SHA-256"),
        ("versions/{0}/manifest.json", b"{}", "has the SHA-256|does not satisfy"),
        ("current.json", b"[]", "where object is expected"),
        ("current.json", b'{"schema":', "is not JSON"),
    ],
)
def test_a_bad_new_model_leaves_the_old_one_in_place(stores: Stores, key: str, damage: bytes, sentence: str) -> None:
    models = Models(stores.models)
    first = stores.publish(seed=1)
    models.refresh()
    second = stores.publish(seed=2)
    key = key.format(second)
    good = stores.models.read(key).data
    stores.damage(key, damage)
    models.refresh()
    assert version_of(models) == first
    assert models.loads["refused"] == 1
    assert models.served.trouble is not None
    assert re.search(sentence, models.served.trouble)
    stores.damage(key, good)
    models.refresh()
    assert version_of(models) == second
    assert models.served.trouble is None


def test_a_model_with_the_right_hash_and_the_wrong_schema_is_refused(stores: Stores) -> None:
    models = Models(stores.models)
    first = stores.publish(seed=1)
    models.refresh()
    pointer, _ = jobs.read_document(stores.models, "current.json", "current")
    manifest, _ = jobs.read_document(stores.models, f"versions/{first}/manifest.json", "model-manifest")
    bad = b'{"schema":"something-else/9"}'
    sha256 = documents.sha256(bad)
    manifest |= {"version": sha256[:16], "sha256": sha256}
    stores.damage(f"versions/{sha256[:16]}/model.json", bad)
    stores.damage(f"versions/{sha256[:16]}/manifest.json", documents.dump(manifest))
    pointer |= {"version": sha256[:16], "manifest": documents.sha256(documents.dump(manifest))}
    stores.damage("current.json", documents.dump(pointer))
    models.refresh()
    assert version_of(models) == first
    assert models.served.trouble is not None
    assert "does not satisfy model.schema.json" in models.served.trouble


def test_a_version_that_is_worse_on_its_own_reference_is_refused_and_one_to_go_back_to_is_not(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = Models(stores.models)
    first = stores.publish(seed=1)
    models.refresh()
    fit = training.fit

    def heavier(*arguments: Any, **named: Any) -> Any:
        found = fit(*arguments, **named)
        return dataclasses.replace(found, intercept=found.intercept + 20)

    monkeypatch.setattr(training, "fit", heavier)
    second = stores.train(seed=2)
    jobs.evaluate(stores.data, stores.models)
    registry.promote(stores.models, second)
    models.refresh()
    assert version_of(models) == first
    assert models.served.trouble is not None
    assert f"model {second} is worse than {first}, which is served: on the reference rows" in models.served.trouble
    assert models.loads == {"loaded": 1, "refused": 1, "unreachable": 0}
    assert '{"event": "model", "outcome": "refused"' in capsys.readouterr().out
    fresh = Models(stores.models)
    fresh.refresh()
    assert version_of(fresh) == second  # there is none to compare it with
    registry.promote(stores.models, first)
    for each in (models, fresh):
        each.refresh()
        assert (version_of(each), each.served.trouble) == (first, None)


def test_a_verdict_on_drift_is_shown_and_a_bad_one_troubles_nobody(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "VERDICT_SECONDS", 0.0)
    changes: list[bool] = []
    models = Models(stores.models, changed=lambda: changes.append(True))
    version = stores.publish()
    models.refresh()
    assert models.served.drift is None
    verdict = {
        "schema": "drift/1",
        "model": version,
        "checked": "2026-11-22T00:00:00Z",
        "rows": 1_000,
        "share": 0.31,
        "accuracy": None,
        "rebuild": True,
        "reasons": ["heights moved"],
    }
    stores.models.write(serving.VERDICT, documents.dump(verdict))
    models.refresh()
    models.refresh()
    assert models.served.drift == verdict
    assert len(changes) == 2
    stores.models.write(serving.VERDICT, b'{"rebuild": "maybe"}')
    models.refresh()
    assert (models.served.drift, models.served.trouble) == (verdict, None)


def test_a_verdict_on_another_model_asks_for_no_rebuild_of_this_one(stores: Stores) -> None:
    models, metrics = Models(stores.models), Metrics(1)
    stores.publish()
    models.refresh()
    assert models.served.version is not None
    metrics.use(0)
    verdict = {"model": models.served.version.version, "share": 0.31, "accuracy": None, "rebuild": True}
    for judged, told in (({}, "drift_rebuild 1.0"), ({"model": "0" * 16}, "drift_rebuild 0.0")):
        metrics.show(dataclasses.replace(models.served, drift={**verdict, **judged}), models.loads)
        assert told in metrics.exposition().decode()


class Failing(S3Store):
    """A store that fails while `error` is set."""

    error: Exception | None = None

    def read_if_changed(self, *arguments: Any, **named: Any) -> Any:
        if self.error:
            raise self.error
        return super().read_if_changed(*arguments, **named)


@pytest.mark.parametrize("error", [StoreError("it is away."), RuntimeError("a bug")])
def test_a_store_that_is_away_leaves_the_model_in_place(stores: Stores, error: Exception) -> None:
    version = stores.publish()
    store = Failing("s3://models/height-weight/", stores.s3)
    models = Models(store)
    models.refresh()
    store.error = error
    models.refresh()
    assert version_of(models) == version
    assert models.loads["unreachable"] == 1
    assert models.served.trouble
    store.error = None
    models.refresh()
    assert models.served.trouble is None


def test_the_thread_picks_up_a_new_model(stores: Stores) -> None:
    models = Models(stores.models, seconds=0.02)
    models.start()
    try:
        for seed in (1, 2):
            version = stores.publish(seed)
            end = time.monotonic() + 5
            while version_of(models) != version and time.monotonic() < end:
                time.sleep(0.01)
            assert version_of(models) == version
    finally:
        models.stop()
        models._thread.join(5)
