"""Waivers: what lets a finding stand, and what does not."""

from datetime import date
from pathlib import Path

import pytest

from policies import waivers as module
from policies.check import WAIVERS, Report, check
from policies.graph import PlanError
from tests.policies.samples import TODAY, assessor, plan, resource, rule, waiver, waivers


def judged(directory: Path, *rows: dict[str, str], complete: bool = False) -> Report:
    documents = {"plan.json": plan(resource("data", {"fails": ["acl", "tags"]}), resource("sound", {}))}
    return check(documents, waivers(directory, *rows), TODAY, assessor(rule(1)), complete=complete)


def status(report: Report) -> set[str]:
    return {row.status for row in report.findings if row.name == "data"}


def test_what_is_waived_is_shown_as_waived_and_never_as_passed(tmp_path: Path) -> None:
    report = judged(tmp_path, waiver())
    assert [(row.name, row.status) for row in report.findings] == [
        ("data", "waived"),
        ("data", "waived"),
        ("sound", "pass"),
    ]
    assert report.findings[0].waiver == report.waivers[0]
    assert report.passed
    assert not judged(tmp_path).passed


def test_a_waiver_holds_on_its_last_day(tmp_path: Path) -> None:
    assert judged(tmp_path, waiver(expires=TODAY.isoformat())).passed


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"expires": "2026-11-20"}, "expired on 2026-11-20"),
        ({"expires": "soon"}, "has the expiry 'soon', which is no date"),
        ({"owner": ""}, "is ownerless"),
        ({"owner": "  "}, "is ownerless"),
        ({"reason": "", "ticket": ""}, "is incomplete: it has no reason, no ticket"),
        ({"approver": " ML-Platform"}, "is approved by its owner"),
        ({"urn": "urn:pulumi:dev::shop::aws:s3/bucket:Bucket::*"}, "names no exact URN"),
        ({"urn": "data"}, "names no exact URN"),
        ({"note": "x"}, "has 'note', which no waiver has"),
    ],
)
def test_a_waiver_that_is_not_in_order_waives_nothing_and_is_an_error(
    tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    report = judged(tmp_path, waiver(**changes))
    assert status(report) == {"fail"}
    assert not report.passed
    assert any(sentence in error and error.startswith("Waiver 1 (GW-TEST-001 on ") for error in report.errors)


def test_a_waiver_without_a_field_is_incomplete(tmp_path: Path) -> None:
    row = waiver()
    del row["ticket"]
    assert "has no ticket" in judged(tmp_path, row).errors[0]


def test_of_two_waivers_of_one_finding_neither_holds(tmp_path: Path) -> None:
    report = judged(tmp_path, waiver(), waiver(reason="Another."))
    assert len(report.errors) == 2
    assert all("stands more than once" in error for error in report.errors)
    assert status(report) == {"fail"}


@pytest.mark.parametrize("changes", [{"name": "sound"}, {"name": "gone"}, {"policy": "GW-TEST-009"}])
def test_a_waiver_that_matches_no_finding_is_an_error(tmp_path: Path, changes: dict[str, str]) -> None:
    report = judged(tmp_path, waiver(), waiver(**changes))
    assert status(report) == {"waived"}
    assert len(report.errors) == 1
    assert "matches no finding" in report.errors[0]
    assert not report.passed


def test_a_waiver_of_a_stack_that_is_not_judged_is_an_error_only_where_all_stacks_are(tmp_path: Path) -> None:
    rows = (waiver(), waiver(stack="prod"))
    assert judged(tmp_path, *rows).passed
    assert "matches no finding" in judged(tmp_path, *rows, complete=True).errors[0]


@pytest.mark.parametrize(
    "text",
    [
        "waivers: [",
        "- policy: x",
        "waivers: {a: b}",
        "waivers: [a]",
        "others: []",
        "",
        "waivers:\n- {policy: a, policy: b}",
        "waivers: []\nwaivers: []",
        "\x00",
        "[" * 2_000,
    ],
)
def test_waivers_that_cannot_be_read_are_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "waivers.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=r"waivers\.yaml (cannot be read|has another form)"):
        module.read(path)


def test_a_file_of_waivers_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="No such file"):
        module.read(tmp_path / "waivers.yaml")


def test_a_file_of_waivers_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yaml"
    path.write_text("#" * (module.MOST + 1), encoding="utf-8")
    with pytest.raises(PlanError, match="is larger than"):
        module.read(path)


def test_the_waivers_of_this_project_are_in_order() -> None:
    _, errors = module.judge(module.read(WAIVERS), date.today())
    assert not errors


def test_a_file_of_waivers_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yaml"
    path.write_text("waivers: !!python/object/apply:os.mkdir [made]\n", encoding="utf-8")
    with pytest.raises(PlanError, match="has another form"):
        module.read(path)
    assert not Path("made").exists()
