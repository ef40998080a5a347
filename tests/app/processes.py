"""The application as processes, against an S3 that is one too. Everything is on loopback and ended here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]


@contextmanager
def moto_server() -> Iterator[str]:
    """An S3 at the URL that is yielded, with the buckets `data` and `models`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        for bucket in ("data", "models"):
            s3(url).create_bucket(Bucket=bucket)
        yield url
    finally:
        server.stop()
        shutil.rmtree(_spool(url), ignore_errors=True)


def _spool(url: str) -> Path:
    """Where services that use the S3 at `url` keep what waits for it: what one leaves is not for another test's."""
    return Path(tempfile.gettempdir()) / f"spool-{os.getpid()}-{url.rpartition(':')[2]}"


def s3(url: str) -> Any:
    """A client for the S3 at `url`."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)


def environment(url: str) -> dict[str, str]:
    """What the platform sets for the service and the jobs."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "DATA_STORE": "s3://data/people/",
        "MODEL_STORE": "s3://models/height-weight/",
        "LAKE": "s3://data/lake/",
        "SPOOL": str(_spool(url)),
        "PORT": "0",
    }


def run(
    arguments: list[str], variables: dict[str, str], program: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command of the app, or `program`, to its end, with PATH and these variables alone."""
    command = [*(program or [sys.executable, "-m", "app"]), *arguments]
    own = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=60, check=False)


class Running:
    """A service that runs while the `with` lasts; `url` is where it listens, `events` what it told."""

    def __init__(self, variables: dict[str, str], command: str = "serve") -> None:
        self.variables = variables
        own = {"PATH": os.environ["PATH"], **variables}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", command],
            cwd=ROOT,
            env=own,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)  # a full pipe would stop the service
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def __enter__(self) -> Running:
        return self

    def workers(self) -> list[int]:
        """The ids of the processes that answer."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in found.read_text().split()] if found.exists() else []

    def __exit__(self, *_: object) -> None:
        assert self.process.stdout is not None
        workers = self.workers() if self.process.poll() is None else []
        self.process.kill()
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        self._reader.join(10)
        self.process.stdout.close()

    def s3(self) -> Any:
        """A client for the S3 that the service uses."""
        return s3(self.variables["AWS_ENDPOINT_URL"])


def wait_until_ready(url: str, seconds: float = 10.0) -> None:
    """Returns when /readyz says 200; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        try:
            urlopen(url + "/readyz").close()
        except URLError:
            assert time.monotonic() < end, f"{url} was not ready within {seconds} s"
            time.sleep(0.02)
        else:
            return
