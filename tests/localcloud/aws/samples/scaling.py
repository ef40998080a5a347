"""Samples of Application Auto Scaling."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample
from tests.localcloud.aws.samples.ec2 import TAGS

ECS = {"serviceNamespace": "ecs", "scalableDimension": "ecs:service:DesiredCount"}
KEY = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}


def scaling(account: Account) -> Any:
    return account.client("application-autoscaling")


def register(**said: Any) -> Any:
    return lambda a, i, _: scaling(a).register_scalable_target(ResourceId=i, **KEY, **said)


def put(kind: str, **said: Any) -> Any:
    return lambda a, i, outputs: scaling(a).put_scaling_policy(
        ResourceId=outputs["resourceId"],
        PolicyName=i,
        PolicyType=kind,
        **{f"{kind.removesuffix('Scaling')}ScalingPolicyConfiguration": said},
        **KEY,
    )


def tags_of(account: Account, made: str) -> Any:
    targets = scaling(account).describe_scalable_targets(ResourceIds=[made], **KEY)["ScalableTargets"]
    try:
        return scaling(account).list_tags_for_resource(ResourceARN=targets[0]["ScalableTargetARN"])["Tags"]
    except ClientError:
        return None


OUT = {
    "adjustmentType": "ChangeInCapacity",
    "cooldown": 60,
    "metricAggregationType": "Average",
    "stepAdjustments": [
        {"metricIntervalLowerBound": "0", "metricIntervalUpperBound": "10.5", "scalingAdjustment": 1},
        {"metricIntervalLowerBound": "10.5", "scalingAdjustment": 3},
    ],
}
TRACK = {
    "targetValue": 75,
    "scaleInCooldown": 60,
    "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"},
}

SAMPLES = {
    "scalable": Sample(
        "aws:appautoscaling/target:Target",
        {
            **ECS,
            "resourceId": "service/<<cluster.name>>/<<service.name>>",
            "minCapacity": 3,
            "maxCapacity": 10,
            "tags": TAGS,
        },
        changes={"minCapacity": 2, "maxCapacity": 12, "suspendedState": {"dynamicScalingInSuspended": True}},
        behind={
            "minCapacity": register(MinCapacity=0),
            "maxCapacity": register(MaxCapacity=100),
            "suspendedState": register(SuspendedState={"DynamicScalingOutSuspended": True}),
        },
        lost={"tags": ({"project": "p"}, tags_of)},
    ),
    "scalable-with-role": Sample(
        "aws:appautoscaling/target:Target",
        {
            **ECS,
            "resourceId": "service/<<cluster.name>>/<<service.name>>",
            "minCapacity": 1,
            "maxCapacity": 1,
            "roleArn": "arn:aws:iam::123456789012:role/scaling",
            "suspendedState": {"dynamicScalingInSuspended": True, "dynamicScalingOutSuspended": False},
        },
        changes={"suspendedState": None},
    ),
    "scale-out": Sample(
        "aws:appautoscaling/policy:Policy",
        {
            **ECS,
            "name": "out",
            "policyType": "StepScaling",
            "resourceId": Ref("scalable", "resourceId"),
            "stepScalingPolicyConfiguration": OUT,
        },
        changes={
            "stepScalingPolicyConfiguration": {
                **OUT,
                "cooldown": 300,
                "stepAdjustments": [{"metricIntervalUpperBound": "0", "scalingAdjustment": -1}],
            }
        },
        behind={
            "stepScalingPolicyConfiguration": put(
                "StepScaling",
                AdjustmentType="ChangeInCapacity",
                Cooldown=60,
                MetricAggregationType="Average",
                StepAdjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 99}],
            )
        },
    ),
    "tracking": Sample(
        "aws:appautoscaling/policy:Policy",
        {
            **ECS,
            "policyType": "TargetTrackingScaling",
            "resourceId": Ref("scalable", "resourceId"),
            "targetTrackingScalingPolicyConfiguration": TRACK,
        },
        changes={"targetTrackingScalingPolicyConfiguration": {**TRACK, "targetValue": 50.5, "disableScaleIn": True}},
        behind={
            "targetTrackingScalingPolicyConfiguration": put(
                "TargetTrackingScaling",
                TargetValue=90,
                PredefinedMetricSpecification={"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
            )
        },
    ),
}
