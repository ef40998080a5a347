"""How many copies of a service run: one alarm adds a copy, another takes one away."""

import pulumi
import pulumi_aws as aws

from infra.aws.names import ALARM, CONTAINERS
from infra.context import Context
from infra.shape import Scale

Step = aws.appautoscaling.PolicyStepScalingPolicyConfigurationStepAdjustmentArgsDict
DIMENSION, NAMESPACE = "ecs:service:DesiredCount", "ecs"


class Scaling(pulumi.ComponentResource):
    """Out after 2 minutes of busy CPU, in after 10 minutes of idle CPU, and never under the minimum.

    Two policies in steps and not one with a target, as the promise has two thresholds.
    """

    def __init__(
        self,
        name: str,
        scale: Scale,
        cluster: pulumi.Output[str],
        service: pulumi.Output[str],
        *,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Scaling", name, None, opts)
        self._ctx, self._child = ctx, pulumi.ResourceOptions(parent=self)
        self._dimensions = {"ClusterName": cluster, "ServiceName": service}
        self._target = aws.appautoscaling.Target(
            name,
            min_capacity=scale.minimum,
            max_capacity=scale.maximum,
            resource_id=pulumi.Output.concat("service/", cluster, "/", service),
            scalable_dimension=DIMENSION,
            service_namespace=NAMESPACE,
            tags=ctx.tags,
            opts=self._child,
        )
        self._step(
            f"{name}-out",
            {"metric_interval_lower_bound": "0", "scaling_adjustment": 1},
            minutes=2,
            comparison="GreaterThanOrEqualToThreshold",
            threshold=scale.cpu_out,
        )
        self._step(
            f"{name}-in",
            {"metric_interval_upper_bound": "0", "scaling_adjustment": -1},
            minutes=10,
            comparison="LessThanThreshold",
            threshold=scale.cpu_in,
        )
        self.register_outputs({})

    def _step(self, name: str, step: Step, *, minutes: int, comparison: str, threshold: int) -> None:
        policy = aws.appautoscaling.Policy(
            name,
            name=self._ctx.name(name, CONTAINERS),
            policy_type="StepScaling",
            # The target's own outputs, so that the policy comes after it and goes before it.
            resource_id=self._target.resource_id,
            scalable_dimension=self._target.scalable_dimension,
            service_namespace=self._target.service_namespace,
            step_scaling_policy_configuration={
                "adjustment_type": "ChangeInCapacity",
                "cooldown": 60 * minutes,
                "metric_aggregation_type": "Average",
                "step_adjustments": [step],
            },
            opts=self._child,
        )
        aws.cloudwatch.MetricAlarm(
            name,
            name=self._ctx.name(name, ALARM),
            alarm_description=f"Average CPU over {minutes} minutes against {threshold} %: the scaling acts",
            namespace="AWS/ECS",
            metric_name="CPUUtilization",
            dimensions=self._dimensions,
            statistic="Average",
            period=60,
            evaluation_periods=minutes,
            comparison_operator=comparison,
            threshold=threshold,
            alarm_actions=[policy.arn],
            tags=self._ctx.tags,
            opts=self._child,
        )
