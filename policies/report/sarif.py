"""`results.sarif`: what fails or is undetermined, in SARIF 2.1.0 within the limits of GitHub's code scanning.

The limits are those of "SARIF support for code scanning" in GitHub's documentation: 5,000 results a run, worst first,
10 MB gzipped, a category a run, and a rule's security severity as a number between 0 and 10. Passes and waived findings
are in `results.json`: the alert of what is waived must close.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from policies.check import Report, counts
from policies.finding import Finding, Policy
from policies.graph import Graph
from policies.waivers import WAIVABLE

RESULTS = 5_000
GZIPPED_BYTES = 10_000_000
SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.5"}
ELSEWHERE = "Pulumi.yaml"  # where a finding is shown of which nobody says where it is declared


def render(report: Report, results: int = RESULTS, size: int = GZIPPED_BYTES) -> str:
    """The log as JSON, of at most this many results a run and bytes once gzipped; what is cut, a notification says."""
    while True:
        text = json.dumps({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [_run(report, graph, results) for graph in report.graphs],
        }, indent=1) + "\n"  # fmt: skip
        if len(gzip.compress(text.encode(), 6, mtime=0)) <= size or not results:
            return text
        results //= 2


def _run(report: Report, graph: Graph, most: int) -> dict[str, Any]:
    everything = report.of(graph)
    findings = [row for row in everything if row.status in WAIVABLE]
    shown = findings[:most]
    rules = sorted({row.policy for row in shown})
    return {
        "tool": {
            "driver": {
                "name": "Groundwork policies",
                "rules": [_rule(report.policies[name]) for name in rules],
                "properties": {"tools": dict(report.versions)},
            }
        },
        "automationDetails": {"id": f"policies/{graph.project}/{graph.stack}/"},
        "invocations": [
            {
                "executionSuccessful": not report.errors,
                "toolExecutionNotifications": _notifications(report, findings, shown),
            }
        ],
        "results": [_result(report, row, rules.index(row.policy)) for row in shown],
        "columnKind": "unicodeCodePoints",
        "properties": {"counts": counts(everything), "resources": len(graph.resources)},
    }


def _notifications(report: Report, findings: Sequence[Finding], shown: Sequence[Finding]) -> list[dict[str, Any]]:
    notes = [{"level": "error", "message": {"text": error}} for error in report.errors]
    if len(shown) < len(findings):
        text = (
            f"{len(findings) - len(shown)} of {len(findings)} results are left out, the least severe ones: code "
            f"scanning takes {RESULTS} of a run and {GZIPPED_BYTES // 1_000_000} MB. results.json holds them all."
        )
        notes.append({"level": "warning", "message": {"text": text}})
    return notes


def _rule(policy: Policy) -> dict[str, Any]:
    tags = ["security", policy.tool, policy.level, *policy.controls]
    return {
        "id": policy.id,
        "name": policy.id,
        "shortDescription": {"text": policy.title or policy.id},
        "fullDescription": {"text": policy.why or policy.title or policy.id},
        "help": {"text": policy.mend or "See the policy's documentation.", "markdown": f"**Mend:** {_plain(policy)}"},
        "defaultConfiguration": {"level": "error" if policy.level == "mandatory" else "warning"},
        "properties": {"tags": tags[:20], "security-severity": SCORES[policy.severity], "precision": "high"},
    }


def _plain(policy: Policy) -> str:
    """The mend in markdown: what a tool or a program wrote must not become links or markup."""
    text = policy.mend or "See the policy's documentation."
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|!" else letter for letter in text)


def _result(report: Report, finding: Finding, index: int) -> dict[str, Any]:
    policy = report.policies[finding.policy]
    message = finding.message or policy.title or policy.id
    if finding.status == "undetermined":
        message = f"Undetermined: {message}"
    text = f"{finding.name or finding.type} in {finding.stack}: {message} Mend: {policy.mend or 'see the policy.'}"
    level = "note" if finding.status == "undetermined" else "warning"
    return {
        "ruleId": policy.id,
        "ruleIndex": index,
        "level": "error" if report.blocks(finding) else level,
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.file)},
                    "region": {"startLine": max(finding.line, 1) if finding.file else 1},
                },
                "logicalLocations": [{"fullyQualifiedName": finding.urn, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"policyResource/v1": finding.fingerprint},
        "properties": {
            "status": finding.status,
            "urn": finding.urn,
            **({"path": finding.path} if finding.path else {}),
        },
    }


def _uri(file: str) -> str:
    """A relative reference below the root; a path that leaves it, or none, becomes the project's own file."""
    path = PurePosixPath(file.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0]
    return ELSEWHERE if outside else quote(path.as_posix())
