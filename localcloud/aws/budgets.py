"""Budgets: what a month may cost, and who is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.calls import all_of, if_found
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "NotFoundException"
NOTIFICATION = ("notificationType", "comparisonOperator", "threshold", "thresholdType")
SUBSCRIBERS = {"subscriberEmailAddresses": "EMAIL", "subscriberSnsTopicArns": "SNS"}
DAY = "%Y-%m-%d_%H:%M"


def _notification(row: Properties) -> dict[str, Any]:
    said = {name[:1].upper() + name[1:]: row[name] for name in NOTIFICATION}
    return {**said, "Threshold": float(row["threshold"])}


def _subscribers(row: Properties) -> list[dict[str, str]]:
    return [
        {"SubscriptionType": kind, "Address": address}
        for name, kind in SUBSCRIBERS.items()
        for address in row.get(name) or []
    ]


def create(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is ACCOUNT:NAME."""
    budget: dict[str, Any] = {
        "BudgetName": inputs["name"],
        "BudgetType": inputs["budgetType"],
        "BudgetLimit": {"Amount": str(inputs["limitAmount"]), "Unit": inputs["limitUnit"]},
        "TimeUnit": inputs["timeUnit"],
    }
    if inputs.get("costFilters"):
        budget["CostFilters"] = {row["name"]: row["values"] for row in inputs["costFilters"]}
    if inputs.get("timePeriodStart"):
        budget["TimePeriod"] = {"Start": datetime.strptime(inputs["timePeriodStart"], DAY).replace(tzinfo=UTC)}
    account.client("budgets").create_budget(
        AccountId=account.account_id,
        Budget=budget,
        NotificationsWithSubscribers=[
            {"Notification": _notification(row), "Subscribers": _subscribers(row)}
            for row in inputs.get("notifications") or []
        ],
    )
    return f"{account.account_id}:{inputs['name']}"


def _described(account: Account, name: str) -> Any:
    call = account.client("budgets").describe_budget
    answer = if_found(call, GONE, AccountId=account.account_id, BudgetName=name)
    return answer and answer["Budget"]


def read(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """Two calls, as the notifications are told apart."""
    name = id_.partition(":")[2]
    about = _described(account, name)
    if about is None:
        return None
    rows = all_of(
        account.client("budgets"),
        "describe_notifications_for_budget",
        "Notifications",
        AccountId=account.account_id,
        BudgetName=name,
    )
    limit, declared = about["BudgetLimit"], inputs.get("limitAmount")
    equal = declared is not None and float(declared) == float(limit["Amount"])
    return {
        "accountId": account.account_id,
        "name": about["BudgetName"],
        "arn": f"arn:{account.partition}:budgets::{account.account_id}:budget/{name}",
        "budgetType": about["BudgetType"],
        "limitAmount": declared if equal else limit["Amount"],
        "limitUnit": limit["Unit"],
        "timeUnit": about["TimeUnit"],
        "timePeriodStart": about["TimePeriod"]["Start"].astimezone(UTC).strftime(DAY),
        "costFilters": [{"name": key, "values": values} for key, values in about.get("CostFilters", {}).items()],
        "notifications": [{it: row[it[:1].upper() + it[1:]] for it in NOTIFICATION} for row in rows],
        # the emulator knows no tags of budgets
        "tags": inputs.get("tags", {}),
    }


def update(account: Account, id_: str, old: Properties, new: Properties) -> None:
    """Notifications only."""
    client = account.client("budgets")
    about = {"AccountId": account.account_id, "BudgetName": id_.partition(":")[2]}
    before, after = old.get("notifications") or [], new.get("notifications") or []
    for row in before:
        if row not in after:
            client.delete_notification(**about, Notification=_notification(row))
    for row in after:
        if row not in before:
            client.create_notification(**about, Notification=_notification(row), Subscribers=_subscribers(row))


def delete(account: Account, id_: str, _: Properties) -> None:
    """With its notifications."""
    name = id_.partition(":")[2]
    if_found(account.client("budgets").delete_budget, GONE, AccountId=account.account_id, BudgetName=name)


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """All of the account."""
    for row in all_of(account.client("budgets"), "describe_budgets", "Budgets", AccountId=account.account_id):
        yield f"{account.account_id}:{row['BudgetName']}", {}


def find(account: Account, inputs: Properties) -> str | None:
    """By its name."""
    return f"{account.account_id}:{inputs['name']}" if _described(account, inputs["name"]) else None


KINDS = (
    Kind(
        "aws:budgets/budget:Budget",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        find=find,
        read_back=frozenset(
            [
                *("accountId", "budgetType", "costFilters", "limitAmount", "limitUnit", "name", "notifications"),
                *("timePeriodStart", "timeUnit"),
            ]
        ),
        computed=frozenset(["accountId", "timePeriodStart"]),
        kept={
            "tags": "lost by CreateBudget",
            **{f"notifications.{name}": "CreateBudget keeps them; no call tells them" for name in SUBSCRIBERS},
        },
        # UpdateBudget ends in a 500 of the emulator; AWS changes all but the name and the type in place
        replaces=frozenset(
            [
                *("accountId", "budgetType", "costFilters", "limitAmount", "limitUnit", "name", "timePeriodStart"),
                "timeUnit",
            ]
        ),
        unordered=frozenset(["costFilters", "costFilters.values", "notifications"]),
        name_input="name",
        regional=False,
    ),
)
