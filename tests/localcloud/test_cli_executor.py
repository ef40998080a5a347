"""The program, run by the Pulumi CLI's own executor: working directory stacks/, program `.`, all else over gRPC.

The executor is a script of Pulumi's Go module, taken from Go's module cache. A host that answers as a first preview
does (no ids, no outputs but the inputs) stands where the CLI's engine stands.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc

from localcloud import synthetic
from localcloud.callbacks import Callbacks
from localcloud.monitor import STACK_TYPE, Monitor, Registration
from localcloud.program import EngineLog
from localcloud.project import Project, load
from localcloud.values import UNKNOWN, Properties, plain
from tests.localcloud import pulumi_go
from tests.plans.plans import evaluated_once

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SECONDS = 600
STACKS = ("local", "prod")  # dev and staging declare what prod does, and less
ALIASES_AS_THEY_ARE = "import pulumi.resource as sdk\nsdk.collapse_alias_to_urn = lambda alias, *_: alias\n"
AZURE_SAYS = {"identity": ("principalId", "tenantId"), "oidcIssuerProfile": ("issuerURL",)}


@dataclass
class Preview:
    """A Host as the CLI's engine is one in the first preview of a stack: nothing exists, so nothing has an id."""

    project: Project
    registrations: dict[str, Registration] = field(default_factory=dict)
    exports: Properties = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    planning: bool = False
    callbacks: Callbacks = field(init=False)

    def register(self, registration: Registration) -> tuple[str, Properties]:
        self.registrations[registration.urn] = registration
        return "", as_azure_answers(registration.inputs)

    def read(self, registration: Registration, id_: str) -> tuple[str, Properties]:
        self.registrations[registration.urn] = registration
        return id_, registration.inputs

    def invoke(self, token: str, arguments: Properties, _provider: str) -> Properties:
        context = synthetic.Context(self.project.name, self.project.stack, self.project.config, {})
        return synthetic.invoke(token, plain(arguments), None, context)

    def outputs(self, urn: str, outputs: Properties) -> None:
        if self.registrations[urn].type == STACK_TYPE:
            self.exports = outputs


def as_azure_answers(inputs: Any) -> Any:
    """The inputs as outputs of a preview, as azure-native makes them: identities that one lists are an object's keys,
    and what Azure alone can say is unknown."""
    if isinstance(inputs, list):
        return [as_azure_answers(item) for item in inputs]
    if not isinstance(inputs, dict):
        return inputs
    outputs = {key: as_azure_answers(value) for key, value in inputs.items()}
    if isinstance(identities := inputs.get("userAssignedIdentities"), list):
        known = all(isinstance(name, str) for name in identities)
        outputs["userAssignedIdentities"] = {name: {} for name in identities} if known else UNKNOWN
    for block, unknown in AZURE_SAYS.items():
        if isinstance(given := outputs.get(block), dict):
            outputs[block] = dict.fromkeys(unknown, UNKNOWN) | given
    return outputs


class Engine(EngineLog, engine_pb2_grpc.EngineServicer):
    """The engine's log, with the calls that a program does not need answered as not implemented."""


@contextlib.contextmanager
def serving(monitor: Monitor, engine: Engine) -> Iterator[str]:
    """The address at which both are served, on loopback, until the block ends."""
    server = grpc.server(ThreadPoolExecutor(64))
    servicer: Any = monitor  # it has the servicer's methods, and refuses some by name
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(servicer, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()


def environment(project: Project, quick: Path | None) -> dict[str, str]:
    """What the CLI sets, and nothing that would let the program find a cloud, or its own modules once installed.

    quick: a folder for what spares the SDK the URNs of aliases, which nothing here looks at: three fifths of the time
    of a program for Azure.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV") if name in os.environ}
    kept["PULUMI_CONFIG"] = json.dumps(project.config)
    kept["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(sorted(project.secret_keys))
    try:
        importlib.metadata.distribution(project.name)
    except importlib.metadata.PackageNotFoundError:
        kept["PYTHONPATH"] = str(project.root)  # stands for `make init`, which installs the project into .venv
    if quick is not None:
        (quick / "sitecustomize.py").write_text(ALIASES_AS_THEY_ARE, encoding="utf-8")
        kept["PYTHONPATH"] = os.pathsep.join([str(quick), *filter(None, [kept.get("PYTHONPATH")])])
    return kept


def execute(project: Project, quick: Path | None = None) -> tuple[int, Preview, list[tuple[str, str]]]:
    """The executor's exit code, what the program declared, and what was logged, for a preview of the stack."""
    executor = pulumi_go.module() / "python" / "cmd" / "pulumi-language-python-exec"
    host, log = Preview(project), []
    engine = Engine(lambda severity, message: log.append((severity, message)))
    with serving(Monitor(host, project, dry_run=True), engine) as address:
        ended = subprocess.run(
            [
                *(sys.executable, "-u", str(executor), "--monitor", address, "--engine", address),
                *("--project", project.name, "--stack", project.stack, "--root_directory", str(project.root)),
                *("--pwd", str(project.main), "--dry_run", "true", "--parallel", "16"),
                *("--organization", "organization", "."),
            ],
            env=environment(project, quick),
            cwd=project.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    log += [("stderr", ended.stderr)] if ended.stderr else []
    return ended.returncode, host, log


def planned(stack: str) -> dict[str, Any]:
    """The plan that localcloud makes of the stack, once in a whole test run."""
    ended = evaluated_once(stack)
    assert ended.returncode == 0, ended.stderr
    plan: dict[str, Any] = json.loads(ended.stdout)
    return plan


@pytest.mark.sampled(2)
@pytest.mark.parametrize("stack", STACKS)
def test_the_clis_executor_runs_the_program_and_finds_what_the_plan_finds(stack: str, tmp_path: Path) -> None:
    code, host, log = execute(load(ROOT, stack), tmp_path if stack == "prod" else None)
    assert log == []
    assert code == 0
    plan = planned(stack)
    assert len(plan["resources"]) > 20
    assert sorted(host.registrations) == sorted(row["urn"] for row in plan["resources"])
    assert host.exports.keys() == plan["outputs"].keys()
    for row in plan["resources"]:
        mine = host.registrations[row["urn"]]
        assert {name for name, value in mine.inputs.items() if value is not None} == row["inputs"].keys(), row["urn"]
        if not row["type"].startswith("pulumi:providers:"):  # a function asked in vain hands on no dependencies
            assert sorted(mine.dependencies) == row["dependencies"], row["urn"]


def test_a_missing_setting_ends_the_executor_with_a_sentence_that_names_it() -> None:
    project = load(ROOT, "dev")
    without = {key: value for key, value in project.config.items() if key != "groundwork:owner"}
    code, host, log = execute(replace(project, config=without))
    assert code != 0
    text = "\n".join(message for _, message in log)
    assert "groundwork:owner" in text
    assert "pulumi config set" in text
    assert "Traceback" not in text
    assert [row.type for row in host.registrations.values()] == [STACK_TYPE]
