"""How AWS resources are read: flags, policy documents, and which resource sets what of another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from policies.graph import HIDDEN, Graph, Resource, is_known, listed
from policies.rule import Verdict, fail, undetermined

Statement = Mapping[str, Any]

# Conditions that say how a call is made and not by whom: they keep nobody out.
SAYS_NOTHING_OF_WHO = {
    *("aws:securetransport", "aws:referer", "aws:useragent", "aws:currenttime", "aws:epochtime", "aws:requestedregion"),
    *(
        "s3:prefix",
        "s3:delimiter",
        "s3:max-keys",
        "s3:tlsversion",
        "s3:signatureversion",
        "s3:authtype",
        "kms:viaservice",
    ),
    *("s3:x-amz-acl", "s3:x-amz-server-side-encryption", "sns:protocol"),
}
POSITIVE = ("stringequals", "stringlike", "arnequals", "arnlike", "ipaddress", "bool", "numericequals", "null")


def yes(value: Any) -> bool:
    """Whether a flag is set; the SDK hands some of them on as text."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def no(value: Any) -> bool:
    """Whether a flag is said to be off, as against not said."""
    return value is False or (isinstance(value, str) and value.lower() == "false")


def number(value: Any) -> float | None:
    """A number, also one written as text; None for what is none."""
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def flags(paths: Mapping[str, str], message: str) -> Callable[[Resource, Graph], Iterator[Verdict]]:
    """A judge of one flag that must be set: its dotted path by the type of resource."""

    def judge(resource: Resource, _: Graph) -> Iterator[Verdict]:
        path = paths[resource.type]
        value = resource.get(path)
        if not is_known(value):
            yield undetermined(f"{path} is not known before the deployment.", path)
        elif not yes(value):
            yield fail(message, path)

    return judge


def read_document(value: Any) -> Mapping[str, Any] | None:
    """A policy document given as JSON text or as an object; None for what is unknown or no such document."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) and is_known(value) else None


def _named(row: Mapping[str, Any]) -> Statement:
    """A statement with its elements as IAM spells them; objects of the SDK may begin with a small letter."""
    return {key[:1].upper() + key[1:]: value for key, value in row.items()}


def statements(value: Any) -> list[Statement] | None:
    """The statements of a policy document; None where it cannot be read before the deployment."""
    document = read_document(value)
    if document is None:
        return None
    rows = listed(_named(document).get("Statement"))
    return [_named(row) for row in rows if isinstance(row, Mapping)]


def each_statement(
    resource: Resource, path: str, judge: Callable[[Statement], str], effect: str = "Allow"
) -> Iterator[Verdict]:
    """Fails for each statement of the document at a path against which `judge` has a sentence to say."""
    value = resource.get(path)
    if value is None:
        return
    rows = statements(value)
    if rows is None:
        yield undetermined("The policy document is not known before the deployment.", path)
        return
    for row in rows:
        if row.get("Effect") == effect and (message := judge(row)):
            yield fail(f"{message} ({row['Sid']})." if row.get("Sid") else f"{message}.", path)


def conditions(statement: Statement) -> Iterator[tuple[str, str, list[str]]]:
    """The conditions of a statement, as (operator in small letters, key in small letters, values)."""
    block = statement.get("Condition")
    for operator, keys in block.items() if isinstance(block, Mapping) else ():
        for key, values in keys.items() if isinstance(keys, Mapping) else ():
            yield operator.lower(), key.lower(), [str(value) for value in listed(values)]


def anyone(statement: Statement) -> bool:
    """Whether a statement speaks of every principal, or of every one but a few."""
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        return any("*" in listed(names) for kind, names in principal.items() if kind != "Service")
    return principal == "*" or "NotPrincipal" in statement


def narrowed(statement: Statement) -> bool:
    """Whether a condition keeps some principals out: one about who calls, with a value that is not everything."""
    for operator, key, values in conditions(statement):
        bare = operator.removeprefix("foranyvalue:")
        if bare not in POSITIVE or key in SAYS_NOTHING_OF_WHO or key.startswith("aws:requesttag/"):
            continue
        if not values or any(value in ("*", "0.0.0.0/0", "::/0", "arn:aws:*", "arn:*") for value in values):
            continue
        if bare in ("bool", "null") and not all(
            value.lower() == ("true" if bare == "bool" else "false") for value in values
        ):
            continue
        return True
    return False


def open_to_all(statement: Statement) -> bool:
    """Whether a statement admits anybody."""
    return anyone(statement) and not narrowed(statement)


def actions(statement: Statement) -> list[str]:
    """The actions of a statement, in small letters."""
    return [str(action).lower() for action in listed(statement.get("Action"))]


def everywhere(statement: Statement) -> bool:
    """Whether a statement holds for all resources, or for all but a few, of the account or of a service."""
    if "NotResource" in statement:
        return True
    return any(
        set("".join(row.split(":")[5:] or row)) <= set("*:/") for row in map(str, listed(statement.get("Resource")))
    )


def names_of(resource: Resource) -> set[str]:
    """What others may write in place of a reference to this resource: its id, its name, its ARN."""
    keys = ("id", "arn", "name", "bucket", "family", "url")
    return {value for key in keys for value in (resource.outputs.get(key), resource.get(key)) if isinstance(value, str)}


def twins(token: str) -> tuple[str, str]:
    """A type of the S3 module and its V2, which are one: `aws:s3/bucket:Bucket`, `aws:s3/bucketV2:BucketV2`."""
    module, name = token.rsplit(":", 1)
    return token, f"{module}V2:{name}V2"


def setters(graph: Graph, resource: Resource, key: str, *tokens: str) -> list[Resource]:
    """The resources of these types whose input `key` means this one, by a reference or by its name."""
    names = names_of(resource)
    top = key.split(".", maxsplit=1)[0]
    return [
        row
        for row in graph.of_type(*tokens)
        if resource.urn in row.references.get(top, ())
        or any(name in names for name in listed(row.get(key)) if isinstance(name, str))
    ]


def meant(graph: Graph, resource: Resource, key: str, *tokens: str) -> list[Resource]:
    """The resources of these types that this one's input `key` means, by a reference or by a name."""
    urns = resource.references.get(key.split(".", maxsplit=1)[0], ())
    values = {value for value in listed(resource.get(key)) if isinstance(value, str)}
    return [row for row in graph.of_type(*tokens) if row.urn in urns or names_of(row) & values]


def parsed(value: Any) -> list[Any] | None:
    """A list or an object (as a list of one) given as it is or as JSON text; None where it cannot be read."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return listed(value) if is_known(value) else None


def rows_of(value: Any) -> Iterable[Mapping[str, Any]]:
    """The objects of a list, or the one object in place of a list, as far as they are known."""
    return [row for row in listed(value) if isinstance(row, Mapping) and row not in HIDDEN]
