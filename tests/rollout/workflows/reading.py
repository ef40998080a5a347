"""The workflows and composite actions as data, and what must hold for them: each rule answers with sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
GITHUB = ROOT / ".github"
ADR = ROOT / "docs/adr/0085-actions-pinned.md"
SHELL = "bash -euo pipefail {0}"
RUNNER = "ubuntu-24.04"
OWN_RUNNER = f"${{{{ vars.RUNNER || '{RUNNER}' }}}}"  # where a stack's clusters answer only inside its network
LONGEST = 60  # minutes: as long as a session of the apply identity
PINNED = re.compile(r"^([\w.-]+/[\w.-]+)((?:/[\w.-]+)*)@([0-9a-f]{40})$")
# What would be a second command: the shell's separators, outside quotes.
SECOND_COMMAND = re.compile(r"[;\n|]|&&|\|\|")
QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")


@dataclass(frozen=True)
class File:
    """A workflow or a composite action: its name, its text, and the text parsed."""

    name: str
    text: str
    data: dict[Any, Any]

    @property
    def events(self) -> dict[str, Any]:
        """`on`, which YAML 1.1 reads as the word for true."""
        events = self.data.get("on", self.data.get(True, {}))
        return events if isinstance(events, dict) else dict.fromkeys([events] if isinstance(events, str) else events)

    @property
    def jobs(self) -> dict[str, Any]:
        jobs: dict[str, Any] = self.data.get("jobs", {})
        return jobs

    @property
    def steps(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(where, step) of every job, or of the composite action."""
        for job, content in self.jobs.items():
            yield from ((f"{self.name}, {job}", step) for step in content.get("steps", []))
        yield from ((self.name, step) for step in self.data.get("runs", {}).get("steps", []))


def parse(name: str, text: str) -> File:
    return File(name, text, yaml.safe_load(text))


@cache
def workflows() -> dict[str, File]:
    return {path.name: parse(path.name, path.read_text()) for path in sorted(GITHUB.glob("workflows/*.y*ml"))}


@cache
def actions() -> dict[str, File]:
    return {
        path.parent.name: parse(f"actions/{path.parent.name}", path.read_text())
        for path in sorted(GITHUB.glob("actions/*/action.y*ml"))
    }


@cache
def looked_up() -> dict[tuple[str, str], str]:
    """(action, SHA) → version: the rows of the record of decisions."""
    rows = re.findall(r"^\| ([\w.-]+/[\w.-]+) \| (v[\d.]+) \| ([0-9a-f]{40}) \|", ADR.read_text(), re.MULTILINE)
    return {(action, sha): version for action, version, sha in rows}


def actions_that_are_not_pinned(file: File) -> Iterator[str]:
    for where, step in file.steps:
        used = step.get("uses")
        if used is None:
            continue
        if used.startswith("./"):
            if not (ROOT / used / "action.yml").is_file():
                yield f"{where}: {used} is no action of ours."
            continue
        match = PINNED.match(used)
        version = looked_up().get((match[1], match[3])) if match else None
        if version is None:
            yield f"{where}: {used} is not pinned to a commit that is a row of {ADR.name}."
        elif f"uses: {used} # {version}\n" not in file.text:
            yield f"{where}: {used} wants its version as a comment: # {version}."


def permissions_that_are_not_least(file: File) -> Iterator[str]:
    if file.data.get("permissions") != {}:
        yield f"{file.name}: the top level is to say `permissions: {{}}`."
    for job, content in file.jobs.items():
        granted = content.get("permissions")
        if not isinstance(granted, dict) or not granted:
            yield f"{file.name}, {job}: it is to name each permission that it needs."
        elif set(granted.values()) - {"read", "write"}:
            yield f"{file.name}, {job}: a permission is read or write."


def jobs_without_bounds(file: File) -> Iterator[str]:
    if not {"group", "cancel-in-progress"} <= set(file.data.get("concurrency", ())):
        yield f"{file.name}: it is to say which runs exclude each other."
    for job, content in file.jobs.items():
        minutes = content.get("timeout-minutes")
        if not isinstance(minutes, int) or not 0 < minutes <= LONGEST:
            yield f"{file.name}, {job}: timeout-minutes is to be a number up to {LONGEST}."
        logs_in = any(step.get("uses") == "./.github/actions/clouds" for step in content["steps"])
        ours = "pull_request" not in file.events  # what runs others' code stays on GitHub's machines
        wanted = OWN_RUNNER if logs_in and ours else RUNNER
        if content.get("runs-on") != wanted:
            yield f"{file.name}, {job}: the runner is to be {wanted}."


def credentials_that_stay(file: File) -> Iterator[str]:
    for where, step in file.steps:
        kept = (step.get("with") or {}).get("persist-credentials")
        if step.get("uses", "").startswith("actions/checkout@") and kept is not False:
            yield f"{where}: a check-out is to say `persist-credentials: false`."


def scripts_that_are_no_single_command(file: File) -> Iterator[str]:
    default = file.data.get("defaults", {}).get("run", {}).get("shell")
    for where, step in file.steps:
        if "run" not in step:
            continue
        script = step["run"].strip()
        if "${{" in script:
            yield f"{where}: a value comes by env, never spliced into the script: {script[:60]}"
        if SECOND_COMMAND.search(QUOTED.sub("''", script)):
            yield f"{where}: a step is one command: {script[:60]}"
        if step.get("shell", default) != SHELL:
            yield f"{where}: the shell is to be {SHELL}."


def secrets_of_anybody(file: File) -> Iterator[str]:
    for number, line in enumerate(file.text.splitlines(), 1):
        if re.search(r"\bsecrets\s*[.\[]|secrets:\s", line):
            yield f"{file.name}:{number}: no secret but the job's own token, as github.token."


def queues_of_a_stack(file: File) -> Iterator[str]:
    """Whatever logs in to a cloud to look at or change a deployed stack waits its turn in that stack's queue."""
    everywhere = file.data.get("concurrency", {})
    for job, content in file.jobs.items():
        queue = content.get("concurrency", everywhere)
        if str(queue.get("group", "")).startswith("stack-"):
            if queue.get("queue") != "max" or queue.get("cancel-in-progress") is not False:
                yield f"{file.name}, {job}: a stack's queue cancels nothing: cancel-in-progress: false, queue: max."
            if queue["group"] not in STACK_GROUPS:
                yield f"{file.name}, {job}: a stack's queue has the name of its branch, as in {STACK_GROUPS[0]}."
        elif "pull_request" not in file.events and any("actions/clouds" in str(s) for s in content.get("steps", [])):
            yield f"{file.name}, {job}: it reaches a stack, and so belongs into the stack's queue."


STACK_GROUPS = ("stack-${{ github.ref_name }}", "stack-${{ matrix.target.branch }}")

RULES: tuple[Callable[[File], Iterator[str]], ...] = (
    actions_that_are_not_pinned,
    permissions_that_are_not_least,
    jobs_without_bounds,
    credentials_that_stay,
    scripts_that_are_no_single_command,
    secrets_of_anybody,
    queues_of_a_stack,
)


def problems(file: File, rules: tuple[Callable[[File], Iterator[str]], ...] = RULES) -> list[str]:
    return [sentence for rule in rules for sentence in rule(file)]
