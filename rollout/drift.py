"""Whether a stack is as it was deployed: a preview, with a look at the cloud, of the very commit and image.

It changes nothing, takes no lock and writes no state; that the state is the same file before and after is checked.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from rollout import branches, record, worktree
from rollout.engine import UNCHANGED, Engine, add_engine, engines
from rollout.errors import RolloutError
from rollout.redact import Redactor

DRIFTED = 3  # exit code
MOST_PATHS = 1000
# what an operation of the next `up` says of the cloud
MEANINGS = {"create": "gone", "import": "gone", "delete": "undeclared"}


@cache
def _schema() -> Any:
    return json.loads(Path(__file__).with_name("drift.schema.json").read_text(encoding="utf-8"))


def drifted(digest: Mapping[str, Any], redactor: Redactor) -> list[dict[str, Any]]:
    """What would be changed to have the stack again as it was deployed, and so has drifted (drift.schema.json)."""
    rows = []
    for step in digest.get("steps", []):
        if step["op"] in UNCHANGED:
            continue
        state = step.get("newState") or step.get("oldState") or {}
        paths = list(step.get("detailedDiff") or step.get("diffReasons") or ())
        what = MEANINGS.get(step["op"], "changed")
        rows.append(
            {
                "urn": redactor.text(str(step["urn"])),
                "type": str(state.get("type") or step["urn"].split("::")[2].rpartition("$")[2]),
                "name": redactor.text(str(step["urn"]).rsplit("::", 1)[-1]),
                "what": what,
                "changed": [redactor.text(str(path)) for path in paths[:MOST_PATHS]] if what == "changed" else [],
            }
        )
    return sorted(rows, key=lambda row: str(row["urn"]))


def look(found: record.Record, engine: Engine, redactor: Redactor, now: datetime) -> dict[str, Any]:
    """The drift of a stack since a deployment.

    :param engine: for that deployment's commit and release
    :raises RolloutError: the preview fails, or changed the state, which it must not
    """
    engine.install()
    before = hashlib.sha256(engine.state()).hexdigest()
    digest = engine.preview()
    if hashlib.sha256(engine.state()).hexdigest() != before:
        raise RolloutError(
            f"The state of {found.stack} changed while it was looked at: somebody deploys, or the preview wrote to it. "
            "Nothing is said of drift; look again."
        )
    return {
        "version": 1,
        "stack": found.stack,
        "commit": found.commit,
        "release": found.release,
        "drifted": drifted(digest, redactor),
        "checked": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `drift`."""
    parser.add_argument("--stack", required=True)
    parser.add_argument("--records", type=Path, required=True, metavar="DIR", help="the branch rollout-records")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where what was found is written")
    add_engine(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the file. 0: as it was deployed; 3: it has drifted; an error is 1."""
    map_, redactor, directory = branches.read(options.map), Redactor(), options.cwd.resolve()
    verify = record.verifier(unsigned=options.unsigned, map_=map_)
    found = record.last(options.records, options.stack, verify=verify)
    if found is None:
        raise RolloutError(f"{options.stack} was never deployed in success: there is nothing that it can differ from.")
    engine = engines(options, redactor)
    shared = engine(directory, found.release).dialect.shared
    with worktree.at(found.commit, directory, shared) as tree:
        document = look(found, engine(tree, found.release), redactor, datetime.now(UTC))
    jsonschema.validate(document, _schema())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(f"{json.dumps(document, indent=2)}\n", encoding="utf-8")
    for row in document["drifted"]:
        name = "".join(letter if letter.isprintable() else "?" for letter in f"{row['type']} {row['name']}")
        sys.stderr.write(f"{row['what']:10} {name}\n")
    sys.stderr.write(
        f"{options.stack}: {len(document['drifted'])} resources are not as {found.commit[:12]} has them.\n"
    )
    return DRIFTED if document["drifted"] else 0
