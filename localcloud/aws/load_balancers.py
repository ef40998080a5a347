"""Elastic Load Balancing: load balancers and target groups, and what listeners share with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from localcloud.aws.answers import fit, present, unless_gone
from localcloud.aws.calls import all_of, changed, tag_changes, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags

if TYPE_CHECKING:
    from localcloud.aws.account import Account


class _Attribute(NamedTuple):
    """One of the key-value attributes in which a balancer, a group or a listener keeps most of its inputs.

    `default` is what AWS does when nobody set it; the emulator leaves such an attribute out of its answers.
    """

    key: str
    default: Any

    def text(self, value: Any) -> str:
        value = self.default if value is None else value
        return str(value).lower() if isinstance(value, bool) else str(value)

    def value(self, text: str | None) -> Any:
        if text is None or text == "":
            return self.default
        if isinstance(self.default, bool):
            return text == "true"
        return int(text) if isinstance(self.default, int) else text


_Table = Mapping[str, _Attribute]


def _attribute_values(inputs: Properties, table: _Table) -> dict[str, str]:
    """Key → text of each attribute, as the inputs (with blocks as `block.part`) and the defaults have it."""
    values = {}
    for name, attribute in table.items():
        block, _, part = name.partition(".")
        value = (inputs.get(block) or {}).get(part) if part else inputs.get(block)
        values[attribute.key] = attribute.text(value)
    return values


def _attribute_changes(old: Properties, new: Properties, table: _Table) -> list[dict[str, str]]:
    before, after = _attribute_values(old, table), _attribute_values(new, table)
    return tag_list({key: text for key, text in after.items() if before[key] != text})


def _live_attributes(pairs: list[dict[str, str]], table: _Table) -> Properties:
    texts = tag_map(pairs)
    live: Properties = {}
    for name, attribute in table.items():
        block, _, part = name.partition(".")
        value = attribute.value(texts.get(attribute.key))
        if part:
            live.setdefault(block, {})[part] = value
        else:
            live[block] = value
    return live


def _inputs_of(table: _Table) -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in table)


def client(account: Account) -> Any:
    """The boto3 client."""
    return account.client("elbv2")


def tags_of(account: Account, arns: list[str]) -> dict[str, Tags]:
    """The tags of each; the API takes twenty at a time."""
    found: dict[str, Tags] = {}
    for start in range(0, len(arns), 20):
        answer = client(account).describe_tags(ResourceArns=arns[start : start + 20])
        found |= {row["ResourceArn"]: tag_map(row["Tags"]) for row in answer["TagDescriptions"]}
    return found


def retag(account: Account, arn: str, old: Properties, new: Properties) -> None:
    """Bring the tags of anything here from the old inputs to the new ones."""
    written, removed = tag_changes(old, new)
    if removed:
        client(account).remove_tags(ResourceArns=[arn], TagKeys=removed)
    if written:
        client(account).add_tags(ResourceArns=[arn], Tags=tag_list(written))


def _name_prefix(name: str) -> str:
    """A made name's beginning: letters, digits and hyphens, 32 characters with the seven digits that follow."""
    return re.sub("[^A-Za-z0-9]+", "-", name).strip("-")[:24].rstrip("-") + "-"


# --- LoadBalancer

_BALANCER: _Table = {
    "clientKeepAlive": _Attribute("client_keep_alive.seconds", 3600),
    "desyncMitigationMode": _Attribute("routing.http.desync_mitigation_mode", "defensive"),
    "dropInvalidHeaderFields": _Attribute("routing.http.drop_invalid_header_fields.enabled", False),
    "enableDeletionProtection": _Attribute("deletion_protection.enabled", False),
    "enableHttp2": _Attribute("routing.http2.enabled", True),
    "enableTlsVersionAndCipherSuiteHeaders": _Attribute(
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled", False
    ),
    "enableWafFailOpen": _Attribute("waf.fail_open.enabled", False),
    "enableXffClientPort": _Attribute("routing.http.xff_client_port.enabled", False),
    "enableZonalShift": _Attribute("zonal_shift.config.enabled", False),
    "idleTimeout": _Attribute("idle_timeout.timeout_seconds", 60),
    "preserveHostHeader": _Attribute("routing.http.preserve_host_header.enabled", False),
    "xffHeaderProcessingMode": _Attribute("routing.http.xff_header_processing.mode", "append"),
    "accessLogs.enabled": _Attribute("access_logs.s3.enabled", False),
    "accessLogs.bucket": _Attribute("access_logs.s3.bucket", ""),
    "accessLogs.prefix": _Attribute("access_logs.s3.prefix", ""),
    "connectionLogs.enabled": _Attribute("connection_logs.s3.enabled", False),
    "connectionLogs.bucket": _Attribute("connection_logs.s3.bucket", ""),
    "connectionLogs.prefix": _Attribute("connection_logs.s3.prefix", ""),
}


