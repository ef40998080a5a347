"""The private network on AWS, in every plan."""

import ipaddress

import pytest

from tests.plans.plans import ENVIRONMENTS, Plan, plan_of

pytestmark = pytest.mark.slow


def test_no_port_is_open_to_the_internet_and_no_rule_spans_ports(plan: Plan) -> None:
    rules = [*plan.of_type("vpc:SecurityGroupIngressRule"), *plan.of_type("vpc:SecurityGroupEgressRule")]
    for rule in rules:
        assert rule.inputs["ipProtocol"] == "tcp"
        assert rule.inputs["fromPort"] == rule.inputs["toPort"]
        if cidr := rule.inputs.get("cidrIpv4"):
            assert ipaddress.IPv4Network(cidr).is_private
            assert rule.inputs["toPort"] == (22 if "-ssh-from-" in rule.name else 443)


def test_there_is_no_way_to_the_internet(plan: Plan) -> None:
    gateways = ("internetGateway", "natGateway", "eip", "egressOnly", "ec2/route:", "publicIp")
    assert [row.type for row in plan.resources if any(word in row.type for word in gateways)] == []
    assert plan.only("lb:LoadBalancer").inputs["internal"] is True
    assert plan.only("ecs:Service").inputs["networkConfiguration"]["assignPublicIp"] is False
    for subnet in plan.of_type("ec2:Subnet"):
        assert not subnet.inputs.get("mapPublicIpOnLaunch")


def test_the_default_group_is_closed_and_no_group_has_rules_of_its_own(plan: Plan) -> None:
    for group in [plan.only("ec2:DefaultSecurityGroup"), *plan.of_type("ec2:SecurityGroup")]:
        assert not {"ingress", "egress"} & group.inputs.keys()


def test_every_connection_is_recorded_in_an_encrypted_log(plan: Plan) -> None:
    flow = plan.only("ec2:FlowLog")
    assert flow.inputs["trafficType"] == "ALL"
    assert flow.inputs["vpcId"] == plan.only("ec2:Vpc").outputs["id"]
    assert flow.inputs["logDestination"] == plan.named("cloudwatch:LogGroup", "flow").outputs["arn"]


def test_the_networks_of_the_environments_do_not_overlap() -> None:
    ranges = [ipaddress.IPv4Network(plan_of(name).only("ec2:Vpc").inputs["cidrBlock"]) for name in ENVIRONMENTS]
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)
