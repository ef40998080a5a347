from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from app import documents, lake, records
from app.calls import CallsError
from app.forget import Place, copies, forget
from app.jobs import JobError
from app.records import Feedback, Prediction
from app.store import DeniedError, Object, Store

if TYPE_CHECKING:
    from tests.app.conftest import Stores

WHO, OTHER, THIRD = "a" * 32, "b" * 32, "c" * 32
MODEL = "d" * 16
TODAY = datetime.now(UTC).date()
HEADER = "Id,Row,Time,Height(Inches),Weight(Pounds)\n"


def predicted(id_: str) -> bytes:
    return records.line(Prediction(id_, f"{TODAY}T15:00:00.123Z", [68.0, 70.5], [127.1, 134.6], MODEL))


def told(id_: str, row: int) -> bytes:
    return records.line(Feedback(id_, row, f"{TODAY}T16:00:00.123Z", 131.5))


def labelled(*ids: str) -> bytes:
    return (HEADER + "".join(f"{id_},0,{TODAY}T16:00:00.123Z,68.0,131.5\n" for id_ in ids)).encode()


class Memory(Store):
    """A bucket with versions, in memory: quick enough for a run for each kill."""

    def __init__(self, root: str, prefix: str) -> None:
        self.root, self.prefix = root, prefix
        self.versions: dict[str, list[bytes]] = {}

    def read_if_changed(self, key: str, etag: str | None, limit: int = 1 << 26) -> Object | None:
        if key not in self.versions:
            raise self._absent(key)
        return Object(self.versions[key][-1], "")

    def list(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.versions if key.startswith(prefix)))

    def replace(self, key: str, data: bytes, etag: str | None) -> None:
        raise NotImplementedError

    def write(self, key: str, data: bytes) -> None:
        self.versions.setdefault(key, []).append(data)

    def delete(self, key: str) -> None:
        self.versions.pop(key, None)


class InMemory(NamedTuple):
    """What Stores are, in memory."""

    data: Memory
    models: Memory
    lake: Memory


@pytest.fixture
def filled(stores: Stores) -> Stores:
    """Buckets with people in them."""
    fill(stores)
    return stores


def fill(stores: Stores | InMemory) -> None:
    """Three people in the lake, two of them in a data version that one model was fitted to, another one in another."""
    where = f"date={TODAY}/hour=15"
    stores.lake.write(f"predictions/{where}/1.jsonl", predicted(OTHER) + predicted(WHO))
    stores.lake.write(f"predictions/{where}/1.jsonl", predicted(OTHER) + predicted(WHO) + predicted(THIRD))
    stores.lake.write(f"predictions/{where}/2.jsonl", predicted(WHO))
    stores.lake.write(f"feedback/{where}/3.jsonl", told(WHO, 0) + told(OTHER, 0) + told(WHO, 1))
    stores.lake.write(f"feedback/{where}/4.jsonl", told(THIRD, 0))
    for number, ids in enumerate([(WHO, OTHER), (OTHER, THIRD), (WHO,)]):
        version, model = f"{number + 1:016x}", f"{number + 0xA:016x}"
        stores.data.write(f"versions/{version}/people.csv", b"a table without ids")
        stores.data.write(f"labels/{version}/labels.csv", labelled(*ids))
        stores.data.write(f"versions/{version}/manifest.json", b"{}\n")
        labels = {"version": version, "sha256": "e" * 64, "rows": len(ids)}
        manifest = {"data": {"version": "0" * 16, "sha256": "e" * 64}, "labels": labels}
        stores.models.write(f"versions/{model}/manifest.json", documents.dump(manifest))


def everything(stores: Stores | InMemory) -> Iterator[tuple[str, bytes]]:
    """Every version of every object of both buckets, those that are over with them: its key and its bytes."""
    if isinstance(stores, InMemory):
        yield from ((key, body) for store in stores for key, bodies in store.versions.items() for body in bodies)
        return
    for bucket in ("data", "models"):
        page = stores.s3.list_object_versions(Bucket=bucket)
        for row in page.get("Versions", []):
            body = stores.s3.get_object(Bucket=bucket, Key=row["Key"], VersionId=row["VersionId"])["Body"].read()
            yield row["Key"], body


def assert_forgotten(stores: Stores | InMemory) -> None:
    """Nothing of WHO is left in any version of any object, and everything of the others is there, once."""
    assert not [key for key, body in everything(stores) if WHO.encode() in body + key.encode()]
    assert sorted(each.id for each in lake.read(stores.lake, "predictions", TODAY)) == [OTHER, THIRD]
    assert sorted(each.id for each in lake.read(stores.lake, "feedback", TODAY)) == [OTHER, THIRD]
    labels = [stores.data.read(f"labels/{number:016x}/labels.csv").data for number in (1, 2, 3)]
    assert labels == [labelled(OTHER), labelled(OTHER, THIRD), labelled()]
    assert [key for key in stores.data.list("") if "forgetting" in key or "next-" in key] == []
    assert len([key for key in stores.data.list("") if key.endswith("people.csv")]) == 3


