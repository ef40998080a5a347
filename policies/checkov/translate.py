"""A resource of the graph in Terraform's and in Azure Resource Manager's words, as Checkov reads them.

`types.yaml` says which type becomes which, `schema.json` which inputs a type has. A wrong name would pass in silence,
so an input that neither knows raises UntranslatedError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from policies.checkov import names
from policies.graph import HIDDEN, Resource

HERE = Path(__file__).parent
TYPES: dict[str, Any] = yaml.safe_load((HERE / "types.yaml").read_text(encoding="utf-8"))
SCHEMA_FILE = HERE / "schema.json"
DOCUMENTS = frozenset(TYPES["documents"])
ANY = "*"
Tree = Mapping[str, Any]
# a value of this form would have Checkov skip a check
_SKIP = re.compile(r"(checkov|bridgecrew):skip", re.IGNORECASE)


class UntranslatedError(Exception):
    """An input that no schema and no reviewed list knows; the text names it and says what to do."""


@dataclass
class Translated:
    """A resource in another tool's words.

    left: inputs that were left out, dotted in Pulumi's names, with the reason. hidden: the attributes, dotted in the
    other tool's names, whose values nobody knows before the deployment. attributes: top attribute → input.
    """

    type: str
    values: dict[str, Any]
    left: list[tuple[str, str]] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)


@cache
def schema() -> dict[str, Any]:
    """The inputs of each type: `types` (Terraform's), `beyond` (Pulumi's that it lacks), `azure` (Pulumi's)."""
    found: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return found


def write_schema(document: Mapping[str, Any]) -> None:
    """Write the schema file, a line a type, so that its diff can be read."""
    lines = []
    for part, rows in document.items():
        body = ",\n".join(
            f"  {json.dumps(key)}: {json.dumps(rows[key], sort_keys=True, separators=(',', ':'))}"
            for key in sorted(rows)
        )
        lines.append(f"{json.dumps(part)}: {{\n{body}\n}}")
    SCHEMA_FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def attribute_of(token: str, path: str, tree: Tree) -> str | None:
    """What Terraform calls an input (dotted, without list indexes); None where it has no such attribute."""
    renamed: str | None = TYPES["renames"].get(token, {}).get(path)
    return renamed or names.match(path.rpartition(".")[2], tree)


def terraform(resource: Resource) -> Translated:
    """The values of a Terraform plan's resource. Raises UntranslatedError; KeyError for a type that is in no table."""
    type_ = TYPES["terraform"][resource.type]
    found = Translated(type_, {})
    tree = schema()["types"][type_]
    found.values = _Terraform(resource.type, found).block(resource.inputs, tree, "", "")
    found.attributes = {
        attribute: name for name in resource.inputs if (attribute := attribute_of(resource.type, name, tree))
    }
    return found


@dataclass(frozen=True)
class _Terraform:
    token: str
    found: Translated

    def block(self, value: Mapping[str, Any], tree: Tree, path: str, theirs: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, below in value.items():
            here = path + name
            attribute = attribute_of(self.token, here, tree)
            if attribute is None:
                if here not in schema()["beyond"].get(self.token, ()):
                    raise UntranslatedError(
                        f"`{here}` of {self.token} has no known name in Terraform's {self.found.type}: add it to"
                        " policies/checkov/types.yaml (`renames`), or renew schema.json."
                    )
                self.found.left.append((here, f"Terraform's {self.found.type} has no such attribute"))
            elif below is not None:
                made.update(self.attribute(attribute, below, tree[attribute], here, theirs + attribute))
        return made

    def attribute(self, name: str, value: Any, below: Any, path: str, theirs: str) -> dict[str, Any]:
        """{name: the value in Terraform's words}; nothing where nobody knows it."""
        if value in HIDDEN:
            return self.hide(path, theirs)
        if isinstance(below, Mapping):
            return {name: self.blocks(value, below, path, theirs)}
        if below == ANY:
            return {name: self.loose(value, path, theirs)}
        if below == "" and isinstance(value, Mapping | list):
            # a document or an asset, where Terraform has one text
            return self.hide(path, theirs) if any(True for _ in _hidden(value)) else {name: json.dumps(value)}
        made = self.plain(value, path, theirs)
        return {name: [made] if below == "[]" and not isinstance(made, list) else made}

    def blocks(self, value: Any, tree: Tree, path: str, theirs: str) -> Any:
        if "{}" in tree and isinstance(value, Mapping):
            made = {key: self.attribute(key, row, tree["{}"], path, theirs) for key, row in value.items()}
            return {key: row[key] for key, row in made.items() if key in row}
        rows = value if isinstance(value, list) else [value]
        for row in rows:
            if not isinstance(row, Mapping):
                raise UntranslatedError(
                    f"`{path}` of {self.token} is no object, as Terraform's {self.found.type} has it."
                )
        return [
            self.block(row, tree, f"{path}.", f"{theirs}.") for row in rows if not self.is_hidden(row, path, theirs)
        ]

    def plain(self, value: Any, path: str, theirs: str) -> Any:
        """A value whose keys are the program's own words."""
        if isinstance(value, list):
            return [self.plain(row, path, theirs) for row in value if not self.is_hidden(row, path, theirs)]
        if isinstance(value, Mapping):
            return {
                key: self.plain(row, path, theirs)
                for key, row in value.items()
                if not self.is_hidden(row, path, theirs)
            }
        return harmless(value)

    def loose(self, value: Any, path: str, theirs: str) -> Any:
        """A value whose keys no schema lists: by the rule alone."""
        if isinstance(value, list):
            return [self.loose(row, path, theirs) for row in value if not self.is_hidden(row, path, theirs)]
        if isinstance(value, Mapping):
            made = {}
            for key, row in value.items():
                if self.is_hidden(row, path, theirs):
                    continue
                name = names.snake(key)
                inner = self.loose(row, path, theirs)
                made[names.singular(name) if isinstance(row, list) else name] = (
                    [inner] if isinstance(row, Mapping) else inner
                )
            return made
        return harmless(value)

    def is_hidden(self, value: Any, path: str, theirs: str) -> bool:
        if value in HIDDEN:
            self.hide(path, theirs)
            return True
        return False

    def hide(self, path: str, theirs: str) -> dict[str, Any]:
        if theirs not in self.found.hidden:
            self.found.hidden.append(theirs)
            self.found.left.append((path, "not known before the deployment"))
        return {}


def _hidden(value: Any) -> Iterator[Any]:
    if value in HIDDEN:
        yield value
    elif isinstance(value, Mapping | list):
        for row in value.values() if isinstance(value, Mapping) else value:
            yield from _hidden(row)


def harmless(value: Any) -> Any:
    """The value, without a comment by which a program would have Checkov skip its own checks."""
    return _SKIP.sub(r"\1 skip", value) if isinstance(value, str) else value
