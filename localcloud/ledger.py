"""The book of a run: what the state held, what the program declared so far, what is under way. Safe to share."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from localcloud.state import Operation, Resource, Snapshot, StateFile, touched


class Ledger:
    """Old and new resources by URN. With a file, every step is on disk before and after it happens.

    old: resources of the last state that the program has not declared (yet). condemned: old copies that were replaced.
    new: resources that the program declared, in the order in which they were done. unsettled: operations
    that an earlier run began and that are not known to be over, by URN.
    """

    def __init__(self, snapshot: Snapshot, file: StateFile | None) -> None:
        self.old = {resource.urn: resource for resource in snapshot.resources if not resource.delete}
        self.condemned = [resource for resource in snapshot.resources if resource.delete]
        self.new: dict[str, Resource] = {}
        # A creation that was cut off is known from here alone; other resources are in the state as well.
        by_weight = sorted(snapshot.operations, key=lambda operation: operation.kind == "creating")
        self.unsettled = {operation.resource.urn: operation for operation in by_weight}
        self._operations: dict[int, Operation] = {}
        self._keys = itertools.count()
        self._renamed: dict[str, str] = {}
        self._file = file
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._changes = self._written = 0

    def claim(self, urns: Iterable[str], new: str) -> Resource | None:
        """The old resource under the first of the URNs that the state has; it bears the URN `new` from now on."""
        with self._lock:
            for urn in urns:
                found = self.old.get(urn)
                if found is not None:
                    if urn != new:
                        del self.old[urn]
                        self._renamed[urn] = new
                        found = self.old[new] = replace(found, urn=new)
                    return found
        return None

    def begin(self, kind: str, resource: Resource) -> int:
        """Writes down that an operation starts; returns the key to end it with."""
        with self._lock:
            key = next(self._keys)
            self._operations[key] = Operation(kind, resource)
        self.save()
        return key

    def end(self, key: int, *, done: Resource | None = None, condemned: Resource | None = None) -> None:
        """Ends an operation: `done` is the resource as it is now, `condemned` an old copy that must still go."""
        with self._lock:
            operation = self._operations.pop(key)
            self.unsettled.pop(operation.resource.urn, None)
            if condemned is not None:
                self.condemned.append(replace(condemned, delete=True))
            if done is not None:
                self.record(done)
        self.save()

    def leave_open(self, key: int) -> None:
        """The operation failed half-way: it stays in the state, for the next run to settle."""
        with self._lock:
            operation = self._operations.pop(key)
            self.unsettled[operation.resource.urn] = operation
        self.save()

    def record(self, resource: Resource) -> None:
        """The resource as it is now, without an operation; written with the next save."""
        with self._lock:
            self.unsettled.pop(resource.urn, None)
            self.new[resource.urn] = resource
            self.old.pop(resource.urn, None)

    def keep(self, resource: Resource, old: Resource | None) -> None:
        """Records a resource that takes no step, with the times of its old self."""
        if old is None:
            self.record(touched(resource, new=True))
        else:
            self.record(replace(resource, created=old.created, modified=old.modified))

    def half_made(self, urn: str) -> Operation | None:
        """A creation that an earlier run began and that is not known to be over."""
        with self._lock:
            operation = self.unsettled.get(urn)
        return operation if operation is not None and operation.kind == "creating" else None

    def settle(self, urn: str) -> None:
        """Forgets what an earlier run left open for a URN: only when it is known how that ended."""
        with self._lock:
            self.unsettled.pop(urn, None)

    def drop(self, resource: Resource) -> None:
        """The resource is gone."""
        with self._lock:
            if resource.delete:
                self.condemned = [one for one in self.condemned if (one.urn, one.id) != (resource.urn, resource.id)]
            else:
                self.old.pop(resource.urn, None)
                self.new.pop(resource.urn, None)

    def find(self, urn: str) -> Resource | None:
        """The newest knowledge of a resource."""
        with self._lock:
            return self.new.get(urn) or self.old.get(urn)

    def known_ids(self, type_: str) -> frozenset[str]:
        """The ids of all resources of a type that the state accounts for."""
        with self._lock:
            rows = (*self.old.values(), *self.new.values(), *self.condemned)
            return frozenset(row.id for row in rows if row.type == type_ and row.id)

    def dependents(self, urns: set[str]) -> list[Resource]:
        """Old resources that directly depend on one of the URNs through a property, or go with it."""
        with self._lock:
            return [
                row
                for row in self.old.values()
                if row.deleted_with in urns
                or not urns.isdisjoint(row.replace_with)
                or any(urns & set(sources) for sources in row.property_dependencies.values())
            ]

    def snapshot(self) -> Snapshot:
        """The state as of now, each resource after what it needs."""
        with self._lock:
            rest = [self._with_new_names(row) for row in self.old.values()]
            resources = [*self.new.values(), *rest, *self.condemned]
            return Snapshot(
                in_order(_without_missing(resources)), [*self.unsettled.values(), *self._operations.values()]
            )

    def save(self) -> None:
        """Writes the state, where there is a file; returns when what the caller did before is on disk.

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
                changes, snapshot = self._changes, self.snapshot()
            self._file.save(snapshot)
            self._written = changes

    def _with_new_names(self, row: Resource) -> Resource:
        names = self._renamed
        if not names or not (row.needs & names.keys()):
            return row
        provider, _, id_ = row.provider.rpartition("::")
        return replace(
            row,
            parent=names.get(row.parent, row.parent),
            deleted_with=names.get(row.deleted_with, row.deleted_with),
            replace_with=tuple(names.get(urn, urn) for urn in row.replace_with),
            provider=f"{names.get(provider, provider)}::{id_}" if provider else row.provider,
            dependencies=tuple(names.get(urn, urn) for urn in row.dependencies),
            property_dependencies={
                key: tuple(names.get(urn, urn) for urn in urns) for key, urns in row.property_dependencies.items()
            },
        )