SAW = {"data": [f"{1:016x}", f"{3:016x}"], "models": [f"{0xA:016x}", f"{0xC:016x}"]}


def test_one_persons_rows_go_with_all_their_versions_and_the_models_that_saw_them_are_named(filled: Stores) -> None:
    answer = forget(WHO, filled.data, filled.models, filled.lake)
    assert answer["removed"] == {"predictions": 2, "feedback": 2, "labels": 2, "copies": 0, "calls": 0}
    assert {name: answer[name] for name in SAW} == SAW
    assert answer["unread"] == 0
    assert_forgotten(filled)


def test_the_record_of_the_deed_holds_no_personal_data(filled: Stores) -> None:
    answer = forget(WHO, filled.data, filled.models, filled.lake)
    (key,) = filled.data.list("labels/forgotten/")
    record = json.loads(filled.data.read(key).data)
    assert answer["record"] == filled.data.uri(key)
    assert set(record) == {"schema", "time", "removed", "unread", "data", "models"}
    hashed = documents.sha256(b"forget " + WHO.encode())
    for where, body in everything(filled):
        assert hashed not in where + body.decode()  # neither the id nor what could be compared with it
    mark = json.loads(filled.data.read(f"labels/{1:016x}/forgotten.json").data)
    assert mark == {"schema": "forgotten-rows/1", "labels": documents.sha256(labelled(OTHER)), "forgotten": 1}


def test_forgetting_again_changes_nothing(filled: Stores) -> None:
    forget(WHO, filled.data, filled.models, filled.lake)
    before = sorted(everything(filled))
    again = forget(WHO, filled.data, filled.models, filled.lake)
    assert again["removed"] == {"predictions": 0, "feedback": 0, "labels": 0, "copies": 0, "calls": 0}
    assert (again["models"], again["record"]) == ([], None)
    assert sorted(everything(filled)) == before


def test_the_record_in_the_functions_table_goes_too_and_is_counted(filled: Stores) -> None:
    asked: list[str] = []

    def calls(prediction: str) -> int:
        asked.append(prediction)
        return 1

    answer = forget(WHO, filled.data, filled.models, filled.lake, calls=calls)
    assert (asked, answer["removed"]["calls"], answer["removed"]["labels"]) == ([WHO], 1, 2)
    again = forget(THIRD, filled.data, filled.models, None, calls=calls)
    assert again["record"] is not None  # a record alone is a deed as well


def test_a_table_that_is_away_is_asked_again_by_the_next_run(filled: Stores) -> None:
    def away(_: str) -> int:
        raise CallsError("The table is away.")

    with pytest.raises(CallsError, match="away"):
        forget(WHO, filled.data, filled.models, filled.lake, calls=away)
    answer = forget(WHO, filled.data, filled.models, filled.lake, calls=lambda _: 1)
    assert answer["removed"]["calls"] == 1
    assert_forgotten(filled)


def test_two_people_are_forgotten_one_after_the_other(filled: Stores) -> None:
    forget(WHO, filled.data, filled.models, filled.lake)
    forget(OTHER, filled.data, filled.models, filled.lake)
    assert [each.id for each in lake.read(filled.lake, "predictions", TODAY)] == [THIRD]
    assert not [key for key, body in everything(filled) if OTHER.encode() in body or WHO.encode() in body]
    mark = json.loads(filled.data.read(f"labels/{1:016x}/forgotten.json").data)
    assert mark["forgotten"] == 2


class Killed(BaseException):
    """Stands in for a kill: nothing of ours catches it."""


class Dying(Store):
    """A store whose process is killed around its `at`-th change: before it is made, or right after."""

    changes = 0

    def __init__(self, store: Store, at: int, after: bool) -> None:
        self.root, self.prefix = store.root, store.prefix
        self._store, self._at, self._after = store, at, after

    def _change(self, change: Any) -> None:
        Dying.changes += 1
        if Dying.changes == self._at and not self._after:
            raise Killed
        change()
        if Dying.changes == self._at:
            raise Killed

    def read_if_changed(self, key: str, etag: str | None, limit: int = 1 << 26) -> Object | None:
        return self._store.read_if_changed(key, etag, limit)

    def list(self, prefix: str) -> Iterator[str]:
        return self._store.list(prefix)

    def replace(self, key: str, data: bytes, etag: str | None) -> None:
        self._change(lambda: self._store.replace(key, data, etag))

    def write(self, key: str, data: bytes) -> None:
        self._change(lambda: self._store.write(key, data))

    def delete(self, key: str) -> None:
        self._change(lambda: self._store.delete(key))


