"""Whether a stack is as it was deployed. The engine is a fake; the emulator is in test_deploy_emulated.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rollout import __main__ as cli
from rollout import drift, record, worktree
from rollout.engine import ENGINES
from rollout.errors import RolloutError
from rollout.redact import Redactor
from tests.rollout.records import COMMIT, RELEASE, keep

SCHEMA = json.loads(Path(drift.__file__).with_name("drift.schema.json").read_text())
TOPIC = "urn:pulumi:dev::demo::demo:part$aws:sns/topic:Topic::arrivals"
KEY = "AKIA" + "ABCDEFGHIJKLMNOP"


def step(op: str, urn: str = TOPIC, **more: Any) -> dict[str, Any]:
    return {"op": op, "urn": urn, "newState": {"type": "aws:sns/topic:Topic"}, "detailedDiff": None, **more}


class FakeEngine:
    """A stack with a state, and a preview."""

    dialect = ENGINES["localcloud"]

    def __init__(self, *steps: dict[str, Any]) -> None:
        self.steps, self.kept, self.writes, self.calls = list(steps), b"state", b"", list[str]()

    def install(self) -> None:
        self.calls.append("install")

    def state(self) -> bytes:
        self.calls.append("state")
        return self.kept

    def preview(self) -> dict[str, Any]:
        self.calls.append("preview")
        self.kept += self.writes
        return {"changeSummary": {}, "steps": self.steps}


def found(tmp_path: Path) -> record.Record:
    return record.read(keep(tmp_path))


def look(tmp_path: Path, engine: FakeEngine) -> dict[str, Any]:
    now = datetime(2026, 11, 21, 3, tzinfo=UTC)
    document = drift.look(found(tmp_path), engine, Redactor(), now)  # type: ignore[arg-type] # as much of an engine as is asked
    jsonschema.validate(document, SCHEMA)
    return document


def test_what_the_next_up_would_do_is_drift(tmp_path: Path) -> None:
    engine = FakeEngine(
        step("refresh"),
        step("same", "a::b::pulumi:pulumi:Stack::dev"),
        step("read", "a::b::c::read"),
        step("update", detailedDiff={"displayName": {}, "tags.a": {}}, diffReasons=["displayName", "tags"]),
        step("replace", "a::b::aws:s3/bucket:Bucket::parcels", diffReasons=["bucket"]),
        step("create", "a::b::c::gone"),
        {"op": "delete", "urn": "a::b::x$c:d:E::other", "oldState": {}, "detailedDiff": None},
    )
    document = look(tmp_path, engine)
    assert {row["name"]: (row["what"], row["changed"]) for row in document["drifted"]} == {
        "arrivals": ("changed", ["displayName", "tags.a"]),
        "parcels": ("changed", ["bucket"]),
        "gone": ("gone", []),
        "other": ("undeclared", []),
    }
    assert {row["name"]: row["type"] for row in document["drifted"]}["other"] == "c:d:E"
    assert (document["commit"], document["release"]) == (COMMIT, RELEASE)
    assert document["checked"] == "2026-11-21T03:00:00Z"
    assert engine.calls == ["install", "state", "preview", "state"]


def test_a_refresh_alone_is_no_drift(tmp_path: Path) -> None:
    """What the program ignores (`ignoreChanges`), as the count of copies that the scaling sets, is refreshed only."""
    assert look(tmp_path, FakeEngine(step("refresh", detailedDiff={"desiredCount": {}})))["drifted"] == []
    assert look(tmp_path, FakeEngine())["drifted"] == []


def test_a_state_that_changed_meanwhile_says_nothing_of_drift(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.writes = b"!"
    with pytest.raises(RolloutError, match="The state of dev changed while it was looked at"):
        look(tmp_path, engine)


def test_no_secret_gets_into_the_file(tmp_path: Path) -> None:
    urn = f"{TOPIC}-{KEY}"
    document = look(tmp_path, FakeEngine(step("update", urn, detailedDiff={f'tags["{KEY}"]': {}})))
    assert KEY not in json.dumps(document)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"version": 1}, SCHEMA)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """What the command asks: an engine, and a work tree of the deployed commit."""
    engine = FakeEngine()

    @contextmanager
    def at(commit: str, directory: Path, _shared: tuple[str, ...] = ()) -> Iterator[Path]:
        assert commit == COMMIT
        yield directory / "tree"

    def engines(_options: Any, _redactor: Redactor) -> Any:
        def make(directory: Path, release: str) -> FakeEngine:
            engine.calls.append(f"{directory.name} {release == RELEASE}")
            return engine

        return make

    monkeypatch.setattr(worktree, "at", at)
    monkeypatch.setattr(drift, "engines", engines)
    return engine


def run(tmp_path: Path, *words: str) -> int:
    out = ["--out", str(tmp_path / "out" / "dev.json"), "-C", str(tmp_path), "--unsigned"]
    return cli.main(["drift", "--stack", "dev", "--records", str(tmp_path / "records"), *out, *words])


def test_the_exit_code_tells_drift_from_none_and_from_an_error(
    asked: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 1
    assert "dev was never deployed in success" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    keep(tmp_path / "records", commit="e" * 40, outcome="rolled back", began="2026-11-23T20:30:00Z")
    keep(tmp_path / "records")
    assert run(tmp_path) == 0
    assert json.loads((tmp_path / "out" / "dev.json").read_text())["drifted"] == []
    asked.steps.append(step("update", f"{TOPIC}\x1b[31m"))
    assert run(tmp_path) == 3
    assert len(json.loads((tmp_path / "out" / "dev.json").read_text())["drifted"]) == 1
    assert "\x1b" not in capsys.readouterr().err
    assert "tree True" in asked.calls


def test_records_that_nobody_vouches_for_are_not_compared_with(
    asked: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path / "records")
    monkeypatch.setenv("GITHUB_REPOSITORY", "example/groundwork")
    monkeypatch.setenv("PATH", "/nowhere")
    words = ["drift", "--stack", "dev", "--records", str(tmp_path / "records"), "--out", str(tmp_path / "out.json")]
    assert cli.main(words) == 1
    assert "cannot be verified" in capsys.readouterr().err
    assert asked.calls == []
