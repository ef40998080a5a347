"""Differences of property values: what to ignore, what forces a replacement, what to show."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from localcloud.values import UNKNOWN, Properties, Secret, has_unknown

STEP = re.compile(r'\["(?P<quoted>[^"]*)"\]|\[(?P<index>\d+|\*)\]|(?P<name>[^.\[\]]+)')
WIDTH = 72
MISSING = object()


def steps_of(path: str) -> list[str | int]:
    """The steps of a property path as Pulumi writes them: `a.b[0]["c d"]`, `*` for any."""
    found: list[str | int] = []
    for match in STEP.finditer(path):
        text = match["quoted"] if match["quoted"] is not None else match["index"] or match["name"]
        found.append(int(text) if match["index"] and text.isdigit() else text)
    return found


def ignoring(new: Properties, old: Properties, paths: Iterable[str]) -> Properties:
    """The new properties with the old value at each ignored path, as `ignore_changes` asks."""
    result: Properties = copy.deepcopy(new)
    for path in paths:
        _restore(result, old, steps_of(path))
    return result


def _restore(new: Any, old: Any, steps: Sequence[str | int]) -> None:
    first, *rest = steps
    keys: Iterable[Any] = _keys(old) | _keys(new) if first == "*" else {first}
    for key in keys:
        before = _get(old, key)
        if rest:
            after = _get(new, key)
            if after is not MISSING and before is not MISSING:
                _restore(after, before, rest)
        elif before is not MISSING:
            if isinstance(new, dict) or (isinstance(new, list) and isinstance(key, int) and key < len(new)):
                new[key] = copy.deepcopy(before)
        elif isinstance(new, dict):
            new.pop(key, None)


def _keys(value: Any) -> set[Any]:
    if isinstance(value, dict):
        return set(value)
    return set(range(len(value))) if isinstance(value, list) else set()


def _get(value: Any, key: Any) -> Any:
    if isinstance(value, dict) and key in value:
        return value[key]
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return MISSING


def replacing(old: Properties, new: Properties, changed: Iterable[str], paths: Iterable[str]) -> tuple[str, ...]:
    """The changed properties in which some leaf changes under one of `replace_on_changes`' paths; `*` is any name."""
    wanted = [steps_of(path) for path in paths]
    if not wanted:
        return ()
    return tuple(
        name
        for name in changed
        if any(_under(steps_of(path), one) for path, _, _ in _all_leaves(name, old, new) for one in wanted)
    )


def _all_leaves(name: str, old: Properties, new: Properties) -> Iterator[tuple[str, Any, Any]]:
    """The leaves that differ in one property, also those inside of what is added or removed whole."""
    for path, before, after in _leaves(_step("", name), old.get(name, MISSING), new.get(name, MISSING)):
        there = after if before is MISSING else before
        if (before is MISSING or after is MISSING) and isinstance(there, dict | list) and there:
            yield from _leaves(path, type(there)(), there)
        else:
            yield path, before, after


def _under(path: Sequence[str | int], wanted: Sequence[str | int]) -> bool:
    return len(path) >= len(wanted) and all(want in ("*", step) for step, want in zip(path, wanted, strict=False))


def lines(old: Properties, new: Properties) -> Iterator[str]:
    """What changes, a line a leaf: `+ path: value`, `- path: value`, `~ path: old => new`. Secrets stay hidden."""
    for path, before, after in leaves(old, new):
        if before is MISSING:
            yield f"+ {path}: {shown(after)}"
        elif after is MISSING:
            yield f"- {path}: {shown(before)}"
        else:
            yield f"~ {path}: {shown(before)} => {shown(after)}"


def leaves(old: Properties, new: Properties) -> Iterator[tuple[str, Any, Any]]:
    """What changes: the path of each leaf as Pulumi writes paths, the value before and after, MISSING where none is."""
    for name in sorted(old.keys() | new.keys()):
        yield from _leaves(_step("", name), old.get(name, MISSING), new.get(name, MISSING))


def _leaves(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _leaves(_step(path, name), old.get(name, MISSING), new.get(name, MISSING))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else MISSING
            yield from _leaves(f"{path}[{index}]", before, new[index] if index < len(new) else MISSING)
    elif old is MISSING or new is MISSING or not same(old, new):
        yield path, old, new


def _step(path: str, name: str) -> str:
    if not name or any(sign in name for sign in '.[]"'):
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name


def same(old: Any, new: Any) -> bool:
    """Whether two values are equal; an unknown one equals nothing."""
    if has_unknown(old) or has_unknown(new):
        return False
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def shown(value: Any) -> str:
    """A value as one short line."""
    if isinstance(value, Secret):
        return "[secret]"
    if value is UNKNOWN:
        return "[known after it is created]"
    text = repr(value) if isinstance(value, str) else _compact(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {shown(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
