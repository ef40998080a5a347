"""Samples of SNS."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Probe, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS


def sns(account: Account) -> Any:
    return account.client("sns")


def write(name: str, value: str) -> Behind:
    return lambda a, i, _: sns(a).set_topic_attributes(TopicArn=i, AttributeName=name, AttributeValue=value)


def told(name: str) -> Probe:
    return lambda a, i: sns(a).get_topic_attributes(TopicArn=i)["Attributes"].get(name)


def rewrite(name: str, value: str) -> Behind:
    return lambda a, i, _: sns(a).set_subscription_attributes(
        SubscriptionArn=i, AttributeName=name, AttributeValue=value
    )


def policy(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sns:Publish", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def delivery(retries: int) -> str:
    return json.dumps({"http": {"defaultHealthyRetryPolicy": {"numRetries": retries}}})


SAMPLES = {
    "topic": Sample(
        "aws:sns/topic:Topic",
        {
            "name": "alerts",
            "displayName": "Alerts",
            "kmsMasterKeyId": "<<key.keyId>>",
            "deliveryPolicy": delivery(3),
            "tags": TAGS,
        },
        changes={
            "displayName": "More alerts",
            "kmsMasterKeyId": None,
            "deliveryPolicy": delivery(5),
            "policy": policy("cloudwatch.amazonaws.com"),
            "tags": OTHER_TAGS,
        },
        behind={
            "displayName": write("DisplayName", "x"),
            "kmsMasterKeyId": write("KmsMasterKeyId", ""),
            "deliveryPolicy": write("DeliveryPolicy", delivery(9)),
            "tags": lambda a, i, _: sns(a).tag_resource(ResourceArn=i, Tags=[{"Key": "added", "Value": "1"}]),
        },
        lost={
            "signatureVersion": (2, told("SignatureVersion")),
            "tracingConfig": ("Active", told("TracingConfig")),
        },
    ),
    "topic-with-policy": Sample(
        "aws:sns/topic:Topic",
        {"policy": policy("budgets.amazonaws.com")},
        changes={"policy": policy("cloudwatch.amazonaws.com")},
        behind={"policy": write("Policy", policy("events.amazonaws.com"))},
    ),
    "subscription": Sample(
        "aws:sns/topicSubscription:TopicSubscription",
        {
            "topic": Ref("topic"),
            "protocol": "https",
            "endpoint": "https://pager.example.com",
            "rawMessageDelivery": True,
            "filterPolicy": '{"severity": ["high"]}',
        },
        changes={"rawMessageDelivery": False, "filterPolicy": '{"severity": ["low"]}'},
        behind={
            "rawMessageDelivery": rewrite("RawMessageDelivery", "false"),
            "filterPolicy": rewrite("FilterPolicy", '{"severity": ["none"]}'),
        },
        steers=frozenset({"confirmationTimeoutInMinutes", "endpointAutoConfirms"}),
    ),
    "mail": Sample(
        "aws:sns/topicSubscription:TopicSubscription",
        {"topic": Ref("topic"), "protocol": "email", "endpoint": "owner@example.com"},
    ),
    "topic-policy": Sample(
        "aws:sns/topicPolicy:TopicPolicy",
        {"arn": Ref("topic"), "policy": policy("cloudwatch.amazonaws.com")},
        changes={"policy": policy("budgets.amazonaws.com")},
        behind={"policy": write("Policy", policy("events.amazonaws.com"))},
        leaves="a policy for the topic's owner",
    ),
}
