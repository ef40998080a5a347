"""The prediction service and its jobs: height in, weight out. It runs without Pulumi and without a cloud SDK
but boto3."""
