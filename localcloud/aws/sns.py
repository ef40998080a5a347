"""SNS: topics, who is told, and who may publish."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.answers import present, unless_gone
from localcloud.aws.calls import ProviderError, all_of, retag, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.meaning import same

ATTRIBUTES = {
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "deliveryPolicy": "DeliveryPolicy",
}
LOST = {"signatureVersion": "SignatureVersion", "tracingConfig": "TracingConfig"}
OF_SUBSCRIPTION = {"filterPolicy": "FilterPolicy", "rawMessageDelivery": "RawMessageDelivery"}


def _arn(account: Account, name: str) -> str:
    return f"arn:{account.partition}:sns:{account.region}:{account.account_id}:{name}"


def _attributes(account: Account, arn: str) -> dict[str, str] | None:
    answer = unless_gone(lambda: account.client("sns").get_topic_attributes(TopicArn=arn), "NotFound")
    return answer and answer["Attributes"]


def create_topic(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the topic's ARN. CreateTopic would take what is there already."""
    if _attributes(account, _arn(account, inputs["name"])):
        raise ProviderError(f"the topic {inputs['name']} exists already. Choose another name, or import it.")
    said = {cloud: str(inputs[name]) for name, cloud in {**ATTRIBUTES, **LOST}.items() if name in inputs}
    answer = account.client("sns").create_topic(Name=inputs["name"], Attributes=said, Tags=tag_list(tags))
    return str(answer["TopicArn"])


def read_topic(account: Account, arn: str, _: Properties) -> Properties | None:
    """Two calls, as the tags go apart."""
    about = _attributes(account, arn)
    if about is None:
        return None
    return {
        **{name: about.get(cloud, "") for name, cloud in ATTRIBUTES.items()},
        "name": arn.rpartition(":")[2],
        "arn": arn,
        "owner": about["Owner"],
        "beginningArchiveTime": "",
        "tags": tag_map(account.client("sns").list_tags_for_resource(ResourceArn=arn)["Tags"]),
    }


