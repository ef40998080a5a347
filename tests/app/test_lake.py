from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.app.conftest import Stores


from app.lake import Lake
from app.store import StoreError


class Recorder:
    """Stands in for a store, and counts what becomes of records."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.attempts = failures, 0
        self.objects: dict[str, bytes] = {}
        self.outcomes: Counter[str] = Counter()
        self.open = threading.Event()
        self.open.set()

    def write(self, key: str, data: bytes) -> None:
        self.open.wait(10)
        self.attempts += 1
        if self.attempts <= self.failures:
            raise StoreError("it is away")
        self.objects[key] = data

    def uri(self, key: str) -> str:
        return key

    def count(self, outcome: str, records: int) -> None:
        self.outcomes[outcome] += records

    def lake(self, **settings: Any) -> Lake:
        lake = Lake(self, self.count, **{"seconds": 0.01, **settings})  # type: ignore[arg-type] # it has what a lake uses
        lake.start()
        return lake


def record(day: int = 1, **more: Any) -> dict[str, Any]:
    return {"time": f"2026-11-{day:02}T23:59:59.999+00:00", **more}


def until(condition: Any, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return bool(condition())


def test_records_become_json_lines_under_their_date(stores: Stores) -> None:
    outcomes: Counter[str] = Counter()
    lake = Lake(stores.lake, lambda outcome, n: outcomes.update({outcome: n}), seconds=30)
    lake.start()
    for number in range(3):
        lake.append(record(number=number))
    lake.append(record(day=2, number=3))
    lake.stop()
    first, second = sorted(stores.keys("data"))
    assert first.startswith("lake/predictions/date=2026-11-01/")
    assert second.startswith("lake/predictions/date=2026-11-02/")
    lines = stores.s3.get_object(Bucket="data", Key=first)["Body"].read().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [0, 1, 2]
    assert outcomes == {"written": 4}


def test_a_batch_is_written_when_it_is_due_without_a_stop() -> None:
    store = Recorder()
    lake = store.lake(seconds=0.05)
    lake.append(record())
    assert until(lambda: store.outcomes["written"] == 1)
    lake.append(record())
    assert until(lambda: len(store.objects) == 2)  # each batch has a key of its own
    lake.stop()


def test_a_full_batch_does_not_wait_until_it_is_due() -> None:
    store = Recorder()
    lake = store.lake(seconds=60, batch=10)
    for _ in range(25):
        lake.append(record())
    assert until(lambda: store.outcomes["written"] == 20)
    lake.stop()
    assert sorted(data.count(b"\n") for data in store.objects.values()) == [5, 10, 10]


def test_appending_never_waits_and_what_does_not_fit_is_counted() -> None:
    store = Recorder()
    store.open.clear()  # writes hang
    lake = store.lake(batch=1, capacity=5)
    lake.append(record())
    assert until(lake._queue.empty)
    for _ in range(100):
        lake.append(record())  # while writes hang: an append that waited would never come back
    assert store.outcomes["dropped"] >= 90
    store.open.set()
    lake.stop()
    assert store.outcomes["dropped"] + store.outcomes["written"] == 101


def test_a_store_that_comes_back_gets_the_batch() -> None:
    store = Recorder(failures=2)
    lake = store.lake()
    lake.append(record())
    assert until(lambda: store.outcomes["written"] == 1)
    lake.stop()
    assert store.attempts == 3


def test_what_cannot_be_written_is_counted_and_later_records_still_are() -> None:
    store = Recorder(failures=2)
    lake = store.lake(attempts=2)
    lake.append(record())
    assert until(lambda: store.outcomes["lost"] == 1)
    lake.append(record())
    assert until(lambda: store.outcomes["written"] == 1)
    lake.stop()


def test_a_record_that_is_no_document_does_not_end_the_thread() -> None:
    store = Recorder()
    lake = store.lake()
    lake.append(record(value=float("nan")))
    assert until(lambda: store.outcomes["lost"] == 1)
    lake.append(record())
    assert until(lambda: store.outcomes["written"] == 1)
    lake.stop()


def test_a_stop_does_not_wait_for_a_store_that_hangs() -> None:
    store = Recorder()
    store.open.clear()
    lake = store.lake()
    lake.append(record())
    lake.stop(timeout=0.2)  # it would never come back if it waited for the write
    assert store.outcomes["written"] == 0
    store.open.set()
