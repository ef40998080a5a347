"""S3: what is configured on a bucket. Each setting is a resource of its own, whose id is the bucket's name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.account import Account
from localcloud.aws.calls import if_found, tag_list, tag_map, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags

Get = Callable[[Any, str, Properties], Properties | None]
Put = Callable[[Any, str, Properties], Any]

SPELLING = {
    "sseAlgorithm": "SSEAlgorithm",
    "kmsMasterKeyId": "KMSMasterKeyID",
    "id": "ID",
}
REPLICA_SPELLING = {"id": "ID", "replicaKmsKeyId": "ReplicaKmsKeyID"}
REPLICA_FROM_CLOUD = {cloud: wire for wire, cloud in REPLICA_SPELLING.items()}
FROM_CLOUD = {cloud: wire for wire, cloud in SPELLING.items()}


def setting(token: str, code: str, get: Get, put: Put, delete: Put, **marks: Any) -> Kind:
    """The kind of a setting.

    get: (s3, bucket, inputs) → its properties, or None where there is none; may raise the error `code` for that.
    put, delete: (s3, bucket, inputs); deleting what is gone already may raise `code`.
    """

    def create(account: Account, inputs: Properties, _: Tags) -> str:
        put(account.client("s3"), inputs["bucket"], inputs)
        return str(inputs["bucket"])

    def read(account: Account, bucket: str, inputs: Properties) -> Properties | None:
        live = if_found(lambda: get(account.client("s3"), bucket, inputs), "NoSuchBucket", code)
        return None if live is None else {"bucket": bucket, **live}

    def update(account: Account, bucket: str, _: Properties, new: Properties) -> None:
        put(account.client("s3"), bucket, new)

    def remove(account: Account, bucket: str, inputs: Properties) -> None:
        if_found(lambda: delete(account.client("s3"), bucket, inputs), "NoSuchBucket", code)

    def find(account: Account, inputs: Properties) -> str | None:
        return inputs["bucket"] if read(account, inputs["bucket"], inputs) else None

    return Kind(
        token,
        create=create,
        read=read,
        update=update,
        delete=remove,
        find=find,
        read_back=frozenset(["bucket", *marks.pop("read_back")]),
        replaces=frozenset(["bucket", *marks.pop("replaces", ())]),
        **marks,
    )


def get_versioning(s3: Any, bucket: str, inputs: Properties) -> Properties | None:
    """A bucket that never was versioned has none; MFA delete that never was on is reported only if declared."""
    answer = s3.get_bucket_versioning(Bucket=bucket)
    if "Status" not in answer:
        return None
    configuration = {"status": answer["Status"]}
    if "MFADelete" in answer or "mfaDelete" in inputs.get("versioningConfiguration", {}):
        configuration["mfaDelete"] = answer.get("MFADelete", "Disabled")
    return {"versioningConfiguration": configuration}


def put_versioning(s3: Any, bucket: str, inputs: Properties) -> None:
    """Writes status and MFA delete."""
    configuration = to_cloud(inputs["versioningConfiguration"], {"mfaDelete": "MFADelete"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=configuration)


def suspend_versioning(s3: Any, bucket: str, _: Properties) -> None:
    """All that S3 has for it; and with an object lock not even that, then it ends with the bucket."""
    try:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidBucketState":
            raise


def get_encryption(s3: Any, bucket: str, _: Properties) -> Properties:
    """The rules by which objects are encrypted by default."""
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return {"rules": [_encryption_rule(rule) for rule in to_wire(rules, FROM_CLOUD)]}


def _encryption_rule(rule: Properties) -> Properties:
    blocked = rule.pop("blockedEncryptionTypes", None)
    return {**rule, "blockedEncryptionTypes": blocked["encryptionType"]} if blocked else rule


def put_encryption(s3: Any, bucket: str, inputs: Properties) -> None:
    """Writes all rules."""
    rules = to_cloud(inputs["rules"], SPELLING)
    for rule in rules:
        if "BlockedEncryptionTypes" in rule:
            rule["BlockedEncryptionTypes"] = {"EncryptionType": rule["BlockedEncryptionTypes"]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


ACCESS_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def get_access_block(s3: Any, bucket: str, _: Properties) -> Properties:
    """The four switches."""
    return dict(to_wire(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]))


def put_access_block(s3: Any, bucket: str, inputs: Properties) -> None:
    """Writes all four switches; one that is left out is off."""
    switches = to_cloud({name: bool(inputs.get(name)) for name in ACCESS_BLOCKS})
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=switches)


def delete_access_block(s3: Any, bucket: str, inputs: Properties) -> None:
    """Leaves it where `skipDestroy` says so."""
    if not inputs.get("skipDestroy"):
        s3.delete_public_access_block(Bucket=bucket)


def get_ownership(s3: Any, bucket: str, _: Properties) -> Properties:
    """S3 knows a list of exactly one rule."""
    rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    return {"rule": to_wire(rules[0])}


def put_ownership(s3: Any, bucket: str, inputs: Properties) -> None:
    """Writes the rule."""
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [to_cloud(inputs["rule"])]})


def get_logging(s3: Any, bucket: str, _: Properties) -> Properties | None:
    """S3 answers for every bucket; one that is not logged has no target."""
    enabled = s3.get_bucket_logging(Bucket=bucket).get("LoggingEnabled")
    return {"targetBucket": enabled["TargetBucket"], "targetPrefix": enabled["TargetPrefix"]} if enabled else None


def put_logging(s3: Any, bucket: str, inputs: Properties) -> None:
    """The target bucket's policy must let the logging service write already."""
    target = {"TargetBucket": inputs["targetBucket"], "TargetPrefix": inputs["targetPrefix"]}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": target})


