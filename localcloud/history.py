"""Earlier states of a stack, kept beside it: one from before each run that changed something, the newest 20.

The Pulumi CLI's own backend keeps `history` and `backups` likewise. A kept state is a second name of the old file, as a
save writes a new file and never into one: keeping costs nothing. What a run that was killed left in its journal is kept
beside it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from localcloud import journal
from localcloud.errors import LocalcloudError
from localcloud.files import write_private

KEPT = 20


def folder(state: Path) -> Path:
    """Where the earlier states of this state file are: `STACK.history`."""
    return state.with_suffix(".history")


def kept(state: Path) -> list[Path]:
    """The earlier states, oldest first, each named after the time (UTC) of the run that it comes from before."""
    return sorted(folder(state).glob("*.json"))


def keep(state: Path) -> None:
    """Keeps the state as it is now, unless the newest one kept says the same; the oldest beyond KEPT go.

    Raises OSError. A file that is no readable state is kept as well: it may be all that there is.
    """
    if not state.exists():
        return
    before = kept(state)
    if before and _said(before[-1]) == _said(state):
        return
    folder(state).mkdir(mode=0o700, exist_ok=True)
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    place = folder(state) / f"{name}.json"
    if lines := _lines(state):
        write_private(journal.beside(place), lines)
    os.link(state, place)
    for old in kept(state)[:-KEPT]:
        old.unlink(missing_ok=True)
        journal.beside(old).unlink(missing_ok=True)


def restore(state: Path, name: str | None = None) -> Path:
    """Puts the newest earlier state, or the one named, in the place of the state, which is kept in its turn.

    Returns what was put back. Whoever calls holds the stack's lock.
    """
    found = [path for path in kept(state) if name in (None, path.stem)]
    if not found:
        names = ", ".join(path.stem for path in kept(state)) or "none"
        raise LocalcloudError(f"No earlier state {name or ''} of {state.stem!r} is kept. There are: {names}.")
    content, lines = found[-1].read_bytes(), _lines(found[-1])  # before `keep` lets the oldest go
    try:
        keep(state)
        journal.put(state, content, lines)
    except OSError as error:
        raise LocalcloudError(f"The state {state} cannot be written: {error.strerror}. It stays as it was.") from error
    return found[-1]


def _lines(state: Path) -> bytes:
    try:
        return journal.beside(state).read_bytes()
    except FileNotFoundError:
        return b""


def _said(state: Path) -> tuple[bytes, bytes]:
    """All but the first line, which has the time of writing; and the journal."""
    return state.read_bytes().partition(b"\n")[2], _lines(state)
