"""The workflow on AWS: its steps in order as local processes, what starts it, and what each identity may do."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.aws import states
from infra.shape import Step, Unsupported
from tests.app import processes
from tests.infra.aws.planning import plan_of
from tests.infra.aws.state_machine import TaskError, walk
from tests.plans.plans import Plan, Statement

RUN, DEPLOY = "arn:aws:states:::ecs:runTask.sync", "arn:aws:states:::aws-sdk:ecs:updateService"
ORDER = ["drift", "train", "evaluate", "publish", "deploy"]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of()


@pytest.fixture
def definition(plan: Plan) -> dict[str, Any]:
    found = json.loads(plan.named("sfn:StateMachine", "retrain").inputs["definition"])
    assert isinstance(found, dict)
    return found


def command(parameters: Mapping[str, Any]) -> list[str]:
    """What a task's container is told to do."""
    (override,) = parameters["Overrides"]["ContainerOverrides"]
    assert isinstance(override["Command"], list)
    return override["Command"]


def container(plan: Plan) -> dict[str, Any]:
    """The container of the steps."""
    (found,) = json.loads(plan.named("ecs:TaskDefinition", "retrain").inputs["containerDefinitions"])
    assert isinstance(found, dict)
    return found


def granted(plan: Plan, identity: str) -> dict[str, Statement]:
    """What an identity may do: action → the statement."""
    return {action: row for row in plan.granted(identity) for action in row["Action"]}


@pytest.mark.slow
def test_the_steps_look_for_drift_train_evaluate_publish_and_deploy_a_model_when_they_are_run(
    definition: dict[str, Any],
) -> None:
    deployed: list[Mapping[str, Any]] = []
    with processes.moto_server() as url:

        def do(resource: str, parameters: Mapping[str, Any]) -> None:
            if resource == DEPLOY:
                published = processes.s3(url).get_object(Bucket="models", Key="height-weight/current.json")
                assert json.load(published["Body"])["version"]
                deployed.append(parameters)
                return
            assert resource == RUN
            done = processes.run(command(parameters), processes.environment(url))
            if done.returncode:
                raise TaskError("States.TaskFailed")

        walked = walk(definition, do)
    assert (walked.states, walked.error) == (ORDER, None)
    (parameters,) = deployed
    assert parameters == {
        "Cluster": "groundwork-dev-predict",
        "Service": "groundwork-dev-predict",
        "ForceNewDeployment": True,
    }


@pytest.mark.slow
def test_a_step_that_fails_as_a_process_ends_the_workflow(definition: dict[str, Any]) -> None:
    """Evaluation finds no model where training was not run; nothing to look at is no failure of the look for drift."""
    with processes.moto_server() as url:
        variables = {**processes.environment(url), "MODEL_STORE": "s3://models/untrained/"}

        def do(resource: str, parameters: Mapping[str, Any]) -> None:
            skipped = command(parameters) == ["train"]
            if not skipped and processes.run(command(parameters), variables).returncode:
                raise TaskError("States.TaskFailed")

        walked = walk(definition, do)
    assert (walked.states, walked.error) == (["drift", "train", "evaluate", "failed"], "States.TaskFailed")


@pytest.mark.parametrize("failing", range(len(ORDER)))
def test_the_first_failure_ends_it_and_nothing_comes_after(definition: dict[str, Any], failing: int) -> None:
    calls = 0

    def do(resource: str, parameters: Mapping[str, Any]) -> None:
        nonlocal calls
        calls += 1
        if calls == failing + 1:
            raise TaskError("States.TaskFailed")

    walked = walk(definition, do)
    assert walked.states == [*ORDER[: failing + 1], "failed"]
    assert walked.error == "States.TaskFailed"
    assert calls == failing + 1  # what fails by itself is not run again


def test_a_step_is_run_again_where_the_platform_failed_and_not_without_end(definition: dict[str, Any]) -> None:
    calls = 0

    def do(resource: str, parameters: Mapping[str, Any]) -> None:
        nonlocal calls
        calls += 1
        raise TaskError("ECS.AmazonECSException")

    walked = walk(definition, do)
    assert (walked.states, calls) == (["drift", "failed"], 4)


def test_no_step_runs_for_ever(definition: dict[str, Any]) -> None:
    for state in definition["States"].values():
        assert state["Type"] == "Fail" or state["TimeoutSeconds"] <= 6 * 3600


def test_steps_of_one_name_or_of_the_deployment_s_are_refused() -> None:
    task = states.Task("c", "d", "n", [], [])
    for names in (("a", "a"), ("deploy",), ("failed",)):
        with pytest.raises(Unsupported, match="names of their own"):
            states.definition([Step(name, (name,)) for name in names], task, {})


