"""Small plans, rules and reports for the tests of what judges and renders them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from policies import own
from policies.check import Assessor, Report, check
from policies.finding import Assessment, NotAssessed
from policies.graph import Graph, Resource
from policies.rule import Level, Rule, Severity, Verdict, fail, undetermined

TODAY = date(2026, 11, 21)
BUCKET = "aws:s3/bucket:Bucket"


def resource(name: str, inputs: Mapping[str, Any], *, stack: str = "dev", line: int = 7, **more: Any) -> dict[str, Any]:
    """A bucket of a plan, as `localcloud plan --json` tells it."""
    return {
        "urn": f"urn:pulumi:{stack}::shop::{BUCKET}::{name}",
        "type": BUCKET,
        "name": name,
        "parent": None,
        "custom": True,
        "provider": None,
        "inputs": dict(inputs),
        "outputs": {},
        "dependencies": [],
        "propertyDependencies": {},
        "options": {},
        "source": {"file": "infra/store.py", "line": line},
        "synthetic": [],
    } | more


def plan(*resources: dict[str, Any], stack: str = "dev") -> dict[str, Any]:
    """A plan of these resources."""
    return {
        "version": 1,
        "project": "shop",
        "stack": stack,
        "config": {},
        "resources": list(resources),
        "outputs": {},
        "synthetic": [],
    }


def says(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    """Fails, wonders or raises as the resource's inputs ask."""
    if "raise" in resource.inputs:
        raise TypeError(resource.inputs["raise"])
    for path in resource.inputs.get("fails", ()):
        yield fail(f"It has {path}.", path)
    for path in resource.inputs.get("wonders", ()):
        yield undetermined(f"{path} is not known.", path)


def rule(number: int, severity: Severity = "high", level: Level = "mandatory") -> Rule:
    """A rule that says what the resources ask it to."""
    return Rule(
        f"GW-TEST-{number:03}",
        f"Rule {number} holds",
        severity,
        "Whoever breaks it is in the tests.",
        "Write what the rule wants.",
        ("AC-6",),
        (BUCKET,),
        says,
        level,
    )


def assessor(*rules: Rule, not_assessed: Sequence[NotAssessed] = ()) -> Mapping[str, Assessor]:
    """One tool with these rules."""

    def assess(graphs: Sequence[Graph]) -> Assessment:
        return Assessment(
            tuple(own.policy(each) for each in rules),
            tuple(finding for graph in graphs for each in rules for finding in own.findings(each, graph)),
            tuple(not_assessed),
            {"tests": "1"},
        )

    return {"tests": assess}


def waivers(directory: Path, *rows: Mapping[str, str]) -> Path:
    """A file of waivers with these rows."""
    lines = ["waivers:" if rows else "waivers: []"]
    for row in rows:
        lines += [f"{'- ' if index == 0 else '  '}{key}: {value!r}" for index, (key, value) in enumerate(row.items())]
    path = directory / "waivers.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def waiver(name: str = "data", policy: str = "GW-TEST-001", stack: str = "dev", **changes: str) -> dict[str, str]:
    """A waiver that holds, but for the changes."""
    return {
        "policy": policy,
        "urn": f"urn:pulumi:{stack}::shop::{BUCKET}::{name}",
        "owner": "ml-platform",
        "approver": "security",
        "reason": "The bucket holds public samples.",
        "ticket": "SHOP-12",
        "expires": "2026-12-31",
    } | changes


def report(directory: Path, rows: Sequence[Mapping[str, str]] = ()) -> Report:
    """A report with every status, two stacks, an advisory policy and something that was not assessed."""
    documents = {
        "dev.json": plan(
            resource("broken", {"fails": ["acl", "tags"]}, line=3),
            resource("data", {"fails": ["acl"]}, line=4),
            resource("hidden", {"wonders": ["policy"]}, line=5),
            resource("sound", {}, line=6),
        ),
        "prod.json": plan(resource("broken", {"fails": ["acl"]}, stack="prod", line=3), stack="prod"),
    }
    missed = NotAssessed("tests", "dev", f"urn:pulumi:dev::shop::{BUCKET}::sound", BUCKET, "No translation.", "acl")
    tools = assessor(rule(1), rule(2, "low", "advisory"), rule(3, level="disabled"), not_assessed=[missed])
    return check(documents, waivers(directory, *(rows or [waiver()])), TODAY, tools)
