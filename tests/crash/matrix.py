"""Kills the engine at each step boundary of up, refresh and destroy of the full local stack, and says what came of it.

A trial: the engine begins in a copy of the world as it was before the command, and ends there by SIGKILL at one
boundary. The same command then runs to its end in a new process, and what there is has to be what a run without a kill
leaves: the same resources, nothing else in the emulator, nothing created twice. For each state that a kill can leave
on disk there is a trial with a second death besides: that of the emulator, which comes back empty.

Boundaries between which neither the state nor the cloud changes leave the same world, and share a trial.

A run of hours can be stopped and gone on with: `--continue FILE` keeps what each trial gave; what went wrong is
repeated.

    python -m tests.crash.matrix [--continue FILE] [--part N/M] [--seed S --sample K] [--out docs/crash-matrix.md]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pkgutil
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import boto3

from localcloud.aws import KINDS
from localcloud.aws.provider import Provider
from localcloud.aws.remains import SERVICES, remains
from localcloud.state import StateFile, verified
from tests.crash import copies
from tests.crash.runs import ROOT, World, in_a_child, lines, project, run

COMMANDS = ("up", "refresh", "destroy")
REGION = "eu-west-1"
SIGKILLED = -9
CLIENTS = {"applicationautoscaling": "application-autoscaling", "sfn": "stepfunctions"}  # boto3's names


@dataclass(frozen=True)
class Trial:
    """One death: of the engine at a boundary of a command and, if so, of the emulator with it.

    stands_for: how many boundaries leave this world.
    """

    command: str
    boundary: str
    emulator_dies: bool
    stands_for: int


@dataclass(frozen=True)
class Result:
    """What was wrong after a trial, nothing if all was well, and the commit that it was made at."""

    wrong: list[str]
    commit: str


@dataclass
class Bench:
    """The worlds before each command, and what each leaves without a kill."""

    folder: Path
    empty: World
    before: dict[str, World] = field(default_factory=dict)
    after: dict[str, dict[str, Any]] = field(default_factory=dict)
    boundaries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def prepare(folder: Path) -> Bench:
    """Runs each command once, without a kill; all later runs begin in copies of what these leave."""
    bench = Bench(folder, begin(folder))
    bench.before["up"] = bench.empty
    for command in COMMANDS:
        world = bench.before[command].copy(_new(folder, command))
        book = world.files.parent / "book"
        _done(run(command, world, book), f"{command} without a kill")
        bench.boundaries[command] = [row for row in lines(book) if "boundary" in row]
        bench.after[command] = seen(world)
        if command == "up":
            bench.before["refresh"] = bench.before["destroy"] = world
        else:
            world.emulator.stop()
    return bench


def begin(folder: Path) -> World:
    """A world with nothing in it."""
    os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = copies.ADMINISTRATOR
    (folder / "empty").mkdir()
    world = World(copies.start(folder / "socket"), folder / "empty")
    _import_beforehand(world, folder / "imports")
    return world


def _import_beforehand(empty: World, book: Path) -> None:
    """What each run would import, so that a fork has it: half of the time of a run goes into that."""
    names = Provider({"region": REGION, "endpoints": [dict.fromkeys(SERVICES, copies.URL)]})
    for service in SERVICES:
        names.account.client(CLIENTS.get(service, service))
    _done(run("preview", empty, book), "a preview")
    import pulumi_aws  # noqa: PLC0415 - slow to import

    import infra.aws  # noqa: PLC0415 - the program's own room
    import stacks.environment  # noqa: F401, PLC0415 - the program's own room

    for module in pkgutil.iter_modules(infra.aws.__path__):
        import_module(f"infra.aws.{module.name}")
    for name in sorted({row.split(".")[1] for row in lines(book)[-1]["modules"] if row.startswith("pulumi_aws.")}):
        getattr(getattr(pulumi_aws, name, None), "anything", None)  # its modules load when they are asked for something
    gc.collect()
    gc.freeze()


def trials(bench: Bench) -> list[Trial]:
    """A trial for each world that a kill can leave, with the first boundary that leaves it."""
    found: list[Trial] = []
    for command in COMMANDS:
        rows = bench.boundaries[command]
        for dies in (False, True):
            worlds: dict[Any, list[str]] = {}
            for row in rows:
                worlds.setdefault(row["state"] if dies else (row["state"], row["changes"]), []).append(row["boundary"])
            found += [Trial(command, names[0], dies, len(names)) for names in worlds.values()]
    return found


def attempt(bench: Bench, trial: Trial) -> list[str]:
    """What was wrong after the trial; nothing if all was well."""
    folder = _new(bench.folder, "trial")
    world = bench.before[trial.command].copy(folder)
    emulators = [world.emulator]
    book = folder / "book"
    try:
        code = run(trial.command, world, book, die_at=trial.boundary, digests=False)
        if code != SIGKILLED:
            return [f"the run was not killed at {trial.boundary!r} but ended with {code}"]
        if trial.emulator_dies:
            world.emulator.stop()
            world = World(bench.empty.emulator.copy(folder / "anew"), world.files)
            emulators = [world.emulator]
        code = run(trial.command, world, book, refresh=trial.emulator_dies, digests=False)
        if code:
            return [f"the next run ended with {code}: {_last_error(world)}"]
        return list(_wrong(bench, trial, seen(world), lines(book)))
    finally:
        for emulator in emulators:
            emulator.stop()
        shutil.rmtree(folder)


def _wrong(bench: Bench, trial: Trial, found: dict[str, Any], book: list[dict[str, Any]]) -> Iterable[str]:
    expected = bench.after[trial.command]
    if trial.emulator_dies and trial.command == "refresh":  # all is gone, and the state has to say so
        # What is in the state alone goes with what it belongs to (localcloud/aws/recorded.py).
        left = [urn for urn in expected["urns"] if not _type(urn).startswith("aws:")]
        expected = {**expected, "urns": left, "steps": found["steps"]}
    elif trial.emulator_dies and trial.command == "destroy":
        expected = {**expected, "kept": []}  # what AWS would keep for a while went with the emulator
    for name, value in expected.items():
        if found[name] != value:
            yield f"{name}: {_difference(value, found[name])}"
    if not trial.emulator_dies:
        alive: Counter[str] = Counter()
        for row in book:
            if "created" in row:
                alive[row["created"]] += 1
                if alive[row["created"]] > 1:
                    yield f"created twice: {row['created']}"
            elif "deleted" in row:
                alive.pop(row["deleted"], None)


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _difference(expected: Any, found: Any) -> str:
    if isinstance(expected, list) and isinstance(found, list):
        more, less = Counter(map(str, found)), Counter(map(str, expected))
        return f"too many: {sorted((more - less).elements())[:5]}; missing: {sorted((less - more).elements())[:5]}"
    return f"{found} in place of {expected}"


def seen(world: World, *, steps: bool = True) -> dict[str, Any]:
    """What the state and the emulator hold, said so that two worlds can be compared.

    strangers: what only one of them has (of kinds that can be listed). kept: what AWS keeps of what was deleted: a key
    that was made twice and deleted once shows here. steps: what a preview that asks the emulator would do.
    """
    answer = world.files.parent / "seen.json"
    _done(in_a_child(lambda: answer.write_text(json.dumps(_seen(world)))), "a look at the world")
    found: dict[str, Any] = json.loads(answer.read_text())
    if found["urns"] and steps:
        book = world.files.parent / "preview"
        book.unlink(missing_ok=True)
        _done(run("preview", world, book, refresh=True, digests=False), "a preview")
        result = next(row for row in lines(book) if "result" in row)
        found["steps"] = {name: result[name] for name in ("result", "gone", "drifted")}
    else:
        found["steps"] = None
    return found


def _seen(world: World) -> dict[str, Any]:
    os.environ["AWS_ENDPOINT_URL"] = copies.URL
    boto3.DEFAULT_SESSION = None
    copies.call_only(world.emulator)
    state = verified(StateFile(project(world).state_file).load())
    held, kept = remains(REGION)
    listed = {(row.type, row.id) for row in state.resources if row.type in KINDS and KINDS[row.type].list}
    return {
        "urns": sorted(row.urn for row in state.resources),
        "unfinished": [operation.resource.urn for operation in state.operations],
        "condemned": [row.urn for row in state.resources if row.delete],
        "strangers": sorted(map(str, listed ^ set(held))),
        "kept": sorted(line.partition("(")[2].partition(")")[0] or line.partition(":")[0] for line in kept),
        "drafts": sorted(path.name for glob in (".*.json.*", "*.journal") for path in world.files.glob(glob)),
    }


def _last_error(world: World) -> str:
    try:
        return (world.files / "error").read_text(encoding="utf-8").strip().splitlines()[-1]
    except (OSError, IndexError):
        return "it said nothing"


def _new(folder: Path, name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))


def _done(code: int, what: str) -> None:
    if code:
        raise RuntimeError(f"{what} ended with {code}")


def chosen(found: list[Trial], part: str, seed: int, sample: int) -> list[Trial]:
    """Some of the trials: the Nth of M parts, each spread over all; or a seeded sample, some of each kind."""
    number, _, of = part.partition("/")
    some = found[int(number) - 1 :: int(of)]
    if sample:
        chance = random.Random(seed)
        kinds: dict[Any, list[Trial]] = {}
        for trial in some:
            kinds.setdefault((trial.command, trial.emulator_dies), []).append(trial)
        some = [chance.choice(kinds[kind]) for kind in kinds]
        rest = [trial for trial in found if trial not in some]
        return some + chance.sample(rest, max(0, sample - len(some)))
    random.Random(seed).shuffle(some)  # so that what a run cut short has done is spread over all
    return some


def report(bench: Bench, found: list[Trial], done: dict[Trial, Result]) -> str:
    """docs/crash-matrix.md."""
    text = [TITLE, ""]
    text += ["| command | boundaries | worlds | killed in | well after | and the emulator died too | well after |"]
    text += ["|---|---:|---:|---:|---:|---:|---:|"]
    for command in COMMANDS:
        cells = [f"`{command}`", str(len(bench.boundaries[command]))]
        cells.append(str(sum(1 for trial in found if trial.command == command and not trial.emulator_dies)))
        for dies in (False, True):
            rows = [result for trial, result in done.items() if (trial.command, trial.emulator_dies) == (command, dies)]
            of = sum(1 for trial in found if (trial.command, trial.emulator_dies) == (command, dies))
            cells += [f"{len(rows)} of {of}", str(sum(not result.wrong for result in rows))]
        text.append(f"| {' | '.join(cells)} |")
    resources = len([urn for urn in bench.after["up"]["urns"] if _type(urn).startswith("aws:")])
    how = "All of it" if len(done) == len(found) else "A part of it, spread over all"
    commits = Counter(result.commit for result in done.values())
    where = " and ".join(f"{number} at commit {commit}" for commit, number in commits.items())
    text += ["", f"{how}: {len(done)} of {len(found)} trials over {resources} resources of AWS; {where}."]
    wrong = [(trial, result.wrong) for trial, result in done.items() if result.wrong]
    text += ["", "## What went wrong", ""] + ([] if wrong else ["Nothing."])
    for trial, errors in wrong:
        both = ", and the emulator died" if trial.emulator_dies else ""
        text.append(f"- `{trial.command}` killed at “{trial.boundary}”{both}: {'; '.join(errors)[:400]}")
    return "\n".join(text) + "\n"


TITLE = """# Killed at every step

