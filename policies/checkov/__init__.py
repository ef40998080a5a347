"""Checkov over the graphs of all stacks: put into its words, scanned once, and brought back to URN, file and line.

What it could not look at is listed, never passed over: a type without a translation or without a check, an input that
its schema lacks or whose value nobody knows yet. A resource with an input that no table knows is not assessed at all,
with a sentence that names the input: a wrong translation would pass in silence, and one odd resource stops nobody.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from policies.checkov import arm, translate
from policies.checkov.translate import TYPES, Translated, UntranslatedError
from policies.finding import Assessment, Finding, NotAssessed, Policy, Status
from policies.graph import Graph, Resource
from policies.rule import Level, Severity

TOOL = "checkov"
HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-scanners/bin/python"
SECONDS = 300
WHY = "It is one of the checks that Checkov's authors keep for this kind of resource."
MEND = "Give the resource what the title asks for: the message names the inputs that Checkov looked at."
# no account, no configuration, no update of the user's: Checkov reads nothing but what it is given
SETTINGS = {
    "BC_SKIP_MAPPING": "TRUE",
    "CHECKOV_RUN_SCA_PACKAGE_SCAN_V2": "false",
    "CKV_GITHUB_CONFIG_FETCH_DATA": "false",
    "CKV_SKIP_PACKAGE_UPDATE_CHECK": "true",
    "LOG_LEVEL": "ERROR",
}


class ScanError(Exception):
    """Checkov gave no answer that can be used; the text says why and what to do. Nothing has passed."""


@dataclass
class _Batch:
    """What is asked, and whose the answers will be: (file, address) → resource and its translation."""

    request: dict[str, Any] = field(default_factory=lambda: {"terraform": {}, "arm": {}, "hidden": {}})
    owners: dict[tuple[str, str], tuple[Graph, Resource, Translated]] = field(default_factory=dict)
    not_assessed: list[NotAssessed] = field(default_factory=list)

    def add(self, file: str, address: str, owner: tuple[Graph, Resource, Translated]) -> None:
        self.owners[file, address] = owner
        if owner[2].hidden:
            self.request["hidden"][f"{file}/{address}"] = owner[2].hidden


def assess(graphs: Sequence[Graph], scan: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None) -> Assessment:
    """What Checkov says of every resource that it has a check for. Raises ScanError where it gives no whole answer."""
    if scan is not None:
        batch = _batch(graphs)
        answer = scan(batch.request)
    else:
        with start() as process:
            batch = _batch(graphs)
            answer = ask(process, batch.request)
    findings = tuple(_findings(answer, batch))
    looked_at = {(row["file"], row["address"]) for row in answer["results"]}
    unread = {(file, address) for file, address in answer["unread"]}
    for key, (graph, resource, translated) in batch.owners.items():
        if key in unread:
            batch.not_assessed.append(_missed(graph, resource, "Checkov could not read what was made of it"))
        elif key not in looked_at:
            # Checkov may have looked at it beside another one: a bucket's versioning answers for the bucket
            batch.not_assessed.append(_missed(graph, resource, f"Checkov has no check for {translated.type} by itself"))
        else:
            batch.not_assessed += [_missed(graph, resource, why, path) for path, why in translated.left]
    return Assessment(
        _policies(answer["checks"], frozenset(row["id"] for row in answer["results"])),
        findings,
        tuple(batch.not_assessed),
        {TOOL: answer["version"]},
    )


def _batch(graphs: Sequence[Graph]) -> _Batch:
    batch = _Batch()
    for number, graph in enumerate(graphs):
        rows = list(_translated(graph, batch.not_assessed))
        _terraform(f"stack-{number}.json", graph, [row for row in rows if row[0].kind in TYPES["terraform"]], batch)
        _arm(f"stack-{number}-arm", graph, [row for row in rows if row[0].kind in TYPES["azure"]], batch)
    return batch


def _missed(graph: Graph, resource: Resource, reason: str, path: str = "") -> NotAssessed:
    return NotAssessed(TOOL, graph.stack, resource.urn, resource.type, reason, path)


def _translated(graph: Graph, missed: list[NotAssessed]) -> Iterator[tuple[Resource, Translated]]:
    """The resources that Checkov may have checks for; the others go into `missed`, with the reason."""
    for row in graph.resources:
        if not row.custom or row.type.startswith("pulumi:"):
            continue  # a component, a provider, the stack: no resource of a cloud
        try:
            if row.kind in TYPES["terraform"]:
                yield row, translate.terraform(row)
            elif row.kind in TYPES["azure"]:
                yield row, arm.translate(row, graph)
            elif row.kind in TYPES["nested"]:
                missed.append(
                    _missed(graph, row, f"Checkov looks at it inside of its {TYPES['nested'][row.kind]['inside']}")
                )
            else:
                missed.append(_missed(graph, row, unknown(row.kind)))
        except UntranslatedError as error:
            missed.append(_missed(graph, row, str(error)))


def unknown(token: str) -> str:
    """Why a type is not assessed that has no translation."""
    if token in TYPES["unchecked"]:
        return f"Checkov has no check for {TYPES['unchecked'][token]}"
    return f"no translation of {token}"


def _terraform(file: str, graph: Graph, rows: Sequence[tuple[Resource, Translated]], batch: _Batch) -> None:
    """Add a Terraform plan of these resources, with the references by which Checkov's graph checks connect them."""
    addresses = {
        row.urn: f"{made.type}.{file.removesuffix('.json')}-{number}" for number, (row, made) in enumerate(rows)
    }
    planned, configured = [], []
    for row, made in rows:
        address = addresses[row.urn]
        head = {"address": address, "mode": "managed", "type": made.type, "name": address.partition(".")[2]}
        planned.append({**head, "values": made.values})
        attributes = {name: attribute for attribute, name in made.attributes.items()}
        expressions = {
            attributes.get(name, name): {
                "references": [text for urn in urns for text in _references(addresses.get(urn))]
            }
            for name, urns in row.references.items()
            if any(urn in addresses for urn in urns)
        }
        configured.append({**head, "expressions": expressions})
        batch.add(file, address, (graph, row, made))
    if rows:
        batch.request["terraform"][file] = {
            "format_version": "1.2",
            "terraform_version": "1.9.0",
            "planned_values": {"root_module": {"resources": planned}},
            "configuration": {"root_module": {"resources": configured}},
        }


