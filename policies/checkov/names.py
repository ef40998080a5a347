"""Pulumi's names of inputs in Terraform's words: snake_case, and the singular where Terraform has that."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BEFORE_WORD = re.compile(r"([A-Z]+)([A-Z][a-z])")
_WITHIN = re.compile(r"([a-z0-9])([A-Z])")


def snake(name: str) -> str:
    """`enableHttp2` → `enable_http2`, `kmsKeyARN` → `kms_key_arn`."""
    return _WITHIN.sub(r"\1_\2", _BEFORE_WORD.sub(r"\1_\2", name)).lower()


def plurals(name: str) -> set[str]:
    """The plurals that Pulumi's bridge may have made of a name."""
    found = {name + "s", name + "es"}
    if name.endswith("y"):
        found.add(name[:-1] + "ies")
    if name.endswith(("ex", "ix")):
        found.add(name[:-2] + "ices")
    return found


def singular(name: str) -> str:
    """The singular of a list's name, where no schema says it."""
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith(("sses", "xes", "ches", "shes")):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def match(name: str, attributes: Iterable[str]) -> str | None:
    """The one of these attributes that an input of Pulumi's is; None where none or several may be meant."""
    wanted = snake(name)
    known = set(attributes)
    if wanted in known:
        return wanted
    # Pulumi joins digits otherwise (`ipv6` and `ipv_6`), so the last comparison forgets the word marks
    ways = (
        [row for row in known if wanted in plurals(row)],
        [row for row in known if row in plurals(wanted)],
        [row for row in known if _same(wanted, row)],
    )
    found = next((rows for rows in ways if rows), [])
    return found[0] if len(found) == 1 else None


def _same(wanted: str, attribute: str) -> bool:
    bare = {row.replace("_", "") for row in (attribute, *plurals(attribute))}
    return wanted.replace("_", "") in bare
