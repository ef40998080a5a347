"""Which branch changes which stack: the reader of .github/branches.yaml, and `python -m rollout resolve`.

Everything here fails closed: what the map does not say word for word is refused.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from rollout import outputs
from rollout.errors import RolloutError

MAP = Path(__file__).parents[1] / ".github" / "branches.yaml"
# No slash and no dot: nothing in the map can look like a path, a range of commits or another ref.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
REVIEWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+")
MERGE_REF = re.compile(r"refs/pull/[1-9][0-9]{0,9}/merge")
EVENTS = ("push", "workflow_dispatch", "schedule", "pull_request")


@dataclass(frozen=True)
class Branch:
    """A row of the map: who pushes to `branch` changes `stack`, with the identity of `environment`."""

    branch: str
    environment: str
    stack: str
    reviewers: tuple[str, ...]


@dataclass(frozen=True)
class Map:
    """The rows in the order of promotion, and the default branch, whose code runs what is scheduled."""

    default: str
    rows: tuple[Branch, ...]

    def of_branch(self, branch: str) -> Branch | None:
        """The row of a branch, by its short name."""
        return next((row for row in self.rows if row.branch == branch), None)

    def of_stack(self, stack: str) -> Branch | None:
        """The row of a stack; None for one that no branch changes."""
        return next((row for row in self.rows if row.stack == stack), None)

    def before(self, stack: str) -> Branch | None:
        """The row that a stack takes its image from; None for the first, which is given what was built.

        :raises RolloutError: no branch changes this stack
        """
        stacks = [row.stack for row in self.rows]
        if stack not in stacks:
            raise RolloutError(f"No branch of {MAP.name} changes the stack {shown(stack)}: it has no stack before it.")
        at = stacks.index(stack)
        return self.rows[at - 1] if at else None


@dataclass(frozen=True)
class Target:
    """A stack that an event may look at (`identity` "plan") or change ("apply")."""

    stack: str
    environment: str
    branch: str
    before: str | None
    identity: str


@dataclass(frozen=True)
class Resolution:
    """What an event at a ref may touch."""

    event: str
    ref: str
    stacks: tuple[Target, ...]


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, of which PyYAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise RolloutError(f"the key {shown(key)} is given twice")
        return super().construct_mapping(node, deep)


def shown(value: object) -> str:
    """Any value as one short printable piece of a sentence."""
    return ascii(value if len(str(value)) <= 80 else f"{str(value)[:77]}...")


def read(path: Path = MAP) -> Map:
    """The map in a file.

    :raises RolloutError: it cannot be read, or is not of the form that .github/branches.yaml explains
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
        return _map(content)
    except (OSError, UnicodeDecodeError) as error:
        raise RolloutError(f"The map of branches, {path}, cannot be read: {error}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        raise RolloutError(f"{path} is no YAML{f' (line {place.line + 1})' if place else ''}.") from error
    except RolloutError as error:
        raise RolloutError(f"{path}: {error}. Nothing is resolved until it is mended.") from error


def _map(content: Any) -> Map:
    top = _keys(content, {"default", "branches"}, "the file")
    branches = top["branches"]
    if not isinstance(branches, dict) or not branches:
        raise RolloutError("`branches` is to hold at least one branch")
    rows = tuple(_row(branch, row) for branch, row in branches.items())
    for field in ("stack", "environment"):
        names = [getattr(row, field) for row in rows]
        if len(set(names)) < len(names):
            raise RolloutError(f"two branches have the same {field}; each has its own")
    if top["default"] not in [row.branch for row in rows]:
        raise RolloutError("`default` is to be one of the branches")
    return Map(default=top["default"], rows=rows)


def _row(branch: str, content: Any) -> Branch:
    row = _keys(content, {"environment", "stack", "reviewers"}, f"the branch {shown(branch)}")
    for name in (branch, row["environment"], row["stack"]):
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise RolloutError(f"{shown(name)} is no name of letters, digits, `-` and `_`")
    reviewers = row["reviewers"]
    if not isinstance(reviewers, list) or not all(
        isinstance(one, str) and REVIEWER.fullmatch(one) for one in reviewers
    ):
        raise RolloutError(f"the reviewers of {shown(branch)} are to be a list of users and OWNER/TEAM")
    if len(set(reviewers)) < len(reviewers):
        raise RolloutError(f"a reviewer of {shown(branch)} is named twice")
    return Branch(branch=branch, environment=row["environment"], stack=row["stack"], reviewers=tuple(reviewers))


def _keys(content: Any, wanted: set[str], what: str) -> dict[str, Any]:
    if not isinstance(content, dict) or set(content) != wanted:
        raise RolloutError(f"{what} is to have exactly the keys {', '.join(sorted(wanted))}")
    return content


def resolve(
    branches: Map,
    event: str,
    ref: str,
    *,
    base: str = "",
    head: str = "",
    repository: str = "",
    branch: str = "",
) -> Resolution:
    """What an event may touch.

    :param event: GitHub's name of it
    :param ref: whole, as in `refs/heads/main`; of a pull request `refs/pull/NUMBER/merge`
    :param base: a pull request's base branch, by its short name
    :param head: the repository that a pull request comes from, OWNER/REPO
    :param repository: this repository
    :param branch: of what is scheduled: the one branch whose stack is meant; empty for all
    :raises RolloutError: for everything but the exact refs of the map
    """
    if branch and (event != "schedule" or branches.of_branch(branch) is None):
        known = ", ".join(row.branch for row in branches.rows)
        raise RolloutError(f"--branch {shown(branch)} goes with a schedule, and names a branch of the map: {known}.")
    if event not in EVENTS:
        raise RolloutError(f"The event {shown(event)} resolves to no stack. Those that do: {', '.join(EVENTS)}.")
    if event == "pull_request":
        return Resolution(event, ref, (_target(branches, _base_of(branches, ref, base, head, repository), "plan"),))
    if base or head:
        raise RolloutError(f"A {event} has no base and no head: {shown(base or head)} was given. Leave them out.")
    if event == "schedule":
        if ref != f"refs/heads/{branches.default}":
            raise RolloutError(f"What is scheduled runs at refs/heads/{branches.default}, not at {shown(ref)}.")
        rows = [row for row in branches.rows if branch in ("", row.branch)]
        return Resolution(event, ref, tuple(_target(branches, row, "plan") for row in rows))
    row = next((row for row in branches.rows if ref == f"refs/heads/{row.branch}"), None)
    if row is None:
        known = ", ".join(f"refs/heads/{row.branch}" for row in branches.rows)
        raise RolloutError(f"The ref {shown(ref)} changes no stack. Those that do: {known}.")
    return Resolution(event, ref, (_target(branches, row, "apply"),))


def _base_of(branches: Map, ref: str, base: str, head: str, repository: str) -> Branch:
    if not MERGE_REF.fullmatch(ref):
        raise RolloutError(f"{shown(ref)} is no ref of a pull request; that is refs/pull/NUMBER/merge.")
    if not REPOSITORY.fullmatch(repository) or not REPOSITORY.fullmatch(head):
        raise RolloutError("A pull request needs --repository and --head, both as OWNER/REPO; a deleted fork has none.")
    if head != repository:
        raise RolloutError(
            f"The pull request comes from the fork {shown(head)}: no identity of a cloud is for it. "
            "The preview without an account shows what it changes."
        )
    row = branches.of_branch(base)
    if row is None:
        raise RolloutError(f"The pull request's base {shown(base)} changes no stack: there is nothing to look at.")
    return row


def _target(branches: Map, row: Branch, identity: str) -> Target:
    before = branches.before(row.stack)
    return Target(row.stack, row.environment, row.branch, before.stack if before else None, identity)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `resolve`."""
    parser.add_argument("--event", required=True, help="GitHub's name of what happened, as in push")
    parser.add_argument("--ref", required=True, help="whole, as in refs/heads/main")
    parser.add_argument("--base", default="", help="of a pull request: the branch that it is to change")
    parser.add_argument("--head", default="", help="of a pull request: the repository that it comes from, OWNER/REPO")
    parser.add_argument("--repository", default="", help="this repository, OWNER/REPO")
    parser.add_argument("--branch", default="", help="of a schedule: the stack of this branch alone")
    parser.add_argument("--map", type=Path, default=MAP, help="the file to read in place of .github/branches.yaml")
    parser.add_argument("--github-output", action="store_true", help="also hand the answer to later steps")


def run(options: argparse.Namespace) -> int:
    """Prints the resolution as JSON."""
    found = resolve(
        read(options.map),
        options.event,
        options.ref,
        base=options.base,
        head=options.head,
        repository=options.repository,
        branch=options.branch,
    )
    if options.github_output:
        one = found.stacks[0] if len(found.stacks) == 1 else None
        outputs.write(
            {
                "stacks": json.dumps([asdict(target) for target in found.stacks]),
                "stack": one.stack if one else "",
                "environment": one.environment if one else "",
                "before": (one.before or "") if one else "",
            }
        )
    sys.stdout.write(f"{json.dumps(asdict(found))}\n")
    return 0
