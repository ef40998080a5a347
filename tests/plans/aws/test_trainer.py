"""Machines to train on and their shared files on AWS, in every plan."""

import base64
import json
import shlex

import pytest

from infra.aws.sizes import SIZES
from tests.plans.plans import ROOT, Plan, allowed, plan_of

pytestmark = pytest.mark.slow

FLOOR = {"prod": 1}  # machines that are never taken away; elsewhere there are none


def user_data(plan: Plan) -> str:
    return base64.b64decode(plan.named("ec2:LaunchTemplate", "trainer").inputs["userData"]).decode()


def variables(plan: Plan) -> dict[str, str]:
    exports = [shlex.split(line) for line in user_data(plan).splitlines() if line.startswith("export ")]
    return dict(word.split("=", 1) for _, word in exports[:10])


def test_spot_machines_of_several_types_stand_above_a_floor_on_demand(plan: Plan) -> None:
    group, floor = plan.named("autoscaling:Group", "trainer").inputs, FLOOR.get(plan.environment, 0)
    assert (group["minSize"], group["desiredCapacity"]) == (floor, floor)
    assert group["maxSize"] >= max(1, floor)
    assert group["capacityRebalance"] is True
    mixed = group["mixedInstancesPolicy"]
    assert mixed["instancesDistribution"]["onDemandBaseCapacity"] == floor
    assert mixed["instancesDistribution"]["onDemandPercentageAboveBaseCapacity"] == 0
    assert mixed["instancesDistribution"]["spotAllocationStrategy"] == "price-capacity-optimized"
    need = "gpu-large" if plan.environment == "prod" else "none" if plan.environment != "staging" else "gpu-small"
    types = [override["instanceType"] for override in mixed["launchTemplate"]["overrides"]]
    assert types == [size.name for size in SIZES[need]]  # type: ignore[index] # each is an accelerator
    assert len(types) >= 3


def test_whoever_trains_sets_how_many_machines_there_are(plan: Plan) -> None:
    assert plan.named("autoscaling:Group", "trainer").options["ignoreChanges"] == ["desiredCapacity"]


def test_machines_stand_in_every_zone_without_a_public_address(plan: Plan) -> None:
    zone_of = {row.outputs["id"]: row.inputs["availabilityZone"] for row in plan.of_type("ec2:Subnet")}
    subnets = plan.named("autoscaling:Group", "trainer").inputs["vpcZoneIdentifiers"]
    assert len({zone_of[subnet] for subnet in subnets}) >= 2
    (card,) = plan.named("ec2:LaunchTemplate", "trainer").inputs["networkInterfaces"]
    assert card["associatePublicIpAddress"] == "false"


def test_metadata_is_only_told_to_who_holds_a_session(plan: Plan) -> None:
    options = plan.named("ec2:LaunchTemplate", "trainer").inputs["metadataOptions"]
    assert (options["httpEndpoint"], options["httpTokens"]) == ("enabled", "required")


def test_disks_of_machines_are_encrypted_and_go_with_them(plan: Plan) -> None:
    for disk in plan.named("ec2:LaunchTemplate", "trainer").inputs["blockDeviceMappings"]:
        assert (disk["ebs"]["encrypted"], disk["ebs"]["deleteOnTermination"]) == ("true", "true")


def test_ssh_is_open_to_known_networks_alone_and_with_the_key_of_the_settings(plan: Plan) -> None:
    known = [row for row in plan.of_type("vpc:SecurityGroupIngressRule") if row.inputs["toPort"] == 22]
    machines = plan.named("ec2:SecurityGroup", "trainer-machines").outputs["id"]
    networks = {"10.0.0.0/8"} if plan.environment == "dev" else set()
    assert {row.inputs["cidrIpv4"] for row in known} == networks
    assert {row.inputs["securityGroupId"] for row in known} <= {machines}
    pair = plan.named("ec2:KeyPair", "trainer")
    assert pair.inputs["publicKey"].startswith("ssh-ed25519 ")
    assert plan.named("ec2:LaunchTemplate", "trainer").inputs["keyName"] == pair.inputs["keyName"]


def test_a_machine_runs_as_the_trainer(plan: Plan) -> None:
    profile = plan.named("iam:InstanceProfile", "trainer")
    assert profile.inputs["role"] == plan.named("iam:Role", "trainer").inputs["name"]
    template = plan.named("ec2:LaunchTemplate", "trainer").inputs
    assert template["iamInstanceProfile"] == {"arn": profile.outputs["arn"]}


