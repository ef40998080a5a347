"""The client of GitHub's API: all pages, bounded retries, bounded sizes, and a token that goes nowhere else."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from rollout.errors import RolloutError
from rollout.github import WAIT_LIMIT, Api, ApiError, field
from tests.rollout.fake_github import FakeGitHub

TOKEN = "ghs_this-is-the-token"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(token=TOKEN) as fake:
        fake.add_pull()
        yield fake


@pytest.fixture
def api(github: FakeGitHub) -> Api:
    return Api(TOKEN, github.repository, github.url, wait=0)


def asked(github: FakeGitHub) -> list[str]:
    return [f"{row['method']} {row['status']}" for row in github.requests]


def test_all_pages_of_a_list_are_read(github: FakeGitHub, api: Api) -> None:
    for number in range(250):
        github.add_comment(1, f"comment {number}")
    bodies = [row["body"] for row in api.pages("issues/1/comments")]
    assert bodies == [f"comment {number}" for number in range(250)]
    assert len(github.requests) == 3


def test_rows_under_a_key_are_read(github: FakeGitHub, api: Api) -> None:
    run = github.add_run("preview.yml")
    for _ in range(101):
        github.add_artifact(run["id"], "preview", b"zip")
    github.add_artifact(run["id"], "other", b"zip")
    assert len(list(api.pages("actions/artifacts", "artifacts", name="preview"))) == 101


def test_a_list_that_does_not_end_is_not_read_on(github: FakeGitHub, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.github.PAGE_LIMIT", 2)
    for number in range(201):
        github.add_comment(1, f"comment {number}")
    with pytest.raises(ApiError, match="more than 2 pages"):
        list(api.pages("issues/1/comments"))


def test_a_next_page_at_another_host_is_not_followed(github: FakeGitHub, api: Api) -> None:
    headers = {"Link": f'<http://localhost:{github.port}/_download/1>; rel="next"'}
    github.faults.append({"path": "comments", "status": 200, "headers": headers, "content": "[]"})
    with pytest.raises(ApiError, match="another host"):
        list(api.pages("issues/1/comments"))
    assert not [row for row in github.requests if row["path"].startswith("/_download")]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("method", ["get", "post", "patch"])
def test_a_fault_that_passes_is_tried_again(github: FakeGitHub, api: Api, status: int, method: str) -> None:
    comment = github.add_comment(1, "old")
    github.faults.append({"status": status, "times": 2})
    if method == "get":
        assert api.get("pulls/1")["number"] == 1
    elif method == "post":
        assert api.post("issues/1/comments", {"body": "new"})["body"] == "new"
    else:
        assert api.patch(f"issues/comments/{comment['id']}", {"body": "new"})["body"] == "new"
    assert [row["status"] for row in github.requests][:2] == [status, status]
    assert len(github.requests) == 3


def test_a_fault_that_stays_is_an_error_after_four_more_tries(github: FakeGitHub, api: Api) -> None:
    github.faults.append({"status": 502, "times": 100})
    with pytest.raises(ApiError, match=r"502.*later") as caught:
        api.get("pulls/1")
    assert caught.value.status == 502
    assert asked(github) == ["GET 502"] * 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 500])
def test_a_refusal_is_not_tried_again(github: FakeGitHub, api: Api, status: int) -> None:
    github.faults.append({"status": status, "times": 100})
    with pytest.raises(ApiError) as caught:
        api.get("pulls/1")
    assert caught.value.status == status
    assert len(github.requests) == 1


def test_it_does_not_wait_for_longer_than_half_a_minute_whatever_github_asks(github: FakeGitHub) -> None:
    adapter: Any = Api(TOKEN, github.repository, github.url)._session.get_adapter("https://api.github.com")
    retries = adapter.max_retries
    assert (retries.total, retries.retry_after_max, retries.backoff_max) == (4, 30, 30)
    assert WAIT_LIMIT == 30


def test_retry_after_is_heard(github: FakeGitHub, api: Api) -> None:
    github.faults.append({"status": 429, "times": 1, "headers": {"Retry-After": "0"}})
    assert api.get("pulls/1")["number"] == 1


def test_a_download_follows_the_redirect_without_the_token(github: FakeGitHub, api: Api) -> None:
    run = github.add_run("preview.yml")
    artifact = github.add_artifact(run["id"], "preview", b"the bytes")
    assert api.download(f"actions/artifacts/{artifact['id']}/zip", 100) == b"the bytes"
    first, second = github.requests
    assert (first["token"], second["token"]) == (True, False)
    assert first["host"] != second["host"]


def test_a_redirect_on_the_same_host_gets_no_token_either(github: FakeGitHub, api: Api) -> None:
    run = github.add_run("preview.yml")
    artifact = github.add_artifact(run["id"], "preview", b"the bytes")
    path = f"actions/artifacts/{artifact['id']}/zip"
    headers = {"Location": f"{github.url}/_download/{artifact['id']}"}
    github.faults.append({"path": "/zip", "status": 302, "headers": headers})
    assert api.download(path, 100) == b"the bytes"
    assert [row["token"] for row in github.requests] == [True, False]


def test_a_netrc_gives_no_password_to_where_a_redirect_leads(
    github: FakeGitHub, api: Api, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    run = github.add_run("preview.yml")
    artifact = github.add_artifact(run["id"], "preview", b"the bytes")
    assert api.download(f"actions/artifacts/{artifact['id']}/zip", 100) == b"the bytes"


@pytest.mark.parametrize(
    "target", ["http://example.com/x", "ftp://example.com/x", "file:///etc/passwd", "//example.com/x"], ids=str
)
def test_a_download_does_not_follow_to_an_address_without_tls(github: FakeGitHub, api: Api, target: str) -> None:
    github.faults.append({"status": 302, "headers": {"Location": target}})
    with pytest.raises(RolloutError, match="without TLS"):
        api.download("actions/artifacts/1/zip", 100)


def test_a_download_that_is_redirected_for_ever_ends(github: FakeGitHub, api: Api) -> None:
    github.faults.append({"status": 302, "times": 100, "headers": {"Location": f"{github.url}/round"}})
    with pytest.raises(RolloutError, match="more than 3 times"):
        api.download("round", 100)
    assert [row["token"] for row in github.requests] == [True, False, False, False]


def test_a_download_longer_than_its_limit_is_refused(github: FakeGitHub, api: Api) -> None:
    run = github.add_run("preview.yml")
    artifact = github.add_artifact(run["id"], "preview", b"x" * 101)
    with pytest.raises(RolloutError, match="longer than 100 bytes"):
        api.download(f"actions/artifacts/{artifact['id']}/zip", 100)
    artifact = github.add_artifact(run["id"], "preview", b"x" * 100)
    assert len(api.download(f"actions/artifacts/{artifact['id']}/zip", 100)) == 100


def test_an_artifact_that_expired_is_a_sentence(github: FakeGitHub, api: Api) -> None:
    run = github.add_run("preview.yml")
    artifact = github.add_artifact(run["id"], "preview", b"x", expired=True)
    with pytest.raises(ApiError, match=r"410.*gone"):
        api.download(f"actions/artifacts/{artifact['id']}/zip", 100)


def test_an_answer_that_is_too_long_is_refused(github: FakeGitHub, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.github.ANSWER_LIMIT", 1000)
    github.answers["GET /pulls/1"] = "x" * 1000
    with pytest.raises(ApiError, match="longer than 1,000 bytes"):
        api.get("pulls/1")


def test_another_answer_than_json_or_a_list_is_a_sentence(github: FakeGitHub, api: Api) -> None:
    github.faults.append({"status": 200, "content": "<html>"})
    with pytest.raises(ApiError, match="no JSON"):
        api.get("pulls/1")
    github.answers["GET /actions/artifacts"] = {"artifacts": None}
    with pytest.raises(ApiError, match="no list"):
        list(api.pages("actions/artifacts", "artifacts"))


def test_a_moved_repository_is_said_and_not_followed(github: FakeGitHub, api: Api) -> None:
    github.faults.append({"status": 301, "headers": {"Location": f"http://localhost:{github.port}/elsewhere"}})
    with pytest.raises(ApiError, match=r"301.*has moved"):
        api.get("pulls/1")
    assert len(github.requests) == 1


def test_no_error_shows_the_token(github: FakeGitHub, api: Api) -> None:
    told = []
    github.faults.append({"status": 403, "message": f"no access for {TOKEN}\n::error::\x1b[31m"})
    for one in [api, Api(TOKEN, github.repository, "http://127.0.0.1:9", wait=0)]:
        with pytest.raises(RolloutError) as caught:
            one.get("pulls/1")
        told.append(str(caught.value) + repr(caught.value) + repr(caught.value.__cause__))
    assert not [text for text in told if TOKEN in text]
    assert "\n" not in told[0]
    assert "\x1b" not in told[0]


def test_a_signed_address_is_in_no_error(github: FakeGitHub, api: Api) -> None:
    github.faults.append({"status": 302, "headers": {"Location": "http://127.0.0.1:9/blob?sig=signature"}})
    with pytest.raises(RolloutError) as caught:
        api.download("actions/artifacts/1/zip", 100)
    assert "did not answer a download" in str(caught.value)
    assert "signature" not in repr(caught.value) + repr(caught.value.__cause__)
    assert caught.value.__suppress_context__


def test_nothing_is_sent_in_clear_or_without_a_token_or_to_no_repository(github: FakeGitHub) -> None:
    for token, repository, address in [
        (TOKEN, "example/groundwork", "http://example.com"),
        (TOKEN, "example/groundwork", "http://127.0.0.1.example.com"),
        (TOKEN, "example/groundwork", "ftp://127.0.0.1"),
        (TOKEN, "example/groundwork", "https://"),
        ("", "example/groundwork", "https://api.github.com"),
        ("to\nken", "example/groundwork", "https://api.github.com"),
        (TOKEN, "groundwork", "https://api.github.com"),
        (TOKEN, "example/../other", "https://api.github.com"),
        (TOKEN, "", "https://api.github.com"),
    ]:
        with pytest.raises(RolloutError):
            Api(token, repository, address)
    assert github.requests == []


def test_the_environment_of_a_step_is_read(github: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in github.environment.items():
        monkeypatch.setenv(name, value)
    assert Api.from_environment().get("")["full_name"] == "example/groundwork"
    monkeypatch.delenv("GITHUB_TOKEN")
    with pytest.raises(RolloutError, match="GITHUB_TOKEN"):
        Api.from_environment()


def test_to_delete_what_is_gone_is_no_error_and_all_else_is(github: FakeGitHub, api: Api) -> None:
    comment = github.add_comment(1, "x")
    api.delete(f"issues/comments/{comment['id']}")
    api.delete(f"issues/comments/{comment['id']}")
    assert github.comments[1] == []
    github.faults.append({"status": 403})
    with pytest.raises(ApiError):
        api.delete(f"issues/comments/{comment['id']}")


def test_a_place_that_an_answer_lacks_is_none() -> None:
    assert field({"a": {"b": 1}}, "a", "b") == 1
    assert field({"a": None}, "a", "b") is None
    assert field([], "a") is None


def test_the_fake_gives_30_rows_a_page_where_nobody_asks_for_more(github: FakeGitHub, api: Api) -> None:
    for _ in range(31):
        github.add_comment(1, "x")
    assert len(api.get("issues/1/comments")) == 30


def test_the_fake_runs_as_a_process_from_a_file(tmp_path: Any) -> None:
    state = {"pulls": [{"head": "feature"}], "runs": [{"workflow": "preview.yml", "run_id": 77}]}
    (tmp_path / "state.json").write_text(json.dumps(state))
    command = [sys.executable, "-m", "tests.rollout.fake_github", "--state", str(tmp_path / "state.json")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        api = Api("ghs_fake", "example/groundwork", process.stdout.readline().strip(), wait=0)
        assert api.get("actions/runs/77")["path"] == ".github/workflows/preview.yml"
        api.post("issues/1/comments", {"body": "said"})
        assert api.get("/_state")["comments"]["1"][0]["body"] == "said"
    finally:
        process.stdin.close()  # what ends it
        process.wait(timeout=30)
        process.stdout.close()
