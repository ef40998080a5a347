"""The model's way into service: train → evaluate → publish. Each step can be run again, and then changes nothing.

    data store    versions/DATA/{people.csv, manifest.json}, incoming/people.csv
    model store   app/registry.py says what it holds

A version id is the start of its content's SHA-256, so the same data and seed are the same version.
"""

from __future__ import annotations

import contextlib
from typing import Any

from app import cards, dataset, documents, model, registry, release, training
from app.dataset import People
from app.model import version_of
from app.registry import (
    CANDIDATE,
    CURRENT,
    JobError,
    Version,
    checked_document,
    key,
    load_card,
    load_reference,
    load_version,
    read_document,
    rollback,
)
from app.store import AbsentError, Object, Store

__all__ = [
    "CANDIDATE",
    "CURRENT",
    "JobError",
    "Version",
    "checked_document",
    "evaluate",
    "landed",
    "load_card",
    "load_reference",
    "load_version",
    "publish",
    "rollback",
    "train",
]

LANDING = "incoming/people.csv"  # beside the versions: what lands here starts the training


def landed(data: Store) -> tuple[People, str] | None:
    """The table that somebody put into the data store as `incoming/people.csv`, and where it came from; None if
    nobody did. Raises StoreError, and DataError where it is not what it should be."""
    if not data.has(LANDING):
        return None
    found = data.read(LANDING, dataset.MAX_BYTES).data
    return dataset.parse_csv(found, data.uri(LANDING)), f"landed, SHA-256 {documents.sha256(found)}"


def train(people: People, source: str, seed: int, data: Store, models: Store) -> dict[str, Any]:
    """Stores the table as a data version, fits a model to it, stores that as a version, names it candidate.

    `source` says where the people came from. Returns what the command prints.
    """
    table = people.to_csv()
    data_sha256 = documents.sha256(table)
    indices, rest = dataset.split(len(people), seed)
    fitting, held_out = people.rows(indices), people.rows(rest)
    fitted = training.fit(fitting, data=data_sha256, seed=seed, held_out=len(held_out))
    content = fitted.to_json()
    sha256 = documents.sha256(content)
    data_version, version = version_of(data_sha256), version_of(sha256)
    origin = {"version": data_version, "sha256": data_sha256}
    data_manifest = {
        "schema": "data-manifest/1",
        **origin,
        "rows": len(people),
        "statistics": people.statistics(),
        "source": source,
        "code": release.code(),
        "created": documents.now(),
    }
    metrics = {
        "training": training.measure(fitting, fitted.predict),
        "held_out": training.measure(held_out, fitted.predict),
        "baseline": training.measure(held_out, lambda _height: fitted.intercept),
    }
    beside = {
        "card": documents.dump(cards.card(version, fitted, fitting, metrics)),
        "reference": documents.dump(cards.reference(version, held_out)),
    }
    manifest = {
        "schema": "model-manifest/2",
        "version": version,
        "sha256": sha256,
        **{name: documents.sha256(text) for name, text in beside.items()},
        "data": origin,
        "labels": None,
        "parameters": {"seed": seed, "share": 0.8, "trim": 3.0, "days": 28},
        "metrics": metrics["training"],
        "code": release.code(),
        "created": documents.now(),
    }
    data_created = _keep(data, data_version, "people.csv", table, manifest=data_manifest)
    created = _keep(models, version, "model.json", content, manifest=manifest, beside=beside)
    loaded = load_version(models, version)
    pointer = {"schema": "candidate/1", "version": version, "manifest": loaded.manifest_sha256}
    _point(models, documents.dump(pointer))
    return {
        "version": version,
        "sha256": sha256,
        "created": created,
        "data_version": data_version,
        "data_sha256": data_sha256,
        "data_created": data_created,
        "rows": len(people),
        "metrics": loaded.manifest["metrics"],
        "manifest": models.uri(key(version, "manifest.json")),
    }


def _keep(
    store: Store,
    version: str,
    name: str,
    content: bytes,
    *,
    manifest: dict[str, Any],
    beside: dict[str, bytes] | None = None,
) -> bool:
    """Stores a version's content, what stands beside it, and its manifest. False if the whole version was there.

    Until its manifest is written a version is not there: what a run that was cut off left beside it is replaced.
    """
    if not store.create(key(version, name), content) and store.read(key(version, name)).data != content:
        raise JobError(
            f"{store.uri(key(version, name))} exists with other content. A version is never overwritten: "
            "find out who changed it, and restore its first version."
        )
    with contextlib.suppress(AbsentError):
        store.read(key(version, "manifest.json"), model.MAX_BYTES)
        return False
    for other, text in (beside or {}).items():
        store.write(key(version, f"{other}.json"), text)
    return store.create(key(version, "manifest.json"), documents.dump(manifest))


