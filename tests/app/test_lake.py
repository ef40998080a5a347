from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app import documents, records
from app import lake as lake_module
from app.lake import Lake, read
from app.records import Feedback, Prediction
from app.spool import SpoolError
from app.store import StoreError

if TYPE_CHECKING:
    from tests.app.conftest import Stores

ROOT = Path(__file__).parents[2]
LINE = records.line(Prediction("c" * 32, "2026-11-21T15:00:00.123Z", [68.0], [127.1], "a" * 16))


class Recorder:
    """Stands in for a store, and counts what becomes of lines."""

    def __init__(self) -> None:
        self.away = False
        self.objects: dict[str, bytes] = {}
        self.writes: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.open = threading.Event()
        self.open.set()

    def write(self, key: str, data: bytes) -> None:
        if not self.open.wait(60):
            self.outcomes["was waited for"] += 1
        if self.away:
            raise StoreError("it is away")
        self.objects[key] = data
        self.writes[key] += 1

    def uri(self, key: str = "") -> str:
        return f"s3://data/lake/{key}"

    def count(self, outcome: str, lines: int) -> None:
        self.outcomes[outcome] += lines

    def lake(self, spool: Path, **settings: Any) -> Lake:
        """One that sends at once; the test starts it."""
        return Lake(self, spool, self.count, **{"seconds": 0.02, **settings})  # type: ignore[arg-type] # what a lake uses

    def lines(self) -> list[bytes]:
        return [line for _, data in sorted(self.objects.items()) for line in data.splitlines()]


@pytest.fixture
def store() -> Recorder:
    return Recorder()


def numbered(number: int, size: int = 0) -> bytes:
    return b'{"time":"2026-11-21T15:00:00.123Z","number":%d,"fill":"%s"}\n' % (number, b"x" * size)


