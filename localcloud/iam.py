"""IAM's policy evaluation: one request against the policies that apply to it. Pure; no I/O.

The order is AWS's: an explicit deny anywhere wins; then somebody must allow. In one account identity
policies and the resource's policy are a union, cut down by the permissions boundary and the session
policy; a resource that insists on its own policy (a KMS key, a role's trust) must be allowed by it, and
may hand the decision to the account's identity policies by naming the account. Across accounts both
sides must allow. What cannot be read is denied, with the reason.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from localcloud import conditions
from localcloud.conditions import Condition, Context, MalformedError, UnresolvedError

Verdict = Literal["Allow", "ImplicitDeny", "ExplicitDeny"]


@dataclass(frozen=True)
class Principal:
    """Who calls.

    arn: the identity's ARN; for a role's session the session's (`arn:aws:sts::…:assumed-role/ROLE/SESSION`);
        empty for a service.
    account: its twelve digits.
    role: the role's ARN when `arn` is a session's.
    service: a service principal (`ecs-tasks.amazonaws.com`), which is in no account.
    federated: an identity provider (its ARN or host name).
    """

    arn: str = ""
    account: str = ""
    role: str | None = None
    service: str | None = None
    federated: str | None = None

    @property
    def is_root(self) -> bool:
        """Whether it is an account's root user."""
        return self.arn.startswith("arn:") and self.arn.endswith(f":iam::{self.account}:root")


@dataclass(frozen=True)
class Request:
    """One action on one resource.

    resource_account: the owner of the resource; the principal's account unless it says otherwise.
    insists: the resource's own policy must allow (KMS keys, role trust).
    modelled: lower-case condition keys that the caller knows to be present or truly absent (a last `*`
        stands for any ending); None when it knows them all. A deny that hangs on any other key applies,
        an allow that does so does not.
    """

    principal: Principal
    action: str
    resource: str
    context: Context = field(default_factory=dict)
    resource_account: str = ""
    insists: bool = False
    modelled: frozenset[str] | None = None


@dataclass(frozen=True)
class Statement:
    """A parsed statement; `label` names it for people: policy name, then Sid or index."""

    label: str
    allow: bool
    actions: tuple[str, ...]
    not_actions: bool
    resources: tuple[str, ...]
    not_resources: bool
    principals: tuple[tuple[str, str], ...] | None  # (kind, value); None in an identity policy
    not_principals: bool
    conditions: tuple[Condition, ...]
    variables: bool  # policy variables exist since version 2012-10-17


@dataclass(frozen=True)
class Policy:
    """A parsed policy; `flaw` is a sentence when it is malformed, and then it denies everything."""

    name: str
    statements: tuple[Statement, ...] = ()
    flaw: str | None = None


@dataclass(frozen=True)
class Decision:
    """allowed; the verdict in IAM's words; the reason as a sentence; the label of the deciding statement."""

    allowed: bool
    verdict: Verdict
    reason: str
    statement: str | None = None


# --- reading policies ---------------------------------------------------------------------------------


def policy(name: str, document: str | Mapping[str, Any]) -> Policy:
    """A policy from its JSON text or object; never raises: a malformed one carries its flaw."""
    return _policy(name, document if isinstance(document, str) else json.dumps(document))


@lru_cache(maxsize=2048)
def _policy(name: str, text: str) -> Policy:
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise MalformedError("it is not a JSON object")
        version = document.get("Version", "2008-10-17")
        if version not in {"2008-10-17", "2012-10-17"}:
            raise MalformedError(f"unknown version {version!r}")
        given = document.get("Statement", [])
        statements = given if isinstance(given, list) else [given]
        return Policy(name, tuple(_statement(name, i, s, version) for i, s in enumerate(statements)))
    except (MalformedError, RecursionError, json.JSONDecodeError) as error:
        return Policy(name, flaw=f"policy {name} is malformed: {error}")


