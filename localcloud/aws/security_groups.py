"""Security groups, the default one of a VPC, and their rules: inside the group, or as resources of their own.

A rule that bears the mark belongs to a resource of its own; every other one is the group's, declared or not. So a rule
that somebody adds by hand shows as drift of its group.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from localcloud.aws.answers import present, unless_gone
from localcloud.aws.calls import ProviderError, changed, tag_list, tag_map
from localcloud.aws.ec2 import arn, described, filters, first, retag, with_tags
from localcloud.aws.kind import MARK, Kind, Properties, Tags

if TYPE_CHECKING:
    from localcloud.aws.account import Account

# AWS answers with names where numbers were given
_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}


def _protocol(value: Any) -> str:
    text = str(value).lower()
    return _PROTOCOLS.get(text, text)


def _traffic(rule: dict[str, Any]) -> tuple[str, int, int]:
    """Protocol and ports of a live rule; all traffic has no ports."""
    protocol = _protocol(rule["IpProtocol"])
    return (protocol, 0, 0) if protocol == "-1" else (protocol, rule.get("FromPort", -1), rule.get("ToPort", -1))


class _Rule(NamedTuple):
    """One source or destination of a group's own rule."""

    protocol: str
    from_port: int
    to_port: int
    list: str  # the inline property that holds the source
    source: str
    description: str


# inline property → (the list in IpPermissions, the key in it, the key in a described rule)
_SOURCES = {
    "cidrBlocks": ("IpRanges", "CidrIp", "CidrIpv4"),
    "ipv6CidrBlocks": ("Ipv6Ranges", "CidrIpv6", "CidrIpv6"),
    "prefixListIds": ("PrefixListIds", "PrefixListId", "PrefixListId"),
    "securityGroups": ("UserIdGroupPairs", "GroupId", ""),
}


def _declared_rules(blocks: Iterable[Properties] | None, group: str) -> set[_Rule]:
    rules = set()
    for block in blocks or []:
        protocol = _protocol(block["protocol"])
        ports = (0, 0) if protocol == "-1" else (int(block["fromPort"]), int(block["toPort"]))
        sources = [(name, source) for name in _SOURCES for source in block.get(name) or []]
        sources += [("securityGroups", group)] if block.get("self") else []
        rules |= {_Rule(protocol, *ports, name, source, block.get("description") or "") for name, source in sources}
    return rules


def _blocks(rules: Iterable[_Rule], group: str) -> list[Properties]:
    """Inline blocks that say the rules, one each, in a fixed order."""
    blocks = []
    for rule in sorted(rules):
        own = rule.list == "securityGroups" and rule.source == group
        blocks.append(
            present(
                protocol=rule.protocol,
                fromPort=rule.from_port,
                toPort=rule.to_port,
                description=rule.description or None,
                **({"self": True} if own else {rule.list: [rule.source]}),
            )
        )
    return blocks


def _permission(rule: _Rule) -> dict[str, Any]:
    members, key, _ = _SOURCES[rule.list]
    ports = {} if rule.protocol == "-1" else {"FromPort": rule.from_port, "ToPort": rule.to_port}
    source = {key: rule.source, **({"Description": rule.description} if rule.description else {})}
    return {"IpProtocol": rule.protocol, **ports, members: [source]}


def _live_rules(permissions: list[dict[str, Any]]) -> set[_Rule]:
    return {
        _Rule(*_traffic(item), name, source[key], source.get("Description") or "")
        for item in permissions
        for name, (members, key, _) in _SOURCES.items()
        for source in item.get(members) or []
    }


def _marked(described_rules: list[dict[str, Any]], egress: bool) -> set[tuple[Any, ...]]:
    """What identifies each marked rule, without its description, which another call tells."""
    found = set()
    for rule in described_rules:
        if rule["IsEgress"] != egress or MARK not in tag_map(rule.get("Tags") or []):
            continue
        source = next((rule[key] for _, _, key in _SOURCES.values() if rule.get(key)), None)
        found.add((*_traffic(rule), source or rule["ReferencedGroupInfo"]["GroupId"]))
    return found


def _own_rules(found: dict[str, Any], rules: list[dict[str, Any]]) -> dict[str, set[_Rule]]:
    own = {}
    for name, permissions, egress in (("ingress", "IpPermissions", False), ("egress", "IpPermissionsEgress", True)):
        marked = _marked(rules, egress)
        live = _live_rules(found.get(permissions) or [])
        own[name] = {rule for rule in live if (*rule[:3], rule.source) not in marked}
    return own


def _read_group(account: Account, group: str, inputs: Properties) -> Properties | None:
    found = first(account, "describe_security_groups", "SecurityGroups", GroupIds=[group])
    if found is None:
        return None
    rules = described(account, "describe_security_group_rules", "SecurityGroupRules", Filters=filters(group_id=group))
    inline = {
        name: inputs[name] if _declared_rules(inputs.get(name), group) == own and own else _blocks(own, group)
        for name, own in _own_rules(found, rules).items()
    }
    return present(
        arn=found.get("SecurityGroupArn") or arn(account, f"security-group/{group}"),
        name=found["GroupName"],
        description=found.get("Description"),
        vpcId=found.get("VpcId"),
        ownerId=found.get("OwnerId"),
        tags=tag_map(found.get("Tags") or []),
        **inline,
    )


