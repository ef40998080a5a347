"""The outputs of other stacks of this checkout, for `pulumi.StackReference`: from their state, or from their plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from localcloud import forms
from localcloud.errors import LocalcloudError, UnsupportedError
from localcloud.project import STACK_NAME, Project
from localcloud.state import StateFile
from localcloud.values import UNKNOWN, Properties, Secret, has_secret

TYPE = "pulumi:pulumi:StackReference"
STACK_TYPE = "pulumi:pulumi:Stack"
CHAIN = "LOCALCLOUD_PLANNING"  # the stacks whose plans wait for this one: a circle of references must end
SECONDS = 300.0


def parts(project: Project, name: str) -> tuple[str, str]:
    """Project and stack of a reference's name: `stack`, `organization/stack` or `organization/project/stack`.

    Raises LocalcloudError for what is none of these.
    """
    found = name.split("/")
    if len(found) > 3 or not all(STACK_NAME.fullmatch(part) and part.strip(".") for part in found):
        raise LocalcloudError(f"{name!r} names no stack. Write stack, or organization/project/stack.")
    return (found[1] if len(found) == 3 else project.name), found[-1]


def deployed(project: Project, name: str) -> Properties | None:
    """The outputs that a stack of this checkout has in its state, secrets marked; None if it has no state here."""
    other, stack = parts(project, name)
    file = project.state_file.parent.parent / other / f"{stack}.json"
    if not file.is_file():
        return None
    snapshot = StateFile(file, None).load()
    return next((row.outputs for row in snapshot.resources if row.type == STACK_TYPE), {})


def planned(project: Project, name: str) -> Properties | None:
    """The outputs in the plan of another stack of the same project; None for other projects, and in a circle.

    The plan runs in a process of its own. It does not tell its secrets: each is made up, as a secret text.
    """
    other, stack = parts(project, name)
    waiting = os.environ.get(CHAIN, "").split("/")
    settings = project.root / f"Pulumi.{stack}.yaml"
    if other != project.name or stack in (project.stack, *waiting) or not settings.is_file():
        return None
    command = [sys.executable, "-m", "localcloud", "plan", "-C", str(project.root), "-s", stack, "--json"]
    environment = {**os.environ, CHAIN: "/".join([*filter(None, waiting), project.stack])}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=os.getcwd()
        )
    except subprocess.TimeoutExpired:
        raise LocalcloudError(f"The plan of the stack {stack!r}, which is referred to, takes too long.") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise LocalcloudError(
            f"The stack {stack!r}, which is referred to, has no plan: {reason.removeprefix('error: ')}"
        )
    outputs: Properties = json.loads(done.stdout)["outputs"]
    return {key: _shown(value, f"{name} {key}") for key, value in outputs.items()}


def _shown(value: Any, seed: str) -> Any:
    """A value of a plan's document; what the plan does not tell is unknown or, if a secret, made up."""
    if isinstance(value, list):
        return [_shown(item, seed) for item in value]
    if not isinstance(value, dict):
        return value
    mark = next(iter(value), "") if len(value) == 1 else ""
    if mark == "$secret":
        return Secret(f"synthetic-{forms.text(seed, 'hex:8')}")
    return UNKNOWN if mark in ("$unknown", "$asset", "$archive") else {key: _shown(v, seed) for key, v in value.items()}


def answer(name: str, outputs: Properties) -> Properties:
    """What a StackReference has as outputs."""
    return {
        "name": name,
        "outputs": outputs,
        "secretOutputNames": sorted(key for key, value in outputs.items() if has_secret(value)),
    }


class References:
    """The provider of `pulumi:pulumi:StackReference` for the engine: it only reads."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def supports(self, token: str) -> bool:
        return token == TYPE

    def read(self, _token: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        name = str(inputs.get("name") or id_)
        outputs = deployed(self._project, name)
        if outputs is None:
            raise LocalcloudError(f"The stack {name!r}, which is referred to, has no state here. Bring it up first.")
        return {"name": name}, answer(name, outputs)

    def __getattr__(self, verb: str) -> object:
        raise UnsupportedError(f"A stack reference can only be read, not: {verb}.")


__all__ = ["TYPE", "References", "answer", "deployed", "parts", "planned"]
