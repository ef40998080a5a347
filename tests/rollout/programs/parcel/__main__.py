"""A bucket, a topic that says how large parcels are and which release is out, and a table when they are large."""

import os

import pulumi
import pulumi_aws as aws

settings, release = pulumi.Config(), pulumi.Config("groundwork").require("release")
size = settings.require("size")
endpoint = os.environ["AWS_ENDPOINT_URL"]
local = aws.Provider(
    "local",
    region="eu-west-1",
    endpoints=[aws.ProviderEndpointArgs(s3=endpoint, sns=endpoint, dynamodb=endpoint, sts=endpoint)],
    s3_use_path_style=True,
)
opts = pulumi.ResourceOptions(provider=local)
tags = {"size": size, "release": release.removeprefix("sha256:")}
bucket = aws.s3.Bucket("parcels", bucket="example-parcels", tags=tags, opts=opts)
topic = aws.sns.Topic("arrivals", name="arrivals", display_name=size, opts=opts)
if size == "large":
    aws.dynamodb.Table(
        "shelves",
        name="shelves",
        billing_mode="PAY_PER_REQUEST",
        hash_key="id",
        attributes=[{"name": "id", "type": "S"}],
        opts=pulumi.ResourceOptions(provider=local, depends_on=[bucket, topic]),
    )
pulumi.export("bucket", bucket.bucket)
