"""Runs of one program for several stacks, each in a process of its own that need not import the SDKs again.

The first begins at once. Meanwhile this process, which runs no program, imports what the first one tells that it
imports of SDKs, and of nothing else; the others are forks of it. An SDK for a cloud takes longer to import than a plan.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import IO, NoReturn

SDKS = "pulumi_"


class _Teller:
    """Finds no module, and tells which were looked for."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._told: set[str] = set()

    def find_spec(self, name: str, *_: object) -> None:
        """The name of an SDK, or of that module of it whose inside is being imported: before that, none is in use."""
        parts = name.split(".")
        told = parts[0] if len(parts) == 1 else ".".join(parts[:2]) if len(parts) > 2 else ""
        if told.startswith(SDKS) and told not in self._told:
            self._told.add(told)
            os.write(self._pipe, f"{told}\n".encode())


def possible() -> bool:
    """Whether this process may fork: where a system's own libraries bear it, no other thread is amid something, and
    what is printed goes where a process prints."""
    return sys.platform == "linux" and threading.active_count() == 1 and sys.stdout is sys.__stdout__


def outputs(works: Sequence[Callable[[], int]]) -> list[tuple[int, str]]:
    """The exit code and standard output of each of the works, as many of which run at once as there are processors."""
    sys.stdout.flush()
    found: list[tuple[int, str]] = []
    reading, writing = os.pipe()
    running = [_fork(works[0], writing)]
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        for line in pipe:
            _imported(line.strip())
    gc.freeze()
    for work in works[1:]:
        if len(running) == (os.cpu_count() or 1):
            found.append(_ended(*running.pop(0)))
        running.append(_fork(work))
    return found + [_ended(*one) for one in running]


def _imported(name: str) -> None:
    try:
        importlib.import_module(name)
        if "." in name:
            getattr(sys.modules[name], "__all__", None)  # SDKs load a module when it is first asked for something
    except Exception:  # noqa: BLE001, S110 - whoever needs it will import it again, and say what is wrong
        pass


def _fork(work: Callable[[], int], teller: int | None = None) -> tuple[int, IO[bytes]]:
    out = tempfile.TemporaryFile()  # noqa: SIM115 - read, and so closed, by `_ended`
    pid = os.fork()
    if pid == 0:
        _child(work, out.fileno(), teller)
    return pid, out


def _child(work: Callable[[], int], out: int, teller: int | None) -> NoReturn:
    code = 1
    try:
        os.dup2(out, 1)
        if teller is not None:
            sys.meta_path.insert(0, _Teller(teller))
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _ended(pid: int, out: IO[bytes]) -> tuple[int, str]:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with out:
        out.seek(0)
        return code, out.read().decode()
