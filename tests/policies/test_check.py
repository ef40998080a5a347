"""The report: what is in it, in which order, and what keeps stacks from passing."""

import os
import random
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies import check as module
from policies import own
from policies.check import Report, check, commit, counts
from policies.finding import Assessment
from policies.graph import Graph, PlanError
from tests.policies.samples import TODAY, assessor, plan, report, resource, rule, waivers


def judged(directory: Path, *resources: dict[str, Any], **rules: Any) -> Report:
    return check({"plan.json": plan(*resources)}, waivers(directory), TODAY, assessor(rule(1, **rules)))


def test_findings_come_worst_first(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert [(row.policy, row.status, row.stack, row.name, row.path) for row in found.findings] == [
        ("GW-TEST-001", "fail", "dev", "broken", "acl"),
        ("GW-TEST-001", "fail", "dev", "broken", "tags"),
        ("GW-TEST-001", "fail", "prod", "broken", "acl"),
        ("GW-TEST-002", "fail", "dev", "broken", "acl"),
        ("GW-TEST-002", "fail", "dev", "broken", "tags"),
        ("GW-TEST-002", "fail", "prod", "broken", "acl"),
        ("GW-TEST-002", "fail", "dev", "data", "acl"),
        ("GW-TEST-001", "undetermined", "dev", "hidden", "policy"),
        ("GW-TEST-002", "undetermined", "dev", "hidden", "policy"),
        ("GW-TEST-001", "waived", "dev", "data", "acl"),
        ("GW-TEST-001", "pass", "dev", "sound", ""),
        ("GW-TEST-002", "pass", "dev", "sound", ""),
    ]
    assert counts(found.findings) == {"fail": 7, "undetermined": 2, "waived": 1, "pass": 2}
    assert not found.passed


def test_the_order_of_plans_and_resources_changes_nothing_but_the_time(tmp_path: Path) -> None:
    rows = [resource(f"data{number}", {"fails": ["acl"]}, line=number) for number in range(20)]
    first = judged(tmp_path, *rows)
    random.Random(7).shuffle(rows)
    second = judged(tmp_path, *rows)
    assert first.findings == second.findings
    assert replace(first, made="", graphs=()) == replace(second, made="", graphs=())


@pytest.mark.parametrize(
    ("inputs", "level", "passed"),
    [
        ({"fails": ["acl"]}, "mandatory", False),
        ({"fails": ["acl"]}, "advisory", True),
        ({"wonders": ["acl"]}, "mandatory", False),
        ({"wonders": ["acl"]}, "advisory", True),
        ({"raise": "x"}, "mandatory", False),
        ({}, "mandatory", True),
    ],
)
def test_what_is_mandatory_and_not_known_to_hold_is_in_the_way(
    tmp_path: Path, inputs: dict[str, Any], level: str, passed: bool
) -> None:
    assert judged(tmp_path, resource("data", inputs), level=level).passed is passed


def test_two_verdicts_on_one_input_are_one_finding(tmp_path: Path) -> None:
    found = judged(tmp_path, resource("data", {"fails": ["acl", "acl"], "wonders": ["acl"]}))
    assert [(row.status, row.message) for row in found.findings] == [("fail", "It has acl.")]


def raising(_graphs: Sequence[Graph]) -> Assessment:
    raise FileNotFoundError("no scanner here")


@pytest.mark.parametrize(
    ("assess", "sentence"),
    [
        (raising, "scanner assessed nothing: FileNotFoundError: no scanner here."),
        (lambda _graphs: Assessment(), "scanner assessed nothing: it has no policy."),
        (module.elsewhere("policies.nowhere"), "scanner assessed nothing: ModuleNotFoundError: No module named"),
    ],
)
def test_a_tool_that_could_not_look_fails_the_run_with_a_sentence(tmp_path: Path, assess: Any, sentence: str) -> None:
    tools = {**assessor(rule(1)), "scanner": assess}
    found = check({"plan.json": plan(resource("data", {}))}, waivers(tmp_path), TODAY, tools)
    assert found.errors[0].startswith(sentence)
    assert not found.passed
    assert counts(found.findings)["pass"] == 1


def test_a_finding_of_a_policy_that_its_tool_does_not_describe_is_no_result(tmp_path: Path) -> None:
    strange = replace(judged(tmp_path, resource("data", {})).findings[0], policy="GW-TEST-009")
    tools = {"strange": lambda _graphs: Assessment((own.policy(rule(1)),), (strange,))}
    found = check({"plan.json": plan(resource("data", {}))}, waivers(tmp_path), TODAY, tools)
    assert found.errors == ("strange assessed nothing: it does not describe its policy GW-TEST-009.",)


@pytest.mark.parametrize(
    "documents",
    [
        {},
        {"a.json": []},
        {"a.json": [[]]},
        {"a.json": plan(resource("data", {})), "b.json": plan(resource("data", {}))},
        {"a.json": plan(resource("data", {})), "b.json": {"version": 2}},
    ],
)
def test_what_does_not_parse_is_judged_in_no_part(tmp_path: Path, documents: dict[str, Any]) -> None:
    with pytest.raises(PlanError):
        check(documents, waivers(tmp_path), TODAY, assessor(rule(1)))


def test_a_list_of_plans_is_taken_as_well(tmp_path: Path) -> None:
    plans = [plan(resource("data", {}, stack=stack), stack=stack) for stack in ("prod", "dev")]
    found = check({"plans.json": plans}, waivers(tmp_path), TODAY, assessor(rule(1)))
    assert [graph.stack for graph in found.graphs] == ["dev", "prod"]
    assert [len(found.of(graph)) for graph in found.graphs] == [1, 1]


def test_the_commit_is_that_of_the_work_tree_and_says_when_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert commit() == ""
    (tmp_path / "a.txt").write_text("a")
    who = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "a.txt"], [*who, "commit", "-q", "-m", "Add a file"]):
        subprocess.run(["git", *command], check=True)
    clean = commit()
    assert len(clean) == 40
    (tmp_path / "a.txt").write_text("b")
    assert commit() == f"{clean}-dirty"
    monkeypatch.setenv("PATH", "")
    assert commit() == ""