def get_lock(s3: Any, bucket: str, inputs: Properties) -> Properties | None:
    """A lock without a default rule, where one is declared, counts as gone: the lock itself never goes."""
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    if "Rule" not in lock:
        return None if "rule" in inputs else {"objectLockEnabled": lock["ObjectLockEnabled"]}
    retention = {name: value for name, value in lock["Rule"]["DefaultRetention"].items() if value}
    return {"objectLockEnabled": lock["ObjectLockEnabled"], "rule": {"defaultRetention": to_wire(retention)}}


def put_lock(s3: Any, bucket: str, inputs: Properties) -> None:
    """Writes the default rule."""
    lock = {"ObjectLockEnabled": inputs["objectLockEnabled"]}
    if "rule" in inputs:
        lock["Rule"] = to_cloud(inputs["rule"])
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=lock)


def unlock(s3: Any, bucket: str, _: Properties) -> None:
    """Takes the default rule away."""
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})


def get_lifecycle(s3: Any, bucket: str, _: Properties) -> Properties:
    """The rules in Pulumi's form: tags as a map, dates as text."""
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    return {"rules": [_lifecycle_rule(rule) for rule in rules]}


def _lifecycle_rule(rule: Properties) -> Properties:
    wire: Properties = to_wire(rule, FROM_CLOUD)
    every = wire.get("filter", {}).get("and")
    if every and "Tags" in rule["Filter"]["And"]:
        every["tags"] = tag_map(rule["Filter"]["And"]["Tags"])
    for part in (wire.get("expiration", {}), *wire.get("transitions", [])):
        if isinstance(part.get("date"), datetime):
            part["date"] = part["date"].astimezone().strftime("%Y-%m-%dT%H:%M:%SZ")
    return wire


def put_lifecycle(s3: Any, bucket: str, inputs: Properties) -> None:
    """Writes all rules. A rule without a filter is for every object."""
    rules = []
    for rule in inputs["rules"]:
        cloud = {"Filter": {"Prefix": ""}, **to_cloud(rule, SPELLING)}
        tags = rule.get("filter", {}).get("and", {}).get("tags")
        if tags is not None:
            cloud["Filter"]["And"]["Tags"] = tag_list(tags)
        rules.append(cloud)
    smallest = inputs.get("transitionDefaultMinimumObjectSize")
    more = {"TransitionDefaultMinimumObjectSize": smallest} if smallest else {}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules}, **more)


def get_replication(s3: Any, bucket: str, _: Properties) -> Properties:
    """The role that copies, and its rules."""
    live = s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
    return {"role": live["Role"], "rules": to_wire(live["Rules"], REPLICA_FROM_CLOUD)}


def put_replication(s3: Any, bucket: str, inputs: Properties) -> None:
    """Writes all rules. Both buckets must be versioned already."""
    cloud = {"Role": inputs["role"], "Rules": to_cloud(inputs["rules"], REPLICA_SPELLING)}
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration=cloud)


