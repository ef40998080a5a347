"""Our own rules: what no scanner looks at, and what a cloud's adviser would say. A module a topic, `RULES` in each."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from policies.rule import Rule


@cache
def _by_module() -> Mapping[str, tuple[Rule, ...]]:
    names = sorted(info.name for info in pkgutil.walk_packages(__path__, f"{__name__}."))
    return {name: tuple(getattr(importlib.import_module(name), "RULES", ())) for name in names}


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule of the modules below, by id. Two of one id are a mistake of ours: ValueError."""
    rules = [rule for row in _by_module().values() for rule in row]
    if len({rule.id for rule in rules}) != len(rules):
        raise ValueError(f"Two rules of one id among {sorted(rule.id for rule in rules)}.")
    return tuple(sorted(rules, key=lambda rule: rule.id))


@cache
def _homes() -> Mapping[str, str]:
    return {rule.id: name for name, row in _by_module().items() for rule in row}


def home_of(rule: Rule) -> str:
    """The module that lists a rule, or its judge's where none does: many rules share who makes their judges."""
    return _homes().get(rule.id, rule.judge.__module__)
