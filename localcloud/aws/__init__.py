"""The AWS resource types that localcloud can make, read, change and delete over boto3."""

from localcloud.aws import (
    acm,
    bucket_settings,
    cloudwatch,
    ec2,
    ecr,
    ecs,
    efs,
    elb,
    endpoints,
    iam,
    iam_providers,
    kms,
    launch_templates,
    logs,
    routes,
    s3,
    scaling,
    security_groups,
)
from localcloud.aws.kind import Kind

FAMILIES = (
    acm,
    bucket_settings,
    cloudwatch,
    ec2,
    ecr,
    ecs,
    efs,
    elb,
    endpoints,
    iam,
    iam_providers,
    kms,
    launch_templates,
    logs,
    routes,
    s3,
    scaling,
    security_groups,
)

KINDS: dict[str, Kind] = {kind.token: kind for family in FAMILIES for kind in family.KINDS}
