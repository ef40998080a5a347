"""Role assignments, role definitions, and whose tokens an identity takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from policies.graph import Graph, Resource, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.reading import UNKNOWN, every, given, read

ASSIGNMENT = ("azure-native:authorization:RoleAssignment",)
DEFINITION = ("azure-native:authorization:RoleDefinition",)
CREDENTIAL = (
    "azure-native:managedidentity:FederatedIdentityCredential",
    "azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential",
)
# Ids of built-in roles, the same in every tenant: Microsoft's list "Azure built-in roles".
OWNER, CONTRIBUTOR = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "b24988ac-6180-42a0-ab88-20f7382dd24c"
ACCESS, RBAC = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
NAMES = {
    OWNER: "Owner",
    CONTRIBUTOR: "Contributor",
    ACCESS: "User Access Administrator",
    RBAC: "Role Based Access Control Administrator",
}
WIDE = re.compile(r"^/?(subscriptions/[^/]+|providers/Microsoft\.Management/managementGroups/[^/]+)?/?$", re.IGNORECASE)
AUDIENCES = ("api://AzureADTokenExchange", "api://AzureADTokenExchangeUSGov", "api://AzureADTokenExchangeChina")
GITHUB = "https://token.actions.githubusercontent.com"
# GitHub's own form, and subjects that an organisation has put together of other claims, one of which is a repository.
GITHUB_SUBJECT = re.compile(
    r"^repo:[^/:*]+/[^/:*]+:(environment:[^*]+|ref:refs/(heads|tags)/[^*]+|pull_request|.*job_workflow_ref:[^*]+)$"
    r"|^(?!repo:[^:]*$|repo:[^/]*:)(.*:)?(repo|repository|job_workflow_ref):[^/:*]+/[^*]+:[^*]+$"
    r"|^(.*:)?repository_id:\d+(:.+)?$"
)


def _role(resource: Resource) -> str | None:
    """The id of a built-in role of `NAMES` that is assigned; "" for another, None for an unknown one."""
    role = read(resource, "roleDefinitionId")
    if role is UNKNOWN:
        # What comes of a definition of this stack is none that is built in.
        return "" if resource.references.get("roleDefinitionId") else None
    text = str(role).rstrip("/").rsplit("/", 1)[-1].lower()
    return text if text in NAMES else ""


def _is_wide(resource: Resource) -> bool | None:
    """Whether it holds for a subscription or more; None where nobody knows."""
    scope = read(resource, "scope")
    if scope is UNKNOWN or scope is None:
        # A scope that is some resource's id is narrower than a subscription.
        return False if resource.references.get("scope") else None
    return bool(WIDE.match(str(scope)))


def _powerful(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    role, wide = _role(resource), _is_wide(resource)
    if role in (RBAC, ACCESS, OWNER) and read(resource, "condition") is not None:
        return
    if role == "" or wide is False:
        return
    if role and wide:
        yield fail(f"It gives the role {NAMES[role]} over a whole subscription.", "roleDefinitionId")
    else:
        yield undetermined(
            "Nobody knows the role or its scope before the deployment.", "scope" if role else "roleDefinitionId"
        )


def _owner_of_part(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if _role(resource) in (OWNER, ACCESS) and not _is_wide(resource) and read(resource, "condition") is None:
        yield fail("Its holder can give itself and others every role there.", "roleDefinitionId")


def _actions(resource: Resource) -> Iterator[tuple[str, object]]:
    for name in ("actions", "dataActions"):
        yield from every(given(resource), f"permissions.*.{name}.*")


def _is_star(action: str) -> bool:
    return (
        action == "*" or action.startswith("*/") or action.lower() == "microsoft.authorization/*"
    ) and action != "*/read"


def _star(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, action in _actions(resource):
        if action is UNKNOWN:
            yield undetermined("Nobody knows an action before the deployment.", path)
        elif _is_star(str(action)):
            yield fail(f"It allows `{action}`.", path)


def _wildcard(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, action in _actions(resource):
        if isinstance(action, str) and "*" in action and not _is_star(action):
            yield fail(f"`{action}` grows with what Azure adds to it.", path)


def _subject(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    subject, issuer = read(resource, "subject"), read(resource, "issuer")
    expression = read(resource, "claimsMatchingExpression.value")
    if subject is UNKNOWN:
        yield undetermined("Nobody knows the subject before the deployment.", "subject")
    elif subject is None and isinstance(expression, str):
        if not re.search(r"\bmatches\s+'repo:[^/*?]+/[^/*?:]+:|\beq\s+'[^']+'", expression):
            yield fail(f"`{expression}` holds for repositories that are not yours.", "claimsMatchingExpression")
    elif not subject:
        yield fail("It names no subject.", "subject")
    elif "*" in str(subject):
        yield fail(f"`{subject}` is no exact subject: Azure compares it letter by letter.", "subject")
    elif isinstance(issuer, str) and issuer.startswith(GITHUB) and not GITHUB_SUBJECT.match(str(subject)):
        yield fail(f"`{subject}` names no environment, branch, tag or pull request of one repository.", "subject")


def _audience(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    found = read(resource, "audiences")
    if found is UNKNOWN:
        yield undetermined("Nobody knows the audience before the deployment.", "audiences")
        return
    for value in listed(found):
        if isinstance(value, Mapping):
            yield undetermined("Nobody knows the audience before the deployment.", "audiences")
        elif value not in AUDIENCES:
            yield fail(f"It takes tokens that were made for `{value}`.", "audiences")
    if not listed(found):
        yield fail("It names no audience.", "audiences")


def _issuer(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    issuer = read(resource, "issuer")
    if not isinstance(issuer, str):
        return
    if not issuer.startswith("https://"):
        yield fail(f"`{issuer}` is no https address, and so nobody vouches for its keys.", "issuer")
    elif issuer == f"{GITHUB}/" or "*" in issuer:
        yield fail(f"`{issuer}` matches no token: Azure compares it letter by letter.", "issuer")


RULES = (
    Rule(
        "GW-AZ-020",
        "Nobody may rule a whole subscription",
        "critical",
        "One stolen identity is the subscription: what is in it, and who may do what.",
        "Assign a role that names what is needed, on the resource group or the resource.",
        ("AC-6", "AC-5"),
        ASSIGNMENT,
        _powerful,
    ),
    Rule(
        "GW-AZ-021",
        "Who may give roles must be told which",
        "high",
        "Owner and User Access Administrator can make themselves anything there.",
        "Assign Contributor, or Role Based Access Control Administrator with a `condition` on the roles it may give.",
        ("AC-6", "AC-5"),
        ASSIGNMENT,
        _owner_of_part,
    ),
    Rule(
        "GW-AZ-022",
        "A custom role must have no star",
        "critical",
        "A star is every action of every service, those that give roles included.",
        "List the actions.",
        ("AC-6",),
        DEFINITION,
        _star,
    ),
    Rule(
        "GW-AZ-023",
        "A custom role must name its actions",
        "low",
        "What a star stands for grows with the service.",
        "List the actions.",
        ("AC-6",),
        DEFINITION,
        _wildcard,
        "advisory",
    ),
    Rule(
        "GW-AZ-024",
        "An identity must take tokens of one exact subject",
        "critical",
        "A subject that is too short or has a star is taken without an error, and matches nobody or a stranger.",
        "Name repository and environment, as in `repo:OWNER/REPOSITORY:environment:prod`.",
        ("IA-2", "IA-9", "AC-3"),
        CREDENTIAL,
        _subject,
    ),
    Rule(
        "GW-AZ-025",
        "An identity must take tokens that were made for Azure only",
        "high",
        "A token that was made for another service, and leaked there, gets in.",
        'Set `audiences=["api://AzureADTokenExchange"]` on it.',
        ("IA-9",),
        CREDENTIAL,
        _audience,
    ),
    Rule(
        "GW-AZ-026",
        "An identity's issuer must be written as it signs",
        "high",
        "Azure takes a wrong one without an error, and over plain HTTP anyone on the way can stand in for the issuer.",
        "Write the issuer as its tokens have it in `iss`; GitHub's has no slash at the end.",
        ("IA-9", "SC-23"),
        CREDENTIAL,
        _issuer,
    ),
)