def _set_balancer_attributes(account: Account, arn: str, old: Properties, new: Properties) -> None:
    changes = _attribute_changes(old, new, _BALANCER)
    if changes:
        client(account).modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=changes)


def _create_balancer(account: Account, inputs: Properties, tags: Tags) -> str:
    arguments = present(
        Name=inputs["name"],
        Scheme="internal" if inputs.get("internal") else "internet-facing",
        Type=inputs.get("loadBalancerType"),
        Subnets=inputs.get("subnets"),
        SecurityGroups=inputs.get("securityGroups"),
        IpAddressType=inputs.get("ipAddressType"),
        Tags=tag_list(tags) or None,
    )
    created = client(account).create_load_balancer(**arguments)
    arn = str(created["LoadBalancers"][0]["LoadBalancerArn"])
    _set_balancer_attributes(account, arn, {}, inputs)
    return arn


def _read_balancer(account: Account, arn: str, _inputs: Properties) -> Properties | None:
    answer = unless_gone(lambda: client(account).describe_load_balancers(LoadBalancerArns=[arn]))
    if answer is None:
        return None
    found = answer["LoadBalancers"][0]
    attributes = client(account).describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    return present(
        arn=arn,
        arnSuffix=arn.partition(":loadbalancer/")[2],
        name=found["LoadBalancerName"],
        internal=found["Scheme"] == "internal",
        loadBalancerType=found["Type"],
        ipAddressType=found.get("IpAddressType"),
        subnets=[zone["SubnetId"] for zone in found["AvailabilityZones"]],
        securityGroups=found.get("SecurityGroups") or [],
        dnsName=found.get("DNSName"),
        zoneId=found.get("CanonicalHostedZoneId"),
        vpcId=found.get("VpcId"),
        tags=tags_of(account, [arn])[arn],
        **_live_attributes(attributes, _BALANCER),
    )


def _update_balancer(account: Account, arn: str, old: Properties, new: Properties) -> None:
    elb = client(account)
    _set_balancer_attributes(account, arn, old, new)
    if new.get("securityGroups") and set(old.get("securityGroups") or []) != set(new["securityGroups"]):
        elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=new["securityGroups"])
    if new.get("subnets") and set(old.get("subnets") or []) != set(new["subnets"]):
        elb.set_subnets(LoadBalancerArn=arn, Subnets=new["subnets"])
    if new.get("ipAddressType") and changed(old, new, "ipAddressType"):
        elb.set_ip_address_type(LoadBalancerArn=arn, IpAddressType=new["ipAddressType"])
    retag(account, arn, old, new)


def _delete_balancer(account: Account, arn: str, _inputs: Properties) -> None:
    unless_gone(lambda: client(account).delete_load_balancer(LoadBalancerArn=arn))


def _list_balancers(account: Account) -> list[tuple[str, Tags]]:
    arns = [row["LoadBalancerArn"] for row in all_of(client(account), "describe_load_balancers", "LoadBalancers")]
    return list(tags_of(account, arns).items())


LOAD_BALANCER = Kind(
    token="aws:lb/loadBalancer:LoadBalancer",
    create=_create_balancer,
    read=_read_balancer,
    update=_update_balancer,
    delete=_delete_balancer,
    list=_list_balancers,
    read_back=_inputs_of(_BALANCER)
    | {"name", "internal", "loadBalancerType", "ipAddressType", "subnets", "securityGroups", "tags"},
    computed=frozenset({"ipAddressType", "subnets", "securityGroups"}),
    replaces=frozenset({"internal", "loadBalancerType"}),
    unordered=frozenset({"subnets", "securityGroups"}),
    defaults={
        "loadBalancerType": "application",
        **{name: attribute.default for name, attribute in _BALANCER.items() if attribute.default not in (False, "")},
    },
    name_input="name",
    auto_name=_name_prefix,
    tagged=True,
)


# --- TargetGroup

