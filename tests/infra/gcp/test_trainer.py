"""Machines on GCP: what they are, where they come from, who gets in, and how they go."""

from pathlib import Path
from typing import Any

import pytest

from infra.gcp.sizes import MISSING, REGIONS, SIZES, SPOT_ALONE, offered
from infra.shape import Accelerator, Unsupported
from tests.infra.gcp.planned import Planned, named, of_type, planned

KEY = "ssh-ed25519 AAAA someone@example.com"
PROGRAM = """
    logs = parts.key("logs")
    runs = container("trainer", "machine", ("train",), {{"DATA_STORE": "gs://d/people/"}}, logs)
    shared = parts.file_system("shared", runs.network, logs)
    shared.grant_mount(runs.runs_as)
    parts.trainer("trainer", TrainerArgs(runs, Fleet({fleet}), Access("{key}"{access}), shared))
"""


def machines(path: Path, fleet: str = '"none", 2, 1, 45', access: str = ', ("10.8.0.0/16",), (6006,)') -> list[Planned]:
    return planned(path, PROGRAM.format(fleet=fleet, access=access, key=KEY))


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    return machines(tmp_path_factory.mktemp("trainer"))


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    return machines(tmp_path_factory.mktemp("gpu"), '"gpu-small", 2, 1, 45')


def template(resources: list[Planned], name: str = "trainer") -> dict[str, Any]:
    return named(resources, "RegionInstanceTemplate")[name].inputs


def group(resources: list[Planned], name: str = "trainer") -> dict[str, Any]:
    return named(resources, "RegionInstanceGroupManager")[name].inputs


def test_what_is_beyond_the_floor_is_spot_of_several_types_in_any_zone(resources: list[Planned]) -> None:
    assert template(resources)["scheduling"]["provisioningModel"] == "SPOT"
    (selection,) = group(resources)["instanceFlexibilityPolicy"]["instanceSelections"]
    assert len(selection["machineTypes"]) >= 3
    assert selection["machineTypes"] == [size.name for size in SIZES["none"]]
    assert group(resources)["distributionPolicyZones"] == ["europe-west1-b", "europe-west1-c"]
    assert group(resources)["distributionPolicyTargetShape"] == "ANY"


def test_the_floor_is_never_taken_away_and_starts_at_once(resources: list[Planned]) -> None:
    assert template(resources, "trainer-floor")["scheduling"]["provisioningModel"] == "STANDARD"
    assert group(resources, "trainer-floor")["targetSize"] == 1
    assert group(resources)["targetSize"] == 0


def test_there_is_no_floor_where_none_is_asked_for(tmp_path: Path) -> None:
    assert set(named(machines(tmp_path, '"none", 2'), "RegionInstanceGroupManager")) == {"trainer"}


def test_whoever_trains_sets_how_many_spot_machines_there_are_and_the_settings_how_many_are_the_floor(
    resources: list[Planned],
) -> None:
    managers = named(resources, "RegionInstanceGroupManager")
    assert {name: row.options.get("ignoreChanges", []) for name, row in managers.items()} == {
        "trainer": ["targetSize"],
        "trainer-floor": [],
    }


def test_a_spot_machine_that_was_taken_away_comes_back_and_no_training_is_stopped_for_a_change(
    resources: list[Planned],
) -> None:
    assert template(resources)["scheduling"]["instanceTerminationAction"] == "DELETE"
    assert group(resources)["instanceLifecyclePolicy"]["defaultActionOnFailure"] == "REPAIR"
    assert group(resources)["updatePolicy"]["type"] == "OPPORTUNISTIC"


@pytest.mark.parametrize("name", ["trainer", "trainer-floor"])
def test_a_machine_has_no_address_outside_and_is_shielded(resources: list[Planned], name: str) -> None:
    machine = template(resources, name)
    (interface,) = machine["networkInterfaces"]
    assert "accessConfigs" not in interface
    assert "ipv6AccessConfigs" not in interface
    assert machine["shieldedInstanceConfig"] == {
        "enableSecureBoot": True,
        "enableVtpm": True,
        "enableIntegrityMonitoring": True,
    }
    (disk,) = machine["disks"]
    assert disk["diskEncryptionKey"]["kmsKeySelfLink"].endswith("/cryptoKeys/groundwork-dev-logs")


def test_one_key_opens_it_and_none_of_the_project_s(resources: list[Planned]) -> None:
    metadata = template(resources)["metadata"]
    assert metadata["ssh-keys"] == f"trainer:{KEY}"
    assert metadata["block-project-ssh-keys"] == "TRUE"
    assert metadata["disable-legacy-endpoints"] == "TRUE"
    assert metadata["serial-port-enable"] == "FALSE"


