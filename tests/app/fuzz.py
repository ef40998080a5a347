"""make fuzz: calls the service with thousands of requests, made up by schemathesis from the service's own description.

    python -m tests.app.fuzz [--calls 10000] [--seed N]

The service is a process with a published model and a lake, on an emulated S3. schemathesis judges each answer: no 5xx,
no status, media type, header or body that the description does not have, nothing taken that its schemas refuse and
nothing refused that they allow. The service's own metrics are asked, too, how many answers it gave, and which.
The exit code is 0 if all of that holds, 1 if not, 2 if it could not be tried.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.app.processes import ROOT, Running, environment, moto_server, run, wait_until_ready

PROGRAM = ROOT / ".venv-fuzz/bin/schemathesis"
SETTINGS = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 200  # of an operation and a seed: with more, it takes ever longer for one
SECONDS = 3600  # at most


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.app.fuzz", description="Calls the service with what it says of itself."
    )
    parser.add_argument("--calls", type=int, default=10_000, help="answers to see, at the least (default: 10000)")
    parser.add_argument("--seed", type=int, default=1, help="of what is made up (default: 1)")
    options = parser.parse_args(arguments)
    if not PROGRAM.exists():
        sys.stderr.write("schemathesis is not installed: run `make install-fuzz`, which makes .venv-fuzz.\n")
        return 2
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the emulator's requests
    with moto_server() as url, tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        variables = {**environment(url), "SPOOL": f"{folder}/spool"}
        for command in ("train", "evaluate", "publish"):
            done = run([command], variables)
            if done.returncode:
                sys.stderr.write(done.stderr)
                return 2
        with Running(variables) as service:
            wait_until_ready(service.url)
            return fuzz(service.url, options.calls, options.seed, Path(folder))


def fuzz(url: str, calls: int, seed: int, folder: Path) -> int:
    """Runs schemathesis, with one seed after the other, until the service has given `calls` answers."""
    began, before, failed = time.monotonic(), statuses(url), False
    seen: Counter[str] = Counter()
    while not failed and seen.total() < calls and time.monotonic() - began < SECONDS:
        # The first run also tries what it can enumerate: the examples, each bound and each keyword of the schemas.
        phases = "fuzzing" if seen else "examples,coverage,fuzzing"
        command = [PROGRAM, "--config-file", SETTINGS, "run", f"{url}/openapi.json", "--seed", seed]
        command += ["--phases", phases, "--max-examples", EXAMPLES, "--continue-on-failure", "--no-color"]
        command += ["--suppress-health-check", "all"]
        done = subprocess.run([str(part) for part in command], cwd=folder, timeout=SECONDS, check=False)
        failed = done.returncode != 0
        seen = statuses(url) - before
        seed += 1
    broken = {status: number for status, number in seen.items() if not status.startswith(("2", "3", "4"))}
    listed = ", ".join(f"{status}: {number}" for status, number in sorted(seen.items()))
    sys.stdout.write(f"The service gave {seen.total()} answers in {time.monotonic() - began:.0f} s. {listed}\n")
    if failed or broken or seen.total() < calls:
        why = "see above" if failed else f"{broken} of its answers" if broken else f"{calls} were wanted"
        sys.stderr.write(f"That is not as it should be: {why}.\n")
        return 1
    sys.stdout.write("None is a 5xx, and none is other than described.\n")
    return 0


def statuses(url: str) -> Counter[str]:
    """How many answers the service has counted, by status."""
    found: Counter[str] = Counter()
    with urllib.request.urlopen(url + "/metrics", timeout=10) as answer:
        for family in text_string_to_metric_families(answer.read().decode()):
            for sample in family.samples:
                if sample.name == "http_requests_total":
                    found[sample.labels["status"]] += int(sample.value)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
