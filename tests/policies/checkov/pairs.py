"""The pairs of `pairs/*.yaml`, each resource of them once through Checkov, in one run for all.

    TYPE:
      unsound: [RESOURCE, ...]   # the first of the list is judged; the others stand beside it
      fails: [ID, ...]           # exactly what it fails; the sound one passes all of them
      sound: [RESOURCE, ...]
      still: [ID, ...]           # exactly what the sound one fails, where it fails anything
      passes: [ID, ...]          # exactly what the sound one passes

A RESOURCE: {type (TYPE), name ("it"), inputs, uses: {INPUT: [NAME, ...]}}, all optional.
"""

import functools
from pathlib import Path
from typing import Any

import yaml

from policies import checkov
from policies.finding import Assessment
from policies.graph import Graph, Resource

FOLDER = Path(__file__).parent / "pairs"
KINDS = ("sound", "unsound")
Answers = dict[str, set[str]]


def pairs() -> dict[str, dict[str, Any]]:
    """All pairs by their types; a type that stands in two files is a mistake."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert not rows.keys() & found.keys(), f"{path.name} repeats a type"
        found |= rows
    return found


def graph_of(rows: list[dict[str, Any]], type_: str = "", stack: str = "pairs") -> Graph:
    """A stack of these resources."""
    types = {row.get("name", "it"): row.get("type", type_) for row in rows}
    urns = {name: f"urn:pulumi:{stack}::pairs::{token}::{name}" for name, token in types.items()}
    return Graph(
        "pairs",
        stack,
        tuple(
            Resource(
                urns[name],
                types[name],
                name,
                row.get("inputs", {}),
                references={key: [urns[each] for each in used] for key, used in row.get("uses", {}).items()},
                dependencies=frozenset(urns[each] for used in row.get("uses", {}).values() for each in used),
                file="__main__.py",
                line=number,
            )
            for number, row in enumerate(rows, 1)
            for name in [row.get("name", "it")]
        ),
    )


@functools.cache
def assessed() -> tuple[Assessment, dict[str, Answers]]:
    """What Checkov says of all pairs, and by stack (`KIND TYPE`) the ids by status about its first resource."""
    graphs = [graph_of(row[kind], token, f"{kind} {token}") for token, row in pairs().items() for kind in KINDS]
    found = checkov.assess(graphs)
    answers: dict[str, Answers] = {
        graph.stack: {"pass": set(), "fail": set(), "undetermined": set()} for graph in graphs
    }
    first = {graph.stack: graph.resources[0].urn for graph in graphs}
    for finding in found.findings:
        if finding.urn == first[finding.stack]:
            answers[finding.stack][finding.status].add(finding.policy)
    return found, answers
