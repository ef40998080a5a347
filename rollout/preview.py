"""`python -m rollout preview --base DIR --out DIR`: what a change does to every stack, with no account and no secret.

The program of the change and that of its base are planned for each stack, each by its own code, and the policies of
each judge the plans that differ. It runs a stranger's code: what it writes is material to be checked by whoever reads
it (`artifact`), and is bounded and redacted all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollout import plans, worktree
from rollout.branches import NAME
from rollout.errors import RolloutError
from rollout.markdown import printable
from rollout.plans import Plan
from rollout.redact import Redactor, found_in_plan

SIDES = ("head", "base")
SCANNERS = ".venv-scanners"  # where the policies look for tools that have an environment of their own
TIME_LIMIT = 600  # seconds of one command; a plan takes 20
MESSAGE = 4_000  # letters of what a program said
MOST_FINDINGS, MOST_ERRORS = 2_000, 50


@dataclass(frozen=True)
class Side:
    """One of the two sides: where its files are, its stacks, and of each its plan or why there is none.

    plans: without secrets, as they are written. bare: as the program made them, which policies are to see.
    """

    name: str
    directory: Path
    stacks: tuple[str, ...]
    plans: Mapping[str, Plan]
    bare: Mapping[str, Plan]
    failures: Mapping[str, str]

    def digests(self) -> dict[str, str]:
        """The digest of each plan, by stack."""
        return {stack: plans.digest(plan) for stack, plan in self.plans.items()}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `preview`."""
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="the files without the change")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where what was found is written")
    parser.add_argument("-C", "--cwd", type=Path, default=Path(), metavar="DIR", help="the project's directory")
    parser.add_argument(
        "-s", "--stack", action="append", default=[], help="only this stack; may be given several times"
    )


def run(options: argparse.Namespace) -> int:
    """Writes the preview. 0: done; 1: a stack cannot be planned with the change, which the preview then says."""
    redactor = Redactor()
    chosen = set(options.stack)
    head, base = (
        plan_side(name, directory.resolve(), redactor, chosen)
        for name, directory in zip(SIDES, (options.cwd, options.base), strict=True)
    )
    if not head.stacks and not base.stacks:
        raise RolloutError("Neither side has a stack: there is no Pulumi.STACK.yaml, or none of those that were named.")
    touched = differing(head, base)
    findings = {side.name: judge_side(side, touched, redactor) for side in (head, base)}
    # Findings alone can differ, too: another rule, another waiver. The plans of the rest are the same on both sides.
    rest = [stack for stack in head.plans if stack in base.plans and stack not in touched]
    if policies_differ(head.directory, base.directory):
        more = {side.name: judge_side(side, rest, redactor) for side in (head, base)}
        also = [stack for stack in rest if more["head"][stack] != more["base"][stack]]
        touched = sorted({*touched, *also})
        findings = {name: {**found, **{stack: more[name][stack] for stack in also}} for name, found in findings.items()}
    write(options.out, head, base, findings)
    for stack in sorted({*head.stacks, *base.stacks}):
        sys.stdout.write(f"{stack}: {_told(stack, head, base, touched)}\n")
    return 1 if head.failures else 0


def _told(stack: str, head: Side, base: Side, touched: Sequence[str]) -> str:
    if stack in head.failures:
        return f"cannot be planned with the change: {printable(head.failures[stack].splitlines()[-1])}"
    if stack in base.failures:
        return "changes wholly, as its base cannot be planned"
    return "changes" if stack in touched else "stays"


def stacks_of(directory: Path) -> tuple[str, ...]:
    """The stacks that a project has settings for, by name."""
    found = [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in directory.glob("Pulumi.*.yaml")]
    return tuple(sorted(name for name in found if NAME.fullmatch(name)))


