"""The branch rollout-records: files that are only ever added, by several runs at once."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from rollout.errors import RolloutError

BRANCH = "rollout-records"
REF = f"refs/heads/{BRANCH}"
TRIES = 20  # races that one run may lose; each lost one is another run's record pushed
AUTHOR = {"NAME": "github-actions[bot]", "EMAIL": "41898282+github-actions[bot]@users.noreply.github.com"}


def remote() -> str:
    """The repository that a workflow runs for, else the `origin` of the current directory."""
    server, repository = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    if server and repository:
        return f"{server}/{repository}"
    code, said = _git(Path(), "", "remote", "get-url", "origin")
    if code:
        raise RolloutError("There is no repository to keep records in: name it with --remote.")
    return said.strip()


def fetch(address: str, records: Path) -> None:
    """Puts all records of the branch into a directory, which is made; it stays empty where the branch is not yet.

    :raises RolloutError: the repository cannot be reached, or the directory holds something else
    """
    records.mkdir(parents=True, exist_ok=True)
    if any(records.iterdir()):
        raise RolloutError(f"{records} is not empty: name a new directory for the records.")
    with _copy(address) as (directory, exists):
        if exists:
            for entry in directory.iterdir():
                if entry.name != ".git":
                    shutil.move(entry, records / entry.name)


def push(address: str, name: str, content: bytes, records: Path) -> None:
    """Adds a record to the branch, which is made if it is not there, and to the directory of records.

    :param name: STACK/FILE, of a checked record
    :raises RolloutError: the repository refuses, or has another record of this name: a record is never replaced
    """
    said = ""
    for _ in range(TRIES):
        with _copy(address) as (directory, _exists):
            target = directory / name
            if target.is_symlink() or target.parent.is_symlink():
                raise RolloutError(f"{name} on {BRANCH} is a link. Remove it: a record is a plain file.")
            if target.exists():
                if target.read_bytes() != content:
                    raise RolloutError(f"{BRANCH} has another record {name}; a record is never replaced.")
                break
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
            _must(directory, address, "add", "--", name)
            _must(directory, address, "commit", "--quiet", "--no-verify", "-m", f"Record {name}")
            code, said = _git(directory, address, "push", "--quiet", "origin", f"HEAD:{REF}")
            if not code:
                break
            if not _raced(said):
                raise RolloutError(f"The record {name} was not pushed to {BRANCH}: {_last(said)}")
    else:
        raise RolloutError(
            f"The record {name} lost {TRIES} races to be pushed to {BRANCH}; push it again: {_last(said)}"
        )
    kept = records / name
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content)


@contextmanager
def _copy(address: str) -> Iterator[tuple[Path, bool]]:
    """The branch as it is now in a repository of its own, and whether it is there; an orphan where it is not."""
    directory = Path(tempfile.mkdtemp(prefix="rollout-records-"))
    try:
        _must(directory, "", "init", "--quiet", f"--initial-branch={BRANCH}")
        _must(directory, "", "remote", "add", "origin", address)
        code, said = _git(directory, address, "ls-remote", "--exit-code", "origin", REF)
        if code not in (0, 2):  # 2: there is no such branch
            raise RolloutError(f"The records' repository cannot be reached: {_last(said)}")
        if code == 0:
            _must(directory, address, "fetch", "--quiet", "--depth=1", "origin", REF)
            _must(directory, address, "reset", "--quiet", "--hard", "FETCH_HEAD")
        yield directory, code == 0
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _raced(said: str) -> bool:
    """Whether a push was refused as the branch had moved, or was being moved, by another."""
    return any(
        text in said
        for text in ("fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref", "already exists")
    )


def _must(directory: Path, address: str, *words: str) -> None:
    code, said = _git(directory, address, *words)
    if code:
        raise RolloutError(f"git {words[0]} failed on the records: {_last(said)}")


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["git says nothing."])[-1]


def _git(directory: Path, address: str, *words: str) -> tuple[int, str]:
    """Runs git with the token, if there is one, in its environment alone: no argument and no file holds it."""
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in AUTHOR.items()},
    }
    settings = {"core.hooksPath": os.devnull, "commit.gpgSign": "false", "core.symlinks": "false"}
    token, host = os.environ.get("GITHUB_TOKEN"), urlsplit(address)
    if token and host.scheme == "https" and address.startswith(f"{os.environ.get('GITHUB_SERVER_URL')}/"):
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        settings[f"http.https://{host.netloc}/.extraheader"] = f"AUTHORIZATION: basic {basic}"
    environment["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings.items()):
        environment[f"GIT_CONFIG_KEY_{number}"], environment[f"GIT_CONFIG_VALUE_{number}"] = key, value
    try:
        command = ["git", *words]
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RolloutError(f"git cannot be run ({error.strerror}): records are kept with it.") from error
    return done.returncode, done.stdout + done.stderr
