"""The files of another commit: a git work tree in a temporary directory that is always removed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rollout.errors import RolloutError

COMMIT = re.compile(r"[0-9a-f]{40}")
NO_HOOKS = ("-c", "core.hooksPath=/dev/null")  # a work tree is for reading: nothing of it runs when it is made


def git(directory: Path, *words: str) -> str:
    """What a git command says, without its last line break.

    :raises RolloutError: it fails, or git is not installed
    """
    try:
        command = ["git", *NO_HOOKS, "-C", str(directory), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RolloutError(f"git cannot be run ({error.strerror}): a deployment is of a commit.") from error
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise RolloutError(f"git {words[0]} failed in {directory}: {why}")
    return done.stdout.rstrip("\n")


def commit(directory: Path) -> str:
    """The commit that a directory's files are of, 40 hex digits.

    :raises RolloutError: a file that git knows differs from the commit, so that no commit would say what is deployed
    """
    if changed := git(directory, "status", "--porcelain", "--untracked-files=no", "--", "."):
        names = ", ".join(line[3:] for line in changed.splitlines()[:3])
        raise RolloutError(f"These files differ from their commit: {names}. Commit them, or restore them.")
    return git(directory, "rev-parse", "--verify", "HEAD^{commit}")


def before(directory: Path) -> str:
    """The commit that the branch had before the one that is checked out: the first parent of a merge or a squash.

    :raises RolloutError: the clone does not have it
    """
    try:
        return git(directory, "rev-parse", "--verify", "HEAD^1^{commit}")
    except RolloutError as error:
        raise RolloutError(
            f"{error}. The branch's commit before this one is needed: clone the whole history (fetch-depth: 0)."
        ) from None


@contextlib.contextmanager
def at(wanted: str, directory: Path, shared: Sequence[str] = ()) -> Iterator[Path]:
    """A project directory as it was at a commit.

    :param wanted: 40 hex digits
    :param directory: the project's directory, somewhere in a git repository that has the commit
    :param shared: names in the directory that the work tree has as well, the same and not a copy; what is not there
        is made
    :raises RolloutError: the repository does not have the commit
    """
    if not COMMIT.fullmatch(wanted):
        raise RolloutError(f"{wanted[:60]!a} is no commit: 40 hex digits name one.")
    top = Path(git(directory, "rev-parse", "--show-toplevel"))
    inside = directory.resolve().relative_to(top.resolve())
    made = Path(tempfile.mkdtemp(prefix="rollout-"))
    tree = made / "tree"
    try:
        try:
            git(top, "worktree", "add", "--detach", "--quiet", str(tree), wanted)
        except RolloutError as error:
            raise RolloutError(
                f"{error}. If the commit is older than this clone, clone the whole history (fetch-depth: 0)."
            ) from None
        if not (tree / inside).is_dir():
            raise RolloutError(f"The commit {wanted} has no directory {inside}.")
        for name in shared:
            (directory / name).mkdir(mode=0o700, exist_ok=True)
            (tree / inside / name).symlink_to((directory / name).resolve())
        yield tree / inside
    finally:
        shutil.rmtree(made, ignore_errors=True)
        with contextlib.suppress(RolloutError):
            git(top, "worktree", "prune")


def environment(directory: Path) -> dict[str, str]:
    """The environment in which Python runs the code of a directory: an installed project points elsewhere."""
    rest = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(directory), *([rest] if rest else [])])}
