"""Which image a stack is to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollout import __main__ as cli
from rollout import branches, promotion, record
from rollout.errors import RolloutError
from tests.rollout.records import RELEASE, keep

MAP = branches.Map("main", tuple(branches.Branch(name, name, name, ()) for name in ("dev", "staging", "main")))
BUILT = f"sha256:{'9' * 64}"


def believed(_found: record.Record) -> None:
    pass


def doubted(found: record.Record) -> None:
    raise RolloutError(f"nobody vouches for {found.stack}")


def test_the_first_environment_runs_what_was_built(tmp_path: Path) -> None:
    assert promotion.release(MAP, "dev", tmp_path, believed, built=BUILT) == BUILT
    with pytest.raises(RolloutError, match="say with --built"):
        promotion.release(MAP, "dev", tmp_path, believed)


def test_a_later_one_runs_what_the_one_before_it_runs(tmp_path: Path) -> None:
    keep(tmp_path, "dev", began="2026-11-20T20:30:00Z")
    keep(tmp_path, "dev", began="2026-11-21T20:30:00Z", release=BUILT, outcome="rolled back")
    assert promotion.release(MAP, "staging", tmp_path, believed) == RELEASE
    with pytest.raises(RolloutError, match="staging never was"):
        promotion.release(MAP, "main", tmp_path, believed)
    with pytest.raises(RolloutError, match="leave --built out"):
        promotion.release(MAP, "staging", tmp_path, believed, built=BUILT)


def test_a_record_that_nobody_vouches_for_promotes_nothing(tmp_path: Path) -> None:
    keep(tmp_path, "dev")
    with pytest.raises(RolloutError, match="nobody vouches for dev"):
        promotion.release(MAP, "staging", tmp_path, doubted)


@pytest.mark.parametrize("digest", ["latest", "sha256:1", promotion.NONE, f"{BUILT}\n", f"sha256:{'A' * 64}"])
def test_what_names_no_image_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(RolloutError, match="is no digest of an image"):
        promotion.release(MAP, "dev", tmp_path, believed, built=digest)


def test_the_command_hands_the_digest_to_later_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path / "records", "dev")
    output = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    words = ["release", "--stack", "staging", "--records", str(tmp_path / "records"), "--unsigned", "--github-output"]
    assert cli.main(words) == 0
    assert capsys.readouterr().out == f"{RELEASE}\n"
    assert output.read_text() == f"release={RELEASE}\n"
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert cli.main([word for word in words if word != "--unsigned"]) == 1
    assert "no signature of a record can be verified" in capsys.readouterr().err
