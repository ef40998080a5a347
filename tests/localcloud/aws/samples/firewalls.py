"""Samples of WAF."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS


def waf(account: Account) -> Any:
    return account.client("wafv2")


def change(**said: Any) -> Behind:
    """The list as it is, but for some parts."""

    def write(account: Account, made: str, outputs: Any) -> None:
        where = {"Name": outputs["name"], "Scope": "REGIONAL", "Id": made}
        answer = waf(account).get_web_acl(**where)
        keys = ("DefaultAction", "Description", "Rules", "VisibilityConfig")
        same = {key: answer["WebACL"][key] for key in keys}
        waf(account).update_web_acl(**where, LockToken=answer["LockToken"], **{**same, **said})

    return write


def shown(metric: str) -> dict[str, Any]:
    return {"cloudwatchMetricsEnabled": True, "metricName": metric, "sampledRequestsEnabled": False}


def rule(action: dict[str, Any], limit: int = 60) -> dict[str, Any]:
    statement = {"limit": limit, "evaluationWindowSec": 60, "aggregateKeyType": "IP"}
    return {
        "name": "rate",
        "priority": 1,
        "action": action,
        "statement": {"rateBasedStatement": statement},
        "visibilityConfig": shown("rate"),
    }


MANAGED = {
    "name": "common",
    "priority": 2,
    "overrideAction": {"none": {}},
    "statement": {"managedRuleGroupStatement": {"vendorName": "AWS", "name": "AWSManagedRulesCommonRuleSet"}},
    "visibilityConfig": shown("common"),
}
COUNTING = {
    "Name": "rate",
    "Priority": 1,
    "Action": {"Count": {}},
    "Statement": {"RateBasedStatement": {"Limit": 60, "EvaluationWindowSec": 60, "AggregateKeyType": "IP"}},
    "VisibilityConfig": {"CloudWatchMetricsEnabled": True, "MetricName": "rate", "SampledRequestsEnabled": False},
}
SEEN = {"CloudWatchMetricsEnabled": False, "MetricName": "x", "SampledRequestsEnabled": True}

SAMPLES = {
    "firewall": Sample(
        "aws:wafv2/webAcl:WebAcl",
        {
            "name": "predict",
            "scope": "REGIONAL",
            "description": "Not too often",
            "defaultAction": {"allow": {}},
            "rules": [rule({"block": {"customResponse": {"responseCode": 429}}}), MANAGED],
            "visibilityConfig": shown("predict"),
            "tags": TAGS,
        },
        changes={
            "description": "changed",
            "defaultAction": {"block": {}},
            "rules": [MANAGED, rule({"count": {}}, 100)],
            "visibilityConfig": shown("other"),
            "tags": OTHER_TAGS,
        },
        behind={
            "description": change(Description="x"),
            "defaultAction": change(DefaultAction={"Block": {}}),
            "rules": change(Rules=[COUNTING]),
            "visibilityConfig": change(VisibilityConfig=SEEN),
            "tags": lambda a, _, outputs: waf(a).tag_resource(
                ResourceARN=outputs["arn"], Tags=[{"Key": "added", "Value": "1"}]
            ),
        },
    ),
    "firewall-that-counts": Sample(
        "aws:wafv2/webAcl:WebAcl",
        {
            "scope": "REGIONAL",
            "defaultAction": {"allow": {}},
            "rules": [rule({"block": {}})],
            "visibilityConfig": shown("x"),
        },
        changes={"rules": [rule({"count": {}})]},
    ),
    "firewalled": Sample(
        "aws:wafv2/webAclAssociation:WebAclAssociation",
        {"webAclArn": Ref("firewall", "arn"), "resourceArn": Ref("balancer", "arn")},
    ),
}