def test_a_machine_boots_by_the_script_of_all_clouds_told_where_it_is(plan: Plan) -> None:
    text = user_data(plan)
    assert text.startswith("#!/bin/bash\n")
    assert text.endswith((ROOT / "infra/boot/train.sh").read_text(encoding="utf-8"))
    assert len(text.encode()) < 16 * 1024  # what EC2 takes
    told = variables(plan)
    assert told["CLOUD"] == "aws"
    assert told["IMAGE"].startswith(f"{plan.only('ecr:Repository').outputs['repositoryUrl']}@sha256:")
    assert json.loads(told["COMMAND"]) == ["train"]
    assert json.loads(told["ENVIRONMENT"])["DATA_STORE"] == f"s3://example-groundwork-{plan.environment}-data/people/"
    assert told["SHARED"] == plan.only("efs:FileSystem").outputs["id"]
    assert told["ACCESS_POINT"] == plan.only("efs:AccessPoint").outputs["id"]
    assert told["MACHINES"] == plan.named("autoscaling:Group", "trainer").inputs["name"]
    assert told["LOG_GROUP"] == plan.named("cloudwatch:LogGroup", "trainer").inputs["name"]
    assert told["IDLE_MINUTES"] == "30"


def test_an_idle_machine_may_leave_its_own_group_and_touch_no_other(plan: Plan) -> None:
    leaving = {pair for pair in allowed(plan.granted("trainer")) if pair[0].startswith("autoscaling:")}
    group = plan.named("autoscaling:Group", "trainer").outputs["arn"]
    assert leaving == {("autoscaling:TerminateInstanceInAutoScalingGroup", group)}
    template = plan.named("ec2:LaunchTemplate", "trainer").inputs
    assert template["instanceInitiatedShutdownBehavior"] == "terminate"
    services = {row.inputs["serviceName"] for row in plan.of_type("ec2:VpcEndpoint")}
    assert "com.amazonaws.eu-west-1.autoscaling" in services


def test_machines_and_what_they_bring_are_tagged(plan: Plan) -> None:
    group = plan.named("autoscaling:Group", "trainer").inputs["tags"]
    assert all(tag["propagateAtLaunch"] is True for tag in group)
    assert {"project", "environment", "owner", "cost-center", "data-class"} <= {tag["key"] for tag in group}
    template = plan.named("ec2:LaunchTemplate", "trainer").inputs
    tagged = {one["resourceType"]: one["tags"]["environment"] for one in template["tagSpecifications"]}
    assert tagged == dict.fromkeys(("instance", "volume", "network-interface"), plan.environment)


def test_an_image_with_a_driver_is_taken_where_there_is_a_gpu() -> None:
    images = {
        environment: plan_of(environment).named("ec2:LaunchTemplate", "trainer").inputs["imageId"]
        for environment in ("dev", "prod")
    }
    assert all(image.startswith("resolve:ssm:/aws/service/ecs/optimized-ami/") for image in images.values())
    assert "/gpu/" in images["prod"]
    assert "/gpu/" not in images["dev"]


# Shared files


def test_shared_files_are_encrypted_backed_up_and_kept(plan: Plan) -> None:
    files = plan.only("efs:FileSystem")
    assert files.inputs["encrypted"] is True
    assert files.inputs["kmsKeyId"] == plan.named("kms:Key", "data").outputs["arn"]
    assert plan.only("efs:BackupPolicy").inputs["backupPolicy"] == {"status": "ENABLED"}
    assert files.options.get("protect", False) is (plan.environment != "local")


def test_shared_files_have_a_door_in_every_zone_for_members_of_the_network(plan: Plan) -> None:
    subnets = {row.outputs["id"] for row in plan.of_type("ec2:Subnet")}
    doors = plan.of_type("efs:MountTarget")
    assert {door.inputs["subnetId"] for door in doors} == subnets
    group = plan.named("ec2:SecurityGroup", "shared-files").outputs["id"]
    assert all(door.inputs["securityGroups"] == [group] for door in doors)
    (rule,) = [row for row in plan.of_type("vpc:SecurityGroupIngressRule") if row.inputs["securityGroupId"] == group]
    assert rule.inputs["toPort"] == 2049
    assert rule.inputs["referencedSecurityGroupId"] == plan.named("ec2:SecurityGroup", "members").outputs["id"]


def test_shared_files_are_mounted_over_tls_by_whom_it_was_granted_and_by_one_access_point(plan: Plan) -> None:
    (denial,) = plan.only("efs:FileSystemPolicy").document()
    assert (denial["Effect"], denial["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    (mount,) = [one for one in plan.granted("trainer") if "elasticfilesystem:ClientMount" in one["Action"]]
    assert mount["Resource"] == [plan.only("efs:FileSystem").outputs["arn"]]
    point = plan.only("efs:AccessPoint")
    assert mount["Condition"]["StringEquals"] == {"elasticfilesystem:AccessPointArn": point.outputs["arn"]}
    assert "elasticfilesystem:ClientRootAccess" not in mount["Action"]
    assert point.inputs["posixUser"] == {"uid": 10001, "gid": 10001}
