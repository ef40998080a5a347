"""What the table of test_life.py does not say of task definitions, services and their scaling."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.aws.calls import ProviderError
from localcloud.aws.kind import MARK
from tests.localcloud.aws.bench import Bench
from tests.localcloud.aws.samples.ecs import CONTAINER, described, ecs, other_image

DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
SERVICE = "aws:ecs/service:Service"
POLICY = "aws:appautoscaling/policy:Policy"


def revisions(bench: Bench, status: str) -> list[int]:
    arns = ecs(bench.provider.account).list_task_definitions(familyPrefix="predict", status=status)[
        "taskDefinitionArns"
    ]
    return sorted(int(arn.rpartition(":")[2]) for arn in arns)


def containers(**changes: Any) -> str:
    return json.dumps([{**CONTAINER, **changes}])


def seen(bench: Bench, token: str, made: str, inputs: dict[str, Any]) -> dict[str, Any]:
    found = bench.provider.read(token, made, inputs)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    "written",
    [
        containers(cpu=0, mountPoints=[], volumesFrom=[], systemControls=[]),
        containers(environment=list(reversed(CONTAINER["environment"]))),  # type: ignore[call-overload]  # it is a list
        containers(portMappings=[{"hostPort": 8080, "containerPort": 8080}]),
        json.dumps([{name: value for name, value in CONTAINER.items() if name != "essential"}], indent=2),
        json.dumps(CONTAINER),
        containers(healthCheck={"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3}),
    ],
)
def test_containers_that_are_written_otherwise_are_the_same(bench: Bench, written: str) -> None:
    made = bench.make("definition", containerDefinitions=written)
    for text in (written, containers()):
        inputs = bench.inputs("definition", containerDefinitions=text)
        assert seen(bench, DEFINITION, made, inputs) == inputs


@pytest.mark.parametrize(
    "change",
    [
        {"image": "registry.example/app@sha256:1111"},
        {"environment": [{"name": "PORT", "value": "8081"}]},
        {"command": ["b", "a"]},
        {"essential": False},
        {"portMappings": [{"containerPort": 8081}]},
    ],
)
def test_other_containers_are_no_longer_the_same(bench: Bench, change: dict[str, Any]) -> None:
    made = bench.make("definition", containerDefinitions=containers(**change))
    inputs = bench.inputs("definition")
    live = seen(bench, DEFINITION, made, inputs)
    assert bench.provider.diff(DEFINITION, live, inputs).replaces == ("containerDefinitions",)


def test_containers_that_are_no_json_are_refused_in_a_sentence(bench: Bench) -> None:
    inputs = bench.inputs("definition", containerDefinitions="[{")
    with pytest.raises(ProviderError, match="containerDefinitions is no JSON text"):
        bench.provider.create(DEFINITION, bench.urn("definition"), inputs)


def test_the_order_of_a_command_counts(bench: Bench) -> None:
    made = bench.make("definition", containerDefinitions=containers(command=["a", "b"]))
    inputs = bench.inputs("definition", containerDefinitions=containers(command=["b", "a"]))
    assert seen(bench, DEFINITION, made, inputs) != inputs


def test_a_replaced_definition_is_deregistered_and_the_new_one_stays(bench: Bench) -> None:
    old, new = bench.inputs("definition"), bench.inputs("definition", containerDefinitions=containers(image="new"))
    first = bench.provider.create(DEFINITION, bench.urn("definition"), old)
    second = bench.provider.create(DEFINITION, bench.urn("definition"), new)
    assert first == second == "predict"
    bench.provider.delete(DEFINITION, first, old)
    assert (revisions(bench, "ACTIVE"), revisions(bench, "INACTIVE")) == ([2], [1])
    assert seen(bench, DEFINITION, second, new) == new
    bench.provider.delete(DEFINITION, first, old)
    assert revisions(bench, "ACTIVE") == [2], "a repeated deletion of the old one touches the new one"


def test_revisions_that_killed_runs_left_go_with_the_last_one(bench: Bench) -> None:
    inputs = bench.inputs("definition")
    for _ in range(3):
        bench.provider.create(DEFINITION, bench.urn("definition"), inputs)
    assert bench.provider.inventory() == [(DEFINITION, "predict")]
    bench.provider.delete(DEFINITION, "predict", inputs)
    assert revisions(bench, "ACTIVE") == []
    assert bench.provider.inventory() == []


def test_a_strangers_revisions_of_the_family_are_left_alone(bench: Bench) -> None:
    foreign = {"family": "predict", "containerDefinitions": [{"name": "x", "image": "x", "memory": 64}]}
    ecs(bench.provider.account).register_task_definition(**foreign)
    made, inputs = bench.make("definition"), bench.inputs("definition")
    ecs(bench.provider.account).register_task_definition(**foreign)
    assert seen(bench, DEFINITION, made, inputs) == inputs
    bench.provider.delete(DEFINITION, made, inputs)
    assert (revisions(bench, "ACTIVE"), revisions(bench, "INACTIVE")) == ([1, 3], [2])


def test_a_definition_that_shall_stay_is_not_deregistered(bench: Bench) -> None:
    made = bench.make("definition", skipDestroy=True)
    bench.provider.delete(DEFINITION, made, bench.inputs("definition", skipDestroy=True))
    assert revisions(bench, "ACTIVE") == [1]


def test_another_image_that_the_service_was_sent_to_is_seen_on_the_service(bench: Bench) -> None:
    made, inputs = bench.make("service"), bench.inputs("service")
    other_image(bench.provider.account, made, bench.made["service"])
    live = seen(bench, SERVICE, made, inputs)
    assert live["taskDefinition"].endswith("predict:2")
    assert inputs["taskDefinition"].endswith("predict:1")
    assert seen(bench, DEFINITION, "predict", bench.inputs("definition")) == bench.inputs("definition")


@pytest.mark.parametrize("short", ["predict", "predict:1"])
def test_a_service_may_name_its_definition_in_short(bench: Bench, short: str) -> None:
    bench.make("definition")
    made = bench.make("service", taskDefinition=short)
    inputs = bench.inputs("service", taskDefinition=short)
    assert seen(bench, SERVICE, made, inputs) == inputs


def test_the_emulator_still_forgets_on_creation_what_a_service_is_told_twice(bench: Bench) -> None:
    """Fails when the second call of a service's creation is needed no more."""
    bench.make("service")
    told = {
        "deploymentConfiguration": {"maximumPercent": 150},
        "healthCheckGracePeriodSeconds": 7,
        "enableExecuteCommand": True,
    }
    client = ecs(bench.provider.account)
    client.create_service(cluster="predict", serviceName="raw", taskDefinition="predict", launchType="FARGATE", **told)
    assert set(told) & set(described(bench.provider.account, "x/predict/raw")) == set()


