"""The lake: every prediction that was served, as JSON lines in the data bucket, for drift and the next training.

    PREFIX/predictions/date=YYYY-MM-DD/TIME-INSTANCE-NUMBER.jsonl

Predictions never wait for it and never fail by it: records go to a bounded queue that one thread empties. What
does not fit, or cannot be written after several attempts, is dropped and counted.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from app import documents
from app.store import Store, StoreError

log = logging.getLogger("app.lake")

Record = dict[str, Any]


class Lake:
    """Writes records in batches, in the background.

    A batch is written `seconds` after its first record, or when it has `batch` records. `count(outcome, n)` is
    told of each record's end: `written`, `dropped` (the queue was full) or `lost` (`attempts` writes failed).
    """

    def __init__(
        self,
        store: Store,
        count: Callable[[str, int], None],
        *,
        seconds: float = 2.0,
        batch: int = 1_000,
        capacity: int = 10_000,
        attempts: int = 5,
    ) -> None:
        self._store, self._count = store, count
        self._seconds, self._batch, self._attempts = seconds, batch, attempts
        self._queue: queue.Queue[Record] = queue.Queue(capacity)
        self._stopping = threading.Event()
        self._instance = secrets.token_hex(4)  # two tasks never write the same key
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="lake", daemon=True)

    def start(self) -> None:
        """Starts the thread that writes."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Writes what is waiting and ends the thread; gives up after `timeout` seconds."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
            if self._thread.is_alive():
                log.error("the lake's store did not answer in %g s; what was waiting is lost", timeout)

    def append(self, record: Record) -> None:
        """Takes a record, without waiting; a JSON object whose `time` starts with its date, YYYY-MM-DD."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._count("dropped", 1)

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._queue.empty()):
            records = self._next_batch()
            by_date: dict[str, list[Record]] = defaultdict(list)
            for record in records:
                by_date[str(record["time"])[:10]].append(record)
            for date, part in by_date.items():
                try:
                    self._write(date, part)
                except Exception:  # the thread must outlive whatever a store can do
                    self._count("lost", len(part))
                    log.exception("%d records are lost", len(part))

    def _next_batch(self) -> list[Record]:
        """Waits for a first record, then for more until the batch is full, due, or the end has come."""
        records: list[Record] = []
        due = time.monotonic() + self._seconds
        while len(records) < self._batch:
            wait = 0.0 if self._stopping.is_set() else min(0.1, due - time.monotonic())
            try:
                records.append(self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait())
            except queue.Empty:
                if self._stopping.is_set() or time.monotonic() >= due:
                    break
                continue
            if len(records) == 1:
                due = time.monotonic() + self._seconds
        return records

    def _write(self, date: str, records: list[Record]) -> None:
        self._number += 1
        when = documents.now().replace("-", "").replace(":", "")
        key = f"predictions/date={date}/{when}-{self._instance}-{self._number:06d}.jsonl"
        content = b"".join(documents.dump(record) for record in records)
        for attempt in range(1, self._attempts + 1):
            try:
                self._store.write(key, content)
            except StoreError as error:
                log.warning("attempt %d of %d: %s", attempt, self._attempts, error)
                if self._stopping.is_set() and attempt > 1:
                    break  # a stop does not wait for a store that is away
                self._stopping.wait(min(2.0**attempt, 30.0) * self._seconds / 2)
            else:
                self._count("written", len(records))
                return
        self._count("lost", len(records))
        log.error("%d records are lost: %s could not be written", len(records), self._store.uri(key))
