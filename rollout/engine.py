"""What brings stacks up: a command line that speaks as the Pulumi CLI does. What differs between the two is data."""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from localcloud import project
from localcloud.errors import LocalcloudError
from localcloud.state import StateFile
from rollout import branches, worktree
from rollout.errors import RolloutError
from rollout.plans import RELEASE_KEY
from rollout.redact import HIDDEN, Redactor

LARGEST = 200_000_000  # bytes of one answer; the digest of our largest stack has 3 million
GRACE = 120.0  # seconds that an engine is given to end in order once it was told to stop
# What a digest counts and what is no change: as the CLI's own `--expect-no-changes`, and the refresh itself.
UNCHANGED = frozenset({"same", "read", "read-replacement", "discard", "refresh"})
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")


@dataclass(frozen=True)
class Dialect:
    """One command line. Words come after `command` and before `-C DIR -s STACK`.

    select: makes the stack where there is none yet; its word `{key}` is the provider of the state's secrets. state:
    prints the state; left empty, the state is localcloud's file. install: what a work tree needs to be run first.
    shared: directories of the project that its work trees have as well, as the state is there.
    """

    command: tuple[str, ...]
    select: tuple[str, ...]
    preview: tuple[str, ...]
    up: tuple[str, ...]
    outputs: tuple[str, ...]
    state: tuple[str, ...]
    install: tuple[str, ...]
    shared: tuple[str, ...]
    environment: Mapping[str, str]


_QUIET = ("--non-interactive", "--color", "never")
ENGINES = {
    "pulumi": Dialect(
        command=("pulumi",),
        select=("stack", "select", "--create", "--secrets-provider", "{key}", *_QUIET),
        preview=("preview", "--json", "--refresh", *_QUIET),
        up=("up", "--yes", "--skip-preview", "--refresh", "--suppress-outputs", *_QUIET),
        outputs=("stack", "output", "--json", *_QUIET),
        state=("stack", "export", *_QUIET),
        install=("./install.sh", "plan"),
        shared=(),
        environment={
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # The settings in git name no provider of secrets: the state knows its own.
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        },
    ),
    "localcloud": Dialect(
        command=(sys.executable, "-m", "localcloud"),
        select=(),
        preview=("preview", "--json", "--refresh"),
        up=("up", "--refresh"),
        outputs=("output", "--json"),
        state=(),
        install=(),
        shared=(project.DIRECTORY,),
        environment={},
    ),
}


@dataclass(frozen=True)
class Engine:
    """One stack as the files of a directory declare it, with a release. Whatever fails raises RolloutError.

    settings: further `KEY=VALUE`, as for `-c`.
    """

    name: str
    directory: Path
    stack: str
    release: str
    settings: tuple[str, ...] = ()
    redactor: Redactor = field(default_factory=Redactor)

    @property
    def dialect(self) -> Dialect:
        """What this engine's command line is like."""
        return ENGINES[self.name]

    def select(self) -> None:
        """Makes the stack's state where there is none. Its secrets are for the key that STATE_KEY names."""
        words = self.dialect.select
        if words:
            key = os.environ.get("STATE_KEY", "")
            if not key:
                raise RolloutError("STATE_KEY is not set: it names the key of the state's secrets, as awskms://… does.")
            self._run([key if word == "{key}" else word for word in words], "Stack")

    def plan(self) -> dict[str, Any]:
        """The plan, made without an account by the code of the directory."""
        words = [sys.executable, "-m", "localcloud", "plan", "--json", *self._where, *self._configured]
        return _json(self._execute(words, "Plan"), "The plan")

    def preview(self) -> dict[str, Any]:
        """Pulumi's own digest of what `up` would do, after asking the cloud what is there. Changes nothing."""
        digest = _json(self._run([*self.dialect.preview], "Preview", configured=True), "The preview")
        if not isinstance(digest.get("changeSummary"), dict) or not isinstance(digest.get("steps", []), list):
            raise RolloutError("The preview is not of the form that Pulumi prints: it has no changeSummary.")
        return digest

    def up(self, targets: Iterable[str] = ()) -> None:
        """Brings the stack, or only some URNs of it, to what is declared."""
        chosen = [word for urn in targets for word in ("--target", urn)]
        self._run([*self.dialect.up, *chosen], "Up", configured=True, answer=False)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; a secret one is the text `[secret]`."""
        return _json(self._run([*self.dialect.outputs], "Outputs"), "The outputs")

    def state(self) -> bytes:
        """The state as it is kept, with its times; nothing where no deployment was begun yet."""
        if self.dialect.state:
            return self._run([*self.dialect.state], "State")
        try:
            return StateFile(project.load(self.directory, self.stack, self.settings, paths=True).state_file).content()
        except (LocalcloudError, OSError) as error:
            raise RolloutError(f"The state of {self.stack} cannot be read: {error}") from error

    def resources(self) -> list[dict[str, Any]]:
        """The rows of the state, as Pulumi writes them; none where there is no state yet."""
        content = self.state()
        try:
            deployment = json.loads(content)["deployment"] if content else {}
            rows: list[dict[str, Any]] = (deployment or {}).get("resources") or []
            pending = (deployment or {}).get("pending_operations") or []
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RolloutError(f"The state of {self.stack} cannot be read back ({type(error).__name__}).") from error
        if pending:
            raise RolloutError(
                f"The state of {self.stack} has {len(pending)} operations of which nobody knows the end."
            )
        return rows

    def install(self) -> None:
        """Installs what the directory's own code needs, where this engine runs it with an environment of its own."""
        if self.dialect.install:
            self._execute(self.dialect.install, "Install", answer=False)

    @property
    def _where(self) -> tuple[str, ...]:
        return ("-C", str(self.directory), "-s", self.stack)

    @property
    def _configured(self) -> list[str]:
        settings = (f"{RELEASE_KEY}={self.release}", *self.settings)
        return [*(word for text in settings for word in ("-c", text)), "--config-path"]

    def _run(self, words: Sequence[str], title: str, *, configured: bool = False, answer: bool = True) -> bytes:
        more = self._configured if configured else []
        return self._execute([*self.dialect.command, *words, *self._where, *more], title, answer=answer)

    def _execute(self, words: Sequence[str], title: str, *, answer: bool = True) -> bytes:
        environment = {**worktree.environment(self.directory), **self.dialect.environment}
        with group(f"{title} of {self.stack}", self.redactor) as show:
            code, content = execute(words, self.directory, environment, show, answer=answer)
        if code:
            raise RolloutError(
                f"`{Path(words[0]).name} … {title.lower()}` of {self.stack} ended with {code}; see above."
            )
        return content


