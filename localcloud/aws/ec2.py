"""Networks on EC2: VPCs, subnets, internet gateways; and what every family on EC2 shares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from localcloud.aws.answers import present, unless_gone
from localcloud.aws.calls import if_found, tag_changes, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags

if TYPE_CHECKING:
    from localcloud.aws.account import Account


def with_tags(resource_type: str, tags: Tags) -> list[dict[str, Any]]:
    """TagSpecifications of a creating call."""
    return [{"ResourceType": resource_type, "Tags": tag_list(tags)}] if tags else []


def retag(account: Account, resource_id: str, old: Properties, new: Properties) -> None:
    """Bring the tags of anything on EC2 from the old inputs to the new ones."""
    written, removed = tag_changes(old, new)
    if written:
        account.client("ec2").create_tags(Resources=[resource_id], Tags=tag_list(written))
    if removed:
        account.client("ec2").delete_tags(Resources=[resource_id], Tags=[{"Key": name} for name in removed])


def arn(account: Account, resource: str) -> str:
    """The ARN of an EC2 resource, `resource` being as `vpc/vpc-1`."""
    return f"arn:{account.partition}:ec2:{account.region}:{account.account_id}:{resource}"


def described(account: Account, call: str, result: str, **query: Any) -> list[dict[str, Any]]:
    """All pages of a describe call; empty where the cloud says that there is no such thing."""
    pages = account.client("ec2").get_paginator(call).paginate(**query)
    found = unless_gone(lambda: [item for page in pages for item in page[result]])
    return found or []


def first(account: Account, call: str, result: str, **query: Any) -> dict[str, Any] | None:
    return next(iter(described(account, call, result, **query)), None)


def filters(**values: str) -> list[dict[str, Any]]:
    return [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in values.items()]


def _in_own_vpcs(account: Account, items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items without those of the default VPC, which every fresh account holds."""
    default = {vpc["VpcId"] for vpc in described(account, "describe_vpcs", "Vpcs", Filters=filters(is_default="true"))}
    return [item for item in items if item.get("VpcId") not in default]


# --- Vpc

_VPC_ATTRIBUTES = {"enableDnsSupport": True, "enableDnsHostnames": False, "enableNetworkAddressUsageMetrics": False}


def _set_vpc_attributes(account: Account, vpc: str, old: Properties, new: Properties) -> None:
    for name, default in _VPC_ATTRIBUTES.items():
        wanted = new.get(name, default)
        if old.get(name, default) != wanted:
            # one attribute a call: that is all the API takes
            account.client("ec2").modify_vpc_attribute(VpcId=vpc, **{name[0].upper() + name[1:]: {"Value": wanted}})


def _create_vpc(account: Account, inputs: Properties, tags: Tags) -> str:
    arguments = present(
        CidrBlock=inputs.get("cidrBlock"),
        InstanceTenancy=inputs.get("instanceTenancy"),
        AmazonProvidedIpv6CidrBlock=inputs.get("assignGeneratedIpv6CidrBlock"),
    )
    created = account.client("ec2").create_vpc(**arguments, TagSpecifications=with_tags("vpc", tags))
    vpc = str(created["Vpc"]["VpcId"])
    _set_vpc_attributes(account, vpc, {}, inputs)
    return vpc


def _vpc_attribute(account: Account, vpc: str, name: str) -> bool:
    answer = account.client("ec2").describe_vpc_attribute(VpcId=vpc, Attribute=name)
    return bool(answer[name[0].upper() + name[1:]]["Value"])


def _read_vpc(account: Account, vpc: str, _inputs: Properties) -> Properties | None:
    found = first(account, "describe_vpcs", "Vpcs", VpcIds=[vpc])
    if found is None:
        return None
    inside = filters(vpc_id=vpc)
    tables = described(account, "describe_route_tables", "RouteTables", Filters=inside)
    main = next((t["RouteTableId"] for t in tables if any(a.get("Main") for a in t["Associations"])), None)
    group = first(
        account, "describe_security_groups", "SecurityGroups", Filters=[*inside, *filters(group_name="default")]
    )
    acl = first(account, "describe_network_acls", "NetworkAcls", Filters=[*inside, *filters(default="true")])
    ipv6: dict[str, Any] = next(iter(found.get("Ipv6CidrBlockAssociationSet") or []), {})
    return present(
        arn=arn(account, f"vpc/{vpc}"),
        cidrBlock=found["CidrBlock"],
        instanceTenancy=found["InstanceTenancy"],
        **{name: _vpc_attribute(account, vpc, name) for name in _VPC_ATTRIBUTES},
        assignGeneratedIpv6CidrBlock=bool(ipv6),
        ipv6CidrBlock=ipv6.get("Ipv6CidrBlock"),
        ipv6AssociationId=ipv6.get("AssociationId"),
        dhcpOptionsId=found.get("DhcpOptionsId"),
        ownerId=found.get("OwnerId"),
        mainRouteTableId=main,
        defaultRouteTableId=main,
        defaultNetworkAclId=acl and acl["NetworkAclId"],
        defaultSecurityGroupId=group and group["GroupId"],
        tags=tag_map(found.get("Tags") or []),
    )


