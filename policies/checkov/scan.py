"""Run Checkov once over many files: `python scan.py < REQUEST > ANSWER`, by the interpreter of `.venv-scanners`.

REQUEST: {"terraform": {FILE: PLAN}, "arm": {FILE: TEMPLATE}, "hidden": {"FILE/ADDRESS": [ATTRIBUTE, ...]}}. A FILE is a
bare name, an ADDRESS Terraform's or ARM's `TYPE.NAME`. hidden: dotted attributes whose values are not in the file, as
nobody knows them yet.
ANSWER: {"version": ..., "checks": {ID: {"title", "guideline"}}, "types": [TYPE that any check asks for, ...],
"results": [{"id", "file", "address", "status": pass | fail | undetermined | skipped, "keys": [ATTRIBUTE, ...]}, ...],
"unread": [[FILE, ADDRESS], ...]}.

No socket is connected, whatever Checkov would like to fetch: the process forbids it to itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import io
import json
import logging
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

WORD = re.compile(r"\w+")
# what a check inherits from here says how it looks, not where
FRAMEWORK = re.compile(r"(^|\.)base_\w+$|^(abc|builtins|checkov\.common\.multi_signature)$")

PLANS, TEMPLATES = "checkov.terraform.plan_runner", "checkov.arm.runner"
EVERY = 100  # types; two checks name all 1,496 and filter them afterwards


def stay_offline() -> None:
    """Forbid this process every connection and every name look-up."""
    forbidden = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if event in forbidden:
            raise PermissionError(f"A scan makes no connection ({event}).")

    sys.addaudithook(refuse)


class Looks:
    """Which attributes a check may look at, by the words of its own source."""

    def __init__(self, checks: dict[str, list[Any]]) -> None:
        self._checks = checks
        self._words: dict[str, set[str]] = {}

    def at(self, check: str, attribute: str) -> bool:
        """Whether the check names the first and the last part of this dotted attribute."""
        parts = attribute.split(".")
        return {parts[0], parts[-1]} <= self.words(check)

    def words(self, check: str) -> set[str]:
        """Every word of a check's source."""
        if check not in self._words:
            self._words[check] = {word for one in self._checks.get(check, ()) for word in _words_of(one)}
        return self._words[check]


def _words_of(check: Any) -> set[str]:
    if hasattr(check, "sub_checks"):
        below = {word for one in check.sub_checks for word in _words_of(one)}
        return below | set(WORD.findall(str(check.attribute or "")))
    sources = {row.__module__ for row in type(check).__mro__ if not FRAMEWORK.search(row.__module__)}
    return {word for name in sources for word in WORD.findall(inspect.getsource(sys.modules[name]))}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """What Checkov says about the request's files."""
    load = importlib.import_module  # here, so that nothing of Checkov's runs before it is offline
    registries = (
        load("checkov.terraform.checks.resource.registry").resource_registry,
        load("checkov.arm.registry").arm_resource_registry,
    )
    runners = {
        "terraform": ("terraform_plan", load(PLANS).Runner),
        "arm": ("arm", load(TEMPLATES).Runner),
    }
    graph_registry = load("checkov.common.checks_infra.registry").get_graph_checks_registry
    only = load("checkov.runner_filter").RunnerFilter
    checks: dict[str, list[Any]] = {}
    types: set[str] = set()
    for registry in registries:
        types |= set(registry.checks)
        for rows in registry.checks.values():
            for check in rows:
                checks.setdefault(check.id, []).append(check)
    answer: dict[str, Any] = {"version": load("checkov.version").version, "results": [], "unread": []}
    looks = Looks(checks)
    with tempfile.TemporaryDirectory() as folder:
        for framework, (name, runner) in runners.items():
            documents = request.get(framework) or {}
            graph = graph_registry(framework)
            graph.load_checks()
            for check in graph.checks:
                checks.setdefault(check.id, []).append(check)
                types |= _types_of(check)
            # a file at a time: in one graph, what one stack has would answer for another
            for file, document in sorted(documents.items()):
                if framework == "terraform":
                    _drop(document, types)
                if not _addresses(framework, document):
                    continue
                path = Path(folder) / file
                path.write_text(json.dumps(document, indent=1), encoding="utf-8")
                report = runner().run(
                    root_folder=None,
                    files=[str(path)],
                    runner_filter=only(framework=[name], show_progress_bar=False),
                )
                unread = _addresses(framework, document) - {row.partition(":")[2] for row in report.resources}
                if report.parsing_errors or (unread and unread == _addresses(framework, document)):
                    raise ValueError(f"Checkov cannot read {file}.")
                answer["unread"] += [[file, address] for address in sorted(unread)]
                answer["results"] += _results(report, looks, request.get("hidden") or {})
    answer["checks"] = {
        check: {"title": rows[0].name, "guideline": rows[0].guideline or ""} for check, rows in checks.items()
    }
    answer["types"] = sorted(types)
    answer["results"].sort(key=lambda row: (row["file"], row["address"], row["id"], row["status"], row["keys"]))
    return answer


def _types_of(check: Any) -> set[str]:
    """The types that a graph check is about or asks for; a list of every type there is says nothing."""
    named = [row for row in (check.resource_types, check.connected_resources_types) if row and len(row) < EVERY]
    return {type_ for row in named for type_ in row}.union(*map(_types_of, check.sub_checks))


def _drop(plan: dict[str, Any], types: set[str]) -> None:
    """Take the resources out that no check asks for: half of the time goes into what they cost."""
    for part in (plan["planned_values"], plan["configuration"]):
        root = part["root_module"]
        root["resources"] = [row for row in root["resources"] if row["type"] in types]


def _addresses(framework: str, document: dict[str, Any]) -> set[str]:
    if framework == "terraform":
        return {row["address"] for row in document["planned_values"]["root_module"]["resources"]}
    return {f"{row['type']}.{row['name']}" for row in document["resources"]}


def _results(report: Any, looks: Looks, hidden: dict[str, list[str]]) -> list[dict[str, Any]]:
    rows = []
    for status, records in (
        ("pass", report.passed_checks),
        ("fail", report.failed_checks),
        ("skipped", report.skipped_checks),
    ):
        for record in records:
            file = os.path.basename(record.file_abs_path)
            unknown = hidden.get(f"{file}/{record.resource}", ())
            missed = [attribute for attribute in unknown if looks.at(record.check_id, attribute)]
            keys = missed or sorted({str(key) for key in record.check_result.get("evaluated_keys") or ()})
            rows.append(
                {
                    "id": record.check_id,
                    "file": file,
                    "address": record.resource,
                    "status": "undetermined" if missed and status != "skipped" else status,
                    "keys": keys,
                }
            )
    return rows


def main() -> None:
    """Read the request, write the answer; what Checkov itself prints goes to standard error."""
    gc.disable()  # a short process that makes millions of objects and drops few
    stay_offline()
    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):
        for name in (PLANS, TEMPLATES):
            importlib.import_module(name)  # while the request is still being written
        answer = run(json.load(sys.stdin))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