def test_no_two_tools_may_name_a_policy_alike(tmp_path: Path) -> None:
    tools = {"one": assessor(rule(1))["tests"], "two": assessor(rule(1))["tests"]}
    with pytest.raises(ValueError, match="Two policies are called GW-TEST-001"):
        check({"plan.json": plan(resource("data", {}))}, waivers(tmp_path), TODAY, tools)


def test_a_tool_that_is_asked_in_halves_says_the_same(tmp_path: Path) -> None:
    plans = [
        plan(*[resource(f"data{index}", {"fails": ["acl"]}, stack=stack) for index in range(size)], stack=stack)
        for stack, size in (("a", 3), ("b", 1), ("c", 2), ("d", 1))
    ]
    whole = assessor(rule(1), rule(2))["tests"]
    asked: list[list[str]] = []

    def watched(graphs: Sequence[Graph]) -> Assessment:
        asked.append([graph.stack for graph in graphs])
        return whole(graphs)

    found = [
        check({"plans.json": plans}, waivers(tmp_path), TODAY, {"tests": tool})
        for tool in (whole, module.halved(watched))
    ]
    assert replace(found[0], made="") == replace(found[1], made="")
    if (os.cpu_count() or 1) > 1:
        assert sorted(asked) == [["a", "d"], ["c", "b"]]


def test_a_tool_that_fails_in_one_half_has_assessed_nothing(tmp_path: Path) -> None:
    plans = [plan(resource("data", {}, stack=stack), stack=stack) for stack in ("a", "b")]

    def half(graphs: Sequence[Graph]) -> Assessment:
        return raising(graphs) if graphs[0].stack == "b" else assessor(rule(1))["tests"](graphs)

    found = check({"plans.json": plans}, waivers(tmp_path), TODAY, {"scanner": module.halved(half)})
    assert found.errors or (os.cpu_count() or 1) < 2
    assert not found.findings or (os.cpu_count() or 1) < 2
