"""What every bucket (S3) is, a store's own or its copy in a second region: closed, encrypted, kept for its time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.aws.names import BUCKET, Account, trail_arn
from infra.aws.policy import Statement, allow, document
from infra.context import Context
from infra.shape import Purpose

ABANDONED_UPLOAD_DAYS = 7
ACCESS_LOGS = "s3/"  # where in the bucket of the logs the other buckets' access logs lie


@dataclass(frozen=True)
class Ages:
    """Days until an object moves to a colder class, until it goes, and until an overwritten version goes."""

    colder: dict[str, int]
    gone: int | None
    overwritten_gone: int


AGES: dict[Purpose, Ages] = {
    "data": Ages({"STANDARD_IA": 90}, None, 90),
    "models": Ages({"STANDARD_IA": 90}, None, 365),
    "logs": Ages({"STANDARD_IA": 30, "GLACIER_IR": 90}, 400, 30),
    "audit": Ages({"STANDARD_IA": 30, "GLACIER_IR": 90}, 2555, 30),  # seven years
    "state": Ages({}, None, 365),
}


@dataclass(frozen=True)
class Site:
    """A bucket in the making: its name in the program, what it is for, whose key it uses, and whose child it is.

    With a `provider` it lies where that one looks, not where its parent lies.
    """

    name: str
    purpose: Purpose
    key: pulumi.Input[str]
    account: Account
    ctx: Context
    parent: pulumi.Resource
    locked_days: int | None = None
    provider: pulumi.ProviderResource | None = None
    kept_days: Mapping[str, int] = field(default_factory=dict)

    def opts(self, *after: pulumi.Resource, protect: bool | None = None) -> pulumi.ResourceOptions:
        """The options of its parts."""
        return pulumi.ResourceOptions(
            parent=self.parent, provider=self.provider, depends_on=list(after), protect=protect
        )


def bucket(site: Site) -> aws.s3.Bucket:
    """The bucket alone. Only a disposable environment's is emptied when it is destroyed."""
    return aws.s3.Bucket(
        site.name,
        bucket=site.ctx.unique_name(site.name, BUCKET),
        force_destroy=site.ctx.disposable,
        object_lock_enabled=True if site.locked_days else None,
        tags=site.ctx.tags,
        opts=site.opts(protect=not site.ctx.disposable),
    )


def close(site: Site, made: aws.s3.Bucket) -> aws.s3.BucketPolicy:
    """Who may come in at all: nobody from outside, nobody in clear, nobody around the key."""
    aws.s3.BucketPublicAccessBlock(
        site.name,
        bucket=made.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=site.opts(),
    )
    aws.s3.BucketOwnershipControls(
        site.name, bucket=made.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=site.opts()
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        site.name,
        bucket=made.bucket,
        rules=[
            {
                "apply_server_side_encryption_by_default": {
                    "sse_algorithm": "aws:kms",
                    "kms_master_key_id": site.key,
                },
                "bucket_key_enabled": True,
            }
        ],
        opts=site.opts(),
    )
    return aws.s3.BucketPolicy(
        site.name, bucket=made.bucket, policy=document(*_policy(site, made.arn)), opts=site.opts()
    )


def keep(site: Site, name: pulumi.Input[str]) -> aws.s3.BucketVersioning:
    """What becomes of objects in time. With `locked_days` nobody can change or delete one before that."""
    versioning = aws.s3.BucketVersioning(
        site.name, bucket=name, versioning_configuration={"status": "Enabled"}, opts=site.opts()
    )
    ages = AGES[site.purpose]
    rule: aws.s3.BucketLifecycleConfigurationRuleArgsDict = {
        "id": "age",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "noncurrent_version_expiration": {"noncurrent_days": ages.overwritten_gone},
        "abort_incomplete_multipart_upload": {"days_after_initiation": ABANDONED_UPLOAD_DAYS},
    }
    if ages.colder:
        rule["transitions"] = [{"days": days, "storage_class": to} for to, days in ages.colder.items()]
    if ages.gone:
        rule["expiration"] = {"days": ages.gone}
    rules = [rule, *(each for prefix, days in sorted(site.kept_days.items()) for each in _kept(prefix, days))]
    aws.s3.BucketLifecycleConfiguration(site.name, bucket=name, rules=rules, opts=site.opts(versioning))
    if site.locked_days:
        aws.s3.BucketObjectLockConfiguration(
            site.name,
            bucket=name,
            rule={
                "default_retention": {
                    "mode": "GOVERNANCE" if site.ctx.disposable else "COMPLIANCE",
                    "days": site.locked_days,
                }
            },
            opts=site.opts(versioning),
        )
    return versioning


def _kept(prefix: str, days: int) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    """What lies under the prefix goes after so many days, what it leaves (a version, a mark) in the days after. Of two
    rules for one version S3 follows the one that removes it first."""
    name = prefix.strip("/").replace("/", "-")
    return [
        {
            "id": f"kept-{name}",
            "status": "Enabled",
            "filter": {"prefix": prefix},
            "expiration": {"days": days},
            "noncurrent_version_expiration": {"noncurrent_days": 1},
        },
        {
            "id": f"marks-{name}",  # in a rule of its own, as S3 takes it beside no number of days
            "status": "Enabled",
            "filter": {"prefix": prefix},
            "expiration": {"expired_object_delete_marker": True},
        },
    ]


def _policy(site: Site, arn: pulumi.Output[str]) -> list[Statement]:
    """Whom the bucket refuses whatever else they may, and which services of AWS write to it."""
    objects = pulumi.Output.concat(arn, "/*")
    refused: list[Statement] = [
        {
            "Sid": "DenyPlainTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",  # denying everything has no narrower form
            "Resource": [arn, objects],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            # A request that names its encryption must name this key; one that names none gets it.
            "Sid": "DenyOtherEncryption",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:PutObject"],
            "Resource": [objects],
            "Condition": {
                "Null": {"s3:x-amz-server-side-encryption": "false"},
                "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": site.key},
            },
        },
    ]
    if site.name == "logs":
        return [*refused, _access_logs(site.account, arn)]
    return [*refused, *_trail(site, arn)] if site.name == "audit" else refused


def _access_logs(account: Account, arn: pulumi.Output[str]) -> Statement:
    return allow(
        ["s3:PutObject"],
        [pulumi.Output.concat(arn, "/", ACCESS_LOGS, "*")],
        principal={"Service": "logging.s3.amazonaws.com"},
        when={"StringEquals": {"aws:SourceAccount": account.id}},
        sid="AccessLogsOfThisAccount",
    )


def _trail(site: Site, arn: pulumi.Output[str]) -> list[Statement]:
    """The one trail of this environment writes here, and asks first whose bucket it is."""
    trail = trail_arn(site.account, site.ctx)
    writer = {"Service": "cloudtrail.amazonaws.com"}
    return [
        allow(
            ["s3:GetBucketAcl"],
            [arn],
            principal=writer,
            when={"StringEquals": {"aws:SourceArn": trail}},
            sid="TrailOfThisEnvironmentLooks",
        ),
        allow(
            ["s3:PutObject"],
            [pulumi.Output.concat(arn, "/AWSLogs/", site.account.id, "/*")],
            principal=writer,
            when={"StringEquals": {"aws:SourceArn": trail, "s3:x-amz-acl": "bucket-owner-full-control"}},
            sid="TrailOfThisEnvironmentWrites",
        ),
    ]
