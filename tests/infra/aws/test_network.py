"""The network: one subnet a zone, none alike, and no way to or from the internet."""

import ipaddress

import pytest

from infra.aws.keys import Key
from infra.aws.names import Account
from infra.aws.network import Network
from infra.aws.watch import Log
from tests.infra.evaluated import CONTEXT, Registered, evaluated, of_type, only


def network(zones: tuple[str, ...] = ("a", "b")) -> list[Registered]:
    def program(account: Account) -> None:
        log = Log("flow", Key("logs", account=account, ctx=CONTEXT), ctx=CONTEXT)
        Network("10.10.0.0/20", ("10.0.0.0/8",), log, zones, account=account, ctx=CONTEXT)

    return evaluated(program)


@pytest.mark.parametrize("zones", [("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")])
def test_each_zone_has_a_subnet_of_its_own_within_the_range(zones: tuple[str, ...]) -> None:
    subnets = of_type(network(zones), "Subnet")
    assert {subnet.inputs["availabilityZone"] for subnet in subnets} == {f"eu-west-1{zone}" for zone in zones}
    ranges = [ipaddress.IPv4Network(subnet.inputs["cidrBlock"]) for subnet in subnets]
    assert len(list(ipaddress.collapse_addresses(ranges))) <= len(ranges)
    assert sum(block.num_addresses for block in ranges) == len(zones) * ranges[0].num_addresses
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)
    assert all(block.subnet_of(ipaddress.IPv4Network("10.10.0.0/20")) for block in ranges)


def test_members_reach_the_endpoints_storage_and_tables_over_https_and_nothing_else() -> None:
    rules = of_type(network(), "SecurityGroupEgressRule")
    reached = {rule.inputs.get("referencedSecurityGroupId") or rule.inputs.get("prefixListId") for rule in rules}
    assert reached == {"groundwork-dev-endpoints-id", "pl-of-s3", "pl-of-dynamodb"}
    assert {(rule.inputs["fromPort"], rule.inputs["toPort"]) for rule in rules} == {(443, 443)}


def test_the_default_group_is_closed() -> None:
    assert set(only(network(), "DefaultSecurityGroup").inputs) == {"vpcId", "tags"}


def test_a_task_starts_and_a_machine_leaves_without_the_internet() -> None:
    services = {
        endpoint.inputs["serviceName"].removeprefix("com.amazonaws.eu-west-1.")
        for endpoint in of_type(network(), "VpcEndpoint")
    }
    assert services == {"s3", "dynamodb", "autoscaling", "ecr.api", "ecr.dkr", "logs"}


def test_every_connection_is_recorded() -> None:
    resources = network()
    flow, log = only(resources, "FlowLog"), only(resources, "LogGroup")
    assert flow.inputs["trafficType"] == "ALL"
    assert flow.inputs["logDestination"] == f"arn:aws:cloudwatch:::{log.inputs['name']}"
