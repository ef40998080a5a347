"""What is written down: log buckets, encrypted and kept for as long as an auditor asks."""

import pulumi
import pulumi_gcp as gcp

from infra.alerts import LOG_DAYS
from infra.context import Context
from infra.gcp.keys import Key
from infra.gcp.names import LOG_BUCKET, SINK, Account
from infra.gcp.policy import own
from infra.shape import Key as AnyKey


class Log(pulumi.ComponentResource):
    """A log bucket for what a filter selects, which is then kept nowhere else in the project.

    The platform writes it: no workload needs a grant to log.
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        key: AnyKey,
        selects: pulumi.Input[str],
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Log", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = own(key, Key)
        bucket = gcp.logging.ProjectBucketConfig(
            name,
            project=account.project,
            location=account.region,
            bucket_id=ctx.name(name, LOG_BUCKET),
            description=f"{ctx.project} {ctx.environment}: {name}",
            retention_days=LOG_DAYS,
            cmek_settings={"kms_key_name": key.id},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[key.open_to("logging")]),
        )
        sink = gcp.logging.ProjectSink(
            name,
            name=ctx.name(name, SINK),
            project=account.project,
            destination=pulumi.Output.concat("logging.googleapis.com/", bucket.id),
            filter=selects,
            unique_writer_identity=True,
            opts=child,
        )
        gcp.logging.ProjectExclusion(
            name,
            name=ctx.name(name, SINK),
            description="Kept in the log bucket of the same name, encrypted with our key",
            project=account.project,
            filter=selects,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[sink]),
        )
        self.name = bucket.bucket_id
        self.register_outputs({"name": self.name})
