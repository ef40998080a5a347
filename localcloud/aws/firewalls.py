"""WAF: access control lists and what they stand before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.calls import changed, if_found, retag, tag_list, tag_map, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "WAFNonexistentItemException"
SPELLING = {"arn": "ARN", "cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled"}
FROM_CLOUD = {cloud: wire for wire, cloud in SPELLING.items()}
SAID = ("defaultAction", "description", "rules", "visibilityConfig")


def _said(inputs: Properties) -> dict[str, Any]:
    said: dict[str, Any] = to_cloud({name: inputs[name] for name in SAID if name in inputs}, SPELLING)
    return {"Name": inputs["name"], "Scope": inputs["scope"], "Rules": [], **said}


def create(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the one that WAF gives."""
    answer = account.client("wafv2").create_web_acl(Tags=tag_list(tags), **_said(inputs))
    return str(answer["Summary"]["Id"])


def _rows(account: Account, scope: str) -> list[Any]:
    return list(account.client("wafv2").list_web_acls(Scope=scope)["WebACLs"])


def _got(account: Account, id_: str, inputs: Properties) -> Any:
    """The list with its lock, by id: of imports, ID/NAME/SCOPE."""
    id_, _, rest = id_.partition("/")
    scope = inputs.get("scope") or rest.rpartition("/")[2] or "REGIONAL"
    row = next((row for row in _rows(account, scope) if row["Id"] == id_), None)
    if row is None:
        return None
    return if_found(account.client("wafv2").get_web_acl, GONE, Name=row["Name"], Scope=scope, Id=id_)


def read(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """Three calls, as the name is to be known, and the tags go by ARN."""
    answer = _got(account, id_, inputs)
    if answer is None:
        return None
    about = answer["WebACL"]
    tags = account.client("wafv2").list_tags_for_resource(ResourceARN=about["ARN"])["TagInfoForResource"]["TagList"]
    return {
        "name": about["Name"],
        "scope": "CLOUDFRONT" if ":global/" in about["ARN"] else "REGIONAL",
        "description": about.get("Description", ""),
        "defaultAction": to_wire(about["DefaultAction"], FROM_CLOUD),
        "rules": to_wire(about["Rules"], FROM_CLOUD),
        "visibilityConfig": to_wire(about["VisibilityConfig"], FROM_CLOUD),
        "arn": about["ARN"],
        "capacity": about["Capacity"],
        "applicationIntegrationUrl": "",
        "lockToken": answer["LockToken"],
        "tags": tag_map(tags),
    }


def update(account: Account, id_: str, old: Properties, new: Properties) -> None:
    """A list is written whole, with the lock that its last reading gave."""
    client, answer = account.client("wafv2"), _got(account, id_, new)
    if changed(old, new, *SAID):
        client.update_web_acl(Id=id_, LockToken=answer["LockToken"], **_said(new))
    arn = answer["WebACL"]["ARN"]
    retag(
        old,
        new,
        lambda tags: client.tag_resource(ResourceARN=arn, Tags=tag_list(tags)),
        lambda names: client.untag_resource(ResourceARN=arn, TagKeys=names),
    )


def delete(account: Account, id_: str, inputs: Properties) -> None:
    """What it stands before stays."""
    answer = _got(account, id_, inputs)
    if answer is not None:
        account.client("wafv2").delete_web_acl(
            Name=answer["WebACL"]["Name"], Scope=inputs["scope"], Id=id_, LockToken=answer["LockToken"]
        )


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    client = account.client("wafv2")
    for row in _rows(account, "REGIONAL"):
        tags = client.list_tags_for_resource(ResourceARN=row["ARN"])["TagInfoForResource"]["TagList"]
        yield row["Id"], tag_map(tags)


def associate(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is LIST,RESOURCE, as the real provider's is."""
    account.client("wafv2").associate_web_acl(WebACLArn=inputs["webAclArn"], ResourceArn=inputs["resourceArn"])
    return f"{inputs['webAclArn']},{inputs['resourceArn']}"


def read_association(account: Account, id_: str, _: Properties) -> Properties | None:
    """Whether the list is the one that stands before the resource."""
    acl, resource = id_.split(",", 1)
    answer = if_found(account.client("wafv2").get_web_acl_for_resource, GONE, ResourceArn=resource)
    if not answer or answer.get("WebACL", {}).get("ARN") != acl:
        return None
    return {"webAclArn": acl, "resourceArn": resource}


def dissociate(account: Account, id_: str, inputs: Properties) -> None:
    """List and resource stay."""
    if read_association(account, id_, inputs):
        account.client("wafv2").disassociate_web_acl(ResourceArn=id_.partition(",")[2])


def find_association(account: Account, inputs: Properties) -> str | None:
    """By list and resource."""
    id_ = f"{inputs['webAclArn']},{inputs['resourceArn']}"
    return id_ if read_association(account, id_, inputs) else None


KINDS = (
    Kind(
        "aws:wafv2/webAcl:WebAcl",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        read_back=frozenset([*SAID, "name", "scope", "tags"]),
        replaces=frozenset(["name", "scope"]),
        unordered=frozenset(["rules"]),
        explicit=frozenset(["defaultAction", "rules"]),
        name_input="name",
        tagged=True,
    ),
    Kind(
        "aws:wafv2/webAclAssociation:WebAclAssociation",
        create=associate,
        read=read_association,
        delete=dissociate,
        find=find_association,
        read_back=frozenset(["webAclArn", "resourceArn"]),
        replaces=frozenset(["webAclArn", "resourceArn"]),
        delete_before_replace=True,
    ),
)