def _statement(name: str, index: int, given: object, version: str) -> Statement:
    if not isinstance(given, dict):
        raise MalformedError(f"statement {index} is not an object")
    label = f"{name} {given.get('Sid') or f'statement {index}'}"
    known = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal"}
    if unknown := set(given) - known - {"Condition"}:
        raise MalformedError(f"{label} has an unknown element {min(unknown)}")
    if given.get("Effect") not in {"Allow", "Deny"}:
        raise MalformedError(f"{label} has the effect {given.get('Effect')!r}")
    actions, not_actions = _either(label, given, "Action")
    for action in actions:
        if action != "*" and not all(action.partition(":")[::2]):
            raise MalformedError(f"{label} has the action {action!r}")
    resources, not_resources = _either(label, given, "Resource", default=("*",))
    principals, not_principals = _principals(label, given)
    return Statement(
        label, given["Effect"] == "Allow", actions, not_actions, resources, not_resources, principals,
        not_principals, conditions.parse(given.get("Condition", {})), version == "2012-10-17",
    )  # fmt: skip


def _either(
    label: str, given: Mapping[str, Any], element: str, default: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], bool]:
    """The values of `element` or `Notelement`, and which of the two it was."""
    negated = f"Not{element}" in given
    if negated and element in given:
        raise MalformedError(f"{label} has both {element} and Not{element}")
    if not negated and element not in given:
        if default:  # trust policies have no Resource
            return default, False
        raise MalformedError(f"{label} has no {element}")
    return _texts(label, given[f"Not{element}" if negated else element]), negated


def _texts(label: str, value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(v, str) for v in values):
        raise MalformedError(f"{label} has a value that is not text")
    return tuple(values)


def _principals(label: str, given: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...] | None, bool]:
    negated = "NotPrincipal" in given
    if negated and "Principal" in given:
        raise MalformedError(f"{label} has both Principal and NotPrincipal")
    value = given.get("NotPrincipal" if negated else "Principal")
    if value is None:
        return None, negated
    if value == "*":
        return (("*", "*"),), negated
    if not isinstance(value, dict):
        raise MalformedError(f"{label} has the principal {value!r}")
    found = [(kind, v) for kind, values in value.items() for v in _texts(label, values)]
    for kind, v in found:
        if kind not in {"AWS", "Service", "Federated", "CanonicalUser"}:
            raise MalformedError(f"{label} has an unknown kind of principal {kind!r}")
        if v != "*" and ("*" in v or "?" in v):
            raise MalformedError(f"{label} has a wildcard inside the principal {v!r}")
    return tuple(found), negated


# --- matching one statement ---------------------------------------------------------------------------

_Values = Mapping[str, tuple[str, ...]]


def _action_fits(statement: Statement, action: str) -> bool:
    wanted = (conditions.pattern(a.lower(), None) for a in statement.actions)
    return any(conditions.matches(p, action.lower()) for p in wanted) != statement.not_actions


def _resource_fits(statement: Statement, resource: str, context: _Values) -> bool:
    found = unresolved = False
    for text in statement.resources:
        try:
            wanted = conditions.pattern(text, context if statement.variables else None)
        except UnresolvedError:
            unresolved = True
            continue
        found = found or conditions.matches_arn(wanted, resource)
    if statement.not_resources and unresolved and statement.allow:
        return False  # nobody knows what the exception was meant to be
    return found != statement.not_resources


Grant = Literal["own", "everybody", "role", "account"]
"""How a resource policy's statement names the caller; see `_grant`."""


def _names(kind: str, value: str, who: Principal) -> Grant | None:
    human = not (who.service or who.federated)  # {"AWS": "*"} and account ids name identities, not services
    if kind == "*" or (kind == "AWS" and value == "*" and human):
        return "everybody"
    own = {"Service": who.service, "Federated": who.federated, "AWS": who.arn}.get(kind)
    if own and value == own:
        return "own"
    if kind == "AWS" and who.account and value in {who.account, f"arn:aws:iam::{who.account}:root"}:
        return "account"
    return "role" if kind == "AWS" and who.role and value == who.role else None


def _grant(statement: Statement, who: Principal) -> Grant | None:
    """`own`: the caller itself (a session, a user): no boundary or session policy limits the grant.
    `everybody`: a session policy does. `role`, the one behind a session: both do. `account`: the identity
    policies decide."""
    if statement.principals is None:
        return None
    named = {n for kind, value in statement.principals if (n := _names(kind, value, who))}
    if statement.not_principals:
        # AWS spares a caller from a NotPrincipal deny when session, role and account are all listed.
        whole = {"own", "account"} | ({"role"} if who.role else set()) if who.account else {"own"}
        spared = bool(named) if statement.allow else who.is_root or "everybody" in named or named >= whole
        return None if spared else "everybody"
    order: tuple[Grant, ...] = ("own", "everybody", "role", "account")
    return next((g for g in order if g in named), None)


