"""Samples of networks on EC2."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample

TAGS = {"project": "p", "owner": "o"}
OTHER_TAGS = {"project": "q", "environment": "e"}


def ec2(account: Account) -> Any:
    return account.client("ec2")


def tag(account: Account, made: str, _: Any) -> Any:
    return ec2(account).create_tags(Resources=[made], Tags=[{"Key": "added", "Value": "1"}])


def vpc_attribute(name: str, value: bool) -> Any:
    return lambda a, i, _: ec2(a).modify_vpc_attribute(VpcId=i, **{name: {"Value": value}})


def subnet_attribute(name: str, value: bool) -> Any:
    return lambda a, i, _: ec2(a).modify_subnet_attribute(SubnetId=i, **{name: {"Value": value}})


def move_gateway(account: Account, made: str, outputs: Any) -> None:
    ec2(account).detach_internet_gateway(InternetGatewayId=made, VpcId=outputs["vpcId"])


def add_route(account: Account, made: str, _: Any) -> None:
    gateway = ec2(account).create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2(account).create_route(RouteTableId=made, DestinationCidrBlock="192.168.0.0/16", GatewayId=gateway)


def lead_elsewhere(account: Account, _: str, outputs: Any) -> None:
    gateway = ec2(account).create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    where = {"RouteTableId": outputs["routeTableId"], "DestinationCidrBlock": outputs["destinationCidrBlock"]}
    ec2(account).replace_route(**where, GatewayId=gateway)


SAMPLES = {
    "vpc": Sample(
        "aws:ec2/vpc:Vpc",
        {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": True, "tags": TAGS},
        changes={
            "enableDnsSupport": False,
            "enableDnsHostnames": None,
            "enableNetworkAddressUsageMetrics": True,
            "tags": OTHER_TAGS,
        },
        behind={
            "enableDnsSupport": vpc_attribute("EnableDnsSupport", False),
            "enableDnsHostnames": vpc_attribute("EnableDnsHostnames", False),
            "enableNetworkAddressUsageMetrics": vpc_attribute("EnableNetworkAddressUsageMetrics", True),
            "tags": tag,
        },
        absent=frozenset({"ipv6AssociationId"}),
    ),
    "vpc-with-ipv6": Sample(
        "aws:ec2/vpc:Vpc",
        {"cidrBlock": "10.1.0.0/16", "instanceTenancy": "dedicated", "assignGeneratedIpv6CidrBlock": True},
    ),
    "subnet": Sample(
        "aws:ec2/subnet:Subnet",
        {
            "vpcId": Ref("vpc"),
            "cidrBlock": "10.0.0.0/24",
            "availabilityZone": "eu-central-1a",
            "mapPublicIpOnLaunch": True,
            "tags": TAGS,
        },
        changes={"mapPublicIpOnLaunch": False, "assignIpv6AddressOnCreation": True, "tags": OTHER_TAGS},
        behind={
            "mapPublicIpOnLaunch": subnet_attribute("MapPublicIpOnLaunch", False),
            "assignIpv6AddressOnCreation": subnet_attribute("AssignIpv6AddressOnCreation", True),
            "tags": tag,
        },
        absent=frozenset({"ipv6CidrBlockAssociationId"}),
    ),
    "other-subnet": Sample(
        "aws:ec2/subnet:Subnet",
        {"vpcId": Ref("vpc"), "cidrBlock": "10.0.1.0/24", "availabilityZoneId": "euc1-az3"},
        absent=frozenset({"ipv6CidrBlockAssociationId"}),
    ),
    "third-subnet": Sample(
        "aws:ec2/subnet:Subnet",
        {"vpcId": Ref("vpc"), "cidrBlock": "10.0.3.0/24", "availabilityZone": "eu-central-1b"},
        absent=frozenset({"ipv6CidrBlockAssociationId"}),
    ),
    "ipv6-subnet": Sample(
        "aws:ec2/subnet:Subnet",
        {
            "vpcId": Ref("vpc-with-ipv6"),
            "cidrBlock": "10.1.2.0/24",
            "ipv6CidrBlock": "2400:6500:1f:5300::/64",
            "availabilityZone": "eu-central-1b",
        },
    ),
    "internet-gateway": Sample(
        "aws:ec2/internetGateway:InternetGateway",
        {"vpcId": Ref("vpc"), "tags": TAGS},
        changes={"vpcId": Ref("vpc-with-ipv6"), "tags": OTHER_TAGS},
        behind={"vpcId": move_gateway, "tags": tag},
    ),
    "loose-gateway": Sample("aws:ec2/internetGateway:InternetGateway", {}),
    "route-table": Sample(
        "aws:ec2/routeTable:RouteTable",
        {
            "vpcId": Ref("vpc"),
            "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": Ref("internet-gateway")}],
            "tags": TAGS,
        },
        changes={"tags": OTHER_TAGS, "routes": [{"cidrBlock": "10.9.0.0/16", "gatewayId": Ref("internet-gateway")}]},
        behind={"tags": tag, "routes": add_route},
    ),
    "bare-table": Sample("aws:ec2/routeTable:RouteTable", {"vpcId": Ref("vpc")}),
    "table-association": Sample(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"routeTableId": Ref("bare-table"), "subnetId": Ref("subnet")},
    ),
    "gateway-association": Sample(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"routeTableId": Ref("bare-table"), "gatewayId": Ref("internet-gateway")},
    ),
    "route": Sample(
        "aws:ec2/route:Route",
        {
            "routeTableId": Ref("bare-table"),
            "destinationCidrBlock": "0.0.0.0/0",
            "gatewayId": Ref("internet-gateway"),
        },
        changes={"gatewayId": Ref("loose-gateway")},
        behind={"gatewayId": lead_elsewhere},
        absent=frozenset({"instanceId", "instanceOwnerId"}),
    ),
    "ipv6-route": Sample(
        "aws:ec2/route:Route",
        {
            "routeTableId": Ref("bare-table"),
            "destinationIpv6CidrBlock": "::/0",
            "gatewayId": Ref("internet-gateway"),
        },
        absent=frozenset({"instanceId", "instanceOwnerId"}),
    ),
}
