"""Machines and their groups: metadata, addresses, spot, zones, and what costs more than it need."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.graph import Graph, Resource, at, is_known, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.aws.reading import meant, number, rows_of, setters, yes

INSTANCE = "aws:ec2/instance:Instance"
SPOT_REQUEST = "aws:ec2/spotInstanceRequest:SpotInstanceRequest"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
MACHINES = (INSTANCE, SPOT_REQUEST, TEMPLATE, CONFIGURATION)
GROUP = "aws:autoscaling/group:Group"
SERVICE = "aws:ecs/service:Service"
SUBNET = "aws:ec2/subnet:Subnet"
VOLUME = "aws:ebs/volume:Volume"
DATABASES = ("aws:rds/instance:Instance", "aws:rds/clusterInstance:ClusterInstance")
CACHES = ("aws:elasticache/cluster:Cluster", "aws:elasticache/replicationGroup:ReplicationGroup")
EIP = "aws:ec2/eip:Eip"
NAT = "aws:ec2/natGateway:NatGateway"
OLD = re.compile(
    r"^(db\.|cache\.)?(t1|t2|m1|m2|m3|m4|c1|c3|c4|r3|r4|i2|d2|g2|g3|g3s|p2|x1|x1e|cc2|cr1|hs1|cg1|f1|h1)\."
)
PLAIN_KEY = re.compile(
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|(?i:aws_secret_access_key)\s*[=:]\s*\S{30}"
)


def _metadata(resource: Resource, _: Graph) -> Iterator[Verdict]:
    options = resource.get("metadataOptions")
    if not is_known(options):
        yield undetermined("Its metadata options are not known before the deployment.", "metadataOptions")
        return
    from_template = options is None and resource.get("launchTemplate") is not None
    if at(options, "httpTokens") != "required" and at(options, "httpEndpoint") != "disabled" and not from_template:
        yield fail("It serves its metadata, and with it its role's credentials, without a token.", "metadataOptions")


def _address(resource: Resource, _: Graph) -> Iterator[Verdict]:
    paths = {"associatePublicIpAddress": resource.get("associatePublicIpAddress")}
    if resource.type == SERVICE:
        paths = {"networkConfiguration.assignPublicIp": resource.get("networkConfiguration.assignPublicIp")}
    for index, row in enumerate(rows_of(resource.get("networkInterfaces"))):
        paths[f"networkInterfaces.{index}.associatePublicIpAddress"] = row.get("associatePublicIpAddress")
    for path, value in paths.items():
        if not is_known(value):
            yield undetermined("Whether it has a public address is not known before the deployment.", path)
        elif yes(value):
            yield fail("It has an address on the internet.", path)


def _user_data(resource: Resource, _: Graph) -> Iterator[Verdict]:
    for path in ("userData", "userDataBase64"):
        value = resource.get(path)
        if not isinstance(value, str):
            continue
        try:
            decoded = base64.b64decode(value, validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            decoded = ""
        if PLAIN_KEY.search(value) or PLAIN_KEY.search(decoded):
            yield fail("Its start script holds a secret in plain.", path)


def _spot_template(resource: Resource, graph: Graph) -> bool:
    rows = (
        *meant(graph, resource, "launchTemplate.id", TEMPLATE),
        *meant(graph, resource, "mixedInstancesPolicy", TEMPLATE),
    )
    return any(row.get("instanceMarketOptions.marketType") == "spot" for row in rows)


def _spot(resource: Resource, graph: Graph) -> tuple[float, float] | None:
    """The on-demand floor of a group and the share of on-demand above it; None where it has no spot machines."""
    mixed = resource.get("mixedInstancesPolicy.instancesDistribution")
    if not isinstance(mixed, Mapping):
        return (0, 0) if _spot_template(resource, graph) else None
    share = number(mixed.get("onDemandPercentageAboveBaseCapacity"))
    share = 100 if share is None else share
    return None if share >= 100 else (number(mixed.get("onDemandBaseCapacity")) or 0, share)


def _floor(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    mixed = resource.get("mixedInstancesPolicy")
    if not is_known(mixed):
        yield undetermined("Its mix is not known before the deployment.", "mixedInstancesPolicy")
    elif _spot(resource, graph) == (0, 0):
        yield fail("All its machines are spot machines.", "mixedInstancesPolicy.instancesDistribution")


def _one_type(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if not is_known(resource.get("mixedInstancesPolicy")) or _spot(resource, graph) is None:
        return
    overrides = rows_of(resource.get("mixedInstancesPolicy.launchTemplate.overrides"))
    by_needs = any(row.get("instanceRequirements") for row in overrides)
    if not by_needs and len({str(row.get("instanceType")) for row in overrides}) < 2:
        yield fail("Its spot machines are all of one type.", "mixedInstancesPolicy.launchTemplate.overrides")


def zones(resource: Resource, graph: Graph, path: str) -> int | None:
    """In how many zones the subnets at a path lie, as far as can be known; None where nothing is known."""
    value = resource.get(path)
    if not isinstance(value, list | tuple):
        return None
    found = [row.get("availabilityZone") for row in meant(graph, resource, path, SUBNET)]
    whole = len(found) == len(value) and all(isinstance(zone, str) for zone in found)
    return len(set(found)) if whole and found else len(value)


def _one_zone(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    for path in ("vpcZoneIdentifiers", "availabilityZones"):
        count = zones(resource, graph, path)
        if count is not None and count < 2 and (number(resource.get("maxSize")) or 0) != 1:
            yield fail("All its machines are in one zone.", path)
        elif not is_known(resource.get(path)) and count is None:
            yield undetermined("Its zones are not known before the deployment.", path)


def _health(resource: Resource, _: Graph) -> Iterator[Verdict]:
    balanced = resource.get("targetGroupArns") or resource.get("loadBalancers")
    if balanced and resource.get("healthCheckType", "EC2") == "EC2":
        yield fail("It keeps machines that the load balancer has found ill.", "healthCheckType")


def _types(resource: Resource) -> Iterator[tuple[str, Any]]:
    for key in ("instanceType", "instanceClass", "nodeType"):
        yield key, resource.get(key)
    for index, row in enumerate(rows_of(resource.get("mixedInstancesPolicy.launchTemplate.overrides"))):
        yield f"mixedInstancesPolicy.launchTemplate.overrides.{index}.instanceType", row.get("instanceType")
    yield from (("instanceTypes", name) for name in listed(resource.get("instanceTypes")))


def _old_type(resource: Resource, _: Graph) -> Iterator[Verdict]:
    for path, name in _types(resource):
        if isinstance(name, str) and OLD.match(name):
            yield fail(f"{name} is of an old generation.", path)


def _old_disk(resource: Resource, _: Graph) -> Iterator[Verdict]:
    found = [("type", resource.get("type", "gp2"))] if resource.type == VOLUME else []
    found += [("storageType", resource.get("storageType"))] if resource.type in DATABASES else []
    found += [("rootBlockDevice.volumeType", resource.get("rootBlockDevice.volumeType"))]
    found += [
        (f"blockDeviceMappings.{index}.ebs.volumeType", at(row, "ebs.volumeType"))
        for index, row in enumerate(rows_of(resource.get("blockDeviceMappings")))
    ]
    for path, name in found:
        if name in ("gp2", "standard"):
            yield fail(f"Its disk is of the type {name}.", path)


def _idle_address(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    used = resource.get("instance") or resource.get("networkInterface") or any(True for _ in graph.users_of(resource))
    if not used and not resource.get("associateWithPrivateIp"):
        yield fail("Nothing in the program uses it.")


def _nat_without_gateway(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    for subnet in meant(graph, resource, "subnetId", SUBNET):
        for network in meant(graph, subnet, "vpcId", "aws:ec2/vpc:Vpc"):
            endpoints = setters(graph, network, "vpcId", "aws:ec2/vpcEndpoint:VpcEndpoint")
            if not any(str(row.get("serviceName", "")).endswith(".s3") for row in endpoints):
                yield fail("Traffic to S3 is paid for by the gigabyte: its network has no gateway endpoint for S3.")


RULES = (
    Rule(
        "GW-AWS-080",
        "A machine's metadata must ask for a token (IMDSv2)",
        "high",
        "A flaw in any program on it that fetches addresses (SSRF) then yields the credentials of its role.",
        'Set metadata_options with http_tokens="required".',
        ("AC-3", "AC-6", "IA-5"),
        MACHINES,
        _metadata,
    ),
    Rule(
        "GW-AWS-081",
        "A machine or a task must have no address on the internet",
        "medium",
        "One mistake in its security group, and everything that listens on it is public.",
        "Put it into a private subnet behind a load balancer, with endpoints or a NAT gateway for the way out.",
        ("AC-4", "SC-7"),
        (*MACHINES, SERVICE),
        _address,
        "advisory",
    ),
    Rule(
        "GW-AWS-082",
        "No credential may stand in a machine's start script",
        "critical",
        "Everybody who may describe the machine, and every program on it, reads the script.",
        "Fetch the secret from Secrets Manager at the start, by the machine's role.",
        ("IA-5", "SC-28"),
        MACHINES,
        _user_data,
    ),
    Rule(
        "GW-AWS-083",
        "Spot machines must have an on-demand floor",
        "medium",
        "When the capacity is taken back, all machines go at once, and what they serve with them.",
        "Set on_demand_base_capacity to the number that must stay.",
        ("CP-10", "SC-6"),
        (GROUP,),
        _floor,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-084",
        "Spot machines must be of several types",
        "medium",
        "Where that one type runs out, nothing starts; several types make that rare.",
        "Name several types in overrides, and allocate by price-capacity-optimized.",
        ("CP-10", "SC-6"),
        (GROUP,),
        _one_type,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-085",
        "A group of machines must be in two zones",
        "medium",
        "When the zone fails, all machines are gone.",
        "Give vpc_zone_identifiers of two zones or more.",
        ("CP-10", "SC-36"),
        (GROUP,),
        _one_zone,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-086",
        "A group that serves must replace machines that hang",
        "low",
        "A machine whose program hangs stays, for ever out of service and paid for.",
        'Set health_check_type="ELB" on the group.',
        ("CP-10",),
        (GROUP,),
        _health,
        "advisory",
    ),
    Rule(
        "GW-AWS-087",
        "A machine must not be of an old generation",
        "low",
        "The newer generation does more for less money, and the old one runs out in a crisis first.",
        "Take the current generation of the family (t3 or t4g for t2, m7 for m4, c7 for c4, r7 for r4, g5 for g3).",
        ("SA-4", "SC-6"),
        (*MACHINES, GROUP, *DATABASES, *CACHES),
        _old_type,
        "advisory",
    ),
    Rule(
        "GW-AWS-088",
        "A disk must not be of an old type",
        "low",
        "gp3 costs a fifth less than gp2, and its speed does not hang on its size.",
        "Set the type to gp3.",
        ("SA-4", "SC-6"),
        (VOLUME, *MACHINES, *DATABASES),
        _old_disk,
        "advisory",
    ),
    Rule(
        "GW-AWS-089",
        "An address that is paid for must be used",
        "low",
        "Idle addresses are billed by the hour.",
        "Attach it, or take it out.",
        ("CM-8", "SC-6"),
        (EIP,),
        _idle_address,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-090",
        "Traffic to S3 must not pass through a NAT gateway",
        "low",
        "Each gigabyte is billed, where a gateway endpoint costs nothing and keeps it off the internet.",
        "Declare aws.ec2.VpcEndpoint for com.amazonaws.REGION.s3 with the private route tables.",
        ("SC-6", "SC-7"),
        (NAT,),
        _nat_without_gateway,
        "advisory",
        whole_stack=True,
    ),
)
