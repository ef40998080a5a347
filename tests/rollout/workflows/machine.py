"""A machine that runs the workflows end to end: act on the host, a repository of its own, stubs for what is of others.

Real here: the workflow files, our composite actions, every command of `python -m rollout`, git, jq. Not real: what
`stub.py` stands in for, and GitHub (`fake_github.py`). act enforces no branch filter, no queue (it does not even know
`queue: max`, which is taken out for it), no environment and no permission, and has no OIDC: test_rules.py holds these.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollout import branches
from tests.rollout.fake_github import FakeGitHub
from tests.rollout.workflows import reading

ROOT = reading.ROOT
STUB = Path(__file__).parent / "stub.py"
COMMANDS = ("docker", "gh", "pulumi", "sudo")
SECONDS = 120  # no run takes so long; one that does hangs
RELEASE = "sha256:" + "0" * 64
PROGRAM = '''"""A program that needs no cloud: one component, one output."""

import pulumi


class Thing(pulumi.ComponentResource):
    def __init__(self, name: str, size: str) -> None:
        super().__init__("small:index:Thing", name, {"size": size})
        self.register_outputs({"size": size})


Thing("thing", pulumi.Config("small").require("size"))
pulumi.export("release", pulumi.Config("groundwork").require("release"))
'''
# The project's own make is tried elsewhere; here each target says that it ran, and policy leaves a pack.
MAKEFILE = """install-workflow-tools test:
\t@echo ran make $@ $(ALL)
policy:
\t@mkdir -p $(EVIDENCE) && echo '{}' >$(EVIDENCE)/results.sarif && echo ran make $@
"""


@dataclass
class Ran:
    """One run of a workflow."""

    code: int
    lines: list[dict[str, Any]]

    @property
    def jobs(self) -> dict[str, str]:
        """Job → how it ended, of those that ran."""
        return {line["jobID"]: line["jobResult"] for line in self.lines if "jobResult" in line}

    @property
    def text(self) -> str:
        """What was printed, for people, but for what act says of where it found an action."""
        told = [line for line in self.lines if not line["msg"].startswith("LocalRepositoryCache")]
        return "\n".join(f"{line.get('jobID', '')}: {line['msg'].rstrip()}" for line in told)

    def steps(self, job: str) -> dict[str, str]:
        """A job's steps that ran → success, failure or skipped."""
        return {
            line["step"]: line["stepResult"]
            for line in self.lines
            if line.get("jobID") == job
            and "stepResult" in line
            and line.get("stage") == "Main"
            and line["stepID"][1:] == []
        }


