"""Where the policy documents of a stack are, and of what kind each is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from policies.graph import HIDDEN, Graph, Resource, is_known, listed

Kind = Literal["identity", "limit", "trust", "resource", "role"]
ROLE = "aws:iam/role:Role"
BOUNDED = (ROLE, "aws:iam/user:User")
ATTACHED = ("aws:iam/rolePolicyAttachment:RolePolicyAttachment",)
MANAGED = "aws:iam/policy:Policy"
IDENTITY = (
    MANAGED,
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy",
    ROLE,
)
# They only bound what others grant.
LIMITS = (
    "aws:organizations/policy:Policy",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:ec2/vpcEndpointPolicy:VpcEndpointPolicy",
)
# Inputs that hold a document and nothing else: where one of them is unknown, a document was not looked at.
ALWAYS = ("policy", "assumeRolePolicy", "inlinePolicy", "accessPolicies", "resourcePolicy")
OTHERS = ("aws:ecr/lifecyclePolicy:LifecyclePolicy",)  # their `policy` is a document of another sort
SHORTEST = 6  # characters of a made-up text that is known again inside another text


@dataclass(frozen=True)
class Document:
    """A policy document, or the place of one that is not known (no document, but a reason)."""

    resource: Resource
    path: str
    kind: Kind
    document: Mapping[str, Any] | None
    made_up: frozenset[str] = frozenset()
    reason: str = ""


def documents(graph: Graph) -> Iterator[Document]:
    """Every policy document that an input of an AWS resource holds, and all that a role is granted as one more."""
    rows = [row for row in graph.resources if row.type.startswith(("aws:", "aws-native:")) and row.type not in OTHERS]
    found = [each for row in rows for each in _of(row, graph)]
    yield from found
    for urn, statements in _granted(found, graph).items():
        if urn in graph.by_urn and len(statements) > 1:
            yield Document(graph.by_urn[urn], "", "role", {"Version": "2012-10-17", "Statement": statements})


def _granted(found: list[Document], graph: Graph) -> dict[str, list[Any]]:
    """The statements of all identity policies of each role, by the role's URN."""
    granted: dict[str, list[Any]] = {}
    managed: dict[str, list[Any]] = {}
    for each in found:
        row = each.resource
        if each.kind == "identity" and each.document:
            statements = listed(each.document["Statement"])
            if row.type == MANAGED:
                managed.setdefault(row.urn, []).extend(statements)
            for role in [row.urn] if row.type == ROLE else row.references.get("role", ()):
                granted.setdefault(role, []).extend(statements)
    for row in graph.of_type(*ATTACHED):
        for policy in row.references.get("policyArn", ()):
            for role in row.references.get("role", ()):
                granted.setdefault(role, []).extend(managed.get(policy, []))
    return granted


def _of(row: Resource, graph: Graph) -> Iterator[Document]:
    for key in row.inputs:
        for path, value in _walk(row.inputs[key], key):
            document = _read(value)
            if document is not None:
                made_up = _made_up(row, graph, path.split(".", maxsplit=1)[0])
                yield Document(row, path, _kind(row, path, graph), document, made_up)
            elif path in ALWAYS and (reason := _unreadable(value)):
                yield Document(row, path, _kind(row, path, graph), None, reason=reason)


def _unreadable(value: Any) -> str:
    """Why a value that should be a document is none; "" where it is a document of another sort."""
    if value in HIDDEN:
        return "It is not known before the deployment."
    found = _parsed(value) if isinstance(value, str) else value
    if found is None:
        return "It is no JSON document."
    return "Its statements cannot be read." if isinstance(found, Mapping) and "Statement" in found else ""


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of the texts and of the objects that may be documents, below a value."""
    if isinstance(value, Mapping) and value not in HIDDEN and not _read(value):
        for key, item in value.items():
            yield from _walk(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}.{index}")
    elif isinstance(value, str | Mapping):
        yield path, value


def _read(value: Any) -> dict[str, Any] | None:
    """A document with statements, its elements as IAM spells them; None for anything else."""
    text = isinstance(value, str)
    if text:
        value = _parsed(value) if "Statement" in value else None
    if not isinstance(value, Mapping) or not is_known(value):
        return None
    document = {key[:1].upper() + key[1:]: item for key, item in value.items()}
    rows = listed(document.get("Statement"))
    if not rows or not all(isinstance(row, Mapping) and (text or {"Effect", "effect"} & row.keys()) for row in rows):
        return None
    return document | {"Statement": [{key[:1].upper() + key[1:]: item for key, item in row.items()} for row in rows]}


def _parsed(text: str) -> Any:
    """What a JSON text says; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _kind(row: Resource, path: str, graph: Graph) -> Kind:
    if row.type in LIMITS or (row.type == MANAGED and _bounds(row, graph)):
        return "limit"
    if path == "assumeRolePolicy":
        return "trust"
    return "identity" if row.type in IDENTITY else "resource"


def _bounds(policy: Resource, graph: Graph) -> bool:
    """Whether a managed policy is a permissions boundary, of a role in this stack or by its name."""
    used = any(policy.urn in row.references.get("permissionsBoundary", ()) for row in graph.of_type(*BOUNDED))
    return used or "boundary" in f"{policy.name} {policy.get('name', '')}".lower()


def _made_up(row: Resource, graph: Graph, key: str) -> frozenset[str]:
    """The texts that a plan made up, of the outputs that an input uses."""
    if not any(pointer.startswith(f"/inputs/{key}") for pointer in row.synthetic):
        return frozenset()
    made = [
        source.outputs.get(pointer.removeprefix("/outputs/"))
        for source in graph.used_by(row, key)
        for pointer in source.synthetic
        if pointer.startswith("/outputs/")
    ]
    return frozenset(text for text in made if isinstance(text, str) and len(text) >= SHORTEST)
