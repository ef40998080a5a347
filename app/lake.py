"""The lake: every prediction that was served and every true weight that came back, as JSON lines in the data bucket.

    PREFIX/predictions/date=YYYY-MM-DD/hour=HH/TIME-PROCESS-NUMBER.jsonl     app/records.py says what a line is
    PREFIX/feedback/date=YYYY-MM-DD/hour=HH/TIME-PROCESS-NUMBER.jsonl

No request waits for it and none fails by it: a line goes to the spool on disk (app/spool.py), and a thread sends what
is there. A segment's name is its object's, so what is sent twice, as a process was killed in between, is there once.
Date and hour are those of an object's first line, in UTC.
"""

from __future__ import annotations

import io
import logging
import os
import re
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal, overload

from app import documents, records
from app.documents import DocumentError
from app.records import Feedback, Kind, Prediction, Record
from app.spool import SEGMENT, Segment, Spool
from app.store import Store, StoreError, TooLargeError

log = logging.getLogger("app.lake")

MOST_BYTES = 64 * 1024 * 1024  # on disk
MAX_OBJECT = 8 * 1024 * 1024  # bytes; ours have SEGMENT at most
MAX_KEYS = 100_000  # of an hour, where the newest are wanted first
TICK = 0.1  # seconds between two looks for segments that are due
LONGEST_WAIT = 30.0  # seconds between two tries to reach a store that is away

KEY = re.compile(
    r"(?P<kind>predictions|feedback)/date=(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})/hour=(?P<hour>[0-9]{2})"
    r"/(?P<name>[0-9A-Za-z-]{1,100})\.jsonl",
    re.ASCII,
)
_MARKS: dict[bytes, Kind] = {b"p": "predictions", b"f": "feedback"}
_TIME = re.compile(rb'"time":"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<hour>[0-9]{2})', re.ASCII)


