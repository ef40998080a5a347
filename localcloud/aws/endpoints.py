"""What watches and serves a VPC: endpoints of AWS services, and flow logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from localcloud.aws.answers import code, present
from localcloud.aws.calls import changed, tag_map
from localcloud.aws.ec2 import arn, described, filters, first, retag, with_tags
from localcloud.aws.kind import Kind, Properties, Tags

if TYPE_CHECKING:
    from localcloud.aws.account import Account

# --- VpcEndpoint

# list input → the API's name of it
_MEMBERS = {"routeTableIds": "RouteTableIds", "subnetIds": "SubnetIds", "securityGroupIds": "SecurityGroupIds"}
_GONE = ("deleted", "deleting")


def _create_endpoint(account: Account, inputs: Properties, tags: Tags) -> str:
    interface = inputs.get("vpcEndpointType") != "Gateway"
    arguments = present(
        VpcId=inputs["vpcId"],
        ServiceName=inputs["serviceName"],
        # the emulator cannot delete an endpoint that was made without a type
        VpcEndpointType=inputs.get("vpcEndpointType", "Gateway"),
        PolicyDocument=inputs.get("policy"),
        IpAddressType=inputs.get("ipAddressType"),
        PrivateDnsEnabled=bool(inputs.get("privateDnsEnabled")) if interface else None,
        **{part: inputs.get(name) for name, part in _MEMBERS.items()},
    )
    created = account.client("ec2").create_vpc_endpoint(**arguments, TagSpecifications=with_tags("vpc-endpoint", tags))
    return str(created["VpcEndpoint"]["VpcEndpointId"])


def _read_endpoint(account: Account, endpoint: str, _inputs: Properties) -> Properties | None:
    found = first(account, "describe_vpc_endpoints", "VpcEndpoints", VpcEndpointIds=[endpoint])
    if found is None or found["State"] in _GONE:
        return None
    gateway = found["VpcEndpointType"] == "Gateway"
    named = filters(prefix_list_name=found["ServiceName"])
    prefixes = first(account, "describe_prefix_lists", "PrefixLists", Filters=named) if gateway else None
    return present(
        arn=arn(account, f"vpc-endpoint/{endpoint}"),
        vpcId=found["VpcId"],
        serviceName=found["ServiceName"],
        vpcEndpointType=found["VpcEndpointType"],
        policy=found.get("PolicyDocument"),
        ipAddressType=found.get("IpAddressType"),
        # a gateway endpoint has no DNS; the emulator claims it all the same
        privateDnsEnabled=not gateway and bool(found.get("PrivateDnsEnabled")),
        routeTableIds=found.get("RouteTableIds") or [],
        subnetIds=found.get("SubnetIds") or [],
        securityGroupIds=[group["GroupId"] for group in found.get("Groups") or []],
        networkInterfaceIds=found.get("NetworkInterfaceIds") or [],
        dnsEntries=[
            present(dnsName=entry.get("DnsName"), hostedZoneId=entry.get("HostedZoneId"))
            for entry in found.get("DnsEntries") or []
        ],
        prefixListId=prefixes and prefixes["PrefixListId"],
        cidrBlocks=prefixes and prefixes.get("Cidrs"),
        ownerId=found.get("OwnerId"),
        requesterManaged=bool(found.get("RequesterManaged")),
        state=found["State"],
        tags=tag_map(found.get("Tags") or []),
    )


def _update_endpoint(account: Account, endpoint: str, old: Properties, new: Properties) -> None:
    arguments: Properties = {}
    for name, part in _MEMBERS.items():
        before, after = set(old.get(name) or []), set(new.get(name) or [])
        if name in new and before != after:
            arguments |= {f"Add{part}": sorted(after - before), f"Remove{part}": sorted(before - after)}
    if changed(old, new, "policy"):
        arguments |= {"PolicyDocument": new["policy"]} if new.get("policy") else {"ResetPolicy": True}
    if arguments:
        account.client("ec2").modify_vpc_endpoint(VpcEndpointId=endpoint, **arguments)
    retag(account, endpoint, old, new)


def _delete_endpoint(account: Account, endpoint: str, inputs: Properties) -> None:
    client = account.client("ec2")
    live = _read_endpoint(account, endpoint, inputs)
    if live is None:
        return
    try:
        client.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    except ClientError as error:
        if not code(error).startswith("InvalidRoute"):
            raise
        # the emulator stumbles over route tables that joined later or are gone; AWS takes its routes out by itself
        client.modify_vpc_endpoint(VpcEndpointId=endpoint, RemoveRouteTableIds=live["routeTableIds"])
        client.delete_vpc_endpoints(VpcEndpointIds=[endpoint])


def _list_endpoints(account: Account) -> list[tuple[str, Tags]]:
    found = described(account, "describe_vpc_endpoints", "VpcEndpoints")
    return [(item["VpcEndpointId"], tag_map(item.get("Tags") or [])) for item in found if item["State"] not in _GONE]


VPC_ENDPOINT = Kind(
    token="aws:ec2/vpcEndpoint:VpcEndpoint",
    create=_create_endpoint,
    read=_read_endpoint,
    update=_update_endpoint,
    delete=_delete_endpoint,
    list=_list_endpoints,
    read_back=frozenset({"vpcId", "serviceName", "vpcEndpointType", "policy", "privateDnsEnabled", "tags", *_MEMBERS}),
    computed=frozenset({"policy", *_MEMBERS}),
    kept={"ipAddressType": "the address family of the endpoint"},
    # ipAddressType and privateDnsEnabled change in place on AWS; the emulator ignores that without a word
    replaces=frozenset({"vpcId", "serviceName", "vpcEndpointType", "privateDnsEnabled", "ipAddressType"}),
    unordered=frozenset(_MEMBERS),
    defaults={"vpcEndpointType": "Gateway"},
    tagged=True,
    # two endpoints of one service cannot share route tables or private DNS names
    delete_before_replace=True,
)


# --- FlowLog

# input → (the API's name of such a resource, the prefix of its ids)
_WATCHED = {"vpcId": ("VPC", "vpc-"), "subnetId": ("Subnet", "subnet-")}


def _create_flow_log(account: Account, inputs: Properties, tags: Tags) -> str:
    watched = next(name for name in _WATCHED if inputs.get(name))
    arguments = present(
        ResourceType=_WATCHED[watched][0],
        ResourceIds=[inputs[watched]],
        TrafficType=inputs.get("trafficType"),
        LogDestination=inputs.get("logDestination"),
        LogDestinationType=inputs.get("logDestinationType"),
        DeliverLogsPermissionArn=inputs.get("iamRoleArn"),
        LogFormat=inputs.get("logFormat"),
        MaxAggregationInterval=inputs.get("maxAggregationInterval"),
        DestinationOptions=_destination_options(inputs.get("destinationOptions")),
    )
    answer = account.client("ec2").create_flow_logs(**arguments, TagSpecifications=with_tags("vpc-flow-log", tags))
    for refused in answer.get("Unsuccessful") or []:
        # the call succeeds and says inside that it did not
        raise ClientError({"Error": refused["Error"]}, "CreateFlowLogs")
    return str(answer["FlowLogIds"][0])


def _destination_options(options: Properties | None) -> Properties | None:
    if options is None:
        return None
    return present(
        FileFormat=options.get("fileFormat"),
        HiveCompatiblePartitions=options.get("hiveCompatiblePartitions"),
        PerHourPartition=options.get("perHourPartition"),
    )


def _read_flow_log(account: Account, flow_log: str, _inputs: Properties) -> Properties | None:
    found = first(account, "describe_flow_logs", "FlowLogs", FlowLogIds=[flow_log])
    if found is None:
        return None
    watched = next(name for name, (_, prefix) in _WATCHED.items() if found["ResourceId"].startswith(prefix))
    return present(
        arn=arn(account, f"vpc-flow-log/{flow_log}"),
        trafficType=found.get("TrafficType"),
        logDestination=found.get("LogDestination"),
        logDestinationType=found.get("LogDestinationType"),
        iamRoleArn=found.get("DeliverLogsPermissionArn"),
        logFormat=found.get("LogFormat"),
        maxAggregationInterval=found.get("MaxAggregationInterval"),
        tags=tag_map(found.get("Tags") or []),
        **{watched: found["ResourceId"]},
    )


def _delete_flow_log(account: Account, flow_log: str, _inputs: Properties) -> None:
    if first(account, "describe_flow_logs", "FlowLogs", FlowLogIds=[flow_log]):
        account.client("ec2").delete_flow_logs(FlowLogIds=[flow_log])


def _list_flow_logs(account: Account) -> list[tuple[str, Tags]]:
    found = described(account, "describe_flow_logs", "FlowLogs")
    return [(item["FlowLogId"], tag_map(item.get("Tags") or [])) for item in found]


_FLOW_LOG_INPUTS = frozenset(
    {"trafficType", "logDestination", "logDestinationType", "iamRoleArn", "logFormat", "maxAggregationInterval"}
)

FLOW_LOG = Kind(
    token="aws:ec2/flowLog:FlowLog",
    create=_create_flow_log,
    read=_read_flow_log,
    update=retag,
    delete=_delete_flow_log,
    list=_list_flow_logs,
    read_back=frozenset({"tags", *_FLOW_LOG_INPUTS, *_WATCHED}),
    computed=frozenset({"logFormat"}),
    kept={"destinationOptions": "format and partitions of logs in S3"},
    replaces=frozenset({"destinationOptions", *_FLOW_LOG_INPUTS, *_WATCHED}),
    defaults={"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600},
    tagged=True,
    # one log of the same traffic to the same place
    delete_before_replace=True,
)

KINDS: tuple[Kind, ...] = (VPC_ENDPOINT, FLOW_LOG)
