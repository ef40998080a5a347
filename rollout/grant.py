"""One permission, and what it says of another."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from rollout.changes import Row
from rollout.kinds import kind

ANYONE = "*"
NOT = "all but "  # before what a statement excludes (`NotAction`, `NotResource`, `NotPrincipal`)


@dataclass(frozen=True, order=True)
class Grant:
    """One permission. condition: JSON or an expression; "" for none. source: URN of the resource that gives it."""

    identity: str
    action: str
    resource: str
    condition: str = ""
    source: str = ""

    @property
    def what(self) -> tuple[str, str, str, str]:
        """All but where it comes from."""
        return self.identity, self.action, self.resource, self.condition


def covers(known: Grant, grant: Grant) -> bool:
    """Whether one permission says all that another does, whoever reads `*` and `?` in it."""
    return (
        known.identity in (grant.identity, ANYONE)
        and known.condition in ("", grant.condition)
        and _matches(known.action.lower(), grant.action.lower())
        and _matches(known.resource, grant.resource)
    )


def is_broad(grant: Grant) -> bool:
    """Whether it is about every action of a service or every resource, or lets its holder give itself more."""
    action = grant.action.lower()
    return grant.resource == "*" or action.startswith(NOT) or any(fnmatchcase(action, row) for row in _BROAD)


_BROAD = (
    "[*]", "*:[*]", "*/[*]", "iam:pass*", "iam:put*policy", "iam:attach*", "iam:create*", "iam:update*",
    "sts:assumerole",
    "kms:putkeypolicy", "lambda:updatefunctioncode*", "roles/owner", "roles/editor", "roles/*admin", "*.setiampolicy",
    "roles/iam.serviceaccount*user", "roles/iam.serviceaccount*creator", "iam.serviceaccounts.actas", "role owner",
    "role contributor", "role *administrator", "*/roleassignments/write", "role *owner",
    "role cluster-admin", "[*] *", "escalate *", "bind *", "impersonate *",
)  # fmt: skip


_LABELS = (
    "name", "bucket", "repository", "functionName", "roleName", "resourceName", "accountName", "vaultName",
    "repositoryId", "registryName", "topicArn", "arn", "queueUrl", "fileSystemId", "secretArn", "clusterName",
    "accountId", "containerName",
)  # fmt: skip


def label(row: Row) -> str:
    """What people call a resource: its name in the cloud, else in the program."""
    inputs = row["inputs"]
    metadata = inputs.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
        return str(metadata["name"])
    names = (inputs[name] for name in _LABELS if isinstance(inputs.get(name), str) and inputs[name])
    return str(next(names, row["name"]))


def identity(row: Row) -> str:
    return f"{kind(row['type']).rpartition(':')[2]} {label(row)}"


def _matches(known: str, text: str) -> bool:
    """Whether a pattern with `*` and `?` covers a text; in time that does not grow with the stars in it."""
    if known in (text, "*"):
        return True
    if known.startswith(NOT) or text.startswith(NOT):
        return False
    first, *rest = [_segment(part) for part in known.split("*")]
    if not rest:
        return first.fullmatch(text) is not None
    found = first.match(text)
    for part in rest[:-1]:
        found = found and part.search(text, found.end())
    if not found:
        return False
    last = len(known.rpartition("*")[2])
    return len(text) - last >= found.end() and rest[-1].fullmatch(text, len(text) - last) is not None


@cache
def _segment(text: str) -> re.Pattern[str]:
    return re.compile("".join("." if letter == "?" else re.escape(letter) for letter in text), re.DOTALL)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, sort_keys=True)


def canonical(condition: Any) -> str:
    return json.dumps(condition, sort_keys=True) if condition else ""