class Lake:
    """Takes lines from any thread and sends them to `store` in the background.

    Lines wait in `spool`, a folder that the processes of a machine share; each lake has a folder of its own in it.
    They are sent `seconds` after the first of them, or when there are many. `count(outcome, n)` is told of each line's
    end, from a thread of the lake's: `written`, `dropped` (there was no room for it) or `lost` (it made room for newer
    ones, as more than `most_bytes` waited on disk). Raises SpoolError if the folder cannot be used. Make it in the
    process that uses it, after a fork.
    """

    def __init__(
        self,
        store: Store,
        spool: Path,
        count: Callable[[str, int], None],
        *,
        seconds: float = 2.0,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._store, self._count, self._seconds = store, count, seconds
        folder = spool / documents.sha256(store.uri().encode())[:16]
        self._spool = Spool(folder, most_bytes, min(SEGMENT, most_bytes // 8))
        self._tick = min(TICK, seconds / 2)
        self._away = False  # whether the last try to send failed
        self._stopping = threading.Event()
        self._sealed = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="lake-keeper", daemon=True)
        self._sender = threading.Thread(target=self._send, name="lake-sender", daemon=True)

    def start(self) -> None:
        """Starts the threads. What is appended before that waits in memory."""
        self._spool.tend(self._seconds)
        self._keeper.start()
        self._sender.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Sends what waits and ends the threads; after `timeout` seconds the rest stays on disk, for the next one."""
        until = time.monotonic() + timeout
        self._stopping.set()
        self._spool.wanted.set()
        self._sealed.set()
        for thread in (self._keeper, self._sender):
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))
        self._tell_counts()
        if waiting := self._spool.waiting():
            log.warning("%d bytes of records wait in %s for who uses it next", waiting, self._spool.folder)

    def append(self, kind: Kind, line: bytes) -> None:
        """Takes a line of records.line(). Waits for nothing and raises nothing."""
        self._spool.append((b"p" if kind == "predictions" else b"f") + line)

    def waiting(self) -> int:
        """The bytes that wait on this machine, the room of segments in use with them. For metrics."""
        return self._spool.waiting()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            try:
                # While nothing can be sent, few large segments are better than many small ones.
                if self._spool.tend(max(self._seconds, LONGEST_WAIT) if self._away else self._seconds):
                    self._sealed.set()
                self._tell_counts()
            except Exception:  # the thread must outlive whatever a disk can do
                log.exception("the spool failed")
                self._stopping.wait(self._tick)
            if self._spool.short:
                self._stopping.wait(self._tick)
            else:
                self._spool.wanted.wait(self._tick)
        self._spool.close()

    def _tell_counts(self) -> None:
        for outcome, lines in zip(("dropped", "lost"), self._spool.take_counts(), strict=True):
            if lines:
                self._count(outcome, lines)

    def _send(self) -> None:
        failures = 0
        while True:
            stopping = self._stopping.is_set()
            if stopping:
                self._keeper.join()  # it seals what is to be sent
            self._sealed.clear()
            segment = self._spool.take()
            if segment is None:
                if stopping:
                    return
                self._sealed.wait(self._seconds)
                continue
            try:
                self._write(segment)
            except StoreError as error:
                log.warning("attempt %d: %s", failures + 1, error)
            except Exception:  # the thread must outlive whatever a store can do
                log.exception("attempt %d failed", failures + 1)
            else:
                failures, self._away = 0, False
                continue
            finally:
                segment.release()
            failures, self._away = failures + 1, True
            if stopping and failures > 1:
                return  # a stop does not wait for a store that is away
            self._stopping.wait(min(self._tick * 2.0 ** min(failures, 16), LONGEST_WAIT))

    def _write(self, segment: Segment) -> None:
        """Sends a segment, an object for each kind, and removes it."""
        parts: dict[Kind, list[bytes]] = {}
        for line in segment.lines():
            kind = _MARKS.get(line[:1])
            if kind is not None:
                parts.setdefault(kind, []).append(line[1:])
        for kind, lines in parts.items():
            self._store.write(_key(kind, lines[0], segment.path.stem), b"".join(lines))
        segment.remove()
        self._count("written", sum(map(len, parts.values())))


def default_spool() -> Path:
    """Where lines wait if nothing else is said: a folder of this user's beside other temporary ones."""
    return Path(tempfile.gettempdir()) / f"spool-{os.getuid()}"


def _key(kind: Kind, first: bytes, name: str) -> str:
    """Where lines lie whose first is `first`."""
    found = _TIME.search(first)
    if found:
        day, hour = found["date"].decode(), found["hour"].decode()
    else:  # not a line of ours; still the same place each time it is sent
        day, hour = f"{name[:4]}-{name[4:6]}-{name[6:8]}", name[9:11]
    return f"{kind}/date={day}/hour={hour}/{name}.jsonl"


@overload
def read(
    store: Store,
    kind: Literal["predictions"],
    since: date,
    *,
    newest: bool = ...,
    count: Counter[str] | None = ...,
) -> Iterator[Prediction]: ...


@overload
def read(
    store: Store,
    kind: Literal["feedback"],
    since: date,
    *,
    newest: bool = ...,
    count: Counter[str] | None = ...,
) -> Iterator[Feedback]: ...


def read(
    store: Store, kind: Kind, since: date, *, newest: bool = False, count: Counter[str] | None = None
) -> Iterator[Record]:
    """The records of `kind` from the day `since` (UTC) until now, oldest first, or newest first.

    Objects are read one at a time, as the caller asks for records: who wants the last thousand takes no more. What is
    no line of ours is left out and counted: `count` gets the numbers of `lines` and `objects` that were taken, and of
    `bad_lines` and `bad_objects` that were not. One id may be there several times: the first one read should hold.
    Raises StoreError if the lake cannot be read.
    """
    numbers: Counter[str] = Counter() if count is None else count
    for key in keys(store, kind, since, newest=newest):
        content = content_of(store, key)
        numbers["objects" if content is not None else "bad_objects"] += 1
        lines: Iterator[bytes] | list[bytes] = io.BytesIO(content or b"")
        for line in reversed(list(lines)) if newest else lines:
            try:
                record = records.parse(kind, line)
            except DocumentError:
                numbers["bad_lines"] += 1
                continue
            numbers["lines"] += 1
            yield record


def content_of(store: Store, key: str) -> bytes | None:
    """The object `key` of the lake; None if it is too large to be one of ours, or went since it was listed."""
    try:
        content = store.read_if_there(key, MAX_OBJECT)
    except TooLargeError as error:
        log.warning("an object of the lake is left out: %s", error)
        return None
    if content is None:
        log.warning("an object of the lake went while it was read: %s", store.uri(key))
    return content


def keys(store: Store, kind: Kind, since: date, *, newest: bool = False) -> Iterator[str]:
    """The objects of `kind` from the day `since` until tomorrow, by name, or the other way round. Other objects that
    lie there are passed over; nothing of days to come is looked at."""
    last = datetime.now(UTC).date() + timedelta(days=1)  # clocks differ
    days = [since + timedelta(days=number) for number in range((last - since).days + 1)]
    for day in reversed(days) if newest else days:
        prefix = f"{kind}/date={day.isoformat()}/"
        if not newest:
            yield from filter(KEY.fullmatch, store.list(prefix))
        elif next(store.list(prefix), None) is not None:
            for hour in range(23, -1, -1):
                listed = deque(filter(KEY.fullmatch, store.list(f"{prefix}hour={hour:02}/")), MAX_KEYS)
                yield from sorted(listed, reverse=True)
