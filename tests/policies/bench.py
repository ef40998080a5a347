"""All stacks judged by our own rules and Checkov, beside one Checkov command line on one plan: time and peak memory.

`python -m tests.policies.bench PLAN.json…` (make bench-policy). Exit 1 if ours takes longer. The whole check, with the
IAM tools and every rendering, stands below for information.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from policies import checkov, own
from policies.check import ASSESSORS, WAIVERS, check
from policies.console import verdict
from policies.graph import Graph, parse

ROOT = Path(__file__).parents[2]
RESOURCES = 150  # of the one plan
ROUNDS = 3  # the fastest counts: the machine does other things, too
JUDGE = "--judge"
EVERY = 0.02  # seconds between two looks at the memory


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds, and the most memory that it and its children held at once (MiB)."""

    seconds: float
    memory: float


class _CapturedError(Exception):
    pass


def terraform_plan(graph: Graph) -> tuple[dict[str, Any], int]:
    """A Terraform plan of the first resources of a graph that Checkov knows, and how many they are."""
    request: dict[str, Any] = {}

    def capture(asked: Mapping[str, Any]) -> dict[str, Any]:
        request.update(asked)
        raise _CapturedError

    known = [row for row in graph.resources if row.custom and row.type.startswith(("aws:", "gcp:"))]
    wanted = len(known)
    for number in range(min(RESOURCES, len(known)), len(known) + 1):
        try:
            checkov.assess([replace(graph, resources=tuple(known[:number]))], capture)
        except _CapturedError:
            (document,) = request["terraform"].values()
            wanted = len(document["planned_values"]["root_module"]["resources"])
            if wanted >= RESOURCES:
                break
    return document, wanted


def measured(command: list[str], environment: Mapping[str, str]) -> Run:
    """Runs a command to its end; SystemExit with its last words where it fails."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        peak, ended = [0.0], threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, ended))
        watcher.start()
        code = process.wait()
        seconds = time.perf_counter() - start
        ended.set()
        watcher.join()
        output.seek(0)
        if code not in (0, 1):
            raise SystemExit(f"{command[0]} ended with {code}: {output.read()[-500:].decode(errors='replace')}")
    return Run(seconds, peak[0])


def _watch(pid: int, peak: list[float], ended: threading.Event) -> None:
    while not ended.wait(EVERY):
        peak[0] = max(peak[0], sum(map(_resident, _family(pid))))


def _family(pid: int) -> list[int]:
    found = [pid]
    for member in found:
        try:
            for task in Path(f"/proc/{member}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has ended
    return found


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def judge(plans: list[str]) -> int:
    """What is measured of ours: from the files to the verdict. 0 or 1, as the check ends."""
    documents = {name: json.loads(Path(name).read_text(encoding="utf-8")) for name in plans}
    tools = {name: ASSESSORS[name] for name in (own.TOOL, checkov.TOOL)}
    report = check(documents, WAIVERS, date.today(), tools)
    if report.errors:
        raise SystemExit("\n".join(report.errors))
    sys.stdout.write(f"{verdict(report)}\n")
    return 0 if report.passed else 1


def main(plans: list[str]) -> int:
    """Measures both, and prints a line each and the ratio."""
    graphs = [parse(json.loads(Path(name).read_text(encoding="utf-8")), name) for name in plans]
    document, resources = terraform_plan(max(graphs, key=lambda graph: len(graph.resources)))
    environment = {**os.environ, **checkov.SETTINGS}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # with it, every run would compile what it imports
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        plan.write_text(json.dumps(document, indent=1), encoding="utf-8")
        theirs = [str(checkov.PYTHON.with_name("checkov")), "--file", str(plan), "--framework", "terraform_plan"]
        theirs += ["--compact", "--skip-download"]
        ours = [sys.executable, "-m", "tests.policies.bench", JUDGE, *plans]
        whole = [sys.executable, "-m", "policies", "check", *plans, "--out", str(Path(folder) / "pack")]
        runs = [[measured(command, environment) for command in (theirs, ours, whole)] for _ in range(ROUNDS)]
    best = [min(column, key=lambda run: run.seconds) for column in zip(*runs, strict=True)]
    total = sum(len(graph.resources) for graph in graphs)
    labels = (
        f"Checkov's command line, 1 plan, {resources} resources",
        f"own rules and Checkov, {len(graphs)} stacks, {total} resources",
        "all of python -m policies check, of the same",
    )
    for label, run in zip(labels, best, strict=True):
        sys.stdout.write(f"{label:<56} {run.seconds:6.1f} s  {run.memory:6.0f} MiB at most\n")
    ratio = best[1].seconds / best[0].seconds
    sys.stdout.write(f"own rules and Checkov take {ratio:.2f} of its time (the fastest of {ROUNDS} runs of each)\n")
    return 0


if __name__ == "__main__":
    gc.disable()  # as the command line does
    sys.exit(judge(sys.argv[2:]) if sys.argv[1:2] == [JUDGE] else main(sys.argv[1:]))
