"""What a workload runs as: a service account without keys, that only this project's workloads can be given."""

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.names import Account, service_account
from infra.shape import Workload


class Identity(pulumi.ComponentResource):
    """A service account for one workload. It may do nothing until a part grants it something.

    `id` is its e-mail address, as a workload names it; `principal` is the member that grants name.
    """

    workload: str
    id: pulumi.Output[str]
    principal: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        runs_on: Workload | str,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Identity", name, None, opts)
        made = gcp.serviceaccount.Account(
            name,
            account_id=service_account(ctx, name),
            display_name=f"{ctx.project} {ctx.environment} {name}",
            description=f"What {name} runs as, on a {runs_on}",
            project=account.project,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.workload = name
        self.id = made.email
        self.principal = made.member
        self.register_outputs({"id": self.id, "principal": self.principal})
