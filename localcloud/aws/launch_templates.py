"""EC2: launch templates and key pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.answers import present, unless_gone
from localcloud.aws.calls import all_of, changed, retag, tag_list, tag_map, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags

# inputs that are parts of a version's data; in Pulumi's schema some switches are texts
DATA = (
    *("blockDeviceMappings", "creditSpecification", "disableApiTermination", "ebsOptimized", "iamInstanceProfile"),
    *("imageId", "instanceInitiatedShutdownBehavior", "instanceMarketOptions", "instanceType", "keyName"),
    *("metadataOptions", "monitoring", "networkInterfaces", "tagSpecifications", "userData", "vpcSecurityGroupIds"),
)
SWITCHES = ("associatePublicIpAddress", "deleteOnTermination", "ebsOptimized", "encrypted")
SPELLING = {"securityGroups": "Groups", "vpcSecurityGroupIds": "SecurityGroupIds"}
FROM_CLOUD = {cloud: wire for wire, cloud in SPELLING.items()}


def _switched(value: Any, turn: Any) -> Any:
    """The value with its switches turned from one form into the other."""
    if isinstance(value, dict):
        return {name: turn(it) if name in SWITCHES else _switched(it, turn) for name, it in value.items()}
    return [_switched(item, turn) for item in value] if isinstance(value, list) else value


def _to_cloud(inputs: Properties) -> dict[str, Any]:
    data = _switched({name: inputs[name] for name in DATA if name in inputs}, lambda text: text in ("true", True))
    specifications = data.pop("tagSpecifications", None)
    cloud: dict[str, Any] = to_cloud(data, SPELLING)
    if specifications:
        cloud["TagSpecifications"] = [
            {"ResourceType": row["resourceType"], "Tags": tag_list(row.get("tags", {}))} for row in specifications
        ]
    return cloud


def _to_wire(data: dict[str, Any]) -> Properties:
    wire: Properties = to_wire({name: it for name, it in data.items() if name != "TagSpecifications"}, FROM_CLOUD)
    wire = _switched(wire, lambda on: "true" if on else "false")
    wire["tagSpecifications"] = [
        {"resourceType": row["ResourceType"], "tags": tag_map(row.get("Tags", []))}
        for row in data.get("TagSpecifications", [])
        if row["ResourceType"] != "launch-template"  # the template's own, which the emulator counts in
    ]
    return {name: wire[name] for name in DATA if name in wire}


def create_template(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the one that EC2 gives."""
    own = [{"ResourceType": "launch-template", "Tags": tag_list(tags)}]
    answer = account.client("ec2").create_launch_template(
        LaunchTemplateName=inputs["name"],
        LaunchTemplateData=_to_cloud(inputs),
        TagSpecifications=own,
        **present(VersionDescription=inputs.get("description")),
    )
    return str(answer["LaunchTemplate"]["LaunchTemplateId"])


def read_template(account: Account, id_: str, _: Properties) -> Properties | None:
    """The data is that of the latest version."""
    ec2 = account.client("ec2")
    found = unless_gone(lambda: ec2.describe_launch_templates(LaunchTemplateIds=[id_])["LaunchTemplates"])
    if not found:
        return None
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=id_, Versions=["$Latest"])
    latest = versions["LaunchTemplateVersions"][0]
    return {
        **_to_wire(latest["LaunchTemplateData"]),
        "name": found[0]["LaunchTemplateName"],
        "description": latest.get("VersionDescription", ""),
        "defaultVersion": found[0]["DefaultVersionNumber"],
        "latestVersion": found[0]["LatestVersionNumber"],
        "arn": f"arn:{account.partition}:ec2:{account.region}:{account.account_id}:launch-template/{id_}",
        "tags": _template_tags(account).get(id_, {}),
    }


def _template_tags(account: Account) -> dict[str, Tags]:
    """Tags by template: among the templates, the emulator tells those of their creation for ever."""
    only = [{"Name": "resource-type", "Values": ["launch-template"]}]
    found: dict[str, Tags] = {}
    for row in all_of(account.client("ec2"), "describe_tags", "Tags", Filters=only):
        found.setdefault(row["ResourceId"], {})[row["Key"]] = row["Value"]
    return found


