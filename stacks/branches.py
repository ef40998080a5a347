"""Which branch deploys which environment, read from the one file that says so: .github/branches.yaml.

A stack here is an environment, so a row whose stack has another name than its environment is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml

ROOT = Path(__file__).parents[1]
MAP = ROOT / ".github" / "branches.yaml"
NO_ENVIRONMENT = re.compile(r"local|bootstrap-.*")  # a laptop's own, and a whole account
ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,19}")
# Git allows more: a slash or a dot could look like another ref, a path or a range on the way to a cloud.
BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class BranchesError(pulumi.RunError):
    """A map of branches that cannot be used; the message says what is wrong with it and what to do."""


@dataclass(frozen=True)
class Branches:
    """The branch that pull requests go to first, and by environment the branch that is deployed to it."""

    default: str
    of: Mapping[str, str]


def read(path: Path = MAP, root: Path = ROOT) -> Branches:
    """The map in the file. `root` is where the settings of stacks lie. Raises BranchesError."""
    try:
        tree = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
        found = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _refusal(path, f"cannot be read ({type(error).__name__}): write it again as git has it") from None
    if twice := _twice(tree):
        raise _refusal(path, f"says {twice!r} twice: leave one of them out")
    default = found.get("default") if isinstance(found, dict) else None
    rows = found.get("branches") if isinstance(found, dict) else None
    if not isinstance(rows, dict) or not rows or not isinstance(default, str):
        raise _refusal(path, "has no `default` or no `branches`: name the default branch, and a row for each branch")
    for branch in (default, *rows):
        if not isinstance(branch, str) or not BRANCH.fullmatch(branch):
            raise _refusal(path, f"names the branch {branch!r}: use letters, digits, - and _ alone")
    if default not in rows:
        raise _refusal(path, f"has the default branch {default}, and no row for it: add the row, or name another")
    of: dict[str, str] = {}
    for branch, row in rows.items():
        environment = _environment(path, root, branch, row)
        if environment in of:
            raise _refusal(path, f"deploys {environment} from {of[environment]} and from {branch}: keep one of them")
        of[environment] = branch
    return Branches(default, of)


def _environment(path: Path, root: Path, branch: str, row: Any) -> str:
    environment = row.get("environment") if isinstance(row, dict) else None
    if not isinstance(environment, str) or not ENVIRONMENT.fullmatch(environment):
        raise _refusal(path, f"has no environment for the branch {branch}: name one, in small letters")
    if row.get("stack") != environment:
        raise _refusal(path, f"has another stack than {environment} for the branch {branch}: name them alike")
    if NO_ENVIRONMENT.fullmatch(environment) or not (root / f"Pulumi.{environment}.yaml").is_file():
        raise _refusal(
            path,
            f"deploys {environment} from {branch}, which is no environment to deploy: it needs a Pulumi."
            f"{environment}.yaml of its own, and `local` and `bootstrap-…` are for people alone",
        )
    return environment


def _twice(node: yaml.Node | None) -> str | None:
    """A key that a mapping anywhere in the document has twice, of which YAML would take the last."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        repeated = [str(key) for key in keys if keys.count(key) > 1]
        return next(iter(repeated), None) or next(filter(None, (_twice(value) for _, value in node.value)), None)
    return None


def _refusal(path: Path, sentence: str) -> BranchesError:
    return BranchesError(f"{path.parent.name}/{path.name} {sentence}.")
