"""Which of GitHub's tokens the clouds take: the trust in a plan's resources, evaluated as each cloud documents it.

What an evaluator does not know is an error and never a pass: it has to be taught, with its source.
"""

import ast
import fnmatch
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Token = Mapping[str, str]
Row = Mapping[str, Any]  # a resource of a plan
Takes = Callable[[Token], bool]
# Claims that STS compares (IAM User Guide, "AWS OIDC federation keys", GitHub), since January 2026.
STS_CLAIMS = {
    "actor",
    "actor_id",
    "aud",
    "enterprise_id",
    "environment",
    "job_workflow_ref",
    "ref",
    "repository",
    "repository_id",
    "sub",
    "workflow",
}
LONGEST_SUBJECT = 127  # bytes of google.subject


def of_type(rows: Iterable[Row], kind: str) -> list[Row]:
    """The resources of a type."""
    return [row for row in rows if row["type"] == kind]


def listed(value: Any) -> list[Any]:
    """A value of a policy document as the list that it stands for."""
    return value if isinstance(value, list) else [value]


def aws(rows: list[Row]) -> dict[str, Takes]:
    """The roles that a token may take on, by their names in the program."""
    issuers = {row["outputs"]["arn"]: row["inputs"] for row in of_type(rows, _AWS_ISSUER)}
    roles = {
        row["name"]: json.loads(row["inputs"]["assumeRolePolicy"])["Statement"] for row in of_type(rows, _AWS_ROLE)
    }
    return {name: _any_statement(statements, issuers) for name, statements in roles.items()}


_AWS_ISSUER, _AWS_ROLE = "aws:iam/openIdConnectProvider:OpenIdConnectProvider", "aws:iam/role:Role"


def _any_statement(statements: list[Row], issuers: Mapping[str, Row]) -> Takes:
    return lambda token: any(_statement_takes(statement, issuers, token) for statement in statements)


def _statement_takes(statement: Row, issuers: Mapping[str, Row], token: Token) -> bool:
    assert statement["Effect"] == "Allow", statement
    if "sts:AssumeRoleWithWebIdentity" not in listed(statement["Action"]):
        return False
    issuer = issuers.get(statement["Principal"].get("Federated", ""))
    if issuer is None or issuer["url"] != token.get("iss") or token.get("aud") not in issuer["clientIdLists"]:
        return False
    start = issuer["url"].removeprefix("https://") + ":"
    return all(
        _condition_holds(operator, key.removeprefix(start), listed(allowed), token)
        for operator, tests in statement.get("Condition", {}).items()
        for key, allowed in tests.items()
    )


def _condition_holds(operator: str, claim: str, allowed: list[str], token: Token) -> bool:
    """An operator of IAM. A claim that is missing fails each but those for all of its (no) values."""
    found = token.get(claim) if claim in STS_CLAIMS else None
    if operator.startswith("ForAllValues:") and found is None:
        return True
    if found is None:
        return False
    match operator.rpartition(":")[2]:
        case "StringEquals":
            return found in allowed
        case "StringLike":
            return any(fnmatch.fnmatchcase(found, pattern) for pattern in allowed)
    raise NotImplementedError(operator)


def gcp(rows: list[Row]) -> dict[str, Takes]:
    """The service accounts that a token may be exchanged for, by their names in the program."""
    members = [
        row
        for row in of_type(rows, "gcp:serviceaccount/iAMMember:IAMMember")
        if row["inputs"]["role"] == "roles/iam.workloadIdentityUser"
    ]
    return {row["name"]: _exchanged(row["inputs"]["member"], doors(rows)) for row in members}


def doors(rows: list[Row]) -> dict[str, Row]:
    """The providers of workload identity pools, by their full names."""
    found = of_type(rows, "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider")
    return {row["outputs"]["name"]: row for row in found}


def _exchanged(member: str, providers: Mapping[str, Row]) -> Takes:
    return lambda token: any(member in _members(name, row["inputs"], token) for name, row in providers.items())


def _members(provider: str, inputs: Row, token: Token) -> list[str]:
    """What a token is called in grants once this provider has taken it; nothing if it does not."""
    audiences = inputs["oidc"].get("allowedAudiences") or [
        f"{scheme}//iam.googleapis.com/{provider}" for scheme in ("https:", "")
    ]
    if token.get("iss") != inputs["oidc"]["issuerUri"] or token.get("aud") not in audiences:
        return []
    try:
        if cel(inputs["attributeCondition"], token) is not True:
            return []
        mapped = {name: cel(text, token) for name, text in inputs["attributeMapping"].items()}
    except KeyError:  # a claim that is missing is an error of the expression, and the token is refused
        return []
    subject = mapped.pop("google.subject")
    if len(subject.encode()) > LONGEST_SUBJECT:
        return []
    pool = f"iam.googleapis.com/{provider.partition('/providers/')[0]}"
    return [
        f"principal://{pool}/subject/{subject}",
        f"principalSet://{pool}/*",
        *(f"principalSet://{pool}/{name}/{value}" for name, value in mapped.items()),
    ]


def cel(expression: str, token: Token) -> Any:
    """The value of an expression in as much of CEL as conditions on tokens need. Raises KeyError for a missing claim.

    That much is Python's syntax too, but for the names of two operators.
    """
    python = expression.replace("&&", " and ").replace("||", " or ")
    return _value(ast.parse(python.strip(), mode="eval").body, token)


def _value(node: ast.expr, token: Token) -> Any:
    match node:
        case ast.BoolOp(op=operator, values=values):
            return (all if isinstance(operator, ast.And) else any)(_value(one, token) for one in values)
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            return _value(left, token) == _value(right, token)
        case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.List(elts=elements)]):
            return _value(left, token) in [_value(one, token) for one in elements]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, token) + _value(right, token)
        case ast.Attribute(value=ast.Name(id="assertion"), attr=claim):
            return token[claim]
        case ast.Constant(value=str(text)):
            return text
    raise NotImplementedError(ast.unparse(node))


def azure(rows: list[Row]) -> dict[str, Takes]:
    """The managed identities that a token may be exchanged for, by their names in the program."""
    credentials = of_type(rows, "azure-native:managedidentity:FederatedIdentityCredential")
    identities = {
        row["inputs"]["resourceName"]: row["name"]
        for row in of_type(rows, "azure-native:managedidentity:UserAssignedIdentity")
    }
    found: dict[str, list[Row]] = {}
    for row in credentials:
        found.setdefault(identities[row["inputs"]["resourceName"]], []).append(row["inputs"])
    return {name: _any_credential(inputs) for name, inputs in found.items()}


def _any_credential(credentials: list[Row]) -> Takes:
    """Entra ID compares three claims, exactly and with regard to case, and looks at no others."""
    return lambda token: any(
        token.get("iss") == one["issuer"]
        and token.get("sub") == one["subject"]
        and token.get("aud") in one["audiences"]
        for one in credentials
    )
