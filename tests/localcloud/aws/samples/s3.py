"""Samples of S3 buckets and their settings."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample


def s3(account: Account) -> Any:
    return account.client("s3")


def policy(bucket: str, *services: str) -> str:
    """Lets services write to a bucket, and denies what comes without TLS: in this order, as the emulator fails on a
    principal "*" when it looks for the logging service."""
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    secure = {"Bool": {"aws:SecureTransport": "false"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resources, "Condition": secure}
    writer = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": resources[1]}
    allow = [{**writer, "Principal": {"Service": service}} for service in services]
    return json.dumps({"Version": "2012-10-17", "Statement": [*allow, deny]})


LOGGING = "logging.s3.amazonaws.com"
WEBSITE = frozenset(["hostedZoneId", "websiteDomain", "websiteEndpoint"])


def lifecycle(days: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": "colder",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "transitions": [{"days": 30, "storageClass": "STANDARD_IA"}, {"days": days, "storageClass": "GLACIER"}],
            "noncurrentVersionExpiration": {"noncurrentDays": 90},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            **more,
        }
    ]


def change_lifecycle(account: Account, bucket: str, _: Any) -> None:
    rule = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    s3(account).put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})


def change_logging(account: Account, bucket: str, target: str, prefix: str) -> None:
    enabled = {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": prefix}}
    s3(account).put_bucket_logging(Bucket=bucket, BucketLoggingStatus=enabled)


def log_elsewhere(account: Account, bucket: str, _: Any) -> None:
    here = {"LocationConstraint": account.region}
    s3(account).create_bucket(Bucket="org-foreign", CreateBucketConfiguration=here)
    s3(account).put_bucket_policy(Bucket="org-foreign", Policy=policy("org-foreign", LOGGING))
    change_logging(account, bucket, "org-foreign", "data/")


def change_encryption(account: Account, bucket: str, _: Any) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3(account).put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def access_block(*switches: str) -> dict[str, bool]:
    return dict.fromkeys(switches, True)


def turn_off(name: str) -> Any:
    """Leaves all switches but one on."""
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    return lambda account, bucket, _: s3(account).put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={each: each != name for each in names}
    )


def lifecycle_rule(account: Account, bucket: str) -> Any:
    return s3(account).get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]


def filtered(**sizes: int) -> list[dict[str, Any]]:
    return lifecycle(90, filter=sizes)


def filtered_too(**sizes: int) -> list[dict[str, Any]]:
    return lifecycle(90, filter={"and": {"prefix": "raw/", "tags": {"class": "raw"}, **sizes}})


BUCKETS = {
    "bucket": Sample(
        "aws:s3/bucket:Bucket",
        {"bucket": "org-data", "forceDestroy": True, "tags": {"project": "p", "owner": "o"}},
        changes={"tags": {"project": "q"}},
        behind={"tags": lambda a, i, _: s3(a).put_bucket_tagging(Bucket=i, Tagging={"TagSet": []})},
        steers=frozenset(["forceDestroy"]),
        absent=WEBSITE,
    ),
    "locked-bucket": Sample("aws:s3/bucket:Bucket", {"bucket": "org-audit", "objectLockEnabled": True}, absent=WEBSITE),
    "Bucket-Without-Name": Sample("aws:s3/bucket:Bucket", {}, absent=WEBSITE),
    "bucket-of-a-prefix": Sample("aws:s3/bucket:Bucket", {"bucketPrefix": "org-"}, absent=WEBSITE),
    "bucket-elsewhere": Sample("aws:s3/bucket:Bucket", {"bucket": "org-copy", "region": "us-east-1"}, absent=WEBSITE),
    "logs-bucket": Sample("aws:s3/bucket:Bucket", {"bucket": "org-logs"}, absent=WEBSITE),
    "more-logs-bucket": Sample("aws:s3/bucket:Bucket", {"bucket": "org-more-logs"}, absent=WEBSITE),
}

REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"


def replication(storage_class: str, **more: Any) -> list[dict[str, Any]]:
    destination = {
        "bucket": "<<bucket-elsewhere.arn>>",
        "storageClass": storage_class,
        "encryptionConfiguration": {"replicaKmsKeyId": "<<key.arn>>"},
    }
    rule = {"id": "everything", "status": "Enabled", "priority": 1, "filter": {"prefix": ""}}
    return [{**rule, "destination": destination, "deleteMarkerReplication": {"status": "Disabled"}, **more}]


def replicate_less(account: Account, bucket: str, outputs: Any) -> None:
    live = s3(account).get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
    live["Rules"][0]["Status"] = "Disabled"
    s3(account).put_bucket_replication(Bucket=bucket, ReplicationConfiguration=live)


def replicate_as(account: Account, bucket: str, outputs: Any) -> None:
    live = s3(account).get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
    live["Role"] = "arn:aws:iam::123456789012:role/stranger"
    s3(account).put_bucket_replication(Bucket=bucket, ReplicationConfiguration=live)


def replicated(account: Account, bucket: str) -> Any:
    return s3(account).get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Rules"][0]


COPIES = {
    "replication": Sample(
        REPLICATION,
        {
            "bucket": Ref("versioning-of-a-locked-bucket", "bucket"),
            "role": Ref("role", "arn"),
            "rules": replication("STANDARD_IA"),
        },
        changes={"rules": replication("GLACIER_IR"), "role": Ref("role-in-a-path", "arn")},
        behind={"rules": replicate_less, "role": replicate_as},
        lost={
            "rules.filter": (
                replication("STANDARD", filter={"prefix": "people/"}),
                lambda a, i: {"prefix": replicated(a, i)["Filter"]["Prefix"]},
            ),
            "rules.sourceSelectionCriteria": (
                replication("STANDARD", sourceSelectionCriteria={"sseKmsEncryptedObjects": {"status": "Enabled"}}),
                lambda a, i: replicated(a, i).get("SourceSelectionCriteria"),
            ),
            "rules.deleteMarkerReplication": (
                replication("STANDARD", deleteMarkerReplication={"status": "Enabled"}),
                lambda a, i: {"status": replicated(a, i)["DeleteMarkerReplication"]["Status"]},
            ),
        },
    ),
    "notification": Sample(
        "aws:s3/bucketNotification:BucketNotification",
        {"bucket": Ref("bucket"), "eventbridge": True},
        lost={
            "eventbridge": (
                True,
                lambda a, i: "EventBridgeConfiguration" in s3(a).get_bucket_notification_configuration(Bucket=i),
            )
        },
        leaves="a configuration without notifications, which every bucket has",
    ),
}

SETTINGS = {
    "versioning": Sample(
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": Ref("bucket", "bucket"), "versioningConfiguration": {"status": "Enabled"}},
        changes={"versioningConfiguration": {"status": "Suspended"}},
        behind={
            "versioningConfiguration": lambda a, i, _: s3(a).put_bucket_versioning(
                Bucket=i, VersioningConfiguration={"Status": "Suspended"}
            )
        },
        leaves="versioning suspended",
    ),
    "versioning-with-mfa-delete-off": Sample(
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": Ref("bucket"), "versioningConfiguration": {"status": "Enabled", "mfaDelete": "Disabled"}},
        leaves="versioning suspended",
    ),
    "versioning-of-a-locked-bucket": Sample(
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": Ref("locked-bucket"), "versioningConfiguration": {"status": "Enabled"}},
        leaves="versioning, as S3 cannot suspend it here",
    ),
    "encryption": Sample(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {
            "bucket": Ref("bucket"),
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {
                        "sseAlgorithm": "aws:kms",
                        "kmsMasterKeyId": Ref("key", "arn"),
                    },
                    "bucketKeyEnabled": True,
                }
            ],
        },
        changes={"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        behind={"rules": change_encryption},
        lost={
            "rules.blockedEncryptionTypes": (
                [
                    {
                        "applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"},
                        "blockedEncryptionTypes": ["SSE-C"],
                    }
                ],
                lambda a, i: (
                    s3(a)
                    .get_bucket_encryption(Bucket=i)["ServerSideEncryptionConfiguration"]["Rules"][0]
                    .get("BlockedEncryptionTypes", {})
                    .get("EncryptionType")
                ),
            )
        },
    ),
    "access-block": Sample(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {
            "bucket": Ref("bucket"),
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        changes={
            "blockPublicAcls": False,
            "blockPublicPolicy": None,
            "ignorePublicAcls": False,
            "restrictPublicBuckets": False,
        },
        behind={
            "blockPublicAcls": turn_off("BlockPublicAcls"),
            "blockPublicPolicy": turn_off("BlockPublicPolicy"),
            "ignorePublicAcls": turn_off("IgnorePublicAcls"),
            "restrictPublicBuckets": turn_off("RestrictPublicBuckets"),
        },
        steers=frozenset(["skipDestroy"]),
    ),
    "ownership": Sample(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {"bucket": Ref("bucket"), "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        changes={"rule": {"objectOwnership": "BucketOwnerPreferred"}},
        behind={
            "rule": lambda a, i, _: s3(a).put_bucket_ownership_controls(
                Bucket=i, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
            )
        },
    ),
    "policy": Sample(
        "aws:s3/bucketPolicy:BucketPolicy",
        {"bucket": Ref("logs-bucket"), "policy": policy("org-logs", LOGGING)},
        changes={"policy": policy("org-logs")},
        behind={
            "policy": lambda a, i, _: s3(a).put_bucket_policy(Bucket=i, Policy=policy("org-logs", "x.amazonaws.com"))
        },
    ),
    "policy-for-more-logs": Sample(
        "aws:s3/bucketPolicy:BucketPolicy",
        {"bucket": Ref("more-logs-bucket"), "policy": policy("org-more-logs", LOGGING)},
    ),
    "lifecycle": Sample(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {"bucket": Ref("bucket"), "rules": lifecycle(90)},
        changes={"rules": lifecycle(180, expiration={"days": 400})},
        behind={"rules": change_lifecycle},
        lost={
            "transitionDefaultMinimumObjectSize": (
                "varies_by_storage_class",
                lambda a, i: s3(a).get_bucket_lifecycle_configuration(Bucket=i)["TransitionDefaultMinimumObjectSize"],
            ),
            "rules.filter.objectSizeGreaterThan": (
                filtered(objectSizeGreaterThan=100),
                lambda a, i: lifecycle_rule(a, i)["Filter"].get("ObjectSizeGreaterThan"),
            ),
            "rules.filter.objectSizeLessThan": (
                filtered(objectSizeLessThan=100),
                lambda a, i: lifecycle_rule(a, i)["Filter"].get("ObjectSizeLessThan"),
            ),
            "rules.filter.and.objectSizeGreaterThan": (
                filtered_too(objectSizeGreaterThan=100),
                lambda a, i: lifecycle_rule(a, i)["Filter"]["And"].get("ObjectSizeGreaterThan"),
            ),
            "rules.filter.and.objectSizeLessThan": (
                filtered_too(objectSizeLessThan=100),
                lambda a, i: lifecycle_rule(a, i)["Filter"]["And"].get("ObjectSizeLessThan"),
            ),
            "rules.noncurrentVersionExpiration.newerNoncurrentVersions": (
                lifecycle(90, noncurrentVersionExpiration={"noncurrentDays": 90, "newerNoncurrentVersions": 3}),
                lambda a, i: lifecycle_rule(a, i)["NoncurrentVersionExpiration"].get("NewerNoncurrentVersions"),
            ),
        },
    ),
    "lifecycle-of-every-kind": Sample(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {
            "bucket": Ref("bucket"),
            "rules": [
                *filtered_too(objectSizeGreaterThan=100, objectSizeLessThan=1000),
                {
                    "id": "tag",
                    "status": "Enabled",
                    "filter": {"tag": {"key": "k", "value": "v"}},
                    "expiration": {"days": 5},
                },
                {"id": "date", "status": "Disabled", "expiration": {"date": "2030-01-01T00:00:00Z"}, "filter": {}},
                {
                    "id": "marks",
                    "status": "Enabled",
                    "filter": {"prefix": "lake/"},
                    "expiration": {"expiredObjectDeleteMarker": True},
                    "noncurrentVersionTransitions": [
                        {"noncurrentDays": 30, "newerNoncurrentVersions": 2, "storageClass": "GLACIER"}
                    ],
                },
            ],
        },
    ),
    "logging": Sample(
        "aws:s3/bucketLogging:BucketLogging",
        {
            "bucket": Ref("bucket"),
            "targetBucket": Ref("policy", "bucket"),
            "targetPrefix": "data/",
        },
        changes={"targetBucket": Ref("policy-for-more-logs", "bucket"), "targetPrefix": "other/"},
        behind={
            "targetBucket": log_elsewhere,
            "targetPrefix": lambda a, i, outputs: change_logging(a, i, outputs["targetBucket"], "else/"),
        },
    ),
    "object-lock": Sample(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        {
            "bucket": Ref("locked-bucket"),
            "objectLockEnabled": "Enabled",
            "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 30}},
        },
        changes={"rule": {"defaultRetention": {"mode": "COMPLIANCE", "years": 1}}},
        behind={
            "rule": lambda a, i, _: s3(a).put_object_lock_configuration(
                Bucket=i,
                ObjectLockConfiguration={
                    "ObjectLockEnabled": "Enabled",
                    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
                },
            )
        },
    ),
}

SAMPLES = {**BUCKETS, **COPIES, **SETTINGS}