def _without_missing(resources: list[Resource]) -> list[Resource]:
    """The resources without links to what is gone, deleted behind our back or before what depends on it is made anew:
    a state whose links lead nowhere is one that the Pulumi CLI refuses."""
    known = {row.urn for row in resources}

    def pruned(row: Resource) -> Resource:
        if row.needs <= known:
            return row
        return replace(
            row,
            parent=row.parent if row.parent in known else "",
            deleted_with=row.deleted_with if row.deleted_with in known else "",
            replace_with=tuple(urn for urn in row.replace_with if urn in known),
            dependencies=tuple(urn for urn in row.dependencies if urn in known),
            property_dependencies={
                name: tuple(urn for urn in urns if urn in known) for name, urns in row.property_dependencies.items()
            },
        )

    return [pruned(row) for row in resources]


def in_order(resources: list[Resource]) -> list[Resource]:
    """The resources, each after what it needs, otherwise in the order given. A stable topological sort."""
    first: dict[str, Resource] = {}
    for row in resources:
        first.setdefault(row.urn, row)
    placed: set[int] = set()
    ordered: list[Resource] = []
    for row in resources:
        stack = [(row, False)]
        while stack:
            one, expanded = stack.pop()
            if expanded:
                ordered.append(one)
            elif id(one) not in placed:
                placed.add(id(one))
                stack.append((one, True))
                needed = (first[urn] for urn in sorted(one.needs, reverse=True) if urn in first)
                stack.extend((other, False) for other in needed if id(other) not in placed)
    return ordered


def in_parallel(
    resources: list[Resource],
    after: Callable[[Resource], Iterable[int]],
    work: Callable[[Resource], None],
    threads: int,
) -> None:
    """Runs `work` on each resource once everything that `after` names (indexes into the list) is done.

    The first error stops what has not begun; what is under way ends; then the error is raised.
    """
    waiting = {index: set(after(row)) - {index} for index, row in enumerate(resources)}
    running: dict[Future[None], int] = {}
    error: BaseException | None = None
    with ThreadPoolExecutor(threads) as pool:
        while waiting or running:
            if error is None:
                for index in [index for index, needed in waiting.items() if not needed]:
                    del waiting[index]
                    running[pool.submit(work, resources[index])] = index
            if not running:
                if error is not None:
                    break
                # A circle: an old copy bears the URN of its successor, on which others depend now. It goes first.
                index = max(waiting, key=lambda one: (resources[one].delete, one))
                waiting[index].clear()
                continue
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                index = running.pop(future)
                error = error or future.exception()
                for needed in waiting.values():
                    needed.discard(index)
    if error is not None:
        raise error