def _update_vpc(account: Account, vpc: str, old: Properties, new: Properties) -> None:
    _set_vpc_attributes(account, vpc, old, new)
    retag(account, vpc, old, new)


def _delete_vpc(account: Account, vpc: str, _inputs: Properties) -> None:
    client = account.client("ec2")
    unless_gone(lambda: client.delete_vpc(VpcId=vpc))
    # AWS takes the default network ACL away with its VPC. Moto leaves it, and bound to subnets that are gone.
    for acl in described(account, "describe_network_acls", "NetworkAcls", Filters=filters(vpc_id=vpc)):
        if_found(client.delete_network_acl, "DependencyViolation", NetworkAclId=acl["NetworkAclId"])


def _list_vpcs(account: Account) -> list[tuple[str, Tags]]:
    found = described(account, "describe_vpcs", "Vpcs")
    return [(vpc["VpcId"], tag_map(vpc.get("Tags") or [])) for vpc in found if not vpc.get("IsDefault")]


VPC = Kind(
    token="aws:ec2/vpc:Vpc",
    create=_create_vpc,
    read=_read_vpc,
    update=_update_vpc,
    delete=_delete_vpc,
    list=_list_vpcs,
    read_back=frozenset({"cidrBlock", "instanceTenancy", "assignGeneratedIpv6CidrBlock", "tags", *_VPC_ATTRIBUTES}),
    replaces=frozenset({"cidrBlock", "instanceTenancy", "assignGeneratedIpv6CidrBlock"}),
    defaults={"enableDnsSupport": True, "instanceTenancy": "default"},
    tagged=True,
)


# --- Subnet

# input → the part of ModifySubnetAttribute that sets it; one a call
_SUBNET_ATTRIBUTES = {
    "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
    "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
}


def _set_subnet_attributes(account: Account, subnet: str, old: Properties, new: Properties) -> None:
    for name, part in _SUBNET_ATTRIBUTES.items():
        wanted = bool(new.get(name))
        if bool(old.get(name)) != wanted:
            account.client("ec2").modify_subnet_attribute(SubnetId=subnet, **{part: {"Value": wanted}})


def _create_subnet(account: Account, inputs: Properties, tags: Tags) -> str:
    arguments = present(
        VpcId=inputs["vpcId"],
        CidrBlock=inputs.get("cidrBlock"),
        Ipv6CidrBlock=inputs.get("ipv6CidrBlock"),
        AvailabilityZone=inputs.get("availabilityZone"),
        AvailabilityZoneId=inputs.get("availabilityZoneId"),
    )
    created = account.client("ec2").create_subnet(**arguments, TagSpecifications=with_tags("subnet", tags))
    subnet = str(created["Subnet"]["SubnetId"])
    # the emulator gives public addresses in some zones unasked
    born = {name: created["Subnet"].get(part) for name, part in _SUBNET_ATTRIBUTES.items()}
    _set_subnet_attributes(account, subnet, born, inputs)
    return subnet


def _read_subnet(account: Account, subnet: str, _inputs: Properties) -> Properties | None:
    found = first(account, "describe_subnets", "Subnets", SubnetIds=[subnet])
    if found is None:
        return None
    ipv6: dict[str, Any] = next(iter(found.get("Ipv6CidrBlockAssociationSet") or []), {})
    launch = found.get("PrivateDnsNameOptionsOnLaunch") or {}
    return present(
        arn=found.get("SubnetArn") or arn(account, f"subnet/{subnet}"),
        vpcId=found["VpcId"],
        cidrBlock=found.get("CidrBlock"),
        availabilityZone=found["AvailabilityZone"],
        availabilityZoneId=found.get("AvailabilityZoneId"),
        mapPublicIpOnLaunch=bool(found.get("MapPublicIpOnLaunch")),
        assignIpv6AddressOnCreation=bool(found.get("AssignIpv6AddressOnCreation")),
        ipv6CidrBlock=ipv6.get("Ipv6CidrBlock"),
        ipv6CidrBlockAssociationId=ipv6.get("AssociationId"),
        privateDnsHostnameTypeOnLaunch=launch.get("HostnameType"),
        ownerId=found.get("OwnerId"),
        tags=tag_map(found.get("Tags") or []),
    )


