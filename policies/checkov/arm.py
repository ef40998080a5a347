"""An azure-native resource in the words of an Azure Resource Manager template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.checkov.translate import ANY, TYPES, Translated, Tree, UntranslatedError, harmless, schema
from policies.graph import HIDDEN, Graph, Resource

# what a template has beside `properties`
TOP = frozenset(
    ("etag", "extendedLocation", "identity", "kind", "location", "managedBy", "managedByExtended", "placement")
)
TOP |= frozenset(("plan", "scale", "sku", "tags", "zones"))
ELSEWHERE = frozenset(("resourceGroupName",))  # said by the deployment


def name_of(resource: Resource) -> str:
    """The template's name: what the parents and the resource are called, by the program where no input says it."""
    parts = []
    for word in TYPES["azure"][resource.kind]["name"]:
        value = word[1:] if word.startswith("=") else resource.inputs.get(word)
        parts.append(value if isinstance(value, str) and value else resource.name)
    return "/".join(parts)


def translate(resource: Resource, graph: Graph) -> Translated:
    """The template's resource. Raises UntranslatedError; KeyError for a type that is in no table."""
    row = TYPES["azure"][resource.kind]
    found = _body(resource, row)
    inner = []
    for child, each in children(resource, graph):
        body = _body(child, each)
        inner.append({"type": each["type"], "name": harmless(child.name), **body.values})
        found.hidden += ["resources"] * bool(body.hidden)
    found.values |= {
        "type": row["type"],
        "apiVersion": schema()["azure"][resource.kind]["api"],
        "name": harmless(name_of(resource)),
        **({"resources": inner} if inner else {}),
    }
    return found


def children(resource: Resource, graph: Graph) -> Iterator[tuple[Resource, Mapping[str, Any]]]:
    """The resources of their own that a template would hold inside of this one, with their rows of the table."""
    names = {resource.name, name_of(resource).rpartition("/")[2], resource.outputs.get("name")}
    for token, row in TYPES["nested"].items():
        if row["inside"] == resource.kind:
            for child in graph.of_type(token):
                urns = child.references.get(row["by"], ())
                if resource.urn in urns or (not urns and child.get(row["by"]) in names):
                    yield child, row


def _body(resource: Resource, row: Mapping[str, Any]) -> Translated:
    found = Translated(row["type"], {})
    names: Sequence[str] = row.get("name") or (row["by"],)
    writer = _Arm(resource.kind, found, row.get("renames") or {}, frozenset(row.get("wrapped") or ()))
    inputs = {name: value for name, value in resource.inputs.items() if name not in ELSEWHERE and name not in names}
    flat = writer.block(inputs, schema()["azure"][resource.kind]["inputs"], "", "")
    properties = flat.pop("properties", {})
    top = {name: flat.pop(name) for name in list(flat) if name in TOP}
    found.values = {**top, "properties": {**properties, **flat}}
    found.attributes = {theirs: name for name in inputs for theirs in (writer.renames.get(name, name),)}
    return found


@dataclass(frozen=True)
class _Arm:
    token: str
    found: Translated
    renames: Mapping[str, str]
    wrapped: frozenset[str]

    def block(self, value: Mapping[str, Any], tree: Tree, path: str, theirs: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, below in value.items():
            here = path + name
            if name not in tree:
                raise UntranslatedError(
                    f"`{here}` of {self.token} has no known name in Azure's {self.found.type}: renew"
                    " policies/checkov/schema.json."
                )
            called = self.renames.get(here, name)
            there = theirs + called
            if below in HIDDEN:
                self.hide(here, there)
            elif below is not None:
                made[called] = self.inside(below, tree[name], here, there)
        return made

    def inside(self, value: Any, below: Any, path: str, theirs: str) -> Any:
        if isinstance(value, list):
            rows = [row for row in value if not (row in HIDDEN and self.hide(path, theirs))]
            items = [self.inside(row, below, path, theirs) for row in rows]
            return [_wrap(item) for item in items] if path in self.wrapped else items
        if isinstance(value, Mapping) and isinstance(below, Mapping) and "{}" not in below:
            return self.block(value, below, f"{path}.", f"{theirs}.")
        if isinstance(value, Mapping):
            if below == "":
                raise UntranslatedError(
                    f"`{path}` of {self.token} is an object where Azure's {self.found.type} has none."
                )
            each = below["{}"] if isinstance(below, Mapping) else ANY
            return {
                key: self.inside(row, each, path, theirs)
                for key, row in value.items()
                if not (row in HIDDEN and self.hide(path, theirs))
            }
        return harmless(value)

    def hide(self, path: str, theirs: str) -> bool:
        if theirs not in self.found.hidden:
            self.found.hidden.append(theirs)
            self.found.left.append((path, "not known before the deployment"))
        return True


def _wrap(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    beside = {name: item[name] for name in ("name", "id", "type", "zones") if name in item}
    return {**beside, "properties": {name: value for name, value in item.items() if name not in beside}}