def test_the_steps_run_in_the_private_network_without_an_address(plan: Plan, definition: dict[str, Any]) -> None:
    subnets = [row.outputs["id"] for row in plan.of_type("ec2:Subnet")]
    for name in ORDER[:-1]:
        network = definition["States"][name]["Parameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["Subnets"] == subnets
        assert network["AssignPublicIp"] == "DISABLED"


def test_the_container_is_the_image_by_digest_unprivileged_and_logs(plan: Plan) -> None:
    found = container(plan)
    assert "@sha256:" in found["image"]
    assert (found["user"], found["privileged"], found["readonlyRootFilesystem"]) == ("10001:10001", False, True)
    assert found["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert {"entryPoint", "command"}.isdisjoint(found)  # the image's entry point, with a step's command
    log = plan.named("cloudwatch:LogGroup", "retrain")
    assert found["logConfiguration"]["options"]["awslogs-group"] == log.inputs["name"]
    assert {row["name"] for row in found["environment"]} == {"DATA_STORE", "MODEL_STORE"}
    assert plan.named("ecs:TaskDefinition", "retrain").inputs["taskRoleArn"].endswith("/groundwork-dev-workflow")


def test_every_run_is_logged_under_our_key_without_its_data(plan: Plan) -> None:
    log = plan.named("cloudwatch:LogGroup", "retrain-states")
    logging = plan.named("sfn:StateMachine", "retrain").inputs["loggingConfiguration"]
    assert logging == {"level": "ALL", "includeExecutionData": False, "logDestination": f"{log.outputs['arn']}:*"}
    assert log.inputs["kmsKeyId"] == plan.named("kms:Key", "logs").outputs["arn"]


def test_the_state_machine_may_run_its_steps_deploy_its_service_and_log_alone(plan: Plan) -> None:
    may = granted(plan, "retrain-runner")
    task = plan.named("ecs:TaskDefinition", "retrain").outputs["arn"]
    cluster = plan.named("ecs:Cluster", "retrain").outputs["arn"]
    assert may["ecs:RunTask"]["Resource"] == [task]
    assert may["ecs:RunTask"]["Condition"] == {"ArnEquals": {"ecs:cluster": cluster}}
    assert may["ecs:StopTask"]["Resource"] == [cluster.replace(":cluster/", ":task/") + "/*"]
    assert may["ecs:UpdateService"]["Resource"] == [plan.named("ecs:Service", "predict").outputs["arn"]]
    assert {action.split(":")[0] for action in may} == {"ecs", "events", "iam", "logs"}


def test_the_state_machine_hands_its_two_roles_to_tasks_and_to_nothing_else(plan: Plan) -> None:
    handed = granted(plan, "retrain-runner")["iam:PassRole"]
    roles = [plan.named("iam:Role", name).outputs["arn"] for name in ("retrain-starter", "workflow")]
    assert handed["Resource"] == roles
    assert handed["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


@pytest.mark.parametrize("starter", ["retrain-landing", "retrain-schedule"])
def test_what_starts_it_may_start_it_and_nothing_else(plan: Plan, starter: str) -> None:
    machine = plan.named("sfn:StateMachine", "retrain").outputs["arn"]
    (statement,) = plan.granted(starter)
    assert (statement["Action"], statement["Resource"]) == (["states:StartExecution"], [machine])


def test_an_object_that_lands_under_the_prefix_starts_it(plan: Plan) -> None:
    bucket = plan.named("s3:Bucket", "data").inputs["bucket"]
    rule = plan.named("cloudwatch:EventRule", "retrain-landing")
    assert json.loads(rule.inputs["eventPattern"]) == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": "people/incoming/"}]}},
    }
    target = plan.named("cloudwatch:EventTarget", "retrain-landing").inputs
    assert target["arn"] == plan.named("sfn:StateMachine", "retrain").outputs["arn"]
    assert target["rule"] == rule.inputs["name"]
    (notification,) = plan.of_type("s3:BucketNotification")
    assert (notification.inputs["bucket"], notification.inputs["eventbridge"]) == (bucket, True)


def test_a_schedule_in_utc_starts_it(plan: Plan) -> None:
    inputs = plan.named("scheduler:Schedule", "retrain").inputs
    assert inputs["scheduleExpression"] == "cron(30 2 ? * 1 *)"
    assert inputs["scheduleExpressionTimezone"] == "UTC"
    assert inputs["target"]["arn"] == plan.named("sfn:StateMachine", "retrain").outputs["arn"]


@pytest.mark.parametrize(
    ("cron", "expression"),
    [
        ("30 2 * * 0", "cron(30 2 ? * 1 *)"),  # Sundays
        ("0 0 * * 6", "cron(0 0 ? * 7 *)"),  # Saturdays
        ("5 4 1 * *", "cron(5 4 1 * ? *)"),
        ("5 4 * 12 *", "cron(5 4 * 12 ? *)"),
        ("0 3 * * *", "cron(0 3 * * ? *)"),
    ],
)
def test_five_fields_of_cron_become_six(cron: str, expression: str) -> None:
    assert states.schedule(cron) == expression


def test_a_day_of_the_month_and_one_of_the_week_are_refused() -> None:
    with pytest.raises(Unsupported, match="leave one out"):
        states.schedule("0 3 1 * 0")


@pytest.mark.parametrize("cron", ["0 3 * *", "0 3 * * 7", "0 3 * * 1-5"])
def test_what_is_no_schedule_of_ours_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|weekday"):
        states.schedule(cron)
