"""IAM: roles, their inline policies, managed policies and their attachments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from localcloud.aws.account import Account
from localcloud.aws.calls import all_of, changed, if_found, tag_changes, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.meaning import same

GONE = "NoSuchEntity"
VERSIONS = 5  # of a managed policy, at most: IAM's quota


def _text(document: Any) -> str:
    """A policy document as text; boto3 parses those that IAM sends URL-encoded."""
    return json.dumps(document) if isinstance(document, dict) else unquote(document)


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def create_role(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the role's name."""
    account.client("iam").create_role(
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Path=inputs["path"],
        MaxSessionDuration=inputs["maxSessionDuration"],
        Tags=tag_list(tags),
        **_given(Description=inputs.get("description"), PermissionsBoundary=inputs.get("permissionsBoundary")),
    )
    return str(inputs["name"])


def read_role(account: Account, name: str, _: Properties) -> Properties | None:
    """One call tells all."""
    answer = if_found(account.client("iam").get_role, GONE, RoleName=name)
    if answer is None:
        return None
    role = answer["Role"]
    return {
        "name": role["RoleName"],
        "arn": role["Arn"],
        "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "path": role["Path"],
        "description": role.get("Description", ""),
        "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
        "maxSessionDuration": role.get("MaxSessionDuration", 3600),
        "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "tags": tag_map(role.get("Tags", [])),
    }


def update_role(account: Account, name: str, old: Properties, new: Properties) -> None:
    """Trust, description, session length, boundary and tags."""
    iam = account.client("iam")
    if not same(old.get("assumeRolePolicy"), new["assumeRolePolicy"]):
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=new["assumeRolePolicy"])
    if changed(old, new, "description", "maxSessionDuration"):
        # both at once: the emulator resets the one that is left out
        iam.update_role(
            RoleName=name, Description=new.get("description", ""), MaxSessionDuration=new["maxSessionDuration"]
        )
    if changed(old, new, "permissionsBoundary"):
        if new.get("permissionsBoundary"):
            iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=new["permissionsBoundary"])
        else:
            iam.delete_role_permissions_boundary(RoleName=name)
    added, removed = tag_changes(old, new)
    if removed:
        iam.untag_role(RoleName=name, TagKeys=removed)
    if added:
        iam.tag_role(RoleName=name, Tags=tag_list(added))


def delete_role(account: Account, name: str, inputs: Properties) -> None:
    """With forceDetachPolicies, the policies that others gave it go first."""
    iam = account.client("iam")
    if inputs.get("forceDetachPolicies") and if_found(iam.get_role, GONE, RoleName=name):
        for policy in all_of(iam, "list_role_policies", "PolicyNames", RoleName=name):
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for attached in all_of(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name):
            iam.detach_role_policy(RoleName=name, PolicyArn=attached["PolicyArn"])
    if_found(iam.delete_role, GONE, RoleName=name)


def _role_names(account: Account) -> list[str]:
    """All but those that AWS makes for its services."""
    roles = all_of(account.client("iam"), "list_roles", "Roles")
    return [role["RoleName"] for role in roles if not role["Path"].startswith("/aws-service-role/")]


def list_roles(account: Account) -> Iterator[tuple[str, Tags]]:
    """IAM lists roles without their tags."""
    for name in _role_names(account):
        yield name, tag_map(all_of(account.client("iam"), "list_role_tags", "Tags", RoleName=name))


def put_role_policy(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is ROLE:NAME."""
    account.client("iam").put_role_policy(
        RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
    )
    return f"{inputs['role']}:{inputs['name']}"


def update_role_policy(account: Account, _: str, __: Properties, new: Properties) -> None:
    """Writes the policy anew."""
    put_role_policy(account, new, {})


def read_role_policy(account: Account, id_: str, _: Properties) -> Properties | None:
    """One call tells all."""
    role, name = id_.split(":", 1)
    answer = if_found(account.client("iam").get_role_policy, GONE, RoleName=role, PolicyName=name)
    return answer and {"role": role, "name": name, "policy": _text(answer["PolicyDocument"])}


def delete_role_policy(account: Account, id_: str, _: Properties) -> None:
    """The role stays."""
    role, name = id_.split(":", 1)
    if_found(account.client("iam").delete_role_policy, GONE, RoleName=role, PolicyName=name)


def list_role_policies(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of every role."""
    for role in _role_names(account):
        for name in all_of(account.client("iam"), "list_role_policies", "PolicyNames", RoleName=role):
            yield f"{role}:{name}", {}


def find_role_policy(account: Account, inputs: Properties) -> str | None:
    """By the names of its role and its own."""
    id_ = f"{inputs['role']}:{inputs['name']}"
    return id_ if read_role_policy(account, id_, inputs) else None


def create_policy(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the policy's ARN."""
    answer = account.client("iam").create_policy(
        PolicyName=inputs["name"],
        Path=inputs["path"],
        PolicyDocument=inputs["policy"],
        Tags=tag_list(tags),
        **_given(Description=inputs.get("description")),
    )
    return str(answer["Policy"]["Arn"])


def read_policy(account: Account, arn: str, _: Properties) -> Properties | None:
    """The document is that of the default version."""
    iam = account.client("iam")
    answer = if_found(iam.get_policy, GONE, PolicyArn=arn)
    if answer is None:
        return None
    policy = answer["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    return {
        "name": policy["PolicyName"],
        "arn": arn,
        "policyId": policy["PolicyId"],
        "attachmentCount": policy.get("AttachmentCount", 0),
        "path": policy["Path"],
        "description": policy.get("Description", ""),
        "policy": _text(version["Document"]),
        "tags": tag_map(policy.get("Tags", [])),
    }


def update_policy(account: Account, arn: str, old: Properties, new: Properties) -> None:
    """A new document is a new default version; the oldest makes room for it."""
    iam = account.client("iam")
    if not same(old.get("policy"), new["policy"]):
        versions = all_of(iam, "list_policy_versions", "Versions", PolicyArn=arn)
        if len(versions) >= VERSIONS:
            oldest = min((it for it in versions if not it["IsDefaultVersion"]), key=lambda it: it["CreateDate"])
            iam.delete_policy_version(PolicyArn=arn, VersionId=oldest["VersionId"])
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=new["policy"], SetAsDefault=True)
    added, removed = tag_changes(old, new)
    if removed:
        iam.untag_policy(PolicyArn=arn, TagKeys=removed)
    if added:
        iam.tag_policy(PolicyArn=arn, Tags=tag_list(added))


def delete_policy(account: Account, arn: str, _: Properties) -> None:
    """Its other versions go first, as IAM wants it."""
    iam = account.client("iam")
    if if_found(iam.get_policy, GONE, PolicyArn=arn) is None:
        return
    for version in all_of(iam, "list_policy_versions", "Versions", PolicyArn=arn):
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)


