"""What a workflow does, in Amazon States Language, and when, in the words of EventBridge Scheduler. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.shape import Step, Unsupported

STEP_SECONDS = 6 * 3600  # after which a step counts as failed
# What ECS and Fargate answer when they, and not the step, are to blame; a step that fails by itself is not run again.
PASSING = ["ECS.AmazonECSException", "ECS.ServerException", "ECS.ThrottlingException"]
PASSING_DEPLOY = ["Ecs.ServerException", "Ecs.SdkClientException"]
DEPLOY, FAILED = "deploy", "failed"
DAYS = range(7)  # Sunday to Saturday


@dataclass(frozen=True)
class Task:
    """Where steps run: a Fargate task, whose container of this name gets each step's command."""

    cluster: pulumi.Input[str]
    definition: pulumi.Input[str]
    container: str
    subnets: Sequence[pulumi.Input[str]]
    groups: Sequence[pulumi.Input[str]]


def definition(steps: Sequence[Step], task: Task, deploys: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
    """The state machine: the steps in order, then the deployment; the first failure ends it as failed.

    `deploys` has the `Cluster` and the `Service` whose copies are replaced by new ones.
    """
    names = [*(step.name for step in steps), DEPLOY]
    if len(set(names)) < len(names) or FAILED in names:
        raise Unsupported(f"aws: the steps {names[:-1]} need names of their own, other than {DEPLOY} and {FAILED}.")
    states = {step.name: _run(step, after, task) for step, after in zip(steps, names[1:], strict=True)}
    states[DEPLOY] = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ecs:updateService",
        "Parameters": {**deploys, "ForceNewDeployment": True},
        "TimeoutSeconds": 60,
        "Retry": [_again(PASSING_DEPLOY)],
        "Catch": [_gives_up()],
        "End": True,
    }
    states[FAILED] = {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"}
    return {"Comment": ", then ".join(names), "StartAt": names[0], "States": states}


def _run(step: Step, after: str, task: Task) -> dict[str, Any]:
    """Runs the step's command in a task of its own, and waits until it has ended well."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Parameters": {
            "LaunchType": "FARGATE",
            "Cluster": task.cluster,
            "TaskDefinition": task.definition,
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {
                    "Subnets": list(task.subnets),
                    "SecurityGroups": list(task.groups),
                    "AssignPublicIp": "DISABLED",
                }
            },
            "Overrides": {"ContainerOverrides": [{"Name": task.container, "Command": list(step.command)}]},
        },
        "TimeoutSeconds": STEP_SECONDS,
        "Retry": [_again(PASSING)],
        "Catch": [_gives_up()],
        "ResultPath": None,  # steps hand nothing on but what they store
        "Next": after,
    }


def _again(errors: list[str]) -> dict[str, Any]:
    return {"ErrorEquals": errors, "IntervalSeconds": 30, "BackoffRate": 2, "MaxAttempts": 3}


def _gives_up() -> dict[str, Any]:
    return {"ErrorEquals": ["States.ALL"], "Next": FAILED}


def landing(bucket: pulumi.Input[str], prefix: str) -> dict[str, Any]:
    """The event that an object has landed under the prefix."""
    return {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": prefix}]}},
    }


def schedule(cron: str) -> str:
    """Cron's five fields (minute, hour, day, month, weekday) in the six of EventBridge Scheduler.

    There a year comes last, Sunday is 1, and either the day of the month or that of the week is "?". Raises
    Unsupported if cron names both, which means one or the other, and ValueError if it is not five fields.
    """
    minute, hour, day, month, weekday = cron.split()
    if weekday == "*":
        return f"cron({minute} {hour} {day} {month} ? *)"
    if day != "*":
        raise Unsupported(
            f"aws: a schedule cannot say both a day of the month and one of the week, as {cron!r} does; leave one out."
        )
    if weekday not in map(str, DAYS):
        raise ValueError(f"A weekday is a number from 0 (Sunday) to 6, found {weekday!r} in {cron!r}.")
    return f"cron({minute} {hour} ? {month} {int(weekday) + 1} *)"