def dying(stores: Stores | InMemory, at: int, after: bool) -> tuple[Store, Store, Store]:
    """Data, models and lake, which end together."""
    return Dying(stores.data, at, after), Dying(stores.models, at, after), Dying(stores.lake, at, after)


CHANGES = 18  # of a whole run


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, CHANGES + 1))
def test_a_run_that_is_killed_is_finished_by_the_next_one(
    at: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = InMemory(Memory("data", "people/"), Memory("models", ""), Memory("data", "lake/"))
    fill(filled)
    monkeypatch.setattr("app.forget.READERS", 1)
    Dying.changes = 0
    with pytest.raises(Killed):
        forget(WHO, *dying(filled, at, after))
    assert Dying.changes == at
    found = {each.id for each in lake.read(filled.lake, "predictions", TODAY)}
    assert {OTHER, THIRD} <= found  # what is others' is there all the time
    answer = forget(WHO, *filled)
    assert_forgotten(filled)
    done = [json.loads(filled.data.read(key).data) for key in filled.data.list("labels/forgotten/")]
    assert {name: (done[0] if (at, after) == (CHANGES, True) else answer)[name] for name in SAW} == SAW


def test_the_kills_were_tried_at_every_change(filled: Stores) -> None:
    Dying.changes = 0
    forget(WHO, *dying(filled, 10_000, after=False))
    assert Dying.changes == CHANGES


@pytest.mark.parametrize("id_", ["", "a", "A" * 32, "../" + "a" * 29, "a" * 33, "a" * 32 + "\n"])
def test_what_is_no_id_is_refused(filled: Stores, id_: str) -> None:
    with pytest.raises(JobError, match="32 hexadecimal digits"):
        forget(id_, filled.data, filled.models, filled.lake)


def test_an_id_that_nobody_had_changes_nothing(filled: Stores) -> None:
    before = sorted(everything(filled))
    answer = forget("f" * 32, filled.data, filled.models, filled.lake)
    assert answer["record"] is None
    assert sorted(everything(filled)) == before


def test_hostile_objects_of_the_lake_stop_nothing(filled: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.lake.write(f"predictions/date={TODAY}/hour=15/large.jsonl", predicted(OTHER) * 100)
    filled.lake.write("predictions/strange name", b"\xff\n" + predicted(WHO))
    filled.lake.write(f"feedback/date={TODAY}/hour=15/bad.jsonl", b"no JSON " + WHO.encode() + b"\xff\n\n")
    monkeypatch.setattr("app.forget.MAX_OBJECT", 5_000)
    answer = forget(WHO, filled.data, filled.models, filled.lake)
    assert answer["unread"] == 1
    assert answer["removed"]["predictions"] == 3
    filled.lake.delete(f"predictions/date={TODAY}/hour=15/large.jsonl")
    assert_forgotten(filled)


def test_without_a_lake_the_labelled_rows_go(filled: Stores) -> None:
    answer = forget(WHO, filled.data, filled.models, None)
    assert answer["removed"] == {"predictions": 0, "feedback": 0, "labels": 2, "copies": 0, "calls": 0}
    assert answer["models"] == SAW["models"]


def test_the_copy_in_another_region_is_cleaned_with_its_versions(filled: Stores) -> None:
    there = InMemory(Memory("copy", "people/"), Memory("none", ""), Memory("copy", "lake/"))
    fill(there)
    answer = forget(WHO, filled.data, filled.models, filled.lake, [Place(there.data, there.lake)])
    assert answer["removed"] == {"predictions": 2, "feedback": 2, "labels": 2, "copies": 6, "calls": 0}
    assert_forgotten(filled)
    assert_forgotten(there)


def test_a_copy_is_named_by_its_variables(s3: object) -> None:
    assert copies({"DATA_STORE": "s3://data/people/"}) == []
    ((data, lake_),) = copies({"DATA_STORE_COPY": "s3://copy/people/", "LAKE_COPY": "s3://copy/lake/"})
    assert lake_ is not None
    assert (data.uri(), lake_.uri()) == ("s3://copy/people/", "s3://copy/lake/")
    ((_, none),) = copies({"DATA_STORE_COPY": "s3://copy/people/"})
    assert none is None


def test_a_manifest_that_is_none_is_an_error_and_nothing_goes(filled: Stores) -> None:
    filled.models.write(f"versions/{1:016x}/manifest.json", b"[]")
    before = sorted(everything(filled))
    with pytest.raises(JobError, match="what this model saw cannot be told"):
        forget(WHO, filled.data, filled.models, filled.lake)
    assert sorted(everything(filled)) == before


def test_a_missing_right_is_no_absence(filled: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> Any:
        raise DeniedError("it may not be read")

    for store in (filled.lake, filled.data):
        with monkeypatch.context() as patched:
            patched.setattr(store, "read", denied)
            with pytest.raises(DeniedError):
                forget(WHO, filled.data, filled.models, filled.lake)
