"""Our own rules over the graphs of all stacks."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from policies.finding import Assessment, Finding, Policy
from policies.graph import Graph, Resource
from policies.rule import Rule, Verdict
from policies.rules import all_rules, home_of

OURS = __name__.partition(".")[0]
TOOL = "groundwork"
LONGEST = 1_000  # characters of a message: a name or a statement in it may be of any length


@dataclass(frozen=True)
class Unjudged(Verdict):
    """What is said of a resource that made its rule raise: nobody has judged it."""


def assess(graphs: Sequence[Graph]) -> Assessment:
    """What our rules say of every resource of a type that they judge; whoever breaks none of a rule has passed it.

    A rule of the level `disabled` is listed and judges nothing.
    """
    rules = all_rules()
    return Assessment(
        tuple(policy(rule) for rule in rules),
        tuple(finding for graph in graphs for rule in rules for finding in findings(rule, graph)),
        versions={TOOL: version(rules)},
    )


def policy(rule: Rule) -> Policy:
    """What reports say of a rule."""
    return Policy(rule.id, TOOL, rule.title, rule.severity, rule.level, rule.why, rule.mend, rule.controls)


def version(rules: Iterable[Rule]) -> str:
    """A hash over the code of these rules and of what they are all built on: 12 hex digits."""
    return hashlib.sha256("".join(source_hash(rule) for rule in rules).encode()).hexdigest()[:12]


def source_hash(rule: Rule) -> str:
    """The SHA-256 of the code that a rule runs on, and of its types.

    The code: the module that lists the rule, its judge's, the graph's, and whatever these import of ours.
    """
    modules = {*_modules(home_of(rule)), *_modules(rule.judge.__module__), *_modules(Graph.__module__)}
    texts = [_file_hash(str(sys.modules[name].__file__)) for name in sorted(modules)]
    return hashlib.sha256("\n".join((*texts, rule.id, *rule.types)).encode()).hexdigest()


@cache
def _modules(name: str) -> frozenset[str]:
    """A module, and those of ours that it imports, by whatever way round."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += _imports(each)
    return frozenset(found)


@cache
def _imports(name: str) -> frozenset[str]:
    """The modules of ours that a module's own source imports; it is imported itself, and so they are, too."""
    module = sys.modules[name]
    names: set[str] = set()
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), module.__package__)
            names |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return frozenset(each for each in names if each.startswith(f"{OURS}.") and each in sys.modules)


@cache
def _file_hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def verdicts(rule: Rule, resource: Resource, graph: Graph) -> tuple[Verdict, ...]:
    """What a rule says of a resource. A rule that raises has not judged it: undetermined, never passed."""
    try:
        return tuple(replace(verdict, message=shortened(verdict.message)) for verdict in rule.judge(resource, graph))
    except Exception as error:  # noqa: BLE001 - a plan is anybody's: whatever it makes a rule raise must not pass
        kind = type(error).__name__
        return (
            Unjudged(
                "undetermined",
                f"The rule {rule.id} could not judge this resource ({kind}): an input has a form that the rule does "
                "not know. Look at it by hand, and report the rule.",
            ),
        )


def shortened(text: str) -> str:
    """The text, cut where it is longer than a reader would read."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def findings(rule: Rule, graph: Graph) -> Iterator[Finding]:
    """What one rule finds in one stack, passes too."""
    if rule.level == "disabled":
        return
    for row in graph.of_type(*dict.fromkeys(rule.types)):
        passed = Finding(rule.id, "pass", graph.stack, row.urn, row.type, row.name, row.file, row.line)
        found = verdicts(rule, row, graph)
        for verdict in found:
            yield replace(passed, status=verdict.status, message=verdict.message, path=verdict.path)
        if not found:
            yield passed
