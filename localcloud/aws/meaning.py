"""Whether two property values mean the same to AWS, however they are written."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

# parts of an IAM statement where one item may stand for a list of one, and order means nothing
_SETS = ("Statement", "Action", "NotAction", "Resource", "NotResource")


def same(one: Any, other: Any, path: str = "", unordered: Collection[str] = (), ignored: Collection[str] = ()) -> bool:
    """Whether two values mean the same.

    JSON texts compare by what they say (IAM policies by IAM's rules); a left-out part equals an empty or zero one, as
    in the provider's schema; lists at the paths in `unordered` compare as sets; parts at the paths in `ignored` do not
    count. Paths are dotted and without indexes: `rules.filter.prefix`.
    """
    if path in ignored or (is_empty(one) and is_empty(other)):
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return all(
            same(one.get(name), other.get(name), f"{path}.{name}", unordered, ignored) for name in {**one, **other}
        )
    if isinstance(one, list) and isinstance(other, list):
        if path in unordered:
            return _same_set(one, other, path, unordered, ignored)
        return len(one) == len(other) and all(
            same(a, b, path, unordered, ignored) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _same_json(one, other)
    # True == 1 in Python, and not in a property
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def explicit(value: Any) -> Any:
    """The value with each empty block as a text, so that it counts by being there."""
    if isinstance(value, dict):
        return {name: explicit(item) for name, item in value.items()} if value else "{}"
    return [explicit(item) for item in value] if isinstance(value, list) else value


def is_empty(value: Any) -> bool:
    """Whether a value says no more than its absence: None, "", 0, False, or a container of nothing else."""
    if isinstance(value, dict):
        return all(is_empty(item) for item in value.values())
    return value is None or value in ("", 0, False, [])


def _same_set(
    one: list[Any], other: list[Any], path: str, unordered: Collection[str], ignored: Collection[str]
) -> bool:
    left = list(other)
    for item in one:
        match = next((i for i, it in enumerate(left) if same(item, it, path, unordered, ignored)), None)
        if match is None:
            return False
        del left[match]
    return not left


def _same_json(one: str, other: str) -> bool:
    if one[:1] not in ("{", "[") or other[:1] not in ("{", "["):
        return False
    try:
        parsed = json.loads(one), json.loads(other)
    except ValueError:
        return False
    if all(isinstance(document, dict) and "Statement" in document for document in parsed):
        return bool(canonical(parsed[0]) == canonical(parsed[1]))
    return bool(parsed[0] == parsed[1])


def canonical(policy: Any, name: str = "") -> Any:
    """An IAM policy in one form: sets as sorted lists, one item as a list of one."""
    if isinstance(policy, dict):
        # below these, every value is a set of strings (a principal's accounts, a condition's values)
        inner = name if name in ("Principal", "NotPrincipal", "Condition") else ""
        return {key: canonical(value, inner or key) for key, value in policy.items()}
    if name in (*_SETS, "Principal", "NotPrincipal", "Condition"):
        items = policy if isinstance(policy, list) else [policy]
        return sorted((canonical(item) for item in items), key=lambda item: json.dumps(item, sort_keys=True))
    return policy
