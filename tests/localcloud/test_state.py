"""The state on disk."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from localcloud.errors import LocalcloudError
from localcloud.state import Operation, Resource, Snapshot, StateFile
from localcloud.values import Secret


@pytest.fixture(autouse=True)
def _passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")


FULL = Resource(
    urn="urn:pulumi:s::p::test:index:Thing::a",
    type="test:index:Thing",
    custom=True,
    id="a-1",
    inputs={"password": Secret("hunter2"), "list": [1, 2.5, None, True]},
    outputs={"arn": "arn:a"},
    parent="urn:pulumi:s::p::pulumi:pulumi:Stack::p-s",
    provider="urn:pulumi:s::p::pulumi:providers:test::x::id",
    dependencies=("urn:pulumi:s::p::t::b",),
    property_dependencies={"list": ("urn:pulumi:s::p::t::b",)},
    protect=True,
    retain_on_delete=True,
    additional_secret_outputs=("arn",),
    custom_timeouts={"create": 300.0},
    created="2026-01-01T00:00:00Z",
    modified="2026-01-02T00:00:00Z",
    source_position="project:///a.py#3",
    extra={"taint": True},
)


NEEDED = [
    Resource("urn:pulumi:s::p::pulumi:pulumi:Stack::p-s", "pulumi:pulumi:Stack", custom=False),
    Resource("urn:pulumi:s::p::pulumi:providers:test::x", "pulumi:providers:test", custom=True, id="id"),
    Resource("urn:pulumi:s::p::t::b", "t", custom=True, id="b-1"),
]


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    snapshot = Snapshot([*NEEDED, FULL], [Operation("creating", FULL)])
    StateFile(tmp_path / "s.json").save(snapshot)
    assert StateFile(tmp_path / "s.json").load() == snapshot


def test_the_file_is_its_owners_and_holds_no_secret_in_clear(tmp_path: Path) -> None:
    StateFile(tmp_path / "new" / "s.json").save(Snapshot([FULL]))
    path = tmp_path / "new" / "s.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "hunter2" not in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["s.json"]


def test_secrets_are_shown_only_when_asked_for() -> None:
    file = StateFile(Path("unused"))
    assert "hunter2" not in json.dumps(file.render(Snapshot([FULL])))
    assert "hunter2" in json.dumps(file.render(Snapshot([FULL]), show_secrets=True))


def test_a_secret_that_did_not_change_keeps_its_ciphertext(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "s.json")
    assert (
        file.render(Snapshot([FULL]))["deployment"]["resources"]
        == file.render(Snapshot([FULL]))["deployment"]["resources"]
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 3}', '{"version": 3, "deployment": {"resources": [{}]}}'])
def test_a_broken_state_is_told_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(LocalcloudError, match="cannot be read"):
        StateFile(path).load()
    assert path.read_text() == text


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{"version": 2, "deployment": {}}')
    with pytest.raises(LocalcloudError, match="version 2"):
        StateFile(path).load()


def test_secrets_of_another_provider_are_left_to_the_pulumi_cli(tmp_path: Path) -> None:
    document = StateFile(tmp_path / "s.json").render(Snapshot([FULL]))
    document["deployment"]["secrets_providers"] = {"type": "service", "state": {}}
    with pytest.raises(LocalcloudError, match="change-secrets-provider"):
        StateFile(tmp_path / "t.json").parse(document)