def _point(models: Store, pointer: bytes) -> None:
    """Moves the candidate pointer; the last training wins. Writes nothing if it is there already."""
    try:
        found: Object | None = models.read(CANDIDATE, model.MAX_BYTES)
    except AbsentError:
        found = None
    if found is None or found.data != pointer:
        models.write(CANDIDATE, pointer)


def _chosen(models: Store, version: str | None) -> Version:
    """The version asked for, or the candidate."""
    if version is not None:
        try:
            return load_version(models, version)
        except AbsentError as error:
            raise JobError(f"There is no model version {version}: {error}") from None
    try:
        pointer, _ = read_document(models, CANDIDATE, "candidate")
    except AbsentError as error:
        raise JobError(f"No model was trained yet ({error}) Run `python -m app train` first.") from None
    return load_version(models, pointer["version"], pointer["manifest"])


def evaluate(data: Store, models: Store, version: str | None = None) -> dict[str, Any]:
    """Measures a model (the candidate, if none is named) on the held-out rows of the data it names, and
    stores the result beside it. Returns what the command prints."""
    chosen = _chosen(models, version)
    origin = chosen.manifest["data"]
    name = key(origin["version"], "people.csv")
    table = data.read(name).data
    if documents.sha256(table) != origin["sha256"]:
        raise JobError(f"{data.uri(name)} is not the data that model {chosen.version} was fitted to.")
    people = dataset.parse_csv(table, data.uri(name))
    fitting, held_out = dataset.split(len(people), chosen.model.seed)
    if (len(fitting), len(held_out)) != (chosen.model.rows, chosen.model.held_out):
        raise JobError(f"Model {chosen.version} was fitted to another split of {data.uri(name)}.")
    rest = people.rows(held_out)
    mean = chosen.model.intercept  # the training part's mean weight, as heights are scaled to mean 0
    evaluation = {
        "schema": "evaluation/1",
        "version": chosen.version,
        "sha256": chosen.manifest["sha256"],
        "data": origin,
        "rows": len(rest),
        "metrics": training.measure(rest, chosen.model.predict),
        "baseline": training.measure(rest, lambda _height: mean),
        "code": release.code(),
        "created": documents.now(),
    }
    name = key(chosen.version, "evaluation.json")
    created = models.create(name, documents.dump(evaluation))
    if not created:
        stored, _ = read_document(models, name, "evaluation")
        if any(stored[part] != evaluation[part] for part in ("sha256", "data", "metrics", "baseline")):
            raise JobError(f"{models.uri(name)} exists and says something else; it is never overwritten.")
    kept = ("version", "sha256", "rows", "metrics", "baseline")
    return {**{name: evaluation[name] for name in kept}, "created": created}


def publish(models: Store, version: str | None = None) -> dict[str, Any]:
    """Makes a model (the candidate, if none is named) the one that is served. Returns what is printed.

    Raises JobError if it was not evaluated, or does not beat predicting the mean for everybody.
    """
    chosen = _chosen(models, version)
    name = key(chosen.version, "evaluation.json")
    try:
        evaluation, _ = read_document(models, name, "evaluation")
    except AbsentError as error:
        raise JobError(
            f"Model {chosen.version} was not evaluated ({error}) Run `python -m app evaluate` before publishing."
        ) from None
    if (evaluation["sha256"], evaluation["data"]) != (chosen.manifest["sha256"], chosen.manifest["data"]):
        raise JobError(f"{models.uri(name)} is the evaluation of another model or of other data.")
    found, baseline = evaluation["metrics"]["rmse"], evaluation["baseline"]["rmse"]
    if not found < baseline:
        raise JobError(
            f"Model {chosen.version} is no better than predicting the mean: on the held-out part its error is "
            f"{found:.3f} lb, the mean's {baseline:.3f} lb (rmse). It is not published."
        )
    old, etag = registry.read_current(models)
    reference = {"version": chosen.version, "manifest": chosen.manifest_sha256}
    answer = {"version": chosen.version, "metrics": evaluation["metrics"], "baseline": evaluation["baseline"]}
    if old is not None and registry.reference(old) == reference:
        return {**answer, "created": False, "previous": registry.last(old)}
    previous = [registry.reference(old), *old["previous"]][: registry.KEPT] if old else []
    registry.move(models, reference, previous, etag)
    return {**answer, "created": True, "previous": previous[0]["version"] if previous else None}
