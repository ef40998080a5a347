"""What Checkov says of each translated type, by exact ids: a wrong translation would pass in silence."""

import pytest

from policies import checkov
from policies.checkov.translate import TYPES
from tests.policies.checkov import pairs

PAIRS = pairs.pairs()
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("checkov")]  # one scan for all


@pytest.mark.parametrize("token", PAIRS)
def test_exactly_these_checks_tell_sound_from_unsound(token: str) -> None:
    _, answers = pairs.assessed()
    row, unsound, sound = PAIRS[token], answers[f"unsound {token}"], answers[f"sound {token}"]
    assert row["fails"], "an unsound resource that fails nothing shows nothing"
    assert unsound["fail"] == set(row["fails"])
    assert sound["fail"] == set(row.get("still", ()))
    assert sound["pass"] == set(row["passes"])
    assert unsound["fail"] - sound["fail"] <= sound["pass"]
    assert not unsound["undetermined"] | sound["undetermined"]


def test_every_resource_of_a_pair_is_read_whole() -> None:
    found, _ = pairs.assessed()
    assert not [row for row in found.not_assessed if row.path or not row.reason.startswith("Checkov ")]


def test_a_pair_is_of_a_type_that_is_translated() -> None:
    assert PAIRS.keys() <= TYPES["terraform"].keys() | TYPES["azure"].keys()


def test_a_finding_leads_back_to_its_resource_and_its_line() -> None:
    found, _ = pairs.assessed()
    (finding,) = [
        row
        for row in found.findings
        if row.policy == "CKV_AWS_24" and row.stack.startswith("unsound aws:vpc/") and row.status == "fail"
    ]
    assert finding.urn.endswith("::aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule::it")
    assert (finding.file, finding.line) == ("__main__.py", 1)
    assert finding.message.startswith('It fails "Ensure no security groups allow ingress from 0.0.0.0:0 to port 22"')
    assert {policy.id for policy in found.policies} >= {row.policy for row in found.findings}


def test_a_check_of_ours_is_one_of_checkovs_and_says_enough() -> None:
    found, _ = pairs.assessed()
    by_id = {policy.id: policy for policy in found.policies}
    for check, row in checkov.settings().items():
        assert by_id[check].title
        assert row.keys() <= {"severity", "level", "controls", "disabled", "why", "mend"}
        assert ("disabled" in row) != bool(row.get("controls")), check
        assert by_id[check].level == ("disabled" if "disabled" in row else row["level"])


def test_a_check_that_is_not_asked_gives_no_answer() -> None:
    found, _ = pairs.assessed()
    silent = {policy.id for policy in found.policies if policy.level == "disabled"}
    assert silent
    assert not silent & {row.policy for row in found.findings}
