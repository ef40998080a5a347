"""Samples of launch templates and key pairs."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS, ec2, tag

IMAGE, OTHER_IMAGE = "ami-12c6146b", "ami-1e749f67"  # images that the emulator knows
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtv0Vw3VGmSH3Zt9qT3gqJXz7S2Yk1Gm3cVJm2Zz7aQ trainer"


def version(**said: Any) -> Behind:
    """A version that somebody else wrote: as the latest, but for some parts."""

    def write(account: Account, made: str, _: Any) -> None:
        found = ec2(account).describe_launch_template_versions(LaunchTemplateId=made, Versions=["$Latest"])
        latest = found["LaunchTemplateVersions"][0]
        description = said.pop("VersionDescription", latest["VersionDescription"])
        data = {**latest["LaunchTemplateData"], **said}
        ec2(account).create_launch_template_version(
            LaunchTemplateId=made, LaunchTemplateData=data, VersionDescription=description
        )

    return write


def default_version(account: Account, made: str, _: Any) -> None:
    version()(account, made, {})
    ec2(account).modify_launch_template(LaunchTemplateId=made, DefaultVersion="2")


def disk(size: int) -> list[dict[str, Any]]:
    ebs = {"volumeSize": size, "volumeType": "gp3", "encrypted": "true", "deleteOnTermination": "true"}
    return [{"deviceName": "/dev/xvda", "ebs": {**ebs, "kmsKeyId": "<<key.arn>>"}}]


def metadata(hops: int) -> dict[str, Any]:
    return {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": hops}


def interface(public: str) -> list[dict[str, Any]]:
    return [{"deviceIndex": 0, "associatePublicIpAddress": public, "securityGroups": [Ref("group")]}]


SAMPLES = {
    "template": Sample(
        "aws:ec2/launchTemplate:LaunchTemplate",
        {
            "name": "trainer",
            "description": "first",
            "imageId": IMAGE,
            "instanceType": "m7i.large",
            "keyName": Ref("key-pair"),
            "userData": "IyEvYmluL3No",
            "ebsOptimized": "true",
            "disableApiTermination": False,
            "instanceInitiatedShutdownBehavior": "terminate",
            "iamInstanceProfile": {"arn": Ref("profile", "arn")},
            "metadataOptions": metadata(1),
            "monitoring": {"enabled": True},
            "blockDeviceMappings": disk(50),
            "networkInterfaces": interface("false"),
            "tagSpecifications": [
                {"resourceType": "instance", "tags": {"Name": "trainer"}},
                {"resourceType": "volume", "tags": {"Name": "trainer"}},
            ],
            "updateDefaultVersion": False,
            "tags": TAGS,
        },
        changes={
            "description": "second",
            "imageId": OTHER_IMAGE,
            "instanceType": "m7a.large",
            "keyName": None,
            "userData": "IyEvYmluL2Jhc2g=",
            "ebsOptimized": "false",
            "disableApiTermination": True,
            "instanceInitiatedShutdownBehavior": "stop",
            "iamInstanceProfile": {"name": "other"},
            "metadataOptions": metadata(2),
            "monitoring": {"enabled": False},
            "blockDeviceMappings": disk(100),
            "networkInterfaces": interface("true"),
            "tagSpecifications": [{"resourceType": "instance", "tags": {"Name": "other"}}],
            "instanceMarketOptions": {"marketType": "spot", "spotOptions": {"maxPrice": "0.10"}},
            "creditSpecification": {"cpuCredits": "standard"},
            "tags": OTHER_TAGS,
        },
        behind={
            "description": version(VersionDescription="by hand"),
            "imageId": version(ImageId=OTHER_IMAGE),
            "instanceType": version(InstanceType="p5.48xlarge"),
            "keyName": version(KeyName="stranger"),
            "userData": version(UserData="Y3VybA=="),
            "ebsOptimized": version(EbsOptimized=False),
            "disableApiTermination": version(DisableApiTermination=True),
            "instanceInitiatedShutdownBehavior": version(InstanceInitiatedShutdownBehavior="stop"),
            "iamInstanceProfile": version(IamInstanceProfile={"Name": "administrator"}),
            "metadataOptions": version(MetadataOptions={"HttpTokens": "optional"}),
            "monitoring": version(Monitoring={"Enabled": False}),
            "blockDeviceMappings": version(BlockDeviceMappings=[]),
            "networkInterfaces": version(NetworkInterfaces=[]),
            "tagSpecifications": version(TagSpecifications=[]),
            "instanceMarketOptions": version(InstanceMarketOptions={"MarketType": "spot"}),
            "creditSpecification": version(CreditSpecification={"CpuCredits": "unlimited"}),
            "tags": tag,
        },
        steers=frozenset({"updateDefaultVersion"}),
    ),
    "template-with-groups": Sample(
        "aws:ec2/launchTemplate:LaunchTemplate",
        {
            "vpcSecurityGroupIds": [Ref("group"), Ref("other-group")],
            "imageId": IMAGE,
            "defaultVersion": 1,
            "description": "groups",
        },
        changes={"vpcSecurityGroupIds": [Ref("group")], "defaultVersion": None},
        behind={"vpcSecurityGroupIds": version(SecurityGroupIds=[]), "defaultVersion": default_version},
    ),
    "key-pair": Sample(
        "aws:ec2/keyPair:KeyPair",
        {"keyName": "trainer", "publicKey": PUBLIC_KEY, "tags": TAGS},
        changes={"tags": OTHER_TAGS},
        behind={"tags": lambda a, i, outputs: tag(a, outputs["keyPairId"], outputs)},
    ),
}
