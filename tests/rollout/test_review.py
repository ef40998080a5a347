"""Whether what is deployed is what a pull request showed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rollout import review
from rollout.errors import RolloutError
from rollout.github import Api
from tests.rollout.fake_github import FakeGitHub

COMMIT, HEAD, BASE = "c" * 40, "a" * 40, "b" * 40
REVIEWED = {
    "version": 1,
    "pullRequest": 7,
    "head": HEAD,
    "base": BASE,
    "stacks": {"dev": {"head": "1" * 64, "base": "2" * 64}, "new": {"head": "3" * 64, "base": None}},
}


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """A repository where #7 was commented on and merged into dev as COMMIT."""
    with FakeGitHub() as found:
        found.add_pull(7, sha=HEAD, base="dev", merged_as=COMMIT)
        comment(found)
        yield found


def comment(github: FakeGitHub, document: Any = None, name: str = f"reviewed-{HEAD}", **run: Any) -> None:
    made = github.add_run(run.pop("workflow", "comment.yml"), **{"event": "workflow_run", "head_branch": "main", **run})
    text = json.dumps(REVIEWED if document is None else document)
    github.add_artifact(made["id"], name, {"reviewed.json": text})


def find(github: FakeGitHub, branch: str = "dev", commit: str = COMMIT) -> review.Review:
    return review.find(Api(github.token, github.repository, github.url), commit, branch)


def base() -> str | None:
    return "2" * 64


def test_the_review_of_a_merged_commit_is_found(github: FakeGitHub) -> None:
    found = find(github)
    assert (found.pull_request, found.head, found.base) == (7, HEAD, BASE)
    review.compare(found, "dev", "1" * 64, base)


def test_the_newest_review_of_the_same_head_counts(github: FakeGitHub) -> None:
    comment(github, REVIEWED | {"stacks": {"dev": {"head": "9" * 64, "base": None}}})
    assert find(github).stacks["dev"]["head"] == "9" * 64


def test_a_plan_that_was_not_shown_stops_with_what_to_do(github: FakeGitHub) -> None:
    found = find(github)
    with pytest.raises(RolloutError, match=r"is not the one that the pull request #7 showed.*Have it reviewed again"):
        review.compare(found, "dev", "9" * 64, base)
    with pytest.raises(RolloutError, match="says nothing of staging"):
        review.compare(found, "staging", "1" * 64, base)


def test_a_base_that_is_not_what_the_comment_compared_with_stops(github: FakeGitHub) -> None:
    found = find(github)
    others: tuple[review.Base, ...] = (lambda: "9" * 64, lambda: None)
    for other in others:
        with pytest.raises(RolloutError, match=r"\(bbbbbbbbbbbb\) was not the plan of dev that the branch had before"):
            review.compare(found, "dev", "1" * 64, other)
    review.compare(found, "new", "3" * 64, lambda: None)
    with pytest.raises(RolloutError, match="was not the plan of new"):
        review.compare(found, "new", "3" * 64, lambda: "4" * 64)


@pytest.mark.parametrize(
    "change",
    [
        {"merged_at": None},
        {"merge_commit_sha": "d" * 40},
        {"base": {"ref": "staging", "sha": BASE, "repo": {"full_name": "example/groundwork"}}},
        {"base": {"ref": "dev", "sha": BASE, "repo": {"full_name": "example/fork"}}},
        {"base": {"ref": "dev", "sha": BASE, "repo": None}},
    ],
)
def test_a_commit_that_no_merged_pull_request_made_is_unreviewed(github: FakeGitHub, change: dict[str, Any]) -> None:
    github.pulls[0].update(change)
    with pytest.raises(RolloutError, match=r"was pushed without a pull request.*--unreviewed"):
        find(github)


@pytest.mark.parametrize(
    "run",
    [
        {"workflow": "preview.yml"},
        {"workflow": "comment.yml.yml"},
        {"event": "pull_request"},
        {"event": "push"},
        {"head_branch": "feature"},
        {"head_repository": "stranger/groundwork"},
        {"head_repository": "stranger/groundwork", "head_repository_id": 2002},
        {"conclusion": "failure"},
        {"conclusion": None, "status": "in_progress"},
    ],
)
def test_only_a_run_of_comment_yml_on_the_default_branch_is_believed(github: FakeGitHub, run: dict[str, Any]) -> None:
    github.artifacts.clear()
    comment(github, **run)
    with pytest.raises(RolloutError, match="has no comment that shows its plans"):
        find(github)


def test_an_artifact_of_another_name_head_or_pull_request_is_not_it(github: FakeGitHub) -> None:
    github.artifacts.clear()
    comment(github, name="reviewed-" + "d" * 40)
    comment(github, REVIEWED | {"head": "d" * 40})
    comment(github, REVIEWED | {"pullRequest": 8})
    with pytest.raises(RolloutError, match="has no comment that shows its plans"):
        find(github)


def test_an_artifact_that_is_gone_is_not_it(github: FakeGitHub) -> None:
    github.artifacts[0]["expired"] = True
    with pytest.raises(RolloutError, match="is kept no more"):
        find(github)


@pytest.mark.parametrize(
    "document", [{}, [], REVIEWED | {"version": 2}, REVIEWED | {"more": 1}, REVIEWED | {"head": "HEAD"}]
)
def test_a_reviewed_file_of_another_form_stops(github: FakeGitHub, document: Any) -> None:
    github.artifacts.clear()
    comment(github, document)
    with pytest.raises(RolloutError, match=r"is not of the form of reviewed\.schema\.json"):
        find(github)
