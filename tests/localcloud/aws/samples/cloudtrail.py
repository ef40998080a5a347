"""Samples of CloudTrail."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS

ARN = "arn:aws:logs:eu-central-1:123456789012:log-group:"


def trail(account: Account) -> Any:
    return account.client("cloudtrail")


def change(**said: Any) -> Behind:
    return lambda a, i, _: trail(a).update_trail(Name=i, **said)


def data_events(prefix: str) -> list[dict[str, Any]]:
    return [
        {"name": "management", "fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}]},
        {
            "name": "objects",
            "fieldSelectors": [
                {"field": "eventCategory", "equals": ["Data"]},
                {"field": "resources.type", "equals": ["AWS::S3::Object"]},
                {"field": "resources.ARN", "startsWiths": [f"arn:aws:s3:::{prefix}"]},
            ],
        },
    ]


def look_away(account: Account, made: str, _: Any) -> None:
    nothing = {"Name": "x", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Insight"]}]}
    trail(account).put_event_selectors(TrailName=made, AdvancedEventSelectors=[nothing])


SAMPLES = {
    "trail": Sample(
        "aws:cloudtrail/trail:Trail",
        {
            "name": "audit",
            "s3BucketName": Ref("bucket", "bucket"),
            "s3KeyPrefix": "trail",
            "kmsKeyId": Ref("key", "arn"),
            "includeGlobalServiceEvents": True,
            "isMultiRegionTrail": True,
            "enableLogFileValidation": True,
            "cloudWatchLogsGroupArn": f"{ARN}audit:*",
            "cloudWatchLogsRoleArn": Ref("role", "arn"),
            "advancedEventSelectors": data_events("org-data/"),
            "tags": TAGS,
        },
        changes={
            "s3BucketName": Ref("logs-bucket", "bucket"),
            "s3KeyPrefix": "other",
            "kmsKeyId": None,
            "includeGlobalServiceEvents": False,
            "isMultiRegionTrail": False,
            "enableLogFileValidation": False,
            "cloudWatchLogsGroupArn": f"{ARN}other:*",
            "cloudWatchLogsRoleArn": Ref("role-in-a-path", "arn"),
            "advancedEventSelectors": data_events("org-models/"),
            "enableLogging": False,
            "tags": OTHER_TAGS,
        },
        behind={
            "s3BucketName": lambda a, i, _: (
                a.client("s3").create_bucket(
                    Bucket="strangers", CreateBucketConfiguration={"LocationConstraint": a.region}
                ),
                trail(a).update_trail(Name=i, S3BucketName="strangers"),
            ),
            "s3KeyPrefix": change(S3KeyPrefix="x"),
            "kmsKeyId": change(KmsKeyId=""),
            "includeGlobalServiceEvents": change(IncludeGlobalServiceEvents=False, IsMultiRegionTrail=True),
            "isMultiRegionTrail": change(IsMultiRegionTrail=False),
            "enableLogFileValidation": change(EnableLogFileValidation=False),
            "cloudWatchLogsGroupArn": change(CloudWatchLogsLogGroupArn=f"{ARN}x:*"),
            "cloudWatchLogsRoleArn": change(CloudWatchLogsRoleArn="arn:aws:iam::123456789012:role/x"),
            "advancedEventSelectors": look_away,
            "enableLogging": lambda a, i, _: trail(a).stop_logging(Name=i),
            "tags": lambda a, i, _: trail(a).add_tags(ResourceId=i, TagsList=[{"Key": "added", "Value": "1"}]),
        },
    ),
    "idle-trail": Sample(
        "aws:cloudtrail/trail:Trail", {"s3BucketName": Ref("bucket", "bucket"), "enableLogging": False}
    ),
}