@dataclass
class Show:
    """Writes lines of a tool where people read them: no secret, no control character, no key over several lines."""

    redactor: Redactor
    in_key: bool = False

    def __call__(self, line: str) -> None:
        text = _ESCAPE.sub("", line.rstrip("\r\n"))
        text = "".join(letter if letter.isprintable() or letter == "\t" else "?" for letter in text)
        if self.in_key or "PRIVATE KEY" in text:
            self.in_key = "-----END" not in text and (self.in_key or "-----BEGIN" in text)
            text = HIDDEN
        sys.stderr.write(f"{self.redactor.text(text)}\n")
        sys.stderr.flush()


@contextmanager
def group(title: str, redactor: Redactor) -> Iterator[Show]:
    """Folds what is shown inside where a workflow runs, and lets none of it be a command to the runner: a program's
    output may hold `::add-mask::` or `::set-output`. Nobody who does not know the token can end that."""
    show = Show(redactor)
    if os.environ.get("GITHUB_ACTIONS") != "true":
        sys.stderr.write(f"{title}\n")
        yield show
        return
    token = secrets.token_hex(16)
    sys.stderr.write(f"::group::{title}\n::stop-commands::{token}\n")
    sys.stderr.flush()
    try:
        yield show
    finally:
        sys.stderr.write(f"::{token}::\n::endgroup::\n")
        sys.stderr.flush()


def execute(
    words: Sequence[str], directory: Path, environment: Mapping[str, str], show: Show, *, answer: bool
) -> tuple[int, bytes]:
    """Runs a command to its end; its exit code and, if `answer`, what it printed. All else that it says is shown.

    It is in a process group of its own: Ctrl-C reaches it once, from here, so that it ends in order.
    """
    try:
        process = subprocess.Popen(
            list(words),
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if answer else subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise RolloutError(f"{Path(words[0]).name} cannot be run ({error.strerror}). Is it installed?") from error
    said = process.stderr if answer else process.stdout
    teller = threading.Thread(target=_tell, args=(said, show), daemon=True)
    teller.start()
    try:
        content = process.stdout.read(LARGEST + 1) if answer and process.stdout else b""
        if len(content) > LARGEST:
            raise RolloutError(f"{Path(words[0]).name} prints over {LARGEST} bytes; that is no answer.")
        code = process.wait()
    except BaseException:
        _stop(process, drain=answer)
        raise
    finally:
        teller.join(timeout=5)
    return code, content


def _tell(stream: IO[bytes] | None, show: Show) -> None:
    for line in stream or ():
        show(line.decode(errors="replace"))


def _stop(process: subprocess.Popen[bytes], *, drain: bool) -> None:
    """Ends a command in order: it writes down what it did and lets go of its lock. After the grace it is killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        if drain and process.stdout:  # it must not wait for a reader of its answer
            threading.Thread(target=process.stdout.read, daemon=True).start()
        try:
            process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def changes(digest: Mapping[str, Any]) -> dict[str, int]:
    """How many resources a preview would change, by operation."""
    return {op: number for op, number in digest["changeSummary"].items() if op not in UNCHANGED and number}


def counted(found: Mapping[str, int]) -> str:
    """`3 to create, 1 to update`, or `0 changes`."""
    return ", ".join(f"{number} to {op}" for op, number in sorted(found.items())) or "0 changes"


def _json(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RolloutError(f"{what} is no JSON; see what was said above.") from error
    if not isinstance(document, dict):
        raise RolloutError(f"{what} is no JSON object; see what was said above.")
    return document


def add_engine(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what a stack is of, and what brings it up."""
    parser.add_argument("-C", "--cwd", type=Path, default=Path(), metavar="DIR", help="the project's directory")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="pulumi")
    parser.add_argument("-c", "--config", action="append", default=[], metavar="KEY=VALUE", help="a setting to use")
    parser.add_argument("--unsigned", action="store_true", help="believe records that nobody signed (a laptop)")
    parser.add_argument("--map", type=Path, default=branches.MAP, help="the file to read for .github/branches.yaml")


def engines(options: argparse.Namespace, redactor: Redactor) -> Callable[[Path, str], Engine]:
    """Gives engines as the arguments say."""

    def engine(directory: Path, release: str) -> Engine:
        return Engine(options.engine, directory, options.stack, release, tuple(options.config), redactor)

    return engine
