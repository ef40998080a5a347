"""Evidence packs: made whole or not at all, and told apart from altered ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies import evidence
from policies.check import Report
from policies.evidence import PackError, verify, write
from tests.policies.samples import report


@pytest.fixture(name="pack")
def _pack(tmp_path: Path) -> Path:
    write(report(tmp_path), tmp_path / "pack")
    return tmp_path / "pack"


def test_a_pack_holds_every_form_and_is_whole(pack: Path) -> None:
    assert {path.name for path in pack.iterdir()} == evidence.NAMES
    assert verify(pack) == []


def test_two_runs_differ_in_the_time_of_the_manifest_alone(tmp_path: Path) -> None:
    first = report(tmp_path)
    write(first, tmp_path / "a")
    write(replace(report(tmp_path), made=first.made[:11] + "23:59:59+00:00"), tmp_path / "b")
    for name in evidence.RENDERINGS:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    a, b = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in "ab")
    assert {key for key in a if a[key] != b[key]} == {"made"}
    assert a.keys() == b.keys()


def test_the_manifest_says_what_was_judged_by_which_policies_and_tools(pack: Path, tmp_path: Path) -> None:
    manifest = json.loads((pack / "manifest.json").read_text())
    found = report(tmp_path)
    assert manifest["commit"] == found.commit
    assert manifest["stacks"] == ["shop/dev", "shop/prod"]
    assert manifest["counts"] == {"fail": 7, "undetermined": 2, "waived": 1, "pass": 2}
    assert manifest["passed"] is False
    assert manifest["tools"]["tests"] == "1"
    assert manifest["policies"].keys() == found.policies.keys()


def test_a_policys_version_changes_with_its_text_and_with_the_tool(tmp_path: Path) -> None:
    found = report(tmp_path)
    known = evidence.policy_versions(found)
    policy = replace(found.policies["GW-TEST-001"], mend="Do something else.")
    changed = evidence.policy_versions(replace(found, policies={**found.policies, policy.id: policy}))
    assert {name for name in known if known[name] != changed[name]} == {"GW-TEST-001"}
    newer = evidence.policy_versions(replace(found, versions={"groundwork": "2"}))
    assert all(known[name] != newer[name] for name in known)
    other = {**found.versions, "groundwork": "1"}
    assert evidence.policy_versions(replace(found, versions=other)) == evidence.policy_versions(
        replace(found, versions={**other, "checkov": "3"})
    )


@pytest.mark.parametrize("name", sorted(evidence.RENDERINGS))
def test_an_altered_file_is_found(pack: Path, name: str) -> None:
    text = (pack / name).read_text()
    (pack / name).write_text(text.replace("GW-TEST-001", "GW-TEST-002", 1) if "GW-TEST" in text else text + " ")
    assert verify(pack) == [f"{name} is altered."]


def test_missing_and_extra_files_are_found(pack: Path) -> None:
    (pack / "results.xml").unlink()
    (pack / "more").mkdir()
    (pack / "notes.txt").write_text("x")
    assert verify(pack) == [
        "results.xml is missing.",
        "'more' is an extra file, which the pack was made without.",
        "'notes.txt' is an extra file, which the pack was made without.",
    ]


def test_a_link_in_a_files_place_is_no_file_of_the_pack(pack: Path, tmp_path: Path) -> None:
    (pack / "results.json").rename(tmp_path / "results.json")
    (pack / "results.json").symlink_to(tmp_path / "results.json")
    assert verify(pack) == ["results.json is missing."]


def edited(pack: Path, **changes: Any) -> list[str]:
    path = pack / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return verify(pack)


@pytest.mark.parametrize(
    "changes",
    [{"commit": "0" * 40}, {"passed": True}, {"counts": {"fail": 0}}, {"policies": {}}, {"note": 1}],
)
def test_an_altered_manifest_is_found(pack: Path, changes: dict[str, Any]) -> None:
    assert edited(pack, **changes) == ["manifest.json is altered: its digest is not that of its content."]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("place", range(0, 3_000, 97))
def test_a_manifest_with_one_other_byte_is_refused(pack: Path, place: int) -> None:
    path = pack / "manifest.json"
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1
    path.write_bytes(content)
    assert verify(pack)


def test_a_manifest_of_another_time_is_found(pack: Path) -> None:
    path = pack / "manifest.json"
    made = json.loads(path.read_text())["made"]
    assert edited(pack, made={**made, "at": "2020-01-01T00:00:00+00:00"}) == [
        "manifest.json is altered: its digest is not that of its content."
    ]


def test_a_forged_pack_is_told_by_its_digest(pack: Path, tmp_path: Path) -> None:
    digest = write(report(tmp_path), tmp_path / "other")
    assert verify(tmp_path / "other", digest) == []
    forged = write(replace(report(tmp_path), commit="0" * 40), tmp_path / "other")
    assert verify(tmp_path / "other") == []
    assert verify(tmp_path / "other", digest) == [f"{tmp_path / 'other'} is another pack: its digest is {forged}."]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b.json", "..", ".hidden", "a\x00.json", "", "A.json"])
def test_a_manifest_that_names_a_hostile_path_is_refused(pack: Path, name: str) -> None:
    files = json.loads((pack / "manifest.json").read_text())["files"]
    (problem,) = edited(pack, files={**files, name: files["results.json"]})
    assert problem.startswith("manifest.json is refused: it names ")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"version": 1}', "[" * 100_000, '{"files": {}, "version": 1}']
)
def test_a_manifest_of_another_form_is_refused(pack: Path, text: str) -> None:
    (pack / "manifest.json").write_text(text)
    (problem,) = verify(pack)
    assert problem == "manifest.json is altered: it has not the form of a manifest."


def test_a_folder_without_a_manifest_is_no_pack(tmp_path: Path) -> None:
    assert verify(tmp_path / "nothing") == [f"{tmp_path / 'nothing'} is no pack: manifest.json is missing."]


def test_a_manifest_without_end_is_refused(pack: Path) -> None:
    (pack / "manifest.json").write_text(" " * (evidence.LARGEST_MANIFEST + 1))
    assert verify(pack) == ["manifest.json is larger than any that was made here."]


def test_a_rendering_that_fails_leaves_the_old_pack_and_nothing_half_written(tmp_path: Path) -> None:
    digest = write(report(tmp_path), tmp_path / "pack")

    def broken(_report: Report) -> str:
        raise ValueError("no template")

    with pytest.raises(ValueError, match="no template"):
        write(report(tmp_path), tmp_path / "pack", {**evidence.RENDERINGS, "report.html": broken})
    assert verify(tmp_path / "pack", digest) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pack", "waivers.yaml"]


def test_a_folder_with_other_files_in_it_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "thesis.txt").write_text("years of work")
    with pytest.raises(PackError, match=r"holds 'thesis\.txt', which is not of a pack"):
        write(report(tmp_path), tmp_path / "pack")
    with pytest.raises(PackError, match="is no folder"):
        write(report(tmp_path), tmp_path / "pack" / "thesis.txt")
    (tmp_path / "link").symlink_to(tmp_path / "pack")
    with pytest.raises(PackError, match="is no folder"):
        evidence.remove(tmp_path / "link")
    assert (tmp_path / "pack" / "thesis.txt").read_text() == "years of work"


def test_the_current_folder_is_no_place_for_a_pack(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pack)
    with pytest.raises(PackError, match="is the current folder"):
        write(report(pack.parent), Path())
    assert verify(Path()) == []