def test_ssh_comes_from_the_listed_networks_alone(resources: list[Planned]) -> None:
    rules = named(resources, "Firewall")
    assert rules["trainer-ssh"].inputs["sourceRanges"] == ["10.8.0.0/16"]
    assert rules["trainer-ssh"].inputs["allows"] == [{"protocol": "tcp", "ports": ["22"]}]
    assert rules["trainer-ssh"].inputs["targetTags"] == ["groundwork-dev-trainer"]
    assert rules["trainer-6006"].inputs["sourceRanges"] == ["10.10.0.0/16"]
    assert rules["members-to-trainer-6006"].inputs["targetTags"] == ["groundwork-dev-members"]


def test_nobody_comes_in_where_nobody_is_listed(tmp_path: Path) -> None:
    rules = of_type(machines(tmp_path, access=""), "Firewall")
    assert {rule.name for rule in rules if rule.inputs["direction"] == "INGRESS"} == {"no-ingress"}


def test_it_runs_the_shared_boot_script_and_leaves_its_group_when_idle(resources: list[Planned]) -> None:
    script = template(resources)["metadata"]["startup-script"]
    assert script.startswith("#!/bin/bash\nexport CLOUD=gcp\n")
    assert "export MACHINES=groundwork-dev-trainer\n" in script
    assert "export IDLE_MINUTES=45\n" in script
    assert "export COMMAND='[\"train\"]'\n" in script
    assert "export SHARED=" in script
    assert script.endswith(Path("infra/boot/train.sh").read_text(encoding="utf-8"))


def test_a_machine_of_the_floor_can_tell_that_it_is_one(resources: list[Planned]) -> None:
    """The boot script stays where the metadata service does not say that the machine is preemptible."""
    assert template(resources)["scheduling"]["preemptible"] is True
    assert not template(resources, "trainer-floor")["scheduling"].get("preemptible")


def test_its_identity_may_log_and_leave_a_group_and_nothing_else_of_the_project(resources: list[Planned]) -> None:
    grants = [row for row in of_type(resources, "IAMMember") if "groundwork-dev-trainer@" in row.inputs["member"]]
    (grant,) = grants
    (role,) = (row for row in of_type(resources, "IAMCustomRole") if row.outputs["name"] == grant.inputs["role"])
    assert role.inputs["permissions"] == ["compute.instanceGroupManagers.update", "logging.logEntries.create"]


def test_a_machine_with_a_gpu_ends_when_its_host_is_mended(gpu: list[Planned]) -> None:
    assert template(gpu)["machineType"] == "g2-standard-4"
    assert template(gpu, "trainer-floor")["scheduling"]["onHostMaintenance"] == "TERMINATE"
    assert template(gpu)["shieldedInstanceConfig"]["enableVtpm"] is True


def test_a_change_of_what_runs_is_another_template(resources: list[Planned], gpu: list[Planned]) -> None:
    assert template(resources)["name"] == template(gpu)["name"]  # the same script
    assert template(resources)["name"] != template(resources, "trainer-floor")["name"]
    assert template(resources)["name"].startswith("groundwork-dev-trainer-")


def test_a_floor_where_large_gpus_are_spot_alone_is_refused_with_a_sentence() -> None:
    assert offered("gpu-large", "europe-west1") == ("a3-highgpu-1g",)
    with pytest.raises(Unsupported, match=r"^gcp: europe-west1 has no machine for 'gpu-large' on demand; .*onDemand"):
        offered("gpu-large", "europe-west1", on_demand=True)
    with pytest.raises(
        Unsupported, match=r"europe-north2 has no machine for 'gpu-small' as spot; .*another accelerator"
    ):
        offered("gpu-small", "europe-north2")


@pytest.mark.parametrize("accelerator", ["none", "gpu-small", "gpu-large"])
def test_sizes_are_priced_with_date_and_source(accelerator: Accelerator) -> None:
    for size in SIZES[accelerator]:
        assert 0 < size.spot < size.on_demand
        assert size.source.startswith("https://")
        assert size.dated == "2026-08-20"
        assert bool(size.gpus) == (accelerator != "none") == bool(size.gpu)
        assert size.region in REGIONS.get(size.name, {size.region})
    assert {*REGIONS, *MISSING, *SPOT_ALONE} <= {size.name for sizes in SIZES.values() for size in sizes}
