"""A function behind an HTTP API, with a table, a queue, a rule and rendered policy documents."""

import json

import pulumi
import pulumi_aws as aws

account = aws.get_caller_identity()
region = aws.get_region()
trust = aws.iam.get_policy_document(
    statements=[
        {
            "actions": ["sts:AssumeRole"],
            "principals": [{"type": "Service", "identifiers": ["lambda.amazonaws.com"]}],
        }
    ]
)
table = aws.dynamodb.Table(
    "items",
    attributes=[{"name": "id", "type": "S"}],
    hash_key="id",
    billing_mode="PAY_PER_REQUEST",
    stream_enabled=True,
)
queue = aws.sqs.Queue("jobs")
permissions = aws.iam.get_policy_document_output(
    statements=[{"actions": ["dynamodb:GetItem"], "resources": [table.arn]}]
)
role = aws.iam.Role("function", assume_role_policy=trust.json)
aws.iam.RolePolicy("function", role=role.id, policy=permissions.apply(lambda found: found.json))
function = aws.lambda_.Function(
    "function",
    role=role.arn,
    runtime="python3.13",
    handler="main.handler",
    code=pulumi.AssetArchive({"main.py": pulumi.StringAsset("def handler(event, context): return {}")}),
    environment={"variables": {"TABLE": table.name, "QUEUE": queue.url}},
)
api = aws.apigatewayv2.Api("api", protocol_type="HTTP")
integration = aws.apigatewayv2.Integration(
    "integration", api_id=api.id, integration_type="AWS_PROXY", integration_uri=function.invoke_arn
)
aws.apigatewayv2.Route(
    "route",
    api_id=api.id,
    route_key="GET /",
    target=integration.id.apply(lambda identifier: f"integrations/{identifier}"),
)
stage = aws.apigatewayv2.Stage("stage", api_id=api.id, name="live", auto_deploy=True)
aws.lambda_.Permission(
    "permission",
    action="lambda:InvokeFunction",
    function=function.name,
    principal="apigateway.amazonaws.com",
    source_arn=pulumi.Output.concat(api.execution_arn, "/*/*"),
)
rule = aws.cloudwatch.EventRule("nightly", schedule_expression="rate(1 day)")
machine = aws.sfn.StateMachine(
    "machine",
    role_arn=role.arn,
    definition=function.arn.apply(
        lambda arn: json.dumps({"StartAt": "Run", "States": {"Run": {"Type": "Task", "Resource": arn, "End": True}}})
    ),
)
aws.lambda_.EventSourceMapping("stream", event_source_arn=table.stream_arn, function_name=function.arn)
pulumi.export("url", stage.invoke_url.apply(lambda url: url.rstrip("/") + "/items"))
pulumi.export("bucket", f"assets-{account.account_id}-{region.region}")
pulumi.export("key", api.id.apply(lambda identifier: identifier[:5]))
