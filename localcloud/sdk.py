"""What the installed Pulumi SDKs say of their own types: type or function token → class, properties, documentation.

Each SDK registers, when imported, which tokens its modules hold (`resource_modules` in its `__init__.py`). Only the
submodule that a token names is imported. The SDK's type metadata is private to `pulumi` (`pulumi._types`); this module
is the only place that touches it, so that a change there is mended here.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import threading
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import pulumi
import pulumi.dynamic
from pulumi import _types
from pulumi.runtime import rpc

from localcloud.errors import UnsupportedError

_IMPORTING = (
    threading.RLock()
)  # an SDK loads its modules when they are first asked for something: one thread's are another's by half
BUILT_IN = ("pulumi:", "pulumi-python:")
# A kind of object that somebody added to a cluster: its group has a dot, and no SDK knows it.
CUSTOM_OBJECTS = "pulumi_kubernetes.apiextensions.CustomResource"
CUSTOM_OBJECT = re.compile(r"kubernetes:[a-z0-9-]+(\.[a-z0-9-]+)+/v\w+:[A-Za-z]\w*")


class UnknownTypeError(UnsupportedError):
    """A token that no installed SDK knows; the message is a sentence that says what to do."""


@dataclass(frozen=True)
class Property:
    """One output property: wire name, type without Optional, whether the SDK says it may be absent, documentation."""

    name: str
    kind: Any
    optional: bool
    doc: str


def package(token: str) -> str:
    """The provider package of a token, `aws` of `aws:s3/bucket:Bucket`."""
    return token.split(":", 1)[0]


@cache
def resource_class(token: str) -> type:
    """The SDK class of a resource type token. Raises UnknownTypeError."""
    modules = _modules(package(token))
    for module in modules:
        if token in module["classes"]:
            with _IMPORTING:
                return getattr(importlib.import_module(module["fqn"]), module["classes"][token])  # type: ignore[no-any-return] # classes of a generated module
    if CUSTOM_OBJECT.fullmatch(token):
        with _IMPORTING:
            return importlib.import_module(CUSTOM_OBJECTS).CustomResource  # type: ignore[no-any-return] # likewise
    raise UnknownTypeError(
        f"the package {_import_name(package(token))} has no resource type {token}; check the type's name."
    )


@cache
def function_result(token: str) -> type | None:
    """The SDK's result class of a function token; None if it returns a bare value. Raises UnknownTypeError."""
    parts = token.split(":")
    if len(parts) != 3:
        raise UnknownTypeError(f"{token} is no function token of the form package:module:function.")
    name = parts[2]
    with _IMPORTING:
        for fqn in _function_modules(parts[0], parts[1].split("/")[0], parts[1]):
            module = importlib.import_module(fqn)
            for result in (f"{name[0].upper()}{name[1:]}Result", _class_case(name) + "Result"):
                if isinstance(found := getattr(module, result, None), type):
                    return found
            if hasattr(module, _snake(name)):
                return None
    raise UnknownTypeError(f"the package {_import_name(parts[0])} has no function {token}; check the function's name.")


@cache
def method_result(token: str) -> type | None:
    """The result class of a component's method, `package:module:Class/method`; None if the SDK has none."""
    owner, _, method = token.rpartition("/")
    found = getattr(resource_class(owner), f"{method[:1].upper()}{method[1:]}Result", None)
    return found if isinstance(found, type) else None


@cache
def properties(cls: type) -> tuple[Property, ...]:
    """The output properties of a resource class, a result class or a nested output class."""
    if cls.__module__ == CUSTOM_OBJECTS:  # what the SDK says of no such kind: each has metadata, as all objects have
        other = properties(resource_class("kubernetes:core/v1:ConfigMap"))
        return tuple(prop for prop in other if prop.name == "metadata")
    hints = _types._raw_return_hints(cls)
    found = []
    for _, name, getter in _types._py_properties(cls):
        hint = hints.get(name, Any)
        if typing.get_origin(hint) is not None and getattr(hint, "__origin__", None).__name__ == "Output":  # type: ignore[union-attr] # has an origin, see above
            hint = typing.get_args(hint)[0]
        kind, optional = _unwrap(hint)
        found.append(Property(name, kind, optional, " ".join((getter.fget.__doc__ or "").split())))
    return tuple(found)


@cache
def inputs(cls: type) -> Mapping[str, tuple[Any, bool]]:
    """What a resource or nested output class takes as input: wire name → (raw type, required). May be empty."""
    module = importlib.import_module(cls.__module__)
    stem = cls.__name__.removesuffix("Response")
    places = [module, importlib.import_module(cls.__module__.removesuffix(".outputs"))]
    for name in (f"{stem}InitArgs", f"{stem}Args"):
        for place in places:
            args = getattr(place, name, None)
            if isinstance(args, type) and _types.is_input_type(args):
                return {wire: (hint, not _accepts_none(hint)) for wire, hint in _types._raw_return_hints(args).items()}
    return {}


def is_object(kind: Any) -> bool:
    """Whether a type is a nested output class."""
    return isinstance(kind, type) and _types.is_output_type(kind)


