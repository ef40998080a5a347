"""Who may do what to which on AWS: policies of identities and of resources, trust, what is attached, boundaries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rollout.changes import Row
from rollout.grant import NOT, Grant, canonical, identity, label, listed, text
from rollout.kinds import kind
from rollout.redact import document_of

_ATTACHED = {"role": "role", "roles": "role", "user": "user", "users": "user", "group": "group", "groups": "group"}


def of_row(row: Row, type_: str, rows: Mapping[str, Row]) -> Iterator[tuple[bool, Grant]]:
    inputs, urn = row["inputs"], row["urn"]
    if type_ == "aws:lambda/permission:permission":
        condition = {name: inputs[name] for name in ("sourceArn", "sourceAccount", "principalOrgId") if name in inputs}
        who, what = text(inputs.get("principal")), text(inputs.get("action"))
        yield False, Grant(who, what, text(inputs.get("function")), canonical(condition), urn)
    for name, document in _documents(inputs):
        statements = listed(document["Statement"])
        if name == "assumeRolePolicy":
            yield from _statements(statements, (), (identity(row),), urn)
        elif any(isinstance(each, dict) and {"Principal", "NotPrincipal"} & each.keys() for each in statements):
            there = f" through {row['name']}" if type_ == "aws:ec2/vpcendpoint:vpcendpoint" else ""
            yield from _statements(statements, (), (label(row),), urn, there)
        else:
            yield from _statements(statements, _holders(row, rows), (), urn)
    for arn in listed(inputs.get("managedPolicyArns")) + listed(inputs.get("policyArn")):
        if isinstance(arn, str) and (":aws:policy/" in arn or not _defined(arn, row, rows)):
            for who in _holders(row, rows):
                yield False, Grant(who, f"policy {arn.rpartition(':policy/')[2] or arn}", "*", "", urn)


def _documents(inputs: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The policy documents among the inputs, by the name of the property."""
    for name, value in inputs.items():
        values = (
            [value] if not isinstance(value, list) else [item.get("policy") for item in value if isinstance(item, dict)]
        )
        for given in values:
            document = document_of(given)
            if isinstance(document, dict) and "Statement" in document:
                yield name, document


def _statements(
    statements: Iterable[Any], identities: tuple[str, ...], resources: tuple[str, ...], urn: str, there: str = ""
) -> Iterator[tuple[bool, Grant]]:
    """The grants of a document's statements. resources: what a document is about that is of a resource."""
    for each in statements:
        if not isinstance(each, dict):
            continue
        who = identities or tuple(f"{name}{there}" for name in _principals(each))
        what = _either(each, "Action") or ["*"]
        about = _either(each, "Resource")
        about = list(resources) if resources and about in ([], ["*"]) else about or ["*"]
        condition = canonical(each.get("Condition"))
        for holder in who:
            for action in what:
                for resource in about:
                    yield each.get("Effect") == "Deny", Grant(holder, action, resource, condition, urn)


def _either(statement: Mapping[str, Any], name: str) -> list[str]:
    found = [text(item) for item in listed(statement.get(name))]
    excluded = [text(item) for item in listed(statement.get(f"Not{name}"))]
    return found + ([NOT + ", ".join(sorted(excluded))] if excluded else [])


def _principals(statement: Mapping[str, Any]) -> list[str]:
    found = []
    for key, before in (("Principal", ""), ("NotPrincipal", NOT)):
        principal = statement.get(key)
        rows = principal.values() if isinstance(principal, dict) else [principal] if principal is not None else []
        found += [before + text(item) for row in rows for item in listed(row)]
    return found


def _holders(row: Row, rows: Mapping[str, Row]) -> tuple[str, ...]:
    """Who has what a policy or an attachment says: names of roles, users, groups."""
    inputs = row["inputs"]
    if kind(row["type"]) in ("aws:iam/role:role", "aws:iam/user:user", "aws:iam/group:group"):
        return (identity(row),)
    named = [f"{what} {text(who)}" for name, what in _ATTACHED.items() for who in listed(inputs.get(name))]
    if named:
        return tuple(named)
    arn = row["outputs"].get("arn")
    users = [
        holder
        for other in rows.values()
        if other is not row
        and arn
        and arn in listed(other["inputs"].get("policyArn")) + listed(other["inputs"].get("managedPolicyArns"))
        for holder in _holders(other, {})
    ]
    limited = [identity(other) for other in rows.values() if arn and other["inputs"].get("permissionsBoundary") == arn]
    return tuple(dict.fromkeys(users)) or tuple(f"{who} (its boundary)" for who in limited) or (f"policy {label(row)}",)


def _defined(arn: str, row: Row, rows: Mapping[str, Row]) -> bool:
    """Whether a managed policy is of this plan, so that its document says more."""
    return any(
        other["outputs"].get("arn") == arn and "policy" in other["inputs"]
        for other in rows.values()
        if other is not row
    )
