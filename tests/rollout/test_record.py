"""Records: their form, how they are read and believed, and how they get onto their branch."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rollout import __main__ as cli
from rollout import branches, record, record_branch
from rollout.errors import RolloutError
from tests.rollout.records import COMMIT, RELEASE, keep, predicate

MAP = branches.Map("main", (branches.Branch("dev", "dev", "dev", ()), branches.Branch("main", "prod", "prod", ())))
SCHEMA = json.loads(Path(record.__file__).with_name("record.schema.json").read_text())


def believed(_found: record.Record) -> None:
    pass


def test_a_record_is_a_statement_about_its_commit_and_its_image(tmp_path: Path) -> None:
    made = record.statement(predicate(), "ghcr.io/example/app")
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://example.com/groundwork/rollout-record/v1"
    assert [row["digest"] for row in made["subject"]] == [{"gitCommit": COMMIT}, {"sha256": "1" * 64}]
    path = record.write(made, tmp_path / "out")
    found = record.read(path)
    assert (found.commit, found.release, found.outcome, found.stack) == (COMMIT, RELEASE, "succeeded", "dev")
    assert json.loads((tmp_path / "out" / "predicate.json").read_text()) == made["predicate"]


def test_the_schema_is_one_and_leaves_nothing_unsaid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    objects = [SCHEMA]
    while objects:
        one = objects.pop()
        if isinstance(one, dict):
            assert "properties" not in one or one["additionalProperties"] is False
            objects += one.values()
        elif isinstance(one, list):
            objects += one


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"commit": "c" * 39},
        {"release": "latest"},
        {"outcome": "fine"},
        {"more": 1},
        {"steps": []},
        {"began": "yesterday"},
        {"unreviewed": "two\nlines"},
        {"run": {"id": 0, "attempt": 1, "url": "", "event": "", "actor": ""}},
        {"state": {"before": "x", "after": None}},
        {"stack": "../dev"},
    ],
)
def test_what_is_not_of_the_form_is_no_record(changed: dict[str, Any]) -> None:
    with pytest.raises(RolloutError, match="is no record"):
        record.statement({**predicate(), **changed})


def test_the_newest_record_with_the_outcome_is_the_last(tmp_path: Path) -> None:
    keep(tmp_path, began="2026-11-20T20:30:00Z", commit="1" * 40)
    keep(tmp_path, began="2026-11-21T20:30:00Z", commit="2" * 40)
    keep(tmp_path, began="2026-11-22T20:30:00Z", commit="3" * 40, outcome="rolled back")
    keep(tmp_path, "prod", began="2026-11-23T20:30:00Z", commit="4" * 40)
    found = record.last(tmp_path, "dev", verify=believed)
    assert found is not None
    assert found.commit == "2" * 40
    back = record.last(tmp_path, "dev", outcome="rolled back", verify=believed)
    assert back is not None
    assert back.commit == "3" * 40
    assert record.last(tmp_path, "staging", verify=believed) is None


def test_a_later_attempt_of_a_run_is_newer_whatever_its_digits(tmp_path: Path) -> None:
    for attempt in (2, 10):
        run_ = {**predicate()["run"], "attempt": attempt}
        keep(tmp_path, run=run_, commit=str(attempt % 10) * 40)
    found = record.last(tmp_path, "dev", verify=believed)
    assert found is not None
    assert found.path.name.endswith("-41-10.json")


def broken(path: Path) -> None:
    path.write_text("{")


def too_large(path: Path) -> None:
    path.write_text(path.read_text() + " " * record.LARGEST)


def link(path: Path) -> None:
    elsewhere_ = path.rename(path.parents[2] / "record.json")
    path.symlink_to(elsewhere_)


def elsewhere(path: Path) -> None:
    document = json.loads(path.read_text())
    document["predicate"]["stack"] = "prod"
    path.write_text(json.dumps(document))


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def renamed(path: Path) -> None:
    path.rename(path.with_name("zz.json"))


def later(path: Path) -> None:
    path.rename(path.with_name(path.name.replace("2026", "2027")))


def doubled(path: Path) -> None:
    path.write_text(path.read_text().replace('"version": 1', '"version": 1, "version": 1'))


@pytest.mark.parametrize("spoil", [broken, too_large, link, elsewhere, directory, renamed, later, doubled])
def test_a_hostile_or_broken_file_is_refused_by_name(tmp_path: Path, spoil: Any) -> None:
    records = tmp_path / "records"
    keep(records, began="2026-11-20T20:30:00Z")
    spoil(keep(records, began="2026-11-22T20:30:00Z"))
    with pytest.raises(RolloutError, match=r"20261122T203000Z-41-1\.json|zz\.json|20271122T203000Z"):
        record.last(records, "dev", verify=believed)


def test_a_stack_that_is_a_path_or_a_link_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/tmp")
    for stack in ("../dev", "link", ""):
        with pytest.raises(RolloutError, match="is no stack with records"):
            record.last(tmp_path, stack, verify=believed)


# Who vouches for a record


def gh(directory: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> Path:
    """A `gh` that writes down what it is asked, and ends with a code."""
    stub = directory / "bin" / "gh"
    stub.parent.mkdir()
    stub.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >{directory}/asked\necho "$GH_TOKEN" >{directory}/token\nexit {code}\n'
    )
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GITHUB_REPOSITORY", "example/groundwork")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_made-up")
    return directory / "asked"


def test_a_signature_must_be_of_the_deployments_own_workflow_on_the_stacks_own_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = gh(tmp_path, monkeypatch)
    path = keep(tmp_path, "prod", branch="elsewhere")  # what a record says of itself is not asked for
    assert record.last(tmp_path, "prod", verify=record.verifier(unsigned=False, map_=MAP)) is not None
    words = asked.read_text().split("\n")
    assert words[:3] == ["attestation", "verify", str(path)]
    for option, value in (
        ("--repo", "example/groundwork"),
        ("--signer-workflow", "example/groundwork/.github/workflows/deploy.yml"),
        ("--source-ref", "refs/heads/main"),
        ("--predicate-type", record.PREDICATE),
    ):
        assert words[words.index(option) + 1] == value
    assert (tmp_path / "token").read_text() == "ghs_made-up\n"
    assert "ghs_made-up" not in asked.read_text()


def test_a_record_that_nobody_signed_stops_whoever_would_believe_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gh(tmp_path, monkeypatch, code=1)
    keep(tmp_path)
    with pytest.raises(RolloutError, match="Nobody vouches for the record"):
        record.last(tmp_path, "dev", verify=record.verifier(unsigned=False, map_=MAP))


def test_without_gh_no_record_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GITHUB_REPOSITORY", "example/groundwork")
    keep(tmp_path)
    with pytest.raises(RolloutError, match="gh cannot be run"):
        record.last(tmp_path, "dev", verify=record.verifier(unsigned=False, map_=MAP))
    monkeypatch.delenv("GITHUB_REPOSITORY")
    with pytest.raises(RolloutError, match="no signature of a record can be verified"):
        record.verifier(unsigned=False, map_=MAP)


def test_a_stack_that_no_branch_changes_has_no_signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gh(tmp_path, monkeypatch)
    keep(tmp_path, "other")
    with pytest.raises(RolloutError, match="No branch changes the stack 'other'"):
        record.last(tmp_path, "other", verify=record.verifier(unsigned=False, map_=MAP))


# The branch of the records


def git(directory: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(path)], check=True)
    return path


def kept(remote: Path) -> list[str]:
    return git(remote, "ls-tree", "-r", "--name-only", record_branch.BRANCH).split()


def pushed(remote: Path, records: Path, file: Path) -> int:
    return cli.main(["record", "push", "--remote", str(remote), "--records", str(records), str(file)])


def test_the_first_record_makes_the_branch_and_the_next_is_added(remote: Path, tmp_path: Path) -> None:
    first, second = keep(tmp_path / "a"), keep(tmp_path / "b", began="2026-11-22T20:30:00Z")
    assert pushed(remote, tmp_path / "records", first) == 0
    assert pushed(remote, tmp_path / "records", second) == 0
    assert kept(remote) == ["dev/20261121T203000Z-41-1.json", "dev/20261122T203000Z-41-1.json"]
    assert git(remote, "rev-list", "--count", record_branch.BRANCH).strip() == "2"
    found = record.last(tmp_path / "records", "dev", verify=believed)
    assert found is not None
    assert found.path.read_bytes() == second.read_bytes()


def test_a_record_is_pushed_once_and_never_replaced(
    remote: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = keep(tmp_path / "a")
    assert pushed(remote, tmp_path / "records", file) == pushed(remote, tmp_path / "records", file) == 0
    assert git(remote, "rev-list", "--count", record_branch.BRANCH).strip() == "1"
    other = keep(tmp_path / "b", outcome="failed")
    assert pushed(remote, tmp_path / "records", other) == 1
    assert "a record is never replaced" in capsys.readouterr().err
    assert pushed(remote, tmp_path / "records", tmp_path / "nothing.json") == 1


@pytest.mark.parametrize(
    "foreign",
    [
        {"GITHUB_RUN_ID": "42"},
        {"GITHUB_RUN_ATTEMPT": "2"},
        {"GITHUB_SHA": "e" * 40},
        {"GITHUB_REF": "refs/heads/main"},
    ],
)
def test_a_run_keeps_no_record_but_its_own(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: dict[str, str]
) -> None:
    own = {"GITHUB_RUN_ID": "41", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_SHA": COMMIT, "GITHUB_REF": "refs/heads/dev"}
    for name, value in {"GITHUB_ACTIONS": "true", **own, **foreign}.items():
        monkeypatch.setenv(name, value)
    records, file = tmp_path / "records", keep(tmp_path / "a")
    assert pushed(remote, records, file) == 1
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert pushed(remote, records, keep(tmp_path / "b", stack="prod")) == 1  # from dev's branch
    assert pushed(remote, records, file) == 0
    assert kept(remote) == ["dev/20261121T203000Z-41-1.json"]


def test_runs_that_push_at_once_all_get_their_record_in(remote: Path, tmp_path: Path) -> None:
    files = [keep(tmp_path / str(n), began=f"2026-11-2{n}T20:30:00Z") for n in range(1, 5)]
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda file=file: codes.append(pushed(remote, tmp_path / "records", file)))
        for file in files
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 4
    assert len(kept(remote)) == 4


def test_a_push_that_lost_a_race_is_done_again(remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = keep(tmp_path / "a"), keep(tmp_path / "b", began="2026-11-22T20:30:00Z")
    real = record_branch._git
    lost: list[int] = []

    def between(directory: Path, address: str, *words: str) -> tuple[int, str]:
        if words[0] == "push" and not lost:
            lost.append(1)
            record_branch.push(str(remote), "dev/20261122T203000Z-41-1.json", theirs.read_bytes(), tmp_path / "theirs")
        return real(directory, address, *words)

    monkeypatch.setattr(record_branch, "_git", between)
    assert pushed(remote, tmp_path / "records", mine) == 0
    assert len(kept(remote)) == 2


def test_a_push_that_is_refused_for_good_says_why(
    remote: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho the branch is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    assert pushed(remote, tmp_path / "records", keep(tmp_path / "a")) == 1
    assert "was not pushed" in capsys.readouterr().err


def test_records_are_fetched_into_a_new_directory(
    remote: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetched(name: str) -> int:
        return cli.main(["record", "fetch", "--remote", str(remote), "--records", str(tmp_path / name)])

    assert fetched("none") == 0
    assert list((tmp_path / "none").iterdir()) == []
    pushed(remote, tmp_path / "records", keep(tmp_path / "a"))
    assert fetched("some") == 0
    assert [path.name for path in (tmp_path / "some" / "dev").iterdir()] == ["20261121T203000Z-41-1.json"]
    assert not (tmp_path / "some" / ".git").exists()
    assert fetched("some") == 1
    assert "is not empty" in capsys.readouterr().err
    assert cli.main(["record", "fetch", "--remote", str(tmp_path / "no"), "--records", str(tmp_path / "x")]) == 1


def test_the_token_is_in_no_argument_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = tmp_path / "bin" / "git"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/words\nenv >>{tmp_path}/environment\nexit 1\n')
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_made-up")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    for address, told in (("https://github.com/example/groundwork", True), ("https://elsewhere.example.com/x", False)):
        (tmp_path / "environment").unlink(missing_ok=True)
        record_branch._git(tmp_path, address, "push", "origin")
        said = (tmp_path / "environment").read_text()
        assert ("GIT_CONFIG_KEY_3=http.https://github.com/.extraheader" in said) is told
        assert ("AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46Z2hzX21hZGUtdXA=" in said) is told
    assert "ghs" not in (tmp_path / "words").read_text()
