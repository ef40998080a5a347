"""The book of a run, shared by many threads and written down; and work in parallel along a graph."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from localcloud.book import Book, Entry
from localcloud.snapshot import Operation, Resource, Snapshot, touched
from localcloud.state import StateFile


class Ledger:
    """A book that is safe to share. With a file, every step is on disk before and after it happens."""

    def __init__(self, snapshot: Snapshot, file: StateFile | None) -> None:
        self._book = Book(snapshot)
        self._users = _users(snapshot.resources)
        self._keys = itertools.count()
        self._file = file
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._entries: list[Entry] = []  # not yet written
        self._changes = self._written = 0

    @property
    def old(self) -> dict[str, Resource]:
        """Resources of the last state that the program has not declared (yet), by URN."""
        return self._book.old

    @property
    def new(self) -> dict[str, Resource]:
        """What the program declared and is done, by URN."""
        return self._book.new

    @property
    def unsettled(self) -> dict[str, Operation]:
        """Operations that an earlier run began and that are not known to be over, by URN."""
        return self._book.unsettled

    @property
    def condemned(self) -> list[Resource]:
        """Old copies that were replaced and still have to go."""
        return list(self._book.condemned.values())

    def _enter(self, *entry: object) -> None:
        self._book.enter(entry)
        if self._file is not None:
            self._entries.append(entry)

    def claim(self, urns: Iterable[str], new: str) -> Resource | None:
        """The old resource under the first of the URNs that the state has; it bears the URN `new` from now on."""
        with self._lock:
            for urn in urns:
                if urn in self.old:
                    if urn != new:
                        self._enter("renamed", urn, new)
                    return self.old[new]
        return None

    def begin(self, kind: str, resource: Resource) -> int:
        """Writes down that an operation starts; returns the key to end it with."""
        with self._lock:
            key = next(self._keys)
            self._enter("begun", key, kind, resource)
        self._write()
        return key

    def end(self, key: int, *, done: Resource | None = None, condemned: Resource | None = None) -> None:
        """Ends an operation: `done` is the resource as it is now, `condemned` an old copy that must still go."""
        with self._lock:
            self._enter("over", key, self._book.under_way(key))
            if condemned is not None:
                self._enter("condemned", replace(condemned, delete=True))
            if done is not None:
                self.record(done)
        self._write()

    def leave_open(self, key: int) -> None:
        """The operation failed half-way: it stays in the state, for the next run to settle."""
        with self._lock:
            if urn := self._book.under_way(key):  # else it was over, and only writing that down failed
                self._enter("left_open", key, urn)
        self._write()

    def record(self, resource: Resource) -> None:
        """The resource as it is now, without an operation; written with the next step."""
        with self._lock:
            if self.old.get(resource.urn) == resource:
                self._enter("kept", resource.urn)
            else:
                self._enter("recorded", resource)

    def keep(self, resource: Resource, old: Resource | None) -> None:
        """Records a resource that takes no step, with the times of its old self."""
        if old is None:
            self.record(touched(resource, new=True))
        else:
            self.record(replace(resource, created=old.created, modified=old.modified))

    def renew(self, resource: Resource) -> None:
        """The resource, declared or not, as a refresh found it."""
        with self._lock:
            if self.old.get(resource.urn) != resource:
                self._enter("renewed", resource)

    def half_made(self, urn: str) -> Operation | None:
        """A creation that an earlier run began and that is not known to be over."""
        with self._lock:
            operation = self.unsettled.get(urn)
        return operation if operation is not None and operation.kind == "creating" else None

    def settle(self, urn: str) -> None:
        """Forgets what an earlier run left open for a URN: only when it is known how that ended."""
        with self._lock:
            if urn in self.unsettled:
                self._enter("settled", urn)

    def drop(self, resource: Resource) -> None:
        """The resource is gone."""
        with self._lock:
            self._enter("dropped", resource.urn, resource.id, resource.delete)

    def find(self, urn: str) -> Resource | None:
        """The newest knowledge of a resource."""
        with self._lock:
            return self._book.new.get(urn) or self.old.get(urn)

    def known_ids(self, type_: str) -> frozenset[str]:
        """The ids of all resources of a type that the state accounts for."""
        return frozenset(row.id for row in self.rows() if row.type == type_ and row.id)

    def dependents(self, urns: set[str]) -> list[Resource]:
        """Old resources that directly depend on one of the URNs through a property, or go with it."""
        with self._lock:
            names = dict.fromkeys(user for urn in sorted(urns) for user in self._users.get(urn, ()))
            current = (self._book.names.get(urn, urn) for urn in names)
            return [self.old[urn] for urn in current if urn in self.old]

    def rows(self) -> list[Resource]:
        """All resources that the state accounts for."""
        with self._lock:
            return [*self._book.new.values(), *self.old.values(), *self.condemned]

    def snapshot(self) -> Snapshot:
        """The state as of now, each resource after what it needs."""
        with self._lock:
            return self._book.snapshot()

    def save(self) -> None:
        """Writes the whole state, where there is a file. Never called with the lock held."""
        if self._file is not None:
            with self._writing:
                self._save(self._file)

    def _write(self) -> None:
        """Returns when what the caller entered is on disk.

        Never called with the lock held: whoever waits for the writer finds that one write served many.
        """
        if self._file is None:
            return
        with self._lock:
            self._changes += 1
            mine = self._changes
        with self._writing:
            if self._written >= mine:
                return
            with self._lock:
                changes, entries = self._changes, self._entries
                self._entries = []
            if self._file.append(entries):
                self._written = changes
            else:
                self._save(self._file)

    def _save(self, file: StateFile) -> None:
        with self._lock:
            changes, self._entries = self._changes, []
            snapshot = self._book.snapshot()
        file.save(snapshot)
        self._written = changes


def _users(rows: Iterable[Resource]) -> dict[str, list[str]]:
    """URN → URNs of what depends on it through a property, or goes with it: deleted, or replaced."""
    found: dict[str, list[str]] = {}
    for row in rows:
        sources = {row.deleted_with, *row.replace_with}.union(*row.property_dependencies.values()) - {""}
        for urn in () if row.delete else sources:
            found.setdefault(urn, []).append(row.urn)
    return found


class _Order:
    """Which indexes may begin, once those that they wait for are done. Takes as long as there are links."""

    def __init__(self, resources: list[Resource], after: Callable[[Resource], Iterable[int]]) -> None:
        self._waiting = {index: set(after(row)) - {index} for index, row in enumerate(resources)}
        self._followers: dict[int, list[int]] = {}
        for index, needed in self._waiting.items():
            for other in needed:
                self._followers.setdefault(other, []).append(index)
        self._ready = deque(index for index, needed in self._waiting.items() if not needed)
        self._circular = sorted(self._waiting, key=lambda index: (resources[index].delete, index))

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def next(self, *, stuck: bool) -> int | None:
        """An index that may begin now. stuck: nothing is under way, so that what still waits does so in a circle: an
        old copy bears the URN of its successor, on which others depend now. It goes first."""
        if not self._ready and stuck:
            while self._circular[-1] not in self._waiting:
                self._circular.pop()
            self._ready.append(self._circular.pop())
        if not self._ready:
            return None
        index = self._ready.popleft()
        del self._waiting[index]
        return index

    def done(self, index: int) -> None:
        """What waited for it, and for nothing else, may begin."""
        for follower in self._followers.get(index, ()):
            if follower in self._waiting:
                self._waiting[follower].discard(index)
                if not self._waiting[follower]:
                    self._ready.append(follower)


def in_parallel(
    resources: list[Resource],
    after: Callable[[Resource], Iterable[int]],
    work: Callable[[Resource], None],
    threads: int,
) -> None:
    """Runs `work` on each resource once everything that `after` names (indexes into the list) is done.

    The first error stops what has not begun; what is under way ends; then the error is raised.
    """
    order = _Order(resources, after)
    running: dict[Future[None], int] = {}
    error: BaseException | None = None
    with ThreadPoolExecutor(threads) as pool:
        while running or (order and error is None):
            while order and error is None and len(running) < threads:
                index = order.next(stuck=not running)
                if index is None:
                    break
                running[pool.submit(work, resources[index])] = index
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                error = error or future.exception()
                order.done(running.pop(future))
    if error is not None:
        raise error
