"""The registry: what the model store holds of each version, which one is served, and which one was before.

    versions/MODEL/model.json       the model; MODEL is the start of its SHA-256
    versions/MODEL/card.json        what people should know of it; reference.json: what a next one is compared on
    versions/MODEL/manifest.json    written last: lineage (data, labels, code, parameters) and the others' SHA-256
    candidate.json, current.json    pointers: the SHA-256 of a manifest, which names that of its model

What is served can so be checked from the top: pointer, manifest, and all that the manifest names.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from app import documents, model
from app.documents import DocumentError
from app.model import Model, version_of
from app.store import AbsentError, ConflictError, Object, Store

CURRENT = "current.json"
CANDIDATE = "candidate.json"
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


def rollback(models: Store) -> dict[str, Any]:
    """Serves the version again that was served before the current one. Returns what is printed."""
    old, etag = read_current(models)
    if old is None:
        raise JobError(f"Nothing was published in {models.uri()} yet, so there is nothing to roll back.")
    if not old["previous"]:
        raise JobError(f"Model {old['version']} is the first one published: there is none before it.")
    reference, *previous = old["previous"]
    load_version(models, reference["version"], reference["manifest"])  # never back to one that is damaged
    move(models, reference, previous, etag)
    return {
        "version": reference["version"],
        "from": old["version"],
        "previous": previous[0]["version"] if previous else None,
    }


def read_current(models: Store) -> tuple[dict[str, Any] | None, str | None]:
    try:
        current, found = read_document(models, CURRENT, "current")
    except AbsentError:
        return None, None
    return current, found.etag


def reference(current: dict[str, Any]) -> dict[str, Any]:
    return {"version": current["version"], "manifest": current["manifest"]}


def last(current: dict[str, Any]) -> str | None:
    return str(current["previous"][0]["version"]) if current["previous"] else None


def move(models: Store, to: dict[str, Any], previous: list[dict[str, Any]], etag: str | None) -> None:
    current = {"schema": "current/1", **to, "published": documents.now(), "previous": previous}
    try:
        models.replace(CURRENT, documents.dump(current), etag)
    except ConflictError:
        raise JobError(
            f"{models.uri(CURRENT)} was moved by somebody else meanwhile; look, and run this again."
        ) from None
