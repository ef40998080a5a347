"""IAM's evaluation rules as a table of cases, and what must hold for every request."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud import conditions, iam
from localcloud.iam import Principal, Request, decide, policy
from tests.localcloud.iam_requests import ACCOUNT, KEY, OTHER, ROLE, SESSION, USER, Case, cases, documents

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
OBJECT = "arn:aws:s3:::b/k"
ANN = Principal(USER, ACCOUNT)
JOB = Principal(SESSION, ACCOUNT, ROLE)


def allow(action: Any = "s3:GetObject", resource: Any = "arn:aws:s3:::b/*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(**more: Any) -> dict[str, Any]:
    return {**allow("*", "*"), **more, "Effect": "Deny"}


def document(*statements: Any, version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def verdict(
    *identity: Any, who: Principal = ANN, action: str = "s3:GetObject", resource: str = OBJECT,
    context: conditions.Context | None = None, on: Any = None, boundary: Any = None, session: Any = None,
    insists: bool = False, account: str = ACCOUNT, version: str = "2012-10-17",
) -> str:  # fmt: skip
    """The verdict on one request; policies are given as lists of statements."""

    def read(name: str, statements: Any) -> iam.Policy | None:
        return policy(name, document(*statements, version=version)) if statements is not None else None

    request = Request(who, action, resource, context or {}, account, insists)
    decision = decide(
        request, [policy("identity", document(*identity, version=version))], read("resource", on),
        read("boundary", boundary), read("session", session),
    )  # fmt: skip
    assert decision.allowed == (decision.verdict == "Allow")
    return decision.verdict


# --- actions and resources ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow(), "Allow"),
        (allow("S3:GETOBJECT"), "Allow"),
        (allow("s3:Get*"), "Allow"),
        (allow("s3:?etObject"), "Allow"),
        (allow("*"), "Allow"),
        (allow("s3:GetObject?"), "ImplicitDeny"),
        (allow("s3:Get"), "ImplicitDeny"),
        (allow("sqs:*"), "ImplicitDeny"),
        (allow(["sqs:*", "s3:GetObject"]), "Allow"),
        (allow(resource="arn:aws:s3:::b/k"), "Allow"),
        (allow(resource="arn:aws:s3:::B/k"), "ImplicitDeny"),
        (allow(resource="arn:aws:s3:::b"), "ImplicitDeny"),
        (allow(resource="arn:aws:s3:::b/?"), "Allow"),
        (allow(resource="arn:aws:s3:::*"), "Allow"),
        (allow(resource="arn:*:s3:::b/k"), "Allow"),
        (allow(resource="arn:aws:*"), "Allow"),
        (allow(resource="arn:aws:s3:*:b/k"), "ImplicitDeny"),  # a wildcard does not reach over a colon
        (allow(resource="arn:aws:s3:::b/k*"), "Allow"),
        (allow(resource="arn:aws:s3:::b/k/*"), "ImplicitDeny"),
        ({"Effect": "Allow", "NotAction": "s3:Put*", "Resource": "*"}, "Allow"),
        ({"Effect": "Allow", "NotAction": "s3:Get*", "Resource": "*"}, "ImplicitDeny"),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::c/*"}, "Allow"),
        ({"Effect": "Allow", "Action": "*", "NotResource": ["arn:aws:s3:::c/*", "arn:aws:s3:::b/*"]}, "ImplicitDeny"),
    ],
)
def test_actions_and_resources_match_as_iam_says(statement: dict[str, Any], expected: str) -> None:
    assert verdict(statement) == expected


def test_without_a_policy_nothing_is_allowed() -> None:
    assert verdict() == "ImplicitDeny"


def test_an_explicit_deny_wins_wherever_it_is() -> None:
    everything = [allow("*", "*")]
    assert verdict(*everything, deny()) == "ExplicitDeny"
    assert verdict(*everything, on=[deny(Principal="*")]) == "ExplicitDeny"
    assert verdict(*everything, boundary=[allow("*", "*"), deny()]) == "ExplicitDeny"
    assert verdict(*everything, who=JOB, session=[allow("*", "*"), deny()]) == "ExplicitDeny"


# --- policy variables ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "resource", "context", "expected"),
    [
        ("b/${aws:username}/*", "b/ann/k", {"aws:username": "ann"}, "Allow"),
        ("b/${AWS:UserName}/*", "b/ann/k", {"aws:username": "ann"}, "Allow"),
        ("b/${aws:username}/*", "b/bob/k", {"aws:username": "ann"}, "ImplicitDeny"),
        ("b/${aws:username}/*", "b/ann/k", {}, "ImplicitDeny"),
        ("b/${aws:username}/*", "b//k", {}, "ImplicitDeny"),
        ("b/${aws:username}/*", "b/bob/k", {"aws:username": "*"}, "ImplicitDeny"),  # a value is no wildcard
        ("b/${aws:username}/*", "b/*/k", {"aws:username": "*"}, "Allow"),
        ("b/${aws:username, 'all'}/*", "b/all/k", {}, "Allow"),
        ("b/${aws:username, 'all'}/*", "b/all/k", {"aws:username": "ann"}, "ImplicitDeny"),
        ("b/${aws:PrincipalTag/team}/*", "b/ml/k", {"aws:PrincipalTag/team": "ml"}, "Allow"),
        ("b/${aws:TagKeys}", "b/x", {"aws:TagKeys": ["x", "y"]}, "ImplicitDeny"),  # no variable of many values
        ("b/${*}", "b/*", {}, "Allow"),
        ("b/${*}", "b/x", {}, "ImplicitDeny"),
        ("b/${?}${$}", "b/?$", {}, "Allow"),
        ("b/${a${b}}", "b/x", {"b": "x"}, "ImplicitDeny"),
    ],
)
def test_variables_stand_for_literal_values(
    pattern: str, resource: str, context: dict[str, Any], expected: str
) -> None:
    statement = allow(resource=f"arn:aws:s3:::{pattern}")
    assert verdict(statement, resource=f"arn:aws:s3:::{resource}", context=context) == expected


def test_the_old_version_of_the_language_has_no_variables() -> None:
    statement = allow(resource="arn:aws:s3:::b/${aws:username}")
    context = {"aws:username": "ann"}
    assert verdict(statement, resource="arn:aws:s3:::b/ann", context=context, version="2008-10-17") == "ImplicitDeny"
    assert verdict(statement, resource="arn:aws:s3:::b/${aws:username}", version="2008-10-17") == "Allow"


def test_what_a_missing_variable_was_to_spare_is_not_spared() -> None:
    unclear = {"Action": "*", "NotResource": "arn:aws:s3:::b/${aws:username}"}
    assert verdict({"Effect": "Allow", **unclear}) == "ImplicitDeny"
    assert verdict(allow(), {"Effect": "Deny", **unclear}) == "ExplicitDeny"
    negated = {"StringNotEquals": {"s3:prefix": "${aws:username}"}}
    assert verdict(allow(Condition=negated), context={"s3:prefix": "x"}) == "ImplicitDeny"
    assert verdict(allow(), deny(Condition=negated), context={"s3:prefix": "x"}) == "ExplicitDeny"


# --- conditions ---------------------------------------------------------------------------------------

NOON = "2026-06-01T12:00:00Z"


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "expected"),
    [
        ("StringEquals", "x", "x", True),
        ("StringEquals", "x", "X", False),
        ("StringEquals", "x*", "xy", False),
        ("StringEquals", ["a", "x"], "x", True),
        ("StringEquals", [], "x", False),
        ("StringEquals", "x", None, False),
        ("StringEqualsIfExists", "x", None, True),
        ("StringEqualsIfExists", "x", "y", False),
        ("StringNotEquals", "x", "y", True),
        ("StringNotEquals", ["x", "y"], "y", False),
        ("StringNotEquals", "x", None, True),
        ("StringNotEqualsIfExists", "x", None, True),
        ("StringEqualsIgnoreCase", "x", "X", True),
        ("StringNotEqualsIgnoreCase", "x", "X", False),
        ("StringLike", "a/*", "a/b/c", True),
        ("StringLike", "a?c", "abc", True),
        ("StringLike", "a?c", "ac", False),
        ("StringLike", "*", "", True),
        ("StringNotLike", "a*", "abc", False),
        ("stringlike", "a*", "abc", True),
        ("NumericEquals", "1", "1.0", True),
        ("NumericEquals", 1, "1", True),
        ("NumericEquals", "1", "one", False),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "9", False),
        ("NumericGreaterThanEquals", "10", "10.5", True),
        ("NumericNotEquals", "10", None, True),
        ("DateLessThan", "2026-06-01T12:00:01Z", NOON, True),
        ("DateGreaterThan", "2026-06-01T13:00:00+02:00", NOON, True),
        ("DateEquals", "2026-06-01T14:00:00+02:00", NOON, True),
        ("DateGreaterThan", "1780315199", NOON, True),
        ("DateEquals", "2026-06-01T12:00:00Z", "never", False),
        ("DateNotEquals", "2026-06-01T12:00:00Z", None, True),
        ("Bool", "true", "true", True),
        ("Bool", True, "true", True),
        ("Bool", "false", "true", False),
        ("Bool", "false", None, False),
        ("BoolIfExists", "false", None, True),
        ("Bool", "true", "yes", False),
        ("Null", "true", None, True),
        ("Null", "false", None, False),
        ("Null", "true", "x", False),
        ("Null", "false", "x", True),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", "10.0.0.1", "10.0.0.1", True),
        ("IpAddress", "2001:db8::/32", "2001:db8::1", True),
        ("IpAddress", "10.0.0.0/8", "2001:db8::1", False),
        ("IpAddress", "10.0.0.0/8", "nowhere", False),
        ("NotIpAddress", "10.0.0.0/8", "192.168.0.1", True),
        ("NotIpAddress", "10.0.0.0/8", "2001:db8::1", True),
        ("NotIpAddress", "10.0.0.0/8", None, True),
        ("BinaryEquals", "aGVsbG8=", "aGVsbG8=", True),
        ("BinaryEquals", "aGVsbG8=", "aGVsbA==", False),
        ("ArnLike", "arn:aws:sns:*:*:to?ic", "arn:aws:sns:eu-central-1:1:topic", True),
        ("ArnEquals", "arn:aws:sns:*:*:topic", "arn:aws:sns:eu-central-1:1:topic", True),
        ("ArnLike", "arn:aws:sns:*:topic", "arn:aws:sns:eu-central-1:1:topic", False),
        ("ArnLike", "*", "arn:aws:sns:eu-central-1:1:topic", False),
        ("ArnNotLike", "arn:aws:sns:*:*:*", "arn:aws:sqs:eu-central-1:1:q", True),
        ("ArnNotEquals", "arn:aws:sns:*:*:*", None, True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAllValues:StringEquals", ["a"], None, True),
        ("ForAllValues:StringEquals", ["a"], [], True),
        ("ForAllValues:StringNotEquals", ["a"], ["b", "c"], True),
        ("ForAllValues:StringNotEquals", ["a"], ["a", "c"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "a"], True),
        ("ForAnyValue:StringEquals", ["a"], ["c"], False),
        ("ForAnyValue:StringEquals", ["a"], None, False),
        ("ForAnyValue:StringNotEquals", ["a"], ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a"], None, False),
        ("ForAnyValue:StringEqualsIfExists", ["a"], None, False),
        ("StringEquals", ["a", "b"], ["a", "b"], False),  # several values need a set operator
        ("StringNotEquals", ["c"], ["a", "b"], False),
    ],
)
def test_a_condition_holds_as_iam_says(operator: str, wanted: Any, value: Any, expected: bool) -> None:
    statement = allow(Condition={operator: {"Some:Key": wanted}})
    context = {} if value is None else {"some:KEY": value}
    assert verdict(statement, context=context) == ("Allow" if expected else "ImplicitDeny")


def test_conditions_are_all_asked_for() -> None:
    both = {"StringEquals": {"a": "1", "b": "2"}, "Bool": {"c": "true"}}
    assert verdict(allow(Condition=both), context={"a": "1", "b": "2", "c": "true"}) == "Allow"
    for missing in "abc":
        context = {k: v for k, v in {"a": "1", "b": "2", "c": "true"}.items() if k != missing}
        assert verdict(allow(Condition=both), context=context) == "ImplicitDeny"


def test_a_tls_only_policy_denies_plain_calls_alone() -> None:
    on = [deny(Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})]
    assert verdict(allow(), on=on, context={"aws:SecureTransport": "true"}) == "Allow"
    assert verdict(allow(), on=on, context={"aws:SecureTransport": "false"}) == "ExplicitDeny"


def test_a_condition_key_that_is_not_modelled_denies_and_does_not_allow() -> None:
    def decided(*statements: Any) -> str:
        request = Request(ANN, "s3:GetObject", OBJECT, {}, modelled=frozenset({"aws:known", "aws:tag/*"}))
        return decide(request, [policy("p", document(*statements))]).verdict

    for operator in ("StringEqualsIfExists", "StringNotEquals", "Null"):
        strange = {operator: {"aws:strange": "true"}}
        assert decided(allow(Condition=strange)) == "ImplicitDeny"
        assert decided(allow(), deny(Condition=strange)) == "ExplicitDeny"
        assert decided(allow(), deny(Condition={**strange, "Bool": {"aws:known": "true"}})) == "Allow"
    assert decided(allow(Condition={"StringNotEquals": {"AWS:Tag/x": "y"}})) == "Allow"


# --- principals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "principal", "expected"),
    [
        (ANN, "*", "Allow"),
        (ANN, {"AWS": "*"}, "Allow"),
        (ANN, {"AWS": USER}, "Allow"),
        (ANN, {"AWS": [ROLE, USER]}, "Allow"),
        (ANN, {"AWS": ROLE}, "ImplicitDeny"),
        (ANN, {"AWS": ROOT}, "ImplicitDeny"),  # hands the decision to identity policies, which say nothing
        (ANN, {"AWS": ACCOUNT}, "ImplicitDeny"),
        (ANN, {"Service": "*"}, "ImplicitDeny"),
        (JOB, {"AWS": ROLE}, "Allow"),
        (JOB, {"AWS": SESSION}, "Allow"),
        (JOB, {"AWS": f"{SESSION}x"}, "ImplicitDeny"),
        (JOB, {"AWS": f"arn:aws:iam::{OTHER}:root"}, "ImplicitDeny"),
        (Principal(service="ecs-tasks.amazonaws.com"), {"Service": "ecs-tasks.amazonaws.com"}, "Allow"),
        (Principal(service="ecs-tasks.amazonaws.com"), {"Service": "ec2.amazonaws.com"}, "ImplicitDeny"),
        (Principal(service="ecs-tasks.amazonaws.com"), {"AWS": "*"}, "ImplicitDeny"),
        (Principal(service="ecs-tasks.amazonaws.com"), {"AWS": ROOT}, "ImplicitDeny"),
        (Principal(federated="accounts.google.com"), {"Federated": "accounts.google.com"}, "Allow"),
        (Principal(federated="accounts.google.com"), {"Federated": "evil.example"}, "ImplicitDeny"),
        (Principal(), "*", "Allow"),
        (Principal(), {"AWS": ROOT}, "ImplicitDeny"),
    ],
)
def test_a_resource_policy_names_its_principals(who: Principal, principal: Any, expected: str) -> None:
    assert verdict(who=who, on=[allow(Principal=principal)]) == expected


@pytest.mark.parametrize(
    ("who", "spared", "expected"),
    [
        (ANN, [USER, ROOT], "Allow"),
        (ANN, [USER], "ExplicitDeny"),  # AWS: the account must be listed as well
        (ANN, [ROOT], "ExplicitDeny"),
        (ANN, [ROLE, ROOT], "ExplicitDeny"),
        (JOB, [SESSION, ROLE, ROOT], "Allow"),
        (JOB, [ROLE, ROOT], "ExplicitDeny"),
        (Principal(ROOT, ACCOUNT), [ROOT], "Allow"),
    ],
)
def test_a_deny_by_not_principal_spares_only_who_is_wholly_listed(
    who: Principal, spared: list[str], expected: str
) -> None:
    on = [{**deny(), "NotPrincipal": {"AWS": spared}}]
    assert verdict(allow("*", "*"), who=who, on=on) == expected


def test_a_deny_of_an_account_meets_everyone_in_it() -> None:
    for principal in ({"AWS": ACCOUNT}, {"AWS": ROOT}, {"AWS": "*"}, "*", {"AWS": USER}):
        assert verdict(allow("*", "*"), on=[deny(Principal=principal)]) == "ExplicitDeny"
    assert verdict(allow(), on=[deny(Principal={"AWS": OTHER})]) == "Allow"
    assert verdict(allow("*", "*"), who=JOB, on=[deny(Principal={"AWS": ROLE})]) == "ExplicitDeny"


# --- boundaries, sessions, accounts, resources that insist ---------------------------------------------

HERE, ELSEWHERE = [allow("s3:*", "*")], [allow("sqs:*", "*")]


@pytest.mark.parametrize(
    ("who", "principal", "boundary", "session", "expected"),
    [
        (JOB, None, HERE, HERE, "Allow"),
        (JOB, None, ELSEWHERE, None, "ImplicitDeny"),
        (JOB, None, None, ELSEWHERE, "ImplicitDeny"),
        (JOB, {"AWS": ROLE}, ELSEWHERE, None, "ImplicitDeny"),
        (JOB, {"AWS": ROLE}, None, ELSEWHERE, "ImplicitDeny"),
        (JOB, {"AWS": ROLE}, HERE, HERE, "Allow"),
        (JOB, {"AWS": SESSION}, ELSEWHERE, ELSEWHERE, "Allow"),
        (JOB, "*", ELSEWHERE, None, "Allow"),
        (JOB, "*", None, ELSEWHERE, "ImplicitDeny"),
        (ANN, {"AWS": USER}, ELSEWHERE, None, "Allow"),
        (ANN, None, ELSEWHERE, None, "ImplicitDeny"),
    ],
)
def test_boundaries_and_session_policies_limit_what_aws_says_they_limit(
    who: Principal, principal: Any, boundary: Any, session: Any, expected: str
) -> None:
    identity = [] if principal else [allow()]
    on = [allow(Principal=principal)] if principal else None
    assert verdict(*identity, who=who, on=on, boundary=boundary, session=session) == expected


@pytest.mark.parametrize(
    ("identity", "principal", "expected"),
    [
        ([allow("kms:*", "*")], {"AWS": ROOT}, "Allow"),
        ([], {"AWS": ROOT}, "ImplicitDeny"),
        ([allow("kms:*", "*")], {"AWS": USER}, "ImplicitDeny"),
        ([allow("kms:*", "*")], None, "ImplicitDeny"),
        ([], {"AWS": ROLE}, "Allow"),
        ([], "*", "Allow"),
    ],
)
def test_a_keys_own_policy_must_allow(identity: list[Any], principal: Any, expected: str) -> None:
    on = [allow("kms:*", "*", Principal=principal)] if principal else None
    found = verdict(*identity, who=JOB, on=on, action="kms:Decrypt", resource=KEY, insists=True)
    assert found == expected


def test_across_accounts_both_sides_must_allow() -> None:
    granted = [allow(Principal={"AWS": ROLE})]
    account = [allow(Principal={"AWS": ROOT})]
    assert verdict(allow(), who=JOB, on=granted, account=OTHER) == "Allow"
    assert verdict(allow(), who=JOB, on=account, account=OTHER) == "Allow"
    assert verdict(who=JOB, on=granted, account=OTHER) == "ImplicitDeny"
    assert verdict(allow(), who=JOB, account=OTHER) == "ImplicitDeny"
    assert verdict(allow(), who=JOB, on=granted, account=OTHER, boundary=ELSEWHERE) == "ImplicitDeny"


# --- what cannot be read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        "not json",
        "[]",
        '{"Version": "2020-01-01", "Statement": []}',
        {"Statement": ["text"]},
        document({"Effect": "Permit", "Action": "*", "Resource": "*"}),
        document({"Effect": "allow", "Action": "*", "Resource": "*"}),
        document({"Effect": "Allow", "Resource": "*"}),
        document({"Effect": "Allow", "Action": "*", "NotAction": "s3:*", "Resource": "*"}),
        document({"Effect": "Allow", "Action": 1, "Resource": "*"}),
        document({"Effect": "Allow", "Action": "GetObject", "Resource": "*"}),
        document(allow(Extra=1)),
        document(allow(Condition=[])),
        document(allow(Condition={"StringSame": {"a": "b"}})),
        document(allow(Condition={"NullIfExists": {"a": "true"}})),
        document(allow(Condition={"ForSome:StringEquals": {"a": "b"}})),
        document(allow(Condition={"StringEquals": "x"})),
        document(allow(Condition={"StringEquals": {"a": {"b": "c"}}})),
        document(allow(Condition={"Bool": {"a": "perhaps"}})),
        document(allow(Condition={"Null": {"a": "perhaps"}})),
        document(allow(Condition={"NumericEquals": {"a": "one"}})),
        document(allow(Condition={"DateEquals": {"a": "tomorrow"}})),
        document(allow(Condition={"IpAddress": {"a": "10.0.0.0/99"}})),
        document(allow(Condition={"BinaryEquals": {"a": "%"}})),
        document(allow(Principal={"AWS": "arn:aws:iam::123456789012:role/*"})),
        document(allow(Principal={"Somebody": "x"})),
        document(allow(Principal="arn:aws:iam::123456789012:root")),
        "[" * 100_000,
    ],
)
def test_a_malformed_policy_denies_with_its_reason(bad: Any) -> None:
    broken = policy("broken", bad)
    fine = policy("fine", document(allow("*", "*")))
    request = Request(ANN, "s3:GetObject", OBJECT)
    for decision in (
        decide(request, [fine, broken]),
        decide(request, [fine], broken),
        decide(request, [fine], None, broken),
    ):
        assert decision.verdict == "ExplicitDeny"
        assert "policy broken is malformed" in decision.reason


def test_the_reason_and_the_statement_are_told() -> None:
    named = policy("reads", document({"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}, allow(Sid="Models")))
    request = Request(JOB, "s3:GetObject", OBJECT)
    assert decide(request, [named]).statement == "reads Models"
    missing = decide(request, [])
    assert missing.statement is None
    assert missing.reason == (
        f"{SESSION} may not s3:GetObject on {OBJECT}: an identity-based policy would have to allow it."
    )
    assert "explicit deny in locks statement 0" in decide(request, [named, policy("locks", document(deny()))]).reason


def test_a_hostile_pattern_is_decided() -> None:
    """A matcher that tries every way would not come back within the age of the universe."""
    assert (
        verdict(allow(resource="arn:aws:s3:::" + "*a" * 300 + "*b"), resource="arn:aws:s3:::" + "a" * 2000)
        == "ImplicitDeny"
    )


# --- what holds for every request -----------------------------------------------------------------------

FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(cases())
def test_an_explicit_deny_always_wins(case: Case) -> None:
    denied = Case(**{**case.__dict__, "identity": [*case.identity, document(deny())]})
    assert denied.decide().verdict == "ExplicitDeny"


@FEW
@given(cases(), documents())
def test_another_allow_never_takes_away(case: Case, more: dict[str, Any]) -> None:
    allows = {**more, "Statement": [{**s, "Effect": "Allow"} for s in more["Statement"]]}
    wider = Case(**{**case.__dict__, "identity": [*case.identity, allows]})
    assert wider.decide().allowed >= case.decide().allowed


@FEW
@given(cases(), documents())
def test_a_boundary_or_session_policy_never_gives(case: Case, limit: dict[str, Any]) -> None:
    for name in ("boundary", "session"):
        free, limited = Case(**{**case.__dict__, name: None}), Case(**{**case.__dict__, name: limit})
        assert limited.decide().allowed <= free.decide().allowed


@FEW
@given(cases(), st.randoms())
def test_the_order_of_statements_does_not_matter(case: Case, random: Any) -> None:
    def shuffled(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "Statement": random.sample(document["Statement"], len(document["Statement"]))}

    other = Case(**{**case.__dict__, "identity": [shuffled(d) for d in reversed(case.identity)]})
    assert other.decide().verdict == case.decide().verdict


@FEW
@given(cases())
def test_without_an_allow_nothing_is_allowed(case: Case) -> None:
    def denies(document: dict[str, Any] | None) -> dict[str, Any] | None:
        return document and {**document, "Statement": [s for s in document["Statement"] if s["Effect"] == "Deny"]}

    bare = {"identity": [denies(d) for d in case.identity], "resource_policy": denies(case.resource_policy)}
    assert not Case(**{**case.__dict__, **bare}).decide().allowed


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=8))
def test_a_pattern_matches_as_a_regular_expression_does(pattern: str, text: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(c, c) for c in pattern)
    assert conditions.matches(conditions.pattern(pattern, None), text) == bool(re.fullmatch(expression, text))
