"""What changes in a resource's properties, as the Pulumi CLI shows it with `--diff`: nested, a sign a line.

The form is that of the CLI (pkg/display/object_diff.go): `+`, `-` and `~` before a name, `old => new` for a value,
objects and lists opened where they differ, JSON inside of a string read as what it is, text line by line. A secret is
`[secret]`, a value that only the cloud will tell is `output<string>`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from localcloud.diff import MISSING, same
from localcloud.values import ARCHIVE, ASSET, RESOURCE, SIGNATURE, UNKNOWN, Properties, Secret

INDENT = "    "
WIDTH = 150  # of one string
HASH = 7  # characters of an asset's


def differences(old: Properties, new: Properties) -> Iterator[str]:
    """The properties that differ, by name; nothing for those that stay."""
    yield from _members({name: (old.get(name, MISSING), new.get(name, MISSING)) for name in old.keys() | new.keys()})


def properties(values: Properties) -> Iterator[str]:
    """All properties of a resource that is made or goes."""
    yield from _fields(values)


def printable(text: str) -> str:
    """The text with whatever could move a terminal's cursor or colour escaped: programs and clouds wrote it."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _members(pairs: Mapping[str, tuple[Any, Any]]) -> Iterator[str]:
    changed = {name: pair for name, pair in sorted(pairs.items()) if not _stays(*pair)}
    width = max(map(len, map(printable, changed)), default=0)
    for name, (old, new) in changed.items():
        yield from _change(printable(name).ljust(width), old, new)


def _stays(old: Any, new: Any) -> bool:
    return old is not MISSING and new is not MISSING and same(old, new)


def _change(label: str, old: Any, new: Any) -> Iterator[str]:
    if old is MISSING or new is MISSING:
        sign, value = ("+", new) if old is MISSING else ("-", old)
        first, *rest = _whole(value)
        yield f"{sign} {label}: {first}"
        yield from (f"  {line}" for line in rest)
        return
    mark, before, after = _opened(old, new)
    if isinstance(before, dict) and isinstance(after, dict) and not (SIGNATURE in before or SIGNATURE in after):
        names = before.keys() | after.keys()
        inside = _members({name: (before.get(name, MISSING), after.get(name, MISSING)) for name in names})
        yield from _nested(f"~ {label}: {mark}{{", inside, "  }")
    elif isinstance(before, list) and isinstance(after, list):
        yield from _nested(f"~ {label}: {mark}[", _items(before, after), "  ]")
    elif isinstance(before, str) and isinstance(after, str) and "\n" in before.strip() + after.strip():
        yield from _nested(f'~ {label}: """', _text(before, after), '  """')
    else:
        yield f"~ {label}: {short(old)} => {short(new)}"


def _nested(first: str, inside: Iterable[str], last: str) -> Iterator[str]:
    yield first
    yield from (f"{INDENT}{line}" for line in inside)
    yield last


def _items(old: list[Any], new: list[Any]) -> Iterator[str]:
    for index in range(max(len(old), len(new))):
        before = old[index] if index < len(old) else MISSING
        after = new[index] if index < len(new) else MISSING
        if not _stays(before, after):
            yield from _change(f"[{index}]", before, after)


def _text(old: str, new: str) -> Iterator[str]:
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1):
        if not line.startswith(("---", "+++", "@@")):
            yield f"{line[0]} {printable(line[1:])}"


def _opened(old: Any, new: Any) -> tuple[str, Any, Any]:
    """Two strings of JSON as what they say, where both are an object or both a list."""
    before, after = _json(old), _json(new)
    if before is not None and type(before) is type(after) and before != after:
        return "(json) ", before, after
    return "", old, new


def _json(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return None


def _fields(values: Mapping[str, Any]) -> Iterator[str]:
    width = max(map(len, map(printable, values)), default=0)
    for name, value in sorted(values.items()):
        first, *rest = _whole(value)
        yield f"{printable(name).ljust(width)}: {first}"
        yield from rest


def _whole(value: Any) -> list[str]:
    """A value in as many lines as it needs; the first goes behind its name."""
    read = _json(value)
    mark, value = ("(json) ", read) if read else ("", value)
    if isinstance(value, dict) and value and SIGNATURE not in value:
        return [mark + "{", *(f"{INDENT}{line}" for line in _fields(value)), "}"]
    if isinstance(value, list) and value:
        lines = [f"{INDENT}{line}" for n, item in enumerate(value) for line in _item(n, item)]
        return [mark + "[", *lines, "]"]
    return [short(value)]


def _item(index: int, value: Any) -> list[str]:
    first, *rest = _whole(value)
    return [f"[{index}]: {first}", *rest]


def short(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, Secret):
        return "[secret]"
    if value is UNKNOWN:
        return "output<string>"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return printable(text if len(text) <= WIDTH else f'{text[: WIDTH - 4]}..."')
    if isinstance(value, dict):
        return _marked(value) if SIGNATURE in value else "{" + ", ".join(_pairs(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(short(item) for item in value) + "]"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _pairs(value: Mapping[str, Any]) -> Iterator[str]:
    for name, item in sorted(value.items()):
        yield f"{printable(name)}: {short(item)}"


def _marked(value: Mapping[str, Any]) -> str:
    if value[SIGNATURE] in (ASSET, ARCHIVE):
        kind = "asset" if value[SIGNATURE] == ASSET else "archive"
        where = next((name for name in ("path", "uri", "text", "assets") if value.get(name)), "")
        form = {"path": "file", "uri": "uri", "text": "text", "assets": "assets"}.get(where, "empty")
        told = f" {{ {printable(str(value[where]))} }}" if where in ("path", "uri") else ""
        return f"{kind}({form}:{str(value.get('hash') or '')[:HASH]}){told}"
    if value[SIGNATURE] == RESOURCE:
        return printable(str(value.get("urn")))
    return "{" + ", ".join(_pairs({name: item for name, item in value.items() if name != SIGNATURE})) + "}"