def get_notification(s3: Any, bucket: str, _: Properties) -> Properties:
    """S3 answers for every bucket."""
    s3.get_bucket_notification_configuration(Bucket=bucket)
    return {}


def put_notification(s3: Any, bucket: str, inputs: Properties) -> None:
    """Writes the whole configuration."""
    cloud: Properties = {"EventBridgeConfiguration": {}} if inputs.get("eventbridge") else {}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=cloud)


KINDS = (
    setting(
        "aws:s3/bucketVersioning:BucketVersioning",
        "",
        get_versioning,
        put_versioning,
        suspend_versioning,
        read_back=["versioningConfiguration"],
    ),
    setting(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
        get_encryption,
        put_encryption,
        lambda s3, bucket, _: s3.delete_bucket_encryption(Bucket=bucket),
        read_back=["rules"],
        kept={"rules.blockedEncryptionTypes": "lost by PutBucketEncryption"},
    ),
    setting(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "NoSuchPublicAccessBlockConfiguration",
        get_access_block,
        put_access_block,
        delete_access_block,
        read_back=ACCESS_BLOCKS,
        kept={"skipDestroy": "steers the deletion; no cloud reports it"},
    ),
    setting(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "OwnershipControlsNotFoundError",
        get_ownership,
        put_ownership,
        lambda s3, bucket, _: s3.delete_bucket_ownership_controls(Bucket=bucket),
        read_back=["rule"],
    ),
    setting(
        "aws:s3/bucketPolicy:BucketPolicy",
        "NoSuchBucketPolicy",
        lambda s3, bucket, _: {"policy": s3.get_bucket_policy(Bucket=bucket)["Policy"]},
        lambda s3, bucket, inputs: s3.put_bucket_policy(Bucket=bucket, Policy=inputs["policy"]),
        lambda s3, bucket, _: s3.delete_bucket_policy(Bucket=bucket),
        read_back=["policy"],
    ),
    setting(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "NoSuchLifecycleConfiguration",
        get_lifecycle,
        put_lifecycle,
        lambda s3, bucket, _: s3.delete_bucket_lifecycle(Bucket=bucket),
        read_back=["rules"],
        kept={
            "transitionDefaultMinimumObjectSize": "always all_storage_classes_128K",
            "rules.filter.objectSizeGreaterThan": "lost by PutBucketLifecycleConfiguration",
            "rules.filter.objectSizeLessThan": "lost by PutBucketLifecycleConfiguration",
            "rules.filter.and.objectSizeGreaterThan": "lost by PutBucketLifecycleConfiguration",
            "rules.filter.and.objectSizeLessThan": "lost by PutBucketLifecycleConfiguration",
            "rules.noncurrentVersionExpiration.newerNoncurrentVersions": "lost by PutBucketLifecycleConfiguration",
        },
        unordered=frozenset(["rules", "rules.transitions", "rules.noncurrentVersionTransitions"]),
    ),
    setting(
        "aws:s3/bucketLogging:BucketLogging",
        "",
        get_logging,
        put_logging,
        lambda s3, bucket, _: s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={}),
        read_back=["targetBucket", "targetPrefix"],
    ),
    setting(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "ObjectLockConfigurationNotFoundError",
        get_lock,
        put_lock,
        unlock,
        read_back=["objectLockEnabled", "rule"],
        replaces=["objectLockEnabled"],
        defaults={"objectLockEnabled": "Enabled"},
    ),
    setting(
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        "ReplicationConfigurationNotFoundError",
        get_replication,
        put_replication,
        lambda s3, bucket, _: s3.delete_bucket_replication(Bucket=bucket),
        read_back=["role", "rules"],
        kept={
            "rules.filter": "always an empty prefix",
            "rules.sourceSelectionCriteria": "lost by PutBucketReplication",
            "rules.deleteMarkerReplication": "always Disabled",
        },
        unordered=frozenset(["rules"]),
    ),
    setting(
        "aws:s3/bucketNotification:BucketNotification",
        "",
        get_notification,
        put_notification,
        lambda s3, bucket, _: put_notification(s3, bucket, {}),
        read_back=[],
        kept={"eventbridge": "lost by PutBucketNotificationConfiguration"},
    ),
)
