"""The trainer's boot script, run as far as a laptop can: its cloud is a metadata service on loopback, and `docker`,
`mount` and `shutdown` are stand-ins that write down what they were asked. The container is a process that counts."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infra.boot.metadata import NAME, REGISTRY, Metadata, serving

pytestmark = [pytest.mark.slow, pytest.mark.drawn(5)]
HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "infra/boot/train.sh"
CLOUDS = ("aws", "gcp", "azure")
IMAGES = {
    "aws": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/app@sha256:" + "a" * 64,
    "gcp": "europe-west1-docker.pkg.dev/project-1/app/app@sha256:" + "a" * 64,
    "azure": "registry.example/app@sha256:" + "a" * 64,
}
GROUPS = {"aws": "machines", "gcp": "machines", "azure": "/subscriptions/1/machines"}
FAKED = ("docker", "mount", "mountpoint", "shutdown", "sleep", "curl", "mount.efs", "mount.nfs4", "mount.aznfs")


class Machine:
    """A machine of a cloud; `shared` outlives it, as the file system does."""

    def __init__(self, path: Path, metadata: Metadata, cloud: str, shared: Path, **variables: str) -> None:
        self.path, self.metadata, self.shared = path, metadata, shared
        self.fakes, self.steps = path / "fakes", path / "steps"
        bin_ = path / "bin"
        for folder in (self.fakes, bin_, shared):
            folder.mkdir(parents=True, exist_ok=True)
        program = f"#!{sys.executable} -IS\n" + (HERE / "boot/commands.py").read_text()
        for name in FAKED:
            (bin_ / name).write_text(program)
            (bin_ / name).chmod(0o755)
        real_curl = shutil.which("curl")
        assert real_curl
        self.variables = {
            "PATH": f"{bin_}:{os.environ['PATH']}",
            "FAKES": str(self.fakes),
            "REAL_CURL": real_curl,
            "METADATA": metadata.url,
            "MOUNT_POINT": str(shared),
            "WORK": str(path / "work"),
            "CLOUD": cloud,
            "IMAGE": IMAGES[cloud],
            "COMMAND": json.dumps([str(HERE / "boot/counting.py"), "5"]),
            "ENVIRONMENT": json.dumps({"STEPS": str(self.steps)}),
            "SHARED": "where:/shared",
            "IDLE_MINUTES": "0",
            "AWS_REGION": "eu-central-1",
            "REGION": "europe-west1",
            **variables,
        }

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/bash", str(SCRIPT)],
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """The exit code and the output; a script that does not end is ended."""
        try:
            said, _ = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            pytest.fail(f"the boot script does not end:\n{said}")
        return process.returncode, said

    def boot(self) -> tuple[int, str]:
        return self.end(self.start())

    def calls(self, command: str, first: str = "") -> list[dict[str, Any]]:
        """The calls of a command whose first argument is `first`."""
        path = self.fakes / "calls"
        lines = [ast.literal_eval(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [
            line for line in lines if line["command"] == command and (line["arguments"][:1] == [first] or not first)
        ]

    def counted(self) -> list[int]:
        return [int(line) for line in self.steps.read_text().split()] if self.steps.exists() else []

    def saved(self) -> list[str]:
        """What lies in the shared checkpoints, without the part that names the job."""
        return sorted(path.name[16:] for path in (self.shared / "checkpoints").iterdir())


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with serving() as found:
        yield found


def until(condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_boot_mounts_logs_in_trains_and_shuts_down_when_idle(tmp_path: Path, metadata: Metadata, cloud: str) -> None:
    machine = Machine(tmp_path, metadata, cloud, tmp_path / "shared", IDLE_MINUTES="1")
    code, said = machine.boot()
    assert code == 0, said
    assert machine.counted() == [1, 2, 3, 4, 5]
    (mounted,) = machine.calls("mount")
    kind = {"aws": "efs", "gcp": "nfs4", "azure": "aznfs"}[cloud]
    assert mounted["arguments"][:2] == ["-t", kind]
    assert mounted["arguments"][-2:] == ["where:/shared", str(machine.shared)]
    (login,) = machine.calls("docker", "login")
    user = {"aws": "AWS", "gcp": "oauth2accesstoken", "azure": "00000000-0000-0000-0000-000000000000"}[cloud]
    assert login["arguments"][1:3] == ["--username", user]
    assert login["stdin"].strip() == ("TOKEN" if cloud == "gcp" else "PASSWORD")
    assert len(machine.calls("sleep")) >= 12  # a minute of five seconds each
    assert [call["arguments"] for call in machine.calls("shutdown")] == [["-h", "now"]]
    assert machine.saved() == []  # what is done needs no checkpoint, and the next boot trains anew


def test_the_container_runs_the_command_with_the_environment_and_the_shared_files(
    tmp_path: Path, metadata: Metadata
) -> None:
    odd = {"STEPS": str(tmp_path / "steps"), "ODD": 'two words, "quotes" and $HOME\nand a line'}
    machine = Machine(tmp_path, metadata, "aws", tmp_path / "shared", ENVIRONMENT=json.dumps(odd), LOG_GROUP="group")
    assert machine.boot()[0] == 0
    (run,) = (call["arguments"] for call in machine.calls("docker", "run"))
    assert f"ODD={odd['ODD']}" in run
    assert f"{machine.shared}:/mnt/shared" in run
    assert run[run.index("--network") + 1] == "host"
    assert "--entrypoint" not in run
    assert run[-3:] == [IMAGES["aws"], str(HERE / "boot/counting.py"), "5"]
    assert {"awslogs-group=group", "awslogs-region=eu-central-1", f"awslogs-stream={NAME}"} <= set(run)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_an_interruption_leads_to_a_checkpoint_from_which_the_next_machine_goes_on(
    tmp_path: Path, metadata: Metadata, cloud: str
) -> None:
    shared, steps = tmp_path / "shared", tmp_path / "steps"
    slow = {
        "ENVIRONMENT": json.dumps({"STEPS": str(steps), "SECONDS_A_STEP": "0.1"}),
        "COMMAND": json.dumps([str(HERE / "boot/counting.py"), "30"]),
    }
    first = Machine(tmp_path / "first", metadata, cloud, shared, **slow)
    first.steps = steps
    process = first.start()
    until(lambda: len(first.counted()) > 2, process)
    metadata.notice = True
    code, said = first.end(process)
    assert code == 0, said
    assert "stopping for a checkpoint" in said
    assert first.calls("docker", "stop")
    assert not first.calls("shutdown")  # the cloud does that
    assert first.saved() == [""]
    done = first.counted()
    assert len(done) < 30
    acknowledged = [each for each in metadata.to("scheduledevents") if each.method == "POST"]
    assert [json.loads(each.body)["StartRequests"] for each in acknowledged] == (
        [[{"EventId": "event-1"}]] if cloud == "azure" else []
    )

    metadata.notice = False
    second = Machine(tmp_path / "second", metadata, cloud, shared, **slow)
    code, said = second.boot()
    assert code == 0, said
    assert "resuming from" in said
    assert second.saved() == []
    assert [int(line) for line in steps.read_text().split()] == list(range(1, 31))  # no step is lost or done twice


def test_a_notice_for_another_machine_of_the_set_is_not_ours(tmp_path: Path, metadata: Metadata) -> None:
    metadata.notice, metadata.notice_for = True, "machine-2"
    machine = Machine(tmp_path, metadata, "azure", tmp_path / "shared")
    assert machine.boot()[0] == 0
    assert machine.counted() == [1, 2, 3, 4, 5]
    assert not machine.calls("docker", "stop")


def test_a_stop_of_the_system_leads_to_a_checkpoint_too(tmp_path: Path, metadata: Metadata) -> None:
    slow = json.dumps({"STEPS": str(tmp_path / "steps"), "SECONDS_A_STEP": "1"})
    machine = Machine(tmp_path, metadata, "gcp", tmp_path / "shared", ENVIRONMENT=slow)
    process = machine.start()
    until(machine.counted, process)
    process.terminate()
    code, said = machine.end(process)
    assert code == 0, said
    assert machine.saved() == [""]


def test_training_that_fails_keeps_its_checkpoint_and_the_machine_shuts_down_when_idle(
    tmp_path: Path, metadata: Metadata
) -> None:
    failing = json.dumps({"STEPS": str(tmp_path / "steps"), "EXIT": "3"})
    machine = Machine(tmp_path, metadata, "gcp", tmp_path / "shared", ENVIRONMENT=failing)
    code, said = machine.boot()
    assert code == 0, said
    assert "training failed with exit code 3" in said
    assert machine.saved() == [""]
    assert machine.calls("shutdown")


def test_a_running_checkpoint_is_copied_before_any_notice(tmp_path: Path, metadata: Metadata) -> None:
    program = "import os, pathlib, time; pathlib.Path(os.environ['CHECKPOINTS'], 'a').write_text('1'); time.sleep(60)"
    machine = Machine(tmp_path, metadata, "gcp", tmp_path / "shared", COMMAND=json.dumps(["-c", program]))
    process = machine.start()
    checkpoints = machine.shared / "checkpoints"
    try:
        until(lambda: checkpoints.exists() and list(checkpoints.glob("*/a")), process)
    finally:
        process.terminate()
        machine.end(process)


def test_two_machines_do_not_train_the_same(tmp_path: Path, metadata: Metadata) -> None:
    machine = Machine(tmp_path, metadata, "gcp", tmp_path / "shared")
    assert machine.boot()[0] == 0
    (machine.shared / "checkpoints").mkdir(exist_ok=True)
    names = subprocess.run(
        ["sha256sum"],
        input="\n".join([machine.variables[name] for name in ("IMAGE", "COMMAND", "ENVIRONMENT")]) + "\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout[:16]
    owner = machine.shared / f"checkpoints/{names}.owner"
    owner.write_text("machine-2\n")
    code, said = machine.boot()
    assert code == 0, said
    assert "another machine trains this" in said
    assert len(machine.counted()) == 5  # of the first boot
    os.utime(owner, (time.time() - 600, time.time() - 600))  # it has gone without a word
    assert machine.boot()[0] == 0
    assert len(machine.counted()) == 10


@pytest.mark.parametrize("cloud", CLOUDS)
def test_an_idle_machine_leaves_its_group_before_it_shuts_down(tmp_path: Path, metadata: Metadata, cloud: str) -> None:
    machine = Machine(tmp_path, metadata, cloud, tmp_path / "shared", MACHINES=GROUPS[cloud])
    code, said = machine.boot()
    assert code == 0, said
    (left,) = metadata.to({"aws": "autoscaling.", "gcp": "/deleteInstances", "azure": "/machines/delete"}[cloud])
    if cloud == "aws":
        assert "ShouldDecrementDesiredCapacity=true" in left.body
        assert f"InstanceId={NAME}" in left.body
    elif cloud == "gcp":
        assert "/projects/project-1/regions/europe-west1/instanceGroupManagers/machines/" in left.path
        assert json.loads(left.body) == {"instances": [f"zones/europe-west1-b/instances/{NAME}"]}
    else:
        assert json.loads(left.body) == {"instanceIds": [NAME]}
    assert machine.calls("shutdown")


def test_a_machine_that_its_group_keeps_stays_up(tmp_path: Path, metadata: Metadata) -> None:
    metadata.keeps = True
    machine = Machine(tmp_path, metadata, "aws", tmp_path / "shared", MACHINES="machines", IDLE_MINUTES="1")
    process = machine.start()
    until(lambda: len(metadata.to("autoscaling.")) > 1, process)  # it asked, stayed, and asked again
    assert not machine.calls("shutdown")
    process.terminate()
    code, said = machine.end(process)
    assert (code, "this machine stays" in said) == (0, True)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", [False, None], ids=["on demand", "not told"])
@pytest.mark.parametrize("cloud", CLOUDS)
def test_an_idle_machine_of_the_floor_neither_shrinks_its_group_nor_shuts_down(
    tmp_path: Path, metadata: Metadata, cloud: str, kind: bool | None
) -> None:
    metadata.spot = kind
    machine = Machine(tmp_path, metadata, cloud, tmp_path / "shared", MACHINES=GROUPS[cloud], IDLE_MINUTES="1")
    process = machine.start()
    asked = {"aws": "instance-life-cycle", "gcp": "scheduling/preemptible", "azure": "compute/priority"}[cloud]
    until(lambda: len(metadata.to(asked)) > 1, process)  # it was idle twice as long as a spot machine may be
    process.terminate()
    code, said = machine.end(process)
    assert (code, "this machine stays" in said) == (0, True)
    assert machine.counted() == [1, 2, 3, 4, 5]  # it trained once, and was not started again
    left = [each for name in ("autoscaling.", "/deleteInstances", "/machines/delete") for each in metadata.to(name)]
    assert (left, machine.calls("shutdown")) == ([], [])


def test_a_container_that_somebody_runs_by_hand_keeps_the_machine_up(tmp_path: Path, metadata: Metadata) -> None:
    machine = Machine(tmp_path, metadata, "gcp", tmp_path / "shared", IDLE_MINUTES="1")
    (machine.fakes / "by-hand").write_text("20")
    assert machine.boot()[0] == 0
    assert len(machine.calls("docker", "ps")) >= 20 + 12


def test_a_mount_that_is_not_there_yet_is_tried_again(tmp_path: Path, metadata: Metadata) -> None:
    machine = Machine(tmp_path, metadata, "aws", tmp_path / "shared", ACCESS_POINT="fsap-1")
    (machine.fakes / "mount-fails").touch()
    assert machine.boot()[0] == 0
    first, second = (call["arguments"] for call in machine.calls("mount"))
    assert first == second
    assert first[3] == "tls,iam,accesspoint=fsap-1"


def test_what_the_machine_image_lacks_is_named(tmp_path: Path, metadata: Metadata) -> None:
    machine = Machine(tmp_path, metadata, "azure", tmp_path / "shared")
    (tmp_path / "bin/mount.aznfs").unlink()
    code, said = machine.boot()
    assert (code, said) == (1, "train.sh: the machine image lacks mount.aznfs; nothing is installed at boot.\n")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"CLOUD": "other"}, "CLOUD is other; it must be aws, gcp or azure."),
        ({"IMAGE": ""}, "IMAGE: must be set"),
        ({"IDLE_MINUTES": "soon"}, "IDLE_MINUTES is soon; it must be a whole number."),
    ],
)
def test_a_wrong_variable_is_told(tmp_path: Path, metadata: Metadata, variables: dict[str, str], sentence: str) -> None:
    machine = Machine(tmp_path, metadata, "aws", tmp_path / "shared")
    machine.variables.update(variables)
    code, said = machine.boot()
    assert code == 1
    assert sentence in said
    assert not machine.calls("docker", "run")


def test_no_secret_stands_in_a_command_line_or_in_the_output(tmp_path: Path, metadata: Metadata) -> None:
    for cloud in CLOUDS:
        machine = Machine(tmp_path / cloud, metadata, cloud, tmp_path / cloud / "shared", MACHINES=GROUPS[cloud])
        _, said = machine.boot()
        lines = said + json.dumps([call["arguments"] for call in machine.calls("docker") + machine.calls("curl")])
        assert not [word for word in ("SECRET", "SESSION", "TOKEN", "PASSWORD") if word in lines]
    assert metadata.to(REGISTRY)


def test_the_script_leaves_room_for_its_variables_in_what_aws_takes() -> None:
    assert len(SCRIPT.read_bytes()) < 14_000  # of 16,384, of which the variables are about 1,500
