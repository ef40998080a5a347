"""Our own rules over graphs: what fails, what passes, and that nothing passes by raising."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policies import own
from policies.graph import parse
from policies.rule import Rule
from policies.rules import all_rules, home_of
from tests.policies.samples import plan, resource, rule


def statuses(inputs: dict[str, Any], **options: Any) -> list[tuple[str, str]]:
    graph = parse(plan(resource("data", inputs)), "plan.json")
    return [(row.status, row.path) for row in own.findings(rule(1, **options), graph)]


def test_a_resource_about_which_a_rule_says_nothing_has_passed_it() -> None:
    assert statuses({}) == [("pass", "")]


def test_every_verdict_is_a_finding_with_its_path() -> None:
    assert statuses({"fails": ["acl", "tags"], "wonders": ["policy"]}) == [
        ("fail", "acl"),
        ("fail", "tags"),
        ("undetermined", "policy"),
    ]


def test_a_disabled_rule_judges_nothing() -> None:
    assert statuses({"fails": ["acl"]}, level="disabled") == []


@pytest.mark.parametrize("inputs", [{"raise": "s3cret text"}, {"fails": [["no", "text"]], "wonders": 5}])
def test_a_rule_that_raises_passes_nothing_and_is_named_without_a_traceback(inputs: dict[str, Any]) -> None:
    graph = parse(plan(resource("data", inputs)), "plan.json")
    (found,) = own.findings(rule(1), graph)
    assert found.status == "undetermined"
    assert "The rule GW-TEST-001 could not judge this resource (TypeError)" in found.message
    assert "Traceback" not in found.message
    assert "s3cret" not in found.message


def test_a_message_of_any_length_is_cut() -> None:
    graph = parse(plan(resource("data", {"fails": ["x" * 100_000]})), "plan.json")
    (found,) = own.findings(rule(1), graph)
    assert len(found.message) < 1_100


HOSTILE: list[Any] = [
    *(None, 7, -1.5, True, "text", "{", "[1]", [], {}, [[]], [None], {"$unknown": True}, {"$secret": True}),
    *([{"a": []}], {"a": [{"b": None}]}, "x" * 10_000),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("each", all_rules(), ids=lambda each: each.id)
def test_a_rule_judges_inputs_of_any_form_without_raising(each: Rule) -> None:
    names = {match for types in each.types for match in re.findall(r"[A-Za-z]+", types)}
    names |= set(re.findall(r"\"([A-Za-z_]+)[\".]", Path(str(inspect.getsourcefile(each.judge))).read_text()))
    raised = set()
    for token in each.types:
        for value in HOSTILE:
            graph = parse(plan(resource("data", dict.fromkeys(names, value), type=token)), "plan.json")
            raised |= {
                (token, repr(value)[:40]) for row in own.findings(each, graph) if "could not judge" in row.message
            }
    assert not raised


def test_the_version_of_the_rules_changes_with_a_rule() -> None:
    assert own.version([rule(1)]) == own.version([rule(1)])
    assert own.version([rule(1)]) != own.version([rule(1), rule(2)])


RULES = {each.id: each for each in all_rules()}


def hashed_otherwise(changed: str) -> Iterator[str]:
    """The rules whose version is another one once a file's content is."""
    before = {name: own.source_hash(each) for name, each in RULES.items()}
    of_file = own._file_hash
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own, "_file_hash", lambda path: "changed" if path.endswith(changed) else of_file(path))
        yield from (name for name, each in RULES.items() if own.source_hash(each) != before[name])


@pytest.mark.parametrize(
    ("changed", "touched", "untouched"),
    [
        ("/rules/aws/reading.py", "GW-AWS-001", "GW-GCP-001"),
        ("/rules/aws/ports.py", "GW-AWS-001", "GW-GCP-001"),
        ("/rules/reading.py", "GW-GCP-001", ""),
        ("/rules/workloads.py", "GW-K8S-001", ""),
    ],
)
def test_the_version_of_a_rule_changes_with_what_its_module_imports(changed: str, touched: str, untouched: str) -> None:
    found = set(hashed_otherwise(changed))
    assert touched in found
    assert untouched not in found
    assert found < RULES.keys()


def test_the_version_of_every_rule_changes_with_the_graph_and_with_the_module_that_lists_it() -> None:
    assert set(hashed_otherwise("/policies/graph.py")) == RULES.keys()
    for name, each in RULES.items():
        assert name in set(hashed_otherwise(home_of(each).replace(".", "/") + ".py"))


def test_a_module_is_followed_through_those_that_it_imports() -> None:
    assert "policies.rules.reading" in own._modules("policies.rules.gcp.storage")
    assert {"policies.rules.reading", "policies.graph"} <= own._modules("policies.rules.workloads")
    assert own._modules("policies.graph") == {"policies.graph"}
