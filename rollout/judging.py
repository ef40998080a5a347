"""What the policies say of one plan, as a deployment's record keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from policies import evidence
from policies.check import ASSESSORS, WAIVERS, Assessor, Report, check, counts
from policies.graph import PlanError
from rollout.errors import RolloutError
from rollout.plans import Plan
from rollout.redact import Redactor, found_in_plan

SHOWN = 3  # findings that a sentence names


@dataclass(frozen=True)
class Verdict:
    """sha256: of the evidence pack's manifest. waivers: rows of waivers.yaml that findings stand by. why: if it did
    not pass, in words."""

    passed: bool
    counts: Mapping[str, int]
    sha256: str
    waivers: tuple[Mapping[str, str], ...] = ()
    why: str = ""


def judge(plan: Plan, out: Path, assessors: Mapping[str, Assessor] = ASSESSORS) -> Verdict:
    """Judges a plan by every tool and writes the evidence pack, without the plan's secrets, into a directory.

    :raises RolloutError: it cannot be judged
    """
    try:
        report = check({f"the plan of {plan['stack']}": plan}, WAIVERS, date.today(), assessors)
        report = _redacted(report, Redactor().knowing(found_in_plan(plan)))
        digest = evidence.write(report, out)
    except PlanError as error:
        raise RolloutError(f"The policies could not judge the plan: {error}") from error
    blocking = [f"{row.policy} on {row.name}" for row in report.findings if report.blocks(row)]
    why = [*report.errors[:SHOWN], *blocking[:SHOWN]]
    more = len(report.errors) + len(blocking) - len(why)
    held = {row.waiver for row in report.findings if row.waiver is not None}
    return Verdict(
        report.passed,
        {str(status): number for status, number in counts(report.findings).items()},
        digest.removeprefix("sha256:"),
        tuple(asdict(waiver) for waiver in sorted(held, key=lambda waiver: (waiver.policy, waiver.urn))),
        "; ".join(why) + (f"; and {more} more" if more > 0 else "") + f". All of it: {out}/report.html" if why else "",
    )


def _redacted(report: Report, redactor: Redactor) -> Report:
    """The report with no secret in what tools say: a message may quote an input, and the pack leaves the runner."""
    return replace(
        report,
        findings=tuple(replace(row, message=redactor.text(row.message)) for row in report.findings),
        not_assessed=tuple(replace(row, reason=redactor.text(row.reason)) for row in report.not_assessed),
        errors=tuple(redactor.text(error) for error in report.errors),
    )
