import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from policies.check import Report
from policies.controls import ANSWERS, CONTROLS, Control, frameworks, status_of
from policies.finding import Finding, NotAssessed, Policy, Status
from policies.rules import all_rules
from tests.policies import samples


def report_of(
    tmp_path: Path,
    *statuses: Status,
    idle: Sequence[str] = (),
    unread: Sequence[str] = (),
    errors: Sequence[str] = (),
) -> Report:
    """A report in which the policies P0, P1, … cite AU-9, each with one finding of these statuses; `idle` have none."""
    names = [f"P{number}" for number in range(len(statuses))]
    policies = {
        name: Policy(name, "tool", "It holds", "high", "mandatory", "Why.", "Mend.", ("AU-9", "AC-6", "SA-4"))
        for name in (*names, *idle)
    }
    findings = tuple(
        Finding(name, status, "dev", f"urn:{name}", samples.BUCKET, name, "", 0)
        for name, status in zip(names, statuses, strict=True)
    )
    missed = tuple(NotAssessed(tool, "dev", "urn:x", samples.BUCKET, "It has no translation.") for tool in unread)
    return dataclasses.replace(
        samples.report(tmp_path), policies=policies, findings=findings, not_assessed=missed, errors=tuple(errors)
    )


def test_a_control_whose_policies_all_passed_is_answered_in_full(tmp_path: Path) -> None:
    standing = status_of(report_of(tmp_path, "pass", "pass"))["AU-9"]
    assert (standing.status, standing.policies, dict(standing.findings)) == ("full", ("P0", "P1"), {"pass": 2})


@pytest.mark.parametrize("status", ["fail", "undetermined", "waived"])
def test_a_control_with_one_finding_that_did_not_pass_is_answered_in_part(status: Status, tmp_path: Path) -> None:
    standing = status_of(report_of(tmp_path, "pass", status))["AU-9"]
    assert (standing.status, standing.findings[status]) == ("partial", 1)


def test_a_control_that_no_policy_looked_at_is_not_assessed(tmp_path: Path) -> None:
    found = report_of(tmp_path, idle=["P0"])
    assert {standing.status for standing in status_of(found).values()} == {"not assessed", "manual"}
    assert status_of(found)["AU-9"].idle == ("P0",)
    assert status_of(report_of(tmp_path, "pass"))["AU-11"].status == "not assessed"


def test_a_control_that_needs_a_person_is_never_answered_in_full(tmp_path: Path) -> None:
    standings = status_of(report_of(tmp_path, "pass"))
    assert standings["AC-6"].status == "partial"
    assert standings["SA-4"].status == "manual"


def test_a_policy_with_nothing_to_judge_takes_nothing_from_a_control(tmp_path: Path) -> None:
    assert status_of(report_of(tmp_path, "pass", idle=["P8"]))["AU-9"].status == "full"


def test_a_policy_without_findings_counts_as_missing_where_its_tool_left_resources_unread(tmp_path: Path) -> None:
    standing = status_of(report_of(tmp_path, "pass", idle=["P8"], unread=["tool"]))["AU-9"]
    assert (standing.status, standing.missed) == ("partial", ("P8",))
    assert status_of(report_of(tmp_path, "pass", idle=["P8"], unread=["other"]))["AU-9"].status == "full"


def test_a_policy_that_was_turned_off_counts_as_missing(tmp_path: Path) -> None:
    found = report_of(tmp_path, "pass", idle=["P8"])
    off = dataclasses.replace(found.policies["P8"], level="disabled")
    found = dataclasses.replace(found, policies={**found.policies, "P8": off})
    assert status_of(found)["AU-9"].status == "partial"


def test_with_an_error_no_control_is_answered_in_full(tmp_path: Path) -> None:
    standings = status_of(report_of(tmp_path, "pass", errors=["A waiver has expired."]))
    assert "full" not in {standing.status for standing in standings.values()}


def test_a_requirement_that_names_its_policies_stands_by_their_findings(tmp_path: Path) -> None:
    controls = {"2.1": Control("2.1", "Storage", "Closed buckets", "full", policies=("P0", "P77"))}
    assert status_of(report_of(tmp_path, "pass"), controls)["2.1"].status == "full"
    assert status_of(report_of(tmp_path, "fail"), controls)["2.1"].status == "partial"
    assert status_of(report_of(tmp_path), controls)["2.1"].status == "not assessed"


def test_every_framework_says_what_an_auditor_asks() -> None:
    assert frameworks()[0].controls is CONTROLS
    for framework in frameworks():
        assert framework.title
        assert framework.note
        for name, control in framework.controls.items():
            assert control.id == name
            assert control.family
            assert control.title
            assert control.reach in ANSWERS
            assert bool(control.person) == (control.reach != "full"), name
            assert all(re.fullmatch(r"A\.[5-8]\.\d{1,2}", row) for row in control.iso), name


def test_rules_cite_only_controls_that_are_listed() -> None:
    cited = {control for rule in all_rules() for control in rule.controls}
    assert cited
    assert cited <= CONTROLS.keys()


def test_frameworks_name_only_own_rules_that_are_there() -> None:
    named = {policy for framework in frameworks() for row in framework.controls.values() for policy in row.policies}
    assert {policy for policy in named if policy.startswith("GW-")} <= {rule.id for rule in all_rules()}
