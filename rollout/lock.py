"""Who holds a stack's lock, and letting go of what CI itself left behind: `python -m rollout lock …`.

Pulumi locks a stack of a backend that people host themselves by an object beside its state, and takes every object
there for a lock (pulumi/pulumi, pkg/backend/diy/lock.go and store.go, as of v3.260):

    .pulumi/locks/organization/PROJECT/STACK/UUID.json     where .pulumi/meta.yaml says version 1
    .pulumi/locks/STACK/UUID.json                          where there is none, or it says 0

It holds `pid`, `username`, `hostname` and `timestamp`. Workflows give their runner the host name `run-RUN-ATTEMPT`
before Pulumi runs, so that each lock of theirs says which run it is of. A preview takes none.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from rollout import backend
from rollout.backend import Backend, Object
from rollout.errors import RolloutError
from rollout.github import Api, ApiError

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")  # of stacks and projects, as Pulumi has them
RUN = re.compile(r"run-([1-9][0-9]{0,18})-([1-9][0-9]{0,3})")
TEXT = 200  # characters of what a lock says
NOT_FOUND = 404
FORCE = "pulumi cancel --stack {stack}"


@dataclass(frozen=True)
class Lock:
    """One lock. `run` is GitHub's run and attempt where CI took it; `flaw` says why it cannot be read, or is empty."""

    found: Object
    host: str = ""
    user: str = ""
    process: int = 0
    since: datetime | None = None
    run: tuple[int, int] | None = None
    flaw: str = ""

    def holder(self) -> str:
        """Who holds it, in words."""
        if self.flaw:
            return f"nobody can tell who: {self.flaw}"
        if self.run:
            return f"run {self.run[0]} of CI, attempt {self.run[1]}"
        return f"{self.user} on {self.host} (process {self.process}), who is not CI"


def locks(where: Backend, project: str, stack: str) -> list[Lock]:
    """The locks of a stack, the oldest first."""
    under = f".pulumi/locks/{f'organization/{project}/' if _has_projects(where) else ''}{stack}/"
    names = [name for name in where.list(under) if "/" not in name.removeprefix(under)]
    found = [parsed(one) for one in map(where.read, names) if one is not None]
    return sorted(found, key=lambda lock: (lock.since or datetime.min.replace(tzinfo=UTC), lock.found.name))


def _has_projects(where: Backend) -> bool:
    """Whether the backend keeps stacks by project, which its one file of metadata says."""
    meta = where.read(".pulumi/meta.yaml")
    try:
        version = yaml.safe_load(meta.data)["version"] if meta else 0
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError, RecursionError):
        version = None
    if version not in (0, 1) or isinstance(version, bool):
        raise RolloutError(
            f".pulumi/meta.yaml in {where.url} says no version that is known (0 or 1); nothing was done."
        )
    return version == 1


