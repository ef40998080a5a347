"""AWS's limits on names, its ARNs, and the tags that its console shows."""

from dataclasses import dataclass

import pulumi

from infra.context import Context, Limit, joined

# Longest names in characters, from the API reference of each service.
BUCKET = Limit(63)
ROLE = Limit(64)
LOAD_BALANCER = Limit(32)
TARGET_GROUP = Limit(32)
REPOSITORY = Limit(256)
KEY_ALIAS = Limit(250)  # 256 with "alias/"
CONTAINERS = Limit(255)  # clusters, services and families of task definitions
ALARM = Limit(255)
SECURITY_GROUP = Limit(255)
FIREWALL = Limit(128)
FILE_SYSTEM = Limit(64)  # the creation token
KEY_PAIR = Limit(255)
LAUNCH_TEMPLATE = Limit(128)
MACHINES = Limit(255)  # Auto Scaling groups
INSTANCE_PROFILE = Limit(128)
TRAIL = Limit(128)
TOPIC = Limit(256)
DASHBOARD = Limit(255)
BUDGET = Limit(100)
METRICS = Limit(255, separator="/")  # namespaces of CloudWatch
STATE_MACHINE = Limit(80)
RULE = Limit(64)  # rules of EventBridge, schedules and their groups
FUNCTION = Limit(64)
TABLE = Limit(255)
GATEWAY = Limit(128)
CLUSTER = Limit(100)
POLICY = Limit(128)
NODE_GROUP = Limit(63)
LOG_GROUP = Limit(511, separator="/")  # 512 with the slash in front


def log_group(ctx: Context, part: str) -> str:
    """Log groups lie under one path per environment, so that a key can be opened to just these."""
    return "/" + ctx.name(part, LOG_GROUP)


def log_groups(ctx: Context) -> str:
    """The pattern of all log groups of the environment."""
    return "/" + joined((ctx.project, ctx.environment), LOG_GROUP) + "/*"


def clusters(ctx: Context) -> str:
    """The pattern of all Kubernetes clusters of the environment."""
    return joined((ctx.project, ctx.environment), CLUSTER) + "-*"


def cluster_log_group(cluster: str) -> str:
    """Where EKS writes what a cluster's control plane logs; it may be a pattern."""
    return f"/aws/eks/{cluster}/cluster"


def named(ctx: Context, name: str) -> dict[str, str]:
    """The tags, and the `Name` that the console shows for what has no name of its own (networks)."""
    return {**ctx.tags, "Name": name}


@dataclass(frozen=True)
class Account:
    """Where things are: the account's number and the region."""

    id: pulumi.Output[str]
    region: str

    def arn(self, service: str, resource: str) -> pulumi.Output[str]:
        """The ARN of something in this account and region; it may end in a pattern."""
        return pulumi.Output.format("arn:aws:{0}:{1}:{2}:{3}", service, self.region, self.id, resource)

    @property
    def root(self) -> pulumi.Output[str]:
        """The account itself as a principal: its own IAM policies decide who in it may."""
        return pulumi.Output.format("arn:aws:iam::{0}:root", self.id)


def boundary_arn(account: Account, ctx: Context) -> pulumi.Output[str]:
    """The policy that no role of an environment reaches beyond. The account's own stack (`bootstrap`) makes it."""
    return pulumi.Output.format("arn:aws:iam::{0}:policy/{1}", account.id, ctx.name("boundary", POLICY))


def trail_arn(account: Account, ctx: Context) -> pulumi.Output[str]:
    """The audit trail's ARN, which the key and the bucket it writes with must know before it exists."""
    return account.arn("cloudtrail", f"trail/{ctx.name('audit', TRAIL)}")
