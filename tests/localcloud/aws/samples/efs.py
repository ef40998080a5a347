"""Samples of EFS."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS


def efs(account: Account) -> Any:
    return account.client("efs")


def policy(effect: str) -> str:
    statement = {"Effect": effect, "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:ClientMount"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def tag(account: Account, made: str, _: Any) -> None:
    efs(account).tag_resource(ResourceId=made, Tags=[{"Key": "added", "Value": "1"}])


SAMPLES = {
    "file-system": Sample(
        "aws:efs/fileSystem:FileSystem",
        {
            "creationToken": "shared",
            "encrypted": True,
            "kmsKeyId": Ref("key", "arn"),
            "throughputMode": "elastic",
            "performanceMode": "generalPurpose",
            "lifecyclePolicies": [
                {"transitionToIa": "AFTER_30_DAYS"},
                {"transitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
            ],
            "tags": TAGS,
        },
        changes={"lifecyclePolicies": [{"transitionToArchive": "AFTER_90_DAYS"}], "tags": OTHER_TAGS},
        behind={
            "lifecyclePolicies": lambda a, i, _: efs(a).put_lifecycle_configuration(
                FileSystemId=i, LifecyclePolicies=[]
            ),
            "tags": tag,
        },
        absent=frozenset({"availabilityZoneId"}),
    ),
    "provisioned-file-system": Sample(
        "aws:efs/fileSystem:FileSystem",
        {"throughputMode": "provisioned", "provisionedThroughputInMibps": 10},
        absent=frozenset({"availabilityZoneId"}),
    ),
    "mount-target": Sample(
        "aws:efs/mountTarget:MountTarget",
        {"fileSystemId": Ref("file-system"), "subnetId": Ref("subnet"), "securityGroups": [Ref("group")]},
        changes={"securityGroups": [Ref("other-group")]},
        behind={
            "securityGroups": lambda a, i, outputs: efs(a).modify_mount_target_security_groups(
                MountTargetId=i, SecurityGroups=[]
            )
        },
    ),
    "mount-target-with-address": Sample(
        "aws:efs/mountTarget:MountTarget",
        {"fileSystemId": Ref("file-system"), "subnetId": Ref("subnet"), "ipAddress": "10.0.0.77"},
    ),
    "access-point": Sample(
        "aws:efs/accessPoint:AccessPoint",
        {
            "fileSystemId": Ref("file-system"),
            "posixUser": {"uid": 10001, "gid": 10001},
            "rootDirectory": {
                "path": "/shared",
                "creationInfo": {"ownerUid": 10001, "ownerGid": 10001, "permissions": "0750"},
            },
            "tags": TAGS,
        },
        changes={"tags": OTHER_TAGS},
        behind={"tags": tag},
    ),
    "file-system-policy": Sample(
        "aws:efs/fileSystemPolicy:FileSystemPolicy",
        {"fileSystemId": Ref("file-system"), "policy": policy("Deny")},
        changes={"policy": policy("Allow")},
        behind={"policy": lambda a, i, _: efs(a).put_file_system_policy(FileSystemId=i, Policy=policy("Allow"))},
        steers=frozenset({"bypassPolicyLockoutSafetyCheck"}),
    ),
    "backups": Sample(
        "aws:efs/backupPolicy:BackupPolicy",
        {"fileSystemId": Ref("file-system"), "backupPolicy": {"status": "ENABLED"}},
        changes={"backupPolicy": {"status": "DISABLED"}},
        leaves="the record of the state",
        lacking=lambda a, i: efs(a).put_backup_policy(FileSystemId=i, BackupPolicy={"Status": "ENABLED"}),
    ),
}
