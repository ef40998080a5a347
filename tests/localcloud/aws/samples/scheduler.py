"""Samples of EventBridge Scheduler."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:"
OWN = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")


def scheduler(account: Account) -> Any:
    return account.client("scheduler")


def change(**said: Any) -> Behind:
    """The schedule as it is, but for some parts."""

    def write(account: Account, _: str, outputs: Any) -> None:
        live = scheduler(account).get_schedule(Name=outputs["name"], GroupName=outputs["groupName"])
        same = {key: value for key, value in live.items() if key not in OWN}
        scheduler(account).update_schedule(**{**same, **said})

    return write


def target(name: str) -> dict[str, Any]:
    return {
        "arn": f"{MACHINE}{name}",
        "roleArn": "arn:aws:iam::123456789012:role/schedule",
        "input": "{}",
        "retryPolicy": {"maximumRetryAttempts": 3, "maximumEventAgeInSeconds": 3600},
    }


def tag(account: Account, _: str, outputs: Any) -> None:
    scheduler(account).tag_resource(ResourceArn=outputs["arn"], Tags=[{"Key": "added", "Value": "1"}])


SAMPLES = {
    "schedule": Sample(
        "aws:scheduler/schedule:Schedule",
        {
            "name": "retrain",
            "groupName": Ref("schedule-group"),
            "description": "Every night",
            "scheduleExpression": "cron(0 3 * * ? *)",
            "scheduleExpressionTimezone": "Europe/Berlin",
            "flexibleTimeWindow": {"mode": "OFF"},
            "kmsKeyArn": Ref("key", "arn"),
            "target": target("retrain"),
        },
        changes={
            "description": "changed",
            "scheduleExpression": "rate(7 days)",
            "scheduleExpressionTimezone": "UTC",
            "flexibleTimeWindow": {"mode": "FLEXIBLE", "maximumWindowInMinutes": 15},
            "kmsKeyArn": None,
            "state": "DISABLED",
            "target": target("other"),
        },
        behind={
            "description": change(Description="x"),
            "scheduleExpression": change(ScheduleExpression="rate(1 minute)"),
            "scheduleExpressionTimezone": change(ScheduleExpressionTimezone="Asia/Tokyo"),
            "flexibleTimeWindow": change(FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1}),
            "kmsKeyArn": change(KmsKeyArn="arn:aws:kms:eu-central-1:123456789012:key/x"),
            "state": change(State="DISABLED"),
            "target": change(Target={"Arn": f"{MACHINE}x", "RoleArn": "arn:aws:iam::123456789012:role/x"}),
        },
    ),
    "schedule-of-no-group": Sample(
        "aws:scheduler/schedule:Schedule",
        {
            "scheduleExpression": "rate(1 day)",
            "flexibleTimeWindow": {"mode": "OFF"},
            "target": {"arn": f"{MACHINE}retrain", "roleArn": "arn:aws:iam::123456789012:role/schedule"},
        },
    ),
    "schedule-group": Sample(
        "aws:scheduler/scheduleGroup:ScheduleGroup",
        {"name": "retrain", "tags": TAGS},
        changes={"tags": OTHER_TAGS},
        behind={"tags": tag},
    ),
}
