"""What the policies say of the plan that is deployed, as its record keeps it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from policies import evidence, own
from policies.graph import parse
from rollout import judging
from rollout.errors import RolloutError
from rollout.judging import judge

ASSESSORS = {own.TOOL: own.assess}
URN = "urn:pulumi:dev::demo::aws:s3/bucketAclV2:BucketAclV2::open"


def plan(*resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 1,
        "project": "demo",
        "stack": "dev",
        "config": {},
        "resources": list(resources),
        "outputs": {},
        "synthetic": [],
    }


STACK: dict[str, Any] = {
    "urn": "urn:pulumi:dev::demo::pulumi:pulumi:Stack::demo-dev",
    "type": "pulumi:pulumi:Stack",
    "name": "demo-dev",
    "parent": None,
    "custom": False,
    "provider": None,
    "inputs": {},
    "outputs": {},
    "dependencies": [],
    "propertyDependencies": {},
    "options": {},
    "source": None,
    "synthetic": [],
}
OPEN = STACK | {
    "urn": URN,
    "type": "aws:s3/bucketAclV2:BucketAclV2",
    "name": "open",
    "custom": True,
    "inputs": {"bucket": "parcels", "acl": "public-read-write"},
}


def test_a_plan_that_breaks_a_mandatory_policy_does_not_pass_and_says_which(tmp_path: Path) -> None:
    verdict = judge(plan(OPEN), tmp_path / "policies", ASSESSORS)
    assert not verdict.passed
    assert " on open" in verdict.why
    assert f"{tmp_path}/policies/report.html" in verdict.why
    assert verdict.counts["fail"] >= 1
    assert evidence.verify(tmp_path / "policies", verdict.sha256) == []
    assert len(verdict.sha256) == 64


def test_a_plan_without_fault_passes(tmp_path: Path) -> None:
    verdict = judge(plan(STACK), tmp_path / "policies", ASSESSORS)
    assert (verdict.passed, verdict.why) == (True, "")
    assert verdict.counts["fail"] == 0


def test_a_waiver_that_a_finding_stands_by_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = [row.policy for row in own.assess([parse(plan(OPEN), "a plan")]).findings if row.status == "fail"]
    waivers, soon = tmp_path / "waivers.yaml", (date.today() + timedelta(days=30)).isoformat()
    waivers.write_text(
        json.dumps(
            {
                "waivers": [
                    {
                        "policy": policy, "urn": URN, "owner": "ml-platform", "approver": "security",
                        "reason": "A test shows it.", "ticket": "https://example.com/1", "expires": soon,
                    }
                    for policy in policies
                ]
            }
        )
    )  # fmt: skip
    monkeypatch.setattr(judging, "WAIVERS", waivers)
    verdict = judge(plan(OPEN), tmp_path / "policies", ASSESSORS)
    assert verdict.passed, verdict.why
    assert {row["policy"] for row in verdict.waivers} == set(policies)
    assert verdict.counts["waived"] == len(policies)


def test_a_plan_that_cannot_be_judged_stops(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="The policies could not judge the plan"):
        judge(plan(OPEN | {"inputs": "none"}), tmp_path / "policies", ASSESSORS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(RolloutError, match="The policies could not judge the plan"):
        judge(plan(), tmp_path / "mine", ASSESSORS)


def test_a_secret_that_a_message_quotes_is_in_no_file_of_the_pack(tmp_path: Path) -> None:
    secret = "correct-horse-battery-staple"
    holds = OPEN | {"inputs": {**OPEN["inputs"], "password": secret}}

    def quoting(graphs: Any) -> Any:
        found = own.assess(graphs)
        told = tuple(replace(row, message=f"{row.message} It says {secret}.") for row in found.findings)
        return replace(found, findings=told)

    verdict = judge(plan(holds), tmp_path / "policies", {own.TOOL: quoting})
    assert not verdict.passed
    files = [path for path in (tmp_path / "policies").iterdir() if path.is_file()]
    assert files
    assert not [path.name for path in files if secret.encode() in path.read_bytes()]
    assert any(b"[secret]" in path.read_bytes() for path in files)
