"""The resource graph of one stack, as a plan (`localcloud plan --json`) or a policy pack's host tells it.

Properties are named as on Pulumi's wire (camelCase; `azure-native` and `kubernetes` too). What nobody can know yet
is `{"$unknown": true}`, what is secret `{"$secret": true}`; a rule asks `is_known` before it judges a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Properties = Mapping[str, Any]
STACK = "pulumi:pulumi:Stack"
HIDDEN = ({"$unknown": True}, {"$secret": True})
# Both forms of an explicit API version: the module's, and since version 3 of the provider the package's.
_AZURE = re.compile(r"azure-native(?:_\w+?_v\w+)?:([^:/]+)(?:/v\w+)?:([^:]+)")


class PlanError(Exception):
    """A plan that cannot be judged; the text says which, where and what to do. Nothing of it passes."""


@dataclass(frozen=True)
class Resource:
    """One resource of a stack.

    type: the whole token (`aws:s3/bucket:Bucket`). inputs: what the program asked for. outputs: what came or would come
    of it, the inputs' properties included. dependencies: URNs. references: URNs by the input that uses their outputs.
    file, line: where the program declares it, relative to the project's root; "" and 0 where nobody says.
    synthetic: JSON Pointers (`/inputs/policy`) of values that a plan made up, or that hold one that it made up.
    """

    urn: str
    type: str
    name: str
    inputs: Properties
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    custom: bool = True
    provider: str = ""
    dependencies: frozenset[str] = frozenset()
    references: Mapping[str, Sequence[str]] = field(default_factory=dict)
    options: Properties = field(default_factory=dict)
    file: str = ""
    line: int = 0
    synthetic: frozenset[str] = frozenset()

    @cached_property
    def kind(self) -> str:
        """The type without the API version that a type of Azure's may carry: what rules and translations know."""
        match = _AZURE.fullmatch(self.type)
        return f"azure-native:{match[1]}:{match[2]}" if match else self.type

    def get(self, path: str, default: Any = None) -> Any:
        """The input at a dotted path (`spec.template.spec`, `rules.0.days`); `default` where there is none."""
        return at(self.inputs, path, default)


@dataclass(frozen=True)
class Graph:
    """A stack: its resources in an order in which each comes after what it depends on, and its settings."""

    project: str
    stack: str
    resources: tuple[Resource, ...]
    config: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)

    @cached_property
    def by_urn(self) -> Mapping[str, Resource]:
        """The resources by their URNs."""
        return {row.urn: row for row in self.resources}

    @cached_property
    def _by_type(self) -> Mapping[str, tuple[Resource, ...]]:
        found: dict[str, list[Resource]] = {}
        for row in self.resources:
            found.setdefault(row.kind, []).append(row)
        return {token: tuple(rows) for token, rows in found.items()}

    def of_type(self, *tokens: str) -> Iterator[Resource]:
        """The resources of these types; an Azure token without an API version stands for every version."""
        return (row for token in tokens for row in self._by_type.get(token, ()))

    def users_of(self, resource: Resource, *tokens: str) -> Iterator[Resource]:
        """The resources, of these types if any are named, whose inputs use an output of this one."""
        rows = self.of_type(*tokens) if tokens else iter(self.resources)
        return (row for row in rows if any(resource.urn in urns for urns in row.references.values()))

    def used_by(self, resource: Resource, name: str = "") -> Iterator[Resource]:
        """The resources whose outputs this one's input `name` uses, or any of its inputs."""
        rows = resource.references.get(name, ()) if name else [u for us in resource.references.values() for u in us]
        return (self.by_urn[urn] for urn in dict.fromkeys(rows) if urn in self.by_urn)


def at(value: Any, path: str, default: Any = None) -> Any:
    """What lies at a dotted path of nested objects and lists; `default` where there is nothing or null."""
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, Sequence) and not isinstance(value, str) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return default
    return default if value is None else value


def is_known(value: Any) -> bool:
    """Whether the value, and all that is in it, can be read: nothing unknown and nothing secret."""
    if isinstance(value, Mapping):
        return value not in HIDDEN and all(is_known(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(is_known(item) for item in value)
    return True


def listed(value: Any) -> list[Any]:
    """A list as it is, nothing as no items, anything else as the one item."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def parse(document: Any, where: str) -> Graph:
    """The graph of a plan document (version 1 of the plan's schema). `where` names it in errors. Raises PlanError."""
    if (
        not isinstance(document, dict)
        or document.get("version") != 1
        or not isinstance(document.get("resources"), list)
    ):
        raise PlanError(f"{where} is no plan: make one with `python -m localcloud plan -s STACK --json`.")
    try:
        graph = Graph(
            _text(document, "project"),
            _text(document, "stack"),
            tuple(_resource(row) for row in document["resources"]),
            _object(document, "config"),
            _object(document, "outputs"),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise PlanError(f"{where} is no whole plan: {type(error).__name__}: {error}. Make it again.") from error
    prefix = f"urn:pulumi:{graph.stack}::{graph.project}::"
    strange = next((row.urn for row in graph.resources if not row.urn.startswith(prefix)), None)
    if strange is not None or len(graph.by_urn) != len(graph.resources) or not graph.resources:
        reason = f"{strange!r} is of another stack" if strange else "it names a resource twice, or has none at all"
        raise PlanError(f"{where} is no whole plan: {reason}. Make it again.")
    return graph


def _text(row: Properties, name: str, *, empty: bool = False) -> str:
    value = row[name]
    if not isinstance(value, str) or not (value or empty):
        raise TypeError(f"{name} is no text")
    return value


def _object(row: Properties, name: str) -> dict[str, Any]:
    value = row[name]
    if not isinstance(value, dict):
        raise TypeError(f"{name} is no object")
    return value


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{name} is no list of texts")
    return value


def _resource(row: dict[str, Any]) -> Resource:
    references = {name: _texts(urns, name) for name, urns in _object(row, "propertyDependencies").items()}
    source = row["source"] or {"file": "", "line": 0}
    if not isinstance(source["line"], int) or isinstance(source["line"], bool) or not isinstance(row["custom"], bool):
        raise TypeError("a line is no number, or custom no truth value")
    return Resource(
        _text(row, "urn"),
        _text(row, "type"),
        _text(row, "name", empty=True),
        _object(row, "inputs"),
        _object(row, "outputs"),
        _text({"parent": row["parent"] or ""}, "parent", empty=True),
        row["custom"],
        _text({"provider": row["provider"] or ""}, "provider", empty=True),
        frozenset(_texts(row["dependencies"], "dependencies")).union(*references.values()),
        references,
        _object(row, "options"),
        _text(source, "file", empty=True),
        source["line"],
        frozenset(_texts(row["synthetic"], "synthetic")),
    )
