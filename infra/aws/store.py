"""Buckets (S3), each with a purpose."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.names import BUCKET, Account
from infra.aws.policy import Statement, allow, document, grant
from infra.context import Context
from infra.shape import Identity, Key, Purpose, StoreArgs, Unsupported

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
}


class Store(pulumi.ComponentResource):
    """A private bucket: versioned, encrypted with a customer-managed key, reached over TLS alone.

    Old versions move to colder classes and go in the end. With `locked_days` nobody can change or delete
    an object before its time. Only a disposable environment's bucket is emptied when it is destroyed.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self,
        purpose: Purpose,
        args: StoreArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Store", purpose, None, opts)
        if purpose == "logs" and args.locked_days:
            raise Unsupported(
                "aws: the bucket of the access logs cannot be locked, as S3 delivers none to a locked bucket; "
                "leave out locked_days there and lock the bucket 'audit'."
            )
        self.purpose, self._args, self._account, self._ctx = purpose, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            purpose,
            bucket=ctx.unique_name(purpose, BUCKET),
            force_destroy=ctx.disposable,
            object_lock_enabled=True if args.locked_days else None,
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        self.name, self.arn = bucket.bucket, bucket.arn
        policy = self._close()
        self._keep()
        self.name = policy.bucket  # so that nobody uses the bucket, or sends it logs, before it is closed
        self.register_outputs({"name": self.name, "arn": self.arn})

    def uri(self, prefix: str = "") -> pulumi.Output[str]:
        """`s3://bucket/prefix`, as boto3's users write it."""
        return pulumi.Output.concat("s3://", self.name, "/", prefix)

    def grant_read(self, identity: Identity, prefix: str = "") -> None:
        """Let it list and read what lies under the prefix."""
        only = {"StringLike": {"s3:prefix": f"{prefix}*"}} if prefix else None
        statements = [
            allow(["s3:GetObject", "s3:GetObjectVersion"], [self._objects(prefix)]),
            allow(["s3:ListBucket"], [self.arn], when=only),
            self._use_of_key("kms:Decrypt"),
        ]
        grant(identity, "read", self._guarded(prefix), statements, parent=self)

    def grant_write(self, identity: Identity, prefix: str = "") -> None:
        """Let it put objects under the prefix."""
        statements = [
            allow(["s3:AbortMultipartUpload", "s3:PutObject"], [self._objects(prefix)]),
            # S3 decrypts the parts of a multipart upload to join them.
            self._use_of_key("kms:Decrypt", "kms:GenerateDataKey"),
        ]
        grant(identity, "write", self._guarded(prefix), statements, parent=self)

    def _guarded(self, prefix: str) -> str:
        return f"{self.purpose}-{prefix.strip('/')}" if prefix else self.purpose

    def _objects(self, prefix: str) -> pulumi.Output[str]:
        return pulumi.Output.concat(self.arn, "/", prefix, "*")

    def _use_of_key(self, *actions: str) -> Statement:
        """Use of the bucket's key through S3 alone: nobody can decrypt what they copied elsewhere."""
        through = {"StringEquals": {"kms:ViaService": f"s3.{self._account.region}.amazonaws.com"}}
        return allow(actions, [self._args.key.id], when=through)

    def _close(self) -> aws.s3.BucketPolicy:
        """Who may come in at all: nobody from outside, nobody in clear, nobody around the key."""
        aws.s3.BucketPublicAccessBlock(
            self.purpose,
            bucket=self.name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        aws.s3.BucketOwnershipControls(
            self.purpose, bucket=self.name, rule={"object_ownership": "BucketOwnerEnforced"}, opts=self._child
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            self.purpose,
            bucket=self.name,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": self._args.key.id,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=self._child,
        )
        return aws.s3.BucketPolicy(
            self.purpose,
            bucket=self.name,
            policy=document(*_policy(self.purpose, self.arn, self._args.key, self._account)),
            opts=self._child,
        )

    def _keep(self) -> None:
        """What becomes of objects in time, and where it is written down who came for them."""
        versioning = aws.s3.BucketVersioning(
            self.purpose, bucket=self.name, versioning_configuration={"status": "Enabled"}, opts=self._child
        )
        ages = AGES[self.purpose]
        rule: aws.s3.BucketLifecycleConfigurationRuleArgsDict = {
            "id": "age",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "transitions": [{"days": days, "storage_class": to} for to, days in ages.colder.items()],
            "noncurrent_version_expiration": {"noncurrent_days": ages.overwritten_gone},
            "abort_incomplete_multipart_upload": {"days_after_initiation": ABANDONED_UPLOAD_DAYS},
        }
        if ages.gone:
            rule["expiration"] = {"days": ages.gone}
        aws.s3.BucketLifecycleConfiguration(
            self.purpose,
            bucket=self.name,
            rules=[rule],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        if self._args.logs_to:
            aws.s3.BucketLogging(
                self.purpose,
                bucket=self.name,
                target_bucket=self._args.logs_to.name,
                target_prefix=f"{ACCESS_LOGS}{self.purpose}/",
                opts=self._child,
            )
        if self._args.locked_days:
            aws.s3.BucketObjectLockConfiguration(
                self.purpose,
                bucket=self.name,
                rule={
                    "default_retention": {
                        "mode": "GOVERNANCE" if self._ctx.disposable else "COMPLIANCE",
                        "days": self._args.locked_days,
                    }
                },
                opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
            )


def _policy(purpose: Purpose, bucket: pulumi.Output[str], key: Key, account: Account) -> list[Statement]:
    """Whom the bucket refuses whatever else they may, and whose access logs the bucket of the logs takes."""
    objects = pulumi.Output.concat(bucket, "/*")
    statements: list[Statement] = [
        {
            "Sid": "DenyPlainTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",  # denying everything has no narrower form
            "Resource": [bucket, objects],
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
                "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key.id},
            },
        },
    ]
    if purpose == "logs":
        delivery = allow(
            ["s3:PutObject"],
            [pulumi.Output.concat(bucket, "/", ACCESS_LOGS, "*")],
            principal={"Service": "logging.s3.amazonaws.com"},
            when={"StringEquals": {"aws:SourceAccount": account.id}},
            sid="AccessLogsOfThisAccount",
        )
        statements.append(delivery)
    return statements
