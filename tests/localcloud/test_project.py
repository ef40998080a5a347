"""Pulumi.yaml, Pulumi.STACK.yaml and -c."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.errors import LocalcloudError
from localcloud.project import load
from localcloud.secrets import Passphrase, new_salt


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: demo\nruntime: python\nmain: program/\nconfig:\n  size: {default: 1}\n"
    )
    (tmp_path / "program").mkdir()
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config:\n  demo:flag: true\n  aws:region: eu-west-1\n  demo:aws: {region: here}\n"
    )
    return tmp_path


def test_values_reach_the_program_as_the_cli_hands_them_over(root: Path) -> None:
    project = load(root / "program", "dev")
    assert project.main == root / "program"
    assert project.config == {
        "demo:size": "1",
        "demo:flag": "true",
        "aws:region": "eu-west-1",
        "demo:aws": '{"region":"here"}',
    }


def test_settings_on_the_command_line_win(root: Path) -> None:
    config = load(root, "dev", ["flag=false", "other:x=y=z"]).config
    assert (config["demo:flag"], config["other:x"]) == ("false", "y=z")


def test_a_path_reaches_into_an_object_only_when_asked_to(root: Path) -> None:
    assert load(root, "dev", ["aws.region=there"], paths=True).config["demo:aws"] == '{"region":"there"}'
    assert load(root, "dev", ["aws.region=there"]).config["demo:aws.region"] == "there"


def test_a_secret_setting_is_opened_with_the_passphrase_and_named_secret(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    salt = new_salt("correct horse")
    closed = Passphrase("correct horse", salt).encrypt("hunter2")
    (root / "Pulumi.dev.yaml").write_text(f"encryptionsalt: {salt}\nconfig:\n  demo:password: {{secure: '{closed}'}}\n")
    project = load(root, "dev")
    assert project.config["demo:password"] == "hunter2"
    assert project.secret_keys == {"demo:password"}


@pytest.mark.parametrize(
    ("stack", "file", "sentence"),
    [
        ("prod", None, r"no stack 'prod'.*This project has: dev"),
        ("../dev", None, "no stack name"),
        ("dev", "config: [", "cannot be read"),
        ("dev", "- a list", "must hold a mapping"),
        ("dev", "config:\n  demo:x: {secure: 'v1:a:b'}\n", "demo:x in Pulumi.dev.yaml is encrypted"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(root: Path, stack: str, file: str | None, sentence: str) -> None:
    if file is not None:
        (root / "Pulumi.dev.yaml").write_text(file)
    with pytest.raises(LocalcloudError, match=sentence):
        load(root, stack)


def test_a_folder_without_a_project_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalcloudError, match=r"No Pulumi\.yaml"):
        load(tmp_path, "dev")


def test_a_program_outside_the_project_is_refused(root: Path) -> None:
    (root / "Pulumi.yaml").write_text("name: demo\nmain: ../elsewhere\n")
    with pytest.raises(LocalcloudError, match="leaves the project"):
        load(root, "dev")


def test_a_setting_without_a_value_is_refused(root: Path) -> None:
    with pytest.raises(LocalcloudError, match="key=value"):
        load(root, "dev", ["flag"])