def _references(address: str | None) -> tuple[str, ...]:
    return (f"{address}.id", address) if address else ()


def _arm(file: str, graph: Graph, rows: Sequence[tuple[Resource, Translated]], batch: _Batch) -> None:
    """Add templates of these resources: one, and more where resources of a type have the same name."""
    names = {row.urn: (made.type, made.values["name"]) for row, made in rows}
    for row, made in rows:
        address, number = f"{made.type}.{made.values['name']}", 0
        while (f"{file}-{number}.json", address) in batch.owners:
            number += 1
        known = [names[urn] for urn in sorted(row.dependencies) if urn in names]
        made.values["dependsOn"] = [f"[resourceId('{type_}', '{name}')]" for type_, name in known]
        template = batch.request["arm"].setdefault(
            f"{file}-{number}.json",
            {
                "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
                "contentVersion": "1.0.0.0",
                "resources": [],
            },
        )
        template["resources"].append(made.values)
        batch.add(f"{file}-{number}.json", address, (graph, row, made))


def run(request: Mapping[str, Any]) -> dict[str, Any]:
    """The scan's answer, from Checkov's own environment. Raises ScanError."""
    with start() as process:
        return ask(process, request)


def start() -> subprocess.Popen[bytes]:
    """A scan that loads Checkov, which takes as long as the rest, and waits for its request. Raises ScanError."""
    if not PYTHON.exists():
        raise ScanError("Checkov is not installed: run `make install-scanners`, which makes .venv-scanners.")
    pipe = subprocess.PIPE
    environment = {name: value for name in ("HOME", "PATH", "TMPDIR") if (value := os.environ.get(name))} | SETTINGS
    command = [str(PYTHON), "-I", str(HERE / "scan.py")]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, cwd=HERE)


