"""Samples of IAM."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample


def iam(account: Account) -> Any:
    return account.client("iam")


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def grant(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "arn:aws:s3:::org-models/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"

SAMPLES = {
    "role": Sample(
        "aws:iam/role:Role",
        {
            "name": "server",
            "description": "Serves predictions",
            "assumeRolePolicy": trust("ecs-tasks.amazonaws.com"),
            "tags": {"project": "p", "owner": "o"},
        },
        changes={
            "description": "Trains",
            "assumeRolePolicy": trust("ec2.amazonaws.com"),
            "maxSessionDuration": 7200,
            "permissionsBoundary": READ_ONLY,
            "tags": {"project": "q"},
        },
        behind={
            "description": lambda a, i, _: iam(a).update_role(RoleName=i, Description="x", MaxSessionDuration=3600),
            "assumeRolePolicy": lambda a, i, _: iam(a).update_assume_role_policy(
                RoleName=i, PolicyDocument=trust("lambda.amazonaws.com")
            ),
            "maxSessionDuration": lambda a, i, outputs: iam(a).update_role(
                RoleName=i, Description=outputs["description"], MaxSessionDuration=7200
            ),
            "permissionsBoundary": lambda a, i, _: iam(a).put_role_permissions_boundary(
                RoleName=i, PermissionsBoundary=READ_ONLY
            ),
            "tags": lambda a, i, _: iam(a).untag_role(RoleName=i, TagKeys=["owner"]),
        },
        steers=frozenset(["forceDetachPolicies"]),
    ),
    "role-in-a-path": Sample(
        "aws:iam/role:Role",
        {
            "path": "/teams/",
            "assumeRolePolicy": trust("ec2.amazonaws.com"),
            "permissionsBoundary": READ_ONLY,
            "maxSessionDuration": 7200,
            "description": "With <<role.name>> beside it",
        },
        changes={"permissionsBoundary": None, "maxSessionDuration": None, "description": None},
    ),
    "role-policy": Sample(
        "aws:iam/rolePolicy:RolePolicy",
        {"name": "read-models", "role": Ref("role", "name"), "policy": grant("s3:GetObject", "s3:GetObjectVersion")},
        changes={"policy": grant("s3:PutObject")},
        behind={
            "policy": lambda a, i, outputs: iam(a).put_role_policy(
                RoleName=outputs["role"], PolicyName=outputs["name"], PolicyDocument=grant("s3:*")
            )
        },
    ),
    "managed-policy": Sample(
        "aws:iam/policy:Policy",
        {
            "name": "read-models",
            "path": "/teams/",
            "description": "Reads models",
            "policy": grant("s3:GetObject"),
            "tags": {"project": "p"},
        },
        changes={"policy": grant("s3:PutObject"), "tags": {"owner": "o"}},
        behind={
            "policy": lambda a, i, _: iam(a).create_policy_version(
                PolicyArn=i, PolicyDocument=grant("s3:*"), SetAsDefault=True
            ),
            "tags": lambda a, i, _: iam(a).tag_policy(PolicyArn=i, Tags=[{"Key": "added", "Value": "1"}]),
        },
    ),
    "attachment": Sample(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"role": Ref("role", "name"), "policyArn": Ref("managed-policy", "arn")},
    ),
}
