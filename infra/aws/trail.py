"""The audit trail (CloudTrail): who did what to the account, and who wrote data."""

import pulumi
import pulumi_aws as aws

from infra.aws.names import BUCKET, TRAIL
from infra.context import Context
from infra.shape import Key, Purpose, Store

# Reading is written down in the access logs of the buckets, which cost next to nothing.
WRITES_TO: tuple[Purpose, ...] = ("data", "models")


class Trail(pulumi.ComponentResource):
    """What was done in all regions, in files that prove their own integrity, into the locked bucket."""

    def __init__(self, audit: Store, key: Key, *, ctx: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:aws:Trail", "audit", None, opts)
        objects = [f"arn:aws:s3:::{ctx.unique_name(purpose, BUCKET)}/" for purpose in WRITES_TO]
        aws.cloudtrail.Trail(
            "audit",
            name=ctx.name("audit", TRAIL),
            s3_bucket_name=audit.name,
            kms_key_id=key.id,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            advanced_event_selectors=[
                {
                    "name": "Whatever changes or reads the account",
                    "field_selectors": [{"field": "eventCategory", "equals": ["Management"]}],
                },
                {
                    "name": "Writing of data and models",
                    "field_selectors": [
                        {"field": "eventCategory", "equals": ["Data"]},
                        {"field": "resources.type", "equals": ["AWS::S3::Object"]},
                        {"field": "readOnly", "equals": ["false"]},
                        {"field": "resources.ARN", "starts_withs": objects},
                    ],
                },
            ],
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        self.register_outputs({})
