"""The service: its certificate, its container, and the two alarms that scale it."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pulumi
import pytest

from infra.aws.args import AwsArgs
from infra.aws.cloud import Parts
from infra.aws.names import Account
from infra.aws.service import IS_ALIVE
from infra.context import Context
from infra.shape import Callers, Container, Scale, ServiceArgs
from tests.infra.evaluated import CONTEXT, DISPOSABLE, Registered, evaluated, of_type, only

CALLERS = Callers(("10.0.0.0/8", "192.168.0.0/16"), "https://login.example.com/", "predict", 120)


def service(
    hosted_zone: str | None = "Z012345",
    ctx: Context = CONTEXT,
    token_keys: str | None = None,
    command: tuple[str, ...] = (),
    **changed: Any,
) -> list[Registered]:
    def program(account: Account) -> None:
        settings = AwsArgs("eu-west-1", ("a", "b"), hosted_zone, token_keys=token_keys)
        parts = Parts(settings, account, ctx, pulumi.ResourceOptions())
        key = parts.key("logs")
        container = Container(
            image=parts.registry("app", key).image("sha256:" + "0" * 64),
            runs_as=parts.identity("server", "container"),
            network=parts.network("10.10.0.0/16", CALLERS.networks, key),
            key=key,
            command=command,
            environment={"MODEL_STORE": "s3://models/x/"},
        )
        args: dict[str, Any] = {
            "callers": CALLERS,
            "domain": "predict.example.com",
            "port": 9000,
            "scale": Scale(3, 10, cpu_out=75, cpu_in=25),
        }
        made = parts.service("predict", ServiceArgs(container, **{**args, **changed}))
        made.grant_deploy(parts.identity("workflow", "container"))

    return evaluated(program)


def container(resources: list[Registered]) -> dict[str, Any]:
    (found,) = json.loads(only(resources, "TaskDefinition").inputs["containerDefinitions"])
    assert isinstance(found, dict)
    return found


def test_a_listener_gets_the_certificate_only_once_it_is_validated() -> None:
    resources = service()
    validation = only(resources, "CertificateValidation")
    assert validation.inputs["validationRecordFqdns"] == ["_proof.example.com"]
    order = [resource.type for resource in resources]
    assert order.index(validation.type) < order.index("aws:lb/listener:Listener")
    proof, address = of_type(resources, "Record")
    assert proof.inputs["records"] == ["proven"]
    assert address.inputs["name"] == "predict.example.com"


def test_without_a_hosted_zone_nothing_is_published_or_proved() -> None:
    resources = service(hosted_zone=None)
    assert not of_type(resources, "Record")
    assert not of_type(resources, "CertificateValidation")
    assert only(resources, "Listener").inputs["certificateArn"] == "arn:aws:acm:::predict"


def test_only_the_callers_reach_the_load_balancer_and_only_it_reaches_the_tasks() -> None:
    rules = of_type(service(), "SecurityGroupIngressRule")
    open_to = {
        (
            rule.inputs["securityGroupId"],
            rule.inputs["fromPort"],
            rule.inputs["toPort"],
            rule.inputs.get("cidrIpv4") or rule.inputs["referencedSecurityGroupId"],
        )
        for rule in rules
    }
    prefix = "groundwork-dev-"
    assert open_to == {
        (f"{prefix}predict-balancer-id", 443, 443, "10.0.0.0/8"),
        (f"{prefix}predict-balancer-id", 443, 443, "192.168.0.0/16"),
        (f"{prefix}predict-tasks-id", 9000, 9000, f"{prefix}predict-balancer-id"),
        (f"{prefix}endpoints-id", 443, 443, f"{prefix}members-id"),
    }


def test_the_container_is_told_its_port_and_what_it_was_given() -> None:
    found = container(service())
    assert found["environment"] == [
        {"name": "MODEL_STORE", "value": "s3://models/x/"},
        {"name": "PORT", "value": "9000"},
    ]
    assert found["portMappings"] == [{"containerPort": 9000, "protocol": "tcp"}]


@pytest.mark.parametrize(("ctx", "protected"), [(CONTEXT, True), (DISPOSABLE, False)])
def test_the_load_balancer_is_deleted_by_accident_only_where_all_is_disposable(ctx: Context, protected: bool) -> None:
    assert only(service(ctx=ctx), "LoadBalancer").inputs["enableDeletionProtection"] is protected


def test_a_busy_service_grows_by_one_and_an_idle_one_shrinks_by_one() -> None:
    resources = service(scale=Scale(3, 10, cpu_out=80, cpu_in=20))
    grow, shrink = sorted(of_type(resources, "MetricAlarm"), key=lambda alarm: -alarm.inputs["threshold"])
    assert (grow.inputs["comparisonOperator"], grow.inputs["threshold"]) == ("GreaterThanOrEqualToThreshold", 80)
    assert (shrink.inputs["comparisonOperator"], shrink.inputs["threshold"]) == ("LessThanThreshold", 20)
    steps = {
        policy.inputs["name"]: policy.inputs["stepScalingPolicyConfiguration"]["stepAdjustments"]
        for policy in of_type(resources, "Policy")
    }
    assert steps == {
        "groundwork-dev-predict-out": [{"metricIntervalLowerBound": "0", "scalingAdjustment": 1}],
        "groundwork-dev-predict-in": [{"metricIntervalUpperBound": "0", "scalingAdjustment": -1}],
    }
    for alarm in (grow, shrink):
        assert alarm.inputs["alarmActions"] == [f"arn:aws:appautoscaling:::{alarm.inputs['name']}"]


@pytest.mark.parametrize(("answer", "alive"), [(200, True), (503, False)])
def test_the_health_command_tells_a_live_container_from_a_sick_one(answer: int, alive: bool) -> None:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        environment = {**os.environ, "PORT": str(server.server_port)}
        done = subprocess.run(
            [sys.executable, "-c", IS_ALIVE], env=environment, capture_output=True, timeout=30, check=False
        )
        thread.join(10)
    assert (done.returncode == 0) is alive


def test_a_token_is_checked_before_a_call_is_passed_on() -> None:
    check, forward = only(service(), "Listener").inputs["defaultActions"]
    assert (check["type"], forward["type"]) == ("jwt-validation", "forward")
    assert check["order"] < forward["order"]
    assert check["jwtValidation"]["issuer"] == "https://login.example.com/"
    assert check["jwtValidation"]["additionalClaims"] == [
        {"name": "aud", "format": "single-string", "values": ["predict"]}
    ]


@pytest.mark.parametrize(
    ("token_keys", "found"),
    [
        (None, "https://login.example.com/.well-known/jwks.json"),
        ("https://keys.example.com", "https://keys.example.com"),
    ],
)
def test_the_keys_of_tokens_lie_under_the_issuer_unless_the_settings_know_better(
    token_keys: str | None, found: str
) -> None:
    check, _ = only(service(token_keys=token_keys), "Listener").inputs["defaultActions"]
    assert check["jwtValidation"]["jwksEndpoint"] == found


def test_the_rate_of_a_caller_is_counted_by_the_minute_and_no_call_is_kept_as_a_sample() -> None:
    firewall = only(service(), "WebAcl").inputs
    (rule,) = firewall["rules"]
    assert rule["statement"]["rateBasedStatement"]["limit"] == 120
    assert rule["statement"]["rateBasedStatement"]["evaluationWindowSec"] == 60
    assert not rule["visibilityConfig"]["sampledRequestsEnabled"]
    assert not firewall["visibilityConfig"]["sampledRequestsEnabled"]


def test_arguments_reach_the_entry_point_of_the_image_only_if_there_are_any() -> None:
    assert "command" not in container(service())
    assert container(service(command=("serve", "--quick")))["command"] == ["serve", "--quick"]


def test_a_grant_to_deploy_names_the_service_and_its_cluster() -> None:
    (attached,) = [one for one in of_type(service(), "RolePolicy") if one.name == "workflow-deploy-predict"]
    assert attached.document() == [
        {
            "Effect": "Allow",
            "Action": ["ecs:DescribeServices", "ecs:UpdateService"],
            "Resource": ["arn:aws:ecs:::groundwork-dev-predict"],
            "Condition": {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:::groundwork-dev-predict"}},
        }
    ]
