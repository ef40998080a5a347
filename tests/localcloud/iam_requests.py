"""Random requests and policies over a small vocabulary, so that they meet often."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from localcloud import iam

ACCOUNT, OTHER = "123456789012", "210987654321"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/worker"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/job"
USER = f"arn:aws:iam::{ACCOUNT}:user/ann"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1"

OBJECTS = ["arn:aws:s3:::b/ann/k", "arn:aws:s3:::b/k", "arn:aws:s3:::c/k-", "arn:aws:s3:::b/a:b"]
ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]

_S3_ACTIONS = [
    "s3:GetObject",
    "S3:getobject",
    "s3:Get*",
    "s3:?etObject",
    "s3:*",
    "*",
    "s3:PutObject",
    "sqs:*",
    "s3:*Object",
]
_S3_RESOURCES = [
    "*",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::b/k",
    "arn:aws:s3:::b/?",
    "arn:*:s3:::b/k",
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/${aws:username}/*",
    "arn:aws:s3:::b/${aws:none, 'k'}",
    "arn:aws:s3:::c/k${*}",
    "arn:aws:s3:::c/k-*",
    "arn:aws:s3:::*/k",
    "arn:aws:s3:::b/a:*",
    "arn:aws:s3:::${aws:PrincipalTag/team}/*",
]
_KMS_ACTIONS = ["kms:Decrypt", "kms:*", "*", "kms:Encrypt", "kms:D*"]
_KMS_RESOURCES = ["*", KEY, f"arn:aws:kms:*:{ACCOUNT}:key/*", f"arn:aws:kms:eu-central-1:{OTHER}:key/1"]

# Operator → the keys that it suits and the values that policies compare them with.
_TEXTS = ["x", "X", "x*", "?", "", "y", "${aws:username}", "ann", "${aws:none}", "${aws:none, 'x'}", "a/b"]
_CONDITIONS: dict[tuple[str, ...], tuple[list[str], list[str]]] = {
    (
        "StringEquals",
        "StringNotEquals",
        "StringLike",
        "StringNotLike",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
    ): (["aws:username", "s3:prefix", "aws:PrincipalTag/team", "AWS:UserAgent"], _TEXTS),
    (
        "NumericEquals",
        "NumericNotEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
    ): (["s3:max-keys"], ["1", "2", "2.0", "-1", "10"]),
    (
        "DateEquals",
        "DateNotEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
    ): (["aws:CurrentTime"], ["2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "2025-01-01T00:00:00Z"]),
    ("Bool",): (["aws:SecureTransport"], ["true", "false"]),
    ("IpAddress", "NotIpAddress"): (["aws:SourceIp"], ["10.0.0.0/8", "10.1.2.3", "192.168.0.0/16"]),
    ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"): (
        ["aws:SourceArn", "aws:PrincipalArn"],
        [ROLE, USER, "arn:aws:sns:*:*:topic", f"arn:aws:iam::{ACCOUNT}:*", "arn:aws:sns:eu-central-1:1:to?ic"],
    ),
    ("Null",): (["aws:username", "s3:prefix", "aws:SourceArn"], ["true", "false"]),
}
_CONTEXT: dict[str, list[Any]] = {
    "aws:username": ["ann", "x"],
    "s3:prefix": ["x", "X", "xy", "a/b", "", "x*"],
    "aws:PrincipalTag/team": ["b", "x", "ann", "*"],
    "aws:UserAgent": ["x", "y"],
    "s3:max-keys": ["1", "2", "10"],
    "aws:CurrentTime": ["2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"],
    "aws:SecureTransport": ["true", "false"],
    "aws:SourceIp": ["10.1.2.3", "192.168.1.1"],
    "aws:SourceArn": ["arn:aws:sns:eu-central-1:1:topic"],
    "aws:TagKeys": [["a"], ["a", "b"], ["b", "x"]],
}


@dataclass(frozen=True)
class Case:
    """One request with all its policies as documents."""

    principal: str
    action: str
    resource: str
    context: dict[str, Any]
    identity: list[dict[str, Any]]
    resource_policy: dict[str, Any] | None
    boundary: dict[str, Any] | None
    session: dict[str, Any] | None

    def decide(self) -> iam.Decision:
        """What we say."""
        role = ROLE if self.principal == SESSION else None
        principal_arn = {"aws:PrincipalArn": role or self.principal}
        request = iam.Request(
            iam.Principal(self.principal, ACCOUNT, role),
            self.action,
            self.resource,
            {**self.context, **principal_arn},
            ACCOUNT,
            insists=self.action.startswith("kms:"),
        )

        def read(name: str, document: dict[str, Any] | None) -> iam.Policy | None:
            return iam.policy(name, document) if document else None

        identity = [iam.policy(f"identity {i}", d) for i, d in enumerate(self.identity)]
        return iam.decide(
            request,
            identity,
            read("resource", self.resource_policy),
            read("boundary", self.boundary),
            read("session", self.session),
        )


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    block: dict[str, Any] = {}
    for _ in range(draw(st.integers(0, 2))):
        operators = draw(st.sampled_from(list(_CONDITIONS)))
        keys, values = _CONDITIONS[operators]
        operator = draw(st.sampled_from(operators))
        key, wanted = draw(st.sampled_from(keys)), draw(st.lists(st.sampled_from(values), min_size=1, max_size=2))
        if operator != "Null" and draw(st.booleans()):
            operator += "IfExists"
        if operator.startswith("String") and draw(st.booleans()):
            operator = draw(st.sampled_from(["ForAnyValue:", "ForAllValues:"])) + operator
            key, wanted = "aws:TagKeys", draw(st.lists(st.sampled_from(["a", "b", "x", "*"]), min_size=1, max_size=2))
        block.setdefault(operator, {})[key] = wanted if len(wanted) > 1 or draw(st.booleans()) else wanted[0]
    return block


@st.composite
def statements(draw: st.DrawFn, *, kms: bool, principals: list[Any] | None) -> dict[str, Any]:
    actions = draw(st.lists(st.sampled_from(_KMS_ACTIONS if kms else _S3_ACTIONS), min_size=1, max_size=2))
    resources = draw(st.lists(st.sampled_from(_KMS_RESOURCES if kms else _S3_RESOURCES), min_size=1, max_size=2))
    found: dict[str, Any] = {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action"] * 5 + ["NotAction"])): actions,
        draw(st.sampled_from(["Resource"] * 5 + ["NotResource"])): resources,
    }
    if principals:
        found["Principal"] = draw(st.sampled_from(principals))
    if block := draw(conditions()):
        found["Condition"] = block
    return found


@st.composite
def documents(draw: st.DrawFn, *, kms: bool = False, principals: list[Any] | None = None) -> dict[str, Any]:
    found = draw(st.lists(statements(kms=kms, principals=principals), min_size=1, max_size=3))
    return {"Version": "2012-10-17", "Statement": found}


_PRINCIPALS: list[Any] = [
    "*",
    {"AWS": "*"},
    {"AWS": ROLE},
    {"AWS": SESSION},
    {"AWS": USER},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    {"AWS": ACCOUNT},
    {"AWS": f"arn:aws:iam::{OTHER}:root"},
    {"AWS": [USER, ROLE]},
    {"Service": "ecs-tasks.amazonaws.com"},
]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A request and its policies."""
    kms = draw(st.integers(0, 3)) == 0
    principal = draw(st.sampled_from([USER, SESSION]))
    keys = draw(st.lists(st.sampled_from(list(_CONTEXT)), unique=True))
    resource_policy = draw(documents(kms=kms, principals=_PRINCIPALS)) if kms or draw(st.booleans()) else None
    return Case(
        principal,
        draw(st.sampled_from(["kms:Decrypt", "kms:Encrypt"] if kms else ACTIONS)),
        KEY if kms else draw(st.sampled_from(OBJECTS)),
        {key: draw(st.sampled_from(_CONTEXT[key])) for key in keys},
        draw(st.lists(documents(kms=kms), max_size=2)),
        resource_policy,
        draw(documents(kms=kms)) if draw(st.integers(0, 3)) == 0 else None,
        draw(documents(kms=kms)) if principal == SESSION and draw(st.integers(0, 3)) == 0 else None,
    )
