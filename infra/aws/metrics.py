"""Which metrics of CloudWatch say how the service, its model and its retraining are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alerts import DRIFT_EVENT, DRIFT_SHARE, EVALUATION_ERROR, EVALUATION_EVENT
from infra.aws.names import METRICS, Account
from infra.context import Context, joined

BALANCER, CONTAINERS, COPIES, STATES = "AWS/ApplicationELB", "AWS/ECS", "ECS/ContainerInsights", "AWS/States"
SHARE, RMSE = "DriftShare", "EvaluationError"
# What the app says in its log, by event: the field that counts, and the metric that it becomes.
EVENTS = {DRIFT_EVENT: (DRIFT_SHARE, SHARE), EVALUATION_EVENT: (EVALUATION_ERROR, RMSE)}


@dataclass(frozen=True)
class Subject:
    """Whom the metrics are about, as CloudWatch names them in dimensions."""

    namespace: str
    balancer: Mapping[str, pulumi.Input[str]]
    service: Mapping[str, pulumi.Input[str]]
    workflow: Mapping[str, pulumi.Input[str]]


def namespace(ctx: Context) -> str:
    """Where the environment's own metrics lie."""
    return joined((ctx.project, ctx.environment), METRICS)


def subject(
    balancer: pulumi.Input[str],
    cluster: pulumi.Input[str],
    service: pulumi.Input[str],
    workflow: pulumi.Output[str],
    *,
    account: Account,
    ctx: Context,
) -> Subject:
    """The service behind this balancer, and the state machine of this name."""
    machine = pulumi.Output.concat(account.arn("states", "stateMachine:"), workflow)
    return Subject(
        namespace(ctx),
        {"LoadBalancer": balancer},
        {"ClusterName": cluster, "ServiceName": service},
        {"StateMachineArn": machine},
    )


def from_log(event: str, log: pulumi.Input[str], *, ctx: Context, opts: pulumi.ResourceOptions) -> None:
    """Makes a metric of the number that the app's events of this name bring."""
    field, metric = EVENTS[event]
    aws.cloudwatch.LogMetricFilter(
        event,
        name=event,
        log_group_name=log,
        pattern=f'{{ $.event = "{event}" }}',
        metric_transformation={"name": metric, "namespace": namespace(ctx), "value": f"$.{field}"},
        opts=opts,
    )


def row(space: str, metric: str, dimensions: Mapping[str, pulumi.Input[str]], **shown: Any) -> list[Any]:
    """A metric as a dashboard wants it."""
    flat = [item for pair in dimensions.items() for item in pair]
    return [space, metric, *flat, shown]
