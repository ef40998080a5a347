"""Roles: each trusts one service, on behalf of this account's resources alone."""

from typing import Any

import pytest

from infra.aws.identity import Identity
from tests.infra.evaluated import CONTEXT, evaluated, only

CASES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("container", "ecs-tasks.amazonaws.com", {"aws:SourceArn": "arn:aws:ecs:eu-west-1:111122223333:*"}),
    ("machine", "ec2.amazonaws.com", None),
    ("function", "lambda.amazonaws.com", None),
    (
        "state-machine",
        "states.amazonaws.com",
        {"aws:SourceArn": "arn:aws:states:eu-west-1:111122223333:stateMachine:*"},
    ),
    ("rule", "events.amazonaws.com", {"aws:SourceArn": "arn:aws:events:eu-west-1:111122223333:rule/*"}),
    (
        "schedule",
        "scheduler.amazonaws.com",
        {"aws:SourceArn": "arn:aws:scheduler:eu-west-1:111122223333:schedule-group/*"},
    ),
    ("cluster", "eks.amazonaws.com", None),
    (
        "flow-log",
        "vpc-flow-logs.amazonaws.com",
        {"aws:SourceArn": "arn:aws:ec2:eu-west-1:111122223333:vpc-flow-log/*"},
    ),
]


@pytest.mark.parametrize(("runs_on", "service", "source"), CASES)
def test_a_role_trusts_the_service_of_its_workload_and_no_other(
    runs_on: str, service: str, source: dict[str, Any] | None
) -> None:
    role = only(evaluated(lambda account: Identity("x", runs_on, account=account, ctx=CONTEXT)), "Role")
    trust, *pods = role.document("assumeRolePolicy")
    assert [row["Principal"] for row in pods] == [{"Service": "pods.eks.amazonaws.com"}] * (runs_on == "container")
    assert trust["Principal"] == {"Service": service}
    assert trust["Action"] == ["sts:AssumeRole"]
    condition = {"StringEquals": {"aws:SourceAccount": "111122223333"}, "ArnLike": source}
    assert trust.get("Condition") == (condition if source else None)


@pytest.mark.parametrize("runs_on", ["container", "pod"])
def test_a_pod_takes_on_a_role_on_the_clusters_of_its_environment_alone(runs_on: str) -> None:
    role = only(evaluated(lambda account: Identity("x", runs_on, account=account, ctx=CONTEXT)), "Role")
    trust = role.document("assumeRolePolicy")[-1]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "111122223333"},
        "ArnLike": {"aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-west-1:111122223333:cluster/groundwork-dev-*"},
    }


def test_a_new_identity_may_do_nothing() -> None:
    resources = evaluated(lambda account: Identity("x", "container", account=account, ctx=CONTEXT))
    assert [resource.type for resource in resources] == ["groundwork:aws:Identity", "aws:iam/role:Role"]
