"""What is written down, shown and told: logs, the audit trail, the dashboard, the alerts and the budget."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import pulumi
from pulumi_azure_native import applicationinsights, consumption, monitor, operationalinsights

from infra.alerts import BUDGET_SHARES, LOG_DAYS
from infra.azure import dashboard, queries
from infra.azure.alarms import Alarms
from infra.azure.keys import Key as Vault
from infra.azure.names import ALERT, BUDGET, DIAGNOSTICS, WORKSPACE, Account
from infra.context import Context
from infra.shape import Key, Scale, Store, WatchArgs

# What is done to a subscription, by whom. The rest of Azure's categories says how its resources feel.
ACTIVITIES = ("Administrative", "Security", "Policy", "Alert")


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


@runtime_checkable
class Bucket(Protocol):
    """A store of Azure, by the id of its storage account."""

    account: pulumi.Output[str]


@runtime_checkable
class Serving(Protocol):
    """A service of Azure: its id, its name in its logs, the log itself, and how far it scales."""

    id: pulumi.Output[str]
    name: pulumi.Output[str]
    log: Log
    scale: Scale


@runtime_checkable
class Running(Protocol):
    """A workflow of Azure, whose runs Azure counts by its id."""

    id: pulumi.Output[str]


class Watch(pulumi.ComponentResource):
    """One page to look at, five alerts at most that say what to do, and a trail that nobody can change.

    The trail is what was done to the subscription, and the use of each key. The budget is that of the resource group.
    """

    dashboard: pulumi.Output[str]

    def __init__(
        self,
        args: WatchArgs,
        keys: Sequence[Vault],
        since: str,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Watch", "watch", None, opts)
        self._ctx, self._child = ctx, pulumi.ResourceOptions(parent=self)
        service, workflow = args.service, args.workflow
        if not isinstance(service, Serving) or not isinstance(workflow, Running):
            raise TypeError("What is watched on Azure is a service and a workflow of Azure (infra.azure).")
        self._trail(args.audit, keys, account)
        of = queries.Subject(service.log.id, service.id, service.name, workflow.id)
        Alarms(of, service.scale, args.owner, args.runbook, account=account, ctx=ctx, opts=self._child)
        page = applicationinsights.Workbook(
            "watch",
            resource_name_=account.made_id(ctx, "workbook", "watch"),
            resource_group_name=account.group,
            location=account.location,
            kind="shared",
            category="workbook",
            display_name=ctx.name("watch", ALERT),
            source_id=service.log.id,
            serialized_data=dashboard.body(of),
            tags=ctx.tags,
            opts=self._child,
        )
        self._budget(args, since, account)
        self.dashboard = dashboard.link(page.id, account.tenant)
        self.register_outputs({"dashboard": self.dashboard})

    def _trail(self, audit: Store, keys: Sequence[Vault], account: Account) -> None:
        """Written by Azure itself into the locked bucket's account."""
        if not isinstance(audit, Bucket):
            raise TypeError("The audit trail goes to a store of Azure (infra.azure).")
        sources: list[tuple[str, pulumi.Input[str], tuple[str, ...]]] = [
            ("trail", f"/subscriptions/{account.subscription}", ACTIVITIES)
        ]
        sources += [(f"{key.pulumi_resource_name}-key-trail", key.vault, ("AuditEvent",)) for key in keys]
        for name, resource, categories in sources:
            monitor.DiagnosticSetting(
                name,
                name=self._ctx.name(name, DIAGNOSTICS),
                resource_uri=resource,
                storage_account_id=audit.account,
                logs=[{"category": category, "enabled": True} for category in categories],
                opts=self._child,
            )

    def _budget(self, args: WatchArgs, since: str, account: Account) -> None:
        """From the first day of the month `since` (YYYY-MM) on."""
        told = [("Actual", share) for share in BUDGET_SHARES] + [("Forecasted", 100)]
        consumption.Budget(
            "watch",
            budget_name=self._ctx.name("watch", BUDGET),
            scope=account.group_id,
            category="Cost",
            amount=args.budget,
            time_grain="Monthly",
            # Azure takes the month in which a budget is made, or one of the twelve to come. It is not looked at again.
            time_period={"start_date": f"{since}-01T00:00:00Z"},
            notifications={
                f"{kind.lower()}-{share}": {
                    "enabled": True,
                    "operator": "GreaterThan",
                    "threshold": share,
                    "threshold_type": kind,
                    "contact_emails": [args.owner],
                }
                for kind, share in told
            },
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["timePeriod"]),
        )
