"""Our rules as a policy pack: levels, what a preview cannot know, whole stacks; over Pulumi's own protocol."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi_policy", reason="policy packs need the package pulumi-policy, which is not installed")

import yaml

from localcloud.packs import Analyzed, PackError, PolicyPack
from localcloud.values import UNKNOWN, Secret
from policies import crossguard
from policies.rules import all_rules

ROOT = Path(__file__).parents[2]
PACK = ROOT / "policies" / "pack"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
OPEN = {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:dev::shop::{token}::{name}"


def group(name: str = "door", **ingress: Any) -> Analyzed:
    return Analyzed(urn(GROUP, name), GROUP, name, {"ingress": [OPEN | ingress]})


def pack(directory: Path = PACK, **options: Any) -> PolicyPack:
    settings: dict[str, Any] = {"project": "shop", "stack": "dev", "dry_run": True, "patience": 30.0}
    return PolicyPack(directory, **settings | options)


@pytest.fixture(name="running", scope="module")
def _running() -> Iterator[PolicyPack]:
    with pack() as running:
        yield running


def test_the_pack_has_every_rule_at_its_level(running: PolicyPack) -> None:
    assert running.name == "groundwork"
    known = {policy.name: (policy.level, policy.type) for policy in running.policies}
    advice = {"GW-UNDETERMINED": ("advisory", "resource"), "GW-UNDETERMINED-STACK": ("advisory", "stack")}
    rules = {rule.id: (rule.level, "stack" if rule.whole_stack else "resource") for rule in all_rules()}
    assert known == rules | advice


def test_a_violation_says_what_and_how_to_mend_it(running: PolicyPack) -> None:
    (found,) = [row for row in running.analyze(group()) if row.level == "mandatory"]
    assert (found.policy, found.urn) == ("GW-AWS-001", group().urn)
    assert "door: " in found.message
    assert "Mend: " in found.message


def test_a_sound_resource_and_one_of_another_kind_are_let_through(running: PolicyPack) -> None:
    assert not [row for row in running.analyze(group(cidrBlocks=["10.0.0.0/8"])) if row.level == "mandatory"]
    assert running.analyze(Analyzed(urn("my:own:Thing", "x"), "my:own:Thing", "x", {"ingress": [OPEN]})) == []


def test_what_a_preview_cannot_know_is_advice_that_names_the_rule(running: PolicyPack) -> None:
    found = running.analyze(group(cidrBlocks=UNKNOWN))
    assert {row.level for row in found} == {"advisory"}
    assert any(row.policy == "GW-UNDETERMINED" and "GW-AWS-001: door: " in row.message for row in found)
    assert all(row.urn == group().urn for row in found)


def bucket_policy(principal: str) -> Analyzed:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::x/*"}
    text = f'{{"Version": "2012-10-17", "Statement": [{str(statement).replace(chr(39), chr(34))}]}}'
    return Analyzed(urn(POLICY, "x"), POLICY, "x", {"policy": text})


def test_a_rule_of_the_whole_stack_judges_the_inputs_that_were_registered(running: PolicyPack) -> None:
    row = bucket_policy("*")
    running.analyze(row)
    answered = Analyzed(row.urn, row.type, row.name, {"policy": UNKNOWN})
    found = [each for each in running.analyze_stack([answered]) if each.level == "mandatory"]
    assert [(each.policy, each.urn) for each in found] == [("GW-AWS-021", row.urn)]
    sound = bucket_policy("arn:aws:iam::123456789012:root")
    running.analyze(sound)
    assert not [each for each in running.analyze_stack([sound]) if each.level == "mandatory"]


def test_without_inputs_a_rule_of_the_whole_stack_reads_the_outputs() -> None:
    with pack() as fresh:
        found = fresh.analyze_stack([bucket_policy("*")])
    assert "GW-AWS-021" in {each.policy for each in found if each.level == "mandatory"}


@pytest.mark.parametrize(
    ("config", "level"),
    [
        ({"GW-AWS-001": "advisory"}, "advisory"),
        ({"GW-AWS-001": {"enforcementLevel": "advisory"}}, "advisory"),
        ({"GW-AWS-001": "disabled"}, None),
        ({"all": "disabled", "GW-AWS-001": "mandatory"}, "mandatory"),
        ({"GW-UNDETERMINED": "disabled"}, "mandatory"),
    ],
)
def test_levels_are_configured_by_stack(config: dict[str, Any], level: str | None) -> None:
    with pack(config=config) as running:
        found = [row.level for row in running.analyze(group()) if row.policy == "GW-AWS-001"]
    assert found == ([level] if level else [])


def test_a_rule_that_raises_is_a_violation_at_its_own_level(tmp_path: Path) -> None:
    """A pack of one rule that raises: the host must not read silence as consent."""
    (tmp_path / "PulumiPolicy.yaml").write_text("runtime: python\n")
    program = f"""import sys
