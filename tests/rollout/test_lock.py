"""Locks tell who holds them; those that CI left are let go, and no others."""

import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollout import backend, lock
from rollout.__main__ import main
from rollout.backend import Backend, Object
from rollout.errors import RolloutError
from rollout.github import Api
from tests.rollout.fake_github import FakeGitHub

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
UNDER = ".pulumi/locks/organization/groundwork/dev"
GONE = 2_000_000_000  # beyond the largest number of a process


class Place:
    """The backend, a directory, and what lies among the locks of dev."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write(".pulumi/meta.yaml", "version: 1\n")

    @property
    def where(self) -> Backend:
        return backend.connect(f"file://{self.root}")

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def hold(self, host: str, name: str = "1", under: str = UNDER, **changes: Any) -> None:
        """Takes a lock as Pulumi does."""
        content = {"pid": GONE, "username": "alice", "hostname": host, "timestamp": "2026-11-21T20:30:00.123456789Z"}
        self.write(f"{under}/{name}.json", json.dumps({**content, **changes}))

    def left(self) -> list[str]:
        return sorted(path.name for path in (self.root / UNDER).glob("*") if path.is_file())

    def locks(self, stack: str = "dev") -> list[lock.Lock]:
        return lock.locks(self.where, "groundwork", stack)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "PULUMI_"))]:
        monkeypatch.delenv(name)
    found = Place(tmp_path / "state")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{found.root}")
    return found


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        for name, value in (("TOKEN", fake.token), ("REPOSITORY", fake.repository), ("API_URL", fake.url)):
            monkeypatch.setenv(f"GITHUB_{name}", value)
        yield fake


def broken(place: Place, github: FakeGitHub) -> list[str]:
    return lock.break_stale(
        place.where, place.locks(), "dev", lambda: Api(github.token, github.repository, github.url, wait=0.01)
    )


def test_a_lock_of_ci_tells_its_run_and_one_of_a_person_who_it_is(place: Place) -> None:
    place.hold("run-123-2", "ci")
    place.hold("laptop", "person", timestamp="2026-11-21T21:30:00+01:00", pid=4711)
    place.hold("run-1-1", "older", timestamp="2026-11-20T00:00:00Z")
    older, person, ci = place.locks()
    assert (older.run, ci.run, person.run) == ((1, 1), (123, 2), None)
    assert ci.since == datetime(2026, 11, 21, 20, 30, 0, 123456, UTC)
    assert ci.holder() == "run 123 of CI, attempt 2"
    assert person.holder() == "alice on laptop (process 4711), who is not CI"
    assert person.since == datetime(2026, 11, 21, 20, 30, tzinfo=UTC)


def test_locks_of_other_stacks_are_not_looked_at(place: Place) -> None:
    place.hold("run-1-1", under=f"{UNDER}2")
    place.hold("run-1-1", under=UNDER.replace("dev", "prod"))
    place.hold("run-1-1", under=UNDER.replace("groundwork", "other"))
    place.hold("run-1-1", under=f"{UNDER}/deeper")
    assert place.locks() == []


@pytest.mark.parametrize("meta", ["version: 0\n", None])
def test_locks_lie_without_the_project_where_the_backend_is_of_the_old_layout(place: Place, meta: str | None) -> None:
    place.hold("run-1-1", under=".pulumi/locks/dev")
    place.hold("run-2-1")
    if meta is None:
        (place.root / ".pulumi/meta.yaml").unlink()
    else:
        place.write(".pulumi/meta.yaml", meta)
    assert [one.run for one in place.locks()] == [(1, 1)]


@pytest.mark.parametrize("meta", ["version: 2", "version: true", "{}", "[", "version: '1'", ""])
def test_a_layout_that_is_not_known_is_refused(place: Place, meta: str) -> None:
    place.write(".pulumi/meta.yaml", meta)
    with pytest.raises(RolloutError, match=r"meta\.yaml in file://.* says no version that is known"):
        place.locks()


UNREADABLE = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "null": "null",
    "no host": '{"pid": 1, "username": "a", "timestamp": "2026-11-21T20:30:00Z"}',
    "a host that is no text": '{"pid": 1, "username": "a", "hostname": 7, "timestamp": "2026-11-21T20:30:00Z"}',
    "a process that is no number": (
        '{"pid": true, "username": "a", "hostname": "run-1-1", "timestamp": "2026-11-21T20:30:00Z"}'
    ),
    "no time": '{"pid": 1, "username": "a", "hostname": "run-1-1", "timestamp": "now"}',
    "a time without a zone": '{"pid": 1, "username": "a", "hostname": "run-1-1", "timestamp": "2026-11-21T20:30:00"}',
    "a screen's control": (
        '{"pid": 1, "username": "\\u001b[2J", "hostname": "run-1-1", "timestamp": "2026-11-21T20:30:00Z"}'
    ),
    "endless": json.dumps({"pid": 1, "username": "a" * 201, "hostname": "h", "timestamp": "2026-11-21T20:30:00Z"}),
    "deep": "[" * 50_000,
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_lock_that_cannot_be_read_is_shown_and_never_removed(
    place: Place, github: FakeGitHub, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    github.add_run("deploy.yml", run_id=1)
    monkeypatch.setenv("GITHUB_RUN_ID", "1")
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "1")
    place.write(f"{UNDER}/odd.json", text)
    assert main(["lock", "status", "--stack", "dev"]) == 0
    shown = capsys.readouterr().out
    assert "nobody can tell who" in shown
    assert shown.replace("\n", "").isprintable()
    with pytest.raises(RolloutError, match=r"nobody can tell who.*It is not broken here"):
        broken(place, github)
    assert lock.release_own(place.where, place.locks()) == []
    assert place.left() == ["odd.json"]


@pytest.mark.parametrize(
    "host", ["run-1", "run-0-1", "run-1-1.example.com", "xrun-1-1", "run-1-1 ", "run-٣-1", "RUN-1-1"]
)
def test_a_host_that_only_looks_like_a_run_is_not_ci(place: Place, host: str) -> None:
    place.hold(host)
    assert [one.run for one in place.locks()] == [None]


def test_the_status_tells_who_since_when_and_for_how_long(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lock", "status", "--stack", "dev"]) == 0
    assert capsys.readouterr().out == "Nobody holds dev.\n"
    monkeypatch.setenv("GITHUB_REPOSITORY", "example/groundwork")
    place.hold("run-123-2")
    assert lock.table("dev", place.locks(), NOW) == (
        "dev is held by 1 lock:\n"
        "  run 123 of CI, attempt 2\n"
        "    for 1 h 29 min, since 2026-11-21 20:30:00 UTC\n"
        "    https://github.com/example/groundwork/actions/runs/123/attempts/2\n"
        f"    {UNDER}/1.json\n"
    )
    assert main(["lock", "status", "--stack", "dev", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["locks"]
    link = "https://github.com/example/groundwork/actions/runs/123/attempts/2"
    assert row["run"] == {"id": 123, "attempt": 2, "url": link}
    assert (row["user"], row["host"], row["readable"]) == ("alice", "run-123-2", True)
    assert lock.described(place.locks()[0], NOW)["seconds"] == 5399


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (5400, "1 h 30 min"), (90_061, "1 d 1 h"), (-5, "0 s")],
)
def test_time_spans_are_told_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert lock.lasting(seconds) == words


def test_a_run_lets_go_of_its_own_locks_and_no_others(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, host in enumerate(("run-7-2", "run-7-1", "run-8-2", "laptop", "run-7-2")):
        place.hold(host, str(number))
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    assert main(["lock", "release", "--own", "--stack", "dev"]) == 0
    assert capsys.readouterr().out.count("Removed the lock of run 7 of CI, attempt 2") == 2
    assert place.left() == ["1.json", "2.json", "3.json"]
    assert main(["lock", "release", "--own", "--stack", "dev"]) == 0
    assert capsys.readouterr().out == "This run holds no lock of dev.\n"


def test_a_laptop_lets_go_of_what_its_own_ended_processes_hold(place: Place) -> None:
    place.hold(socket.gethostname(), "ours")
    place.hold("another", "theirs")
    assert len(lock.release_own(place.where, place.locks())) == 1
    assert place.left() == ["theirs.json"]


def test_what_still_runs_on_this_machine_keeps_its_lock(place: Place) -> None:
    place.hold(socket.gethostname(), pid=os.getpid())
    with pytest.raises(RolloutError, match="still runs"):
        lock.release_own(place.where, place.locks())
    assert place.left() == ["1.json"]


def test_release_without_own_is_no_command(place: Place) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["lock", "release", "--stack", "dev"])
    assert ended.value.code == 2


@pytest.mark.parametrize("conclusion", ["success", "failure", "cancelled", "timed_out"])
def test_the_lock_of_a_run_that_is_over_is_broken(place: Place, github: FakeGitHub, conclusion: str) -> None:
    github.add_run("deploy.yml", run_id=123, conclusion=conclusion)
    place.hold("run-123-1")
    assert broken(place, github) == [
        "Removed the lock of run 123 of CI, attempt 1, held since 2026-11-21 20:30:00 UTC."
    ]
    assert place.left() == []


@pytest.mark.parametrize("status", ["in_progress", "queued", "waiting", "requested", None, "Completed"])
def test_the_lock_of_a_run_that_is_not_over_is_not_broken(place: Place, github: FakeGitHub, status: str) -> None:
    github.add_run("deploy.yml", run_id=123, conclusion=None)["status"] = status
    place.hold("run-123-1")
    with pytest.raises(
        RolloutError, match=r"dev is held by run 123 of CI, attempt 1, which is [a-z ]+: wait for it \("
    ):
        broken(place, github)
    assert place.left() == ["1.json"]


def test_an_attempt_that_is_over_does_not_hide_behind_a_later_one(place: Place, github: FakeGitHub) -> None:
    github.answers["GET /actions/runs/123/attempts/1"] = {"status": "completed"}
    github.answers["GET /actions/runs/123/attempts/2"] = {"status": "in_progress"}
    place.hold("run-123-1", "over")
    place.hold("run-123-2", "running")
    with pytest.raises(RolloutError, match="attempt 2, which is in progress"):
        broken(place, github)
    assert place.left() == ["running.json"]


def test_a_lock_that_ci_does_not_hold_is_refused_with_whose_it_is_and_what_to_do(
    place: Place, github: FakeGitHub, capsys: pytest.CaptureFixture[str]
) -> None:
    place.hold("laptop")
    assert main(["lock", "break-stale", "--stack", "dev"]) == 1
    said = capsys.readouterr().err
    assert f"alice on laptop (process {GONE}), who is not CI. It is not broken here" in said
    assert "`pulumi cancel --stack dev`" in said
    assert place.left() == ["1.json"]
    assert github.requests == []


def test_of_several_locks_those_that_may_be_are_broken_and_the_rest_is_told(place: Place, github: FakeGitHub) -> None:
    github.add_run("deploy.yml", run_id=1)
    github.add_run("deploy.yml", run_id=2, status="in_progress", conclusion=None)
    for number, host in enumerate(("run-1-1", "run-2-1", "laptop")):
        place.hold(host, str(number))
    with pytest.raises(RolloutError) as refused:
        broken(place, github)
    assert place.left() == ["1.json", "2.json"]
    for words in (
        "run 2 of CI, attempt 1, which is in progress",
        "who is not CI",
        "Besides: Removed the lock of run 1 ",
    ):
        assert words in str(refused.value)


def test_a_run_that_github_does_not_know_is_refused(place: Place, github: FakeGitHub) -> None:
    place.hold("run-404-1")
    with pytest.raises(RolloutError, match="which this repository does not have"):
        broken(place, github)
    assert place.left() == ["1.json"]


def test_where_github_does_not_answer_nothing_is_broken(place: Place, github: FakeGitHub) -> None:
    github.add_run("deploy.yml", run_id=1)
    github.faults.append({"method": "GET", "path": "/runs/", "status": 500, "times": 99})
    place.hold("run-1-1")
    with pytest.raises(RolloutError, match="500"):
        broken(place, github)
    assert place.left() == ["1.json"]


def test_a_lock_that_has_changed_since_it_was_read_stays(place: Place, github: FakeGitHub) -> None:
    github.add_run("deploy.yml", run_id=1)
    place.hold("run-1-1")
    held = place.locks()
    place.hold("run-2-1")
    with pytest.raises(RolloutError, match="has changed or gone while it was looked at; it was not removed"):
        lock.break_stale(place.where, held, "dev", Api.from_environment)
    assert [one.run for one in place.locks()] == [(2, 1)]


def test_a_lock_that_went_by_itself_is_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.hold("run-1-1")
    where = place.where
    read = where.read

    def vanishing(name: str) -> Object | None:
        return None if name.startswith(UNDER) else read(name)

    monkeypatch.setattr(where, "read", vanishing)
    assert lock.locks(where, "groundwork", "dev") == []


def test_what_is_missing_is_told_in_a_sentence(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lock", "status", "--stack", "../prod"]) == 1
    assert "is no name of a stack" in capsys.readouterr().err
    assert main(["lock", "status", "--stack", "dev", "-C", str(tmp_path)]) == 1
    assert "No Pulumi.yaml" in capsys.readouterr().err
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    assert main(["lock", "status", "--stack", "dev"]) == 1
    assert "PULUMI_BACKEND_URL is not set" in capsys.readouterr().err


def test_a_lock_that_was_taken_just_now_is_held_for_seconds(place: Place) -> None:
    soon = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    place.hold("run-1-1", timestamp=soon)
    (held,) = place.locks()
    assert 0 <= lock.described(held, datetime.now(UTC))["seconds"] < 600