def until(condition: Any, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return bool(condition())


def on_disk(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*.seg"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def test_lines_become_objects_under_their_kind_date_and_hour(stores: Stores, tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    lake = Lake(stores.lake, tmp_path, lambda outcome, n: outcomes.update({outcome: n}), seconds=30)
    lake.start()
    for number in range(3):
        lake.append("predictions", numbered(number))
    feedback = Feedback("c" * 32, 0, "2026-11-21T16:00:00.000Z", 131.5)
    lake.append("feedback", records.line(feedback))
    lake.stop()

    told, predicted = sorted(stores.keys("data"))
    assert told.startswith("lake/feedback/date=2026-11-21/hour=16/")
    assert predicted.startswith("lake/predictions/date=2026-11-21/hour=15/")
    assert lake_module.KEY.fullmatch(told.removeprefix("lake/"))
    assert lake_module.KEY.fullmatch(predicted.removeprefix("lake/"))
    data = stores.s3.get_object(Bucket="data", Key=predicted)["Body"].read()
    assert data == b"".join(map(numbered, range(3)))
    assert outcomes == {"written": 4}
    assert on_disk(tmp_path) == 0


def test_what_is_appended_is_sent_when_it_is_due_without_a_stop(store: Recorder, tmp_path: Path) -> None:
    lake = store.lake(tmp_path)
    lake.append("predictions", LINE)  # before the start, too
    lake.start()
    assert until(lambda: store.outcomes["written"] == 1)
    lake.append("predictions", LINE)
    assert until(lambda: store.outcomes["written"] == 2)
    assert len(store.objects) == 2  # each under a name of its own
    lake.stop()


def test_a_full_segment_is_sent_before_it_is_due(store: Recorder, tmp_path: Path) -> None:
    lake = store.lake(tmp_path, seconds=60, most_bytes=64 * 1024)  # 8 KiB each
    lake.start()
    for number in range(20):
        lake.append("predictions", numbered(number, 1_000))
        time.sleep(0.002)
    assert until(lambda: store.outcomes["written"] >= 7, 3)
    lake.stop()
    assert sorted(store.lines()) == sorted(numbered(number, 1_000).strip() for number in range(20))


def test_nothing_is_sent_twice_and_nothing_is_lost_by_many_threads(store: Recorder, tmp_path: Path) -> None:
    lake = store.lake(tmp_path)
    lake.start()

    def append(start: int) -> None:
        for number in range(start, start + 2_000):
            lake.append("predictions", numbered(number, 50))

    threads = [threading.Thread(target=append, args=(2_000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lake.stop()
    assert sorted(store.lines()) == sorted(numbered(number, 50).strip() for number in range(8_000))
    assert store.outcomes == {"written": 8_000}
    assert set(store.writes.values()) == {1}


def test_an_append_waits_for_no_store_and_no_disk(
    store: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.open.clear()  # writes hang
    lake = store.lake(tmp_path, most_bytes=1024 * 1024)
    lake.start()
    disk = threading.Event()

    def pwrite(_: int, data: bytes, __: int) -> int:  # so does the disk
        if not disk.wait(60):
            store.outcomes["was waited for"] += 1
        return len(data)

    monkeypatch.setattr("app.spool.os.pwrite", pwrite)
    for number in range(30_000):
        lake.append("predictions", numbered(number, 50))
    store.open.set()
    disk.set()
    lake.stop()
    assert "was waited for" not in store.outcomes
    assert store.outcomes["dropped"] > 0  # what fits nowhere is counted
    assert sum(store.outcomes.values()) == 30_000


def test_a_store_that_is_away_loses_nothing(store: Recorder, tmp_path: Path) -> None:
    store.away = True
    lake = store.lake(tmp_path)
    lake.start()
    for number in range(100):
        lake.append("predictions", numbered(number))
        if number % 25 == 0:
            time.sleep(0.05)
    assert store.outcomes == {}
    store.away = False
    assert until(lambda: store.outcomes["written"] == 100)
    lake.stop()
    assert sorted(store.lines()) == sorted(numbered(number).strip() for number in range(100))


def test_what_waits_on_disk_is_bounded_and_the_oldest_goes(store: Recorder, tmp_path: Path) -> None:
    store.away = True
    most = 512 * 1024
    lake = store.lake(tmp_path, most_bytes=most)
    lake.start()
    largest, number = 0, 0
    while number < 4_000:  # 4 MB
        for _ in range(20):
            lake.append("predictions", numbered(number, 1_000))
            number += 1
        largest = max(largest, on_disk(tmp_path), lake.waiting())
        time.sleep(0.001)
    assert most / 2 < largest <= most
    store.away = False
    lake.stop()
    assert store.outcomes["lost"] > 0
    assert sum(store.outcomes.values()) == number  # each line's end is known
    assert store.outcomes["written"] == len(store.lines())
    assert numbered(number - 1, 1_000).strip() in store.lines()
    assert numbered(0, 1_000).strip() not in store.lines()


def test_several_processes_together_keep_to_the_bound(store: Recorder, tmp_path: Path) -> None:
    store.away = True
    most = 512 * 1024
    lakes = [store.lake(tmp_path, most_bytes=most) for _ in range(3)]
    for lake in lakes:
        lake.start()
    largest = 0
    for number in range(3_000):
        lakes[number % 3].append("predictions", numbered(number, 1_000))
        if number % 20 == 0:
            largest = max(largest, on_disk(tmp_path))
            time.sleep(0.001)
    store.away = False
    for lake in lakes:
        lake.stop()
    assert largest <= most
    assert sum(store.outcomes.values()) == 3_000


def test_a_disk_without_room_costs_records_and_nothing_else(
    store: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("app.spool.os.pwrite", full)
        lake = store.lake(tmp_path, most_bytes=1024 * 1024)
        lake.start()
        for number in range(20_000):
            lake.append("predictions", numbered(number, 50))
        assert until(lambda: store.outcomes["dropped"] > 0)
        assert until(lambda: on_disk(tmp_path) == 0)
    lake.append("predictions", LINE)
    assert until(lambda: store.outcomes["written"] > 0)  # it goes on once there is room
    lake.stop()
    assert sum(store.outcomes.values()) == 20_001


KILLED = """
import os, signal, sys
from pathlib import Path
from app.lake import Lake
from tests.app.test_lake import Recorder, numbered
store = Recorder()
store.away = True
lake = store.lake(Path(sys.argv[1]))
lake.start()
for number in range(int(sys.argv[2])):
    lake.append("predictions", numbered(number))
if sys.argv[3] == "now":
    os.kill(os.getpid(), signal.SIGKILL)
print("ready", flush=True)
signal.pause()
"""


def other(folder: Path, lines: int, when: str) -> subprocess.Popen[str]:
    """A process that appends and is killed, at once or later."""
    command = [sys.executable, "-c", KILLED, str(folder), str(lines), when]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_process_that_is_killed_loses_nothing_that_it_appended(store: Recorder, tmp_path: Path) -> None:
    with other(tmp_path, 5_000, "now") as killed:
        assert killed.wait(30) == -signal.SIGKILL
    lake = store.lake(tmp_path)
    lake.start()
    assert until(lambda: store.outcomes["written"] == 5_000)
    lake.stop()
    assert sorted(store.lines()) == sorted(numbered(number).strip() for number in range(5_000))


def test_what_another_process_writes_is_left_to_it_until_it_ends(store: Recorder, tmp_path: Path) -> None:
    with other(tmp_path, 0, "later") as living:
        assert living.stdout is not None
        assert living.stdout.readline() == "ready\n"
        lake = store.lake(tmp_path)
        lake.start()
        folder = next(tmp_path.iterdir())
        assert until(lambda: len(list(folder.glob("*.seg"))) == 4)  # two of each
        time.sleep(0.2)
        assert len(list(folder.glob("*.seg"))) == 4
        living.kill()
        living.wait(10)
    assert until(lambda: len(list(folder.glob("*.seg"))) == 2)
    lake.stop()


def test_a_segment_that_was_sent_just_before_a_kill_is_there_once(store: Recorder, tmp_path: Path) -> None:
    lake = store.lake(tmp_path)
    lake.append("predictions", LINE)
    lake.append("feedback", LINE)
    lake._spool.tend(0.0)
    lake._spool.close()
    segment = lake._spool.take()
    assert segment is not None
    unlink, segment.remove = segment.remove, segment.release  # type: ignore[method-assign] # killed before that
    lake._write(segment)
    del unlink

    again = store.lake(tmp_path)
    again.start()
    again.stop()
    assert sorted(store.writes.values()) == [2, 2]
    assert store.lines() == [LINE.strip()] * 2


def test_a_line_that_a_kill_cut_off_is_left_out(store: Recorder, tmp_path: Path) -> None:
    lake = store.lake(tmp_path)
    lake._spool.tend(0.0)
    lake.append("predictions", LINE)
    lake.append("predictions", LINE[:50])  # no newline
    lake.append("predictions", b"\0" * 10 + LINE[10:])  # its end was written before its start
    lake.start()
    lake.stop()
    assert store.lines() == [LINE.strip()]


def test_a_stop_does_not_wait_for_a_store_that_hangs_and_leaves_what_waits_on_disk(
    store: Recorder, tmp_path: Path
) -> None:
    hanging = Recorder()
    hanging.open.clear()
    lake = hanging.lake(tmp_path)
    lake.start()
    lake.append("predictions", LINE)
    lake.stop(timeout=0.3)  # it would never come back if it waited for the write
    assert hanging.outcomes == {}
    assert lake.waiting() > 0
    lake.append("predictions", LINE)  # harmless
    hanging.away = True
    hanging.open.set()
    assert until(lambda: not lake._sender.is_alive())

    after = store.lake(tmp_path)
    after.start()
    after.stop()
    assert store.lines() == [LINE.strip()]


def test_what_lies_in_the_folder_of_another_lake_is_not_sent_to_this_one(store: Recorder, tmp_path: Path) -> None:
    elsewhere = Recorder()
    elsewhere.away = True
    elsewhere.uri = lambda key="": f"s3://other/{key}"  # type: ignore[method-assign] # of this one alone
    lake = elsewhere.lake(tmp_path)
    lake.start()
    lake.append("predictions", LINE)
    lake.stop()
    mine = store.lake(tmp_path)
    mine.start()
    mine.stop()
    assert store.objects == {}


def test_a_line_without_a_time_still_has_one_place(store: Recorder, tmp_path: Path) -> None:
    lake = store.lake(tmp_path)
    lake.start()
    lake.append("predictions", b"{}\n")
    lake.stop()
    (key,) = store.objects
    assert lake_module.KEY.fullmatch(key)


def test_a_folder_that_cannot_be_used_is_a_sentence(store: Recorder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"cannot hold what waits for the lake: .* Set SPOOL"):
        store.lake(tmp_path / "file")
    (spool := tmp_path / "spool").mkdir()
    folder = spool / documents.sha256(b"s3://data/lake/")[:16]
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(SpoolError, match="is not a folder of this user alone"):
        store.lake(spool)


def test_the_default_folder_is_this_users_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert lake_module.default_spool() == tmp_path / f"spool-{os.getuid()}"


# Reading


def prediction(number: int, moment: datetime) -> Prediction:
    when = moment.isoformat(timespec="milliseconds")[:23] + "Z"
    return Prediction(f"{number:032x}", when, [60.0 + number], [100.0 + number], "a" * 16)


@pytest.fixture
def days() -> list[date]:
    today = datetime.now(UTC).date()
    return [today - timedelta(days=number) for number in (2, 1, 0)]


@pytest.fixture
def filled(stores: Stores, days: list[date]) -> Stores:
    """A prediction in each of six hours of three days, numbered in the order of time."""
    for number in range(6):
        moment = datetime.combine(days[number // 2], datetime.min.time(), UTC) + timedelta(hours=9 * (number % 2))
        one = records.line(prediction(2 * number, moment)) + records.line(prediction(2 * number + 1, moment))
        stores.lake.write(f"predictions/date={moment.date()}/hour={moment.hour:02}/{number}.jsonl", one)
    return stores


def test_records_are_read_in_the_order_of_time_and_from_a_day_on(filled: Stores, days: list[date]) -> None:
    assert [int(each.id, 16) for each in read(filled.lake, "predictions", days[0])] == list(range(12))
    assert [int(each.id, 16) for each in read(filled.lake, "predictions", days[1])] == list(range(4, 12))
    assert list(read(filled.lake, "feedback", days[0])) == []


def test_the_newest_come_first_where_that_is_asked_for(
    filled: Stores, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = read(filled.lake, "predictions", days[0], newest=True)
    assert [int(each.id, 16) for each in newest] == list(reversed(range(12)))
    seen: list[str] = []
    really = filled.lake.read

    def noted(key: str, limit: int) -> Any:
        seen.append(key)
        return really(key, limit)

    monkeypatch.setattr(filled.lake, "read", noted)
    assert int(next(read(filled.lake, "predictions", days[0], newest=True)).id, 16) == 11
    assert len(seen) == 1  # who wants a few reads a few


def test_hostile_lines_and_objects_are_left_out_and_counted(
    filled: Stores, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = records.line(prediction(30, datetime.now(UTC)))
    place = f"predictions/date={days[2]}/hour=23"
    bad = [b"\xff\xfe\n", b"[]\n", b"\n", good.replace(b'"heights":[', b'"heights":[1e999,'), b"{" * 70_000 + b"\n"]
    filled.lake.write(f"{place}/bad.jsonl", b"".join(bad) + good + good[:40])
    filled.lake.write(f"{place}/large.jsonl", good * 3_000)
    filled.lake.write(f"{place}/notes.txt", good)
    filled.lake.write(f"{place}/deep/er.jsonl", good)
    filled.lake.write("predictions/date=2999-01-01/hour=00/future.jsonl", good)
    monkeypatch.setattr(lake_module, "MAX_OBJECT", 300_000)
    for newest in (False, True):
        counts: Counter[str] = Counter()
        found = list(read(filled.lake, "predictions", days[0], newest=newest, count=counts))
        assert sorted(int(each.id, 16) for each in found) == [*range(12), 30]
        assert counts == {"objects": 7, "bad_objects": 1, "lines": 13, "bad_lines": 6}


def test_an_object_that_goes_while_the_lake_is_read_is_left_out(
    filled: Stores, days: list[date], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read(filled.lake, "predictions", days[0])
    next(found)
    for key in list(filled.lake.list("predictions/"))[1:]:
        filled.lake.delete(key)
    assert len(list(found)) == 1


def test_a_lake_that_cannot_be_read_is_an_error(stores: Stores, days: list[date]) -> None:
    stores.s3.delete_bucket(Bucket="data")
    with pytest.raises(StoreError, match=r"s3://data/lake/predictions/date=.* could not be listed: NoSuchBucket"):
        list(read(stores.lake, "predictions", days[0]))
