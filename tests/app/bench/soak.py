"""A soak: 64 connections ask for predictions for ten minutes; no request fails, and memory stays flat.

    python -m tests.app.bench.soak --seconds 600

Exits with 0 if so, 1 if not, and with 0 and a sentence where wrk is not installed. Every record reaches the lake, or
waits on disk for whoever starts next: a stop does not wait for it longer than a few seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
import urllib.request
from pathlib import Path

from app.spool import Segment
from tests.app import processes
from tests.app.bench.measure import MISSING, Load, has_wrk, memory, published, written, wrk

CONNECTIONS = 64
SAMPLES = 60
GROWTH = 4.0  # MB from the second quarter to the last: more is a leak, less is noise
BODY = b'{"height": 68.5}'


def main() -> int:
    """One soak."""
    parser = argparse.ArgumentParser(prog="python -m tests.app.bench.soak", description="Ask for ten minutes.")
    parser.add_argument("--seconds", type=int, default=600, help="for how long (600)")
    seconds = parser.parse_args().seconds
    if not has_wrk():
        _say(MISSING)
        return 0
    with published() as variables, processes.Running(variables) as running:
        processes.wait_until_ready(running.url)
        found, samples = _asked(running, seconds)
        shown = _metrics(running)
        running.process.terminate()
        code = running.process.wait(30)
        kept, waiting = written(variables), _waiting(Path(variables["SPOOL"]))
    wrong = _wrong(found, samples, shown, kept + waiting, code)
    _say(f"{found.requests} requests in {seconds} s, {found.rate:.0f} a second; p99 {found.p99 * 1e3:.2f} ms.")
    _say("Memory of all processes in MB: " + " ".join(f"{each:.0f}" for each in samples[:: max(1, len(samples) // 12)]))
    _say(f"{kept} records reached the lake, {waiting} wait on disk for whoever starts next.")
    for sentence in wrong:
        _say(f"  ✗  {sentence}")
    _say("The soak failed." if wrong else "  ✓  no error, and memory is flat")
    return int(bool(wrong))


def _asked(running: processes.Running, seconds: int) -> tuple[Load, list[float]]:
    """What wrk found, and memory meanwhile."""
    results: list[Load] = []
    thread = threading.Thread(target=lambda: results.append(wrk(running.url + "/predict", BODY, CONNECTIONS, seconds)))
    thread.start()
    samples = []
    while thread.is_alive():
        samples.append(memory(running.process.pid))
        thread.join(seconds / SAMPLES)
    return results[0], samples


def _waiting(spool: Path) -> int:
    """Lines on disk, once nobody holds them."""
    found = 0
    for path in spool.glob("*/*.seg"):
        file = os.open(path, os.O_RDONLY)
        segment = Segment(path, file)
        found += sum(1 for _ in segment.lines())
        segment.release()
    return found


def _metrics(running: processes.Running) -> dict[str, float]:
    with urllib.request.urlopen(running.url + "/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^([^#\s]+) (\S+)$", text, re.MULTILINE)}


def _wrong(found: Load, samples: list[float], shown: dict[str, float], kept: int, code: int) -> list[str]:
    """What is not as it should be, a sentence each."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    grown = sum(late) / len(late) - sum(early) / len(early) if quarter else 0.0
    answered = shown['http_requests_total{route="/predict",status="200"}']
    failed = sum(
        value for name, value in shown.items() if re.search(r'http_requests_total.*"/predict",status="5', name)
    )
    lost = sum(shown[f'lake_records_total{{outcome="{outcome}"}}'] for outcome in ("dropped", "lost"))
    return [
        sentence
        for bad, sentence in (
            (found.errors, f"wrk saw errors: {found.errors}."),
            (answered < found.requests, f"{answered:.0f} answers were counted, of {found.requests}."),
            (failed, f"{failed:.0f} answers were failures (5xx)."),
            (lost, f"{lost:.0f} records were lost."),
            (kept != answered, f"{kept} records are in the lake or wait for it, of {answered:.0f}."),
            (grown > GROWTH, f"Memory grew by {grown:.1f} MB from the second quarter to the last."),
            (code, f"The service ended with {code}."),
        )
        if bad
    ]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
