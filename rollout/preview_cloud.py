"""`python -m rollout preview-cloud --stack STACK --out DIR`: what the Pulumi CLI would change, as the cloud is now.

It runs with an identity that can only read, on a pull request of this repository. What leaves the runner is reduced to
operations, names and paths: a preview's values can be secrets that nobody marked as such.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from rollout import engine, kinds, markdown, worktree
from rollout.difftext import short_type
from rollout.errors import RolloutError
from rollout.plans import RELEASE_KEY
from rollout.redact import Redactor

FILE = "preview-cloud.json"
MOST_STEPS, MOST_PATHS = 500, 40
SHOWN = 60  # steps that the summary names
# How much each operation matters, the most first; Pulumi tells a replacement in several steps.
_OPS = {
    "delete": "delete",
    "replace": "replace",
    "delete-replaced": "replace",
    "create-replacement": "replace",
    "update": "update",
    "create": "create",
    "import": "import",
}


@dataclass(frozen=True)
class Step:
    """What would happen to one resource: a row of `preview-cloud.schema.json`."""

    op: str
    urn: str
    type: str
    name: str
    changed: tuple[str, ...] = ()
    replacing: tuple[str, ...] = ()


@dataclass(frozen=True)
class CloudPreview:
    """A document of `preview-cloud.schema.json`."""

    stack: str
    commit: str
    release: str
    changes: Mapping[str, int]
    steps: tuple[Step, ...]
    omitted: int = 0

    @classmethod
    def parse(cls, document: Any, where: str = FILE) -> CloudPreview:
        """The preview in a document of whoever's making.

        :raises RolloutError: it does not conform to the schema; the sentence quotes nothing of it
        """
        error = next(_validator().iter_errors(document), None)
        if error is not None:
            raise RolloutError(f"{where} is not of the form of preview-cloud.schema.json ({error.validator}).")
        steps = tuple(
            Step(**{**row, "changed": tuple(row["changed"]), "replacing": tuple(row["replacing"])})
            for row in document["steps"]
        )
        names = ("stack", "commit", "release", "changes", "omitted")
        return cls(steps=steps, **{name: document[name] for name in names})

    def document(self) -> dict[str, Any]:
        """The document, as `parse` takes it."""
        rows = [{**vars(step), "changed": list(step.changed), "replacing": list(step.replacing)} for step in self.steps]
        return {"version": 1, **vars(self), "changes": dict(self.changes), "steps": rows}

    def markdown(self, redactor: Redactor) -> list[str]:
        """A summary as lines of Markdown: everything that holds data first, what is new last."""
        name = markdown.code_in_html(self.stack)
        if not self.changes:
            return [f"**In the cloud**, {name} is as this change wants it: nothing would change."]
        told = ", ".join(f"{number} to {markdown.text(op)}" for op, number in sorted(self.changes.items()))
        rows = sorted(self.steps, key=_weight)
        lines = [f"**In the cloud**, with what is there now, `pulumi preview` of {name} has {told}."]
        lost = [step for step in rows if _weight(step)[0] == 0][:SHOWN]
        lines += [_line(step, redactor) for step in lost]
        rest = [step for step in rows if _weight(step)[0] > 0][:SHOWN]
        if rest:
            lines += [
                "",
                f"<details><summary>{name} in the cloud</summary>",
                "",
                *(_line(step, redactor) for step in rest),
            ]
            more = len(self.steps) + self.omitted - len(lost) - len(rest)
            lines += [f"- … and {more} more"] if more > 0 else []
            lines += ["", "</details>"]
        return lines


def _weight(step: Step) -> tuple[Any, ...]:
    """0 first: something that holds data would be deleted or made anew."""
    lost = step.op in ("delete", "replace") and kinds.holds(step.type)
    return (0 if lost else 1, list(_OPS.values()).index(step.op) if step.op in _OPS.values() else 0, step.urn)


def _line(step: Step, redactor: Redactor) -> str:
    held = kinds.holds(step.type) if step.op in ("delete", "replace") else ""
    paths = step.replacing or step.changed
    why = f": {', '.join(markdown.code(redactor.text(path)) for path in paths[:6])}" if paths else ""
    risk = f". It holds {held}." if held else ""
    name = markdown.code(redactor.text(f"{short_type(step.type)} {step.name}"))
    return f"- {markdown.text(step.op)} {name}{why}{risk}"


def reduce(digest: Mapping[str, Any], stack: str, commit: str, release: str, redactor: Redactor) -> CloudPreview:
    """Of Pulumi's own digest of a preview what may leave the runner."""
    found: dict[str, Step] = {}
    for row in digest.get("steps") or ():
        op = _OPS.get(str(row.get("op")), str(row.get("op")))
        if str(row.get("op")) in engine.UNCHANGED or not re.fullmatch(r"[a-z][a-z-]{0,40}", op):
            continue
        state = row.get("newState") or row.get("oldState") or {}
        urn = str(row["urn"])
        changed = _paths(row.get("detailedDiff") or row.get("diffReasons") or (), redactor)
        step = Step(
            op,
            redactor.text(urn)[:2000],
            str(state.get("type") or urn.split("::")[2].rpartition("$")[2])[:500],
            redactor.text(urn.rpartition("::")[2])[:500],
            changed if op in ("update", "replace") else (),
            _paths(row.get("replaceReasons") or (), redactor) if op == "replace" else (),
        )
        known = found.get(urn)
        found[urn] = step if known is None or len(step.replacing) > len(known.replacing) else known
    steps = sorted(found.values(), key=_weight)
    counts = Counter(step.op for step in steps)
    return CloudPreview(
        stack, commit, release, dict(counts), tuple(steps[:MOST_STEPS]), max(0, len(steps) - MOST_STEPS)
    )


