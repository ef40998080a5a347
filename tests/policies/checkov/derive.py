"""Make `policies/checkov/schema.json`: what Terraform calls the inputs of the types in `types.yaml`.

    python -m tests.policies.checkov.derive AWS.jsii GOOGLE.jsii

The two files are `package/.jsii` in the archives `_jsii/*.tgz` of the PyPI packages cdktf-cdktf-provider-aws and
cdktf-cdktf-provider-google, which carry the providers' schemas (Mozilla Public License 2.0); names alone are taken.
Pulumi's own names come from its SDKs: an input of theirs that Terraform's schema lacks is listed under `beyond`, to be
reviewed in the diff.
"""

import collections.abc
import importlib
import inspect
import json
import re
import sys
import typing
from pathlib import Path
from typing import Any

import pulumi
from pulumi import _types

from policies.checkov import names, translate

LINK = re.compile(r"/docs/resources/(\w+)#(\w+) ")
ANY = "*"  # below it every name stands
Tree = dict[str, Any]


def terraform_trees(jsii: Path, provider: str, wanted: set[str]) -> tuple[dict[str, Tree], str]:
    """The trees of these Terraform types, and the provider's version.

    A tree: {attribute: "" | "[]" | "{}" (a value, a list, a map) | "*" | a block's tree | {"{}": tree of a map's}}.
    """
    document = json.loads(jsii.read_text(encoding="utf-8"))
    types = document["types"]

    def kind_of(type_: dict[str, Any]) -> tuple[str, str]:
        if "primitive" in type_:
            return (ANY if type_["primitive"] == "any" else ""), ""
        if "fqn" in type_:
            return "", "" if type_["fqn"].startswith("cdktf.") else type_["fqn"]
        if "collection" in type_:
            _, inner = kind_of(type_["collection"]["elementtype"])
            return ("[]" if type_["collection"]["kind"] == "array" else "{}"), inner
        found = [kind_of(row) for row in type_["union"]["types"]]
        return max(found, key=lambda row: (row[1] != "", row[0]))

    def tree(fqn: str, above: tuple[str, ...] = ()) -> Tree:
        found: Tree = {}
        for row in types[fqn].get("properties", []):
            link = LINK.search(json.dumps(row.get("docs", {})))
            name = link[2] if link else names.snake(row["name"])
            if name == "timeouts" or (not above and link is None):
                continue
            kind, inner = kind_of(row["type"])
            found[name] = _below(kind, ANY if inner in above else tree(inner, (*above, inner))) if inner else kind
        return found

    configs = (
        (fqn, row)
        for fqn, row in types.items()
        if row["kind"] == "interface"
        and any(base.endswith("TerraformMetaArguments") for base in row.get("interfaces", ()))
    )
    found = {}
    for fqn, row in configs:
        links = {m[1] for each in row.get("properties", ()) if (m := LINK.search(json.dumps(each.get("docs", {}))))}
        name = f"{provider}_{links.pop()}" if len(links) == 1 else ""
        if name in wanted:
            found[name] = tree(fqn)
    return found, document["version"]


def args_of(token: str) -> type:
    """The SDK's class of a type's inputs."""
    provider, module, _ = token.split(":")
    root = importlib.import_module(f"pulumi_{provider.replace('-', '_')}")
    lists = re.search(r'resource_modules="""(.*?)"""', Path(str(root.__file__)).read_text(encoding="utf-8"), re.DOTALL)
    assert lists
    fqn, short = next(
        (row["fqn"], row["classes"][token])
        for row in json.loads(lists[1])
        if row["mod"] == module and token in row["classes"]
    )
    resource = getattr(importlib.import_module(fqn), short)
    own = vars(sys.modules[resource.__module__])  # a nested type may have the same name
    args: type = own.get(f"{short}InitArgs") or own[f"{short}Args"]
    return args


def pulumi_tree(token: str) -> Tree:
    """What Pulumi calls the inputs of a type, by its SDK."""
    return _pulumi_tree(args_of(token))


def azure_row(token: str) -> Tree:
    """The API version by which azure-native asks for a type, and the inputs."""
    args = args_of(token)
    version = re.search(
        r"Uses Azure REST API version ([\w-]+)", Path(inspect.getfile(args)).read_text(encoding="utf-8")
    )
    if version is None:
        raise ValueError(f"The SDK does not say the API version of {token}.")
    return {"api": version[1].rstrip("."), "inputs": _pulumi_tree(args)}


def _pulumi_tree(cls: type, above: tuple[type, ...] = ()) -> Tree:
    found: Tree = {}
    kinds = _types.input_type_types(cls)
    for python, wire in _types.input_type_py_to_pulumi_names(cls).items():
        kind, inner = _kind(kinds.get(python) or kinds.get(wire))
        found[wire] = _below(kind, ANY if inner in above else _pulumi_tree(inner, (*above, inner))) if inner else kind
    return found


def _below(kind: str, tree: Tree | str) -> Tree | str:
    """A block's tree; that of a map's values under `{}`."""
    return {kind: tree} if kind == "{}" else tree


def _kind(hint: Any) -> tuple[str, type | None]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if inspect.isclass(hint):
        return "", hint if _types.is_input_type(hint) else None
    if origin in (list, collections.abc.Sequence):
        return "[]", _kind(arguments[0])[1]
    if origin in (dict, collections.abc.Mapping):
        return "{}", _kind(arguments[1])[1]
    rows = [_kind(row) for row in arguments if typing.get_origin(row) is not pulumi.Output and row is not type(None)]
    return max(rows, key=lambda row: (row[1] is not None, row[0]), default=("", None))


def beyond(token: str, terraform: Tree) -> list[str]:
    """The dotted inputs of a Pulumi type that have no place in Terraform's schema, in Pulumi's names."""
    found: list[str] = []

    def walk(ours: Tree, theirs: Tree, path: str) -> None:
        for name, below in ours.items():
            attribute = name if name == "{}" else translate.attribute_of(token, path + name, theirs)
            if attribute is None:
                found.append(path + name)
            elif isinstance(below, dict) and isinstance(theirs[attribute], dict):
                walk(below, theirs[attribute], f"{path}{name}.")
            elif isinstance(below, dict) != isinstance(theirs[attribute], dict) and not (
                theirs[attribute] == ANY or path + name in translate.DOCUMENTS
            ):
                raise ValueError(f"{token}: {path}{name} is a block on one side alone.")

    walk(pulumi_tree(token), terraform, "")
    return sorted(found)


def main(aws: str, google: str) -> None:
    """Write the schema file."""
    wanted = set(translate.TYPES["terraform"].values())
    trees: dict[str, Tree] = {}
    versions: dict[str, str] = {}
    for provider, path in (("aws", aws), ("google", google)):
        found, version = terraform_trees(Path(path), provider, wanted)
        trees |= found
        versions[f"cdktf-cdktf-provider-{provider}"] = version
    missing = wanted - trees.keys()
    if missing:
        raise ValueError(f"No schema of {sorted(missing)}.")
    translate.write_schema(
        {
            "source": versions,
            "types": trees,
            "azure": {token: azure_row(token) for token in (*translate.TYPES["azure"], *translate.TYPES["nested"])},
            "beyond": {
                token: rows
                for token, type_ in translate.TYPES["terraform"].items()
                if (rows := beyond(token, trees[type_]))
            },
        }
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
