"""The SDK's functions that localcloud answers, by token: from the account's arguments to the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.kind import Properties


def caller_identity(account: Account, _: Properties) -> Properties:
    """Who calls, as STS tells it."""
    answer = account.client("sts").get_caller_identity()
    return {
        "id": answer["Account"],
        "accountId": answer["Account"],
        "arn": answer["Arn"],
        "userId": answer["UserId"],
    }


def region(account: Account, args: Properties) -> Properties:
    """The region asked for, or the provider's own."""
    name = args.get("region") or args.get("name") or account.region
    return {"id": name, "name": name, "region": name, "endpoint": f"ec2.{name}.amazonaws.com", "description": name}


def partition(account: Account, _: Properties) -> Properties:
    """The partition of ARNs."""
    return {
        "id": account.partition,
        "partition": account.partition,
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    }


def availability_zones(account: Account, args: Properties) -> Properties:
    """The zones of the region, by state."""
    answer = account.client("ec2").describe_availability_zones()["AvailabilityZones"]
    zones = [zone for zone in answer if args.get("state") in (None, zone["State"])]
    return {
        "id": account.region,
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone["ZoneId"] for zone in zones],
        "groupNames": sorted({zone.get("GroupName", account.region) for zone in zones}),
    }


INVOKES: dict[str, Callable[[Account, Properties], dict[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": caller_identity,
    "aws:index/getRegion:getRegion": region,
    "aws:index/getPartition:getPartition": partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": availability_zones,
}
