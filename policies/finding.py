"""The one finding set that every report renders."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from policies.rule import Level, Severity

Status = Literal["fail", "undetermined", "waived", "pass"]
STATUSES: tuple[Status, ...] = ("fail", "undetermined", "waived", "pass")


@dataclass(frozen=True)
class Waiver:
    """A row of `waivers.yaml`. expires: an ISO date, the last day on which it holds."""

    policy: str
    urn: str
    owner: str
    approver: str
    reason: str
    ticket: str
    expires: str


@dataclass(frozen=True)
class Policy:
    """What a report says once about each policy, whichever tool it is of.

    tool: `groundwork`, `checkov`, `parliament`, `cloudsplaining` or `policy_sentry`.
    """

    id: str
    tool: str
    title: str
    severity: Severity
    level: Level
    why: str
    mend: str
    controls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One policy's answer about one resource. file, line: where the program declares it; "" and 0 where nobody says.

    path: dotted, of the input that is meant; "" for the whole resource. message: "" where it passed.
    """

    policy: str
    status: Status
    stack: str
    urn: str
    type: str
    name: str
    file: str
    line: int
    message: str = ""
    path: str = ""
    waiver: Waiver | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same finding in another commit, wherever its line has moved: 32 hex digits."""
        return hashlib.sha256("\n".join((self.policy, self.stack, self.urn, self.path)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class NotAssessed:
    """A resource, or one of its inputs, that a tool could not look at. path: dotted; "" for the whole resource."""

    tool: str
    stack: str
    urn: str
    type: str
    reason: str
    path: str = ""


@dataclass(frozen=True)
class Assessment:
    """What one tool found in all graphs: its policies, findings (passes too), what it did not assess, its versions."""

    policies: tuple[Policy, ...] = ()
    findings: tuple[Finding, ...] = ()
    not_assessed: tuple[NotAssessed, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
