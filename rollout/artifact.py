"""What a pull request's preview found, read out of its artifact.

The preview ran the pull request's own code: whoever opened it can put anything there. So the archive is read in memory
within limits (`untrusted`), every file has a name and a form that are known beforehand, and what can be computed is
computed anew: the digest of each plan comes from that plan.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from rollout import plans, untrusted
from rollout.branches import NAME, shown
from rollout.errors import RolloutError

MANIFEST = "preview.json"
MANIFEST_LIMIT = 100_000  # bytes
FILE = re.compile(rf"preview\.json|(plans|policies)/{NAME.pattern}\.(head|base)\.json")
SIDES = ("head", "base")


@dataclass(frozen=True)
class StackPreview:
    """One stack with the change (`head`) and without it (`base`). A side is None where the stack does not exist there.

    Plans and findings are there only if something of it differs; where nothing does, the two digests are the same and
    are what the preview said.
    """

    stack: str
    head_plan: plans.Plan | None
    base_plan: plans.Plan | None
    head_digest: str | None
    base_digest: str | None
    head_findings: Mapping[str, Any] | None
    base_findings: Mapping[str, Any] | None

    @property
    def touched(self) -> bool:
        """Whether the change does anything to it."""
        return self.head_plan is not None or self.base_plan is not None


@dataclass(frozen=True)
class Failure:
    """A plan that could not be made: the stack, the side, and what the program said."""

    stack: str
    side: str
    message: str


@dataclass(frozen=True)
class Preview:
    """What a change does to every stack. `head` and `base` are the commits that the preview says it compared.

    A stack whose plan with the change could not be made is among `failures` alone.
    """

    head: str
    base: str
    stacks: Mapping[str, StackPreview]
    failures: tuple[Failure, ...] = ()


def read(archive: bytes) -> Preview:
    """The preview in the zip of an artifact.

    :raises RolloutError: anything in it is hostile, malformed or does not fit the rest
    """
    files = untrusted.members(archive, FILE)
    manifest = _manifest(files.pop(MANIFEST, None))
    names = [row["stack"] for row in manifest["stacks"]]
    if len({name.casefold() for name in names}) < len(names):
        raise RolloutError(f"{MANIFEST} names a stack twice.")
    stacks = {row["stack"]: _stack(row, files) for row in manifest["stacks"]}
    if files:
        raise RolloutError(f"The archive has {shown(min(files))}, but {MANIFEST} says nothing of it.")
    return Preview(manifest["head"], manifest["base"], stacks, _failures(manifest, stacks))


def _failures(manifest: Mapping[str, Any], stacks: Mapping[str, StackPreview]) -> tuple[Failure, ...]:
    failures = tuple(Failure(**row) for row in manifest.get("failures", []))
    for failure in failures:
        row = stacks.get(failure.stack)
        if row and (failure.side == "head" or row.base_digest is not None):
            raise RolloutError(
                f"{MANIFEST} says of {shown(failure.stack)} both that it has a plan and that it has none."
            )
    return failures


def _manifest(content: bytes | None) -> dict[str, Any]:
    if content is None:
        raise RolloutError(f"The archive has no {MANIFEST}: it is no preview.")
    if len(content) > MANIFEST_LIMIT:
        raise RolloutError(f"{MANIFEST} has more than {MANIFEST_LIMIT:,} bytes.")
    manifest: dict[str, Any] = conforming(untrusted.parse(content, MANIFEST), "preview.schema.json", MANIFEST)
    return manifest


def _stack(row: Mapping[str, Any], files: dict[str, bytes]) -> StackPreview:
    """One row of the manifest with its files, which are taken out of `files`."""
    stack, claimed = row["stack"], {side: row[side] and row[side]["sha256"] for side in SIDES}
    if claimed["head"] is None and claimed["base"] is None:
        raise RolloutError(f"{MANIFEST} says of {shown(stack)} that it is on neither side.")
    found = {side: _side(stack, side, files) for side in SIDES}
    given = {side for side in SIDES if found[side][0] is not None}
    if not given and claimed["head"] != claimed["base"]:
        raise RolloutError(f"{MANIFEST} says that {shown(stack)} differs, but the archive has no plan of it.")
    for side in SIDES if given else ():
        plan = found[side][0]
        if (plan is None) != (claimed[side] is None):
            raise RolloutError(f"The plans of {shown(stack)} in the archive are not those that {MANIFEST} names.")
        if plan is not None and plans.digest(plan) != claimed[side]:
            raise RolloutError(f"The {side} plan of {shown(stack)} has another digest than {MANIFEST} says.")
    return StackPreview(
        stack=stack,
        head_plan=found["head"][0],
        base_plan=found["base"][0],
        head_digest=claimed["head"],
        base_digest=claimed["base"],
        head_findings=found["head"][1],
        base_findings=found["base"][1],
    )


def _side(stack: str, side: str, files: dict[str, bytes]) -> tuple[plans.Plan | None, Mapping[str, Any] | None]:
    """The plan and the findings of a side: both or neither."""
    content, findings = files.pop(f"plans/{stack}.{side}.json", None), files.pop(f"policies/{stack}.{side}.json", None)
    if (content is None) != (findings is None):
        raise RolloutError(f"Of the {side} side of {shown(stack)} the archive has not both plan and findings.")
    if content is None or findings is None:
        return None, None
    where = f"The {side} plan of {shown(stack)}"
    plan = plans.check(untrusted.parse(content, where), where)
    if plan["stack"] != stack:
        raise RolloutError(f"{where} is a plan of another stack.")
    where = f"What the policies say of the {side} side of {shown(stack)}"
    told = conforming(untrusted.parse(findings, where), "findings.schema.json", where)
    if told["stack"] != stack:
        raise RolloutError(f"{where} is about another stack.")
    return plan, told


def conforming(document: Any, schema: str, where: str) -> Any:
    """The document, if it conforms to a schema of this folder.

    :raises RolloutError: it does not; the sentence names the place and quotes nothing
    """
    for error in _validator(schema).iter_errors(document):
        place = "/".join(str(part) if isinstance(part, int) else "…" for part in error.absolute_path)
        raise RolloutError(f"{where} is not of the form of {schema} (at /{place}: {error.validator}).")
    return document


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    # In JSON Schema `$` is the end of a text; in Python also the place before a line break at its end.
    strict = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    if isinstance(value, str) and not re.search(strict, value):
        yield jsonschema.ValidationError("does not match")


_Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


@functools.cache
def _validator(schema: str) -> Any:
    return _Validator(json.loads(Path(__file__).with_name(schema).read_text(encoding="utf-8")))
