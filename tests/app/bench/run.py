"""Measures the service beside other servers of the same model: `make bench-app`, or

    python -m tests.app.bench.run --seconds 5

Nothing here passes or fails: numbers of one run, on one machine, and their ratios. All run with two workers; the
service with its metrics and the recording of predictions on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from app import documents, model
from app.model import Model
from tests.app import processes
from tests.app.bench import measure, peers
from tests.app.bench.measure import MISSING, Load

PORT = 18_080
ONE = [68.5]
MANY = [60 + index / 60 for index in range(1_000)]
LOADS = (("one row, 16 connections", ONE, 16), ("one row, 64", ONE, 64), ("1,000 rows, 16", MANY, 16))
OURS = "this service"

UNSAID = """
What these numbers do not show
  The exported model is a line: this service computes it in a few operations of Python's own floats, where the others
  call scikit-learn, which serves any model that it can fit. With a model that takes a millisecond, all would be alike.
  The others do more for each request (schemas that are made from types, traces, metrics of their own, batches); this
  service writes each prediction down for the data lake, and they do not.
  wrk and the servers share the cores, and each connection waits for its answer: times at 64 connections are those of a
  full queue. Loopback has no latency, no TLS and no lost packets. wrk repeats one request, whose head is then known.
"""


class Measured(NamedTuple):
    """What was found of one server: seconds to the first answer, MB once it has answered and under load, loads."""

    name: str
    ready: float
    loaded: float
    busy: float
    loads: list[Load]


def main() -> int:
    """One run."""
    parser = argparse.ArgumentParser(prog="python -m tests.app.bench.run", description="Measure the service.")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load (5)")
    seconds = parser.parse_args().seconds
    if not measure.has_wrk():
        sys.stdout.write(MISSING + "\n")
        return 0
    with measure.published() as variables, tempfile.TemporaryDirectory() as name:
        found = [_ours(variables, seconds)]
        served = _model(variables)
        folder = Path(name)
        others = peers.prepare(folder, PORT)
        for peer in others:
            ends = [str(value) for value in (served.minimum, served.maximum)]
            ends += [str(served.predict(value)) for value in (served.minimum, served.maximum)]
            command = [str(peer.folder / "bin/python"), "make_model.py", "model.joblib", *ends]
            subprocess.run(command, cwd=folder, check=True)
            found.append(_peer(peer, folder, served, seconds))
    _show(found)
    return 0


def _model(variables: dict[str, str]) -> Model:
    found = measure.current_model(variables)
    return model.load(found, documents.sha256(found))


def _ours(variables: dict[str, str], seconds: float) -> Measured:
    body, many = json.dumps({"height": ONE[0]}).encode(), json.dumps({"heights": MANY}).encode()
    began = time.monotonic()
    with processes.Running(variables) as running:
        url = running.url + "/predict"
        measure.wait_until_answered(url, body)
        ready = time.monotonic() - began
        time.sleep(1.0)
        loaded = measure.memory(running.process.pid)
        loads = [
            measure.wrk(url, body if heights is ONE else many, connections, seconds)
            for _, heights, connections in LOADS
        ]
        return Measured(OURS, ready, loaded, measure.memory(running.process.pid), loads)


def _peer(peer: peers.Peer, folder: Path, served: Model, seconds: float) -> Measured:
    """Starts a peer, looks whether it says what the service says, and measures it."""
    url = f"http://127.0.0.1:{PORT}{peer.path}"
    environment = {**os.environ, "PATH": f"{peer.folder / 'bin'}:{os.environ['PATH']}", "BENTOML_DO_NOT_TRACK": "True"}
    command = [str(peer.folder / "bin" / peer.command[0]), *peer.command[1:]]
    began = time.monotonic()
    with (folder / f"{peer.environment}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        answer = measure.wait_until_answered(url, peer.body(ONE))
        ready = time.monotonic() - began
        [weight] = peer.weights(answer)
        if abs(weight - served.predict(ONE[0])) > 0.01:
            raise SystemExit(f"{peer.name} says {weight} for {ONE[0]} in: it serves another model.")
        time.sleep(1.0)
        loaded = measure.memory(process.pid)
        loads = [measure.wrk(url, peer.body(heights), connections, seconds) for _, heights, connections in LOADS]
        return Measured(f"{peer.name} {_version(peer)}", ready, loaded, measure.memory(process.pid), loads)
    finally:
        for pid in measure.family(process.pid):  # its workers may have groups of their own, and outlive it
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(10)


def _version(peer: peers.Peer) -> str:
    program = f"from importlib.metadata import version; print(version({peer.package!r}))"
    done = subprocess.run([str(peer.folder / "bin/python"), "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _show(found: list[Measured]) -> None:
    ours = found[0]
    lines = [f"{'':34}{'ready':>8}{'loaded':>9}{'busy':>9}" + "".join(f"{title:>34}" for title, _, _ in LOADS)]
    for each in found:
        line = f"{each.name:34}{each.ready:6.2f} s{each.loaded:6.0f} MB{each.busy:6.0f} MB"
        for mine, load in zip(ours.loads, each.loads, strict=True):
            ratio = f" ({mine.rate / load.rate:.1f}x)" if each is not ours and load.rate else ""
            line += f"{f'{load.rate:,.0f}/s p99 {load.p99 * 1e3:.1f} ms{ratio}':>34}"
        lines.append(line)
        lines += [f"    errors: {load.errors}" for load in each.loads if load.errors]
    sys.stdout.write("\n".join(lines) + "\n" + UNSAID)


if __name__ == "__main__":
    sys.exit(main())