Made by `make crash-matrix` (tests/crash): the engine is killed (SIGKILL to its own process) at the boundaries of `up`,
`refresh` and `destroy` of the full local stack: before and after each call of the provider, after each API call of it
that changes something, before and after each line of the journal, and before, in and after each save of the state.
Steps are taken one at a time, so that a boundary is one state of the world; boundaries between which neither the state
nor the emulator changes leave one world, and share one trial.

After a kill the same command runs once more, in a new process. Well means: it ends well; the state lists what a run
without a kill lists, with nothing unfinished; the emulator holds exactly what the state lists, by its own lists, and
keeps no deleted twin; no resource was created again that was there; a preview that asks the emulator for each resource
finds the same as after a run without a kill. If the emulator died too, it comes back empty, and the next run asks it
first (`--refresh`).

The emulator is Moto behind the gate, as in `make up`, in a process that can be copied: calls reach it over a Unix
socket in place of TLS. The rest is what users run."""


def kept(file: Path, found: list[Trial]) -> dict[Trial, Result]:
    """What the trials gave that a file of results has, for those there are."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    trials_ = {(trial.command, trial.boundary, trial.emulator_dies): trial for trial in found}
    results = {tuple(row["trial"]): Result(row["wrong"], row["commit"]) for row in rows}
    return {trials_[key]: result for key, result in results.items() if key in trials_}


