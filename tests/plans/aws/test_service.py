"""The service on AWS, in every plan."""

import pytest

from tests.plans.plans import Plan, plan_of

pytestmark = pytest.mark.slow


def test_the_service_spreads_over_two_zones_at_least(plan: Plan) -> None:
    zone_of = {row.outputs["id"]: row.inputs["availabilityZone"] for row in plan.of_type("ec2:Subnet")}
    for subnets in (
        plan.only("ecs:Service").inputs["networkConfiguration"]["subnets"],
        plan.only("lb:LoadBalancer").inputs["subnets"],
    ):
        assert len({zone_of[subnet] for subnet in subnets}) >= 2


def test_the_image_is_the_release_by_its_digest(plan: Plan) -> None:
    url = plan.only("ecr:Repository").outputs["repositoryUrl"]
    variables = {item["name"]: item["value"] for item in plan.container()["environment"]}
    assert plan.container()["image"] == f"{url}@{variables['RELEASE']}"
    assert variables["RELEASE"].startswith("sha256:")


def test_the_container_is_told_where_model_and_lake_are(plan: Plan) -> None:
    bucket = f"s3://example-groundwork-{plan.environment}"
    variables = {item["name"]: item["value"] for item in plan.container()["environment"]}
    assert variables.pop("RELEASE")
    assert variables == {
        "PORT": "8080",
        "MODEL_STORE": f"{bucket}-models/height-weight/",
        "LAKE": f"{bucket}-data/lake/",
    }


def test_the_container_is_confined(plan: Plan) -> None:
    container = plan.container()
    assert container["readonlyRootFilesystem"] is True
    assert container["privileged"] is False
    assert container["user"].split(":")[0] not in ("", "0", "root")
    assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert "secrets" not in container


def test_the_container_is_watched_and_its_log_is_the_encrypted_one(plan: Plan) -> None:
    container = plan.container()
    assert container["healthCheck"]["command"][:3] == ["CMD", "python", "-c"]
    assert container["logConfiguration"]["logDriver"] == "awslogs"
    group = plan.named("cloudwatch:LogGroup", "predict").inputs["name"]
    assert container["logConfiguration"]["options"]["awslogs-group"] == group


def test_the_task_runs_as_the_server_and_starts_as_another(plan: Plan) -> None:
    task = plan.named("ecs:TaskDefinition", "predict").inputs
    assert task["taskRoleArn"] == plan.named("iam:Role", "server").outputs["arn"]
    assert task["executionRoleArn"] == plan.named("iam:Role", "predict-starter").outputs["arn"]
    assert task["requiresCompatibilities"] == ["FARGATE"]


def test_a_deployment_rolls_and_goes_back_by_itself(plan: Plan) -> None:
    service = plan.only("ecs:Service").inputs
    assert service["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert (service["deploymentMinimumHealthyPercent"], service["deploymentMaximumPercent"]) == (100, 200)
    assert plan.only("lb:TargetGroup").inputs["healthCheck"]["path"] == "/readyz"


def test_the_load_balancer_speaks_modern_tls_alone_and_drops_odd_headers(plan: Plan) -> None:
    listener = plan.only("lb:Listener").inputs
    assert (listener["port"], listener["protocol"]) == (443, "HTTPS")
    assert listener["sslPolicy"].startswith("ELBSecurityPolicy-TLS13-")
    assert listener["certificateArn"] == plan.only("acm:Certificate").outputs["arn"]
    balancer = plan.only("lb:LoadBalancer").inputs
    assert balancer["dropInvalidHeaderFields"] is True
    assert balancer["enableDeletionProtection"] is (plan.environment != "local")


def test_it_scales_out_at_75_and_in_under_25_within_its_bounds(plan: Plan) -> None:
    target = plan.only("appautoscaling:Target").inputs
    alarms = {row.name: row.inputs for row in plan.of_type("cloudwatch:MetricAlarm") if row.name.startswith("predict-")}
    policies = {row.name: row for row in plan.of_type("appautoscaling:Policy")}
    assert alarms.keys() == policies.keys() == {"predict-out", "predict-in"}
    for name, operator, threshold, change in (
        ("predict-out", "GreaterThanOrEqualToThreshold", 75, 1),
        ("predict-in", "LessThanThreshold", 25, -1),
    ):
        alarm, policy = alarms[name], policies[name]
        assert (alarm["metricName"], alarm["statistic"]) == ("CPUUtilization", "Average")
        assert (alarm["comparisonOperator"], alarm["threshold"]) == (operator, threshold)
        assert alarm["alarmActions"] == [policy.outputs["arn"]]
        assert alarm["dimensions"] == {
            "ClusterName": plan.named("ecs:Cluster", "predict").inputs["name"],
            "ServiceName": plan.only("ecs:Service").inputs["name"],
        }
        (step,) = policy.inputs["stepScalingPolicyConfiguration"]["stepAdjustments"]
        assert step["scalingAdjustment"] == change
        assert policy.inputs["resourceId"] == target["resourceId"]
    assert plan.only("ecs:Service").inputs["desiredCount"] == target["minCapacity"] <= target["maxCapacity"]
    assert plan.only("ecs:Service").options["ignoreChanges"] == ["desiredCount"]


def test_prod_is_never_under_three_and_grows_to_ten() -> None:
    target = plan_of("prod").only("appautoscaling:Target").inputs
    assert (target["minCapacity"], target["maxCapacity"]) == (3, 10)


def test_a_caller_brings_a_token_of_the_issuer_for_this_audience_or_is_turned_away(plan: Plan) -> None:
    check, forward = plan.only("lb:Listener").inputs["defaultActions"]
    assert (check["type"], check["order"]) == ("jwt-validation", 1)
    assert check["jwtValidation"] == {
        "issuer": "https://login.example.com",
        "jwksEndpoint": "https://login.example.com/.well-known/jwks.json",
        "additionalClaims": [{"name": "aud", "format": "single-string", "values": ["predict"]}],
    }
    assert (forward["type"], forward["order"]) == ("forward", 2)
    assert not plan.any_of_type("lb:ListenerRule")  # none goes around the check


def test_a_caller_that_calls_too_often_is_refused_for_a_while(plan: Plan) -> None:
    firewall = plan.only("wafv2:WebAcl")
    (rule,) = firewall.inputs["rules"]
    assert rule["action"] == {"block": {"customResponse": {"responseCode": 429}}}
    assert rule["statement"]["rateBasedStatement"] == {
        "limit": 600,
        "evaluationWindowSec": 60,
        "aggregateKeyType": "IP",
    }
    guarded = plan.only("wafv2:WebAclAssociation").inputs
    assert guarded["webAclArn"] == firewall.outputs["arn"]
    assert guarded["resourceArn"] == plan.only("lb:LoadBalancer").outputs["arn"]


def test_who_deploys_the_service_replaces_its_copies_in_its_cluster_and_nothing_else(plan: Plan) -> None:
    (statement,) = [one for one in plan.granted("retrain-runner") if "ecs:UpdateService" in one["Action"]]
    assert set(statement["Action"]) == {"ecs:UpdateService", "ecs:DescribeServices"}
    assert statement["Resource"] == [plan.only("ecs:Service").outputs["arn"]]
    cluster = plan.named("ecs:Cluster", "predict").outputs["arn"]
    assert statement["Condition"] == {"ArnEquals": {"ecs:cluster": cluster}}
