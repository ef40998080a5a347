"""`python -m rollout drift-issue`: the one issue about drift, opened, updated and closed by what `drift` wrote."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rollout import branches, markdown, untrusted
from rollout.artifact import conforming
from rollout.branches import shown
from rollout.errors import RolloutError
from rollout.github import BOT, Api, field
from rollout.redact import Redactor

MARKER = "<!-- groundwork-rollout drift -->"  # the first line of the issue
TITLE = "Drift: a stack is not as it was deployed"
LABEL = "drift"
# GitHub takes 65,536 characters. Bytes are counted, of which no character has fewer than one.
BODY_LIMIT = 65_000
ROWS = (200, 100, 50, 20, 5, 0)  # of each stack: the most that fit
PIECE = 200  # characters of one name
WHAT = {
    "changed": "changed",
    "gone": "is gone",
    "undeclared": "is not declared by the commit",
}
Drift = Mapping[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `drift-issue`."""
    parser.add_argument("--from", dest="source", type=Path, required=True, help="the folder of drift's STACK.json")
    parser.add_argument("--map", type=Path, default=branches.MAP, help="the file that says which stacks there are")


def run(options: argparse.Namespace) -> int:
    """0: the issue says how things are; 1: a stack was not looked at, so that nobody can say that all is well."""
    stacks = [row.stack for row in branches.read(options.map).rows]
    found = read(options.source, stacks)
    missing = [stack for stack in stacks if stack not in found]
    sys.stdout.write(f"{settle(Api.from_environment(), list(found.values()), missing)}\n")
    if missing:
        raise RolloutError(
            f"Nothing is known of {', '.join(missing)}: its job wrote no result. The run's log says why."
        )
    return 0


def read(source: Path, stacks: Sequence[str]) -> dict[str, Drift]:
    """What was found, by stack, in the order of the map.

    :raises RolloutError: a file there is of another form, or about a stack that no branch changes
    """
    found = {}
    for path in sorted(source.iterdir()) if source.is_dir() else []:
        if path.name not in [f"{stack}.json" for stack in stacks] or path.is_symlink() or not path.is_file():
            raise RolloutError(f"{shown(path.name)} is no result about a stack that a branch changes. Take it away.")
        if path.stat().st_size > untrusted.FILE_LIMIT:
            raise RolloutError(f"{path.name} has more than {untrusted.FILE_LIMIT:,} bytes.")
        document = conforming(untrusted.parse(path.read_bytes(), path.name), "drift.schema.json", path.name)
        if f"{document['stack']}.json" != path.name:
            raise RolloutError(f"{path.name} is about another stack.")
        found[document["stack"]] = document
    return {stack: found[stack] for stack in stacks if stack in found}


def settle(api: Api, found: Sequence[Drift], missing: Sequence[str]) -> str:
    """Brings the issue to how things are; says what was done. A second run does nothing more."""
    own = _own(api)
    if any(drift["drifted"] for drift in found):
        return _open(api, own, body(found, missing))
    if missing:
        return "No drift was found, but not every stack was looked at: the issue stays as it is."
    open_ones = [row for row in own if row["state"] == "open"]
    for row in open_ones:
        _close(api, row, "completed", f"{MARKER}\nEvery stack is as it was deployed.{_run_link()}\n")
    return f"No drift: closed #{open_ones[0]['number']}." if open_ones else "No drift, and no issue about any."


def _open(api: Api, own: list[Any], text: str) -> str:
    if not own:
        created = api.post("issues", {"title": TITLE, "body": text, "labels": [LABEL]})
        own = _own(api) or [created]  # another run may have created one at the same time: the older stays
    first, *doubles = own
    for double in doubles:
        if double["state"] == "open":
            _close(api, double, "not_planned", f"{MARKER}\nThis is #{first['number']} again.\n")
    if first["state"] != "open" or first["body"] != text:
        api.patch(f"issues/{first['number']}", {"body": text, "state": "open"})
    return f"Drift: it is told in #{first['number']}."


def _close(api: Api, row: Any, reason: str, text: str) -> None:
    api.patch(f"issues/{row['number']}", {"body": text, "state": "closed", "state_reason": reason})


def _own(api: Api) -> list[Any]:
    """The issues that the workflows' own user wrote with the marker, open and closed, the oldest first."""
    rows = [
        row
        for row in api.pages("issues", state="all", creator=BOT)
        if str(field(row, "body") or "").startswith(f"{MARKER}\n")
        and (field(row, "user", "login"), field(row, "user", "type")) == (BOT, "Bot")
        and "pull_request" not in row
    ]
    return sorted(rows, key=lambda row: int(row["number"]))


def body(found: Sequence[Drift], missing: Sequence[str]) -> str:
    """The issue's text: the stacks that drifted, with as many rows as fit, and those that were not looked at."""
    redactor = Redactor()
    for most in ROWS:
        parts = [_stack(drift, most, redactor) for drift in found if drift["drifted"]]
        well = [markdown.code(drift["stack"]) for drift in found if not drift["drifted"]]
        text = "\n".join(
            [
                MARKER,
                f"What runs is not what was deployed. Nothing was changed by looking.{_run_link()}",
                "What to do about it: `docs/runbook.md`, drift was found.",
                "",
                *parts,
                *([f"As deployed: {', '.join(well)}.", ""] if well else []),
                *([f"Not looked at: {', '.join(map(markdown.code, missing))}.", ""] if missing else []),
            ]
        )
        if len(text.encode()) <= BODY_LIMIT:
            return text
    raise RolloutError("The issue about drift would be too long, even without its rows.")


def _stack(drift: Drift, most: int, redactor: Redactor) -> str:
    def piece(text: str) -> str:
        short = redactor.text(text)
        return markdown.code_in_html(short if len(short) <= PIECE else f"{short[: PIECE - 1]}…")

    rows = [
        f"| {piece(row['name'])} | {piece(row['type'])} | {WHAT[row['what']]} | {_paths(row['changed'], piece)} |"
        for row in drift["drifted"][:most]
    ]
    count = len(drift["drifted"])
    return "\n".join(
        [
            f"### {markdown.code(drift['stack'])}: {count} {'resource' if count == 1 else 'resources'}",
            f"Deployed from {markdown.code(drift['commit'])} with {markdown.code(drift['release'])}; "
            f"looked at on {markdown.text(drift['checked'])}.",
            "",
            *(["| Resource | Type | | Where |", "|---|---|---|---|", *rows] if rows else []),
            *([f"\n… and {count - len(rows)} more; the run's artifact has all."] if count > len(rows) else []),
            "",
        ]
    )


def _paths(paths: Sequence[str], piece: Any) -> str:
    listed = ", ".join(piece(path) for path in paths[:5])
    return f"{listed} and {len(paths) - 5} more" if len(paths) > 5 else listed


def _run_link() -> str:
    server, repository, run_id = (
        os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    if not (server and repository and run_id):
        return ""
    return f" {markdown.link('This run', f'{server}/{repository}/actions/runs/{run_id}')} looked."
