"""Pulumi's words into Terraform's and Azure's: what has a name there, and what raises."""

import pytest

from policies.checkov import arm, names, translate
from tests.policies.checkov.pairs import graph_of

OPEN = {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("kmsKeyId", ["kms_key_id"], "kms_key_id"),
        ("securityGroups", ["security_groups", "security_group"], "security_groups"),
        ("allows", ["allow"], "allow"),
        ("accesses", ["access"], "access"),
        ("aliases", ["alias"], "alias"),
        ("policies", ["policy"], "policy"),
        ("indices", ["index"], "index"),
        ("enableHttp2", ["enable_http2"], "enable_http2"),
        ("ipv6CidrBlocks", ["ipv_6_cidr_block"], "ipv_6_cidr_block"),
        ("publicAcess", ["public_access"], None),
        ("rules", ["rul", "rule"], None),
    ],
)
def test_an_input_is_found_by_the_rule_or_not_at_all(name: str, attributes: list[str], expected: str | None) -> None:
    assert names.match(name, attributes) == expected


def test_an_input_that_matches_nothing_raises_and_is_named() -> None:
    (row,) = graph_of([{"type": "aws:s3/bucket:Bucket", "inputs": {"bucket": "b", "publicAcess": True}}]).resources
    with pytest.raises(translate.UntranslatedError, match=r"`publicAcess` of aws:s3/bucket:Bucket has no known name"):
        translate.terraform(row)


def test_a_nested_input_that_matches_nothing_raises_and_is_named() -> None:
    (row,) = graph_of(
        [{"type": "aws:ec2/securityGroup:SecurityGroup", "inputs": {"ingress": [OPEN | {"cidrs": []}]}}]
    ).resources
    with pytest.raises(translate.UntranslatedError, match=r"`ingress\.cidrs` of aws:ec2/securityGroup:SecurityGroup"):
        translate.terraform(row)


def test_an_input_of_azure_that_matches_nothing_raises_and_is_named() -> None:
    graph = graph_of([{"type": "azure-native:storage:StorageAccount", "inputs": {"enableHttpTrafficOnly": True}}])
    with pytest.raises(
        translate.UntranslatedError, match="`enableHttpTrafficOnly` of azure-native:storage:StorageAccount"
    ):
        arm.translate(graph.resources[0], graph)


def test_values_are_put_into_terraforms_words() -> None:
    inputs = {
        "code": {"$archive": "x"},
        "name": "f",
        "environment": {"variables": {"myKey": "v"}},
        "layers": ["l"],
        "tags": {"aB": "c"},
        "vpcConfig": {"subnetIds": ["s"], "securityGroupIds": []},
        "timeout": None,
    }
    (row,) = graph_of([{"type": "aws:lambda/function:Function", "inputs": inputs}]).resources
    assert translate.terraform(row).values == {
        "filename": '{"$archive": "x"}',
        "function_name": "f",
        "environment": [{"variables": {"myKey": "v"}}],
        "layers": ["l"],
        "tags": {"aB": "c"},
        "vpc_config": [{"subnet_ids": ["s"], "security_group_ids": []}],
    }


def test_values_are_put_into_azures_words() -> None:
    inputs = {
        "accountName": "a",
        "resourceGroupName": "g",
        "location": "westeurope",
        "enableHttpsTrafficOnly": True,
        "networkRuleSet": {"defaultAction": "Deny"},
        "sku": {"name": "Standard_LRS"},
    }
    graph = graph_of([{"type": "azure-native:storage:StorageAccount", "inputs": inputs}])
    made = arm.translate(graph.resources[0], graph).values
    assert made.pop("apiVersion") >= "2024-01-01"
    assert made == {
        "type": "Microsoft.Storage/storageAccounts",
        "name": "a",
        "location": "westeurope",
        "sku": {"name": "Standard_LRS"},
        "properties": {"supportsHttpsTrafficOnly": True, "networkAcls": {"defaultAction": "Deny"}},
    }


def test_items_of_a_list_that_are_resources_in_azure_have_their_properties_apart() -> None:
    rules = [{"name": "r", "access": "Allow"}]
    graph = graph_of([{"type": "azure-native:network:NetworkSecurityGroup", "inputs": {"securityRules": rules}}])
    made = arm.translate(graph.resources[0], graph)
    assert made.values["properties"]["securityRules"] == [{"name": "r", "properties": {"access": "Allow"}}]


def test_what_nobody_knows_is_left_out_and_named() -> None:
    inputs = {"ingress": [OPEN | {"cidrBlocks": {"$unknown": True}}], "name": {"$secret": True}}
    (row,) = graph_of([{"type": "aws:ec2/securityGroup:SecurityGroup", "inputs": inputs}]).resources
    made = translate.terraform(row)
    assert made.hidden == ["ingress.cidr_blocks", "name"]
    assert [path for path, _ in made.left] == ["ingress.cidrBlocks", "name"]
    assert made.values == {"ingress": [{"protocol": "tcp", "from_port": 22, "to_port": 22}]}


def test_a_block_that_is_no_object_raises() -> None:
    (row,) = graph_of([{"type": "aws:ec2/securityGroup:SecurityGroup", "inputs": {"ingress": ["x"]}}]).resources
    with pytest.raises(
        translate.UntranslatedError, match="`ingress` of aws:ec2/securityGroup:SecurityGroup is no object"
    ):
        translate.terraform(row)
