"""Whom a workload identity pool takes for one of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from policies.graph import Graph, Resource
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.reading import UNKNOWN, read

SHARED = re.compile(
    r"^(https?://)?(token\.actions\.githubusercontent\.com|gitlab\.com|app\.terraform\.io|api\.pulumi\.com"
    r"|oidc\.circleci\.com|agent\.buildkite\.com|accounts\.google\.com|api\.bitbucket\.org|oidc\.vercel\.com"
    r"|vstoken\.dev\.azure\.com|login\.microsoftonline\.com/common|appleid\.apple\.com|cognito-identity\.amazonaws\.com)",
    re.IGNORECASE,
)
OWNERS = (
    "repository_owner|repository_owner_id|namespace_path|namespace_id|organization_id|terraform_organization_name"
    "|terraform_organization_id|owner|owner_id|organization_slug|hd|workspaceUuid"
)
ONES = (
    "sub|subject|repository|repository_id|job_workflow_ref|workflow_ref|project_path|project_id|terraform_workspace_id"
    "|terraform_workspace_name|terraform_full_workspace|pipeline_slug|repositoryUuid|project|email"
)
LITERAL = r"(?:\"[^\"*]+\"|'[^'*]+')"


def _claim(names: str) -> str:
    return rf"(?:assertion|attribute|google)(?:\.(?:{names})|\[['\"](?:{names})['\"]\])"


def _pins(names: str) -> re.Pattern[str]:
    """A comparison that holds for certain values only: `==`, `in`, or a beginning that ends an owner's name."""
    claim = _claim(names)
    prefix = r"(?:\"[^\"*]*\w/[^\"*]*\"|'[^'*]*\w/[^'*]*')"
    return re.compile(
        rf"^(?:{claim}\s*==\s*{LITERAL}|{LITERAL}\s*==\s*{claim}|{claim}\s+in\s+\[\s*{LITERAL}(?:\s*,\s*{LITERAL})*\s*,?\s*\]"
        rf"|(?:string\()?{claim}\)?\s*\.startsWith\(\s*{prefix}\s*\)"
        rf"|{claim}\s*\.matches\(\s*(?:\"\^?[\w:-]*\w/[^\"|]*\"|'\^?[\w:-]*\w/[^'|]*')\s*\))$"
    )


PINS_ANY, PINS_ONE = _pins(f"{OWNERS}|{ONES}"), _pins(ONES)


def _split(text: str, operator: str) -> list[str]:
    """The parts of an expression between an operator outside of brackets and quotes."""
    parts, depth, quote, start, i = [], 0, "", 0, 0
    while i < len(text):
        char = text[i]
        if quote:
            i += char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif depth == 0 and text.startswith(operator, i):
            parts.append(text[start:i])
            i += len(operator) - 1
            start = i + 1
        i += 1
    return [*parts, text[start:]]


def _wrapped(text: str) -> bool:
    """Whether one pair of brackets is around the whole expression."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    inner = text[1:-1]
    depth = 0
    for char in re.sub(r"\"[^\"]*\"|'[^']*'", "", inner):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return depth == 0


def pinned(condition: str, pins: re.Pattern[str], depth: int = 0) -> bool:
    """Whether a CEL condition holds only where one of its comparisons pins a claim, whichever way it is true.

    Google takes up to 4,096 characters; nobody who means well nests them deeper than 50.
    """
    text = condition.strip()
    if len(text) > 4096 or depth > 50:
        return False
    while _wrapped(text):
        text = text[1:-1].strip()
    for operator, verdict in (("||", all), ("&&", any)):
        parts = _split(text, operator)
        if len(parts) > 1:
            return verdict(pinned(part, pins, depth + 1) for part in parts)
    return bool(pins.match(text))


def _condition(provider: Resource) -> object:
    """The condition, its own attributes replaced by the claims that they are mapped from."""
    condition = read(provider, "attributeCondition")
    mapping = read(provider, "attributeMapping")
    if not isinstance(condition, str) or not isinstance(mapping, Mapping):
        return condition
    for name, source in sorted(mapping.items(), key=lambda item: -len(item[0])):
        if isinstance(source, str) and re.fullmatch(r"assertion[\w.\[\]'\"]*", source):
            condition = re.sub(rf"\b{re.escape(name)}\b", source.replace("\\", r"\\"), condition)
    return condition


def names_one_repository(provider: Resource) -> bool:
    """Whether a provider's condition is known to let in certain repositories or subjects only."""
    condition = _condition(provider)
    return isinstance(condition, str) and pinned(condition, PINS_ONE)


def _trust(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    issuer = read(resource, "oidc.issuerUri")
    if issuer is None:
        return
    condition = _condition(resource)
    if condition is UNKNOWN:
        yield undetermined("Nobody knows the condition before the deployment.", "attributeCondition")
    elif issuer is UNKNOWN and not condition:
        yield undetermined("Nobody knows the issuer before the deployment.", "oidc.issuerUri")
    elif not SHARED.match(str(issuer)):
        return
    elif not condition:
        yield fail(f"It takes a token of anyone who has one of {issuer}.", "attributeCondition")
    elif not pinned(str(condition), PINS_ANY):
        yield fail(f"`{condition}` holds for repositories that are not yours.", "attributeCondition")


def _bare(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    issuer = read(resource, "oidc.issuerUri")
    if (
        isinstance(issuer, str)
        and not SHARED.match(issuer)
        and not any(read(resource, path) for path in ("attributeCondition", "oidc.allowedAudiences"))
    ):
        yield fail(f"It takes every token of {issuer}: the pool's grants alone decide.", "attributeCondition")


PROVIDER = ("gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",)
RULES = (
    Rule(
        "GW-GCP-021",
        "A trust in a shared issuer must name whose tokens it takes",
        "critical",
        "GitHub, GitLab and their like sign tokens for everyone: without a condition any repository gets in.",
        "Compare `assertion.repository_owner_id` and `assertion.repository_id` (or `assertion.sub`) with `==` in "
        "`attribute_condition`; where there is an `||`, in each alternative.",
        ("IA-2", "IA-9", "AC-3"),
        PROVIDER,
        _trust,
    ),
    Rule(
        "GW-GCP-022",
        "A trust in an issuer of one's own must have a condition",
        "low",
        "Whoever the issuer signs for is in the pool; one careless grant to the pool and all of them have it.",
        "Set `attribute_condition`, if only on the audience's group or client.",
        ("IA-9", "AC-3"),
        PROVIDER,
        _bare,
        "advisory",
    ),
)
