"""S3: buckets. What is configured on a bucket is in bucket_settings.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.account import Account
from localcloud.aws.calls import ProviderError, if_found, tag_changes, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "NoSuchBucket"


def create(account: Account, inputs: Properties, tags: Tags) -> str:
    """Returns the bucket's name. Tags follow in a second call: the emulator loses those of CreateBucket."""
    s3, name = account.client("s3"), str(inputs["bucket"])
    arguments: dict[str, Any] = {"Bucket": name}
    if inputs.get("objectLockEnabled"):
        arguments["ObjectLockEnabledForBucket"] = True
    if account.region != "us-east-1":
        arguments["CreateBucketConfiguration"] = {"LocationConstraint": account.region}
    elif find(account, inputs):
        # there, and only there, creating one's own bucket again succeeds and hides that it exists
        raise ProviderError(f"the bucket {name} exists already. Choose another name, or import it.")
    s3.create_bucket(**arguments)
    if tags:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(tags)})
    return name


def read(account: Account, name: str, inputs: Properties) -> Properties | None:
    """The object lock is asked for only where it is declared, or nothing is known of the bucket yet."""
    tags = _tags(account, name)
    if tags is None:
        return None
    live: Properties = {
        "bucket": name,
        "arn": f"arn:{account.partition}:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegion": account.region,
        "bucketRegionalDomainName": f"{name}.s3.{account.region}.amazonaws.com",
        "tags": tags,
    }
    if inputs.get("objectLockEnabled") or "bucket" not in inputs:
        get = account.client("s3").get_object_lock_configuration
        lock = if_found(get, "ObjectLockConfigurationNotFoundError", Bucket=name)
        live["objectLockEnabled"] = lock is not None
    return live


def _tags(account: Account, name: str) -> Tags | None:
    try:
        answer = if_found(account.client("s3").get_bucket_tagging, GONE, Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return {}
    return None if answer is None else tag_map(answer["TagSet"])


def update(account: Account, name: str, old: Properties, new: Properties) -> None:
    """Tags; S3 replaces the whole set, so what others wrote is written again."""
    added, removed = tag_changes(old, new)
    if not added and not removed:
        return
    tags = {key: text for key, text in (_tags(account, name) or {}).items() if key not in removed} | added
    if tags:
        account.client("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(tags)})
    else:
        account.client("s3").delete_bucket_tagging(Bucket=name)


def delete(account: Account, name: str, inputs: Properties) -> None:
    """With forceDestroy, all versions and delete markers go first, those under a governance lock too."""
    s3 = account.client("s3")
    try:
        if inputs.get("forceDestroy"):
            _empty(s3, name, locked=bool(inputs.get("objectLockEnabled")))
        s3.delete_bucket(Bucket=name)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "BucketNotEmpty":
            raise ProviderError(
                f"the bucket {name} still holds objects. Empty it, or set forceDestroy and apply that first."
            ) from None
        if code != GONE:
            raise


def _empty(s3: Any, name: str, *, locked: bool) -> None:
    """Page by page from the start: a marker in the midst of what is being deleted skips some."""
    bypass = {"BypassGovernanceRetention": True} if locked else {}
    before: list[Properties] = []
    while objects := _versions(s3, name):
        errors = s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True}, **bypass).get("Errors")
        if objects == before and not errors:
            errors = [{"Key": objects[0]["Key"], "Message": "deleted, and still there"}]
        if errors:
            first = errors[0]
            raise ProviderError(
                f"{len(errors)} object versions of the bucket {name} cannot be deleted, "
                f"the first is {first['Key']}: {first.get('Message') or first.get('Code')}."
            )
        before = objects


def _versions(s3: Any, name: str) -> list[Properties]:
    """Up to 1,000 versions and delete markers."""
    page = s3.list_object_versions(Bucket=name)
    rows = page.get("Versions", []) + page.get("DeleteMarkers", [])
    return [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows]


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """Every bucket of the account."""
    for bucket in account.client("s3").list_buckets()["Buckets"]:
        yield bucket["Name"], {}


def find(account: Account, inputs: Properties) -> str | None:
    """By its name, where the account owns it."""
    return inputs["bucket"] if if_found(account.client("s3").head_bucket, "404", Bucket=inputs["bucket"]) else None


KINDS = (
    Kind(
        "aws:s3/bucket:Bucket",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        find=find,
        read_back=frozenset(["bucket", "objectLockEnabled", "tags"]),
        kept={"forceDestroy": "steers the deletion; no cloud reports it"},
        replaces=frozenset(["bucket", "objectLockEnabled"]),
        name_input="bucket",
        auto_name=str.lower,
    ),
)
