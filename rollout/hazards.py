"""What properties say of safety: what opens a resource to anyone, what keeps its data, how few of it there may be.

Each function reads one resource of a plan, by the tables of `hazard_tables`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from rollout.changes import Row
from rollout.hazard_tables import COUNTS, ENDLESS, EVERYBODY, EXPOSED, FEWEST, INTERNAL, KEEPS, SPREAD, is_everywhere
from rollout.kinds import kind


def openings(row: Row) -> dict[tuple[str, str], str]:
    """What opens a resource to anyone: (path, value as a text) → what that means."""
    type_, inputs = kind(row["type"]), row["inputs"]
    if any(fnmatchcase(type_, pattern) and not counts(inputs) for pattern, counts in COUNTS.items()):
        return {}
    found = {
        (where, json.dumps(value) if where else ""): says
        for pattern, where, opens, says in EXPOSED
        if fnmatchcase(type_, pattern)
        for value in values(inputs, where)
        if opens(value)
    }
    found |= {(name, ""): says for name, says in _azure_rules(type_, inputs)}
    internal = type_ == "kubernetes:core:service" and _is_internal(inputs)
    return {} if internal else found


def _is_internal(inputs: Mapping[str, Any]) -> bool:
    metadata = inputs.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    found = annotations.items() if isinstance(annotations, dict) else ()
    return any(name.endswith(INTERNAL) and str(value).lower() in ("true", "internal") for name, value in found)


def _azure_rules(type_: str, inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rules of network security groups that let the internet in."""
    one = type_ == "azure-native:network:securityrule"
    rules = (
        [inputs] if one else inputs.get("securityRules") if type_ == "azure-native:network:networksecuritygroup" else ()
    )
    for rule in rules if isinstance(rules, list) else ():
        if not isinstance(rule, dict) or rule.get("access") != "Allow" or rule.get("direction") != "Inbound":
            continue
        many = rule.get("sourceAddressPrefixes")
        sources = [rule.get("sourceAddressPrefix"), *(many if isinstance(many, list) else ())]
        if any(map(is_everywhere, sources)):
            yield "sourceAddressPrefix" if one else f"securityRules[{rule.get('name')}]", EVERYBODY


@dataclass(frozen=True)
class Kept:
    """Something that keeps data. amount: more of it is better; None where it is no number. good: whether it is on."""

    value: Any
    says: str
    good: bool = False
    amount: float | None = None


def keeps(row: Row) -> dict[str, Kept]:
    """What keeps a resource's data, by path; of several rows of a list the one that keeps least."""
    options = row["options"]
    found = {
        "protect": Kept(
            options.get("protect", False), "its protection from deletion by Pulumi", bool(options.get("protect"))
        ),
        "retainOnDelete": Kept(
            options.get("retainOnDelete", False),
            "what keeps it when the stack lets go of it",
            bool(options.get("retainOnDelete")),
        ),
    }
    type_ = kind(row["type"])
    for pattern, where, good, says in KEEPS:
        if not fnmatchcase(type_, pattern):
            continue
        given = list(values(row["inputs"], where))
        if good:
            found[where] = Kept(
                next((v for v in given if not good(v)), given[0] if given else None),
                says,
                bool(given) and all(map(good, given)),
            )
        else:
            amounts = [amount for value in given if (amount := number(value)) is not None]
            endless = math.inf if where in ENDLESS else None
            least = min(amounts) if amounts else endless
            found[where] = Kept(least if least != math.inf else "for ever", says, amount=least)
    return found


def fewest(row: Row) -> dict[str, tuple[float, str]]:
    """How many there are at least: path → number, and of what. What Pulumi is told to ignore is left out."""
    ignored = row["options"].get("ignoreChanges") or ()
    type_, found = kind(row["type"]), {}
    for pattern, where, says in FEWEST:
        amounts = [amount for value in values(row["inputs"], where) if (amount := number(value)) is not None]
        if amounts and fnmatchcase(type_, pattern) and where not in ignored:
            found[where] = (min(amounts) if where.startswith("profiles") else sum(amounts), says)
    return found


def spread(row: Row) -> dict[str, tuple[int, str]]:
    """Over how many places a resource is spread: path → number, and of what."""
    type_, found = kind(row["type"]), {}
    for pattern, where, says in SPREAD:
        lengths = [len(value) for value in values(row["inputs"], where) if isinstance(value, list)]
        if lengths and fnmatchcase(type_, pattern):
            found[where] = (min(lengths), says)
    return found


def number(value: Any) -> float | None:
    """A number, also one that is written as a text (Azure's are), and seconds as Google writes them (`86400s`)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value.removesuffix("s") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def values(inputs: Mapping[str, Any], path: str) -> list[Any]:
    """Each value at a path."""
    found: list[Any] = [inputs]
    for step in path.split(".") if path else ():
        if step == "[]":
            found = [item for value in found if isinstance(value, list) for item in value]
        else:
            found = [value[step] for value in found if isinstance(value, Mapping) and step in value]
    return found