@dataclass
class Machine:
    """A repository in `folder` that GitHub runs workflows for."""

    folder: Path
    github: FakeGitHub
    variables: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        if self.folder.exists() and any(self.folder.iterdir()):
            return  # a copy
        for path in (self.origin, self.held / "artifacts", self.folder / "bin", self.folder / "home"):
            path.mkdir(parents=True)
        (self.held / "log").touch()
        (self.held / "signed").touch()
        for name in COMMANDS:
            script = self.folder / "bin" / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STUB}" command {name} "$@"\n')
            script.chmod(0o755)
        self._stub_actions()
        self._make_repository()

    @property
    def origin(self) -> Path:
        """The repository, at the path that it has on the server whose address is `folder`/server."""
        return self.folder / "server" / self.github.repository

    @property
    def server(self) -> str:
        """The address of the server that holds the repository."""
        return f"file://{self.folder}/server"

    @property
    def held(self) -> Path:
        return self.folder / "held"

    @property
    def log(self) -> list[dict[str, Any]]:
        """What the stubs were asked, in order."""
        return [json.loads(line) for line in (self.held / "log").read_text().splitlines()]

    def commands(self, name: str) -> list[str]:
        """The words of each call of a stubbed program."""
        return [" ".join(row["words"]) for row in self.log if row.get("command") == name]

    def artifacts(self) -> set[str]:
        return {path.name for path in (self.held / "artifacts").iterdir()}

    def git(self, *words: str, folder: Path | None = None) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
        done = subprocess.run(
            ["git", "-C", str(folder or self.origin), *who, *words],
            env={key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, branch: str, files: dict[str, str], start: str = "", message: str = "Change") -> str:
        """Commits files on a branch, made anew at `start` if that is given; leaves it checked out. The commit."""
        self.git("switch", "--quiet", *(["--force-create", branch, start] if start else [branch]))
        for name, content in files.items():
            (self.origin / name).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def merge(self, branch: str, into: str, start: str = "") -> str:
        """The merge commit of a branch on `into`, which is made anew at `start` if that is given."""
        self.git("switch", "--quiet", *(["--force-create", into, start] if start else [into]))
        self.git("merge", "--quiet", "--no-ff", "--message", f"Merge {branch}", branch)
        return self.git("rev-parse", "HEAD")

    def copy(self, folder: Path, github: FakeGitHub) -> Machine:
        """Another machine that goes on from here, with another GitHub."""
        shutil.copytree(self.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("home"))
        (folder / "home").mkdir()
        return Machine(folder, github, dict(self.variables), self.runs)

    def run(self, event: str, workflow: str, payload: dict[str, Any], at: str, **options: str) -> Ran:
        """Runs a workflow for an event at a commit or branch, which is checked out. options: inputs of a dispatch."""
        self.git("checkout", "--quiet", "--detach", at)
        self.runs += 1
        for path in (self.held / "artifacts").iterdir():
            shutil.rmtree(path)  # artifacts are of a run
        told = self.folder / "event.json"
        told.write_text(json.dumps({"inputs": options, **payload} if options else payload))
        command = [_act(), event, "--json", "-C", str(self.origin), "-W", f".github/workflows/{workflow}"]
        command += ["-P", f"{reading.RUNNER}=-self-hosted", "--eventpath", str(told), "--actor", "someone"]
        command += ["--no-skip-checkout", "--no-cache-server", "--container-daemon-socket", "-"]
        command += ["--secret", f"GITHUB_TOKEN={self.github.token}"]
        for match, _ in _of_others():
            stub = self.folder / "stubs" / match[1].replace("/", "+")
            command += ["--local-repository", f"{self.server}/{match[1]}@{match[3]}={stub}"]
        for name, value in self._environment().items():
            command += ["--env", f"{name}={value}"]
        for name, value in self.variables.items():
            command += ["--var", f"{name}={value}"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "GIT_", "PULUMI_"))}
        done = subprocess.run(
            command,
            env=kept | {"HOME": str(self.folder / "home"), "XDG_CACHE_HOME": str(self.folder / "home/.cache")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return Ran(done.returncode, lines)

    def _environment(self) -> dict[str, str]:
        server = {key: value for key, value in self.github.environment.items() if key != "GITHUB_TOKEN"}
        return server | {
            "GITHUB_RUN_ID": str(9000 + self.runs),
            "GITHUB_SERVER_URL": self.server,
            "PATH": os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "STUB_HELD": str(self.held),
            "STUB_ORIGIN": str(self.origin),
        }

    def _stub_actions(self) -> None:
        """An action for each of others that is used, with the inputs that it is given anywhere."""
        every = {"name", "path", "pattern", "ref", "fetch-depth", "merge-multiple", "if-no-files-found"}
        every |= {"subject-path", "subject-name", "subject-digest"}
        for match, step in _of_others():
            folder = self.folder / "stubs" / match[1].replace("/", "+") / match[2].strip("/")
            folder.mkdir(parents=True, exist_ok=True)
            known = folder / "action.yml"
            asked = (
                every
                | set(step.get("with", {}))
                | set(json.loads(known.read_text())["inputs"] if known.exists() else ())
            )
            script = f'"{sys.executable}" "{STUB}" action {match[1]} "$GIVEN"'
            action = {
                "name": match[1],
                "inputs": {name: {"required": False, "default": ""} for name in sorted(asked)},
                "runs": {
                    "using": "composite",
                    "steps": [{"shell": "bash", "env": {"GIVEN": "${{ toJSON(inputs) }}"}, "run": script}],
                },
            }
            known.write_text(json.dumps(action))

    def _make_repository(self) -> None:
        shutil.copytree(reading.GITHUB, self.origin / ".github")
        for path in (self.origin / ".github/workflows").glob("*.yml"):
            path.write_text(re.sub(r"^ *queue: max\n", "", path.read_text(), flags=re.MULTILINE))
        (self.origin / "__main__.py").write_text(PROGRAM)
        (self.origin / "Pulumi.yaml").write_text("name: small\nruntime: python\n")
        (self.origin / "Makefile").write_text(MAKEFILE)
        (self.origin / ".python-version").write_text("3.11\n")
        (self.origin / ".gitignore").write_text(".venv\n.localcloud/\n__pycache__/\n")
        install = self.origin / "install.sh"
        install.write_text(f'#!/bin/sh\necho "installed $1"\nln -sfn "{sys.prefix}" .venv\n')
        install.chmod(0o755)
        rows = branches.read().rows
        for row in rows:
            settings = f'config:\n  groundwork:release: {RELEASE}\n  small:size: "1"\n'
            (self.origin / f"Pulumi.{row.stack}.yaml").write_text(settings)
        self.git("init", "--quiet")
        self.git("remote", "add", "origin", f"https://github.com/{self.github.repository}.git")
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.git("config", "receive.denyCurrentBranch", "ignore")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Begin")
        for row in rows:
            self.git("branch", "--force", row.branch) if row.branch != "main" else None


def _of_others() -> list[tuple[re.Match[str], dict[str, Any]]]:
    """Every step that uses an action of others: (action, path in it, commit), and the step."""
    files = [*reading.workflows().values(), *reading.actions().values()]
    steps = [step for file in files for _, step in file.steps]
    return [(match, step) for step in steps if (match := reading.PINNED.match(step.get("uses", "")))]


def found() -> bool:
    """Whether act is here to run workflows."""
    return bool(_act())


def _act() -> str:
    return shutil.which("act", path=os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]])) or ""
