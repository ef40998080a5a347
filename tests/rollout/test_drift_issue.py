"""The one issue about drift: opened, updated, closed, and never a second one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout import drift_issue
from rollout.__main__ import main
from rollout.drift_issue import MARKER, TITLE, body
from rollout.errors import RolloutError
from tests.rollout.fake_github import FakeGitHub, Row

MAP = """
default: main
branches:
  dev: {environment: dev, stack: dev, reviewers: []}
  main: {environment: prod, stack: prod, reviewers: []}
"""
HOSTILE = "</details><img src=x>`|@everyone [x](http://evil.example)\n# h"


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with FakeGitHub(token="ghsTheTokenOfThisTest") as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("GITHUB_RUN_ID", raising=False)
        yield fake


def drift(stack: str, *names: str, **more: Any) -> Row:
    rows = [
        {
            "urn": f"urn:pulumi:{stack}::groundwork::aws:s3/bucket:Bucket::{name}",
            "type": "aws:s3/bucket:Bucket",
            "name": name,
            "what": "changed",
            "changed": ["tags.owner"],
        }
        | more
        for name in names
    ]
    return {
        "version": 1,
        "stack": stack,
        "commit": "c" * 40,
        "release": f"sha256:{'d' * 64}",
        "drifted": rows,
        "checked": "2026-11-21T00:10:00Z",
    }


def run(directory: Path, *found: Row) -> int:
    (directory / "map.yaml").write_text(MAP)
    source = directory / "drift"
    source.mkdir(exist_ok=True)
    for path in source.iterdir():
        path.unlink()
    for row in found:
        (source / f"{row['stack']}.json").write_text(json.dumps(row))
    return main(["drift-issue", "--from", str(source), "--map", str(directory / "map.yaml")])


def test_drift_opens_an_issue_and_a_second_run_opens_no_other(github: FakeGitHub, tmp_path: Path) -> None:
    for _ in range(2):
        assert run(tmp_path, drift("dev"), drift("prod", "models")) == 0
    (issue,) = github.issues
    assert (issue["title"], issue["state"], issue["labels"]) == (TITLE, "open", [{"name": "drift"}])
    assert issue["body"].startswith(f"{MARKER}\n")
    assert "models" in issue["body"]
    assert "As deployed: `dev`" in issue["body"]
    assert [row["method"] for row in github.requests if row["method"] != "GET"] == ["POST"], (
        "the second changed nothing"
    )


def test_other_drift_updates_the_issue(github: FakeGitHub, tmp_path: Path) -> None:
    run(tmp_path, drift("dev"), drift("prod", "models"))
    assert run(tmp_path, drift("dev", "images"), drift("prod")) == 0
    (issue,) = github.issues
    assert "images" in issue["body"]
    assert "models" not in issue["body"]


def test_the_issue_closes_when_all_is_well_and_opens_again_later(github: FakeGitHub, tmp_path: Path) -> None:
    run(tmp_path, drift("dev"), drift("prod", "models"))
    assert run(tmp_path, drift("dev"), drift("prod")) == 0
    (issue,) = github.issues
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    assert run(tmp_path, drift("dev", "images"), drift("prod")) == 0
    (issue,) = github.issues
    assert issue["state"] == "open"
    assert "images" in issue["body"]


def test_no_drift_and_no_issue_asks_and_does_nothing(github: FakeGitHub, tmp_path: Path) -> None:
    assert run(tmp_path, drift("dev"), drift("prod")) == 0
    assert github.issues == []
    assert {row["method"] for row in github.requests} == {"GET"}


def test_a_stack_that_was_not_looked_at_closes_nothing_and_is_an_error(
    github: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, drift("dev"), drift("prod", "models"))
    assert run(tmp_path, drift("dev")) == 1
    (issue,) = github.issues
    assert issue["state"] == "open"
    assert "Nothing is known of prod" in capsys.readouterr().err


def test_drift_of_one_stack_is_told_though_another_was_not_looked_at(github: FakeGitHub, tmp_path: Path) -> None:
    assert run(tmp_path, drift("dev", "models")) == 1
    assert "Not looked at: `prod`" in github.issues[0]["body"]


def test_no_result_at_all_is_an_error(github: FakeGitHub, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(MAP)
    assert main(["drift-issue", "--from", str(tmp_path / "none"), "--map", str(tmp_path / "map.yaml")]) == 1
    assert github.issues == []


def test_the_issue_is_found_behind_many_others_and_impostors(github: FakeGitHub, tmp_path: Path) -> None:
    quoted = github.add_issue("A digest of all issues", f"Quoted:\n{MARKER}\n")
    run(tmp_path, drift("dev"), drift("prod", "models"))
    number = github.issues[1]["number"]
    assert quoted["body"] == f"Quoted:\n{MARKER}\n"
    for count in range(150):
        github.add_issue(f"Another {count}", "text")
    github.add_issue(TITLE, f"{MARKER}\nI am not the one", user="stranger")
    github.add_pull()
    assert run(tmp_path, drift("dev", "images"), drift("prod")) == 0
    changed = [row for row in github.issues if "images" in row["body"]]
    assert [row["number"] for row in changed] == [number]
    assert len(github.issues) == 153


def test_a_pull_request_of_the_bot_with_the_marker_is_no_issue(github: FakeGitHub, tmp_path: Path) -> None:
    github.add_pull()
    github.pulls[0] |= {"user": github.user, "body": f"{MARKER}\n"}
    assert run(tmp_path, drift("dev"), drift("prod", "models")) == 0
    assert [row["number"] for row in github.issues] == [2]


def test_an_impostor_s_issue_is_left_alone(github: FakeGitHub, tmp_path: Path) -> None:
    fake = github.add_issue(TITLE, f"{MARKER}\nmine", user={"login": "github-actions", "type": "User", "id": 5})
    user = github.add_issue(TITLE, f"{MARKER}\nmine", user={"login": "github-actions[bot]", "type": "User", "id": 5})
    assert run(tmp_path, drift("dev"), drift("prod")) == 0
    assert (fake["state"], user["state"]) == ("open", "open")
    assert run(tmp_path, drift("dev"), drift("prod", "models")) == 0
    assert (fake["body"], user["body"]) == (f"{MARKER}\nmine", f"{MARKER}\nmine")
    assert len(github.issues) == 3


def test_of_two_runs_at_once_one_issue_stays_open(github: FakeGitHub, tmp_path: Path) -> None:
    def another() -> None:
        github.add_issue(TITLE, f"{MARKER}\nfrom another run", number=1)
        github.issues.sort(key=lambda row: int(row["number"]))

    github.add_issue("so that numbers begin later", number=4)
    github.when("POST", r"/issues$", another, moment="before")
    assert run(tmp_path, drift("dev"), drift("prod", "models")) == 0
    states = {row["number"]: (row["state"], row["state_reason"]) for row in github.issues if row["number"] != 4}
    assert states == {1: ("open", None), 5: ("closed", "not_planned")}
    assert "models" in github.issues[0]["body"]


def test_names_in_the_issue_are_escaped(github: FakeGitHub, tmp_path: Path) -> None:
    assert run(tmp_path, drift("dev"), drift("prod", HOSTILE, type=HOSTILE, changed=[HOSTILE])) == 0
    text = github.issues[0]["body"]
    (row,) = [line for line in text.splitlines() if "everyone" in line]
    assert row.count(" | ") == 3, "four cells"
    for piece in ("</details>", "<img", "@everyone", "](http", "`"):
        assert piece not in row


def test_a_secret_in_a_name_is_hidden(github: FakeGitHub, tmp_path: Path) -> None:
    assert run(tmp_path, drift("dev"), drift("prod", github.token, changed=[f"tags.{github.token}"])) == 0
    assert github.token not in github.issues[0]["body"]


def test_ten_thousand_rows_fit(github: FakeGitHub, tmp_path: Path) -> None:
    names = [f"\N{PILE OF POO}{number}" * 100 for number in range(10_000)]
    text = body([drift("prod", *names[:5000]), drift("dev", *names[5000:])], [])
    assert len(text.encode()) <= 65_000
    assert "5000 resources" in text
    assert text.count("and 4950 more") == 2


BAD_FILES = {
    "about another stack": ("dev.json", json.dumps(drift("prod"))),
    "about an unknown stack": ("local.json", json.dumps(drift("local"))),
    "no JSON": ("dev.json", "{"),
    "another version": ("dev.json", json.dumps(drift("dev") | {"version": 2})),
    "one more field": ("dev.json", json.dumps(drift("dev") | {"more": 1})),
    "another file": ("notes.txt", "hello"),
}


@pytest.mark.parametrize(("name", "content"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_result_of_another_form_is_refused_and_changes_nothing(
    github: FakeGitHub, tmp_path: Path, name: str, content: str
) -> None:
    source = tmp_path / "drift"
    source.mkdir()
    (tmp_path / "map.yaml").write_text(MAP)
    (source / name).write_text(content)
    assert main(["drift-issue", "--from", str(source), "--map", str(tmp_path / "map.yaml")]) == 1
    assert github.requests == []


def test_a_link_to_another_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(json.dumps(drift("dev")))
    source = tmp_path / "drift"
    source.mkdir()
    (source / "dev.json").symlink_to(tmp_path / "secret")
    with pytest.raises(RolloutError, match=r"'dev\.json'"):
        drift_issue.read(source, ["dev"])


def test_the_issue_names_the_run_that_looked(
    github: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    assert run(tmp_path, drift("dev"), drift("prod", "models")) == 0
    assert "(<https://github.com/example/groundwork/actions/runs/77>)" in github.issues[0]["body"]