def _set_rules(account: Account, group: str, old: Properties, new: Properties) -> None:
    client = account.client("ec2")
    for name, word in (("ingress", "ingress"), ("egress", "egress")):
        before, after = _declared_rules(old.get(name), group), _declared_rules(new.get(name), group)
        for rule in sorted(before - after):
            revoke = getattr(client, f"revoke_security_group_{word}")
            unless_gone(partial(revoke, GroupId=group, IpPermissions=[_permission(rule)]))
        if after - before:
            authorize = getattr(client, f"authorize_security_group_{word}")
            authorize(GroupId=group, IpPermissions=[_permission(rule) for rule in sorted(after - before)])


def _create_group(account: Account, inputs: Properties, tags: Tags) -> str:
    created = account.client("ec2").create_security_group(
        GroupName=inputs["name"],
        Description=inputs["description"],
        TagSpecifications=with_tags("security-group", tags),
        **present(VpcId=inputs.get("vpcId")),
    )
    group = str(created["GroupId"])
    # AWS lets every group out to everywhere; the real provider takes that away, unless it is declared
    live = _read_group(account, group, {}) or {}
    _set_rules(account, group, live, inputs)
    return group


def _update_group(account: Account, group: str, old: Properties, new: Properties) -> None:
    _set_rules(account, group, old, new)
    retag(account, group, old, new)


def _delete_group(account: Account, group: str, _inputs: Properties) -> None:
    unless_gone(lambda: account.client("ec2").delete_security_group(GroupId=group))


def _list_groups(account: Account) -> list[tuple[str, Tags]]:
    """Every group but those named default, which come with each VPC; AWS lets nobody else use that name."""
    found = described(account, "describe_security_groups", "SecurityGroups")
    return [(group["GroupId"], tag_map(group.get("Tags") or [])) for group in found if group["GroupName"] != "default"]


SECURITY_GROUP = Kind(
    token="aws:ec2/securityGroup:SecurityGroup",
    create=_create_group,
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
    list=_list_groups,
    read_back=frozenset({"name", "description", "vpcId", "ingress", "egress", "tags"}),
    computed=frozenset({"vpcId"}),
    replaces=frozenset({"name", "description", "vpcId"}),
    unordered=frozenset({"ingress", "egress"}),
    defaults={"description": "Managed by Pulumi"},
    name_input="name",
    tagged=True,
    # a VPC has one group of a name
    delete_before_replace=True,
)


# --- DefaultSecurityGroup: adopted, not made


def _adopt_group(account: Account, inputs: Properties, tags: Tags) -> str:
    vpc = inputs.get("vpcId")
    if vpc is None:
        own = described(account, "describe_vpcs", "Vpcs", Filters=filters(is_default="true"))
        vpc = own[0]["VpcId"] if own else ""
    found = first(
        account, "describe_security_groups", "SecurityGroups", Filters=filters(vpc_id=vpc, group_name="default")
    )
    if found is None:
        raise ProviderError(f"there is no VPC {vpc or 'by default'} whose default security group could be adopted.")
    group = str(found["GroupId"])
    account.client("ec2").create_tags(Resources=[group], Tags=tag_list(tags))
    _set_rules(account, group, _read_group(account, group, {}) or {}, inputs)
    return group


def _read_adopted(account: Account, group: str, inputs: Properties) -> Properties | None:
    live = _read_group(account, group, inputs)
    return live if live and MARK in live["tags"] else None


def _release_group(account: Account, group: str, inputs: Properties) -> None:
    """AWS does not delete such a group: it is given back, without our tags, and goes with its VPC."""
    live = _read_adopted(account, group, inputs)
    if live:
        account.client("ec2").delete_tags(Resources=[group], Tags=[{"Key": name} for name in live["tags"]])


def _list_adopted(account: Account) -> list[tuple[str, Tags]]:
    found = described(account, "describe_security_groups", "SecurityGroups", Filters=filters(group_name="default"))
    tagged = [(group["GroupId"], tag_map(group.get("Tags") or [])) for group in found]
    return [(group, tags) for group, tags in tagged if MARK in tags]


DEFAULT_SECURITY_GROUP = Kind(
    token="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    create=_adopt_group,
    read=_read_adopted,
    update=_update_group,
    delete=_release_group,
    list=_list_adopted,
    read_back=frozenset({"vpcId", "ingress", "egress", "tags"}),
    computed=frozenset({"vpcId"}),
    replaces=frozenset({"vpcId"}),
    unordered=frozenset({"ingress", "egress"}),
    tagged=True,
    delete_before_replace=True,
)


# --- SecurityGroupIngressRule, SecurityGroupEgressRule

