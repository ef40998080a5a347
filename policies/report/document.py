"""`results.json`: the whole report as one document of `policies/results.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from policies.check import Report, counts
from policies.controls import frameworks, status_of
from policies.finding import STATUSES, Finding

VERSION = 1


def render(report: Report) -> str:
    """The document as JSON, a row a line, so that two of them can be compared; the time is in the manifest alone."""
    parts = document(report)
    lines = ["{"]
    for name, value in parts.items():
        if isinstance(value, list) and value:
            rows = ",\n".join(f"    {_json(row)}" for row in value)
            lines.append(f"  {_json(name)}: [\n{rows}\n  ],")
        else:
            lines.append(f"  {_json(name)}: {_json(value)},")
    return "\n".join(lines).removesuffix(",") + "\n}\n"


def document(report: Report) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "version": VERSION,
        "commit": report.commit,
        "passed": report.passed,
        "counts": counts(report.findings),
        "errors": list(report.errors),
        "tools": dict(report.versions),
        "stacks": [
            {
                "project": graph.project,
                "stack": graph.stack,
                "resources": len(graph.resources),
                "counts": counts(report.of(graph)),
                "notAssessed": sum(row.urn in graph.by_urn for row in report.not_assessed),
            }
            for graph in report.graphs
        ],
        "policies": [asdict(policy) | {"controls": list(policy.controls)} for policy in report.policies.values()],
        "controls": list(_controls(report)),
        "findings": list(_findings(report)),
        "notAssessed": [asdict(row) for row in report.not_assessed],
        "waivers": [asdict(waiver) for waiver in report.waivers],
    }


def _controls(report: Report) -> Iterator[Mapping[str, Any]]:
    for framework in frameworks():
        for name, standing in status_of(report, framework.controls).items():
            control = framework.controls[name]
            yield {
                "framework": framework.file,
                "id": name,
                "title": control.title,
                "iso": list(control.iso),
                "status": standing.status,
                "counts": {status: standing.findings.get(status, 0) for status in STATUSES},
                "policies": list(standing.policies),
                "idle": list(standing.idle),
                "missed": list(standing.missed),
                "person": control.person,
            }


def _findings(report: Report) -> Iterator[Mapping[str, Any]]:
    for finding in report.findings:
        yield _finding(finding) | {"blocks": report.blocks(finding)}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "fingerprint": finding.fingerprint,
        "policy": finding.policy,
        "status": finding.status,
        "stack": finding.stack,
        "urn": finding.urn,
        "type": finding.type,
        "name": finding.name,
        "file": finding.file,
        "line": finding.line,
        "path": finding.path,
        "message": finding.message,
        "waiver": asdict(finding.waiver) if finding.waiver else None,
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)
