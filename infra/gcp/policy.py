"""What IAM grants are made of on GCP: narrow roles, conditions, and the parts that a grant is about."""

from collections.abc import Sequence
from typing import TypeVar

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.names import Account, role_id
from infra.shape import Unsupported

Part = TypeVar("Part")


def own(part: object, kind: type[Part]) -> Part:
    """The part as this cloud's own class. Raises Unsupported if it is another cloud's."""
    if not isinstance(part, kind):
        raise Unsupported(f"gcp: {part!r} is no {kind.__name__} of GCP; give it the part of the same cloud.")
    return part


def role(
    name: str, permissions: Sequence[str], why: str, *, account: Account, ctx: Context, parent: pulumi.Resource
) -> pulumi.Output[str]:
    """A role of the project's own, for where each of Google's allows more. It is granted to nobody yet."""
    return gcp.projects.IAMCustomRole(
        name,
        project=account.project,
        role_id=role_id(ctx, name),
        title=f"{ctx.project} {ctx.environment}: {name}",
        description=why,
        permissions=list(permissions),
        opts=pulumi.ResourceOptions(parent=parent),
    ).name
