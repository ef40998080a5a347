"""What is written down: a workspace of logs that are kept for as long as an auditor asks."""

import pulumi
from pulumi_azure_native import monitor, operationalinsights

from infra.alerts import LOG_DAYS
from infra.azure.names import DIAGNOSTICS, WORKSPACE, Account
from infra.context import Context
from infra.shape import Key


class Log(pulumi.ComponentResource):
    """A workspace that Azure's services log to; nobody reads or writes it but with a token of the tenant.

    Azure encrypts it with keys of its own: ours it takes for a dedicated cluster alone, of 100 GB a day at least
    (docs/parity.md).
    """

    id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        key: Key,  # noqa: ARG002 - encrypts the logs of other clouds
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Log", name, None, opts)
        self._ctx = ctx
        workspace = operationalinsights.Workspace(
            name,
            workspace_name=ctx.name(name, WORKSPACE),
            resource_group_name=account.group,
            location=account.location,
            sku={"name": "PerGB2018"},
            retention_in_days=LOG_DAYS,
            features={"disable_local_auth": True, "enable_log_access_using_only_resource_permissions": True},
            public_network_access_for_ingestion="Disabled",  # services log from within Azure
            public_network_access_for_query="Enabled",  # people read, with a token
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        self.id = workspace.id
        self.register_outputs({"id": self.id})

    def take(
        self, name: str, resource: pulumi.Input[str], categories: tuple[str, ...], *, parent: pulumi.Resource
    ) -> monitor.DiagnosticSetting:
        """Have a resource log here, in tables of its own kind."""
        return monitor.DiagnosticSetting(
            name,
            name=self._ctx.name(name, DIAGNOSTICS),
            resource_uri=resource,
            workspace_id=self.id,
            log_analytics_destination_type="Dedicated",
            logs=[{"category": category, "enabled": True} for category in categories],
            opts=pulumi.ResourceOptions(parent=parent),
        )
