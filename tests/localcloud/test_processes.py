"""Deployed services as processes: they get what their task definition says, and are left alone while that holds."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import pids, processes
from localcloud.emulator import Emulator
from localcloud.processes import Command, ProcessError, Task
from tests.localcloud.emulated import REGION, client, role, running, trust

pytestmark = [pytest.mark.slow, pytest.mark.drawn(2)]

SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({**os.environ, "cwd": os.getcwd(), "argv": sys.argv[1:]}).encode())

    def log_message(self, *_):
        pass

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator")) as found:
        yield found


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Deployment:
    """An ECS service in the emulator, and the directory in which it runs."""

    cloud: Emulator
    directory: Path
    name: str
    port: int = field(default_factory=free_port)
    words: tuple[str, ...] = (sys.executable, "-c", SERVER, "serve")
    role: str = ""

    def __post_init__(self) -> None:
        self.role = role(self.cloud, self.name, trusted=trust(Service="ecs-tasks.amazonaws.com"))
        self.define(GREETING="hello")
        ecs = client(self.cloud, "ecs")
        ecs.create_cluster(clusterName=self.name)
        ecs.create_service(cluster=self.name, serviceName=self.name, taskDefinition=self.name, desiredCount=2)

    def define(self, **environment: str) -> None:
        container: dict[str, Any] = {
            "name": "app",
            "image": "registry.example/team/app@sha256:0",
            "portMappings": [{"containerPort": self.port}],
            "environment": [{"name": k, "value": v} for k, v in {"PORT": str(self.port), **environment}.items()],
            "memory": 128,
        }
        client(self.cloud, "ecs").register_task_definition(
            family=self.name, taskRoleArn=self.role, containerDefinitions=[container]
        )

    def deploy(self, **environment: str) -> None:
        """A new revision, and the service on it."""
        self.define(**environment)
        client(self.cloud, "ecs").update_service(cluster=self.name, service=self.name, taskDefinition=self.name)

    def start(self) -> Task:
        return processes.start(
            self.directory, self.cloud, cluster=self.name, service=self.name, region=REGION,
            images={"team/app": Command(self.words, self.directory.parent)},
        )  # fmt: skip

    def up(self) -> tuple[Task, dict[str, Any]]:
        """Started, and what it says of its environment."""
        task = self.start()
        return task, answer(task)


def answer(task: Task) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(task.url, timeout=5) as response:
                found: dict[str, Any] = json.load(response)
                return found
        except OSError:
            assert time.monotonic() < deadline, task.log.read_text()
            time.sleep(0.05)


@pytest.fixture
def deployment(cloud: Emulator, tmp_path: Path) -> Iterator[Deployment]:
    found = Deployment(cloud, tmp_path / "processes", f"svc-{os.urandom(4).hex()}")
    yield found
    processes.stop_all(found.directory)


def wait_for_end(task: Task) -> None:
    deadline = time.monotonic() + 20
    while not processes.ended(task):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_service_gets_what_its_task_definition_and_the_platform_give(
    deployment: Deployment, cloud: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the caller")
    monkeypatch.setenv("AWS_PROFILE", "of the caller")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # for this test's own question to the service
    task, seen = deployment.up()
    assert task.happened == "started"
    assert task.url == f"http://127.0.0.1:{deployment.port}"
    assert task.task_definition.endswith(f"/{deployment.name}:1")
    assert (seen["GREETING"], seen["PORT"], seen["argv"]) == ("hello", str(deployment.port), ["serve"])
    assert seen["cwd"] == str(deployment.directory.parent.resolve())
    assert (seen["AWS_REGION"], seen["AWS_ENDPOINT_URL"]) == (REGION, cloud.url)
    assert {"AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "HTTPS_PROXY"}.isdisjoint(seen)
    monkeypatch.delenv("no_proxy")
    keys = processes.session_keys(seen)
    for name in ("AWS_PROFILE", "HTTPS_PROXY", "http_proxy"):
        monkeypatch.delenv(name)
    sts = boto3.client("sts", region_name=REGION, endpoint_url=cloud.url, verify=str(cloud.ca_bundle), **keys)
    assert f":assumed-role/{deployment.name}/" in sts.get_caller_identity()["Arn"]


def test_what_is_unchanged_is_not_restarted(deployment: Deployment) -> None:
    first, _ = deployment.up()
    again = deployment.start()
    assert (again.happened, again.pid) == ("running", first.pid)


def test_another_revision_replaces_the_process(deployment: Deployment) -> None:
    first, _ = deployment.up()
    deployment.deploy(GREETING="good evening")
    second, seen = deployment.up()
    assert second.happened == "replaced"
    assert second.task_definition.endswith(":2")
    assert seen["GREETING"] == "good evening"
    assert pids.start_time(first.pid) is None


def test_another_command_for_the_image_replaces_the_process(deployment: Deployment) -> None:
    deployment.up()
    deployment.words = (*deployment.words, "more")
    task, seen = deployment.up()
    assert task.happened == "replaced"
    assert seen["argv"] == ["serve", "more"]


def test_a_process_that_died_is_started_again(deployment: Deployment) -> None:
    first, _ = deployment.up()
    os.kill(first.pid, signal.SIGKILL)
    wait_for_end(first)
    second, _ = deployment.up()
    assert second.happened == "restarted"
    assert second.pid != first.pid


def test_stopping_ends_the_process_and_names_it_once(deployment: Deployment) -> None:
    task, _ = deployment.up()
    assert processes.stop_all(deployment.directory) == [deployment.name]
    assert pids.start_time(task.pid) is None
    assert processes.stop_all(deployment.directory) == []
    assert list(deployment.directory.glob("*.json")) == []


def test_a_record_of_somebody_elses_process_id_stops_nobody(deployment: Deployment) -> None:
    task, _ = deployment.up()
    path = deployment.directory / f"{deployment.name}.json"
    record = path.read_text()
    processes.stop_all(deployment.directory)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
        for act in (lambda: processes.stop_all(deployment.directory), deployment.up):
            path.write_text(json.dumps({**json.loads(record), "pid": bystander.pid}))
            act()
            assert bystander.poll() is None
        bystander.kill()
    assert task.pid != bystander.pid


def test_the_files_are_for_their_owner_alone(deployment: Deployment) -> None:
    deployment.up()
    assert deployment.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in deployment.directory.iterdir()} == {0o600}


def test_no_record_holds_credentials(deployment: Deployment) -> None:
    _, seen = deployment.up()
    written = "".join(path.read_text() for path in deployment.directory.iterdir())
    assert seen["AWS_CONTAINER_AUTHORIZATION_TOKEN"] not in written


def test_a_port_that_another_program_holds_is_told_with_its_number(deployment: Deployment) -> None:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", deployment.port))
        held.listen()
        with pytest.raises(ProcessError, match=f"Port {deployment.port}, which the service .* in use by another"):
            deployment.start()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((sys.executable, "-c", "raise SystemExit('the model is missing')"), "the model is missing"),
        (("/no/such/program",), "/no/such/program cannot be started: No such file or directory."),
    ],
)
def test_a_process_that_dies_at_its_start_has_ended_and_its_log_says_why(
    deployment: Deployment, words: tuple[str, ...], said: str
) -> None:
    deployment.words = words
    task = deployment.start()
    wait_for_end(task)
    assert task.log.read_text().splitlines()[-1] == said


def test_a_service_or_an_image_that_nobody_knows_is_told_by_name(deployment: Deployment, cloud: Emulator) -> None:
    with pytest.raises(ProcessError, match=rf"no service 'other' in the cluster '{deployment.name}'"):
        processes.start(
            deployment.directory, cloud, cluster=deployment.name, service="other", region=REGION, images={}
        )  # fmt: skip
    with pytest.raises(ProcessError, match=r"no command is known for the repository 'team/app' \(known: team/b\)"):
        processes.start(
            deployment.directory, cloud, cluster=deployment.name, service=deployment.name, region=REGION,
            images={"team/b": Command((), Path())},
        )  # fmt: skip


def job(cloud: Emulator, deployment: Deployment, code: str, lines: list[str]) -> str:
    return processes.run(
        cloud, Command((sys.executable, "-c", code), deployment.directory.parent), role_arn=deployment.role,
        assumed_by=processes.TASKS, region=REGION, environment={"STORE": "s3://b/"}, on_line=lines.append,
    )  # fmt: skip


def test_a_job_gives_its_output_and_its_lines_as_they_come(cloud: Emulator, deployment: Deployment) -> None:
    lines: list[str] = []
    code = "import os, sys; print(os.environ['STORE'], sorted(k for k in os.environ if 'SECRET' in k))"
    assert job(cloud, deployment, f"{code}; print('half', file=sys.stderr)", lines) == "s3://b/ []\n"
    assert lines == ["half"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('half'); raise SystemExit('no rows\\n\\n')", "no rows"),
        ("raise SystemExit(3)", "exit code 3, and no word"),
    ],
)
def test_a_job_that_fails_is_a_sentence_with_its_last_line(
    cloud: Emulator, deployment: Deployment, code: str, said: str
) -> None:
    with pytest.raises(ProcessError, match=rf"failed: {said}$"):
        job(cloud, deployment, code, [])
