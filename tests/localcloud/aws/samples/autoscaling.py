"""Samples of EC2 Auto Scaling."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Probe, Ref, Sample

GROUP = "aws:autoscaling/group:Group"


def scaling(account: Account) -> Any:
    return account.client("autoscaling")


def change(**said: Any) -> Behind:
    """A change by somebody who says again what the group starts: the emulator forgets it otherwise."""

    def write(account: Account, made: str, _: Any) -> None:
        live = told("MixedInstancesPolicy")(account, made)
        if live:
            live["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName", None)
            said.setdefault("MixedInstancesPolicy", live)
        scaling(account).update_auto_scaling_group(AutoScalingGroupName=made, **said)

    return write


def told(key: str) -> Probe:
    def probe(account: Account, made: str) -> Any:
        groups = scaling(account).describe_auto_scaling_groups(AutoScalingGroupNames=[made])["AutoScalingGroups"]
        return groups[0].get(key)

    return probe


def tag(key: str, value: str, *, inherited: bool = True) -> dict[str, Any]:
    return {"key": key, "value": value, "propagateAtLaunch": inherited}


def add_tag(account: Account, made: str, _: Any) -> None:
    added = {"ResourceId": made, "ResourceType": "auto-scaling-group", "Key": "added", "Value": "1"}
    scaling(account).create_or_update_tags(Tags=[{**added, "PropagateAtLaunch": False}])


def mixed(base: int, *types: str) -> dict[str, Any]:
    return {
        "launchTemplate": {
            "launchTemplateSpecification": {
                "launchTemplateId": Ref("template-with-groups"),
                "version": "1",
            },
            "overrides": [{"instanceType": name, "weightedCapacity": "1"} for name in types],
        },
        "instancesDistribution": {
            "onDemandAllocationStrategy": "prioritized",
            "onDemandBaseCapacity": base,
            "onDemandPercentageAboveBaseCapacity": 0,
            "spotAllocationStrategy": "price-capacity-optimized",
        },
    }


def mix_otherwise(account: Account, made: str, outputs: Any) -> None:
    live = told("MixedInstancesPolicy")(account, made)
    live["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] = 100
    live["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName", None)
    change(MixedInstancesPolicy=live)(account, made, outputs)


def another_template(account: Account, made: str, outputs: Any) -> None:
    template = {"LaunchTemplateName": outputs["launchTemplate"]["name"], "Version": "$Default"}
    change(LaunchTemplate=template)(account, made, outputs)


MAINTENANCE = {"minHealthyPercentage": 100, "maxHealthyPercentage": 110}

SAMPLES = {
    "machines": Sample(
        GROUP,
        {
            "name": "trainer",
            "minSize": 0,
            "maxSize": 4,
            "desiredCapacity": 1,
            "vpcZoneIdentifiers": [Ref("subnet"), Ref("other-subnet")],
            "mixedInstancesPolicy": mixed(0, "m7i.large", "m7a.large", "m6i.large"),
            "healthCheckType": "EC2",
            "healthCheckGracePeriod": 120,
            "capacityRebalance": True,
            "defaultCooldown": 200,
            "terminationPolicies": ["OldestInstance"],
            "protectFromScaleIn": True,
            "suspendedProcesses": ["AZRebalance"],
            "tags": [tag("project", "p"), tag("owner", "o", inherited=False)],
        },
        changes={
            "minSize": 1,
            "maxSize": 5,
            "desiredCapacity": 2,
            "vpcZoneIdentifiers": [Ref("subnet")],
            "mixedInstancesPolicy": mixed(1, "m7i.large", "m7a.large"),
            "healthCheckType": "ELB",
            "healthCheckGracePeriod": 60,
            "protectFromScaleIn": False,
            "suspendedProcesses": ["Launch", "Terminate"],
            "tags": [tag("project", "q"), tag("environment", "e")],
        },
        behind={
            "minSize": change(MinSize=1),
            "maxSize": change(MaxSize=100),
            "desiredCapacity": change(DesiredCapacity=3),
            "vpcZoneIdentifiers": lambda a, i, outputs: change(VPCZoneIdentifier=outputs["vpcZoneIdentifiers"][0])(
                a, i, outputs
            ),
            "mixedInstancesPolicy": mix_otherwise,
            "healthCheckType": change(HealthCheckType="ELB"),
            "healthCheckGracePeriod": change(HealthCheckGracePeriod=7),
            "protectFromScaleIn": change(NewInstancesProtectedFromScaleIn=False),
            "suspendedProcesses": lambda a, i, _: scaling(a).resume_processes(AutoScalingGroupName=i),
            "tags": add_tag,
        },
        lost={
            "defaultInstanceWarmup": (60, told("DefaultInstanceWarmup")),
            "instanceMaintenancePolicy": (MAINTENANCE, told("InstanceMaintenancePolicy")),
            "maxInstanceLifetime": (86400, told("MaxInstanceLifetime")),
        },
        steers=frozenset({"forceDelete", "ignoreFailedScalingActivities", "instanceRefresh", "waitForCapacityTimeout"}),
    ),
    "machines-of-one-template": Sample(
        GROUP,
        {
            "minSize": 0,
            "maxSize": 1,
            "vpcZoneIdentifiers": [Ref("subnet")],
            "launchTemplate": {"name": Ref("template-with-groups", "name"), "version": "$Latest"},
        },
        changes={"launchTemplate": {"name": Ref("template-with-groups", "name"), "version": "1"}},
        behind={"launchTemplate": another_template},
    ),
}
