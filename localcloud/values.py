"""Property values as Python: between Pulumi's wire form (protobuf) and plain dicts, lists and scalars.

A value is None, bool, int, float, str, a list of values, a dict of values by name, or one of the marks
`UNKNOWN` and `Secret`. Assets, archives and resource references stay dicts that carry Pulumi's signature key.
The signatures are those of pulumi's `sdk/proto` documentation ("special values").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's public mark of a secret, not a secret
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Properties = dict[str, Any]


class _Unknown:
    """A value that is not known before the resource it comes from exists."""

    def __repr__(self) -> str:
        return "<unknown>"

    def __reduce__(self) -> str:
        return "UNKNOWN"  # a copy is the same one: whoever tests for it uses `is`

    def __bool__(self) -> bool:
        raise TypeError("an unknown value has no truth; test for it with `is UNKNOWN`")


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that must not be shown; `value` holds it in clear."""

    value: Any

    def __repr__(self) -> str:
        return "<secret>"


def decode(struct: struct_pb2.Struct) -> Properties:
    """The properties of a protobuf Struct. Whole numbers become int. Outputs become their value."""
    return {name: decode_one(value) for name, value in struct.fields.items()}


def decode_one(value: struct_pb2.Value) -> Any:
    """One value of protobuf, as `decode` does."""
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [decode_one(item) for item in value.list_value.values]
    return _decode_object(decode(value.struct_value))


def _decode_object(properties: Properties) -> Any:
    signature = properties.get(SIGNATURE)
    if signature == SECRET:
        return Secret(reveal(properties.get("value")))
    if signature == OUTPUT:
        inner = reveal(properties.get("value", UNKNOWN))
        return Secret(inner) if properties.get("secret") else inner
    return properties


def encode(properties: Properties) -> struct_pb2.Struct:
    """The protobuf Struct of some properties, marks included."""
    struct = struct_pb2.Struct()
    for name, value in properties.items():
        struct.fields[name].CopyFrom(_encode(value))
    return struct


def _encode(value: Any) -> struct_pb2.Value:  # noqa: PLR0911 - one return for each kind of value
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=UNKNOWN_TEXT)
    if isinstance(value, Secret):
        return struct_pb2.Value(struct_value=encode({SIGNATURE: SECRET, "value": value.value}))
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, list | tuple):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_encode(item) for item in value]))
    if isinstance(value, dict):
        return struct_pb2.Value(struct_value=encode(value))
    raise TypeError(f"{type(value).__name__} is no property value")


def transform(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with `change` applied to its leaves (scalars and marks), containers copied."""
    if isinstance(value, dict):
        return {name: transform(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [transform(item, change) for item in value]
    return change(value)


def reveal(value: Any) -> Any:
    """The value with every secret in clear: for providers, never for display or storage."""
    return transform(value, lambda leaf: reveal(leaf.value) if isinstance(leaf, Secret) else leaf)


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf of a value with its path, as in `rules[0].days`."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from walk(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, f"{path}[{index}]")
    else:
        yield path, value


def has_unknown(value: Any) -> bool:
    """Whether some leaf, also inside a secret, is unknown."""
    return any(leaf is UNKNOWN for _, leaf in walk(reveal(value)))


def has_secret(value: Any) -> bool:
    """Whether some leaf is secret."""
    return any(isinstance(leaf, Secret) for _, leaf in walk(value))


def plain(value: Any) -> Any:
    """The value as a provider wants it: secrets in clear, resource references as ids, nulls in objects gone."""
    revealed = reveal(value)
    if isinstance(revealed, dict):
        if revealed.get(SIGNATURE) == RESOURCE:
            return revealed.get("id") or revealed["urn"]
        return {name: plain(item) for name, item in revealed.items() if item is not None}
    if isinstance(revealed, list):
        return [plain(item) for item in revealed]
    return revealed