def _update_subnet(account: Account, subnet: str, old: Properties, new: Properties) -> None:
    _set_subnet_attributes(account, subnet, old, new)
    retag(account, subnet, old, new)


def _delete_subnet(account: Account, subnet: str, _inputs: Properties) -> None:
    unless_gone(lambda: account.client("ec2").delete_subnet(SubnetId=subnet))


def _list_subnets(account: Account) -> list[tuple[str, Tags]]:
    found = _in_own_vpcs(account, described(account, "describe_subnets", "Subnets"))
    return [(subnet["SubnetId"], tag_map(subnet.get("Tags") or [])) for subnet in found]


SUBNET = Kind(
    token="aws:ec2/subnet:Subnet",
    create=_create_subnet,
    read=_read_subnet,
    update=_update_subnet,
    delete=_delete_subnet,
    list=_list_subnets,
    read_back=frozenset(
        {"vpcId", "cidrBlock", "ipv6CidrBlock", "availabilityZone", "availabilityZoneId", "tags", *_SUBNET_ATTRIBUTES}
    ),
    computed=frozenset({"availabilityZone", "availabilityZoneId"}),
    replaces=frozenset({"vpcId", "cidrBlock", "ipv6CidrBlock", "availabilityZone", "availabilityZoneId"}),
    tagged=True,
    # the new one would overlap the old one's addresses
    delete_before_replace=True,
)


# --- InternetGateway


def _create_internet_gateway(account: Account, inputs: Properties, tags: Tags) -> str:
    created = account.client("ec2").create_internet_gateway(TagSpecifications=with_tags("internet-gateway", tags))
    gateway = str(created["InternetGateway"]["InternetGatewayId"])
    _attach(account, gateway, None, inputs.get("vpcId"))
    return gateway


def _attach(account: Account, gateway: str, old_vpc: str | None, new_vpc: str | None) -> None:
    client = account.client("ec2")
    if old_vpc and old_vpc != new_vpc:
        unless_gone(
            lambda: client.detach_internet_gateway(InternetGatewayId=gateway, VpcId=old_vpc), "Gateway.NotAttached"
        )
    if new_vpc and old_vpc != new_vpc:
        client.attach_internet_gateway(InternetGatewayId=gateway, VpcId=new_vpc)


def _read_internet_gateway(account: Account, gateway: str, _inputs: Properties) -> Properties | None:
    found = first(account, "describe_internet_gateways", "InternetGateways", InternetGatewayIds=[gateway])
    if found is None:
        return None
    attached = [place["VpcId"] for place in found.get("Attachments") or [] if place["State"] != "detached"]
    return present(
        arn=arn(account, f"internet-gateway/{gateway}"),
        vpcId=next(iter(attached), None),
        ownerId=found.get("OwnerId"),
        tags=tag_map(found.get("Tags") or []),
    )


def _update_internet_gateway(account: Account, gateway: str, old: Properties, new: Properties) -> None:
    _attach(account, gateway, old.get("vpcId"), new.get("vpcId"))
    retag(account, gateway, old, new)


def _delete_internet_gateway(account: Account, gateway: str, inputs: Properties) -> None:
    live = _read_internet_gateway(account, gateway, inputs)
    if live is not None:
        _attach(account, gateway, live.get("vpcId"), None)
        unless_gone(lambda: account.client("ec2").delete_internet_gateway(InternetGatewayId=gateway))


def _list_internet_gateways(account: Account) -> list[tuple[str, Tags]]:
    found = described(account, "describe_internet_gateways", "InternetGateways")
    return [(gateway["InternetGatewayId"], tag_map(gateway.get("Tags") or [])) for gateway in found]


INTERNET_GATEWAY = Kind(
    token="aws:ec2/internetGateway:InternetGateway",
    create=_create_internet_gateway,
    read=_read_internet_gateway,
    update=_update_internet_gateway,
    delete=_delete_internet_gateway,
    list=_list_internet_gateways,
    read_back=frozenset({"vpcId", "tags"}),
    tagged=True,
)

KINDS: tuple[Kind, ...] = (VPC, SUBNET, INTERNET_GATEWAY)