def _modelled(key: str, modelled: frozenset[str] | None) -> bool:
    if modelled is None or key in modelled:
        return True
    return any(known.endswith("*") and key.startswith(known[:-1]) for known in modelled)


def _conditions_fit(statement: Statement, request: Request, context: _Values) -> bool:
    for condition in statement.conditions:
        if not _modelled(condition.key, request.modelled):
            if statement.allow:
                return False
            continue  # a deny that cannot be judged applies
        values = context if statement.variables else {condition.key: context.get(condition.key, ())}
        if not conditions.holds(condition, values, allow=statement.allow):
            return False
    return True


def _fits(statement: Statement, request: Request, context: _Values) -> bool:
    return (
        _action_fits(statement, request.action)
        and _resource_fits(statement, request.resource, context)
        and _conditions_fit(statement, request, context)
    )


# --- deciding -----------------------------------------------------------------------------------------


def decide(
    request: Request,
    identity_policies: Sequence[Policy],
    resource_policy: Policy | None = None,
    boundary: Policy | None = None,
    session_policy: Policy | None = None,
) -> Decision:
    """What IAM answers to the request. See the module's docstring for the order."""
    context = conditions.lowered(request.context)
    identity_side = [*identity_policies, *(p for p in (boundary, session_policy) if p)]
    every = [*identity_side, *([resource_policy] if resource_policy else [])]
    if flaw := next((p.flaw for p in every if p.flaw), None):
        return Decision(False, "ExplicitDeny", f"{flaw}; a policy that cannot be read denies.")

    def allows(policies: Iterable[Policy]) -> Statement | None:
        return next((s for p in policies for s in p.statements if s.allow and _fits(s, request, context)), None)

    denial = _denial(identity_side, resource_policy, request, context)
    if denial:
        return Decision(False, "ExplicitDeny", _denied(request, f"an explicit deny in {denial.label}"), denial.label)

    grants = _resource_grants(resource_policy, request, context)
    identity = allows(identity_policies)
    owner = request.resource_account or request.principal.account
    foreign = bool(request.principal.account) and owner != request.principal.account

    if not foreign and "own" in grants:
        return _allowed(grants["own"])
    granted = grants.get("everybody") or grants.get("role")
    if foreign:
        granted = granted or grants.get("own") or grants.get("account")
        chosen, missing = (identity, "an identity-based policy") if granted else (None, "a resource-based policy")
    elif request.insists:
        delegated = "account" in grants
        chosen = granted or (identity if delegated else None)
        missing = "an identity-based policy" if delegated else "the resource's own policy"
    else:
        chosen, missing = granted or identity, "an identity-based policy"
    if not chosen:
        return Decision(False, "ImplicitDeny", _denied(request, f"{missing} would have to allow it"))
    unbounded = "everybody" in grants and not foreign
    for limit, kind in ((None if unbounded else boundary, "permissions boundary"), (session_policy, "session policy")):
        if limit and not allows([limit]):
            return Decision(False, "ImplicitDeny", _denied(request, f"the {kind} {limit.name} does not allow it"))
    return _allowed(chosen)


def _denial(
    identity_side: Iterable[Policy], resource_policy: Policy | None, request: Request, context: _Values
) -> Statement | None:
    for p in identity_side:
        for s in p.statements:
            if not s.allow and _fits(s, request, context):
                return s
    for s in resource_policy.statements if resource_policy else ():
        everybody = any(value == "*" for _, value in s.principals or ()) and not s.not_principals
        if not s.allow and (everybody or _grant(s, request.principal)) and _fits(s, request, context):
            return s
    return None


def _resource_grants(policy: Policy | None, request: Request, context: _Values) -> dict[str, Statement]:
    found: dict[str, Statement] = {}
    for s in policy.statements if policy else ():
        if s.allow and (grant := _grant(s, request.principal)) and _fits(s, request, context):
            found.setdefault(grant, s)
    return found


def _allowed(statement: Statement) -> Decision:
    return Decision(True, "Allow", f"{statement.label} allows it.", statement.label)


def _denied(request: Request, because: str) -> str:
    who = request.principal
    name = who.arn or who.service or who.federated or "an anonymous caller"
    return f"{name} may not {request.action} on {request.resource}: {because}."