# input → (the list in IpPermissions, the key in it, the key in ModifySecurityGroupRules)
_RULE_SOURCES = {
    "cidrIpv4": ("IpRanges", "CidrIp", "CidrIpv4"),
    "cidrIpv6": ("Ipv6Ranges", "CidrIpv6", "CidrIpv6"),
    "prefixListId": ("PrefixListIds", "PrefixListId", "PrefixListId"),
    "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId", "ReferencedGroupId"),
}


def _create_rule(egress: bool, account: Account, inputs: Properties, tags: Tags) -> str:
    client = account.client("ec2")
    name = next(name for name in _RULE_SOURCES if inputs.get(name))
    members, key, _ = _RULE_SOURCES[name]
    source = present(**{key: inputs[name]}, Description=inputs.get("description"))
    ports = present(FromPort=inputs.get("fromPort"), ToPort=inputs.get("toPort"))
    call = client.authorize_security_group_egress if egress else client.authorize_security_group_ingress
    answer = call(
        GroupId=inputs["securityGroupId"],
        IpPermissions=[{"IpProtocol": inputs["ipProtocol"], **ports, members: [source]}],
        TagSpecifications=with_tags("security-group-rule", tags),
    )
    rule = str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])
    if inputs.get("description") and name in ("prefixListId", "referencedSecurityGroupId"):
        # the emulator reports the description of such a rule only after a change of it
        _modify_rule(account, rule, inputs)
    return rule


def _modify_rule(account: Account, rule: str, inputs: Properties) -> None:
    sources = {part: inputs[name] for name, (_, _, part) in _RULE_SOURCES.items() if inputs.get(name)}
    said = {
        "IpProtocol": inputs["ipProtocol"],
        "FromPort": inputs.get("fromPort", -1),
        "ToPort": inputs.get("toPort", -1),
        "Description": inputs.get("description") or "",
        **sources,
    }
    account.client("ec2").modify_security_group_rules(
        GroupId=inputs["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": rule, "SecurityGroupRule": said}],
    )


def _read_rule(egress: bool, account: Account, rule: str, inputs: Properties) -> Properties | None:
    query = {"SecurityGroupRuleIds": [rule]}
    found = first(account, "describe_security_group_rules", "SecurityGroupRules", **query)
    if found is None or found["IsEgress"] != egress:
        return None
    protocol = _protocol(found["IpProtocol"])
    everything = protocol == "-1"
    return present(
        arn=found.get("SecurityGroupRuleArn") or arn(account, f"security-group-rule/{rule}"),
        securityGroupRuleId=rule,
        securityGroupId=found["GroupId"],
        ipProtocol=inputs["ipProtocol"] if _protocol(inputs.get("ipProtocol")) == protocol else protocol,
        fromPort=None if everything else found.get("FromPort"),
        toPort=None if everything else found.get("ToPort"),
        description=found.get("Description") or None,
        cidrIpv4=found.get("CidrIpv4"),
        cidrIpv6=found.get("CidrIpv6"),
        prefixListId=found.get("PrefixListId"),
        referencedSecurityGroupId=(found.get("ReferencedGroupInfo") or {}).get("GroupId"),
        tags=tag_map(found.get("Tags") or []),
    )


def _update_rule(account: Account, rule: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "ipProtocol", "fromPort", "toPort", "description", "cidrIpv4"):
        _modify_rule(account, rule, new)
    retag(account, rule, old, new)


def _delete_rule(egress: bool, account: Account, rule: str, inputs: Properties) -> None:
    client = account.client("ec2")
    live = _read_rule(egress, account, rule, inputs)
    if live:
        revoke = client.revoke_security_group_egress if egress else client.revoke_security_group_ingress
        unless_gone(lambda: revoke(GroupId=live["securityGroupId"], SecurityGroupRuleIds=[rule]))


def _list_rules(egress: bool, account: Account) -> list[tuple[str, Tags]]:
    """The rules that resources made: they bear the mark. The others are their group's."""
    found = described(account, "describe_security_group_rules", "SecurityGroupRules")
    tagged = [
        (rule["SecurityGroupRuleId"], tag_map(rule.get("Tags") or [])) for rule in found if rule["IsEgress"] == egress
    ]
    return [(rule, tags) for rule, tags in tagged if MARK in tags]


def _rule_kind(token: str, egress: bool) -> Kind:
    return Kind(
        token=token,
        create=partial(_create_rule, egress),
        read=partial(_read_rule, egress),
        update=_update_rule,
        delete=partial(_delete_rule, egress),
        list=partial(_list_rules, egress),
        read_back=frozenset(
            {"securityGroupId", "ipProtocol", "fromPort", "toPort", "description", "tags", *_RULE_SOURCES}
        ),
        # AWS changes the other sources in place; the emulator ignores that without a word
        replaces=frozenset({"securityGroupId", "cidrIpv6", "prefixListId", "referencedSecurityGroupId"}),
        tagged=True,
        # a group holds a rule once
        delete_before_replace=True,
    )


INGRESS_RULE = _rule_kind("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", egress=False)
EGRESS_RULE = _rule_kind("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", egress=True)

KINDS: tuple[Kind, ...] = (SECURITY_GROUP, DEFAULT_SECURITY_GROUP, INGRESS_RULE, EGRESS_RULE)
