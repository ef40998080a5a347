"""The model's way into service: train → evaluate → publish. Each step can be run again, and then changes nothing.

    data store    versions/DATA/{people.csv, manifest.json}     a table, as somebody gave it
                  labels/DATA/{labels.csv, manifest.json}       labelled rows that a model was fitted to: apart, as
                                                                they are kept for a set time
                  incoming/people.csv                           where a new table lands
    model store   app/registry.py says what it holds

A version id is the start of its content's SHA-256, so the same table, labels and seed are the same version.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from app import cards, dataset, documents, judging, labels, model, registry, release, training
from app.dataset import People
from app.labels import Label
from app.model import Model, version_of
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
from app.store import AbsentError, Store

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
    "read_document",
    "rollback",
    "train",
]

LANDING = "incoming/people.csv"  # beside the versions: what lands here starts the training


class Rows(NamedTuple):
    """Rows in their parts: those to fit, of which the last `labelled` are labels, and those held out of it; then all
    that was held out of the table, and of the labels."""

    fitting: People
    labelled: int
    held_out: People
    of_table: People
    of_labels: People


def landed(data: Store) -> tuple[People, str] | None:
    """The table that somebody put into the data store as `incoming/people.csv`, and where it came from; None if
    nobody did. Raises StoreError, and DataError where it is not what it should be."""
    if not data.has(LANDING):
        return None
    found = data.read(LANDING, dataset.MAX_BYTES).data
    return dataset.parse_csv(found, data.uri(LANDING)), f"landed, SHA-256 {documents.sha256(found)}"


def of_current(data: Store, models: Store) -> tuple[People, str, int] | None:
    """The table of the model that is served, where that came from, and the seed of its split; None if nothing is."""
    pointer, _ = registry.read_current(models)
    if pointer is None:
        return None
    current = load_version(models, pointer["version"], pointer["manifest"])
    origin = current.manifest["data"]
    manifest, _ = read_document(data, key(origin["version"], "manifest.json"), "data-manifest")
    return _table(data, current), manifest["source"], current.model.seed


def _table(data: Store, version: Version) -> People:
    """The table that a version was fitted to."""
    origin = version.manifest["data"]
    name = key(origin["version"], "people.csv")
    table = data.read(name).data
    if documents.sha256(table) != origin["sha256"]:
        raise JobError(f"{data.uri(name)} is not the data that model {version.version} was fitted to.")
    return dataset.parse_csv(table, data.uri(name))


def _labels(data: Store, version: Version) -> list[Label]:
    """The labelled rows that a version was fitted to, and those that were held out of them."""
    origin = version.manifest["labels"]
    if origin is None:
        return []
    name = labels.key(origin["version"], "labels.csv")
    try:
        found = data.read(name).data
    except AbsentError as error:
        raise JobError(
            f"The labelled rows of model {version.version} are gone ({error}) They are kept for a set time, and erased "
            "where a person asks for it. Run `python -m app train` again."
        ) from None
    if documents.sha256(found) != origin["sha256"]:
        raise JobError(
            f"{data.uri(name)} is not what model {version.version} was fitted to: somebody changed it, or rows "
            "of it were forgotten (then forgotten.json is beside it). Run `python -m app train` again."
        )
    return labels.parse_csv(found, data.uri(name))


def _parted(people: People, seed: int, told: list[Label]) -> Rows:
    """The rows of a table and of labels in their parts. With labels, a part of the table stands beside them."""
    indices, rest = dataset.split(len(people), seed)
    of_table = people.rows(rest)
    if not told:
        return Rows(people.rows(indices), 0, of_table, of_table, People((), ()))
    fitting, held_out = labels.split(told)
    used, beside = labels.beside(len(fitting), len(indices))
    fitting = fitting[len(fitting) - used :]
    # As many rows of the table, with the smallest hashes, as an even draw; and a fifth as many of those held out.
    table = people.rows(sorted(dataset.ranked(indices, seed)[:beside]))
    aside = people.rows(sorted(dataset.ranked(rest, seed)[: max(1, beside // 4)]))
    of_labels = labels.people(held_out)
    return Rows(table + labels.people(fitting), used, aside + of_labels, of_table, of_labels)


def train(
    people: People, source: str, seed: int, data: Store, models: Store, *, told: list[Label] | None = None
) -> dict[str, Any]:
    """Stores the table and the labels as versions, fits a model to them, stores that, and names it candidate.

    `source` says where the people came from; `told` is what labels.gather found. Returns what the command prints.
    """
    indices, rest = dataset.split(len(people), seed)
    origin = _named(documents.sha256(people.to_csv()))
    alone = training.fit(people.rows(indices), data=origin["sha256"], seed=seed, held_out=len(rest))
    counts: Counter[str] = Counter()
    kept = labels.bounded(told or [], alone, counts)
    rows = _parted(people, seed, kept)
    added = {**_named(documents.sha256(labels.to_csv(kept))), "rows": len(kept)} if kept else None
    fitted = alone
    if added:
        fitted = training.fit(
            rows.fitting,
            data=origin["sha256"],
            seed=seed,
            held_out=len(rows.held_out),
            labels=added["sha256"],
            labelled=rows.labelled,
        )
    data_created = _store_table(data, people, source, origin)
    if added:
        _store_labels(data, kept, added)
    version, created = _store_model(models, fitted, rows, origin, added)
    return {
        "version": version.version,
        "sha256": version.manifest["sha256"],
        "created": created,
        "data_version": origin["version"],
        "data_sha256": origin["sha256"],
        "data_created": data_created,
        "rows": len(people),
        "labels": {"version": added["version"] if added else None, "rows": len(kept), **counts},
        "metrics": version.manifest["metrics"],
        "manifest": models.uri(key(version.version, "manifest.json")),
    }


def _store_table(data: Store, people: People, source: str, origin: dict[str, Any]) -> bool:
    """Stores a table as the data version `origin`. False if it was there."""
    about = {"rows": len(people), "statistics": people.statistics(), "source": source}
    manifest = {"schema": "data-manifest/1", **origin, **about, **_made()}
    return _keep(data, key(origin["version"], ""), "people.csv", people.to_csv(), manifest=manifest)


def _store_labels(data: Store, told: list[Label], added: dict[str, Any]) -> None:
    """Stores labelled rows as the data version `added`."""
    manifest = {"schema": "labels-manifest/1", **added, "from": told[0].time, "to": told[-1].time, **_made()}
    _keep(data, labels.key(added["version"], ""), "labels.csv", labels.to_csv(told), manifest=manifest)


def _named(sha256: str) -> dict[str, Any]:
    return {"version": version_of(sha256), "sha256": sha256}


def _made() -> dict[str, Any]:
    return {"code": release.code(), "created": documents.now()}


def _store_model(
    models: Store, fitted: Model, rows: Rows, origin: dict[str, Any], added: dict[str, Any] | None
) -> tuple[Version, bool]:
    """Stores a fitted model as a version and names it candidate. False if the version was there."""
    content = fitted.to_json()
    name = _named(documents.sha256(content))
    metrics = {
        "training": training.measure(rows.fitting, fitted.predict),
        "held_out": training.measure(rows.held_out, fitted.predict),
        "baseline": training.measure(rows.held_out, lambda _height: fitted.intercept),
    }
    beside = {
        "card": documents.dump(cards.card(name["version"], fitted, rows.fitting, metrics)),
        "reference": documents.dump(cards.reference(name["version"], rows.held_out)),
    }
    manifest = {
        "schema": "model-manifest/2",
        **name,
        **{other: documents.sha256(text) for other, text in beside.items()},
        "data": origin,
        "labels": added,
        "parameters": {"seed": fitted.seed, "share": labels.SHARE, "trim": labels.TRIM, "days": labels.DAYS},
        "metrics": metrics["training"],
        **_made(),
    }
    created = _keep(models, key(name["version"], ""), "model.json", content, manifest=manifest, beside=beside)
    version = load_version(models, name["version"])
    pointer = {"schema": "candidate/1", "version": version.version, "manifest": version.manifest_sha256}
    registry.write_if_other(models, CANDIDATE, documents.dump(pointer))
    return version, created


def _keep(
    store: Store,
    folder: str,
    name: str,
    content: bytes,
    *,
    manifest: dict[str, Any],
    beside: dict[str, bytes] | None = None,
) -> bool:
    """Stores a version's content, what stands beside it, and its manifest. False if the whole version was there.

    Until its manifest is written a version is not there: what a run that was cut off left beside it is replaced.
    """
    if not store.create(folder + name, content) and store.read(folder + name).data != content:
        raise JobError(
            f"{store.uri(folder + name)} exists with other content. A version is never overwritten: "
            "find out who changed it, and restore its first version."
        )
    with contextlib.suppress(AbsentError):
        store.read(folder + "manifest.json", model.MAX_BYTES)
        return False
    for other, text in (beside or {}).items():
        store.write(f"{folder}{other}.json", text)
    return store.create(folder + "manifest.json", documents.dump(manifest))


def _chosen(models: Store, version: str | None) -> Version:
    """The version asked for, or the candidate."""
    if version is not None:
        return registry.known_version(models, version)
    try:
        pointer, _ = read_document(models, CANDIDATE, "candidate")
    except AbsentError as error:
        raise JobError(f"No model was trained yet ({error}) Run `python -m app train` first.") from None
    return load_version(models, pointer["version"], pointer["manifest"])


def evaluate(data: Store, models: Store, version: str | None = None) -> dict[str, Any]:
    """Measures a model (the candidate, if none is named) on rows that it was not fitted to, and the current one on the
    same, and stores both: evaluation.json, which never changes, and judgement.json, which depends on what is served.

    Returns what the command prints.
    """
    chosen = _chosen(models, version)
    people, told = _table(data, chosen), _labels(data, chosen)
    indices, rest = dataset.split(len(people), chosen.model.seed)
    rows = _parted(people, chosen.model.seed, told)
    if (len(rows.fitting), len(rows.held_out)) != (chosen.model.rows, chosen.model.held_out):
        raise JobError(f"Model {chosen.version} was fitted to another split of its data.")
    evaluation = {
        "schema": "evaluation/2",
        "version": chosen.version,
        "sha256": chosen.manifest["sha256"],
        "data": chosen.manifest["data"],
        "labels": chosen.manifest["labels"],
        "rows": len(rows.held_out),
        "metrics": training.measure(rows.held_out, chosen.model.predict),
        "baseline": training.measure(rows.held_out, lambda _height: chosen.model.intercept),
        **_made(),
    }
    name = key(chosen.version, "evaluation.json")
    created = models.create(name, documents.dump(evaluation))
    if not created:
        stored, _ = read_document(models, name, "evaluation")
        if any(stored[part] != evaluation[part] for part in ("sha256", "data", "labels", "metrics", "baseline")):
            raise JobError(f"{models.uri(name)} exists and says something else; it is never overwritten.")
    alone = training.fit(people.rows(indices), data=chosen.model.data, seed=chosen.model.seed, held_out=len(rest))
    judgement = _judgement(models, chosen, lambda current: judging.judge(chosen.model, current, alone, *rows[3:]))
    kept = ("version", "sha256", "rows", "metrics", "baseline")
    return {**{name: evaluation[name] for name in kept}, "created": created, **judgement}


def _judgement(models: Store, chosen: Version, judge: Callable[[Model | None], judging.Judged]) -> dict[str, Any]:
    """Stores the judgement of a version beside what is served, if it is another than the one there."""
    pointer, _ = registry.read_current(models)
    if pointer is not None and pointer["version"] == chosen.version:
        return {"better": None, "why": "It is the current one.", "against": chosen.version}
    current = load_version(models, pointer["version"], pointer["manifest"]) if pointer else None
    judged = judge(current.model if current else None)
    against = current.version if current else None
    judgement = {
        "schema": "judgement/1",
        "version": chosen.version,
        "manifest": chosen.manifest_sha256,
        "against": against,
        "better": judged.better,
        "why": judged.why,
        "table": judged.errors["table"],
        "labels": judged.errors["labels"],
    }
    registry.write_if_other(models, key(chosen.version, "judgement.json"), documents.dump(judgement))
    return {"better": judged.better, "why": judged.why, "against": against}


def publish(models: Store, version: str | None = None) -> dict[str, Any]:
    """Makes a model (the candidate, if none is named) the one that is served, if its judgement says that it is better
    than the current one, or as good. Returns what is printed; `version` is what is served in the end.

    Raises JobError if it was not judged beside what is served now, or if nothing is served and it is of no use.
    """
    chosen = _chosen(models, version)
    pointer, etag = registry.read_current(models)
    if pointer is not None and registry.reference(pointer) == chosen.reference:
        return _published(models, pointer, created=False, why="It is the current one already.")
    if pointer is not None and chosen.version in pointer["withdrawn"]:
        why = (
            f"Model {chosen.version} was rolled back from. To serve it again, `python -m app models promote "
            f"{chosen.version}`."
        )
        return _published(models, pointer, created=False, why=why)
    name = key(chosen.version, "judgement.json")
    try:
        judgement, _ = read_document(models, name, "judgement")
    except AbsentError as error:
        raise JobError(
            f"Model {chosen.version} was not evaluated ({error}) Run `python -m app evaluate` before publishing."
        ) from None
    if (judgement["version"], judgement["manifest"]) != chosen.reference:
        raise JobError(f"{models.uri(name)} is the judgement of another model.")
    against = pointer["version"] if pointer else None
    if judgement["against"] != against:
        raise JobError(
            f"Model {chosen.version} was judged beside {judgement['against'] or 'nothing'}, and {against or 'nothing'} "
            "is served now. Run `python -m app evaluate` again before publishing."
        )
    if not judgement["better"]:
        if pointer is None:
            raise JobError(f"Model {chosen.version} is not published. {judgement['why']}")
        return _published(models, pointer, created=False, why=f"Model {chosen.version}: {judgement['why']}")
    return _published(models, registry.serve(models, chosen, pointer, etag), created=True, why=judgement["why"])


def _published(models: Store, pointer: dict[str, Any], *, created: bool, why: str) -> dict[str, Any]:
    """What publish answers while `pointer` says what is served."""
    evaluation, _ = read_document(models, key(pointer["version"], "evaluation.json"), "evaluation")
    return {
        "version": pointer["version"],
        "created": created,
        "why": why,
        "previous": registry.last(pointer),
        "metrics": evaluation["metrics"],
        "baseline": evaluation["baseline"],
    }
