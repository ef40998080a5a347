"""Who may do what: role assignments, and roles of our own where Azure's allow more than a verb says."""

from collections.abc import Sequence

import pulumi
from pulumi_azure_native import authorization

from infra.azure.names import ROLE, Account
from infra.context import Context
from infra.shape import Identity

# Azure's own roles by their ids. Source: Microsoft, "Azure built-in roles".
ACCESS_ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"  # assigns roles: which, a condition says
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
ACR_PUSH = "8311e382-0749-4cb8-b61a-304f252e45ec"
BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
CLUSTER_ADMIN = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
CLUSTER_READER = "7f6c6a51-bcf8-42ba-9220-52d62157d7db"  # of what runs in namespaces, but no secrets
CLUSTER_USER = "4abbcc35-e782-43d8-92c5-2d3f1bd2253f"  # learns where a cluster is; what it may do there is said apart
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
DNS_CONTRIBUTOR = "befefa01-2a29-4197-83a8-272ff33ce314"
KEY_ENCRYPTION_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
QUEUE_SENDER = "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
VAULT_CONTRIBUTOR = "f25e0fa2-a7c4-4377-a976-54943a77a395"


def built_in(role: str, account: Account) -> str:
    """The full id of one of Azure's own roles."""
    return f"/subscriptions/{account.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"


def role(
    name: str,
    description: str,
    *,
    actions: Sequence[str] = (),
    data_actions: Sequence[str] = (),
    account: Account,
    ctx: Context,
    parent: pulumi.Resource,
) -> pulumi.Output[str]:
    """The id of a role of our own. It can be assigned within the resource group alone: roles know nothing smaller."""
    return authorization.RoleDefinition(
        name,
        role_definition_id=account.made_id(ctx, "role", name),
        role_name=ctx.unique_name(name, ROLE),
        role_type="CustomRole",
        description=description,
        scope=account.group_id,
        assignable_scopes=[account.group_id],
        permissions=[
            {"actions": list(actions), "data_actions": list(data_actions), "not_actions": [], "not_data_actions": []}
        ],
        opts=pulumi.ResourceOptions(parent=parent),
    ).id


def grant(
    identity: Identity,
    verb: str,
    guarded: str,
    role_id: pulumi.Input[str],
    scope: pulumi.Input[str],
    *,
    when: str | None = None,
    account: Account,
    ctx: Context,
    parent: pulumi.Resource,
) -> authorization.RoleAssignment:
    """Assign a role on what is guarded alone. One assignment a grant: grants do not know of each other.

    An assignment cannot change, and its name is made from the grant's: the old one goes before the new one comes.
    """
    name = f"{identity.workload}-{verb}-{guarded}"
    return authorization.RoleAssignment(
        name,
        role_assignment_name=account.made_id(ctx, "grant", name),
        description=f"{identity.workload}: {verb} {guarded}",
        principal_id=identity.principal,
        principal_type="ServicePrincipal",
        role_definition_id=role_id,
        scope=scope,
        condition=when,
        condition_version="2.0" if when else None,
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )
