"""Pulumi's own Go code for tests: its module's files, and the program in gostate/ that calls it; skips without Go."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

MODULE = "github.com/pulumi/pulumi/sdk/v3"
PROGRAM = Path(__file__).parent / "gostate"
MINUTES = 5 * 60  # seconds for a download or a first compilation
MISTAKES = ("checksum mismatch", "missing go.sum", "errors parsing go.mod")  # of ours, never a reason to skip


class GoError(Exception):
    """Pulumi's code refused its input; the text is its own."""


def _go(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    return subprocess.run(
        ["go", *arguments],
        cwd=PROGRAM,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MINUTES,
        check=False,
    )


def _downloaded(*arguments: str) -> str:
    """What a command that may download says; skips when it cannot, and fails when the pinned versions do not hold."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed, so Pulumi's own code cannot be asked")
    found = _go(*arguments)
    if found.returncode != 0:
        reason = " ".join((found.stderr or found.stdout).split())
        if any(mistake in reason for mistake in MISTAKES):
            pytest.fail(f"gostate/go.mod and go.sum do not hold: {reason}")
        pytest.skip(f"Go's module proxy gives no {MODULE}, so Pulumi's own code cannot be asked: {reason[:200]}")
    return found.stdout


@functools.cache
def module() -> Path:
    """The directory of Pulumi's SDK module, at the version that gostate/go.mod pins, in Go's module cache."""
    return Path(json.loads(_downloaded("mod", "download", "-json", MODULE))["Dir"])


@functools.cache
def _program() -> Path:
    _downloaded("list", "-deps", ".")
    directory = tempfile.mkdtemp(prefix="gostate-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    built = _go("build", "-o", directory, ".")
    if built.returncode != 0:
        pytest.fail(f"gostate does not compile: {built.stderr}")
    return Path(directory) / "gostate"


def ask(action: str, document: Any = None) -> Any:
    """What gostate/main.go answers; raises GoError with Pulumi's own words."""
    answer = subprocess.run(
        [_program(), action], input=json.dumps(document), capture_output=True, text=True, timeout=60, check=False
    )
    if answer.returncode != 0:
        raise GoError(answer.stderr.strip())
    return json.loads(answer.stdout)
