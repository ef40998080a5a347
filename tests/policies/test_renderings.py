"""One report in every form: the same counts, the same places, the limits of each form."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from rich.console import Console

from policies import console
from policies.check import Report, check, counts
from policies.controls import CONTROLS, frameworks, status_of
from policies.report import document, junit, sarif
from tests.policies.samples import TODAY, assessor, plan, report, resource, rule, waiver, waivers

SCHEMA = json.loads((Path(console.__file__).parent / "results.schema.json").read_text(encoding="utf-8"))


def shown(found: Report, width: int = 100) -> str:
    screen = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.show(found, screen)
    text = screen.file.getvalue()  # type: ignore[attr-defined] # the file that was given
    assert max(map(len, text.splitlines())) <= width
    return str(text)


def many(directory: Path, number: int, stack: str = "dev") -> Report:
    rows = [resource(f"data{index}", {"fails": ["acl"]}, stack=stack, line=index + 1) for index in range(number)]
    return check({"plan.json": plan(*rows, stack=stack)}, waivers(directory), TODAY, assessor(rule(1), rule(2, "low")))


def empty_strings(value: Any, where: str = "") -> list[str]:
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in empty_strings(item, f"{where}/{key}")]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in empty_strings(item, f"{where}/{index}")]
    return [where] if value == "" else []


def test_counts_agree_in_all_forms(tmp_path: Path) -> None:
    found = report(tmp_path)
    expected = counts(found.findings)
    results = document.document(found)
    assert results["counts"] == expected
    assert Counter(row["status"] for row in results["findings"]) == expected
    assert {key: sum(stack["counts"][key] for stack in results["stacks"]) for key in expected} == expected

    runs = json.loads(sarif.render(found))["runs"]
    in_sarif = Counter(row["properties"]["status"] for run in runs for row in run["results"])
    assert in_sarif == {key: expected[key] for key in ("fail", "undetermined")}
    assert {key: sum(run["properties"]["counts"][key] for run in runs) for key in expected} == expected

    root = ElementTree.fromstring(junit.render(found))
    assert len(root.findall("./testsuite/testcase")) == sum(expected.values()) == int(root.attrib["tests"])
    for number, element, attribute in (
        (expected["fail"], "failure", "failures"),
        (expected["undetermined"], "error", "errors"),
        (expected["waived"], "skipped", "skipped"),
    ):
        assert len(root.findall(f"./testsuite/testcase/{element}")) == number == int(root.attrib[attribute])

    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown(found, 120).splitlines()]
    stacks = [list(map(int, row[1:])) for row in lines if len(row) == 7]
    assert sum(row[1] + row[2] for row in stacks) == expected["fail"] + expected["undetermined"]
    assert [sum(row[3] for row in stacks), sum(row[4] for row in stacks)] == [expected["waived"], expected["pass"]]


def test_the_document_keeps_its_schema(tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    text = document.render(report(tmp_path))
    assert json.loads(text) == json.loads(json.dumps(document.document(report(tmp_path))))
    jsonschema.validate(json.loads(text), SCHEMA)
    jsonschema.validate(json.loads(document.render(replace(report(tmp_path), findings=(), errors=("It is.",)))), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [{"status": "ok"}, {"status": "waived"}, {"waiver": waiver()}, {"blocks": None}, {"fingerprint": "x"}, {"new": 1}],
)
def test_a_document_of_another_form_breaks_the_schema(tmp_path: Path, change: dict[str, Any]) -> None:
    results = json.loads(document.render(report(tmp_path)))
    results["findings"][0] |= change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(results, SCHEMA)


def test_the_document_tells_how_each_control_stands(tmp_path: Path) -> None:
    found = report(tmp_path)
    results = document.document(found)
    rows = {(row["framework"], row["id"]): row for row in results["controls"]}
    assert len(rows) == len(results["controls"]) == sum(len(framework.controls) for framework in frameworks())
    for framework in frameworks():
        for name, standing in status_of(found, framework.controls).items():
            assert rows[framework.file, name]["status"] == standing.status
    cited = {policy["id"]: policy["controls"] for policy in results["policies"]}
    for name in CONTROLS:
        statuses = Counter(row["status"] for row in results["findings"] if name in cited[row["policy"]])
        assert {status: number for status, number in rows["nist-800-53", name]["counts"].items() if number} == statuses
    assert any(row["counts"]["fail"] for row in rows.values())


@pytest.mark.parametrize(
    "change", [{"status": "met"}, {"status": "full"}, {"status": "not assessed"}, {"counts": {}}, {"new": 1}]
)
def test_a_control_of_another_form_breaks_the_schema(tmp_path: Path, change: dict[str, Any]) -> None:
    results = json.loads(document.render(report(tmp_path)))
    row = next(row for row in results["controls"] if row["counts"]["fail"])
    row |= change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(results, SCHEMA)


def test_sarif_has_what_code_scanning_asks_of_every_result(tmp_path: Path) -> None:
    log = json.loads(sarif.render(report(tmp_path)))
    assert log["version"] == "2.1.0"
    assert not empty_strings(log)
    runs = log["runs"]
    assert [run["automationDetails"]["id"] for run in runs] == ["policies/shop/dev/", "policies/shop/prod/"]
    fingerprints = []
    for run in runs:
        rules = run["tool"]["driver"]["rules"]
        for each in rules:
            assert each["shortDescription"]["text"]
            assert each["fullDescription"]["text"]
            assert each["help"]["text"]
            assert 0 < float(each["properties"]["security-severity"]) <= 10
            assert "security" in each["properties"]["tags"]
            assert len(each["properties"]["tags"]) <= 20
        for row in run["results"]:
            assert rules[row["ruleIndex"]]["id"] == row["ruleId"]
            assert row["level"] in {"error", "warning", "note"}
            assert row["message"]["text"]
            (location,) = row["locations"]
            assert location["physicalLocation"]["artifactLocation"]["uri"] == "infra/store.py"
            assert location["physicalLocation"]["region"]["startLine"] in {3, 4, 5}
            fingerprints.append(row["partialFingerprints"]["policyResource/v1"])
    assert len(set(fingerprints)) == len(fingerprints) == 9


def test_sarif_shows_each_finding_at_its_line_and_the_blocking_ones_as_errors(tmp_path: Path) -> None:
    run = json.loads(sarif.render(report(tmp_path)))["runs"][0]
    assert [
        (row["ruleId"], row["level"], row["locations"][0]["physicalLocation"]["region"]["startLine"])
        for row in run["results"]
    ] == [
        ("GW-TEST-001", "error", 3),
        ("GW-TEST-001", "error", 3),
        ("GW-TEST-002", "warning", 3),
        ("GW-TEST-002", "warning", 3),
        ("GW-TEST-002", "warning", 4),
        ("GW-TEST-001", "error", 5),
        ("GW-TEST-002", "note", 5),
    ]
    assert "Undetermined: policy is not known." in run["results"][5]["message"]["text"]


def test_what_is_waived_or_passed_is_no_alert(tmp_path: Path) -> None:
    found = report(tmp_path)
    quiet = {row.fingerprint for row in found.findings if row.status in {"waived", "pass"}}
    assert quiet
    assert not any(fingerprint in sarif.render(found) for fingerprint in quiet)


def test_sarif_holds_at_most_five_thousand_results_of_a_run_and_says_what_it_left_out(tmp_path: Path) -> None:
    (run,) = json.loads(sarif.render(many(tmp_path, 3_000)))["runs"]
    assert len(run["results"]) == 5_000
    assert Counter(row["ruleId"] for row in run["results"]) == {"GW-TEST-001": 3_000, "GW-TEST-002": 2_000}
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert "1000 of 6000 results are left out" in note["message"]["text"]
    assert run["properties"]["counts"]["fail"] == 6_000


def test_sarif_is_cut_until_it_is_small_enough_gzipped(tmp_path: Path) -> None:
    found = many(tmp_path, 200)
    whole = len(gzip.compress(sarif.render(found).encode()))
    text = sarif.render(found, size=whole // 3)
    assert len(gzip.compress(text.encode())) <= whole // 3
    (run,) = json.loads(text)["runs"]
    assert run["results"]
    assert {row["ruleId"] for row in run["results"]} == {"GW-TEST-001"}
    assert "are left out" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("", "Pulumi.yaml"),
        ("/etc/passwd", "Pulumi.yaml"),
        ("../../secret.py", "Pulumi.yaml"),
        ("https://evil.example/x.py", "Pulumi.yaml"),
        ("C:\\x.py", "Pulumi.yaml"),
        ("in fra\\ö#?.py", "in%20fra/%C3%B6%23%3F.py"),
    ],
)
def test_a_place_in_sarif_is_below_the_root_whatever_a_plan_says(tmp_path: Path, file: str, uri: str) -> None:
    row = resource("data", {"fails": ["acl"]}, source={"file": file, "line": 0})
    found = check({"plan.json": plan(row)}, waivers(tmp_path), TODAY, assessor(rule(1)))
    (run,) = json.loads(sarif.render(found))["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}


def test_a_fingerprint_stays_when_a_line_moves_and_differs_between_stacks(tmp_path: Path) -> None:
    def fingerprint(line: int, stack: str) -> str:
        row = resource("data", {"fails": ["acl"]}, line=line, stack=stack)
        found = check({"plan.json": plan(row, stack=stack)}, waivers(tmp_path), TODAY, assessor(rule(1)))
        return found.findings[0].fingerprint

    assert fingerprint(3, "dev") == fingerprint(900, "dev")
    assert fingerprint(3, "dev") != fingerprint(3, "prod")


def test_errors_of_the_run_are_in_every_form(tmp_path: Path) -> None:
    found = report(tmp_path, [waiver(), waiver("gone")])
    assert len(found.errors) == 1
    assert "matches no finding" in " ".join(shown(found).split())
    assert "Not passed: 1 error and 4 findings of mandatory policies in 2 stacks." in " ".join(shown(found).split())
    assert document.document(found)["errors"] == list(found.errors)
    for run in json.loads(sarif.render(found))["runs"]:
        assert not run["invocations"][0]["executionSuccessful"]
        assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == found.errors[0]
    (error,) = ElementTree.fromstring(junit.render(found)).findall("./testsuite[@name='the run itself']/testcase/error")
    assert error.attrib["message"] == found.errors[0]


HOSTILE = "a\x1b[31m\x00]]><b>[red]\u202e"


def test_hostile_names_break_no_form(tmp_path: Path) -> None:
    row = resource(HOSTILE, {"fails": [HOSTILE]}, source={"file": HOSTILE, "line": 1})
    found = check({"plan.json": plan(row)}, waivers(tmp_path), TODAY, assessor(rule(1)))
    text = shown(found)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]" in text
    root = ElementTree.fromstring(junit.render(found))
    assert len(root.findall("./testsuite/testcase/failure")) == 1
    for form in (sarif.render(found), document.render(found), junit.render(found)):
        assert form.encode()
    jsonschema.validate(json.loads(document.render(found)), SCHEMA)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_shows_the_worst_first_with_its_mend_at_any_width(tmp_path: Path, width: int) -> None:
    text = shown(report(tmp_path), width)
    words = " ".join(text.replace("│", " ").split())
    assert text.index("mandatory") < text.index("advisory")
    assert "GW-TEST-001" in text
    assert "Mend:" in text
    assert "Waived, not passed" in words
    assert "Not passed: 4 findings of mandatory policies in 2 stacks." in words
    assert "Not assessed by tests: 1 resource or input" in words


def test_the_table_is_short_where_much_is_alike(tmp_path: Path) -> None:
    text = shown(many(tmp_path, 500))
    assert len(text.splitlines()) < 40
    assert "and 494 more places" in text