def ask(process: subprocess.Popen[bytes], request: Mapping[str, Any]) -> dict[str, Any]:
    """What a scan that was started answers. Raises ScanError."""
    try:
        printed, told = process.communicate(json.dumps(request).encode(), SECONDS)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise ScanError(f"Checkov did not end within {SECONDS} s: give it fewer plans at once.") from error
    if process.returncode:
        lines = told.decode("utf-8", "replace").strip().splitlines()
        raise ScanError(f"Checkov failed: {lines[-1] if lines else f'exit status {process.returncode}'}")
    try:
        return cast(dict[str, Any], json.loads(printed))
    except ValueError as error:
        raise ScanError("Checkov's answer is no JSON: run `make install-scanners` again.") from error


def _findings(answer: Mapping[str, Any], batch: _Batch) -> Iterator[Finding]:
    for row in answer["results"]:
        owner = batch.owners.get((row["file"], row["address"]))
        if owner is None:
            continue  # what lies inside of a resource of ours: it was read as a part of that
        graph, resource, translated = owner
        if row["status"] == "skipped":
            batch.not_assessed.append(_missed(graph, resource, f"{row['id']} was skipped by the resource's own words"))
            continue
        if setting(row["id"])[1] == "disabled":
            continue
        status: Status = row["status"]
        path, message = _place(row, translated), ""
        if status == "fail":
            message = f'It fails "{answer["checks"][row["id"]]["title"]}"'
            message += f"; Checkov looked at {_quoted(_plain(row['keys']))}." if row["keys"] else "."
        elif status == "undetermined":
            message = f"Checkov would look at {_quoted(row['keys'])}, which is not known before the deployment."
        yield Finding(
            row["id"],
            status,
            graph.stack,
            resource.urn,
            resource.type,
            resource.name,
            resource.file,
            resource.line,
            message,
            path,
        )


def _quoted(keys: Sequence[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _plain(keys: Sequence[str]) -> list[str]:
    """Checkov's `a/[0]/b` as `a.b`, each once."""
    found = [".".join(part for part in key.split("/") if not part.strip("[]").isdigit()) for key in keys]
    return list(dict.fromkeys(found))[:5]


def _place(row: Mapping[str, Any], translated: Translated) -> str:
    """The input that a result is about, if it is about one alone."""
    if row["status"] == "pass" or not row["keys"]:
        return ""
    tops = {key.removeprefix("properties.").partition(".")[0] for key in _plain(row["keys"])} - {"properties"}
    return translated.attributes.get(tops.pop(), "") if len(tops) == 1 else ""


@cache
def settings() -> Mapping[str, Any]:
    """`checks.yaml`, by id."""
    found: Mapping[str, Any] = yaml.safe_load((HERE / "checks.yaml").read_text(encoding="utf-8")) or {}
    return found


def setting(check: str) -> tuple[Severity, Level, str, tuple[str, ...]]:
    """A check's severity, level, the reason where it is disabled, and the controls that it serves."""
    row = settings().get(check, {})
    level: Level = row.get("level", "disabled" if "disabled" in row else "advisory")
    return row.get("severity", "medium"), level, row.get("disabled", ""), tuple(row.get("controls", ()))


def _policies(told: Mapping[str, Mapping[str, str]], answered: frozenset[str]) -> tuple[Policy, ...]:
    """What reports say of each check that answered, or of which `checks.yaml` says something."""
    found = []
    for check in sorted(answered | settings().keys()):
        severity, level, reason, controls = setting(check)
        own = settings().get(check, {})
        why = f"Not asked: {reason}" if reason else own.get("why", WHY)
        mend = own.get("mend") or told[check]["guideline"] or MEND
        found.append(Policy(check, TOOL, told[check]["title"], severity, level, why, mend, controls))
    return tuple(found)