_GROUP: _Table = {
    "connectionTermination": _Attribute("deregistration_delay.connection_termination.enabled", False),
    "deregistrationDelay": _Attribute("deregistration_delay.timeout_seconds", 300),
    "loadBalancingAlgorithmType": _Attribute("load_balancing.algorithm.type", "round_robin"),
    "loadBalancingCrossZoneEnabled": _Attribute("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
    "proxyProtocolV2": _Attribute("proxy_protocol_v2.enabled", False),
    "slowStart": _Attribute("slow_start.duration_seconds", 0),
    "stickiness.enabled": _Attribute("stickiness.enabled", False),
    "stickiness.type": _Attribute("stickiness.type", ""),
    "stickiness.cookieDuration": _Attribute("stickiness.lb_cookie.duration_seconds", 86400),
}
# input → (argument of CreateTargetGroup and ModifyTargetGroup, what the real provider sends when it is left out)
_HEALTH: Mapping[str, tuple[str, Any]] = {
    "enabled": ("HealthCheckEnabled", True),
    "healthyThreshold": ("HealthyThresholdCount", 3),
    "interval": ("HealthCheckIntervalSeconds", 30),
    "path": ("HealthCheckPath", None),
    "port": ("HealthCheckPort", "traffic-port"),
    "protocol": ("HealthCheckProtocol", "HTTP"),
    "timeout": ("HealthCheckTimeoutSeconds", None),
    "unhealthyThreshold": ("UnhealthyThresholdCount", 3),
}
_HEALTH_DEFAULTS = {name: default for name, (_, default) in _HEALTH.items() if default is not None}


def _health_arguments(check: Properties | None) -> Properties:
    if not check:
        return {}
    whole = {**_HEALTH_DEFAULTS, **check}
    matcher = {"Matcher": {"HttpCode": whole["matcher"]}} if whole.get("matcher") else {}
    return {argument: whole[name] for name, (argument, _) in _HEALTH.items() if name in whole} | matcher


def _create_group(account: Account, inputs: Properties, tags: Tags) -> str:
    arguments = present(
        Name=inputs["name"],
        Port=inputs.get("port"),
        Protocol=inputs.get("protocol"),
        ProtocolVersion=inputs.get("protocolVersion"),
        TargetType=inputs.get("targetType"),
        IpAddressType=inputs.get("ipAddressType"),
        VpcId=inputs.get("vpcId"),
        Tags=tag_list(tags) or None,
    )
    created = client(account).create_target_group(**arguments, **_health_arguments(inputs.get("healthCheck")))
    arn = str(created["TargetGroups"][0]["TargetGroupArn"])
    _set_group_attributes(account, arn, {}, inputs)
    return arn


def _set_group_attributes(account: Account, arn: str, old: Properties, new: Properties) -> None:
    changes = [pair for pair in _attribute_changes(old, new, _GROUP) if pair["Value"]]
    if changes:
        client(account).modify_target_group_attributes(TargetGroupArn=arn, Attributes=changes)


def _live_health(found: dict[str, Any]) -> Properties:
    live = {name: found.get(argument) for name, (argument, _) in _HEALTH.items()}
    return present(**live, matcher=(found.get("Matcher") or {}).get("HttpCode"))


def _read_group(account: Account, arn: str, inputs: Properties) -> Properties | None:
    answer = unless_gone(lambda: client(account).describe_target_groups(TargetGroupArns=[arn]))
    if answer is None:
        return None
    found = answer["TargetGroups"][0]
    pairs = client(account).describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    live = _live_attributes(pairs, _GROUP)
    declared = inputs.get("stickiness")
    live["stickiness"] = fit(live["stickiness"], declared, {"enabled": False, "cookieDuration": 86400})
    health = _live_health(found)
    return present(
        arn=arn,
        arnSuffix=arn.rpartition(":")[2],
        name=found["TargetGroupName"],
        port=found.get("Port"),
        protocol=found.get("Protocol"),
        protocolVersion=found.get("ProtocolVersion"),
        targetType=found.get("TargetType"),
        ipAddressType=found.get("IpAddressType"),
        vpcId=found.get("VpcId"),
        healthCheck=fit(health, inputs["healthCheck"], _HEALTH_DEFAULTS) if inputs.get("healthCheck") else health,
        loadBalancerArns=found.get("LoadBalancerArns") or [],
        tags=tags_of(account, [arn])[arn],
        **live,
    )


def _update_group(account: Account, arn: str, old: Properties, new: Properties) -> None:
    if new.get("healthCheck") and changed(old, new, "healthCheck"):
        client(account).modify_target_group(TargetGroupArn=arn, **_health_arguments(new["healthCheck"]))
    _set_group_attributes(account, arn, old, new)
    retag(account, arn, old, new)


def _delete_group(account: Account, arn: str, _inputs: Properties) -> None:
    unless_gone(lambda: client(account).delete_target_group(TargetGroupArn=arn))


def _list_groups(account: Account) -> list[tuple[str, Tags]]:
    arns = [row["TargetGroupArn"] for row in all_of(client(account), "describe_target_groups", "TargetGroups")]
    return list(tags_of(account, arns).items())


_GROUP_BASE = frozenset({"port", "protocol", "protocolVersion", "targetType", "ipAddressType", "vpcId"})

TARGET_GROUP = Kind(
    token="aws:lb/targetGroup:TargetGroup",
    create=_create_group,
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
    list=_list_groups,
    read_back=_inputs_of(_GROUP) | _GROUP_BASE | {"name", "healthCheck", "tags"},
    computed=frozenset({"protocolVersion", "ipAddressType", "healthCheck", "loadBalancingAlgorithmType"}),
    replaces=_GROUP_BASE,
    defaults={
        "targetType": "instance",
        "deregistrationDelay": 300,
        "loadBalancingCrossZoneEnabled": "use_load_balancer_configuration",
    },
    name_input="name",
    auto_name=_name_prefix,
    tagged=True,
)

KINDS: tuple[Kind, ...] = (LOAD_BALANCER, TARGET_GROUP)
