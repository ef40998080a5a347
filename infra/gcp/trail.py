"""The audit trail (Cloud Audit Logs): who did what to the project, who wrote data, and who acted as whom."""

from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.names import SINK, Account
from infra.shape import Store

# What is written down besides every change, which always is: by service, and all that is read of the project.
# Reading of data is written down in the access logs of the buckets, which cost next to nothing.
RECORDED = {
    "allServices": ("ADMIN_READ",),
    "storage.googleapis.com": ("DATA_WRITE",),
    "iamcredentials.googleapis.com": ("DATA_READ",),  # tokens made
    "sts.googleapis.com": ("DATA_READ",),  # tokens traded
}
LOGS = ("activity", "data_access", "policy", "system_event")


@dataclass
class _Writer:
    """What Google writes the trail as."""

    workload: str
    id: pulumi.Output[str]
    principal: pulumi.Output[str]


class Trail(pulumi.ComponentResource):
    """What was done in the project, into the locked bucket: it may add objects there, and change none."""

    def __init__(
        self, audit: Store, *, account: Account, ctx: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("groundwork:gcp:Trail", "audit", None, opts)
        for service, kinds in RECORDED.items():
            gcp.projects.IAMAuditConfig(
                service.partition(".")[0],
                project=account.project,
                service=service,
                audit_log_configs=[{"log_type": kind} for kind in kinds],
                opts=pulumi.ResourceOptions(parent=self),
            )
        sink = gcp.logging.ProjectSink(
            "audit",
            name=ctx.name("audit", SINK),
            description="The audit trail, into a bucket that is locked",
            project=account.project,
            destination=pulumi.Output.concat("storage.googleapis.com/", audit.name),
            filter=" OR ".join(f'log_id("cloudaudit.googleapis.com/{log}")' for log in LOGS),
            unique_writer_identity=True,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        audit.grant_write(_Writer("trail", sink.writer_identity, sink.writer_identity))
        self.register_outputs({})
