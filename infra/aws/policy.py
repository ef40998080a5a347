"""IAM policy documents, written as data, and their attachment to an identity as a grant."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.context import Limit, joined
from infra.shape import Identity

Statement = dict[str, Any]
Condition = Mapping[str, Mapping[str, Any]]
INLINE_POLICY = Limit(128)


def allow(
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]] | None,
    *,
    principal: Mapping[str, Any] | None = None,
    when: Condition | None = None,
    sid: str = "",
) -> Statement:
    """A statement that allows; `resources` is None in a trust policy, which has none."""
    statement: Statement = {"Sid": sid} if sid else {}
    statement |= {"Effect": "Allow"}
    statement |= {"Principal": principal} if principal else {}
    statement |= {"Action": list(actions)}
    statement |= {"Resource": list(resources)} if resources is not None else {}
    return statement | ({"Condition": when} if when else {})


def document(*statements: Statement) -> pulumi.Output[str]:
    """The statements as a policy document in JSON."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def grant(
    identity: Identity, verb: str, guarded: str, statements: Sequence[Statement], *, parent: pulumi.Resource
) -> aws.iam.RolePolicy:
    """Attach what a verb allows. One policy a grant: grants need no order and do not know of each other."""
    name = joined((verb, guarded), INLINE_POLICY)
    return aws.iam.RolePolicy(
        f"{identity.workload}-{name}",
        name=name,
        role=identity.id,
        policy=document(*statements),
        opts=pulumi.ResourceOptions(parent=parent),
    )