def _owners_policy(account: Account, arn: str) -> str:
    owner = {"AWS": f"arn:{account.partition}:iam::{account.account_id}:root"}
    statement = {"Effect": "Allow", "Principal": owner, "Action": "SNS:Publish", "Resource": arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def update_topic(account: Account, arn: str, old: Properties, new: Properties) -> None:
    """A call for each attribute that changed."""
    sns = account.client("sns")
    for name, cloud in {**ATTRIBUTES, **LOST}.items():
        if not same(old.get(name), new.get(name)):
            value = new.get(name) or (_owners_policy(account, arn) if name == "policy" else "")
            sns.set_topic_attributes(TopicArn=arn, AttributeName=cloud, AttributeValue=str(value))
    retag(
        old,
        new,
        lambda tags: sns.tag_resource(ResourceArn=arn, Tags=tag_list(tags)),
        lambda names: sns.untag_resource(ResourceArn=arn, TagKeys=names),
    )


def delete_topic(account: Account, arn: str, _: Properties) -> None:
    """SNS does not mind ARNs that it does not know."""
    account.client("sns").delete_topic(TopicArn=arn)


def list_topics(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    sns = account.client("sns")
    for row in all_of(sns, "list_topics", "Topics"):
        yield row["TopicArn"], tag_map(sns.list_tags_for_resource(ResourceArn=row["TopicArn"])["Tags"])


def subscribe(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the subscription's ARN."""
    said = {cloud: _text(inputs[name]) for name, cloud in OF_SUBSCRIPTION.items() if inputs.get(name)}
    answer = account.client("sns").subscribe(
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        Attributes=said,
        ReturnSubscriptionArn=True,
    )
    return str(answer["SubscriptionArn"])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_subscription(account: Account, arn: str, _: Properties) -> Properties | None:
    """One call tells all."""
    call = account.client("sns").get_subscription_attributes
    answer = unless_gone(lambda: call(SubscriptionArn=arn), "NotFound")
    if answer is None:
        return None
    about = answer["Attributes"]
    return {
        "arn": arn,
        "topic": about["TopicArn"],
        "protocol": about["Protocol"],
        "endpoint": about["Endpoint"],
        "ownerId": about["Owner"],
        "confirmationWasAuthenticated": about.get("ConfirmationWasAuthenticated") == "true",
        "pendingConfirmation": about.get("PendingConfirmation") == "true",
        "rawMessageDelivery": about.get("RawMessageDelivery") == "true",
        **present(filterPolicy=about.get("FilterPolicy")),
    }


def update_subscription(account: Account, arn: str, old: Properties, new: Properties) -> None:
    """A call for each attribute that changed."""
    for name, cloud in OF_SUBSCRIPTION.items():
        if not same(old.get(name), new.get(name)):
            empty = "false" if name == "rawMessageDelivery" else "{}"
            account.client("sns").set_subscription_attributes(
                SubscriptionArn=arn, AttributeName=cloud, AttributeValue=_text(new.get(name) or empty)
            )


def unsubscribe(account: Account, arn: str, _: Properties) -> None:
    """SNS does not mind ARNs that it does not know."""
    account.client("sns").unsubscribe(SubscriptionArn=arn)


def list_subscriptions(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for row in all_of(account.client("sns"), "list_subscriptions", "Subscriptions"):
        yield row["SubscriptionArn"], {}


def find_subscription(account: Account, inputs: Properties) -> str | None:
    """By topic, protocol and endpoint: SNS has each of them once."""
    sns = account.client("sns")
    rows = unless_gone(
        lambda: all_of(sns, "list_subscriptions_by_topic", "Subscriptions", TopicArn=inputs["topic"]), "NotFound"
    )
    wanted = (inputs["protocol"], inputs["endpoint"])
    return next((row["SubscriptionArn"] for row in rows or [] if (row["Protocol"], row["Endpoint"]) == wanted), None)


def put_policy(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the topic's ARN."""
    account.client("sns").set_topic_attributes(
        TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
    )
    return str(inputs["arn"])


def update_policy(account: Account, _: str, __: Properties, new: Properties) -> None:
    """Writes the policy anew."""
    put_policy(account, new, {})


def read_policy(account: Account, arn: str, _: Properties) -> Properties | None:
    """Every topic has a policy."""
    about = _attributes(account, arn)
    return about and {"arn": arn, "policy": about["Policy"], "owner": about["Owner"]}


def delete_policy(account: Account, arn: str, _: Properties) -> None:
    """Leaves the topic to its owner alone, as the real provider does."""
    if _attributes(account, arn):
        put_policy(account, {"arn": arn, "policy": _owners_policy(account, arn)}, {})


def find_policy(account: Account, inputs: Properties) -> str | None:
    """By its topic."""
    return str(inputs["arn"]) if _attributes(account, inputs["arn"]) else None


KINDS = (
    Kind(
        "aws:sns/topic:Topic",
        create=create_topic,
        read=read_topic,
        update=update_topic,
        delete=delete_topic,
        list=list_topics,
        read_back=frozenset([*ATTRIBUTES, "name", "tags"]),
        computed=frozenset(["policy"]),
        kept=dict.fromkeys(LOST, "lost by CreateTopic and SetTopicAttributes"),
        replaces=frozenset(["name"]),
        name_input="name",
        tagged=True,
    ),
    Kind(
        "aws:sns/topicSubscription:TopicSubscription",
        create=subscribe,
        read=read_subscription,
        update=update_subscription,
        delete=unsubscribe,
        list=list_subscriptions,
        find=find_subscription,
        read_back=frozenset([*OF_SUBSCRIPTION, "topic", "protocol", "endpoint"]),
        kept={
            "confirmationTimeoutInMinutes": "steers the provider's waiting; no cloud reports it",
            "endpointAutoConfirms": "steers the provider's waiting; no cloud reports it",
        },
        replaces=frozenset(["topic", "protocol", "endpoint"]),
    ),
    Kind(
        "aws:sns/topicPolicy:TopicPolicy",
        create=put_policy,
        read=read_policy,
        update=update_policy,
        delete=delete_policy,
        find=find_policy,
        read_back=frozenset(["arn", "policy"]),
        replaces=frozenset(["arn"]),
    ),
)