def _paths(names: Sequence[str], redactor: Redactor) -> tuple[str, ...]:
    return tuple(redactor.text(str(name))[:300] for name in list(names)[:MOST_PATHS])


def running(state: bytes) -> str:
    """The release that most of a state's images name by digest; "" where none does."""
    found = Counter(re.findall(rb"@(sha256:[0-9a-f]{64})", state))
    return found.most_common(1)[0][0].decode() if found else ""


def pinned(directory: Path, stack: str) -> str:
    """The release in a stack's settings.

    :raises RolloutError: they cannot be read, or name none by digest
    """
    file = directory / f"Pulumi.{stack}.yaml"
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RolloutError(f"The settings {file.name} cannot be read ({type(error).__name__}).") from error
    release = (settings.get("config") or {}).get(RELEASE_KEY) if isinstance(settings, dict) else None
    if not isinstance(release, str) or not re.fullmatch(r"sha256:[0-9a-f]{64}", release):
        raise RolloutError(f"{file.name} has no {RELEASE_KEY}, a digest (sha256:…).")
    return release


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `preview-cloud`."""
    parser.add_argument("--stack", required=True, help="the stack to ask about")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"where {FILE} is written")
    engine.add_engine(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the file, and a summary where a workflow shows it. 0: done; an error is 1."""
    redactor, directory = Redactor(), options.cwd.resolve()
    asked = engine.engines(options, redactor)
    first = asked(directory, pinned(directory, options.stack))
    release = running(first.state()) or first.release
    digest = asked(directory, release).preview()
    found = reduce(digest, options.stack, worktree.git(directory, "rev-parse", "HEAD"), release, redactor)
    options.out.mkdir(parents=True, exist_ok=True)
    document = CloudPreview.parse(found.document()).document()
    (options.out / FILE).write_text(f"{json.dumps(document, indent=2)}\n", encoding="utf-8")
    told = "\n".join(found.markdown(redactor)) + "\n"
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(told)
    sys.stdout.write(f"{options.stack}: {engine.counted(found.changes)}.\n")
    return 0


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    schema = Path(__file__).with_name("preview-cloud.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(schema))
