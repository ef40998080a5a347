"""Puts load on a service and judges it: `make loadtest`, or

    python -m tests.app.load.run --host http://127.0.0.1:8080 --seconds 60 --rate 200 --users 50 --out measured
    python -m tests.app.load.run --stop --out measured

Locust runs in its own environment (./install.sh loadtest) and in a process group of its own, whose number is in
OUT/locust.pid for as long as it runs: --stop ends what a killed run has left. Only loopback is tried without being
named. Exits with 0 if every objective was met, 1 if not, 2 if there was nothing to test.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from app import dataset
from tests.app.load import judge, page

ROOT = Path(__file__).parents[3]
LOCUST = ROOT / ".venv-loadtest/bin/locust"
HOST = "http://127.0.0.1:8080"
PEOPLE, SEED = 2_000, 8
LATEST, GRACE = 30, 60.0  # seconds beyond the test's own: when Locust ends itself, and when it is taken for hung
# None of these is Locust's to read, and none of the caller's own settings of it changes a test.
DROPPED = ("LOCUST_", "PYTHONPATH", "PYTHONHOME")


class LoadError(Exception):
    """There is nothing to test, or no way to; the message is a sentence."""


def main(arguments: list[str] | None = None) -> int:
    """One run, or the end of one that was killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.app.load.run", description="Put load on the service.")
    parser.add_argument("--host", default=HOST, help=f"its address ({HOST}), or several with spaces between them")
    parser.add_argument("--seconds", type=int, default=60, help="for how long (60)")
    parser.add_argument("--rate", type=float, default=200.0, help="calls a second in all (200)")
    parser.add_argument("--users", type=int, default=50, help="connections (50)")
    parser.add_argument("--out", type=Path, default=ROOT / "measured", help="the folder for what is found")
    parser.add_argument("--stop", action="store_true", help="end what a killed run has left, and nothing else")
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    try:
        if options.stop:
            for folder in (options.out, *options.out.glob("*/")):
                _stop(folder)
            return 0
        return max([_run(host, options) for host in options.host.split()], default=2)
    except LoadError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _run(host: str, options: argparse.Namespace) -> int:
    """One address: its report is OUT/loadtest.html; of several, OUT/NAME/loadtest.html."""
    _check(host, options)
    several = len(options.host.split()) > 1
    out = options.out / re.sub(r"[^\w.-]+", "-", host.partition("://")[2]) if several else options.out
    out.mkdir(parents=True, exist_ok=True)
    _stop(out)
    outcome = out / "calls.json"
    outcome.unlink(missing_ok=True)
    _drive(host, options, out, outcome)
    found = judge.calls(outcome)
    wanted = judge.objectives()
    verdict = judge.judge(found, wanted, options.rate, options.seconds)
    asked = (
        f"{options.rate:g} calls a second over {options.users} connections for {options.seconds} s: six in ten for one"
        " prediction, two for a hundred, two with a true weight. Times are what Locust, on one core, saw of them."
    )
    report = out / "loadtest.html"
    report.write_text(page.render(host, asked, verdict, found, wanted.p99_seconds), encoding="utf-8")
    for row in verdict.rows:
        sys.stdout.write(f"  {'✓' if row.met else '✗'}  {row.what}: {row.found} ({row.asked})\n")
    for error, times in verdict.errors:
        sys.stdout.write(f"     {times} x {error}\n")
    sys.stdout.write(f"{'Passed' if verdict.passed else 'Failed'}: {report}\n")
    return 0 if verdict.passed else 1


def _check(host: str, options: argparse.Namespace) -> None:
    """Raises LoadError unless the numbers make sense, Locust is installed, and something answers."""
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", host):
        raise LoadError(f"{host[:100]!r} is no address of a service: https://NAME, or http://NAME:PORT.")
    if not (0 < options.seconds <= 3600 and 0 < options.rate <= 5000 and 0 < options.users <= 1000):
        raise LoadError("A load test has up to 3600 seconds, 5000 calls a second and 1000 users, and more than none.")
    if not LOCUST.exists():
        raise LoadError("Locust is not installed: ./install.sh loadtest")
    try:
        urllib.request.urlopen(f"{host}/readyz", timeout=10).close()
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403):  # a gate before the service, for which the calls themselves have a token
            raise LoadError(f"{host} is not ready: it answers {error.code}. Wait until /readyz is 200.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise LoadError(f"Nothing answers at {host} ({reason}). Start it (make up), or name it: HOST=…") from None


def _drive(host: str, options: argparse.Namespace, out: Path, outcome: Path) -> None:
    """Runs Locust to its end. Raises LoadError if it hangs, or cannot run at all."""
    table = dataset.generate(PEOPLE, SEED)
    people = out / "people.json"
    people.write_text(json.dumps(list(zip(table.heights, table.weights, strict=True))))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(DROPPED)}
    environment |= {"PEOPLE": str(people), "OUTCOME": str(outcome)}
    environment |= {"RATE": str(options.rate), "USERS": str(options.users), "SECONDS": str(options.seconds)}
    command = [str(LOCUST), "--locustfile", str(Path(__file__).with_name("locustfile.py")), "--headless"]
    command += ["--host", host, "--users", str(options.users), "--spawn-rate", str(options.users)]
    command += ["--run-time", f"{options.seconds + LATEST}s", "--stop-timeout", "10", "--exit-code-on-error", "0"]
    log = out / "locust.log"
    with log.open("wb") as said:
        # Its folder has no settings of Locust, which it would read.
        process = subprocess.Popen(
            [*command, "--only-summary"],
            cwd=out,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        (out / "locust.pid").write_text(str(process.pid))
        try:
            code = process.wait(options.seconds + GRACE)
        except subprocess.TimeoutExpired:
            raise LoadError(f"Locust did not end; its log is {log}.") from None
        finally:
            _stop(out)
            people.unlink(missing_ok=True)
    if code:
        raise LoadError(f"Locust failed with {code}; its log is {log}.")


def _runs(number: int) -> bool:
    """Whether the process is a Locust of ours, and alive."""
    asked = subprocess.run(
        ["ps", "-ww", "-o", "stat=,command=", "-p", str(number)], capture_output=True, text=True, check=False
    )
    return "locustfile.py" in asked.stdout and not asked.stdout.startswith("Z")


def _stop(out: Path) -> int:
    """Ends the process group that a run has left, if it is still Locust's, and forgets it."""
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        number = int((out / "locust.pid").read_text())
        if _runs(number):
            os.killpg(number, signal.SIGKILL)
        until = time.monotonic() + 5
        while _runs(number) and time.monotonic() < until:
            time.sleep(0.02)
    (out / "locust.pid").unlink(missing_ok=True)
    (out / "people.json").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
