"""Samples of endpoints and flow logs."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS, ec2, tag

READ_ONLY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}],
    }
)


def modify(**said: Any) -> Any:
    return lambda a, i, _: ec2(a).modify_vpc_endpoint(VpcEndpointId=i, **said)


def drop(part: str, name: str) -> Any:
    return lambda a, i, outputs: ec2(a).modify_vpc_endpoint(VpcEndpointId=i, **{part: outputs[name]})


def endpoint(account: Account, made: str) -> Any:
    return ec2(account).describe_vpc_endpoints(VpcEndpointIds=[made])["VpcEndpoints"][0]


def flow_log(account: Account, made: str) -> Any:
    return ec2(account).describe_flow_logs(FlowLogIds=[made])["FlowLogs"][0]


ROLE = "arn:aws:iam::123456789012:role/flow-logs"
GROUP = "arn:aws:logs:eu-central-1:123456789012:log-group:flow"

SAMPLES = {
    "gateway-endpoint": Sample(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {
            "vpcId": Ref("vpc"),
            "serviceName": "com.amazonaws.eu-central-1.s3",
            "vpcEndpointType": "Gateway",
            "routeTableIds": [Ref("bare-table")],
            "tags": TAGS,
        },
        changes={"routeTableIds": [Ref("bare-table"), Ref("route-table")], "policy": READ_ONLY, "tags": OTHER_TAGS},
        behind={"routeTableIds": drop("RemoveRouteTableIds", "routeTableIds"), "tags": tag},
        absent=frozenset({"cidrBlocks"}),
    ),
    "interface-endpoint": Sample(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {
            "vpcId": Ref("vpc"),
            "serviceName": "com.amazonaws.eu-central-1.ecr.api",
            "vpcEndpointType": "Interface",
            "subnetIds": [Ref("subnet")],
            "securityGroupIds": [Ref("group")],
            "privateDnsEnabled": True,
            "policy": READ_ONLY,
        },
        changes={
            "subnetIds": [Ref("other-subnet"), Ref("subnet")],
            "securityGroupIds": [Ref("other-group")],
        },
        behind={
            "policy": modify(PolicyDocument=READ_ONLY.replace("GetObject", "*")),
            "subnetIds": drop("RemoveSubnetIds", "subnetIds"),
            "securityGroupIds": drop("RemoveSecurityGroupIds", "securityGroupIds"),
        },
        lost={"ipAddressType": ("ipv4", lambda a, i: endpoint(a, i).get("IpAddressType"))},
        absent=frozenset({"cidrBlocks", "prefixListId"}),
    ),
    "flow-log": Sample(
        "aws:ec2/flowLog:FlowLog",
        {"vpcId": Ref("vpc"), "trafficType": "ALL", "logDestination": GROUP, "iamRoleArn": ROLE, "tags": TAGS},
        changes={"tags": OTHER_TAGS},
        behind={"tags": tag},
        lost={
            "destinationOptions": (
                {"fileFormat": "parquet", "perHourPartition": True, "hiveCompatiblePartitions": False},
                lambda a, i: flow_log(a, i).get("DestinationOptions"),
            )
        },
    ),
    "subnet-flow-log": Sample(
        "aws:ec2/flowLog:FlowLog",
        {
            "subnetId": Ref("subnet"),
            "trafficType": "REJECT",
            "logDestination": GROUP,
            "logDestinationType": "cloud-watch-logs",
            "logFormat": "${srcaddr} ${dstaddr}",
            "maxAggregationInterval": 60,
            "iamRoleArn": ROLE,
        },
    ),
}