def test_a_deleted_service_and_its_cluster_are_gone_from_the_inventory(bench: Bench) -> None:
    made, inputs = bench.make("service"), bench.inputs("service")
    bench.provider.delete(SERVICE, made, inputs)
    assert described(bench.provider.account, made)["status"] == "INACTIVE"
    bench.provider.delete("aws:ecs/cluster:Cluster", inputs["cluster"], bench.inputs("cluster"))
    left = [token for token, _ in bench.provider.inventory() if token.startswith("aws:ecs")]
    assert left == [DEFINITION]
    assert bench.provider.read(SERVICE, made, inputs) is None


def test_a_change_of_a_tracking_policy_leaves_no_alarm_behind(bench: Bench) -> None:
    made, before = bench.make("tracking"), bench.inputs("tracking")
    after = bench.inputs("tracking", **bench.samples["tracking"].changes)
    bench.provider.update(POLICY, made, before, after)
    alarms = bench.provider.account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    found = bench.provider.read(POLICY, made, after)
    assert found is not None
    assert sorted(alarm["AlarmArn"] for alarm in alarms) == sorted(found[1]["alarmArns"])


def test_steps_in_another_order_are_the_same_steps(bench: Bench) -> None:
    made = bench.make("scale-out")
    block = bench.samples["scale-out"].inputs["stepScalingPolicyConfiguration"]
    inputs = bench.inputs(
        "scale-out",
        stepScalingPolicyConfiguration={**block, "stepAdjustments": list(reversed(block["stepAdjustments"]))},
    )
    assert seen(bench, POLICY, made, inputs) == inputs


@pytest.mark.parametrize(
    ("name", "imported"),
    [
        ("scale-out", "ecs/service/predict/predict/ecs:service:DesiredCount/out"),
        ("scalable", "ecs/service/predict/predict/ecs:service:DesiredCount"),
    ],
)
def test_the_ids_of_imports_are_understood(bench: Bench, name: str, imported: str) -> None:
    bench.make(name)
    found = bench.provider.read(bench.samples[name].token, imported, {})
    assert found is not None
    assert found[0]["resourceId"] == "service/predict/predict"


def test_a_listener_action_that_is_not_known_is_refused_in_a_sentence(bench: Bench) -> None:
    login = [{"type": "authenticate-oidc", "authenticateOidc": {"clientId": "x"}}]
    inputs = bench.inputs("listener", defaultActions=login)
    with pytest.raises(ProviderError, match="no listener action with authenticateOidc"):
        bench.provider.create("aws:lb/listener:Listener", bench.urn("listener"), inputs)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("balancer", "internal", True),
        ("balancer", "name", "another"),
        ("targets", "port", 81),
        ("targets", "vpcId", "vpc-1"),
        ("listener", "loadBalancerArn", "arn"),
        ("cluster", "name", "another"),
        ("definition", "cpu", "512"),
        ("service", "launchType", "EC2"),
        ("scalable", "resourceId", "service/a/b"),
        ("scale-out", "policyType", "TargetTrackingScaling"),
    ],
)
def test_what_cannot_change_in_place_is_replaced(bench: Bench, name: str, key: str, value: object) -> None:
    inputs = bench.inputs(name)
    diff = bench.provider.diff(bench.samples[name].token, inputs, {**inputs, key: value})
    assert diff.replaces == (key,)


def test_the_mark_is_a_tag_of_every_revision(bench: Bench) -> None:
    bench.make("definition")
    answer = ecs(bench.provider.account).describe_task_definition(taskDefinition="predict", include=["TAGS"])
    assert MARK in {tag["key"] for tag in answer["tags"]}
