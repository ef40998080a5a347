"""The registry: what the model store holds of each version, which one is served, and which one was before.

    versions/MODEL/model.json       the model; MODEL is the start of its SHA-256
    versions/MODEL/card.json        what people should know of it; reference.json: what a next one is compared on
    versions/MODEL/manifest.json    written last: lineage (data, labels, code, parameters) and the others' SHA-256
    candidate.json, current.json    pointers: the SHA-256 of a manifest, which names that of its model

What is served can so be checked from the top: pointer, manifest, and all that the manifest names.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from app import documents, model
from app.documents import DocumentError
from app.model import Model, version_of
from app.store import AbsentError, ConflictError, Object, Store, StoreError

CURRENT = "current.json"
CANDIDATE = "candidate.json"
KEPT = 20  # versions that `current.json` remembers for rollback
_MANIFEST = re.compile(r"versions/[0-9a-f]{16}/manifest\.json", re.ASCII)


class JobError(Exception):
    """A step refused to go on; the message is a sentence that says why and what to do."""


class Version(NamedTuple):
    """A version of a model as the store has it: its manifest is what the pointer named, its model what
    the manifest names."""

    version: str
    manifest_sha256: str
    manifest: dict[str, Any]
    model: Model

    @property
    def reference(self) -> tuple[str, str]:
        """What a pointer to it says: the version, and the SHA-256 of its manifest."""
        return self.version, self.manifest_sha256


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


def load_card(models: Store, version: str) -> dict[str, Any]:
    """The version's card, as schemas/card.schema.json has it. Raises StoreError, JobError."""
    return _named_by_manifest(models, version, "card")


def load_reference(models: Store, version: str) -> list[tuple[float, float, int]]:
    """Groups of people whom the version had not seen: mean height (in), mean weight (lb), how many they are.

    A neighbourhood of heights is two groups, its lighter and its heavier half, so that errors on the groups have a
    size of their own and not only their bias. Empty if fewer than ten were held out. Raises StoreError, JobError.
    """
    groups = _named_by_manifest(models, version, "reference")["groups"]
    return [(group["height"], group["weight"], group["people"]) for group in groups]


def _named_by_manifest(models: Store, version: str, name: str) -> dict[str, Any]:
    manifest, _ = read_document(models, key(version, "manifest.json"), "model-manifest")
    document, found = read_document(models, key(version, f"{name}.json"), name)
    if documents.sha256(found.data) != manifest[name]:
        raise JobError(f"{models.uri(key(version, f'{name}.json'))} is not the one that the manifest names.")
    return document


def known_version(models: Store, version: str) -> Version:
    """The version that a person named. Raises StoreError, JobError."""
    try:
        return load_version(models, version)
    except AbsentError as error:
        raise JobError(f"There is no model version {version}: {error}") from None


def rollback(models: Store) -> dict[str, Any]:
    """Serves the version again that was served before the current one, which is withdrawn: only `promote` brings it
    back. Returns what is printed."""
    pointer, etag = read_current(models)
    if pointer is None:
        raise JobError(f"Nothing was published in {models.uri()} yet, so there is nothing to roll back.")
    if not pointer["previous"]:
        raise JobError(f"Model {pointer['version']} is the first one published: there is none before it.")
    before, *previous = pointer["previous"]
    back = load_version(models, before["version"], before["manifest"])  # never back to one that is damaged
    withdrawn = [pointer["version"], *(one for one in pointer["withdrawn"] if one != pointer["version"])]
    _move(models, back, previous, withdrawn, etag)
    return {
        "version": back.version,
        "from": pointer["version"],
        "previous": previous[0]["version"] if previous else None,
    }


def promote(models: Store, version: str) -> dict[str, Any]:
    """Serves a version because a person says so, whatever its judgement was and even if it was withdrawn. Returns what
    is printed. Raises JobError if it was never evaluated: nobody should promote what nobody has measured."""
    chosen = known_version(models, version)
    pointer, etag = read_current(models)
    if pointer is not None and reference(pointer) == chosen.reference:
        return {"version": version, "created": False, "previous": last(pointer)}
    try:
        read_document(models, key(version, "evaluation.json"), "evaluation")
    except AbsentError as error:
        raise JobError(
            f"Model {version} was not evaluated ({error}) Run `python -m app evaluate --version {version}` first."
        ) from None
    return {"version": version, "created": True, "previous": last(serve(models, chosen, pointer, etag))}


