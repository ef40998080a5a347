from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import release


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test finds out anew."""
    monkeypatch.delenv("RELEASE", raising=False)
    monkeypatch.delenv("COMMIT", raising=False)
    release.commit.cache_clear()


def folder(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


FILES = {"__main__.py": "1", "schemas/model.schema.json": "{}", "static/home.js": "1"}


@pytest.mark.parametrize(
    "change",
    [
        {"__main__.py": "2"},
        {"schemas/model.schema.json": "[]"},
        {"static/home.js": "2"},
        {"new.py": ""},
        {"__main__.py": "", "schemas/model.schema.json": "1{}"},
    ],
)
def test_any_change_of_what_runs_is_another_release(tmp_path: Path, change: dict[str, str]) -> None:
    before = release.code_hash(folder(tmp_path / "a", FILES))
    assert release.code_hash(folder(tmp_path / "b", {**FILES, **change})) != before


def test_bytes_that_move_from_one_file_to_another_are_another_release(tmp_path: Path) -> None:
    one = release.code_hash(folder(tmp_path / "a", {"a.py": "1b.py2"}))
    two = release.code_hash(folder(tmp_path / "b", {"a.py": "1", "b.py": "2"}))
    assert one != two


def test_what_does_not_run_is_no_part_of_the_release(tmp_path: Path) -> None:
    before = release.code_hash(folder(tmp_path / "a", FILES))
    more = {"Dockerfile": "FROM x", "__pycache__/x.pyc": "0", "notes.md": "", "monitoring/dashboard.json": "{}"}
    assert release.code_hash(folder(tmp_path / "b", {**FILES, **more})) == before


def test_the_release_is_what_the_platform_states_or_the_hash_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert release.release() == release.code_hash()
    assert re.fullmatch("sha256:[0-9a-f]{64}", release.code_hash())
    monkeypatch.setenv("RELEASE", "sha256:" + "1" * 64)
    assert release.release() == "sha256:" + "1" * 64
    monkeypatch.setenv("RELEASE", "latest")
    assert release.release() == release.code_hash()


def test_the_commit_is_the_stated_one_or_that_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?|unknown", release.commit())
    release.commit.cache_clear()
    monkeypatch.setenv("COMMIT", "1" * 40)
    assert release.commit() == "1" * 40
    release.commit.cache_clear()


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert release.commit() == "unknown"
    release.commit.cache_clear()
