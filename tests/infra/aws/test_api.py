"""The API on AWS: who may call, how often, what is kept of a call, and what its function may do."""

import json
from typing import Any

import pytest

from tests.infra.aws.planning import plan_of
from tests.plans.plans import Plan, Statement


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of()


def granted(plan: Plan) -> dict[str, Statement]:
    """What the function may do: action → the statement that allows it."""
    rows = [row for row in plan.granted("function") if row["Effect"] == "Allow"]
    return {action: row for row in rows for action in row["Action"]}


def function(plan: Plan) -> dict[str, Any]:
    return plan.only("lambda:Function").inputs


def test_a_prediction_takes_a_token_of_the_issuer_for_the_audience(plan: Plan) -> None:
    route, authorizer = plan.only("apigatewayv2:Route"), plan.only("apigatewayv2:Authorizer")
    assert route.inputs["routeKey"] == "POST /predict"
    assert route.inputs["authorizationType"] == "JWT"
    assert route.inputs["authorizerId"] == authorizer.outputs["id"]
    assert authorizer.inputs["jwtConfiguration"] == {"issuer": "https://login.example.com", "audiences": ["predict"]}


def test_callers_are_throttled_to_the_rate_of_the_settings(plan: Plan) -> None:
    settings = plan.only("apigatewayv2:Stage").inputs["defaultRouteSettings"]
    assert settings["throttlingRateLimit"] * 60 == 600
    assert settings["throttlingBurstLimit"] == 2 * settings["throttlingRateLimit"]
    assert function(plan)["reservedConcurrentExecutions"] == 11


def test_every_call_leaves_a_line_under_our_key_without_token_or_body(plan: Plan) -> None:
    log = plan.named("cloudwatch:LogGroup", "api-access")
    settings = plan.only("apigatewayv2:Stage").inputs["accessLogSettings"]
    assert settings["destinationArn"] == log.outputs["arn"]
    assert log.inputs["kmsKeyId"] == plan.named("kms:Key", "logs").outputs["arn"]
    assert {"from", "who", "status", "latency"} <= json.loads(settings["format"]).keys()
    assert "uthorization" not in settings["format"]


def test_the_function_is_the_app_s_image_by_digest_told_to_be_a_function(plan: Plan) -> None:
    inputs = function(plan)
    assert inputs["packageType"] == "Image"
    assert "@sha256:" in inputs["imageUri"]
    assert inputs["imageConfig"] == {"commands": ["function"]}
    assert inputs["role"] == plan.named("iam:Role", "function").outputs["arn"]


def test_the_function_knows_its_table_and_its_models(plan: Plan) -> None:
    table = plan.only("dynamodb:Table").inputs["name"]
    assert function(plan)["environment"]["variables"] == {
        "MODEL_STORE": "s3://models/x/",
        "CALLS": f"dynamodb://{table}",
        "CALLS_DAYS": "30",
    }


def test_the_function_runs_in_the_private_network_and_reaches_the_table_from_there(plan: Plan) -> None:
    vpc = function(plan)["vpcConfig"]
    assert vpc["subnetIds"] == [row.outputs["id"] for row in plan.of_type("ec2:Subnet")]
    members = plan.named("ec2:SecurityGroup", "members").outputs["id"]
    assert vpc["securityGroupIds"] == [members]
    assert plan.named("ec2:VpcEndpoint", "dynamodb").inputs["vpcEndpointType"] == "Gateway"
    way_out = plan.named("vpc:SecurityGroupEgressRule", "members-to-dynamodb").inputs
    assert way_out["securityGroupId"] == members


def test_calls_are_kept_encrypted_recoverable_and_not_to_be_deleted(plan: Plan) -> None:
    table = plan.only("dynamodb:Table")
    assert table.inputs["billingMode"] == "PAY_PER_REQUEST"
    assert table.inputs["pointInTimeRecovery"] == {"enabled": True}
    key = plan.named("kms:Key", "logs").outputs["arn"]
    assert table.inputs["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": key}
    assert table.inputs["deletionProtectionEnabled"] is True
    assert table.options["protect"] is True


def test_only_a_disposable_table_may_be_deleted() -> None:
    table = plan_of("local").only("dynamodb:Table")
    assert table.inputs["deletionProtectionEnabled"] is False
    assert not table.options.get("protect")


def test_the_function_adds_to_its_table_and_can_neither_read_nor_change_it(plan: Plan) -> None:
    may = granted(plan)
    assert [action for action in may if action.startswith("dynamodb:")] == ["dynamodb:PutItem"]
    assert may["dynamodb:PutItem"]["Resource"] == [plan.only("dynamodb:Table").outputs["arn"]]


def test_a_call_goes_when_it_expires_or_somebody_forgets_it(plan: Plan) -> None:
    table = plan.only("dynamodb:Table")
    assert table.inputs["ttl"] == {"enabled": True, "attributeName": "expires"}
    on_table = [row for row in plan.granted("eraser") if row["Resource"] == [table.outputs["arn"]]]
    assert [(row["Effect"], row["Action"]) for row in on_table] == [("Allow", ["dynamodb:DeleteItem"])]
    (key_use,) = [row for row in plan.granted("eraser") if "kms:Decrypt" in row["Action"]]
    assert key_use["Condition"] == {"StringEquals": {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}}


def test_the_function_uses_the_table_s_key_through_the_table_alone(plan: Plan) -> None:
    key_use = granted(plan)["kms:GenerateDataKey"]
    assert key_use["Resource"] == [plan.named("kms:Key", "logs").outputs["arn"]]
    assert key_use["Condition"] == {"StringEquals": {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}}


def test_the_function_s_own_code_may_not_change_networks(plan: Plan) -> None:
    allowed = {action for action in granted(plan) if action.startswith("ec2:")}
    (denied,) = [row for row in plan.granted("function") if row["Effect"] == "Deny"]
    assert set(denied["Action"]) == allowed
    arn = plan.only("lambda:Function").outputs["arn"]
    assert denied["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": arn}}


def test_only_this_gateway_s_route_calls_the_function(plan: Plan) -> None:
    permission = plan.only("lambda:Permission").inputs
    assert (permission["principal"], permission["action"]) == ("apigateway.amazonaws.com", "lambda:InvokeFunction")
    gateway = plan.only("apigatewayv2:Api").outputs["executionArn"]
    assert permission["sourceArn"] == f"{gateway}/*/POST/predict"


def test_lambda_fetches_the_image_for_this_function_alone(plan: Plan) -> None:
    policy = plan.only("ecr:RepositoryPolicy")
    (statement,) = policy.document()
    assert policy.inputs["repository"] == plan.only("ecr:Repository").inputs["name"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": plan.only("lambda:Function").outputs["arn"]},
    }
