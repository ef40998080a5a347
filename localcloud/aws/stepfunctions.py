"""Step Functions: state machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.answers import present
from localcloud.aws.calls import all_of, changed, if_found, retag, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "StateMachineDoesNotExist"
PLAIN = ("definition", "encryptionConfiguration", "roleArn", "tracingConfiguration")


def _arguments(inputs: Properties) -> dict[str, Any]:
    said = {name: inputs[name] for name in PLAIN if inputs.get(name)}
    log = inputs.get("loggingConfiguration")
    if log:
        said["loggingConfiguration"] = present(
            level=log.get("level"), includeExecutionData=log.get("includeExecutionData")
        )
        if log.get("logDestination"):
            group = {"cloudWatchLogsLogGroup": {"logGroupArn": log["logDestination"]}}
            said["loggingConfiguration"]["destinations"] = [group]
    return said


def create(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the machine's ARN."""
    answer = account.client("stepfunctions").create_state_machine(
        name=inputs["name"], type=inputs["type"], tags=tag_list(tags, "key", "value"), **_arguments(inputs)
    )
    return str(answer["stateMachineArn"])


def read(account: Account, arn: str, inputs: Properties) -> Properties | None:
    """Two calls, as the tags go apart. What is off unless asked for counts as left out."""
    client = account.client("stepfunctions")
    about = if_found(client.describe_state_machine, GONE, stateMachineArn=arn)
    if about is None or about["status"] == "DELETING":
        return None
    log = about.get("loggingConfiguration", {})
    destinations = log.get("destinations", [])
    logging = present(
        level=log.get("level"),
        includeExecutionData=log.get("includeExecutionData"),
        logDestination=destinations[0]["cloudWatchLogsLogGroup"]["logGroupArn"] if destinations else None,
    )
    encryption = about.get("encryptionConfiguration")
    if encryption == {"type": "AWS_OWNED_KEY"} and "encryptionConfiguration" not in inputs:
        encryption = None
    return {
        **{name: about[name] for name in ("definition", "name", "roleArn", "tracingConfiguration", "type")},
        **present(encryptionConfiguration=encryption),
        "loggingConfiguration": logging if logging.get("level", "OFF") != "OFF" else None,
        "arn": arn,
        "creationDate": about["creationDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": about.get("description", ""),
        "revisionId": about.get("revisionId", ""),
        "stateMachineVersionArn": "",
        "status": about["status"],
        "versionDescription": "",
        "tags": tag_map(client.list_tags_for_resource(resourceArn=arn)["tags"], "key", "value"),
    }


def update(account: Account, arn: str, old: Properties, new: Properties) -> None:
    """What is left out of the new inputs goes back to what it is without being asked for."""
    client = account.client("stepfunctions")
    if changed(old, new, *PLAIN, "loggingConfiguration"):
        off = {
            "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
            "loggingConfiguration": {"level": "OFF"},
            "tracingConfiguration": {"enabled": False},
        }
        client.update_state_machine(stateMachineArn=arn, **{**off, **_arguments(new)})
    retag(
        old,
        new,
        lambda tags: client.tag_resource(resourceArn=arn, tags=tag_list(tags, "key", "value")),
        lambda names: client.untag_resource(resourceArn=arn, tagKeys=names),
    )


def delete(account: Account, arn: str, _: Properties) -> None:
    """Step Functions does not mind ARNs that it does not know."""
    account.client("stepfunctions").delete_state_machine(stateMachineArn=arn)


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    client = account.client("stepfunctions")
    for row in all_of(client, "list_state_machines", "stateMachines"):
        tags = client.list_tags_for_resource(resourceArn=row["stateMachineArn"])["tags"]
        yield row["stateMachineArn"], tag_map(tags, "key", "value")


KINDS = (
    Kind(
        "aws:sfn/stateMachine:StateMachine",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        read_back=frozenset([*PLAIN, "loggingConfiguration", "name", "tags", "type"]),
        replaces=frozenset(["name", "type"]),
        defaults={"type": "STANDARD"},
        name_input="name",
        tagged=True,
    ),
)
