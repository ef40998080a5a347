"""The model's way into service: train → evaluate → publish, and rollback. Each step can be run again.

    data store    versions/DATA/{people.csv, manifest.json}, incoming/people.csv
    model store   versions/MODEL/{model.json, manifest.json, evaluation.json}, candidate.json, current.json

A version id is the start of its content's SHA-256, so the same data and seed are the same version. A pointer
names the SHA-256 of a manifest, and a manifest that of its model: what is served can be checked from the top.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from app import dataset, documents, model, release, training
from app.dataset import People
from app.documents import DocumentError
from app.model import Model, version_of
from app.store import AbsentError, ConflictError, Object, Store

CURRENT = "current.json"
CANDIDATE = "candidate.json"
LANDING = "incoming/people.csv"  # beside the versions: what lands here starts the training
KEPT = 20  # versions that `current.json` remembers for rollback


class JobError(Exception):
    """A step refused to go on; the message is a sentence that says why and what to do."""


class Version(NamedTuple):
    """A version of a model as the store has it: its manifest is what the pointer named, its model what
    the manifest names."""

    version: str
    manifest_sha256: str
    manifest: dict[str, Any]
    model: Model


def key(version: str, name: str) -> str:
    """Where a version keeps its object `name`."""
    return f"versions/{version}/{name}"


def read_document(store: Store, name: str, schema: str) -> tuple[dict[str, Any], Object]:
    """The object `name` as a document of `schema`, with the object. Raises StoreError, JobError."""
    found = store.read(name, model.MAX_BYTES)
    return checked_document(store, name, schema, found), found


def checked_document(store: Store, name: str, schema: str, found: Object) -> dict[str, Any]:
    """What the object `found`, read from `name`, says as a document of `schema`. Raises JobError."""
    try:
        return documents.checked(found.data, schema)
    except DocumentError as error:
        raise JobError(f"{store.uri(name)} {error}.") from None


def load_version(models: Store, version: str, manifest_sha256: str | None = None) -> Version:
    """A version of the model, checked from its manifest down; `manifest_sha256` is what a pointer promised.

    Raises StoreError where something cannot be read, JobError where it is not what it should be.
    """
    name = key(version, "manifest.json")
    manifest, found = read_document(models, name, "model-manifest")
    sha256 = documents.sha256(found.data)
    if manifest_sha256 not in (None, sha256):
        raise JobError(f"{models.uri(name)} has the SHA-256 {sha256}, but the pointer says {manifest_sha256}.")
    if manifest["version"] != version or version_of(manifest["sha256"]) != version:
        raise JobError(f"{models.uri(name)} is the manifest of another version, {manifest['version']}.")
    name = key(version, "model.json")
    try:
        loaded = model.load(models.read(name, model.MAX_BYTES).data, manifest["sha256"])
    except DocumentError as error:
        raise JobError(f"{models.uri(name)} {error}.") from None
    if loaded.data != manifest["data"]["sha256"]:
        raise JobError(f"{models.uri(name)} was fitted to other data than its manifest says.")
    return Version(version, sha256, manifest, loaded)


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
    fitting, _ = dataset.split(len(people), seed)
    fitted = training.fit(people, fitting, data=data_sha256, seed=seed)
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
    manifest = {
        "schema": "model-manifest/1",
        "version": version,
        "sha256": sha256,
        "data": origin,
        "metrics": training.measure(people.rows(fitting), fitted.predict),
        "code": release.code(),
        "created": documents.now(),
    }
    data_created = _keep(data, data_version, "people.csv", table, data_manifest)
    created = _keep(models, version, "model.json", content, manifest)
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


def _keep(store: Store, version: str, name: str, content: bytes, manifest: dict[str, Any]) -> bool:
    """Stores a version's content, then its manifest. False if the whole version was there already."""
    if not store.create(key(version, name), content) and store.read(key(version, name)).data != content:
        raise JobError(
            f"{store.uri(key(version, name))} exists with other content. A version is never overwritten: "
            "find out who changed it, and restore its first version."
        )
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
    old, etag = _current(models)
    reference = {"version": chosen.version, "manifest": chosen.manifest_sha256}
    answer = {"version": chosen.version, "metrics": evaluation["metrics"], "baseline": evaluation["baseline"]}
    if old is not None and _reference(old) == reference:
        return {**answer, "created": False, "previous": _last(old)}
    previous = [_reference(old), *old["previous"]][:KEPT] if old else []
    _move(models, reference, previous, etag)
    return {**answer, "created": True, "previous": previous[0]["version"] if previous else None}


def rollback(models: Store) -> dict[str, Any]:
    """Serves the version again that was served before the current one. Returns what is printed."""
    old, etag = _current(models)
    if old is None:
        raise JobError(f"Nothing was published in {models.uri()} yet, so there is nothing to roll back.")
    if not old["previous"]:
        raise JobError(f"Model {old['version']} is the first one published: there is none before it.")
    reference, *previous = old["previous"]
    load_version(models, reference["version"], reference["manifest"])  # never back to one that is damaged
    _move(models, reference, previous, etag)
    return {
        "version": reference["version"],
        "from": old["version"],
        "previous": previous[0]["version"] if previous else None,
    }


def _current(models: Store) -> tuple[dict[str, Any] | None, str | None]:
    try:
        current, found = read_document(models, CURRENT, "current")
    except AbsentError:
        return None, None
    return current, found.etag


def _reference(current: dict[str, Any]) -> dict[str, Any]:
    return {"version": current["version"], "manifest": current["manifest"]}


def _last(current: dict[str, Any]) -> str | None:
    return str(current["previous"][0]["version"]) if current["previous"] else None


def _move(models: Store, to: dict[str, Any], previous: list[dict[str, Any]], etag: str | None) -> None:
    current = {"schema": "current/1", **to, "published": documents.now(), "previous": previous}
    try:
        models.replace(CURRENT, documents.dump(current), etag)
    except ConflictError:
        raise JobError(
            f"{models.uri(CURRENT)} was moved by somebody else meanwhile; look, and run this again."
        ) from None
