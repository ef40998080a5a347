"""Our decisions against those of the npm package @cloud-copilot/iam-simulate, on generated requests."""

import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.localcloud.iam_requests import ACCOUNT, ROLE, SESSION, Case, cases

PACKAGE = Path(os.environ.get("IAM_SIMULATE", "")) / "node_modules/@cloud-copilot/iam-simulate"
VERDICTS = {"Allowed": "Allow", "ImplicitlyDenied": "ImplicitDeny", "ExplicitlyDenied": "ExplicitDeny"}


def simulation(case: Case) -> dict[str, Any]:
    """The case as the script reads it."""
    principal_arn = ROLE if case.principal == SESSION else case.principal
    return {**asdict(case), "account": ACCOUNT, "context": {**case.context, "aws:PrincipalArn": principal_arn}}


def known_difference(case: Case) -> bool:
    """Where we differ on purpose.

    AWS documents that a session policy does not limit what a resource policy grants to the session's own ARN;
    the package limits it. And where AWS leaves open what a statement means (a variable without a value under a
    negation, ForAnyValue with IfExists), a deny of ours applies and an allow does not; the package's differ. So there
    we never allow what the package refuses.
    """
    if SESSION in json.dumps(case.resource_policy) and case.session is not None:
        return True
    documents = [*case.identity, case.resource_policy, case.boundary, case.session]
    statements = [statement for document in documents if document for statement in document["Statement"]]
    return case.decide().verdict != "Allow" and any(_unclear(statement) for statement in statements)


def _unclear(statement: dict[str, Any]) -> bool:
    negated = [statement.get("NotResource", "")]
    negated += [keys for operator, keys in statement.get("Condition", {}).items() if "Not" in operator]
    operators = list(statement.get("Condition", {}))
    for_any = any(o.startswith("ForAnyValue:") and o.endswith("IfExists") for o in operators)
    return "${aws:" in json.dumps(negated) or (for_any and statement["Effect"] == "Deny")


@pytest.mark.skipif(
    not shutil.which("node") or not PACKAGE.exists(),
    reason="needs node and the npm package: npm install --prefix DIR @cloud-copilot/iam-simulate; IAM_SIMULATE=DIR",
)
def test_decisions_equal_those_of_iam_simulate() -> None:
    count = int(os.environ.get("IAM_SIMULATE_CASES", "1000"))
    generated: list[Case] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def collect(case: Case) -> None:
        generated.append(case)

    collect()
    lines = "\n".join(json.dumps(simulation(case)) for case in generated)
    script = Path(__file__).with_name("iam_simulate.mjs")
    answer = subprocess.run(
        ["node", str(script), os.environ["IAM_SIMULATE"]],
        input=lines,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    theirs = [VERDICTS.get(line, line) for line in answer.stdout.splitlines()]
    assert len(theirs) == len(generated)
    pairs = zip(generated, theirs, strict=True)
    differing = [(c, c.decide(), t) for c, t in pairs if c.decide().verdict != t and not known_difference(c)]
    shortest = sorted(differing, key=lambda d: len(json.dumps(simulation(d[0]))))[:3]
    told = "\n".join(f"{json.dumps(simulation(c), indent=1)}\nours {o}\ntheirs {t}" for c, o, t in shortest)
    assert not differing, f"{len(differing)} of {len(generated)} differ:\n{told}"
    assert {case.decide().verdict for case in generated} == set(VERDICTS.values())
