"""What the table of test_life.py does not say of networks: what comes along with them, and what must not stay."""

from __future__ import annotations

import pytest

from localcloud.aws.calls import ProviderError
from tests.localcloud.aws.bench import Bench
from tests.localcloud.aws.samples.ec2 import ec2
from tests.localcloud.aws.samples.security_groups import open_ssh

GROUP = "aws:ec2/securityGroup:SecurityGroup"
VPC = "aws:ec2/vpc:Vpc"


def test_the_inventory_of_a_fresh_account_is_empty(bench: Bench) -> None:
    assert ec2(bench.provider.account).describe_vpcs()["Vpcs"], "a fresh account holds a default VPC"
    assert ec2(bench.provider.account).describe_subnets()["Subnets"]
    assert bench.provider.inventory() == []


def test_the_inventory_leaves_out_what_comes_along_with_a_vpc(bench: Bench) -> None:
    made = bench.make("vpc")
    assert bench.provider.inventory() == [(VPC, made)]


def test_a_deleted_vpc_leaves_nothing_that_came_along_with_it(bench: Bench) -> None:
    client = ec2(bench.provider.account)
    made = bench.make("vpc")
    inside = [{"Name": "vpc-id", "Values": [made]}]
    assert client.describe_network_acls(Filters=inside)["NetworkAcls"]
    bench.provider.delete(VPC, made, bench.inputs("vpc"))
    assert client.describe_network_acls(Filters=inside)["NetworkAcls"] == []
    assert client.describe_security_groups(Filters=inside)["SecurityGroups"] == []
    assert client.describe_route_tables(Filters=inside)["RouteTables"] == []


@pytest.mark.parametrize("name", ["gateway-endpoint", "interface-endpoint"])
def test_a_deleted_endpoint_leaves_no_interface_and_no_route(bench: Bench, name: str) -> None:
    client, token = ec2(bench.provider.account), "aws:ec2/vpcEndpoint:VpcEndpoint"
    made, inputs = bench.make(name), bench.inputs(name)
    changed = bench.inputs(name, **bench.samples[name].changes)
    bench.provider.update(token, made, inputs, changed)
    bench.provider.delete(token, made, changed)
    assert client.describe_network_interfaces()["NetworkInterfaces"] == []
    assert bench.provider.read(token, made, changed) is None


def test_a_table_says_nothing_of_the_routes_that_others_put_into_it(bench: Bench) -> None:
    token = "aws:ec2/routeTable:RouteTable"
    made, inputs = bench.make("bare-table"), bench.inputs("bare-table")
    for other in ("gateway-endpoint", "route"):
        bench.make(other)
    found = bench.provider.read(token, made, inputs)
    assert found is not None
    assert found[0] == inputs


def test_a_new_group_lets_nothing_out(bench: Bench) -> None:
    made = bench.make("group")
    group = ec2(bench.provider.account).describe_security_groups(GroupIds=[made])["SecurityGroups"][0]
    assert group["IpPermissionsEgress"] == []


def test_an_adopted_default_group_lets_nothing_in_or_out(bench: Bench) -> None:
    made = bench.make("default-group")
    group = ec2(bench.provider.account).describe_security_groups(GroupIds=[made])["SecurityGroups"][0]
    assert (group["GroupName"], group["IpPermissions"], group["IpPermissionsEgress"]) == ("default", [], [])


def test_a_group_says_nothing_of_rules_that_are_resources_of_their_own(bench: Bench) -> None:
    made, inputs = bench.make("group"), bench.inputs("group")
    for name in ("ingress-rule", "egress-rule", "ingress-rule-for-group", "egress-rule-for-prefixes"):
        bench.make(name)
    found = bench.provider.read(GROUP, made, inputs)
    assert found is not None
    assert found[0] == inputs


def test_a_rule_opened_by_hand_beside_those_resources_is_seen_and_closed_alone(bench: Bench) -> None:
    made, inputs = bench.make("group"), bench.inputs("group")
    own = bench.make("ingress-rule")
    open_ssh(bench.provider.account, made, None)
    found = bench.provider.read(GROUP, made, inputs)
    assert found is not None
    assert [rule["fromPort"] for rule in found[0]["ingress"]] == [22]
    bench.provider.update(GROUP, made, found[0], inputs)
    rules = ec2(bench.provider.account).describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [made]}])
    assert [rule["SecurityGroupRuleId"] for rule in rules["SecurityGroupRules"]] == [own]


def test_rules_that_are_written_otherwise_are_the_same_rules(bench: Bench) -> None:
    split = [
        {"protocol": "TCP", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"]},
        {"protocol": "6", "fromPort": 443, "toPort": 443, "cidrBlocks": ["192.168.0.0/16"]},
    ]
    joined = [{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["192.168.0.0/16", "10.0.0.0/8"]}]
    made = bench.make("group", ingress=split)
    for written in (split, joined):
        inputs = bench.inputs("group", ingress=written)
        found = bench.provider.read(GROUP, made, inputs)
        assert found is not None
        assert found[0] == inputs


def test_the_default_group_of_a_vpc_that_is_not_there_is_refused_in_a_sentence(bench: Bench) -> None:
    inputs = bench.inputs("default-group", vpcId="vpc-00000000000000000")
    with pytest.raises(ProviderError, match="there is no VPC vpc-00000000000000000"):
        bench.provider.create("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", bench.urn("default-group"), inputs)


def test_a_flow_log_that_aws_refuses_inside_a_good_answer_is_an_error(bench: Bench) -> None:
    inputs = bench.inputs("flow-log", logDestinationType="s3", logDestination="arn:aws:s3:::no-such-bucket")
    with pytest.raises(ProviderError, match="no-such-bucket does not exist"):
        bench.provider.create("aws:ec2/flowLog:FlowLog", bench.urn("flow-log"), inputs)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("vpc", "cidrBlock", "10.7.0.0/16"),
        ("subnet", "availabilityZone", "eu-central-1b"),
        ("group", "description", "another"),
        ("group", "name", "another"),
        ("ingress-rule", "securityGroupId", "sg-1"),
        ("interface-endpoint", "privateDnsEnabled", False),
        ("flow-log", "trafficType", "REJECT"),
        ("table-association", "subnetId", "subnet-1"),
        ("route", "destinationCidrBlock", "10.9.0.0/16"),
    ],
)
def test_what_cannot_change_in_place_is_replaced(bench: Bench, name: str, key: str, value: object) -> None:
    inputs = bench.inputs(name)
    diff = bench.provider.diff(bench.samples[name].token, inputs, {**inputs, key: value})
    assert diff.replaces == (key,)