def serve(models: Store, chosen: Version, pointer: dict[str, Any] | None, etag: str | None) -> dict[str, Any]:
    """Makes a version the current one after `pointer`, whose tag is `etag`. Returns the new pointer."""
    previous = (
        [{"version": pointer["version"], "manifest": pointer["manifest"]}, *pointer["previous"]] if pointer else []
    )
    withdrawn = [one for one in pointer["withdrawn"] if one != chosen.version] if pointer else []
    return _move(models, chosen, previous, withdrawn, etag)


def read_current(models: Store) -> tuple[dict[str, Any] | None, str | None]:
    """The document `current.json` and its tag; None and None if nothing was published yet."""
    try:
        pointer, found = read_document(models, CURRENT, "current")
    except AbsentError:
        return None, None
    return pointer, found.etag


def reference(pointer: dict[str, Any]) -> tuple[str, str]:
    """What a pointer points to: a version, and the SHA-256 of its manifest."""
    return pointer["version"], pointer["manifest"]


def last(pointer: dict[str, Any]) -> str | None:
    """The version that was served before the one that `pointer` names."""
    return str(pointer["previous"][0]["version"]) if pointer["previous"] else None


def _move(
    models: Store, to: Version, previous: list[dict[str, Any]], withdrawn: list[str], etag: str | None
) -> dict[str, Any]:
    pointer = {
        "schema": "current/1",
        "version": to.version,
        "manifest": to.manifest_sha256,
        "published": documents.now(),
        "previous": previous[:KEPT],
        "withdrawn": withdrawn[:KEPT],
    }
    try:
        models.replace(CURRENT, documents.dump(pointer), etag)
    except ConflictError:
        raise JobError(
            f"{models.uri(CURRENT)} was moved by somebody else meanwhile; look, and run this again."
        ) from None
    return pointer


def write_if_other(models: Store, name: str, content: bytes) -> None:
    """Writes an object that may change; writes nothing if it is there already. Of two at once, the last one wins."""
    try:
        if models.read(name, model.MAX_BYTES).data == content:
            return
    except AbsentError:
        pass
    models.write(name, content)


def models_list(models: Store) -> list[dict[str, Any]]:
    """Every version, newest first, with its state (`current`, `previous`, `withdrawn`, `candidate`, or none of these)
    and what its manifest, its evaluation and its judgement say. A version that is damaged has its `trouble` instead.

    The store must let itself be listed. Raises StoreError.
    """
    pointer, _ = read_current(models)
    try:
        candidate = read_document(models, CANDIDATE, "candidate")[0]["version"]
    except AbsentError:
        candidate = None
    names = {name.split("/")[1] for name in models.list("versions/") if _MANIFEST.fullmatch(name)}
    rows = [_row(models, name, _state(name, pointer, candidate)) for name in sorted(names)]
    return sorted(rows, key=lambda row: row.get("created", ""), reverse=True)


def _state(version: str, pointer: dict[str, Any] | None, candidate: str | None) -> str | None:
    if pointer and pointer["version"] == version:
        return "current"
    if pointer and version in pointer["withdrawn"]:
        return "withdrawn"
    if pointer and last(pointer) == version:
        return "previous"
    return "candidate" if version == candidate else None


def _row(models: Store, version: str, state: str | None) -> dict[str, Any]:
    try:
        found = load_version(models, version)
    except (JobError, StoreError) as error:
        return {"version": version, "state": state, "trouble": str(error)}
    evaluation, judgement = (
        _if_there(models, key(version, f"{name}.json"), name) for name in ("evaluation", "judgement")
    )
    return {
        "version": version,
        "state": state,
        "created": found.manifest["created"],
        "data": found.manifest["data"]["version"],
        "rows": found.model.rows,
        "labelled": found.model.labelled,
        "rmse": evaluation["metrics"]["rmse"] if evaluation else None,
        "why": judgement["why"] if judgement else None,
    }


def models_show(models: Store, version: str | None = None) -> dict[str, Any]:
    """A version's lineage and judgement (the current one's, if none is named): manifest, model, evaluation, judgement.

    Raises StoreError, JobError.
    """
    pointer, _ = read_current(models)
    if version is None:
        if pointer is None:
            raise JobError(f"Nothing was published in {models.uri()} yet; name a version.")
        version = pointer["version"]
    found = known_version(models, version)
    margin = found.model.margin()
    return {
        "version": version,
        "state": _state(version, pointer, None),
        "manifest": found.manifest,
        "model": {**documents.parse(found.model.to_json()), "margin": margin},
        **{name: _if_there(models, key(version, f"{name}.json"), name) for name in ("evaluation", "judgement")},
    }


def _if_there(models: Store, name: str, schema: str) -> dict[str, Any] | None:
    try:
        return read_document(models, name, schema)[0]
    except AbsentError:
        return None
