"""What a workload runs as: a user-assigned managed identity. No users, no keys, no secrets."""

import pulumi
from pulumi_azure_native import managedidentity

from infra.azure.names import IDENTITY, Account
from infra.context import Context
from infra.shape import Workload


class Identity(pulumi.ComponentResource):
    """An identity for one workload. It may do nothing until a part grants it something.

    What it runs on does not matter to Azure: an identity trusts nobody, whoever may assign it to a resource
    decides. `client` is what the workload's variable AZURE_CLIENT_ID says.
    """

    workload: str
    id: pulumi.Output[str]
    principal: pulumi.Output[str]
    client: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        runs_on: Workload | str,  # noqa: ARG002 - says on other clouds whom to trust
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Identity", name, None, opts)
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_name_=ctx.name(name, IDENTITY),
            resource_group_name=account.group,
            location=account.location,
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.workload = name
        self.id = identity.id
        self.principal = identity.principal_id
        self.client = identity.client_id
        self.register_outputs({"id": self.id, "principal": self.principal, "client": self.client})
