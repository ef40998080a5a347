"""What a state holds: resources and operations, their form in Pulumi's deployments, their order and integrity.

The form is that of sdk/go/common/apitype/resources.json in Pulumi's Go module (ResourceV3). What localcloud does not
use of a row is kept and written back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from localcloud.values import Properties

URN_PARTS = 3  # `::` between stack, project, types and name

# attribute → the state's key, for what is written only when it is not empty
FIELDS = {
    "id": "id",
    "inputs": "inputs",
    "outputs": "outputs",
    "parent": "parent",
    "protect": "protect",
    "external": "external",
    "dependencies": "dependencies",
    "provider": "provider",
    "property_dependencies": "propertyDependencies",
    "additional_secret_outputs": "additionalSecretOutputs",
    "custom_timeouts": "customTimeouts",
    "import_id": "importID",
    "retain_on_delete": "retainOnDelete",
    "deleted_with": "deletedWith",
    "replace_with": "replaceWith",
    "created": "created",
    "modified": "modified",
    "source_position": "sourcePosition",
}
ATTRIBUTES = {key: attribute for attribute, key in FIELDS.items()}
KEYS = frozenset({"urn", "type", "custom", "delete", *ATTRIBUTES})


@dataclass(frozen=True)
class Resource:
    """One resource of a state. `inputs` and `outputs` are values as in localcloud.values, secrets in clear inside
    `Secret`. `delete` marks the old copy of a resource that was replaced and still has to go."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    delete: bool = False
    external: bool = False
    additional_secret_outputs: tuple[str, ...] = ()
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    import_id: str = ""
    deleted_with: str = ""
    replace_with: tuple[str, ...] = ()
    created: str = ""
    modified: str = ""
    source_position: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the URN."""
        return self.urn.rsplit("::", 1)[1]

    @cached_property
    def needs(self) -> frozenset[str]:
        """URNs of what must exist before this resource: dependencies, parent, provider."""
        links = {*self.dependencies, self.parent, self.provider.rpartition("::")[0], self.deleted_with}
        links.update(self.replace_with, *self.property_dependencies.values())
        return frozenset(links - {"", self.urn})


@dataclass(frozen=True)
class Operation:
    """A step that was written down before it began. kind: creating, updating, deleting, reading or importing."""

    kind: str
    resource: Resource


@dataclass
class Snapshot:
    """A whole state: resources in an order in which each follows what it needs, and operations not known to be over."""

    resources: list[Resource] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)


def decoded(row: dict[str, Any], opened: Callable[[Any], Any] = lambda value: value) -> Resource:
    """The resource of a row. opened: makes values of what stands there, else secrets stay closed."""
    values: dict[str, Any] = {
        ATTRIBUTES[key]: value for key, value in row.items() if key in ATTRIBUTES and value is not None
    }
    for name in ("inputs", "outputs"):
        values[name] = opened(values.get(name) or {})
    for name in ("dependencies", "additional_secret_outputs", "replace_with"):
        values[name] = tuple(values.get(name) or ())
    values["property_dependencies"] = {
        name: tuple(urns or ()) for name, urns in (values.get("property_dependencies") or {}).items()
    }
    return Resource(
        urn=row["urn"],
        type=row["type"],
        custom=bool(row.get("custom")),
        delete=bool(row.get("delete")),
        extra={key: opened(value) for key, value in row.items() if key not in KEYS},
        **values,
    )


def encoded(resource: Resource, closed: Callable[[Any], Any] = lambda value: value) -> dict[str, Any]:
    """The row of a resource; the reverse of `decoded`."""
    row: dict[str, Any] = {"urn": resource.urn, "custom": resource.custom}
    if resource.delete:
        row["delete"] = True
    row["type"] = resource.type
    for attribute, key in FIELDS.items():
        value = getattr(resource, attribute)
        if attribute in ("inputs", "outputs"):
            value = closed(value)
        if value:
            row[key] = list(value) if isinstance(value, tuple) else value
    row.update(closed(resource.extra))
    return row


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


def without_missing(resources: list[Resource]) -> list[Resource]:
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


def with_new_names(rows: Iterable[Resource], names: dict[str, str]) -> list[Resource]:
    """The rows with their links to what was renamed (`names`: old URN → new) leading where it is now."""

    def relinked(row: Resource) -> Resource:
        if row.needs.isdisjoint(names):
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

    return [relinked(row) for row in rows] if names else list(rows)


def verified(snapshot: Snapshot) -> Snapshot:
    """The snapshot, if it is one that a run may leave; else ValueError says what stands twice or is not there.

    The rules of the CLI's Snapshot.VerifyIntegrity, but for the order of the rows, which any save puts right.
    """
    living = Counter(row.urn for row in snapshot.resources if not row.delete)
    if twice := [urn for urn, count in living.items() if count > 1]:
        raise ValueError(f"{twice[0]} stands there {living[twice[0]]} times")
    known = {row.urn for row in snapshot.resources}
    for row in snapshot.resources:
        if not row.urn.startswith("urn:pulumi:") or row.urn.count("::") < URN_PARTS:
            raise ValueError(f"{row.urn!r} is no URN")
        if missing := sorted(row.needs - known - {row.deleted_with, *row.replace_with}):
            raise ValueError(f"{row.urn} needs {missing[0]}, which is not there")
    return snapshot


def now() -> str:
    """The time as a state has it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def touched(resource: Resource, *, new: bool) -> Resource:
    """The resource with its time of change set to now, and of creation if it is new."""
    time = now()
    return replace(resource, created=time if new else resource.created, modified=time)