def plan_side(name: str, directory: Path, redactor: Redactor, chosen: Iterable[str] = ()) -> Side:
    """The plans of every stack of a side, as many at once as there are processors."""
    if not directory.is_dir():
        raise RolloutError(f"{directory} is no directory. The base is a work tree: git worktree add DIR COMMIT.")
    stacks = tuple(stack for stack in stacks_of(directory) if not chosen or stack in chosen)

    def planned(stack: str) -> Plan | str:
        words = ["localcloud", "plan", "-C", str(directory), "-s", stack, "--json"]
        done = run_module(directory, words)
        if done.returncode == 0:
            try:
                return plans.read(done.stdout, f"The {name} plan of {stack}")
            except RolloutError as error:
                return str(error)
        return said(done, redactor) or f"It ended with {done.returncode} and said nothing."

    found = dict(zip(stacks, _at_once(planned, stacks), strict=True))
    bare = {stack: plan for stack, plan in found.items() if not isinstance(plan, str)}
    failures = {stack: why for stack, why in found.items() if isinstance(why, str)}
    return Side(name, directory, stacks, {stack: redactor.plan(plan) for stack, plan in bare.items()}, bare, failures)


def differing(head: Side, base: Side) -> list[str]:
    """The stacks whose plans differ, or that only one side has; not those that the head cannot plan."""
    one, other = head.digests(), base.digests()
    names = sorted({*one, *other} - head.failures.keys())
    return [stack for stack in names if one.get(stack) != other.get(stack)]


def policies_differ(head: Path, base: Path) -> bool:
    """Whether the two sides have other policies: rules, levels or waivers."""

    def files(directory: Path) -> dict[str, bytes]:
        found = (
            path for path in (directory / "policies").rglob("*") if path.suffix in (".py", ".yaml", ".json", ".tsv")
        )
        return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}

    return files(head) != files(base)


def judge_side(side: Side, stacks: Sequence[str], redactor: Redactor) -> dict[str, dict[str, Any]]:
    """What a side's own policies say of its plans of these stacks, by stack (findings.schema.json)."""
    wanted = [stack for stack in stacks if stack in side.plans]
    if not wanted:
        return {}
    with tempfile.TemporaryDirectory() as made:
        files = []
        for stack in wanted:
            file = Path(made) / f"{stack}.json"
            file.write_text(json.dumps(side.bare[stack]), encoding="utf-8")
            files.append(str(file))
        _share_scanners(side.directory)
        out = Path(made) / "evidence"
        done = run_module(side.directory, ["policies", "check", *files, "--out", str(out)])
        try:
            results = json.loads((out / "results.json").read_text(encoding="utf-8"))
            # A message may quote what the plan has in clear.
            known = {stack: redactor.knowing(found_in_plan(side.bare[stack])) for stack in wanted}
            return {stack: slim(results, stack, known[stack]) for stack in wanted}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            why = said(done, redactor) or "They ended and left no results."
            return {stack: unanswered(stack, why) for stack in wanted}


def _share_scanners(directory: Path) -> None:
    """A work tree beside this one has no scanners of its own: it uses these."""
    ours = Path(SCANNERS).resolve()
    if not (directory / SCANNERS).exists() and ours.is_dir():
        (directory / SCANNERS).symlink_to(ours)


def slim(results: Mapping[str, Any], stack: str, redactor: Redactor) -> dict[str, Any]:
    """Of a results document (policies/results.schema.json) what concerns one stack, as findings.schema.json has it."""
    rows = [row for row in results["findings"] if row["stack"] == stack and row["status"] != "pass"]
    kept = rows[:MOST_FINDINGS]
    named = {row["policy"] for row in kept}
    counts = next(row for row in results["stacks"] if row["stack"] == stack)
    errors = [_cut(redactor.text(str(error)), 1_000) for error in results["errors"][:MOST_ERRORS]]
    return {
        "version": 1,
        "stack": stack,
        "passed": not errors and not any(row["blocks"] for row in rows),
        "errors": errors,
        "counts": counts["counts"],
        "notAssessed": counts["notAssessed"],
        "levels": {policy["id"]: policy["level"] for policy in results["policies"]},
        "policies": {
            policy["id"]: {
                "tool": policy["tool"],
                "title": _cut(policy["title"], 500),
                "severity": policy["severity"],
                "mend": _cut(policy["mend"], 1_000),
            }
            for policy in results["policies"]
            if policy["id"] in named
        },
        "findings": [_finding(row, redactor) for row in kept],
        "omitted": len(rows) - len(kept),
    }


