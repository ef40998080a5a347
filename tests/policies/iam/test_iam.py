"""IAM documents through the three libraries, in the environment that `./install.sh scanners` makes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import iam
from policies.finding import Assessment
from policies.graph import Graph, Resource
from policies.iam.documents import documents

PAIRS = yaml.safe_load(Path(__file__).with_name("pairs.yaml").read_text(encoding="utf-8"))
CASES = [
    (policy, kind, f"{policy}-{kind}-{number}", token, inputs)
    for policy, kinds in PAIRS.items()
    for kind, rows in kinds.items()
    for number, (token, inputs) in enumerate(rows)
]
ALLOW = '{{"Statement": [{{"Effect": "Allow", "Action": {}, "Resource": "*"}}]}}'


def resource(token: str, name: str, inputs: dict[str, Any], **more: Any) -> Resource:
    return Resource(urn(token, name), token, name, inputs, inputs, **more)


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:dev::pairs::{token}::{name}"


def stack(*rows: Resource) -> Graph:
    return Graph("pairs", "dev", rows)


def failed(found: Assessment) -> set[tuple[str, str]]:
    return {(row.policy, row.name) for row in found.findings if row.status == "fail"}


@pytest.fixture(scope="module")
def assessed() -> Assessment:
    """All pairs in one run of the scanners."""
    return iam.assess([stack(*(resource(token, name, inputs) for _, _, name, token, inputs in CASES))])


@pytest.mark.parametrize(("policy", "kind", "name"), [pytest.param(*case[:3], id=case[2]) for case in CASES])
def test_a_policy_tells_sound_from_unsound_documents(assessed: Assessment, policy: str, kind: str, name: str) -> None:
    assert ((policy, name) in failed(assessed)) is (kind == "unsound")
    assert not [row for row in assessed.not_assessed if row.urn.endswith(f"::{name}")]


def test_each_policy_has_a_pair_and_says_all_that_an_auditor_asks(assessed: Assessment) -> None:
    assert {policy.id for policy in assessed.policies} == PAIRS.keys()
    for policy in assessed.policies:
        assert PAIRS[policy.id]["sound"]
        assert PAIRS[policy.id]["unsound"]
        assert all((policy.title, policy.why, policy.mend, policy.controls))
    assert {policy.id for policy in assessed.policies if policy.level == "mandatory"} == {
        "CLOUDSPLAINING_PRIVILEGE_ESCALATION"
    }


def test_every_document_is_shown_as_passed_or_failed(assessed: Assessment) -> None:
    shown = {row.name for row in assessed.findings}
    assert shown == {name for _, _, name, _, _ in CASES}
    assert assessed.versions.keys() == {"parliament", "cloudsplaining", "policy_sentry"}


def test_rights_that_escalate_only_together_are_found_at_the_role() -> None:
    role = resource("aws:iam/role:Role", "builder", {})
    passing = resource(
        "aws:iam/rolePolicy:RolePolicy",
        "pass",
        {"policy": ALLOW.format('"iam:PassRole"')},
        references={"role": [role.urn]},
    )
    running = resource("aws:iam/policy:Policy", "run", {"policy": ALLOW.format('["ec2:RunInstances"]')})
    attached = resource(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "attach",
        {},
        references={"role": [role.urn], "policyArn": [running.urn]},
    )
    escalation = "CLOUDSPLAINING_PRIVILEGE_ESCALATION"
    assert (escalation, "builder") in failed(iam.assess([stack(role, passing, running, attached)]))
    assert escalation not in {policy for policy, _ in failed(iam.assess([stack(role, passing, running)]))}


def test_a_made_up_arn_is_not_asked_for_its_form() -> None:
    document = (
        '{"Statement": [{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "arn:aws:dynamodb:made-up-1"}]}'
    )
    table = Resource(
        urn("aws:dynamodb/table:Table", "t"),
        "aws:dynamodb/table:Table",
        "t",
        {},
        {"arn": "arn:aws:dynamodb:made-up-1"},
        synthetic=frozenset({"/outputs/arn"}),
    )
    of_plan = resource(
        "aws:iam/policy:Policy",
        "plan",
        {"policy": document},
        references={"policy": [table.urn]},
        synthetic=frozenset({"/inputs/policy"}),
    )
    of_program = resource("aws:iam/policy:Policy", "program", {"policy": document})
    found = {name for policy, name in failed(iam.assess([stack(table, of_plan, of_program)])) if "ARN" in policy}
    assert found == {"program"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"$unknown": True}, "It is not known before the deployment."),
        ({"$secret": True}, "It is not known before the deployment."),
        ("{made up", "It is no JSON document."),
        ('{"Statement": ["nothing"]}', "Its statements cannot be read."),
    ],
)
def test_a_document_that_nobody_can_read_is_not_assessed_and_does_not_pass(value: Any, reason: str) -> None:
    found = iam.assess([stack(resource("aws:iam/policy:Policy", "it", {"policy": value}))])
    assert not found.findings
    assert {row.tool: (row.path, row.reason) for row in found.not_assessed} == dict.fromkeys(
        ("parliament", "cloudsplaining", "policy_sentry"), ("policy", reason)
    )


def test_documents_of_other_sorts_are_left_alone() -> None:
    others = stack(
        resource("aws:ecr/lifecyclePolicy:LifecyclePolicy", "images", {"policy": '{"rules": []}'}),
        resource("aws:ecr/lifecyclePolicy:LifecyclePolicy", "later", {"policy": {"$unknown": True}}),
        resource("aws:wafv2/webAcl:WebAcl", "wall", {"rules": [{"statement": {"rateBasedStatement": {"limit": 1}}}]}),
        resource("aws:cloudwatch/eventRule:EventRule", "rule", {"eventPattern": '{"source": ["aws.s3"]}'}),
        resource("kubernetes:core/v1:ConfigMap", "map", {"data": {"policy": ALLOW.format('"*"')}}),
    )
    assert not [*documents(others)]


def test_a_document_at_which_a_library_breaks_is_not_assessed_and_does_not_pass() -> None:
    broken = '{"Statement": [{"Effect": "Allow", "Action": "s3", "Resource": {"a": 1}}]}'
    found = iam.assess([stack(resource("aws:iam/policy:Policy", "it", {"policy": broken}))])
    tools = {row.tool for row in found.not_assessed}
    assert tools
    by_tool = {policy.id: policy.tool for policy in found.policies}
    assert not [row for row in found.findings if row.status == "pass" and by_tool[row.policy] in tools]


def test_missing_scanners_are_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(iam, "PYTHON", tmp_path / "bin" / "python")
    with pytest.raises(iam.ScannerMissingError, match=r"run \./install\.sh scanners"):
        iam.assess([stack()])


def test_a_scanner_that_breaks_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ModuleNotFoundError: parliament' >&2\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(iam, "PYTHON", python)
    with pytest.raises(iam.ScannerError, match="ModuleNotFoundError: parliament"):
        iam.assess([stack(resource("aws:iam/policy:Policy", "it", {"policy": ALLOW.format('"*"')}))])
