"""A copy of the project as it stands, with a `.venv` and an environment of its own, brought down at the end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud import emulator

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
PATIENCE = 240.0  # seconds for one command, on a busy machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Checkout:
    """A copy of the project. `up`, `down` are run as Makefile runs them."""

    root: Path
    port: int

    def make(self, target: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`make TARGET`; its output is standard output and error together."""
        return subprocess.run(
            ["make", target, f"PORT={self.port}", *words],
            cwd=self.root,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
            env=self.environment(),
        )

    def environment(self) -> dict[str, str]:
        """Nothing of the caller's clouds, but misleading credentials, which must not matter."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_", "MAKE"))}
        return {**kept, "AWS_ACCESS_KEY_ID": "AKIAMISLEADING", "AWS_SECRET_ACCESS_KEY": "x", "AWS_PROFILE": "nobody"}

    def script(self, command: str) -> subprocess.Popen[bytes]:
        """`up.py COMMAND` as a process to be disturbed, in a group of its own."""
        return subprocess.Popen(
            [self.root / ".venv/bin/python", "up.py", command, "--port", str(self.port)],
            cwd=self.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment(),
            start_new_session=True,
        )

    @property
    def files(self) -> Path:
        return self.root / ".localcloud"

    def emulator(self) -> emulator.Emulator:
        found = emulator.status(self.files / "emulator")
        assert found is not None
        return found

    def state(self) -> list[dict[str, Any]]:
        path = self.files / "stacks/groundwork/local.json"
        document = json.loads(path.read_text())["deployment"]
        assert "pending_operations" not in document
        rows: list[dict[str, Any]] = document.get("resources") or []
        return rows


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests share one environment, so they alone keep the order in which they are written."""
    places = [place for place, item in enumerate(items) if Path(__file__).parent in item.path.parents]
    ours = sorted((items[place] for place in places), key=lambda item: item.reportinfo()[1] or 0)
    for place, item in zip(places, ours, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    root = tmp_path_factory.mktemp("checkout") / "project"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    found = Checkout(root, free_port())
    try:
        yield found
    finally:
        if (root / ".venv").exists():
            found.make("down")
        emulator.stop(found.files / "emulator")
        shutil.rmtree(root / ".venv", ignore_errors=True)
