"""Who may do what to which: the permissions that a plan gives, on every cloud, as one set of rows.

A role's name stands for what it allows where the plan does not define it. What a plan cannot say (an unknown or secret
policy) is told apart, so that silence does not read as safety.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rollout import aws_grants
from rollout.changes import Row
from rollout.errors import RolloutError
from rollout.grant import Grant, identity, label, listed, text
from rollout.kinds import kind
from rollout.redact import document_of

MOST = 100_000  # permissions of one plan; ours have 600


@dataclass(frozen=True)
class Grants:
    """What a plan allows and denies. boundaries: by identity, the policy that limits it. unread: URN and property of
    policies whose text the plan does not know. identities: all that are named."""

    allowed: tuple[Grant, ...] = ()
    denied: tuple[Grant, ...] = ()
    boundaries: Mapping[str, str] = field(default_factory=dict)
    unread: frozenset[tuple[str, str]] = frozenset()

    @property
    def identities(self) -> set[str]:
        return {grant.identity for grant in (*self.allowed, *self.denied)} | set(self.boundaries)


def of_rows(rows: Mapping[str, Row]) -> Grants:
    """Every permission that the resources of a plan give, by their URNs.

    :raises RolloutError: there are so many that no program means them
    """
    allowed: set[Grant] = set()
    denied: set[Grant] = set()
    unread: set[tuple[str, str]] = set()
    boundaries: dict[str, str] = {}
    for row in rows.values():
        for deny, grant in islice(_of_row(row, rows), MOST + 1):
            (denied if deny else allowed).add(grant)
        if len(allowed) + len(denied) > MOST:
            raise RolloutError(f"A plan gives over {MOST} permissions: no program does. It is not shown.")
        unread |= {(row["urn"], name) for name in _unread(row)}
        boundary = row["inputs"].get("permissionsBoundary")
        if isinstance(boundary, str) and boundary:
            boundaries[identity(row)] = boundary
    return Grants(tuple(sorted(allowed)), tuple(sorted(denied)), boundaries, frozenset(unread))


def _of_row(row: Row, rows: Mapping[str, Row]) -> Iterator[tuple[bool, Grant]]:
    type_ = kind(row["type"])
    if type_.startswith("aws:"):
        yield from aws_grants.of_row(row, type_, rows)
    elif type_.startswith("gcp:"):
        yield from ((False, grant) for grant in _gcp(row, type_, rows))
    elif type_.startswith("azure-native:"):
        yield from ((False, grant) for grant in _azure(row, type_, rows))
    elif type_.startswith("kubernetes:rbac"):
        yield from ((False, grant) for grant in _kubernetes(row, type_, rows))


# --- GCP ---

_NO_SCOPE = {"role", "member", "members", "condition", "location", "region", "zone", "etag", "policyData"}


def _gcp(row: Row, type_: str, rows: Mapping[str, Row]) -> Iterator[Grant]:
    inputs = row["inputs"]
    if type_ == "gcp:iam/workloadidentitypoolprovider:workloadidentitypoolprovider":
        issuer = text((inputs.get("oidc") or {}).get("issuerUri")) if isinstance(inputs.get("oidc"), dict) else ""
        pool = text(inputs.get("workloadIdentityPoolId"))
        yield Grant(issuer or label(row), "log in", f"pool {pool}", text(inputs.get("attributeCondition")), row["urn"])
    name = type_.rpartition(":")[2]
    if not name.endswith(("iammember", "iambinding", "iampolicy", "accesscontrol")):
        return
    bindings: list[Any] = [inputs]
    if name.endswith("iampolicy"):
        document = document_of(inputs.get("policyData"))
        bindings = listed(document.get("bindings")) if isinstance(document, dict) else []
    rest = {key: value for key, value in inputs.items() if key not in _NO_SCOPE and isinstance(value, str)}
    scope = next((f"{key} {rest[key]}" for key in sorted(rest) if key not in ("project", "entity")), "")
    scope = scope or f"project {rest.get('project', '')}".strip()
    for binding in bindings:
        if not isinstance(binding, dict):
            continue
        condition = binding.get("condition")
        limit = text(condition.get("expression")) if isinstance(condition, dict) else ""
        for member in listed(binding.get("member") or binding.get("members") or binding.get("entity")):
            for action in _gcp_actions(text(binding.get("role")), rows):
                yield Grant(text(member).removeprefix("serviceAccount:"), action, scope, limit, row["urn"])


def _gcp_actions(role: str, rows: Mapping[str, Row]) -> list[str]:
    """A role's permissions where the plan defines it, else its name."""
    for other in rows.values():
        if kind(other["type"]).rpartition(":")[2] in ("iamcustomrole",) and role.endswith(
            f"/{other['inputs'].get('roleId')}"
        ):
            return [text(item) for item in listed(other["inputs"].get("permissions"))]
    return [role]


