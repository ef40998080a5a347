"""A store's copy in a second region (S3 replication), and the role that copies."""

import pulumi
import pulumi_aws as aws

from infra.aws.bucket import Site, bucket, close, keep
from infra.aws.identity import Identity
from infra.aws.keys import Key
from infra.aws.names import Account
from infra.aws.policy import Statement, allow, grant

READ = ["s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"]
READ_LOCKS = ["s3:GetObjectLegalHold", "s3:GetObjectRetention"]
WRITE = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"]


class Replica(pulumi.ComponentResource):
    """A second bucket as closed and as locked as the first, with a key of its own region.

    Deletions are copied as marks, never as the removal of a version: what is lost in one region is found in the other.
    So what is kept for a set time goes by rules of its own here, and what is erased there is to be erased here too.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    key: pulumi.Output[str]
    region: str

    def __init__(
        self,
        of: Site,
        source: aws.s3.Bucket,
        versioned: aws.s3.BucketVersioning,
        where: aws.Provider,
        region: str,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name = f"{of.name}-replica"
        super().__init__("groundwork:aws:Replica", name, None, opts)
        there = Account(of.account.id, region)
        far = pulumi.ResourceOptions(parent=self, providers=[where])
        key = Key(name, account=there, ctx=of.ctx, opts=far)
        site = Site(name, of.purpose, key.id, there, of.ctx, self, of.locked_days, where, of.kept_days)
        made = bucket(site)
        closed, kept = close(site, made), keep(site, made.bucket)
        copier = Identity(
            f"{of.name}-copier", "replication", account=of.account, ctx=of.ctx, opts=pulumi.ResourceOptions(parent=self)
        )
        may_copy = grant(copier, "copy", of.name, _copying(of, source.arn, site, made.arn), parent=self)
        aws.s3.BucketReplicationConfig(
            of.name,
            bucket=source.bucket,
            role=copier.principal,
            rules=[
                {
                    "id": "everything",
                    "status": "Enabled",
                    "priority": 1,
                    "filter": {"prefix": ""},
                    "delete_marker_replication": {"status": "Enabled"},
                    "source_selection_criteria": {"sse_kms_encrypted_objects": {"status": "Enabled"}},
                    "destination": {
                        "bucket": made.arn,
                        "storage_class": "STANDARD_IA",
                        "encryption_configuration": {"replica_kms_key_id": key.id},
                    },
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioned, kept, closed, may_copy]),
        )
        self.name, self.arn, self.key, self.region = made.bucket, made.arn, key.id, region
        self.register_outputs({"name": self.name})


def _copying(of: Site, source: pulumi.Output[str], site: Site, copy: pulumi.Output[str]) -> list[Statement]:
    """Reading versions here and writing copies there, with either key through S3 alone."""

    def through(account: Account) -> dict[str, dict[str, str]]:
        return {"StringEquals": {"kms:ViaService": f"s3.{account.region}.amazonaws.com"}}

    return [
        allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], [source]),
        allow([*READ, *(READ_LOCKS if of.locked_days else [])], [pulumi.Output.concat(source, "/*")]),
        allow(WRITE, [pulumi.Output.concat(copy, "/*")]),
        allow(["kms:Decrypt"], [of.key], when=through(of.account)),
        allow(["kms:Encrypt", "kms:GenerateDataKey"], [site.key], when=through(site.account)),
    ]
