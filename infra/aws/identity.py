"""What a workload runs as: an IAM role that one service of AWS may assume. No users, no keys."""

import pulumi
import pulumi_aws as aws

from infra.aws.names import ROLE, Account, boundary_arn, clusters
from infra.aws.policy import Statement, allow, document
from infra.context import Context
from infra.shape import Workload

# What a role trusts: the service, and the resource on whose behalf it must ask. Some services are documented
# to name none (EC2 for a machine, Lambda, S3's replication, EKS), and there a condition would shut them out.
TRUSTED: dict[Workload | str, tuple[str, tuple[str, str] | None]] = {
    "container": ("ecs-tasks.amazonaws.com", ("ecs", "*")),
    "machine": ("ec2.amazonaws.com", None),
    "function": ("lambda.amazonaws.com", None),
    "flow-log": ("vpc-flow-logs.amazonaws.com", ("ec2", "vpc-flow-log/*")),
    "replication": ("s3.amazonaws.com", None),
    "state-machine": ("states.amazonaws.com", ("states", "stateMachine:*")),
    "rule": ("events.amazonaws.com", ("events", "rule/*")),
    "schedule": ("scheduler.amazonaws.com", ("scheduler", "schedule-group/*")),
    "cluster": ("eks.amazonaws.com", None),
}
# What is a pod where there is a cluster; "pod" is nothing else.
ON_CLUSTERS = ("container", "pod")


class Identity(pulumi.ComponentResource):
    """A role for one workload. It may do nothing until a part grants it something."""

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
        super().__init__("groundwork:aws:Identity", name, None, opts)
        role = aws.iam.Role(
            name,
            name=ctx.name(name, ROLE),
            description=f"{ctx.project} {ctx.environment}: what {name} runs as",
            assume_role_policy=document(*_trust(runs_on, account, ctx)),
            # Without it the identity that deploys may make no role; where nothing is deployed there is none.
            permissions_boundary=None if ctx.disposable else boundary_arn(account, ctx),
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.workload = name
        self.id = role.name
        self.principal = role.arn
        self.register_outputs({"id": self.id, "principal": self.principal})


def _trust(runs_on: str, account: Account, ctx: Context) -> list[Statement]:
    """Who may take on the role: its workload's service; a container is also a pod on a cluster of the environment."""
    statements = []
    if runs_on in TRUSTED:
        service, source = TRUSTED[runs_on]
        when = source and {
            "StringEquals": {"aws:SourceAccount": account.id},
            "ArnLike": {"aws:SourceArn": account.arn(*source)},
        }
        statements.append(allow(["sts:AssumeRole"], None, principal={"Service": service}, when=when))
    if runs_on in ON_CLUSTERS:
        when = {
            "StringEquals": {"aws:SourceAccount": account.id},
            "ArnLike": {"aws:RequestTag/eks-cluster-arn": account.arn("eks", f"cluster/{clusters(ctx)}")},
        }
        # The session is tagged with the cluster, namespace and service account of the pod: hence the second action.
        pods = {"Service": "pods.eks.amazonaws.com"}
        statements.append(allow(["sts:AssumeRole", "sts:TagSession"], None, principal=pods, when=when))
    return statements