sys.path.insert(0, {str(ROOT)!r})
from pulumi_policy import PolicyPack
from policies.crossguard import policies
from tests.policies.samples import rule
PolicyPack("rules", policies([rule(1), rule(2, "low", "disabled")]))
"""
    (tmp_path / "__main__.py").write_text(program)
    row = Analyzed(urn("aws:s3/bucket:Bucket", "x"), "aws:s3/bucket:Bucket", "x", {"raise": "boom"})
    with pack(tmp_path) as running:
        found = running.analyze(row)
        assert [(each.policy, each.level) for each in found if each.level == "mandatory"] == [
            ("GW-TEST-001", "mandatory")
        ]
        assert "The rule GW-TEST-001 could not judge this resource" in found[-1].message
        assert not any("GW-TEST-002" in each.message or each.policy == "GW-TEST-002" for each in found)


def test_a_pack_without_rules_does_not_load() -> None:
    with pytest.raises(ValueError, match="would let everything pass"):
        crossguard.policies([])


def test_hostile_inputs_stop_neither_the_pack_nor_its_judgement(running: PolicyPack) -> None:
    values: list[Any] = [None, 7.5, "text", [], {}, [[]], [None], Secret({"value": "x"}), UNKNOWN, [UNKNOWN]]
    for value in values:
        row = Analyzed(urn(GROUP, "door"), GROUP, "door", {"ingress": value})
        running.analyze(row)
        running.analyze_stack([row])
    assert [each.policy for each in running.analyze(group()) if each.level == "mandatory"] == ["GW-AWS-001"]


def test_the_packs_main_is_the_pack_call_alone() -> None:
    source = (PACK / "__main__.py").read_text(encoding="utf-8")
    statements = [line for line in source.splitlines() if line and not line.startswith(("import", "from", '"""'))]
    assert len(statements) == 2
    assert statements[0].startswith("sys.path.insert(0, ")
    assert statements[1] == 'PolicyPack("groundwork", policies())'


def test_the_pack_runs_in_the_projects_own_environment() -> None:
    settings = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
    assert (PACK / settings["runtime"]["options"]["virtualenv"]).resolve() == (ROOT / ".venv").resolve()
    assert re.fullmatch(r"\d+\.\d+\.\d+", settings["version"])


def test_a_copy_of_the_pack_beside_another_room_fails_with_a_sentence(tmp_path: Path) -> None:
    shutil.copytree(PACK, tmp_path / "policies" / "pack")
    settings = tmp_path / "policies" / "pack" / "PulumiPolicy.yaml"
    settings.write_text("runtime: python\n")
    for name in ("__init__.py", "crossguard.py"):  # empty: one that is absent would be the installed project's
        (tmp_path / "policies" / name).write_text("")
    with pytest.raises(PackError, match="crossguard"), pack(tmp_path / "policies" / "pack"):
        pass
