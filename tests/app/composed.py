"""compose.yaml as data, and what it starts as processes: its commands and variables as they are, but for Docker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from moto.server import ThreadedMotoServer

from app import documents
from tests.app import processes

ROOT = Path(__file__).parents[2]
FILE = ROOT / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# What `python -m app drift` would leave, with an accuracy.
VERDICT = {
    "schema": "drift/1",
    "checked": "2026-11-22T00:00:00Z",
    "rows": 400,
    "share": 0.1,
    "accuracy": {"labels": 60, "rmse": 11.0, "expected": 10.1},
    "rebuild": False,
    "reasons": [],
}


@contextmanager
def composed(spool: Path) -> Iterator[str]:
    """The emulator, a first model and the app, which has used `spool`; where it answers."""
    here = {"PORT": "0", "SPOOL": str(spool)}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    emulator = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    emulator.start()
    try:
        host, port = emulator.get_host_and_port()
        here["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
        model = SERVICES["model"]
        done = subprocess.run(
            [*model["entrypoint"], model["command"][0].replace("$$", "$")],
            cwd=ROOT,
            env={"PATH": path, **model["environment"], **here},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        variables = {**SERVICES["app"]["environment"], **here}
        version = json.loads(done.stdout.splitlines()[-1])["version"]
        processes.s3(variables["AWS_ENDPOINT_URL"]).put_object(
            Bucket="models", Key="height-weight/drift.json", Body=documents.dump({**VERDICT, "model": version})
        )
        with processes.Running(variables) as running:
            processes.wait_until_ready(running.url)
            yield running.url
            running.process.terminate()  # its workers go with it
            running.process.wait(20)
    finally:
        emulator.stop()
