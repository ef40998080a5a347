"""Machines to train on and shared files: what their arguments change."""

import base64
import json
import shlex

import pulumi
import pytest

from infra.aws import boot
from infra.aws.args import AwsArgs
from infra.aws.cloud import Parts
from infra.aws.names import Account
from infra.aws.sizes import SIZES
from infra.shape import Accelerator, Access, Container, Fleet, TrainerArgs, Unsupported
from tests.infra.evaluated import CONTEXT, Registered, evaluated, of_type, only

KEY = "ssh-ed25519 " + "A" * 68


def trainer(fleet: Fleet | None = None, access: Access | None = None, **environment: str) -> list[Registered]:
    def program(account: Account) -> None:
        parts = Parts(AwsArgs("eu-west-1", ("a", "b")), account, CONTEXT, pulumi.ResourceOptions())
        key = parts.key("data")
        network = parts.network("10.10.0.0/16", ("10.10.0.0/16",), key)
        image = parts.registry("app", key).image("sha256:" + "0" * 64)
        files = parts.file_system("shared", network, key)
        container = Container(image, parts.identity("trainer", "machine"), network, key, ("train",), environment)
        parts.trainer("trainer", TrainerArgs(container, fleet or Fleet(), access or Access(KEY), files))

    return evaluated(program)


def test_ssh_from_the_whole_internet_is_refused_with_a_sentence() -> None:
    with pytest.raises(Unsupported, match=r"0\.0\.0\.0/0 is the whole internet; list the networks"):
        Access(KEY, ("0.0.0.0/0",))


def test_ssh_comes_from_the_listed_networks_and_ports_from_members_alone() -> None:
    resources = trainer(access=Access(KEY, ("192.168.1.0/24", "10.0.0.0/8"), (6006,)))
    to_machines = {
        (rule.inputs["toPort"], rule.inputs.get("cidrIpv4") or rule.inputs["referencedSecurityGroupId"])
        for rule in of_type(resources, "SecurityGroupIngressRule")
        if rule.inputs["securityGroupId"] == "groundwork-dev-trainer-machines-id"
    }
    members = "groundwork-dev-members-id"
    assert to_machines == {(22, "192.168.1.0/24"), (22, "10.0.0.0/8"), (6006, members)}


def test_a_machine_lets_nobody_in_unless_it_is_told_to() -> None:
    rules = of_type(trainer(), "SecurityGroupIngressRule")
    assert not [rule for rule in rules if "trainer-machines" in rule.inputs["securityGroupId"]]


@pytest.mark.parametrize("need", ["none", "gpu-small", "gpu-large"])
def test_a_need_is_met_by_several_types_with_a_dated_price_and_its_source(need: Accelerator) -> None:
    sizes = SIZES[need]
    assert len({size.name for size in sizes}) == len(sizes) >= 3
    for size in sizes:
        assert (size.gpus > 0) is (need != "none") is bool(size.gpu)
        assert 0 < size.spot < size.on_demand
        assert size.source.startswith("https://")
        assert size.dated.count("-") == 2
    overrides = only(trainer(Fleet(need)), "Group").inputs["mixedInstancesPolicy"]["launchTemplate"]["overrides"]
    assert overrides == [{"instanceType": size.name} for size in sizes]


def test_the_floor_is_bought_on_demand_and_all_above_it_is_spot() -> None:
    group = only(trainer(Fleet("none", maximum=5, on_demand=2)), "Group").inputs
    assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (2, 2, 5)
    distribution = group["mixedInstancesPolicy"]["instancesDistribution"]
    assert (distribution["onDemandBaseCapacity"], distribution["onDemandPercentageAboveBaseCapacity"]) == (2, 0)


def test_values_reach_the_boot_script_as_they_are_and_never_as_commands() -> None:
    odd = """a'b"c $(touch /tmp/never) `x` \\ end"""
    template = only(trainer(ODD=odd), "LaunchTemplate").inputs
    text = base64.b64decode(template["userData"]).decode()
    (line,) = [line for line in text.splitlines() if line.startswith("export ENVIRONMENT=")]
    words = shlex.split(line)
    assert json.loads(words[1].partition("=")[2])["ODD"] == odd


def test_the_agent_of_ecs_is_off_before_the_script_looks_for_running_containers() -> None:
    text = base64.b64decode(only(trainer(), "LaunchTemplate").inputs["userData"]).decode()
    assert text.index("systemctl mask --now --no-block ecs.service") < text.index(boot.SCRIPT.read_text("utf-8"))


def test_files_are_reached_by_one_directory_and_one_user() -> None:
    point = only(trainer(), "AccessPoint").inputs
    assert point["rootDirectory"]["path"] == "/shared"
    assert point["rootDirectory"]["creationInfo"]["permissions"] == "0750"
    assert point["posixUser"] == {"uid": 10001, "gid": 10001}


def test_no_door_opens_before_the_policy_of_the_files_stands() -> None:
    order = [resource.type for resource in trainer()]
    policy = order.index("aws:efs/fileSystemPolicy:FileSystemPolicy")
    assert policy < order.index("aws:efs/mountTarget:MountTarget")
    assert policy < order.index("aws:efs/accessPoint:AccessPoint")
