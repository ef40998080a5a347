"""Whether a commit's plan is the one that was shown in its pull request.

What was shown is told by the artifact `reviewed-HEAD` of a run of comment.yml on the default branch: nobody but that
workflow's own code makes such a run. The plans of both sides are made again here, from the commits themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from rollout import untrusted
from rollout.errors import RolloutError
from rollout.github import Api

WORKFLOW = ".github/workflows/comment.yml"
FILE = re.compile(r"reviewed\.json")
LARGEST = 1_000_000  # bytes of the download
Base = Callable[[], str | None]
AGAIN = "Have it reviewed again: bring the pull request up to date with its base and wait for the comment."


@dataclass(frozen=True)
class Review:
    """What a pull request's comment showed: digests of plans by stack, with the change and without it."""

    pull_request: int
    head: str
    base: str
    stacks: Mapping[str, Mapping[str, str | None]]


def find(api: Api, commit: str, branch: str) -> Review:
    """What was shown of the pull request that a commit came with.

    :param commit: the tip of the branch, as the merge made it
    :raises RolloutError: it came with none, or what was shown is no more to be had
    """
    pull = _pull(api, commit, branch)
    head = str(pull["head"]["sha"])
    rows = list(_candidates(api, f"reviewed-{head}"))
    for row in sorted(rows, key=lambda row: int(row["id"]), reverse=True):
        found = _read(api.download(f"actions/artifacts/{int(row['id'])}/zip", LARGEST))
        if (found.pull_request, found.head) == (pull["number"], head):
            return found
    raise RolloutError(
        f"The pull request #{pull['number']} has no comment that shows its plans at {head[:12]}, or what it showed is "
        f"kept no more (artifact reviewed-{head[:12]}… of {WORKFLOW}). {AGAIN}"
    )


def _pull(api: Api, commit: str, branch: str) -> Mapping[str, Any]:
    """The merged pull request whose merge made this very commit of the branch."""
    pulls = [
        row
        for row in api.pages(f"commits/{commit}/pulls")
        if row["merged_at"]
        and row["base"]["ref"] == branch
        and (row["base"]["repo"] or {}).get("full_name") == api.repository
        and row["merge_commit_sha"] == commit
    ]
    if len(pulls) != 1:
        raise RolloutError(
            f"The commit {commit[:12]} of {branch} was pushed without a pull request: nobody has seen what it changes. "
            "Make one; or start the workflow by hand and say why it is deployed unreviewed (--unreviewed REASON)."
        )
    found: Mapping[str, Any] = pulls[0]
    return found


def _candidates(api: Api, name: str) -> Iterator[Mapping[str, Any]]:
    """Artifacts of this name of runs that can be believed."""
    repository = api.get("")
    for row in api.pages("actions/artifacts", "artifacts", name=name):
        if row["name"] != name or row["expired"] or not row.get("workflow_run"):
            continue
        run = api.get(f"actions/runs/{int(row['workflow_run']['id'])}")
        ours = (
            str(run["path"]).partition("@")[0] == WORKFLOW
            and run["event"] == "workflow_run"
            and run["head_branch"] == repository["default_branch"]
            and (run["head_repository"] or {}).get("id") == repository["id"]
            and (run["repository"] or {}).get("id") == repository["id"]
            and run["conclusion"] == "success"
        )
        if ours:
            yield row


@cache
def _schema() -> Any:
    return json.loads(Path(__file__).with_name("reviewed.schema.json").read_text(encoding="utf-8"))


def _read(archive: bytes) -> Review:
    files = untrusted.members(archive, FILE)
    if not files:
        raise RolloutError(f"The artifact of {WORKFLOW} holds no reviewed.json. {AGAIN}")
    document = untrusted.parse(files["reviewed.json"], "reviewed.json")
    if not jsonschema.Draft202012Validator(_schema()).is_valid(document):
        raise RolloutError(f"reviewed.json of {WORKFLOW} is not of the form of reviewed.schema.json. {AGAIN}")
    return Review(document["pullRequest"], document["head"], document["base"], document["stacks"])


def compare(review: Review, stack: str, own: str, base: Base) -> None:
    """Whether the plan about to be applied is the one that was shown, against the base that was shown.

    :param own: digest of the commit's own plan
    :param base: gives the digest of the stack's plan on the branch before the merge, None where it had no such stack.
        Which commit was shown as the base is of a stranger's making: an older one would hide what came between
    :raises RolloutError: it is another one
    """
    shown = review.stacks.get(stack)
    where = f"the pull request #{review.pull_request}"
    if shown is None:
        raise RolloutError(f"The comment in {where} says nothing of {stack}. {AGAIN}")
    if shown["head"] != own:
        raise RolloutError(
            f"The plan of {stack} is not the one that {where} showed: its base moved on, or it was merged with other "
            f"changes. {AGAIN} Or start the workflow by hand and say why it is deployed unreviewed."
        )
    if shown["base"] != base():
        raise RolloutError(
            f"What {where} was compared with ({review.base[:12]}) was not the plan of {stack} that the branch had "
            f"before the merge: what its comment calls unchanged may not be. {AGAIN}"
        )
