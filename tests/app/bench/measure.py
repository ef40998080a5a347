"""What bench and soak share: the service with a model and a lake, its memory, and wrk."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.app import processes

MISSING = "wrk is not installed, so nothing was measured: apt install wrk (Debian, Ubuntu), or see its own page."
READY_SECONDS = 90.0


class Load(NamedTuple):
    """What wrk found: requests a second, seconds at percentiles, and what went wrong."""

    rate: float
    p50: float
    p99: float
    requests: int
    errors: str


@contextmanager
def published() -> Iterator[dict[str, str]]:
    """The environment of a service with a published model, whose lake forgets: bucket and spool in a folder."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # Moto tells of each call
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with processes.moto_server() as url:
            variables = processes.environment(url)
            for command in ("train", "evaluate", "publish"):
                done = processes.run([command], variables)
                if done.returncode:
                    raise SystemExit(done.stderr)
            s3 = processes.s3(url)
            for item in s3.list_objects_v2(Bucket="models")["Contents"]:
                path = folder / "models" / item["Key"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(s3.get_object(Bucket="models", Key=item["Key"])["Body"].read())
        program = [sys.executable, "-m", "tests.app.bench.sink", str(folder)]
        sink = subprocess.Popen(
            program, cwd=processes.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert sink.stdout is not None
            address = sink.stdout.readline().strip()
            yield {**variables, "AWS_ENDPOINT_URL": address, "SPOOL": str(folder / "spool"), "WORKERS": "2"}
        finally:
            sink.kill()
            sink.wait(10)


def current_model(variables: dict[str, str]) -> bytes:
    """The model that is published, as it is stored."""
    current = json.loads(_get(variables["AWS_ENDPOINT_URL"] + "/models/height-weight/current.json"))
    return _get(variables["AWS_ENDPOINT_URL"] + f"/models/height-weight/versions/{current['version']}/model.json")


def written(variables: dict[str, str]) -> int:
    """How many lines the lake got, and forgot."""
    return int(_get(variables["AWS_ENDPOINT_URL"] + "/written"))


def post(url: str, body: bytes) -> Any:
    """The JSON answer to a POST of JSON. Raises URLError."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def wait_until_answered(url: str, body: bytes) -> Any:
    """The first answer of a service that is starting."""
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            return post(url, body)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def wrk(url: str, body: bytes, connections: int, seconds: float) -> Load:
    """Asks again and again over so many connections for so long, by one thread of wrk's."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n')
        script.write(f"wrk.body = [==[{body.decode()}]==]\n")
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", script.name, url]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wrong = [line.strip() for line in text.splitlines() if "Non-2xx" in line or "Socket errors" in line]
    p50, p99 = (_seconds(re.findall(rf"^\s+{part}%\s+(\S+)", text, re.MULTILINE)[0]) for part in (50, 99))
    rate, requests = re.findall(r"Requests/sec:\s+([\d.]+)", text)[0], re.findall(r"(\d+) requests in", text)[0]
    return Load(float(rate), p50, p99, int(requests), "; ".join(wrong))


def has_wrk() -> bool:
    """Whether there is anything to measure with."""
    return shutil.which("wrk") is not None


def memory(pid: int) -> float:
    """MB of a process and all that it started; what several share counts once (PSS)."""
    texts = [Path(f"/proc/{each}/smaps_rollup").read_text() for each in family(pid)]
    return sum(int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0]) for text in texts) / 1024


def family(pid: int) -> list[int]:
    """The ids of a process and of all that it started, and they."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def _seconds(text: str) -> float:
    number, unit = re.findall(r"([\d.]+)(us|ms|s|m)", text)[0]
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[unit]


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
    return content
