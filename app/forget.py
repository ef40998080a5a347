"""Forgetting one person: everything that was written down under one prediction's id, in the lake and in what was
learned from.

    calls        the function's table             the record of the id (app/calls.py)
    lake         predictions/…, feedback/…        each object that has lines of the id is replaced by one without
    data store   labels/DATA/labels.csv           the same, under its own name (app/labels.py says what a row is)
                 labels/DATA/forgotten.json       how many rows went, and the SHA-256 of the labels since
                 labels/forgotten/TIME-RANDOM.json   the deed: how many rows, which data versions, which models
                 labels/forgetting/HASH.json         while it is under way: what a second run must know of the first

Rows go with all the versions of the object that a bucket keeps. A run that is killed is finished by the next one: an
object goes only when the one without the rows is there. None of the records holds a height, a weight or an id; HASH,
of the id, goes at the end. What was forgotten cannot be taken out of a model: the models that saw the rows are named,
and training again, without them, is what helps. Why it is so: docs/adr/0092.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from secrets import token_hex
from typing import Any, NamedTuple

from app import documents
from app.documents import DocumentError
from app.jobs import JobError
from app.lake import MAX_OBJECT
from app.records import KINDS
from app.store import Store, TooLargeError, open_store

LABELS = "labels.csv"  # in a data version
MARK = "forgotten.json"  # beside it
MAX_DOCUMENT = 1024 * 1024  # bytes, of a manifest or of a record of ours
READERS = 8  # objects that are looked at at once

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LABELS_OF = re.compile(rf"labels/(?P<version>[0-9a-f]{{16}})/(next-)?{re.escape(LABELS)}", re.ASCII)
_MANIFEST_OF = re.compile(r"versions/(?P<version>[0-9a-f]{16})/manifest\.json", re.ASCII)
_REWRITTEN = re.compile(r"(?P<name>.+?)(-[0-9a-f]{12}w)?\.jsonl", re.ASCII)


COPY_OF_DATA, COPY_OF_LAKE = "DATA_STORE_COPY", "LAKE_COPY"  # variables, set where there is a copy


class Place(NamedTuple):
    """Where rows are: the data store, and the lake's store if there is one."""

    data: Store
    lake: Store | None


def forget(
    prediction: str,
    data: Store,
    models: Store,
    lake: Store | None,
    others: Sequence[Place] = (),
    *,
    calls: Callable[[str], int] | None = None,
) -> dict[str, Any]:
    """Removes the rows of the call with the id `prediction` (32 hexadecimal digits); returns what the command prints.

    `others` are where another region keeps versions that a removal here does not reach (S3 replication): they are
    cleaned first, as what is written here is copied there. `calls` removes an id from the function's table and says how
    many records that were. The rows of a person are those of all calls that were
    answered for them: one run for each id. Run again with nothing left, it changes nothing. Raises JobError,
    StoreError.
    """
    if not _ID.fullmatch(prediction):
        raise JobError("An id has 32 hexadecimal digits, as /predict answered it.")
    needle = prediction.encode("ascii")
    plan = f"labels/forgetting/{documents.sha256(b'forget ' + needle)}.json"
    before = _read_plan(data, plan)
    known = sorted({*before["data"], *_holding(data, needle)})
    saw = sorted({*before["models"], *_fitted_to(models, set(known))})
    if known:  # written down before the rows go, as they alone tell which versions had them
        data.write(plan, documents.dump({"schema": "forgetting/1", "data": known, "models": saw}))
    removed: Counter[str] = Counter(dict.fromkeys((*KINDS, "labels", "copies", "calls"), 0))
    unread = 0
    if calls is not None:
        removed["calls"] = calls(prediction)
    for copy in others:
        there = _clean(copy, sorted({*known, *_holding(copy.data, needle)}), needle)
        unread += there.pop("unread", 0)
        removed["copies"] += there.total()
    removed.update(_clean(Place(data, lake), known, needle))
    unread += removed.pop("unread", 0)
    answer = {"removed": dict(removed), "unread": unread, "data": known, "models": saw}
    record = _record(data, answer) if known or removed.total() else None
    for place in (*(copy.data for copy in others), data):
        place.delete(plan)
    return {**answer, "record": record}


def copies(environment: Mapping[str, str]) -> list[Place]:
    """The copy that the variables DATA_STORE_COPY and LAKE_COPY name, if there is one. Raises StoreError."""
    data, lake = environment.get(COPY_OF_DATA), environment.get(COPY_OF_LAKE)
    return [Place(open_store(data), open_store(lake) if lake else None)] if data else []


def _clean(place: Place, versions: list[str], needle: bytes) -> Counter[str]:
    """Takes the id's rows out of a lake and out of these data versions; returns how many, and how many objects of the
    lake were too large to be looked at (`unread`)."""
    removed: Counter[str] = Counter()
    for kind in KINDS:
        for lines in _on_each(place.lake, f"{kind}/", needle) if place.lake is not None else ():
            removed["unread" if lines is None else kind] += 1 if lines is None else lines
    for version in versions:
        removed["labels"] += _without(place.data, version, needle)
    return removed


