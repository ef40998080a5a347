"""Renders `aws:iam/getPolicyDocument` as the provider does: statements in, an IAM policy document as JSON out.

Element names and defaults (version 2012-10-17, effect Allow) are those of the IAM policy grammar; a list of one is
written as its item, and lists are sorted, as the provider writes them.
"""

from __future__ import annotations

import json
from typing import Any

from localcloud.values import UNKNOWN, Properties, Secret, has_secret, has_unknown, reveal

Statement = dict[str, Any]


def document(args: Properties) -> Properties:
    """The function's result: its arguments, `json`, `minifiedJson` and an id. `json` is unknown if an argument is."""
    found: Properties = {"version": "2012-10-17", **{key: value for key, value in args.items() if value is not None}}
    if has_unknown(args):
        return {**found, "json": UNKNOWN, "minifiedJson": UNKNOWN, "id": UNKNOWN}
    body = _document(reveal(args))
    result = {
        **found,
        "json": json.dumps(body, indent=2),
        "minifiedJson": json.dumps(body, separators=(",", ":")),
        "id": str(sum(json.dumps(body).encode())),
    }
    if has_secret(args):
        result |= {key: Secret(result[key]) for key in ("json", "minifiedJson")}
    return result


def _document(args: Properties) -> dict[str, Any]:
    base = [_parsed(text) for text in (*(args.get("sourcePolicyDocuments") or []), args.get("sourceJson")) if text]
    over = [_parsed(text) for text in (*(args.get("overridePolicyDocuments") or []), args.get("overrideJson")) if text]
    own = [_statement(statement) for statement in args.get("statements") or []]
    statements: list[Statement] = [row for text in base for row in text]
    for row in own:
        statements = _override(statements, row)
    for text in over:
        for row in text:
            statements = _override(statements, row)
    body: dict[str, Any] = {"Version": args.get("version") or "2012-10-17"}
    if args.get("policyId"):
        body["Id"] = args["policyId"]
    return {**body, "Statement": statements}


def _parsed(text: str) -> list[Statement]:
    statements = json.loads(text).get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def _override(statements: list[Statement], row: Statement) -> list[Statement]:
    """A statement replaces the one with its Sid, else it is added."""
    sid = row.get("Sid")
    if sid and any(other.get("Sid") == sid for other in statements):
        return [row if other.get("Sid") == sid else other for other in statements]
    return [*statements, row]


def _statement(given: Properties) -> Statement:
    found: Statement = {"Sid": given.get("sid"), "Effect": given.get("effect") or "Allow"}
    for element, key in (
        ("Action", "actions"),
        ("NotAction", "notActions"),
        ("Resource", "resources"),
        ("NotResource", "notResources"),
    ):
        found[element] = _short(given.get(key))
    for element, key in (("Principal", "principals"), ("NotPrincipal", "notPrincipals")):
        found[element] = _principals(given.get(key) or [])
    found["Condition"] = _conditions(given.get("conditions") or [])
    return {element: value for element, value in found.items() if value}


def _principals(rows: list[Properties]) -> Any:
    if any(row.get("type") == "*" for row in rows):
        return "*"
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["type"], []).extend(row.get("identifiers") or [])
    return {kind: _short(names) for kind, names in found.items()}


def _conditions(rows: list[Properties]) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        keys = found.setdefault(row["test"], {})
        before = keys.get(row["variable"], [])
        keys[row["variable"]] = [*(before if isinstance(before, list) else [before]), *(row.get("values") or [])]
    return {test: {key: _short(values, order=False) for key, values in keys.items()} for test, keys in found.items()}


def _short(values: Any, *, order: bool = True) -> Any:
    if not values:
        return None
    return values[0] if len(values) == 1 else sorted(values, reverse=True) if order else list(values)
