"""What is written down: log groups, encrypted and kept for as long as an auditor asks."""

import pulumi
import pulumi_aws as aws

from infra.aws.names import log_group
from infra.aws.policy import allow, grant
from infra.context import Context
from infra.shape import Identity, Key

RETENTION_DAYS = 365


class Log(pulumi.ComponentResource):
    """A log group that its writers may append to and nobody may shorten by accident."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, key: Key, *, ctx: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:aws:Log", name, None, opts)
        group = aws.cloudwatch.LogGroup(
            name,
            name=log_group(ctx, name),
            retention_in_days=RETENTION_DAYS,
            kms_key_id=key.id,
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = group.name
        self.arn = group.arn
        self.register_outputs({"name": self.name, "arn": self.arn})

    def grant_write(self, identity: Identity) -> pulumi.Resource:
        """Let it append to streams of this group; flow logs also look up what they append to."""
        streams = pulumi.Output.concat(self.arn, ":*")
        statements = [
            allow(["logs:CreateLogStream", "logs:PutLogEvents"], [streams]),
            allow(["logs:DescribeLogGroups", "logs:DescribeLogStreams"], [self.arn, streams]),
        ]
        return grant(identity, "write", f"{self.pulumi_resource_name}-log", statements, parent=self)
