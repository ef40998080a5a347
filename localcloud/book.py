"""The book of a run: what the state held and what became of it, changed by entries that can be read in again."""

from __future__ import annotations

from dataclasses import replace

from localcloud.snapshot import Operation, Resource, Snapshot, in_order, with_new_names, without_missing

# One change of the book: which, and its arguments: resources, texts, numbers, truth values.
Entry = tuple[object, ...]
ENTRIES = ("renamed", "begun", "over", "left_open", "condemned", "recorded", "kept", "settled", "renewed", "dropped")


class Book:
    """Old and new resources by URN. The same entries, entered in a book of the same snapshot, make the same book.

    old: resources of the last state that the program has not declared (yet). condemned: old copies that were replaced,
    by URN and id. new: resources that the program declared, in the order in which they were done. unsettled: operations
    that an earlier run began and that are not known to be over, by URN.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.old = {resource.urn: resource for resource in snapshot.resources if not resource.delete}
        self.condemned = {(one.urn, one.id): one for one in snapshot.resources if one.delete}
        self.new: dict[str, Resource] = {}
        # A creation that was cut off is known from here alone; other resources are in the state as well.
        by_weight = sorted(snapshot.operations, key=lambda operation: operation.kind == "creating")
        self.unsettled = {operation.resource.urn: operation for operation in by_weight}
        self.names: dict[str, str] = {}  # old URN → new
        self._operations: dict[int, Operation] = {}

    def enter(self, entry: Entry) -> None:
        """Makes one change. Raises ValueError for none of ENTRIES, KeyError or TypeError for one that does not fit."""
        what, *arguments = entry
        if what not in ENTRIES:
            raise ValueError(f"{what!r} is no entry")
        getattr(self, f"_{what}")(*arguments)

    def snapshot(self) -> Snapshot:
        """The state as of now, each resource after what it needs."""
        rest = with_new_names(self.old.values(), self.names)
        resources = [*self.new.values(), *rest, *self.condemned.values()]
        return Snapshot(in_order(without_missing(resources)), [*self.unsettled.values(), *self._operations.values()])

    def under_way(self, key: int) -> str:
        """The URN of the operation that was begun under the key; "" once it is over."""
        return self._operations[key].resource.urn if key in self._operations else ""

    def _renamed(self, urn: str, new: str) -> None:
        self.old[new] = replace(self.old.pop(urn), urn=new)
        self.names[urn] = new

    def _begun(self, key: int, kind: str, resource: Resource) -> None:
        self._operations[key] = Operation(kind, resource)

    # What was begun before the whole state was last saved is, for who reads that, unsettled and without a key.

    def _over(self, key: int, urn: str) -> None:
        self._operations.pop(key, None)
        self.unsettled.pop(urn, None)

    def _left_open(self, key: int, urn: str) -> None:
        operation = self._operations.pop(key, None)
        if operation is not None:
            self.unsettled[urn] = operation

    def _condemned(self, resource: Resource) -> None:
        self.condemned[resource.urn, resource.id] = resource

    def _recorded(self, resource: Resource) -> None:
        self.unsettled.pop(resource.urn, None)
        self.new[resource.urn] = resource
        self.old.pop(resource.urn, None)

    def _kept(self, urn: str) -> None:
        self._recorded(self.old[urn])

    def _settled(self, urn: str) -> None:
        self.unsettled.pop(urn, None)

    def _renewed(self, resource: Resource) -> None:
        self.old[resource.urn] = resource

    def _dropped(self, urn: str, id_: str, condemned: bool) -> None:
        if condemned:
            self.condemned.pop((urn, id_), None)
        else:
            self.old.pop(urn, None)
            self.new.pop(urn, None)