def update_template(account: Account, id_: str, old: Properties, new: Properties) -> None:
    """Another content is another version; the default one moves where that is asked for."""
    ec2 = account.client("ec2")
    default = new.get("defaultVersion") if changed(old, new, "defaultVersion") else None
    if changed(old, new, "description", *DATA):
        answer = ec2.create_launch_template_version(
            LaunchTemplateId=id_,
            LaunchTemplateData=_to_cloud(new),
            **present(VersionDescription=new.get("description")),
        )
        if new.get("updateDefaultVersion"):
            default = answer["LaunchTemplateVersion"]["VersionNumber"]
    if default:
        ec2.modify_launch_template(LaunchTemplateId=id_, DefaultVersion=str(default))
    _retag(account, id_, old, new)


def _retag(account: Account, id_: str, old: Properties, new: Properties) -> None:
    ec2 = account.client("ec2")
    retag(
        old,
        new,
        lambda tags: ec2.create_tags(Resources=[id_], Tags=tag_list(tags)),
        lambda names: ec2.delete_tags(Resources=[id_], Tags=[{"Key": name} for name in names]),
    )


def delete_template(account: Account, id_: str, _: Properties) -> None:
    """With all its versions."""
    unless_gone(lambda: account.client("ec2").delete_launch_template(LaunchTemplateId=id_))


def list_templates(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    tags = _template_tags(account)
    for row in all_of(account.client("ec2"), "describe_launch_templates", "LaunchTemplates"):
        yield row["LaunchTemplateId"], tags.get(row["LaunchTemplateId"], {})


def import_key(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the pair's name."""
    account.client("ec2").import_key_pair(
        KeyName=inputs["keyName"],
        PublicKeyMaterial=inputs["publicKey"].encode(),
        TagSpecifications=[{"ResourceType": "key-pair", "Tags": tag_list(tags)}],
    )
    return str(inputs["keyName"])


def read_key(account: Account, name: str, _: Properties) -> Properties | None:
    """One call tells all."""
    describe = account.client("ec2").describe_key_pairs
    answer = unless_gone(lambda: describe(KeyNames=[name], IncludePublicKey=True))
    if answer is None:
        return None
    about = answer["KeyPairs"][0]
    return {
        "keyName": name,
        "publicKey": about["PublicKey"],
        "keyPairId": about["KeyPairId"],
        "keyType": about["KeyType"],
        "fingerprint": about["KeyFingerprint"],
        "arn": f"arn:{account.partition}:ec2:{account.region}:{account.account_id}:key-pair/{name}",
        "tags": tag_map(about.get("Tags", [])),
    }


def update_key(account: Account, name: str, old: Properties, new: Properties) -> None:
    """Tags, which go by the pair's id."""
    live = read_key(account, name, new)
    if live is not None:
        _retag(account, live["keyPairId"], old, new)


def delete_key(account: Account, name: str, _: Properties) -> None:
    """EC2 does not mind names that it does not know."""
    account.client("ec2").delete_key_pair(KeyName=name)


def list_keys(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for row in account.client("ec2").describe_key_pairs()["KeyPairs"]:
        yield row["KeyName"], tag_map(row.get("Tags", []))


KINDS = (
    Kind(
        "aws:ec2/launchTemplate:LaunchTemplate",
        create=create_template,
        read=read_template,
        update=update_template,
        delete=delete_template,
        list=list_templates,
        read_back=frozenset([*DATA, "name", "description", "defaultVersion", "tags"]),
        computed=frozenset(["defaultVersion"]),
        kept={"updateDefaultVersion": "steers the calls that write a version; no cloud reports it"},
        replaces=frozenset(["name"]),
        unordered=frozenset(["vpcSecurityGroupIds", "tagSpecifications", "networkInterfaces.securityGroups"]),
        name_input="name",
        tagged=True,
    ),
    Kind(
        "aws:ec2/keyPair:KeyPair",
        create=import_key,
        read=read_key,
        update=update_key,
        delete=delete_key,
        list=list_keys,
        read_back=frozenset(["keyName", "publicKey", "tags"]),
        replaces=frozenset(["keyName", "publicKey"]),
        name_input="keyName",
        tagged=True,
    ),
)
