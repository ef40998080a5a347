"""JSON as this application reads and writes it: strict, canonical, and checked against the schemas beside it.

A document that came from a bucket or from a client is not trusted: duplicate names, NaN, infinities and
endless nesting are refused here, once, for everybody.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parent / "schemas"

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
_LONGEST_EXACT_INTEGER = 18  # digits; longer ones are read as float, so that no digit string costs time


class DocumentError(ValueError):
    """A document that cannot be used; the message is a sentence that says what is wrong with it."""


def sha256(data: bytes) -> str:
    """The SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def now() -> str:
    """The time in UTC to the second, as documents spell it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def dump(document: dict[str, Any]) -> bytes:
    """The one spelling of a document: sorted names, no spaces, ASCII, a newline at the end."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def parse(data: bytes) -> Any:
    """What the JSON text `data` (UTF-8) says. Raises DocumentError where RFC 8259 or good sense forbids it."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8 text (byte {error.start + 1})") from None
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_integer)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DocumentError(f"is not JSON ({error.msg[:80]} at {where})") from None
    except RecursionError:
        raise DocumentError("is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, value in pairs:
        if name in document:
            raise DocumentError(f"has the name {short(name)} twice")
        document[name] = value
    return document


def _refuse(constant: str) -> Any:
    raise DocumentError(f"contains {constant}, which JSON does not have")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_EXACT_INTEGER else float(digits)


def short(value: Any) -> str:
    """A value as a message may show it: its JSON, at most 40 characters of it."""
    try:
        text = json.dumps(value)
    except (RecursionError, ValueError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "…"


def checked(data: bytes, schema: str) -> dict[str, Any]:
    """The document in `data`, which satisfies `schemas/SCHEMA.schema.json`. Raises DocumentError."""
    document = parse(data)
    problem = next(problems(document, load_schema(schema)), None)
    if problem is not None:
        raise DocumentError(f"does not satisfy {schema}.schema.json: {problem}")
    return dict(document)


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The JSON schema called `name`, from the folder beside this file."""
    return dict(json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")))


def problems(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Each way in which `value` breaks `schema`, as a sentence.

    The subset of JSON Schema 2020-12 that our schemas use; a keyword outside it raises KeyError, so that
    no rule is passed over in silence. Numbers must be finite.
    """
    here = path or "the document"
    if "type" in schema:
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(_is(value, kind) for kind in kinds):
            yield f"{here} is {short(value)} where {' or '.join(kinds)} is expected"
            return
        if value is None:
            return  # the rules are those of the other type
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{here} is not a finite number"
        return
    for keyword, rule in schema.items():
        yield from _CHECKS[keyword](value, rule, path, schema)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    return isinstance(value, _TYPES[kind])


def _nothing(*_: Any) -> Iterator[str]:
    return iter(())


def _const(value: Any, rule: Any, path: str, _: Any) -> Iterator[str]:
    if value != rule:
        yield f"{path or 'the document'} is {short(value)}, not {short(rule)}"


def _pattern(value: Any, rule: str, path: str, _: Any) -> Iterator[str]:
    if isinstance(value, str) and not re.search(rule, value):
        yield f"{path} is {short(value)}, which does not match {rule}"


def _required(value: Any, rule: list[str], path: str, _: Any) -> Iterator[str]:
    yield from (f"{_join(path, name)} is missing" for name in rule if name not in value)


def _properties(value: Any, rule: dict[str, Any], path: str, _: Any) -> Iterator[str]:
    for name in rule.keys() & value.keys():
        yield from problems(value[name], rule[name], _join(path, name))


def _additional(value: Any, _: Any, path: str, schema: dict[str, Any]) -> Iterator[str]:
    for name in value.keys() - schema["properties"].keys():
        yield f"{_join(path, short(name))} is not known here"


def _minimum(value: Any, rule: float, path: str, _: Any) -> Iterator[str]:
    if value < rule:
        yield f"{path} is {value}, under {rule}"


def _exclusive_minimum(value: Any, rule: float, path: str, _: Any) -> Iterator[str]:
    if value <= rule:
        yield f"{path} is {value}, not above {rule}"


def _items(value: Any, rule: dict[str, Any], path: str, _: Any) -> Iterator[str]:
    for index, item in enumerate(value):
        yield from problems(item, rule, f"{path}[{index}]")


def _min_items(value: Any, rule: int, path: str, _: Any) -> Iterator[str]:
    if len(value) < rule:
        yield f"{path} has {len(value)} items, fewer than {rule}"


def _max_items(value: Any, rule: int, path: str, _: Any) -> Iterator[str]:
    if len(value) > rule:
        yield f"{path} has {len(value)} items, more than {rule}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_CHECKS = {
    "$schema": _nothing,
    "title": _nothing,
    "description": _nothing,
    "type": _nothing,  # looked at first, before the rules that rely on it
    "const": _const,
    "pattern": _pattern,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "minimum": _minimum,
    "exclusiveMinimum": _exclusive_minimum,
    "items": _items,
    "minItems": _min_items,
    "maxItems": _max_items,
}