def parsed(found: Object) -> Lock:
    """What an object among the locks says. Whatever it is, it is a lock to Pulumi."""
    try:
        content = json.loads(found.data)
        host, user, process = content["hostname"], content["username"], content["pid"]
        since = datetime.fromisoformat(_microseconds(content["timestamp"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return Lock(found, flaw=f"its lock is not of Pulumi's form ({type(error).__name__})")
    fits = isinstance(host, str) and isinstance(user, str) and type(process) is int and since.tzinfo
    if not fits or not host or any(not text.isprintable() or len(text) > TEXT for text in (host, user)):
        return Lock(found, flaw="its lock is not of Pulumi's form")
    match = RUN.fullmatch(host)
    run = (int(match[1]), int(match[2])) if match else None
    return Lock(found, host, user, process, since.astimezone(UTC), run)


def _microseconds(timestamp: str) -> str:
    """Go writes up to nine digits of a second, Python reads six."""
    return re.sub(r"(\.\d{6})\d+", r"\1", timestamp)


def release_own(where: Backend, held: Sequence[Lock]) -> list[str]:
    """Removes the locks of this run, or (on a laptop) of this machine's own processes that have ended.

    Returns a sentence for each that was removed. Raises RolloutError where one still runs or has changed.
    """
    run = (os.environ.get("GITHUB_RUN_ID", ""), os.environ.get("GITHUB_RUN_ATTEMPT", ""))
    host = "run-{}-{}".format(*run) if all(run) else socket.gethostname()
    own = [lock for lock in held if not lock.flaw and lock.host == host]
    for lock in own:
        if lock.host == socket.gethostname() and _runs(lock.process):
            raise RolloutError(
                f"Process {lock.process} of this machine holds the lock and still runs: end it with Ctrl-C first, and "
                "wait until it has."
            )
    return [_remove(where, lock) for lock in own]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return process > 0


def break_stale(where: Backend, held: Sequence[Lock], stack: str, api: Callable[[], Api]) -> list[str]:
    """Removes the locks of runs of CI that GitHub says are over, and no other.

    Returns a sentence for each that was removed. Raises RolloutError if any is left, having removed what may be.
    """
    done, left = [], []
    for lock in held:
        reason = _why_not(lock, stack, api)
        if reason:
            left.append(reason)
        else:
            done.append(_remove(where, lock))
    if left:
        raise RolloutError("\n".join([*left, *(f"Besides: {sentence}" for sentence in done)]))
    return done


def _why_not(lock: Lock, stack: str, api: Callable[[], Api]) -> str:
    """Why a lock is not to be broken; empty if it may be."""
    force = f"`{FORCE.format(stack=stack)}`"
    if lock.run is None:
        since = f" since {_time(lock.since)}" if lock.since else ""
        return (
            f"{stack} is held{since}, and {lock.holder()}. It is not broken here: ask them, and if nothing of theirs "
            f"runs any more, run {force} by hand."
        )
    try:
        answer = api().get("actions/runs/{}/attempts/{}".format(*lock.run))
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        return (
            f"{stack} is held by {lock.holder()}, which this repository does not have (any more). Whoever knows that "
            f"nothing runs there runs {force} by hand."
        )
    status = answer.get("status") if isinstance(answer, dict) else None
    if status == "completed":
        return ""
    words = str(status).replace("_", " ") if status in ("in_progress", "queued", "waiting", "pending") else "not over"
    return f"{stack} is held by {lock.holder()}, which is {words}: wait for it{_at(lock)}."


def _remove(where: Backend, lock: Lock) -> str:
    if not where.delete(lock.found):
        raise RolloutError(
            f"The lock of {lock.holder()} has changed or gone while it was looked at; it was not removed. Run "
            "`python -m rollout lock status` to see who holds the stack now."
        )
    return f"Removed the lock of {lock.holder()}, held since {_time(lock.since)}."


def _link(lock: Lock) -> str:
    repository = os.environ.get("GITHUB_REPOSITORY", "")
    if lock.run is None or not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", repository):
        return ""
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    return "{}/{}/actions/runs/{}/attempts/{}".format(server, repository, *lock.run)


def _at(lock: Lock) -> str:
    link = _link(lock)
    return f" ({link})" if link else ""


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "an unknown time"


def lasting(seconds: float) -> str:
    """A time span in words, its two largest units."""
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    left = max(0, int(seconds))
    words: list[str] = []
    for size, unit in units:
        if left >= size or (size == 1 and not words):
            words.append(f"{left // size} {unit}")
            left %= size
    return " ".join(words[:2])


def described(lock: Lock, now: datetime) -> dict[str, Any]:
    """A lock as JSON: `seconds` is how long it is held; `run` is null where CI did not take it."""
    return {
        "name": lock.found.name,
        "readable": not lock.flaw,
        "holder": lock.holder(),
        "user": lock.user,
        "host": lock.host,
        "process": lock.process,
        "since": lock.since.isoformat() if lock.since else None,
        "seconds": int((now - lock.since).total_seconds()) if lock.since else None,
        "run": {"id": lock.run[0], "attempt": lock.run[1], "url": _link(lock) or None} if lock.run else None,
    }


def table(stack: str, held: Sequence[Lock], now: datetime) -> str:
    """Who holds the stack, for people."""
    if not held:
        return f"Nobody holds {stack}.\n"
    lines = [f"{stack} is held by {len(held)} {'lock' if len(held) == 1 else 'locks'}:"]
    for lock in held:
        span = f"for {lasting((now - lock.since).total_seconds())}, since {_time(lock.since)}" if lock.since else ""
        lines += [f"  {lock.holder()}", *(f"    {line}" for line in (span, _link(lock), lock.found.name) if line)]
    return "\n".join(lines) + "\n"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The three things that can be done about a lock."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    status = verbs.add_parser("status", help="who holds the stack, since when, for how long")
    status.add_argument("--json", action="store_true", help="the same as JSON")
    release = verbs.add_parser("release", help="let go of what this run, or this machine, left")
    release.add_argument("--own", action="store_true", required=True, help="of its own locks alone; there is no other")
    stale = verbs.add_parser("break-stale", help="let go of what runs of CI left that GitHub says are over")
    for verb in (status, release, stale):
        verb.add_argument("--stack", required=True, help="the stack")
        verb.add_argument("-C", "--cwd", type=Path, default=Path(), metavar="DIR", help="the project's directory")


def run(options: argparse.Namespace) -> int:
    """Looks at the locks in the backend that PULUMI_BACKEND_URL names, and does what is asked."""
    url = os.environ.get("PULUMI_BACKEND_URL", "")
    if not url:
        raise RolloutError(
            f"PULUMI_BACKEND_URL is not set: it says where the state is, as {backend.FORMS}. "
            "`pulumi whoami -v` tells it."
        )
    project, stack = _project(options.cwd), options.stack
    if not NAME.fullmatch(stack):
        raise RolloutError(f"{stack[:100]!a} is no name of a stack.")
    where = backend.connect(url)
    held = locks(where, project, stack)
    if options.verb == "status":
        now = datetime.now(UTC)
        rows = {"version": 1, "stack": stack, "locks": [described(lock, now) for lock in held]}
        sys.stdout.write(json.dumps(rows, indent=2) + "\n" if options.json else table(stack, held, now))
        return 0
    if options.verb == "release":
        done = release_own(where, held)
        nothing = f"This run holds no lock of {stack}."
    else:
        done = break_stale(where, held, stack, Api.from_environment)
        nothing = f"Nobody holds {stack}."
    sys.stdout.write("\n".join(done or [nothing]) + "\n")
    return 0


def _project(directory: Path) -> str:
    try:
        name = yaml.safe_load((directory / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        name = None
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RolloutError("No Pulumi.yaml with the project's name was found: run this in the project, or use -C DIR.")
    return name
