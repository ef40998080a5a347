"""The AWS resource types that localcloud can make, read, change and delete over boto3."""

from localcloud.aws import acm, bucket_settings, cloudwatch, ecr, iam, kms, logs, s3
from localcloud.aws.kind import Kind

FAMILIES = (acm, bucket_settings, cloudwatch, ecr, iam, kms, logs, s3)

KINDS: dict[str, Kind] = {kind.token: kind for family in FAMILIES for kind in family.KINDS}
