"""The command that comments: which run, which pull request, which commit; and what is kept for the deployment."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rollout import plans, render
from rollout.__main__ import main
from rollout.sticky import marker
from tests.rollout.fake_github import FakeGitHub, Row
from tests.rollout.previews import BASE, HEAD, WITH, WITHOUT, honest, unchanged

SCHEMA = json.loads((Path(__file__).parents[2] / "rollout" / "reviewed.schema.json").read_text())
OLD, NEXT = "1" * 40, "2" * 40
FORK: dict[str, Any] = {"head_repository": "stranger/groundwork", "head_repository_id": 2002}
MAP = """
default: main
branches:
  dev: {environment: dev, stack: dev, reviewers: []}
  main: {environment: prod, stack: prod, reviewers: []}
"""


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        fake.compares[f"{BASE}...dev"] = "ahead"
        yield fake


def prepared(github: FakeGitHub, files: dict[str, bytes] | bytes | None = None, **source: Any) -> Row:
    """A pull request and the finished run of its preview."""
    github.add_pull(**{key: value for key, value in source.items() if key.startswith("head_repository")})
    found = github.add_run("preview.yml", **source)
    github.add_artifact(found["id"], "preview", honest() if files is None else files)
    return found


def comment(directory: Path, run: Row) -> int:
    (directory / "map.yaml").write_text(MAP)
    arguments = ["--run", str(run["id"]), "--reviewed", str(directory / "reviewed")]
    return main(["comment", *arguments, "--map", str(directory / "map.yaml")])


def reviewed(directory: Path) -> Any:
    path = directory / "reviewed" / "reviewed.json"
    return json.loads(path.read_text()) if path.exists() else None


def bodies(github: FakeGitHub, number: int = 1) -> list[str]:
    return [row["body"] for row in github.comments[number]]


def writes(github: FakeGitHub) -> list[Row]:
    return [row for row in github.requests if row["method"] != "GET"]


@pytest.mark.parametrize("source", [{}, FORK], ids=["of this repository", "of a fork"])
def test_a_preview_is_shown_and_what_was_shown_is_kept(github: FakeGitHub, tmp_path: Path, source: Row) -> None:
    run = prepared(github, **source)
    assert comment(tmp_path, run) == 0
    (body,) = bodies(github)
    assert body.startswith(f"{marker(HEAD)}\n")
    assert "dev" in body
    assert f"https://github.com/example/groundwork/actions/runs/{run['id']}/artifacts/" in body
    document = reviewed(tmp_path)
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert (document["pullRequest"], document["head"], document["base"]) == (1, HEAD, BASE)
    assert document["stacks"]["dev"] == {"head": plans.digest(WITH), "base": plans.digest(WITHOUT)}
    assert document["stacks"]["prod"]["head"] == document["stacks"]["prod"]["base"]


def test_a_second_run_updates_the_one_comment_among_150_others(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github, unchanged())
    for number in range(150):
        github.add_comment(1, f"comment {number}", "someone")
    assert comment(tmp_path, run) == 0
    github.add_artifact(run["id"], "preview", honest())
    assert comment(tmp_path, run) == 0
    ours = [body for body in bodies(github) if body.startswith(marker(HEAD))]
    assert len(ours) == 1
    assert len(github.comments[1]) == 151
    assert reviewed(tmp_path)["stacks"]["dev"]["head"] == plans.digest(WITH)


@pytest.mark.parametrize(
    "wrong",
    [
        {"workflow": "check.yml"},
        {"workflow": "preview.yml.evil.yml"},
        {"workflow": "evil/preview.yml"},
        {"event": "push"},
        {"event": "pull_request_target"},
        {"event": "workflow_dispatch"},
        {"status": "in_progress", "conclusion": None},
    ],
    ids=str,
)
def test_a_run_that_is_no_finished_preview_of_a_pull_request_is_refused(
    github: FakeGitHub, tmp_path: Path, wrong: Row, capsys: pytest.CaptureFixture[str]
) -> None:
    github.add_pull()
    run = github.add_run(**{"workflow": "preview.yml", **wrong})
    github.add_artifact(run["id"], "preview", honest())
    assert comment(tmp_path, run) == 1
    assert "no finished run" in capsys.readouterr().err
    assert writes(github) == []
    assert reviewed(tmp_path) is None


def test_a_run_of_another_repository_is_refused(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github)
    run["repository"] = {"id": 5, "full_name": "stranger/groundwork"}
    assert comment(tmp_path, run) == 1
    assert writes(github) == []


def test_a_workflow_s_path_with_its_ref_is_the_same_workflow(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github)
    run["path"] += "@refs/pull/1/merge"
    assert comment(tmp_path, run) == 0
    assert len(bodies(github)) == 1


def test_a_number_in_the_artifact_is_not_believed(github: FakeGitHub, tmp_path: Path) -> None:
    other = github.add_pull(number=7, head="other", sha="f" * 40)
    forged = honest()
    forged["preview.json"] = json.dumps(json.loads(forged["preview.json"]) | {"pullRequest": 7}).encode()
    run = prepared(github, forged)
    assert comment(tmp_path, run) == 1
    assert bodies(github, other["number"]) == []


def test_a_pull_request_that_a_run_names_is_not_believed(github: FakeGitHub, tmp_path: Path) -> None:
    github.add_pull(number=7, head="other", sha="f" * 40)
    run = prepared(github)
    run["pull_requests"] = [{"number": 7}]
    number = github.pulls[-1]["number"]
    assert comment(tmp_path, run) == 0
    assert (len(bodies(github, 7)), len(bodies(github, number))) == (0, 1)


def test_the_same_branch_and_head_in_another_repository_is_another_pull_request(
    github: FakeGitHub, tmp_path: Path
) -> None:
    ours = github.add_pull(number=5)
    run = prepared(github, **FORK)
    theirs = github.pulls[-1]["number"]
    assert comment(tmp_path, run) == 0
    assert (bodies(github, ours["number"]), len(bodies(github, theirs))) == ([], 1)


def test_a_fork_of_the_same_owner_name_but_another_identity_is_not_it(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github, **FORK)
    github.pulls[-1]["head"]["repo"]["id"] = 3003
    assert comment(tmp_path, run) == 0
    assert writes(github) == []


def test_a_closed_pull_request_is_left_alone(
    github: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = prepared(github)
    github.pulls[0]["state"] = "closed"
    assert comment(tmp_path, run) == 0
    assert "No open pull request" in capsys.readouterr().out
    assert writes(github) == []
    assert reviewed(tmp_path) is None


def test_a_deleted_fork_is_left_alone(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github, **FORK)
    run["head_repository"] = None
    github.pulls[0]["head"] |= {"repo": None, "label": "None:feature"}
    assert comment(tmp_path, run) == 0
    assert writes(github) == []


def test_a_stale_run_shows_nothing_and_says_that_the_comment_is_overtaken(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github)
    github.pulls[0]["head"]["sha"] = NEXT
    github.add_comment(1, f"{marker(HEAD)}\nold")
    assert comment(tmp_path, run) == 0
    assert bodies(github) == [render.superseded(f"{marker(HEAD)}\nold", NEXT)]
    assert reviewed(tmp_path) is None
    assert not [row for row in github.requests if row["path"].endswith("/zip")], "its artifact is not even fetched"


def test_a_stale_run_leaves_the_comment_about_the_head_alone(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github)
    github.pulls[0]["head"]["sha"] = NEXT
    github.add_comment(1, f"{marker(NEXT)}\nnew")
    assert comment(tmp_path, run) == 0
    assert writes(github) == []


def test_a_head_that_moves_while_it_comments_leaves_nothing_reviewed(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github)
    github.when("POST", "comments", lambda: github.pulls[0]["head"].update(sha=NEXT))
    assert comment(tmp_path, run) == 0
    assert NEXT in bodies(github)[0]
    assert reviewed(tmp_path) is None


def test_what_an_earlier_step_left_does_not_count_as_reviewed(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github)
    github.pulls[0]["state"] = "closed"
    (tmp_path / "reviewed").mkdir()
    (tmp_path / "reviewed" / "reviewed.json").write_text("{}")
    assert comment(tmp_path, run) == 0
    assert reviewed(tmp_path) is None


@pytest.mark.parametrize("conclusion", ["failure", "timed_out", "startup_failure"])
def test_a_failed_preview_is_said_in_one_line_with_a_link(github: FakeGitHub, tmp_path: Path, conclusion: str) -> None:
    github.add_pull()
    run = github.add_run("preview.yml", conclusion=conclusion)
    github.add_comment(1, f"{marker(OLD)}\nold")
    assert comment(tmp_path, run) == 0
    (body,) = bodies(github)
    first, line = body.rstrip("\n").split("\n")
    assert first == marker(HEAD)
    assert "failed" in line
    assert run["html_url"] in line
    assert reviewed(tmp_path) is None


def test_a_cancelled_preview_says_nothing_but_that_the_comment_is_overtaken(github: FakeGitHub, tmp_path: Path) -> None:
    github.add_pull()
    run = github.add_run("preview.yml", conclusion="cancelled")
    github.add_comment(1, f"{marker(OLD)}\nold")
    assert comment(tmp_path, run) == 0
    assert bodies(github) == [render.superseded(f"{marker(OLD)}\nold", HEAD)]


HOSTILE: dict[str, dict[str, bytes] | bytes] = {
    "no zip": b"<html>",
    "another file": honest() | {"../x": b"{}"},
    "another head": honest(head="f" * 40),
    "markup for a stack": {
        "preview.json": json.dumps(
            {
                "version": 1,
                "head": HEAD,
                "base": BASE,
                "stacks": [{"stack": "</details>@all", "head": None, "base": None}],
            }
        ).encode()
    },
    "markup for a file": honest() | {"</details>@all [x](https://evil.example)": b"{}"},
    "a base that the branch does not hold": honest(base="e" * 40),
}


@pytest.mark.parametrize("files", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_artifact_is_refused_and_the_comment_says_so(
    github: FakeGitHub, tmp_path: Path, files: dict[str, bytes] | bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    run = prepared(github, files)
    assert comment(tmp_path, run) == 1
    assert capsys.readouterr().err.count("\n") == 1
    (body,) = bodies(github)
    assert body.startswith(f"{marker(HEAD)}\n**Preview refused.**")
    assert run["html_url"] in body
    for piece in ("</details>", "@all", "](https://evil"):
        assert piece not in body
    assert reviewed(tmp_path) is None


@pytest.mark.parametrize("status", ["behind", "diverged"])
def test_a_base_that_is_not_in_the_base_branch_s_past_is_refused(
    github: FakeGitHub, tmp_path: Path, status: str
) -> None:
    run = prepared(github)
    github.compares[f"{BASE}...dev"] = status
    assert comment(tmp_path, run) == 1
    assert "does not hold" in bodies(github)[0]


def test_an_artifact_that_is_gone_is_said(github: FakeGitHub, tmp_path: Path) -> None:
    github.add_pull()
    run = github.add_run("preview.yml")
    github.add_artifact(run["id"], "preview", honest(), expired=True)
    github.add_artifact(run["id"], "preview-of-another", honest())
    github.add_artifact(github.add_run("preview.yml")["id"], "preview", honest())
    assert comment(tmp_path, run) == 1
    assert "no artifact preview" in bodies(github)[0]


def test_of_two_artifacts_the_newer_attempt_s_is_read(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github, b"broken")
    github.add_artifact(run["id"], "preview", honest())
    assert comment(tmp_path, run) == 0
    assert reviewed(tmp_path) is not None


def test_one_head_in_two_pull_requests_is_shown_in_that_with_its_base(github: FakeGitHub, tmp_path: Path) -> None:
    github.add_pull(number=8, base="main", base_sha="9" * 40)
    run = prepared(github)
    number = github.pulls[-1]["number"]
    github.compares[f"{BASE}...main"] = "diverged"
    assert comment(tmp_path, run) == 0
    assert (bodies(github, 8), len(bodies(github, number))) == ([], 1)
    assert reviewed(tmp_path)["pullRequest"] == number


def test_one_head_in_two_pull_requests_with_one_past_is_told_apart_by_the_base_itself(
    github: FakeGitHub, tmp_path: Path
) -> None:
    github.add_pull(number=8, base="main", base_sha="9" * 40)
    run = prepared(github)
    github.compares[f"{BASE}...main"] = "ahead"
    assert comment(tmp_path, run) == 0
    assert bodies(github, 8) == []


def test_one_head_in_two_pull_requests_that_nobody_can_tell_apart_is_an_error(
    github: FakeGitHub, tmp_path: Path
) -> None:
    github.add_pull(number=8, base="main")
    run = prepared(github)
    github.compares[f"{BASE}...main"] = "ahead"
    assert comment(tmp_path, run) == 1
    assert writes(github) == []


def test_a_preview_in_the_cloud_that_is_done_first_waits_for_the_preview(
    github: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    github.add_pull()
    run = github.add_run("preview-cloud.yml")
    github.add_run("preview.yml", status="in_progress", conclusion=None)
    assert comment(tmp_path, run) == 0
    assert "not done yet" in capsys.readouterr().out
    assert writes(github) == []


def test_a_preview_in_the_cloud_that_is_done_last_shows_the_newest_preview_of_its_head(
    github: FakeGitHub, tmp_path: Path
) -> None:
    prepared(github, b"broken")
    newer = github.add_run("preview.yml")
    github.add_artifact(newer["id"], "preview", honest())
    for other in (
        github.add_run("preview.yml", head_sha=OLD),
        github.add_run("preview.yml", **FORK),
        github.add_run("preview.yml", event="push"),
        github.add_run("check.yml"),
    ):
        github.add_artifact(other["id"], "preview", b"not this one")
    assert comment(tmp_path, github.add_run("preview-cloud.yml", conclusion="failure")) == 0
    assert str(newer["id"]) in bodies(github)[0]


def test_runs_of_another_head_or_workflow_are_not_taken_even_if_github_lists_them(
    github: FakeGitHub, tmp_path: Path
) -> None:
    cloud = github.add_run("preview-cloud.yml")
    run = prepared(github)
    for other in (github.add_run("preview.yml", head_sha=OLD), github.add_run("check.yml")):
        github.add_artifact(other["id"], "preview", b"not this one")
    github.answers["GET /actions/workflows/preview.yml/runs"] = {"workflow_runs": github.runs}
    assert comment(tmp_path, cloud) == 0
    assert f"/{run['id']}/artifacts/" in bodies(github)[0]


def in_the_cloud(**more: Any) -> Row:
    step = {"op": "delete", "urn": "urn:x", "type": "aws:s3/bucket:Bucket", "name": "lost-in-the-cloud"}
    return {
        "version": 1,
        "stack": "dev",
        "commit": "c" * 40,
        "release": f"sha256:{'d' * 64}",
        "changes": {"delete": 1},
        "steps": [step | {"changed": [], "replacing": []}],
        "omitted": 0,
        **more,
    }


def cloud_run(github: FakeGitHub, content: Any, name: str = "preview-cloud-dev", **source: Any) -> Row:
    run = github.add_run("preview-cloud.yml", **source)
    github.add_artifact(run["id"], name, {"preview-cloud.json": json.dumps(content)})
    return run


def test_what_the_cloud_would_do_is_shown_whichever_run_ends_last(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github)
    assert comment(tmp_path, run) == 0
    assert "lost-in-the-cloud" not in bodies(github)[0]
    cloud = cloud_run(github, in_the_cloud())
    for last in (cloud, run):
        github.comments[1].clear()
        assert comment(tmp_path, last) == 0
        assert "lost-in-the-cloud" in bodies(github)[0]
        assert reviewed(tmp_path)["head"] == HEAD


BAD_CLOUDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "about another stack": (in_the_cloud(stack="prod"), {}),
    "another version": (in_the_cloud(version=2), {}),
    "one more field": (in_the_cloud(more=1), {}),
    "an operation with a line break": (in_the_cloud(changes={"delete\n": 1}), {}),
    "of another head": (in_the_cloud(), {"head_sha": OLD}),
    "of a fork": (in_the_cloud(), FORK),
    "a run that failed": (in_the_cloud(), {"conclusion": "failure"}),
    "a run on a push": (in_the_cloud(), {"event": "push"}),
    "another stack's artifact": (in_the_cloud(), {"name": "preview-cloud-prod"}),
}


@pytest.mark.parametrize(("content", "more"), BAD_CLOUDS.values(), ids=BAD_CLOUDS.keys())
def test_another_preview_in_the_cloud_is_left_out_and_the_preview_is_shown(
    github: FakeGitHub, tmp_path: Path, content: Any, more: dict[str, Any]
) -> None:
    run = prepared(github)
    cloud_run(github, content, **more)
    assert comment(tmp_path, run) == 0
    (body,) = bodies(github)
    assert "dev" in body
    assert "lost-in-the-cloud" not in body


def test_a_fork_s_pull_request_shows_nothing_of_the_cloud(github: FakeGitHub, tmp_path: Path) -> None:
    run = prepared(github, **FORK)
    cloud_run(github, in_the_cloud(), **FORK)
    assert comment(tmp_path, run) == 0
    assert "lost-in-the-cloud" not in bodies(github)[0]


def test_plans_that_could_not_be_made_are_said_and_count_as_not_reviewed(github: FakeGitHub, tmp_path: Path) -> None:
    failures = [{"stack": "dev", "side": "head", "message": "NameError </details> @all"}]
    document = json.dumps({"version": 1, "head": HEAD, "base": BASE, "stacks": [], "failures": failures})
    run = prepared(github, {"preview.json": document.encode()})
    assert comment(tmp_path, run) == 0
    assert "dev" in bodies(github)[0]
    assert reviewed(tmp_path) is None


def test_no_change_is_said_in_one_line(github: FakeGitHub, tmp_path: Path) -> None:
    assert comment(tmp_path, prepared(github, unchanged())) == 0
    assert "No change" in bodies(github)[0]
    assert len(bodies(github)[0].strip().split("\n")) == 2, "the marker and one line"
    assert reviewed(tmp_path)["stacks"]["dev"]["head"] == plans.digest(WITHOUT)


def test_no_output_holds_the_token(github: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    github.faults.append({"status": 403, "times": 9, "message": f"token {github.token}"})
    assert comment(tmp_path, prepared(github)) == 1
    told = capsys.readouterr()
    assert github.token not in told.out + told.err