def _read_plan(data: Store, plan: str) -> dict[str, list[str]]:
    """What a run before this one found, if it did not come to its end."""
    content = data.read_if_there(plan, MAX_DOCUMENT)
    if content is None:
        return {"data": [], "models": []}
    try:
        found = documents.parse(content)
        return {name: [str(version) for version in found[name]] for name in ("data", "models")}
    except (DocumentError, KeyError, TypeError) as error:
        raise JobError(f"{data.uri(plan)} is not what was written there: {type(error).__name__}.") from None


def _holding(data: Store, needle: bytes) -> Iterator[str]:
    """The data versions that have labelled rows of the id, or whose labels a run left half replaced."""
    for key in data.list("labels/"):
        found = _LABELS_OF.fullmatch(key)
        if found and needle in _read_labels(data, key):
            yield found["version"]


def _fitted_to(models: Store, data: set[str]) -> Iterator[str]:
    """The model versions whose manifests name one of these data versions."""
    if not data:
        return
    for key in models.list("versions/"):
        found = _MANIFEST_OF.fullmatch(key)
        if not found:
            continue
        try:
            manifest = documents.parse(models.read(key, MAX_DOCUMENT).data)
            origins = {part["version"] for part in (manifest["data"], manifest.get("labels")) if part}
        except (DocumentError, KeyError, TypeError, AttributeError):
            raise JobError(f"{models.uri(key)} is no manifest, so what this model saw cannot be told.") from None
        if origins & data:
            yield found["version"]


def _on_each(store: Store, prefix: str, needle: bytes) -> Iterator[int | None]:
    """How many lines went from each object under the prefix; None for one that cannot be one of the lake's."""
    keys = store.list(prefix)
    with ThreadPoolExecutor(READERS) as pool:
        while some := list(islice(keys, 8 * READERS)):  # each listing is at most a few objects ahead
            yield from pool.map(lambda key: _rewrite(store, key, needle), some)


def _rewrite(store: Store, key: str, needle: bytes) -> int | None:
    """Replaces an object of the lake by one without the lines that have the id; by none if there are no others.

    The new one has a name of its own, the same in each try, and is there before the old one goes: a reader between
    the two finds the others' lines twice, never not at all.
    """
    try:
        content = store.read_if_there(key, MAX_OBJECT)
    except TooLargeError:
        return None
    if content is None or needle not in content:
        return 0
    kept, gone = _parted(content, needle)
    found = _REWRITTEN.fullmatch(key)
    if found is None:  # not a name of ours: what is there goes whole
        store.delete(key)
        return gone
    if kept:
        store.write(f"{found['name']}-{documents.sha256(kept)[:12]}w.jsonl", kept)
    store.delete(key)
    return gone


def _without(data: Store, version: str, needle: bytes) -> int:
    """Takes the id's rows out of a data version's labels; returns how many there were.

    The new labels wait beside the old ones until these are gone with all their versions, then take their name.
    """
    key, waiting = f"labels/{version}/{LABELS}", f"labels/{version}/next-{LABELS}"
    gone = 0
    old = _read_labels(data, key)
    if needle in old:
        kept, gone = _parted(old, needle)
        _write_mark(data, version, kept, gone)
        data.write(waiting, kept)
        data.delete(key)
        data.write(key, kept)
    elif not old and (kept := _read_labels(data, waiting)):  # killed between the two
        data.write(key, kept)
    data.delete(waiting)
    return gone


def _write_mark(data: Store, version: str, kept: bytes, gone: int) -> None:
    key = f"labels/{version}/{MARK}"
    content = data.read_if_there(key, MAX_DOCUMENT)
    try:
        before = 0 if content is None else int(documents.parse(content)["forgotten"])
    except (DocumentError, KeyError, TypeError, ValueError):
        raise JobError(f"{data.uri(key)} is not what was written there.") from None
    mark = {"schema": "forgotten-rows/1", "labels": documents.sha256(kept), "forgotten": before + gone}
    data.write(key, documents.dump(mark))


def _read_labels(data: Store, key: str) -> bytes:
    """The labels, or nothing if there are none."""
    return data.read_if_there(key) or b""


def _parted(content: bytes, needle: bytes) -> tuple[bytes, int]:
    """What is left of lines without those that have the id anywhere, and how many these were. An id is 128 random
    bits, so that no other line has it."""
    lines = content.splitlines(keepends=True)
    kept = [line for line in lines if needle not in line]
    return b"".join(kept), len(lines) - len(kept)


def _record(data: Store, answer: dict[str, Any]) -> str:
    """Writes down that something was forgotten, and nothing of whom; returns where."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    key = f"labels/forgotten/{moment}-{token_hex(4)}.json"
    data.write(key, documents.dump({"schema": "forgotten/1", "time": documents.now(), **answer}))
    return data.uri(key)
