"""What a rule is: a plain function over a resource and its graph, and what an auditor must know about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from policies.graph import Graph, Resource

Severity = Literal["critical", "high", "medium", "low"]
Level = Literal["mandatory", "advisory", "disabled"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")


@dataclass(frozen=True)
class Verdict:
    """What a rule has to say against a resource. A resource about which a rule says nothing has passed it.

    status "undetermined": what decides is not known before the deployment. path: dotted, of the input that is meant.
    """

    status: Literal["fail", "undetermined"]
    message: str
    path: str = ""


def fail(message: str, path: str = "") -> Verdict:
    """The resource breaks the rule; the message says what it has, as a sentence without its name."""
    return Verdict("fail", message, path)


def undetermined(message: str, path: str = "") -> Verdict:
    """Whether it does cannot be said before the deployment; the message says what is not known."""
    return Verdict("undetermined", message, path)


Judge = Callable[[Resource, Graph], Iterable[Verdict]]


@dataclass(frozen=True)
class Rule:
    """One rule.

    id: `GW-` topic `-` number, never used again for another rule. why: what happens to whom where it is broken. mend:
    what to write instead. controls: ids of `controls.yaml`. types: whole tokens that it judges. level: what a
    violation does by default: mandatory ones stop a deployment. whole_stack: it looks at other resources, too, and so
    is judged when all of them are known; it then reads outputs where a policy pack's host knows no inputs.
    """

    id: str
    title: str
    severity: Severity
    why: str
    mend: str
    controls: tuple[str, ...]
    types: tuple[str, ...]
    judge: Judge
    level: Level = "mandatory"
    whole_stack: bool = False
