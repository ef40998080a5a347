"""Samples of budgets."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Probe, Sample


def told(share: int, **more: Any) -> dict[str, Any]:
    return {
        "notificationType": "ACTUAL",
        "comparisonOperator": "GREATER_THAN",
        "threshold": share,
        "thresholdType": "PERCENTAGE",
        "subscriberEmailAddresses": ["owner@example.com"],
        **more,
    }


def nobody(account: Account, made: str, _: Any) -> None:
    client, where = account.client("budgets"), {"AccountId": account.account_id, "BudgetName": "watch"}
    for row in client.describe_notifications_for_budget(**where)["Notifications"]:
        client.delete_notification(**where, Notification=row)


def refused(operation: str, **said: Any) -> Probe:
    """What a call tells that the emulator does not know: nothing."""

    def probe(account: Account, _: str) -> Any:
        try:
            return getattr(account.client("budgets"), operation)(**said)
        except ClientError as error:
            return None if error.response["Error"]["Code"] == "500" else error

    return probe


ARN = "arn:aws:budgets::123456789012:budget/watch"
NOTIFICATION = {
    "NotificationType": "ACTUAL",
    "ComparisonOperator": "GREATER_THAN",
    "Threshold": 80.0,
    "ThresholdType": "PERCENTAGE",
}
SUBSCRIBERS = refused(
    "describe_subscribers_for_notification",
    AccountId="123456789012",
    BudgetName="watch",
    Notification=NOTIFICATION,
)

SAMPLES = {
    "budget": Sample(
        "aws:budgets/budget:Budget",
        {
            "name": "watch",
            "accountId": "123456789012",
            "budgetType": "COST",
            "limitAmount": "500.0",
            "limitUnit": "USD",
            "timeUnit": "MONTHLY",
            "timePeriodStart": "2026-01-01_00:00",
            "costFilters": [{"name": "TagKeyValue", "values": ["user:project$p"]}],
            "notifications": [told(80), told(100, notificationType="FORECASTED")],
        },
        changes={"notifications": [told(50), told(100, notificationType="FORECASTED")]},
        behind={"notifications": nobody},
        lost={
            "tags": ({"project": "p"}, refused("list_tags_for_resource", ResourceARN=ARN)),
            "notifications.subscriberEmailAddresses": ([told(80)], SUBSCRIBERS),
            "notifications.subscriberSnsTopicArns": (
                [told(80, subscriberSnsTopicArns=["arn:aws:sns:eu-central-1:123456789012:alerts"])],
                SUBSCRIBERS,
            ),
        },
    ),
}
