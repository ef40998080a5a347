"""EC2 Auto Scaling: groups of machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.calls import all_of, changed, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags

PLAIN = {
    "minSize": "MinSize",
    "maxSize": "MaxSize",
    "desiredCapacity": "DesiredCapacity",
    "healthCheckType": "HealthCheckType",
    "healthCheckGracePeriod": "HealthCheckGracePeriod",
    "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
}
# AWS changes these in place; the emulator's UpdateAutoScalingGroup ignores them
FIXED = {
    "capacityRebalance": "CapacityRebalance",
    "defaultCooldown": "DefaultCooldown",
    "terminationPolicies": "TerminationPolicies",
}
LOST = {
    "defaultInstanceWarmup": "DefaultInstanceWarmup",
    "instanceMaintenancePolicy": "InstanceMaintenancePolicy",
    "maxInstanceLifetime": "MaxInstanceLifetime",
}
STEERING = ("forceDelete", "ignoreFailedScalingActivities", "instanceRefresh", "waitForCapacityTimeout")


def _arguments(inputs: Properties, names: dict[str, str]) -> dict[str, Any]:
    said = {cloud: to_cloud(inputs[name]) for name, cloud in names.items() if name in inputs}
    if "vpcZoneIdentifiers" in inputs:
        said["VPCZoneIdentifier"] = ",".join(inputs["vpcZoneIdentifiers"])
    template, policy = inputs.get("launchTemplate"), inputs.get("mixedInstancesPolicy")
    if template:
        spelled = {"id": "LaunchTemplateId", "name": "LaunchTemplateName"}
        said["LaunchTemplate"] = to_cloud(template, spelled)
    if policy:
        said["MixedInstancesPolicy"] = to_cloud(policy)
    return said


def create(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the group's name."""
    said = _arguments(inputs, {**PLAIN, **FIXED, **LOST})
    tags = [_tag(inputs["name"], row) for row in inputs.get("tags", [])]
    account.client("autoscaling").create_auto_scaling_group(AutoScalingGroupName=inputs["name"], Tags=tags, **said)
    _write_suspended(account, inputs["name"], {}, inputs)
    return str(inputs["name"])


def _tag(group: str, row: Properties) -> dict[str, Any]:
    return {"ResourceId": group, "ResourceType": "auto-scaling-group", **to_cloud(row)}


def _write_suspended(account: Account, group: str, old: Properties, new: Properties) -> None:
    before, after = set(old.get("suspendedProcesses") or []), set(new.get("suspendedProcesses") or [])
    scaling = account.client("autoscaling")
    if after - before:
        scaling.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=sorted(after - before))
    if before - after:
        scaling.resume_processes(AutoScalingGroupName=group, ScalingProcesses=sorted(before - after))


def _described(account: Account, name: str) -> Any:
    found = account.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    return next(iter(found["AutoScalingGroups"]), None)


def read(account: Account, name: str, inputs: Properties) -> Properties | None:
    """A template is told by id and by name; what was declared tells which of them counts."""
    about = _described(account, name)
    if about is None:
        return None
    declared = inputs.get("mixedInstancesPolicy", {}).get("launchTemplate", {}).get("launchTemplateSpecification", {})
    policy = to_wire(about.get("MixedInstancesPolicy"))
    if policy:
        template = policy["launchTemplate"]
        other = "launchTemplateId" if "launchTemplateName" in declared else "launchTemplateName"
        template["launchTemplateSpecification"] = _but(template["launchTemplateSpecification"], other)
    template = to_wire(about.get("LaunchTemplate"), {"LaunchTemplateId": "id", "LaunchTemplateName": "name"})
    other = "id" if "name" in inputs.get("launchTemplate", {}) else "name"
    return {
        **{wire: about[cloud] for wire, cloud in {**PLAIN, **FIXED}.items() if cloud in about},
        "name": about["AutoScalingGroupName"],
        "arn": about["AutoScalingGroupARN"],
        "vpcZoneIdentifiers": [subnet for subnet in about.get("VPCZoneIdentifier", "").split(",") if subnet],
        "launchTemplate": _but(template, other) if template else None,
        "mixedInstancesPolicy": policy,
        "suspendedProcesses": [row["ProcessName"] for row in about["SuspendedProcesses"]],
        "tags": [to_wire({key: row[key] for key in ("Key", "Value", "PropagateAtLaunch")}) for row in about["Tags"]],
        "predictedCapacity": about.get("PredictedCapacity", 0),
        "warmPoolSize": about.get("WarmPoolSize", 0),
    }


def _but(properties: Properties, name: str) -> Properties:
    return {key: it for key, it in properties.items() if key != name}


def update(account: Account, name: str, old: Properties, new: Properties) -> None:
    """All but the tags in one call."""
    scaling = account.client("autoscaling")
    if changed(old, new, *PLAIN, *LOST, "vpcZoneIdentifiers", "launchTemplate", "mixedInstancesPolicy"):
        scaling.update_auto_scaling_group(AutoScalingGroupName=name, **_arguments(new, {**PLAIN, **LOST}))
    _write_suspended(account, name, old, new)
    before, after = old.get("tags") or [], new.get("tags") or []
    gone = [row for row in before if row["key"] not in [it["key"] for it in after]]
    if gone:
        scaling.delete_tags(Tags=[_tag(name, row) for row in gone])
    added = [row for row in after if row not in before]
    if added:
        scaling.create_or_update_tags(Tags=[_tag(name, row) for row in added])


def delete(account: Account, name: str, _: Properties) -> None:
    """With its machines: the real provider would first wait until there are none."""
    if _described(account, name):
        account.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)


def list_all(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for row in all_of(account.client("autoscaling"), "describe_auto_scaling_groups", "AutoScalingGroups"):
        yield row["AutoScalingGroupName"], {}


def find(account: Account, inputs: Properties) -> str | None:
    """By its name."""
    return str(inputs["name"]) if _described(account, inputs["name"]) else None


KINDS = (
    Kind(
        "aws:autoscaling/group:Group",
        create=create,
        read=read,
        update=update,
        delete=delete,
        list=list_all,
        find=find,
        read_back=frozenset(
            [
                *PLAIN,
                *FIXED,
                *("launchTemplate", "mixedInstancesPolicy", "name", "suspendedProcesses", "tags"),
                "vpcZoneIdentifiers",
            ]
        ),
        computed=frozenset(["desiredCapacity", "defaultCooldown", "healthCheckType", "terminationPolicies"]),
        kept={
            **dict.fromkeys(LOST, "lost by CreateAutoScalingGroup and UpdateAutoScalingGroup"),
            **dict.fromkeys(STEERING, "steers the provider's calls; no cloud reports it"),
        },
        replaces=frozenset(["name", *FIXED]),
        unordered=frozenset(["suspendedProcesses", "tags", "vpcZoneIdentifiers"]),
        defaults={"healthCheckGracePeriod": 300},
        name_input="name",
    ),
)
