"""The alerts, as alarms of CloudWatch, and the topic through which they reach their owner."""

from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alerts import CAPACITY, DRIFT, ERRORS, LATENCY, RETRAINING, Alert
from infra.aws.metrics import BALANCER, COPIES, SHARE, STATES, Subject
from infra.aws.names import ALARM, TOPIC, Account
from infra.aws.policy import Statement, allow, document
from infra.context import Context
from infra.shape import Key, Scale

OVER, AT_LEAST = "GreaterThanThreshold", "GreaterThanOrEqualToThreshold"
PERIOD = 300  # seconds


class Alarms(pulumi.ComponentResource):
    """An alarm for each alert, an e-mail for each alarm."""

    def __init__(
        self,
        of: Subject,
        scale: Scale,
        owner: str,
        runbook: str,
        key: Key,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Alarms", "alerts", None, opts)
        self._owner, self._runbook, self._ctx = owner, runbook, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._topic = self._mail(key, account)
        self._alarm(ERRORS, treat_missing_data="notBreaching", metric_queries=_share_of_errors(of))
        self._alarm(
            LATENCY,
            treat_missing_data="notBreaching",
            namespace=BALANCER,
            metric_name="TargetResponseTime",
            dimensions=of.balancer,
            extended_statistic="p99",
            period=PERIOD,
        )
        if scale.maximum > scale.minimum:  # what cannot grow is always at its maximum
            self._alarm(
                CAPACITY,
                comparison=AT_LEAST,
                threshold=scale.maximum,
                treat_missing_data="notBreaching",
                namespace=COPIES,
                metric_name="DesiredTaskCount",
                dimensions=of.service,
                statistic="Minimum",
                period=PERIOD,
            )
        self._alarm(
            DRIFT,
            treat_missing_data="ignore",  # who is not asked has not recovered
            namespace=of.namespace,
            metric_name=SHARE,
            statistic="Maximum",
            period=PERIOD,
        )
        self._alarm(RETRAINING, treat_missing_data="notBreaching", metric_queries=_failures(of))
        self.register_outputs({})

    def _mail(self, key: Key, account: Account) -> aws.sns.Topic:
        topic = aws.sns.Topic(
            "alerts",
            name=self._ctx.name("alerts", TOPIC),
            kms_master_key_id=key.id,
            tags=self._ctx.tags,
            opts=self._child,
        )
        publish = _who_may_publish(topic.arn, account)
        aws.sns.TopicPolicy("alerts", arn=topic.arn, policy=document(*publish), opts=self._child)
        aws.sns.TopicSubscription("alerts", topic=topic.arn, protocol="email", endpoint=self._owner, opts=self._child)
        return topic

    def _alarm(self, alert: Alert, *, comparison: str = OVER, threshold: float | None = None, **measured: Any) -> None:
        aws.cloudwatch.MetricAlarm(
            alert.id,
            name=self._ctx.name(alert.id, ALARM),
            alarm_description=alert.text(self._owner, self._runbook),
            comparison_operator=comparison,
            threshold=alert.threshold if threshold is None else threshold,
            evaluation_periods=max(1, alert.minutes * 60 // PERIOD),
            alarm_actions=[self._topic.arn],
            ok_actions=[self._topic.arn],
            tags=self._ctx.tags,
            opts=self._child,
            **measured,
        )


def _sum(name: str, space: str, metric: str, dimensions: Any) -> dict[str, Any]:
    return {
        "id": name,
        "metric": {
            "namespace": space,
            "metric_name": metric,
            "dimensions": dimensions,
            "stat": "Sum",
            "period": PERIOD,
        },
    }


def _answer(expression: str, label: str) -> dict[str, Any]:
    return {"id": "answer", "expression": expression, "label": label, "return_data": True}


def _share_of_errors(of: Subject) -> list[dict[str, Any]]:
    """The service's errors and those of the balancer that found no service, which it does not count as requests."""
    return [
        _sum("failed", BALANCER, "HTTPCode_Target_5XX_Count", of.balancer),
        _sum("unserved", BALANCER, "HTTPCode_ELB_5XX_Count", of.balancer),
        _sum("calls", BALANCER, "RequestCount", of.balancer),
        _answer(
            "(FILL(failed, 0) + FILL(unserved, 0)) / (FILL(calls, 0) + FILL(unserved, 0))", "Share of failed calls"
        ),
    ]


def _failures(of: Subject) -> list[dict[str, Any]]:
    return [
        _sum("failed", STATES, "ExecutionsFailed", of.workflow),
        _sum("late", STATES, "ExecutionsTimedOut", of.workflow),
        _answer("FILL(failed, 0) + FILL(late, 0)", "Failed runs"),
    ]


def _who_may_publish(topic: pulumi.Output[str], account: Account) -> list[Statement]:
    return [
        allow(
            ["sns:Publish"],
            [topic],
            principal={"Service": "cloudwatch.amazonaws.com"},
            when={
                "StringEquals": {"aws:SourceAccount": account.id},
                "ArnLike": {"aws:SourceArn": account.arn("cloudwatch", "alarm:*")},
            },
            sid="AlarmsOfThisAccount",
        ),
        {
            "Sid": "DenyPlainTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["sns:Publish"],
            "Resource": [topic],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
