"""Azure's limits on names, its resource ids, and the ids that are made from names."""

import uuid
from dataclasses import dataclass
from typing import TypeVar

import pulumi

from infra.context import Context, Limit

# Longest names in characters. Source: Microsoft, "Naming rules and restrictions for Azure resources".
RESOURCE_GROUP = Limit(90)
STORAGE_ACCOUNT = Limit(24, separator="")
CONTAINER = Limit(63)
VAULT = Limit(24)
VAULT_KEY = Limit(127)
IDENTITY = Limit(128)
VIRTUAL_NETWORK = Limit(64)
NETWORK_RULES = Limit(80)  # subnets, network and application security groups, private endpoints, flow logs
REGISTRY = Limit(50, separator="")
CONTAINER_APP = Limit(32)  # and jobs and environments of them
WORKSPACE = Limit(63)
ALERT = Limit(260)
ACTION_GROUP = Limit(260)
SHORT = Limit(12)  # an action group's name in a message
BUDGET = Limit(63)
DIAGNOSTICS = Limit(260)
LOCK = Limit(64)  # deployments of templates
ROLE = Limit(512)
MACHINES = Limit(64)  # scale sets of Linux machines
DISK_KEY = Limit(80)
CLUSTER = Limit(63)
GATEWAY = Limit(50)
WORKFLOW = Limit(80)
TOPIC = Limit(50)
TABLE = Limit(63, separator="")
QUEUE = Limit(63)

T = TypeVar("T")
# The root of ids that are made from names, itself made from a name: no two projects of ours need another.
_IDS = uuid.uuid5(uuid.NAMESPACE_DNS, "groundwork.azure")


@dataclass(frozen=True)
class Account:
    """Where things are: the subscription in its tenant, the resource group by name and id, the region, its zones."""

    subscription: str
    tenant: str
    group: pulumi.Output[str]
    group_id: pulumi.Output[str]
    location: str
    zones: tuple[str, ...]

    def made_id(self, ctx: Context, *parts: str) -> str:
        """A UUID where Azure wants one for a name (role assignments): made from the names, so always the same."""
        names = (self.subscription, ctx.organisation, ctx.project, ctx.environment, *parts)
        return str(uuid.uuid5(_IDS, "\0".join(names)))

    def id_in(self, group: str, kind: str, name: str) -> str:
        """The id of something in a resource group that is not this one."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{group}/providers/{kind}/{name}"


def own(kind: type[T], part: object) -> T:
    """The part as this cloud's own, which knows more of itself than every cloud says. Raises TypeError."""
    if not isinstance(part, kind):
        raise TypeError(f"azure: needs a {kind.__name__} of Azure, got a {type(part).__module__} one.")
    return part
