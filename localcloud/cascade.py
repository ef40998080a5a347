"""What a replacement that deletes first takes along: resources that must be replaced because another one is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from localcloud.errors import LocalcloudError
from localcloud.ledger import Ledger
from localcloud.providers import Providers
from localcloud.snapshot import Resource, in_order
from localcloud.targets import Chosen
from localcloud.values import UNKNOWN, plain


class Cascade:
    """Keeps apart what replacements delete and what the program declares meanwhile, from many threads.

    replaced: URNs that this run replaces, by themselves or along with another.
    """

    def __init__(self, ledger: Ledger, providers: Providers, chosen: Chosen) -> None:
        self.replaced: set[str] = set()
        self._ledger = ledger
        self._providers = providers
        self._chosen = chosen
        self._begun: set[str] = set()
        self._doomed: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def begin(self, urn: str) -> None:
        """Waits while the replacement of another resource deletes this one; from here on, none does."""
        with self._lock:
            doomed = self._doomed.get(urn)
            self._begun.add(urn)
        if doomed is not None:
            doomed.wait()

    @contextlib.contextmanager
    def deleting(self, old: Resource, where: str) -> Iterator[list[Resource]]:
        """The rows to delete before `old` is made anew, it as the last; what the program declares of them waits."""
        over = threading.Event()
        with self._lock:
            rows = self._rows(old)
            for row in reversed(rows[:-1]):
                if row.protect or not self._chosen.takes(row):
                    why = "is protected" if row.protect else "is none of the targets"
                    raise LocalcloudError(f"Replacing {where} deletes {row.type} {row.name!r} first, which {why}.")
            self._doomed |= {row.urn: over for row in rows[:-1]}
            self.replaced |= {row.urn for row in rows}
        try:
            yield rows
        finally:
            over.set()

    def _rows(self, old: Resource) -> list[Resource]:
        """Dependents first. What has begun already cannot depend on the resource any more: the program would have
        declared it later."""
        found = {old.urn: old}
        edge = {old.urn}
        while edge:
            dependents = [
                row
                for row in self._ledger.dependents(edge)
                if row.custom and not row.external and row.urn not in found and row.urn not in self._begun
            ]
            edge = {row.urn for row in dependents if self._follows(row, found)}
            found |= {row.urn: row for row in dependents if row.urn in edge}
        return list(reversed(in_order(list(found.values()))))

    def _follows(self, row: Resource, found: dict[str, Resource]) -> bool:
        if row.deleted_with in found or not found.keys().isdisjoint(row.replace_with):
            return True
        inputs = plain(row.inputs)
        moved = [name for name, urns in row.property_dependencies.items() if not found.keys().isdisjoint(urns)]
        unknown = inputs | {name: UNKNOWN for name in moved if name in inputs}
        return bool(self._providers.get(row.provider).diff(row.type, inputs, unknown).replaces)