def resource_token(kind: Any) -> str | None:
    """The type token of a resource class, or of the items of a list of them; None for any other type."""
    inner = typing.get_args(kind)[:1] if typing.get_origin(kind) is not None else (kind,)
    cls = _unwrap(inner[0])[0] if inner else None
    is_one = isinstance(cls, type) and issubclass(cls, pulumi.CustomResource)
    return getattr(cls, "pulumi_type", None) if is_one else None


def is_component(cls: type | None) -> bool:
    """Whether a resource class is a component, made by a plugin in another language."""
    return cls is not None and issubclass(cls, pulumi.ComponentResource)


def enum_of(hint: Any) -> type[Enum] | None:
    """The first enumeration inside a type annotation, or None."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return next((found for part in typing.get_args(hint) if (found := enum_of(part))), None)


@cache
def import_examples(token: str, cls: type) -> tuple[str, ...]:
    """The ids shown in a type's documentation for `pulumi import`, in order; empty if there are none."""
    found = re.findall(rf"pulumi import {re.escape(token)} \S+ (.+)", _documentation(cls))
    return tuple(dict.fromkeys(example.strip().strip("\"'") for example in found))


@cache
def import_property(cls: type) -> str | None:
    """The property whose value is the id, where the documentation says "import X using the `property`"."""
    found = re.search(
        r"Using `pulumi import`, import [^.]*? using (?:the |its |their )?[^`.]*`(\w+)`\.", _documentation(cls)
    )
    return camel(found.group(1)) if found else None


def classes(package_name: str, module: str) -> Iterator[tuple[str, str]]:
    """The (token, class name) pairs that a package's module holds, as `azure-native`, `storage`."""
    for found in _modules(package_name):
        if found["mod"] == module:
            yield from found["classes"].items()


def dynamic_hints(token: str) -> dict[str, Any]:
    """The types that the program's own classes of a dynamic resource type give to their outputs, by name."""
    hints: dict[str, Any] = {}
    waiting = list(pulumi.dynamic.Resource.__subclasses__())
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if token == f"pulumi-python:{cls._resource_type_name}":
            for name, hint in vars(cls).get("__annotations__", {}).items():
                told = re.fullmatch(r"(?:\w+\.)*Output\[(\w+)\]", hint if isinstance(hint, str) else _written(hint))
                hints[name] = {"str": str, "int": int, "float": float, "bool": bool}.get(told[1] if told else "", Any)
    return hints


def _written(hint: Any) -> str:
    inner = typing.get_args(hint)
    return f"Output[{getattr(inner[0], '__name__', '')}]" if inner else ""


def camel(name: str) -> str:
    """`function_name` → `functionName`."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _import_name(package_name: str) -> str:
    return "pulumi_" + package_name.replace("-", "_")


def _modules(package_name: str) -> list[dict[str, Any]]:
    """The module tables of a package: those that the program's imports registered, else those of the installed SDK."""
    with _IMPORTING:
        if package_name not in rpc._RESOURCE_PACKAGES and not any(
            key.startswith(f"{package_name}:") for key in rpc._RESOURCE_MODULES
        ):
            name = _import_name(package_name)
            if importlib.util.find_spec(name) is None:
                raise UnknownTypeError(
                    f"the SDK of {package_name!r} is not installed; install the package {name.replace('_', '-')}."
                )
            importlib.import_module(name)
    return [
        module.mod_info
        for key, registered in rpc._RESOURCE_MODULES.items()
        if key.startswith(f"{package_name}:")
        for module in registered
        if hasattr(module, "mod_info")
    ]


def _function_modules(package_name: str, head: str, mod: str) -> Iterator[str]:
    """Where the functions of a module may live, best first."""
    tables = _modules(package_name)
    root = tables[0]["fqn"].split(".")[0] if tables else _import_name(package_name)
    if head == "index":
        yield root
        return
    seen = set()
    for table in sorted(tables, key=lambda table: table["mod"] != mod):
        if (table["mod"] == mod or table["mod"].split("/")[0] == head) and table["fqn"] not in seen:
            seen.add(table["fqn"])
            yield table["fqn"]
    for guess in (f"{root}.{head.lower()}", f"{root}.{_snake(head)}"):
        if guess not in seen and importlib.util.find_spec(guess):
            seen.add(guess)
            yield guess


def _documentation(cls: type) -> str:
    """A resource class's documentation: the SDKs keep it at the overloads of the constructor."""
    overloads = typing.get_overloads(cls.__init__)  # type: ignore[misc] # the class's own constructor
    return next((doc for overload in overloads if (doc := overload.__doc__)), "")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _class_case(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in _snake(name).split("_"))


def _accepts_none(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _unwrap(hint: Any) -> tuple[Any, bool]:
    """A type without its Optional, and whether it had one; a union becomes its first member that says most."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    members = [part for part in typing.get_args(hint) if part is not type(None)]
    optional = len(members) < len(typing.get_args(hint))
    telling = [part for part in members if enum_of(part) or is_object(part)]
    return (telling or members)[0], optional


__all__ = [
    "Property",
    "UnknownTypeError",
    "camel",
    "classes",
    "dynamic_hints",
    "enum_of",
    "function_result",
    "import_examples",
    "import_property",
    "inputs",
    "is_component",
    "is_object",
    "method_result",
    "package",
    "properties",
    "resource_class",
    "resource_token",
]
