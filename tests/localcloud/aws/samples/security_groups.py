"""Samples of security groups and their rules."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS, ec2, tag

SSH = {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["192.0.2.0/24"], "description": "by hand"}
WEB = {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"], "ipv6CidrBlocks": ["::/0"]}
ALL = {"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}


def open_ssh(account: Account, made: str, _: Any) -> None:
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2(account).authorize_security_group_ingress(GroupId=made, IpPermissions=[permission])


def open_egress(account: Account, made: str, _: Any) -> None:
    permission = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2(account).authorize_security_group_egress(GroupId=made, IpPermissions=[permission])


def change_rule(**said: Any) -> Any:
    def change(account: Account, made: str, outputs: Any) -> None:
        rule = {
            "IpProtocol": outputs["ipProtocol"],
            "FromPort": outputs["fromPort"],
            "ToPort": outputs["toPort"],
            "CidrIpv4": outputs["cidrIpv4"],
            "Description": outputs["description"],
        }
        ec2(account).modify_security_group_rules(
            GroupId=outputs["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": made, "SecurityGroupRule": {**rule, **said}}],
        )

    return change


RULE_CHANGES = {
    "ipProtocol": "udp",
    "fromPort": 440,
    "toPort": 445,
    "cidrIpv4": "10.0.9.0/24",
    "description": "changed",
    "tags": OTHER_TAGS,
}
RULE_BEHIND = {
    "ipProtocol": change_rule(IpProtocol="udp"),
    "fromPort": change_rule(FromPort=1),
    "toPort": change_rule(ToPort=65535),
    "cidrIpv4": change_rule(CidrIpv4="0.0.0.0/0"),
    "description": change_rule(Description="by hand"),
    "tags": tag,
}


def rules(token: str, direction: str) -> dict[str, Sample]:
    """One direction's rules, by each kind of source."""
    https = {"securityGroupId": Ref("group"), "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    return {
        f"{direction}-rule": Sample(
            token,
            {**https, "cidrIpv4": "10.0.0.0/16", "description": "https", "tags": TAGS},
            changes=RULE_CHANGES,
            behind=RULE_BEHIND,
        ),
        f"{direction}-rule-for-ipv6": Sample(token, {**https, "ipProtocol": "6", "cidrIpv6": "::/0"}),
        f"{direction}-rule-for-group": Sample(
            token,
            {**https, "referencedSecurityGroupId": Ref("other-group"), "description": "from the balancer"},
            changes={"description": "changed", "toPort": 444},
        ),
        f"{direction}-rule-for-prefixes": Sample(
            token, {**https, "prefixListId": Ref("gateway-endpoint", "prefixListId"), "description": "S3"}
        ),
        f"{direction}-rule-for-all": Sample(
            token, {"securityGroupId": Ref("group"), "ipProtocol": "-1", "cidrIpv4": "10.0.0.0/8"}
        ),
    }


SAMPLES = {
    "group": Sample(
        "aws:ec2/securityGroup:SecurityGroup",
        {"name": "service", "description": "of the service", "vpcId": Ref("vpc"), "tags": TAGS},
        changes={"ingress": [SSH], "egress": [ALL], "tags": OTHER_TAGS},
        behind={"ingress": open_ssh, "egress": open_egress, "tags": tag},
    ),
    "other-group": Sample("aws:ec2/securityGroup:SecurityGroup", {"vpcId": Ref("vpc")}),
    "group-with-rules": Sample(
        "aws:ec2/securityGroup:SecurityGroup",
        {
            "vpcId": Ref("vpc"),
            "ingress": [WEB, {"protocol": "6", "fromPort": 80, "toPort": 80, "self": True}],
            "egress": [
                ALL,
                {"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "securityGroups": [Ref("other-group")]},
                {
                    "protocol": "tcp",
                    "fromPort": 443,
                    "toPort": 443,
                    "prefixListIds": [Ref("gateway-endpoint", "prefixListId")],
                },
            ],
        },
        changes={"ingress": [SSH, WEB], "egress": None},
        behind={"ingress": open_ssh, "egress": open_egress},
    ),
    "group-by-default": Sample("aws:ec2/securityGroup:SecurityGroup", {"name": "no-vpc"}),
    "default-group": Sample(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        {"vpcId": Ref("vpc"), "tags": TAGS},
        changes={"ingress": [SSH], "egress": [ALL], "tags": OTHER_TAGS},
        behind={"ingress": open_ssh, "egress": open_egress, "tags": tag},
        absent=frozenset({"namePrefix"}),
    ),
    "own-default-group": Sample(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {"ingress": [SSH]}, absent=frozenset({"namePrefix"})
    ),
    **rules("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ingress"),
    **rules("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "egress"),
}
