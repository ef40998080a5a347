"""Samples of KMS."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample

ROOT = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*", "Resource": "*"}
LOGS = {"Effect": "Allow", "Principal": {"Service": "logs.amazonaws.com"}, "Action": "kms:Decrypt", "Resource": "*"}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def kms(account: Account) -> Any:
    return account.client("kms")


SAMPLES = {
    "key": Sample(
        "aws:kms/key:Key",
        {
            "description": "of the models",
            "policy": policy(ROOT),
            "enableKeyRotation": True,
            "deletionWindowInDays": 7,
            "tags": {"project": "p", "owner": "o"},
        },
        changes={
            "description": "of the data",
            "policy": policy(ROOT, LOGS),
            "enableKeyRotation": False,
            "isEnabled": False,
            "tags": {"project": "q", "environment": "e"},
        },
        behind={
            "description": lambda a, i, _: kms(a).update_key_description(KeyId=i, Description="x"),
            "policy": lambda a, i, _: kms(a).put_key_policy(KeyId=i, PolicyName="default", Policy=policy(ROOT, LOGS)),
            "enableKeyRotation": lambda a, i, _: kms(a).disable_key_rotation(KeyId=i),
            "isEnabled": lambda a, i, _: kms(a).disable_key(KeyId=i),
            "tags": lambda a, i, _: kms(a).tag_resource(KeyId=i, Tags=[{"TagKey": "added", "TagValue": "1"}]),
        },
        lost={
            "rotationPeriodInDays": (
                180,
                lambda a, i: kms(a).get_key_rotation_status(KeyId=i).get("RotationPeriodInDays"),
            )
        },
        steers=frozenset(["deletionWindowInDays", "bypassPolicyLockoutSafetyCheck"]),
    ),
    "signing-key": Sample(
        "aws:kms/key:Key",
        {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "RSA_2048", "multiRegion": True},
    ),
    "alias": Sample(
        "aws:kms/alias:Alias",
        {"name": "alias/models", "targetKeyId": Ref("key")},
        changes={"targetKeyId": Ref("signing-key", "arn")},
        behind={
            "targetKeyId": lambda a, i, _: kms(a).update_alias(
                AliasName=i, TargetKeyId=kms(a).create_key()["KeyMetadata"]["KeyId"]
            ),
        },
    ),
    "alias-without-name": Sample("aws:kms/alias:Alias", {"targetKeyId": Ref("key", "arn")}),
}