def _finding(row: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    limits = {"urn": 2_000, "type": 500, "name": 500, "file": 500, "path": 1_000, "message": 1_000}
    waiver = row["waiver"] and {
        name: _cut(redactor.text(row["waiver"][name]), limit)
        for name, limit in (("owner", 200), ("approver", 200), ("reason", 1_000), ("ticket", 500), ("expires", 20))
    }
    return {
        **{name: row[name] for name in ("fingerprint", "policy", "status", "line", "blocks")},
        **{name: _cut(redactor.text(row[name]), limit) for name, limit in limits.items()},
        "waiver": waiver,
    }


def unanswered(stack: str, why: str) -> dict[str, Any]:
    """The findings of policies that could not look."""
    return {
        "version": 1,
        "stack": stack,
        "passed": False,
        "errors": [_cut(why, 1_000)],
        "counts": {"fail": 0, "undetermined": 0, "waived": 0, "pass": 0},
        "notAssessed": 0,
        "levels": {},
        "policies": {},
        "findings": [],
        "omitted": 0,
    }


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def head_commit(directory: Path, base: Path) -> str:
    """The commit of the change: of a merge of it into its base, which pull requests are planned as, the second parent.

    :raises RolloutError: the files are of no commit, so that nobody could tell what was previewed
    """
    parents = worktree.git(directory, "rev-list", "--parents", "-n", "1", "HEAD").split()
    merged = len(parents) == 3 and parents[1] == worktree.git(base, "rev-parse", "HEAD")
    return parents[2] if merged else parents[0]


def write(out: Path, head: Side, base: Side, findings: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes `preview.json` (preview.schema.json) and the files that it speaks of: those of stacks with findings.

    :raises RolloutError: the directory has files of something else
    """
    if out.exists() and any(out.iterdir()) and not (out / "preview.json").is_file():
        raise RolloutError(f"{out} has files that are no preview: name an empty directory with --out.")
    for folder in ("plans", "policies"):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for old in (out / folder).glob("*.json"):
            old.unlink()
    one, other = head.digests(), base.digests()
    names = sorted({*one, *other} - head.failures.keys())
    document: dict[str, Any] = {
        "version": 1,
        "head": head_commit(head.directory, base.directory),
        "base": worktree.git(base.directory, "rev-parse", "HEAD"),
        "stacks": [{"stack": name, "head": _sha256(one, name), "base": _sha256(other, name)} for name in names],
    }
    failures = [
        {"stack": stack, "side": side.name, "message": _cut(why, MESSAGE)}
        for side in (head, base)
        for stack, why in sorted(side.failures.items())
    ]
    _write(out / "preview.json", {**document, **({"failures": failures} if failures else {})})
    for side in (head, base):
        for stack, found in findings[side.name].items():
            _write(out / "plans" / f"{stack}.{side.name}.json", side.plans[stack])
            _write(out / "policies" / f"{stack}.{side.name}.json", found)


def _sha256(digests: Mapping[str, str], stack: str) -> dict[str, str] | None:
    return {"sha256": digests[stack]} if stack in digests else None


def _write(file: Path, document: Any) -> None:
    file.write_text(f"{json.dumps(document, indent=1, sort_keys=True)}\n", encoding="utf-8")


def run_module(directory: Path, words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Runs a Python module of a directory, with its own code first."""
    command = [sys.executable, "-m", *words]
    try:
        return subprocess.run(
            command,
            cwd=directory,
            env=worktree.environment(directory),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIME_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, b"", f"It took over {TIME_LIMIT} seconds.".encode())


def said(done: subprocess.CompletedProcess[bytes], redactor: Redactor) -> str:
    """The last of what a command said, redacted, its lines kept."""
    text = redactor.text(done.stderr.decode(errors="replace").strip())
    return "\n".join(printable(line) for line in text[-MESSAGE:].splitlines()).strip()


def _at_once(work: Callable[[str], Plan | str], names: Sequence[str]) -> list[Plan | str]:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(work, names))