# --- Azure ---

_BUILT_IN = {  # learn.microsoft.com/azure/role-based-access-control/built-in-roles
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "8311e382-0749-4cb8-b61a-304f252e45ec": "AcrPush",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": "Key Vault Crypto Service Encryption User",
}


def _azure(row: Row, type_: str, rows: Mapping[str, Row]) -> Iterator[Grant]:
    inputs = row["inputs"]
    if type_ == "azure-native:managedidentity:federatedidentitycredential":
        who = f"{text(inputs.get('subject'))} of {text(inputs.get('issuer'))}"
        yield Grant(who, "log in", f"identity {text(inputs.get('resourceName'))}", "", row["urn"])
    if type_ == "azure-native:authorization:roleassignment":
        who = _of_reference(row, "principalId", rows) or text(inputs.get("principalId"))
        for action, limit in _azure_actions(text(inputs.get("roleDefinitionId")), rows):
            condition = " and ".join(part for part in (text(inputs.get("condition")), limit) if part)
            yield Grant(who, action, _scope(text(inputs.get("scope"))), condition, row["urn"])
    properties = inputs.get("properties")
    for policy in listed(properties.get("accessPolicies")) if isinstance(properties, dict) else []:
        if isinstance(policy, dict) and isinstance(policy.get("permissions"), dict):
            for what, verbs in policy["permissions"].items():
                for verb in listed(verbs):
                    yield Grant(
                        text(policy.get("objectId")), f"{what} {text(verb)}", f"vault {label(row)}", "", row["urn"]
                    )


def _scope(path: str) -> str:
    """A scope without what all scopes of a stack begin with: `GROUP/TYPE/NAME…`."""
    match = re.fullmatch(r"/subscriptions/[^/]+/resourceGroups/([^/]+)(?:/providers/[^/]+)?(/.*)?", path)
    return f"{match[1]}{match[2] or ''}" if match else path


def _azure_actions(definition: str, rows: Mapping[str, Row]) -> list[tuple[str, str]]:
    """A role's actions, each with what it leaves out, where the plan defines it, else its name."""
    guid = definition.rpartition("/")[2]
    for other in rows.values():
        if (
            kind(other["type"]) == "azure-native:authorization:roledefinition"
            and other["inputs"].get("roleDefinitionId") == guid
        ):
            found = []
            for part in listed(other["inputs"].get("permissions")):
                for name, left_out in (("actions", "notActions"), ("dataActions", "notDataActions")):
                    excluded = (
                        sorted(text(item) for item in listed(part.get(left_out))) if isinstance(part, dict) else []
                    )
                    limit = f"not {', '.join(excluded)}" if excluded else ""
                    found += [(text(item), limit) for item in listed(part.get(name))] if isinstance(part, dict) else []
            return found
    return [(f"role {_BUILT_IN.get(guid, guid)}", "")]


def _of_reference(row: Row, name: str, rows: Mapping[str, Row]) -> str:
    """The name of the one resource that an input comes from."""
    urns = row["propertyDependencies"].get(name) or ()
    return label(rows[next(iter(urns))]) if len(urns) == 1 and set(urns) <= rows.keys() else ""


# --- Kubernetes ---


def _kubernetes(row: Row, type_: str, rows: Mapping[str, Row]) -> Iterator[Grant]:
    inputs = row["inputs"]
    if not type_.endswith("rolebinding") or not isinstance(role := inputs.get("roleRef"), dict):
        return
    metadata = inputs.get("metadata") if isinstance(inputs.get("metadata"), dict) else {}
    scope = f"namespace {text((metadata or {}).get('namespace'))}" if type_.endswith(":rolebinding") else "the cluster"
    rules = next((
        listed(other["inputs"].get("rules"))
        for other in rows.values()
        if kind(other["type"]).endswith(f":{text(role.get('kind')).lower()}") and label(other) == role.get("name")
    ), None)  # fmt: skip
    actions = [f"role {text(role.get('name'))}"] if rules is None else [
        f"{text(verb)} {text(resource)}"
        for rule in rules if isinstance(rule, dict)
        for verb in listed(rule.get("verbs")) for resource in listed(rule.get("resources"))
    ]  # fmt: skip
    for subject in listed(inputs.get("subjects")):
        if isinstance(subject, dict):
            who = "/".join(text(subject[name]) for name in ("kind", "namespace", "name") if subject.get(name))
            for action in actions:
                yield Grant(who, action, scope, "", row["urn"])


def _unread(row: Row) -> Iterator[str]:
    """Properties that hold a policy which the plan does not know."""
    for name, value in row["inputs"].items():
        if value in ({"$unknown": True}, {"$secret": True}) and name.lower().endswith(
            ("policy", "policydata", "rolepolicy")
        ):
            yield name
