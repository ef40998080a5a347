"""A private network (VPC) over several zones. It has no gateway, hence no way to the internet."""

import ipaddress
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.aws.identity import Identity
from infra.aws.names import SECURITY_GROUP, Account, named
from infra.aws.watch import Log
from infra.context import Context

# What a Fargate task needs to start and to log, and a machine to leave its group. It needs no endpoint of KMS or
# STS: S3 calls KMS itself, and a task's credentials come from its agent. Each costs by the hour and zone
# (docs/adr/0011).
ENDPOINTS = ("autoscaling", "ecr.api", "ecr.dkr", "logs")
GATEWAYS = ("s3", "dynamodb")  # these cost nothing
HTTPS = 443
SUBNET_BITS = 4  # sixteen subnets in the range, of which the zones take the first


class Network(pulumi.ComponentResource):
    """Private subnets, endpoints for storage, tables, registry and logs, and a record of every connection.

    Workloads wear the security group `members` to be let out to those endpoints. The default group is
    closed. All subnets use the main route table, which knows the way within, to S3 and to DynamoDB and no other.
    """

    id: pulumi.Output[str]
    subnets: Sequence[pulumi.Output[str]]
    members: pulumi.Output[str]
    callers: tuple[str, ...]

    def __init__(
        self,
        addresses: str,
        callers: tuple[str, ...],
        flow_log: Log,
        zones: tuple[str, ...],
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Network", "network", None, opts)
        self._ctx, self._child, self._region = ctx, pulumi.ResourceOptions(parent=self), account.region
        self.callers = callers
        vpc = aws.ec2.Vpc(
            "network",
            cidr_block=addresses,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # the private names of the endpoints need both
            tags=named(ctx, ctx.name("network", SECURITY_GROUP)),
            opts=self._child,
        )
        self.id = vpc.id
        aws.ec2.DefaultSecurityGroup("closed", vpc_id=vpc.id, tags=self._tags("closed"), opts=self._child)
        ranges = ipaddress.IPv4Network(addresses).subnets(prefixlen_diff=SUBNET_BITS)
        self.subnets = [
            aws.ec2.Subnet(
                zone,
                vpc_id=vpc.id,
                cidr_block=str(block),
                availability_zone=f"{account.region}{zone}",
                tags=self._tags(zone),
                opts=self._child,
            ).id
            for zone, block in zip(zones, ranges, strict=False)
        ]
        self.members = self._endpoints(vpc)
        self._record(flow_log, account)
        self.register_outputs({"id": self.id, "subnets": self.subnets, "members": self.members})

    def _tags(self, name: str) -> dict[str, str]:
        return named(self._ctx, self._ctx.name(name, SECURITY_GROUP))

    def _endpoints(self, vpc: aws.ec2.Vpc) -> pulumi.Output[str]:
        """The ways out of the network, and the group that may take them."""
        members, endpoints = (
            security_group(name, why, self.id, ctx=self._ctx, parent=self)
            for name, why in (
                ("members", "Workloads that may call the endpoints"),
                ("endpoints", "Endpoints of the platform"),
            )
        )
        for service in GATEWAYS:
            gateway = aws.ec2.VpcEndpoint(
                service,
                vpc_id=self.id,
                service_name=f"com.amazonaws.{self._region}.{service}",
                vpc_endpoint_type="Gateway",
                route_table_ids=[vpc.main_route_table_id],
                tags=self._tags(service),
                opts=self._child,
            )
            aws.vpc.SecurityGroupEgressRule(
                f"members-to-{service}",
                security_group_id=members,
                description=f"members-to-{service}",
                ip_protocol="tcp",
                from_port=HTTPS,
                to_port=HTTPS,
                prefix_list_id=gateway.prefix_list_id,
                tags=self._ctx.tags,
                opts=self._child,
            )
        for service in ENDPOINTS:
            aws.ec2.VpcEndpoint(
                service,
                vpc_id=self.id,
                service_name=f"com.amazonaws.{self._region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=self.subnets,
                security_group_ids=[endpoints],
                private_dns_enabled=True,
                tags=self._tags(service.replace(".", "-")),
                opts=self._child,
            )
        open_port("members-to-endpoints", HTTPS, members, endpoints, ctx=self._ctx, parent=self)
        return members

    def _record(self, flow_log: Log, account: Account) -> None:
        recorder = Identity("flow-recorder", "flow-log", account=account, ctx=self._ctx, opts=self._child)
        may_write = flow_log.grant_write(recorder)
        aws.ec2.FlowLog(
            "flow",
            vpc_id=self.id,
            traffic_type="ALL",
            log_destination=flow_log.arn,
            iam_role_arn=recorder.principal,
            tags=self._tags("flow"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may_write]),
        )


def security_group(
    name: str, why: str, network: pulumi.Input[str], *, ctx: Context, parent: pulumi.Resource
) -> pulumi.Output[str]:
    """A group that lets nothing in and nothing out until a port is opened."""
    full_name = ctx.name(name, SECURITY_GROUP)
    return aws.ec2.SecurityGroup(
        name,
        name=full_name,
        description=why,
        vpc_id=network,
        tags=named(ctx, full_name),
        opts=pulumi.ResourceOptions(parent=parent),
    ).id


def open_port(
    name: str,
    port: int,
    from_group: pulumi.Input[str],
    to_group: pulumi.Input[str],
    *,
    ctx: Context,
    parent: pulumi.Resource,
) -> None:
    """Open one TCP port between two groups: out of the one and into the other."""
    tcp: dict[str, Any] = {
        "ip_protocol": "tcp",
        "from_port": port,
        "to_port": port,
        "description": name,
        "tags": ctx.tags,
    }
    opts = pulumi.ResourceOptions(parent=parent)
    aws.vpc.SecurityGroupEgressRule(
        name, security_group_id=from_group, referenced_security_group_id=to_group, opts=opts, **tcp
    )
    aws.vpc.SecurityGroupIngressRule(
        name, security_group_id=to_group, referenced_security_group_id=from_group, opts=opts, **tcp
    )