def list_policies(account: Account) -> Iterator[tuple[str, Tags]]:
    """The customers' policies."""
    iam = account.client("iam")
    for policy in all_of(iam, "list_policies", "Policies", Scope="Local"):
        yield policy["Arn"], tag_map(all_of(iam, "list_policy_tags", "Tags", PolicyArn=policy["Arn"]))


def attach(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is ROLE/ARN, the form that imports take."""
    account.client("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
    return f"{inputs['role']}/{inputs['policyArn']}"


def _attachment(id_: str, inputs: Properties) -> tuple[str, str]:
    """Role and policy; from the inputs where the id is one that the real provider made by chance."""
    role, _, arn = id_.partition("/")
    return inputs.get("role") or role, inputs.get("policyArn") or arn


def read_attachment(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """Whether the role has the policy."""
    role, arn = _attachment(id_, inputs)
    answer = if_found(account.client("iam").list_attached_role_policies, GONE, RoleName=role, MaxItems=1000)
    if answer is None or arn not in [policy["PolicyArn"] for policy in answer["AttachedPolicies"]]:
        return None
    return {"role": role, "policyArn": arn}


def detach(account: Account, id_: str, inputs: Properties) -> None:
    """Role and policy stay."""
    role, arn = _attachment(id_, inputs)
    if_found(account.client("iam").detach_role_policy, GONE, RoleName=role, PolicyArn=arn)


def list_attachments(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of every role."""
    for role in _role_names(account):
        for policy in all_of(account.client("iam"), "list_attached_role_policies", "AttachedPolicies", RoleName=role):
            yield f"{role}/{policy['PolicyArn']}", {}


def find_attachment(account: Account, inputs: Properties) -> str | None:
    """By role and policy."""
    id_ = f"{inputs['role']}/{inputs['policyArn']}"
    return id_ if read_attachment(account, id_, inputs) else None


KINDS = (
    Kind(
        "aws:iam/role:Role",
        create=create_role,
        read=read_role,
        update=update_role,
        delete=delete_role,
        list=list_roles,
        read_back=frozenset(
            ("name", "path", "description", "assumeRolePolicy", "maxSessionDuration", "permissionsBoundary", "tags")
        ),
        kept={"forceDetachPolicies": "steers the deletion; no cloud reports it"},
        replaces=frozenset(["name", "path"]),
        defaults={"path": "/", "maxSessionDuration": 3600},
        name_input="name",
        regional=False,
        tagged=True,
    ),
    Kind(
        "aws:iam/rolePolicy:RolePolicy",
        create=put_role_policy,
        read=read_role_policy,
        update=update_role_policy,
        delete=delete_role_policy,
        list=list_role_policies,
        find=find_role_policy,
        read_back=frozenset(["name", "role", "policy"]),
        replaces=frozenset(["name", "role"]),
        name_input="name",
        regional=False,
    ),
    Kind(
        "aws:iam/policy:Policy",
        create=create_policy,
        read=read_policy,
        update=update_policy,
        delete=delete_policy,
        list=list_policies,
        read_back=frozenset(["name", "path", "description", "policy", "tags"]),
        replaces=frozenset(["name", "path", "description"]),
        defaults={"path": "/"},
        name_input="name",
        regional=False,
        tagged=True,
    ),
    Kind(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        create=attach,
        read=read_attachment,
        delete=detach,
        list=list_attachments,
        find=find_attachment,
        read_back=frozenset(["role", "policyArn"]),
        replaces=frozenset(["role", "policyArn"]),
        regional=False,
    ),
)
