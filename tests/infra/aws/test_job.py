"""A job that people start: what it runs as, and that nothing starts it by itself."""

import json
from typing import Any

import pytest

from tests.infra.aws.planning import plan_of
from tests.plans.plans import Plan, allowed, listed


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of()


def container(plan: Plan, task: str) -> dict[str, Any]:
    (found,) = json.loads(plan.named("ecs:TaskDefinition", task).inputs["containerDefinitions"])
    assert isinstance(found, dict)
    return found


def test_a_job_is_the_image_by_digest_unprivileged_and_writes_nowhere(plan: Plan) -> None:
    found = container(plan, "forget")
    assert found["command"] == ["forget"]
    assert "@sha256:" in found["image"]
    assert (found["user"], found["privileged"], found["readonlyRootFilesystem"]) == ("10001:10001", False, True)
    assert found["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert "mountPoints" not in found


def test_a_job_runs_as_its_own_identity_which_nothing_else_is(plan: Plan) -> None:
    roles = {row.name: row.inputs["taskRoleArn"] for row in plan.of_type("ecs:TaskDefinition")}
    assert roles["forget"].endswith(":role/groundwork-dev-eraser")
    assert list(roles.values()).count(roles["forget"]) == 1


def test_nobody_is_granted_to_start_a_job(plan: Plan) -> None:
    task = plan.named("ecs:TaskDefinition", "forget").outputs["arn"]
    eraser = plan.named("iam:Role", "eraser").outputs["arn"]
    for row in plan.of_type("iam:RolePolicy"):
        named = {what for statement in row.document() for what in listed(statement.get("Resource", []))}
        assert not named & {task, eraser}, row.name


def test_what_starts_a_job_pulls_and_logs_and_touches_no_data(plan: Plan) -> None:
    services = {action.partition(":")[0] for action, _ in allowed(plan.granted("forget-starter"))}
    assert services == {"ecr", "logs"}


def test_the_service_may_write_to_its_scratch_directory_and_nowhere_else(plan: Plan) -> None:
    task = plan.named("ecs:TaskDefinition", "predict").inputs
    found = container(plan, "predict")
    assert found["readonlyRootFilesystem"] is True
    assert [volume["name"] for volume in task["volumes"]] == ["scratch"]
    assert "hostPath" not in task["volumes"][0]  # of the task's own disk
    assert found["mountPoints"] == [{"sourceVolume": "scratch", "containerPath": "/spool", "readOnly": False}]
    assert "volumes" not in plan.named("ecs:TaskDefinition", "retrain").inputs
