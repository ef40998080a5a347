"""Where a plan grants widely: a `*`, a whole account, everybody, or a role for everything.

Each find is where it is and what is wide there; grants.yaml has those that may be, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from tests.plans.plans import ROOT, Plan, Statement, listed, short

Find = tuple[str, str]
# GCP's roles for everything. Source: IAM, "Basic roles", the legacy ones and those of 2025.
BASIC = {f"roles/{name}" for name in ("owner", "editor", "viewer", "admin", "writer", "reader")}
MANY = ("allUsers", "allAuthenticatedUsers", "domain:", "group:", "projectOwner:", "projectEditor:", "projectViewer:")
# Azure's roles for everything, or for the grants themselves. Source: Microsoft, "Azure built-in roles".
ALL_OF_AZURE = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
    "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b": "Kubernetes Cluster Admin",
}


def wide(plan: Plan) -> set[Find]:
    """What a plan grants widely, the names of environments aside."""
    return {(alike(where), alike(what)) for look in (aws, gcp, azure, kubernetes) for where, what in look(plan)}


def reviewed(cloud: str) -> dict[Find, str]:
    """What may be wide on a cloud, with the reason."""
    rows = yaml.safe_load((ROOT / "tests/plans/grants.yaml").read_text())[cloud]
    return {(where, what): row["reason"] for row in rows for where in listed(row["where"]) for what in row["what"]}


def alike(text: str) -> str:
    """The text without the name of its environment, account, region or project."""
    for found, instead in (
        (r"(?<![a-z])(local|dev|staging|prod)(?![a-z])", "ENV"),
        (r"(?<!\d)123456789012(?!\d)", "ACCOUNT"),
        (r"eu-(west|central)-1(?!\d)", "REGION"),
    ):
        text = re.sub(found, instead, text)
    return text


# AWS


def aws(plan: Plan) -> Iterator[Find]:
    """Statements with a `*` or without an end; policies that AWS wrote; who administers a cluster."""
    for row, _, statement in plan.statements():
        first = listed(statement.get("Action", statement.get("NotAction")))[0]
        where = f"{short(row.type)} {statement.get('Sid') or first}"
        denied = "" if statement["Effect"] == "Allow" else "denied: "
        yield from ((where, denied + what) for what in _stars(statement))
    for row in plan.any_of_type("iam:RolePolicyAttachment"):
        owner, _, name = row.inputs["policyArn"].partition(":policy/")
        if owner.endswith("::aws"):
            yield f"{short(row.type)} {row.name.removesuffix('-' + name.rpartition('/')[2])}", name
    for row in plan.any_of_type("eks:Cluster"):
        if (row.inputs.get("accessConfig") or {}).get("bootstrapClusterCreatorAdminPermissions", True):
            yield short(row.type), "who made it is its administrator"
    for row in plan.any_of_type("eks:AccessPolicyAssociation"):
        yield f"{short(row.type)} {row.name}", row.inputs["policyArn"]


def _stars(statement: Statement) -> Iterator[str]:
    """What has a `*`, but for what lies under a name of ours; and what names what it is not."""
    for key in ("Action", "Resource"):
        for one in listed(statement.get(key, [])):
            if "*" in one and "groundwork" not in one.partition("*")[0]:
                yield f"{key} {one}"
    yield from (key for key in ("NotAction", "NotResource", "NotPrincipal") if key in statement)
    if statement["Effect"] == "Allow" and "*" in str(statement.get("Principal", "")):
        yield "Principal *"


# GCP


def gcp(plan: Plan) -> Iterator[Find]:
    """Permissions with a `*`; roles for everything; roles on a whole project; members that are many; grants that
    take away what others granted."""
    own = {row.outputs["name"]: row.name for row in plan.any_of_type("projects:IAMCustomRole")}
    accounts = {
        f"serviceAccount:{row.outputs['email']}": row.name for row in plan.any_of_type("serviceaccount:Account")
    }
    for row in plan.resources:
        kind, inputs = short(row.type) if row.custom else "", row.inputs
        if kind.endswith("CustomRole"):
            yield from ((f"{kind} {row.name}", one) for one in inputs["permissions"] if "*" in one)
        if re.search(r"i?(IAM|Iam|iam)(Binding|Policy)$", kind):
            yield f"{kind} {row.name}", "replaces what others granted"
        if inputs.get("invokerIamDisabled"):
            yield f"{kind} {row.name}", "allUsers"
        if "role" not in inputs or not {"member", "members"} & inputs.keys():
            continue
        role = f"role {own[inputs['role']]}" if inputs["role"] in own else inputs["role"]
        for member in listed(inputs.get("member") or inputs["members"]):
            who = accounts.get(member, member)
            if inputs["role"] in BASIC:
                yield f"{kind} {who}", role
            elif kind.split(":")[0] in ("projects", "folder", "organizations"):
                yield f"{kind} {who}", role + (" on a condition" if inputs.get("condition") else "")
            if member.startswith(MANY) or member.endswith("/*"):
                yield f"{kind} {row.name}", member


# Azure


def azure(plan: Plan) -> Iterator[Find]:
    """Actions with a `*`; roles for everything; roles on a whole subscription or group; grants to people; objects and
    images that anybody may read."""
    own = {row.outputs["id"]: row.name for row in plan.any_of_type("authorization:RoleDefinition")}
    for row in plan.any_of_type("authorization:RoleDefinition"):
        for permission in row.inputs["permissions"]:
            actions = [*permission.get("actions", []), *permission.get("dataActions", [])]
            yield from ((f"{short(row.type)} {row.name}", one) for one in actions if "*" in one)
        if any(_reach(scope) != "group" for scope in row.inputs["assignableScopes"]):
            yield f"{short(row.type)} {row.name}", "assignable in the subscription"
    for row in plan.any_of_type("authorization:RoleAssignment"):
        role = row.inputs["roleDefinitionId"]
        number, reach = role.rpartition("/")[2], _reach(row.inputs["scope"])
        name = f"role {own[role]}" if role in own else ALL_OF_AZURE.get(number, number)
        condition = " on a condition" if row.inputs.get("condition") else ""
        if reach or number in ALL_OF_AZURE:
            yield f"{short(row.type)} {row.name}", f"{name} in the {reach or 'resource'}{condition}"
        if row.inputs["principalType"] != "ServicePrincipal":
            yield f"{short(row.type)} {row.name}", row.inputs["principalType"]
    for row in plan.resources:
        inputs = row.inputs
        public = (
            inputs.get("allowBlobPublicAccess") is True,
            inputs.get("publicAccess") not in (None, "None"),
            inputs.get("anonymousPullEnabled") is True,
        )
        if any(public):
            yield f"{short(row.type)} {row.name}", "anybody"
        if short(row.type) == "keyvault:Vault" and not inputs["properties"].get("enableRbacAuthorization"):
            yield f"{short(row.type)} {row.name}", "access policies of its own"


def _reach(scope: str) -> str:
    """What a scope is, if it is more than one resource."""
    if "/resourceGroups/" not in scope:
        return "subscription"
    return "group" if len(scope.strip("/").split("/")) == 4 else ""


# Kubernetes, on any of them


def kubernetes(plan: Plan) -> Iterator[Find]:
    """Rules with a `*`, and the role of a cluster's administrator."""
    for row in plan.resources:
        if not row.type.startswith("kubernetes:rbac"):
            continue
        where = f"{row.type.rpartition(':')[2]} {row.name}"
        for rule in row.inputs.get("rules") or []:
            yield from ((where, f"{key} *") for key, value in rule.items() if "*" in listed(value))
        if (row.inputs.get("roleRef") or {}).get("name") in ("cluster-admin", "admin", "edit"):
            yield where, row.inputs["roleRef"]["name"]
