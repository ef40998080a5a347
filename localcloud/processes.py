"""Deployed container services as processes on this machine.

What runs is what was deployed: environment, port and role come from the service's task definition, the credentials
are temporary ones of its role. There is no image; which command an image stands for is data given by the caller. One
process stands for all of a service's tasks.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud import pids
from localcloud.aws.account import Account
from localcloud.emulator import Emulator, control
from localcloud.errors import LocalcloudError

TASKS = "ecs-tasks.amazonaws.com"
STOP_SECONDS = 10.0
# Of the caller's environment a task sees these alone: no credentials, no settings of somebody's shell.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SYSTEMROOT")


class ProcessError(LocalcloudError):
    """A process that cannot be started, or one that ended with an error; a sentence with the log's place."""


class PortInUseError(ProcessError):
    """The port that a service was deployed with is somebody else's."""


@dataclass(frozen=True)
class Command:
    """What an image stands for: words to run, and the directory to run them in."""

    words: tuple[str, ...]
    directory: Path


@dataclass(frozen=True)
class Task:
    """A running task. happened: started, running (it was, untouched), replaced (another revision, command or emulator
    before) or restarted (it had died)."""

    service: str
    pid: int
    url: str
    task_definition: str
    log: Path
    happened: str


@dataclass(frozen=True)
class _Record:
    """What is written down of a process, to know it again and to know whether it is still the right one."""

    pid: int
    began: str
    task_definition: str
    fingerprint: str


def start(
    directory: Path,
    emulator: Emulator,
    *,
    cluster: str,
    service: str,
    region: str,
    images: Mapping[str, Command],
) -> Task:
    """Runs a deployed ECS service, or leaves it running where it runs as deployed.

    directory: for records and logs. images: command by repository, such as `team/app`. Raises ProcessError.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    definition = _definition(emulator, cluster, service, region)
    container = definition["containerDefinitions"][0]
    port = container["portMappings"][0]["containerPort"]
    command = _command(container["image"], images)
    arn = definition["taskDefinitionArn"]
    fingerprint = _fingerprint(arn, container, command, emulator.identity)
    record_file, log = directory / f"{service}.json", directory / f"{service}.log"
    record = _record(record_file)
    task = Task(service, 0, f"http://127.0.0.1:{port}", arn, log, "started")
    if record is not None and pids.alive(record.pid, record.began) and record.fingerprint == fingerprint:
        return Task(**{**vars(task), "pid": record.pid, "happened": "running"})
    if record is not None:
        died = not pids.terminate(record.pid, record.began, STOP_SECONDS)
        record_file.unlink()
        task = Task(**{**vars(task), "happened": "restarted" if died else "replaced"})
    _require_free(port, service)
    environment = {entry["name"]: entry["value"] for entry in container.get("environment", [])}
    environment |= _platform(emulator, definition["taskRoleArn"], TASKS, region, f"{service}-task")
    known = json.dumps({"task_definition": arn, "fingerprint": fingerprint})
    launch = (sys.executable, "-m", "localcloud.launch", str(record_file.resolve()), known, *command.words)
    pid = _spawn(Command(launch, command.directory), environment, log)
    return Task(**{**vars(task), "pid": pid})


def stop_all(directory: Path) -> list[str]:
    """Stops every process that was started in `directory`; returns the names of those that ran."""
    stopped = []
    for record_file in sorted(directory.glob("*.json")):
        record = _record(record_file)
        if record is not None and pids.terminate(record.pid, record.began, STOP_SECONDS):
            stopped.append(record_file.stem)
        record_file.unlink(missing_ok=True)
    return stopped


def ended(task: Task) -> bool:
    """Whether the process of a task has ended."""
    with suppress(ChildProcessError):
        os.waitpid(task.pid, os.WNOHANG)
    return pids.start_time(task.pid) is None


def run(
    emulator: Emulator,
    command: Command,
    *,
    role_arn: str,
    assumed_by: str,
    region: str,
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
) -> str:
    """Runs a job to its end with temporary credentials of a role; returns what it printed on standard output.

    assumed_by: the service that would run it, whom the role must trust (`ec2.amazonaws.com`). on_line: takes each line
    of its standard error. Raises ProcessError with the last line when it fails; ends the job when the caller stops.
    """
    all_of_it = dict(environment) | _platform(emulator, role_arn, assumed_by, region, "job")
    process = subprocess.Popen(
        command.words,
        cwd=command.directory,
        env=_environment(all_of_it),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []

    def listen() -> None:
        for line in process.stderr or ():
            lines.append(line.rstrip())
            on_line(line.rstrip())

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        printed = process.stdout.read()
        code = process.wait()
    except BaseException:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        raise
    listener.join(STOP_SECONDS)
    if code:
        last = next((line for line in reversed(lines) if line.strip()), f"exit code {code}, and no word")
        raise ProcessError(f"`{' '.join(_shown(command.words))}` failed: {last}")
    return printed


def credentials(emulator: Emulator, role_arn: str, assumed_by: str, session: str, region: str) -> dict[str, str]:
    """The variables with which an AWS SDK finds temporary credentials of a role, as the ECS agent gives them.

    assumed_by: the service that asks for them, whom the role must trust.
    """
    source = f"arn:aws:ecs:{region}:{role_arn.split(':')[4]}:task/{session}" if assumed_by == TASKS else ""
    answer = control(
        emulator,
        "/_localcloud/credentials",
        {"role_arn": role_arn, "service": assumed_by, "session": session} | ({"source_arn": source} if source else {}),
    )
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": str(answer["uri"]),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": str(answer["token"]),
    }


def session_keys(variables: Mapping[str, str]) -> dict[str, str]:
    """The keys behind `credentials`, as boto3's `client` takes them."""
    request = urllib.request.Request(  # noqa: S310 - the emulator's own http URL
        variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
        headers={"Authorization": variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10) as answer:
        found = json.load(answer)
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["Token"],
    }


