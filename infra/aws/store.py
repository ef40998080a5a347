"""Buckets (S3), each with a purpose."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.bucket import ACCESS_LOGS, Site, bucket, close, keep
from infra.aws.names import Account
from infra.aws.policy import Statement, allow, grant
from infra.aws.replica import Replica
from infra.context import Context
from infra.shape import Identity, Purpose, StoreArgs, Unsupported


@dataclass(frozen=True)
class Second:
    """The second region: its name and the provider that works there."""

    region: str
    provider: aws.Provider


class Store(pulumi.ComponentResource):
    """A private bucket: versioned, encrypted with a customer-managed key, reached over TLS alone.

    Old versions move to colder classes and go in the end. With `locked_days` nobody can change or delete
    an object before its time. Only a disposable environment's bucket is emptied when it is destroyed.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    copy: Replica | None = None

    def __init__(
        self,
        purpose: Purpose,
        args: StoreArgs,
        second: Second | None = None,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Store", purpose, None, opts)
        _possible(purpose, args, second)
        self.purpose, self._args, self._account = purpose, args, account
        site = Site(purpose, purpose, args.key.id, account, ctx, self, args.locked_days, kept_days=dict(args.kept_days))
        made = bucket(site)
        self.name, self.arn = made.bucket, made.arn
        policy = close(site, made)
        versioned = keep(site, made.bucket)
        self._tell()
        if args.replicated and second:
            opts = pulumi.ResourceOptions(parent=self)
            self.copy = Replica(site, made, versioned, second.provider, second.region, opts=opts)
        self.name = policy.bucket  # so that nobody uses the bucket, or sends it logs, before it is closed
        self.register_outputs({"name": self.name, "arn": self.arn})

    def uri(self, prefix: str = "") -> pulumi.Output[str]:
        """`s3://bucket/prefix`, as boto3's users write it."""
        return pulumi.Output.concat("s3://", self.name, "/", prefix)

    def copy_uri(self, prefix: str = "") -> pulumi.Output[str] | None:
        """The bucket in the second region: S3 copies no removal of a version."""
        return pulumi.Output.concat("s3://", self.copy.name, "/", prefix) if self.copy else None

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

    def grant_erase(self, identity: Identity, prefix: str) -> None:
        """Let it list and remove every version under the prefix, here and in the copy, which it may rewrite too."""
        remove = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        look = ["s3:ListBucket", "s3:ListBucketVersions"]
        only = {"StringLike": {"s3:prefix": f"{prefix}*"}}
        statements = [allow(remove, [self._objects(prefix)]), allow(look, [self.arn], when=only)]
        if self.copy:
            there = {"StringEquals": {"kms:ViaService": f"s3.{self.copy.region}.amazonaws.com"}}
            objects = pulumi.Output.concat(self.copy.arn, "/", prefix, "*")
            statements += [
                allow([*remove, "s3:GetObject", "s3:PutObject"], [objects]),
                allow(look, [self.copy.arn], when=only),
                allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.copy.key], when=there),
            ]
        grant(identity, "erase", self._guarded(prefix), statements, parent=self)

    def _guarded(self, prefix: str) -> str:
        return f"{self.purpose}-{prefix.strip('/')}" if prefix else self.purpose

    def _objects(self, prefix: str) -> pulumi.Output[str]:
        return pulumi.Output.concat(self.arn, "/", prefix, "*")

    def _use_of_key(self, *actions: str) -> Statement:
        """Use of the bucket's key through S3 alone: nobody can decrypt what they copied elsewhere."""
        through = {"StringEquals": {"kms:ViaService": f"s3.{self._account.region}.amazonaws.com"}}
        return allow(actions, [self._args.key.id], when=through)

    def _tell(self) -> None:
        """Where it is written down who came for an object."""
        if self._args.logs_to:
            aws.s3.BucketLogging(
                self.purpose,
                bucket=self.name,
                target_bucket=self._args.logs_to.name,
                target_prefix=f"{ACCESS_LOGS}{self.purpose}/",
                opts=pulumi.ResourceOptions(parent=self),
            )


def _possible(purpose: Purpose, args: StoreArgs, second: Second | None) -> None:
    if purpose == "logs" and args.locked_days:
        raise Unsupported(
            "aws: the bucket of the access logs cannot be locked, as S3 delivers none to a locked bucket; "
            "leave out locked_days there and lock the bucket 'audit'."
        )
    if args.replicated and not second:
        raise Unsupported(
            f"aws: the bucket '{purpose}' is to be replicated, but no second region is known; "
            "set replicaRegion in the section aws of the settings, or replicated to false."
        )