def _in_parallel(bench: Bench, some: list[Trial], jobs: int, until: float, results: Path) -> None:
    """Does the trials in child processes, each its share; adds what each gave to a file, a line each."""
    commit = subprocess.check_output(
        ["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=ROOT, text=True
    ).strip()

    def share(job: int) -> None:
        for number in range(job, len(some), jobs):
            if time.monotonic() > until:
                return
            trial, wrong = some[number], attempt(bench, some[number])
            key = (trial.command, trial.boundary, trial.emulator_dies)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"trial": key, "wrong": wrong, "commit": commit}) + "\n")
            both = " and the emulator" if trial.emulator_dies else ""
            said = f"{number + 1}/{len(some)} {trial.command}{both}, {trial.boundary}: {'; '.join(wrong) or 'well'}\n"
            sys.stderr.write(said)

    with ThreadPoolExecutor(jobs) as pool:
        codes = list(pool.map(lambda job: in_a_child(lambda: share(job)), range(jobs)))
    if any(codes):
        raise RuntimeError(f"the processes that did the trials ended with {codes}")


def main(arguments: list[str]) -> int:
    """Runs the trials and writes the document. 1 if anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", default="1/1", metavar="N/M", help="the Nth of M parts, each spread over all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=0, help="so many trials, some of each kind")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no trial after so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many trials at once")
    parser.add_argument(
        "--continue", type=Path, dest="results", metavar="FILE", help="what earlier runs gave, and this"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs/crash-matrix.md")
    options = parser.parse_args(arguments)
    until = time.monotonic() + options.minutes * 60
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    results = options.results or folder / "results"
    bench = prepare(folder)
    try:
        found = trials(bench)
        done = kept(results, found)
        some = chosen(found, options.part, options.seed, options.sample)
        some = [trial for trial in some if trial not in done or done[trial].wrong]
        _in_parallel(bench, some, options.jobs, until, results.absolute())
        done = kept(results, found)
        options.out.write_text(report(bench, found, done), encoding="utf-8")
        return int(any(result.wrong for result in done.values()))
    finally:
        for world in {id(one): one for one in bench.before.values()}.values():
            world.emulator.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