def _definition(emulator: Emulator, cluster: str, service: str, region: str) -> dict[str, Any]:
    """The task definition that the service runs now."""
    config = {
        "region": region,
        "endpoints": [{"ecs": emulator.url}],
        "customCaBundle": str(emulator.ca_bundle),
        "accessKey": emulator.access_key,
        "secretKey": emulator.secret_key,
    }
    ecs = Account(config).client("ecs")
    found = ecs.describe_services(cluster=cluster, services=[service])["services"]
    active = [row for row in found if row["status"] == "ACTIVE"]
    if not active:
        raise ProcessError(f"There is no service {service!r} in the cluster {cluster!r}. Bring the stack up first.")
    answer = ecs.describe_task_definition(taskDefinition=active[0]["taskDefinition"])
    definition: dict[str, Any] = answer["taskDefinition"]
    return definition


def _command(image: str, images: Mapping[str, Command]) -> Command:
    repository = image.partition("@")[0].partition("/")[2].partition(":")[0] or image
    if repository not in images:
        raise ProcessError(
            f"Nothing on this machine stands for the image {image}: no command is known for the repository "
            f"{repository!r} (known: {', '.join(sorted(images)) or 'none'})."
        )
    return images[repository]


def _platform(emulator: Emulator, role_arn: str, assumed_by: str, region: str, session: str) -> dict[str, str]:
    """What the platform adds to a task's environment: where the cloud is, and who the task is."""
    return {
        "AWS_REGION": region,
        **emulator.endpoint(),
        **credentials(emulator, role_arn, assumed_by, session, region),
    }


def _fingerprint(arn: str, container: Mapping[str, Any], command: Command, identity: str) -> str:
    text = json.dumps([arn, container, command.words, str(command.directory), identity], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed_on, "PYTHONUNBUFFERED": "1", **variables}


def _spawn(command: Command, environment: Mapping[str, str], log: Path) -> int:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            command.words,
            cwd=command.directory,
            env=_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    except OSError as error:
        raise ProcessError(f"`{' '.join(_shown(command.words))}` cannot be started: {error.strerror}.") from error
    finally:
        os.close(descriptor)
    return process.pid


def _require_free(port: int, service: str) -> None:
    """A process that was stopped may take a moment to give its port back."""
    deadline = time.monotonic() + 2.0
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return
        if time.monotonic() >= deadline:
            raise PortInUseError(
                f"Port {port}, which the service {service!r} was deployed with, is in use by another process. "
                "Stop that process, or deploy the service with another port."
            )
        time.sleep(0.05)


def _record(path: Path) -> _Record | None:
    try:
        return _Record(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        path.unlink(missing_ok=True)
        return None


def _shown(words: Sequence[str]) -> list[str]:
    return [Path(words[0]).name, *words[1:]]
