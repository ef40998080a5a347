"""The journal beside a state: what a run changed since the whole state was last written, a line for each write.

    {"version": 1, "base": SHA-256 of the state file that it goes on from}
    [["begun", 0, "creating", {row}], …]     entries of localcloud.book, resources as the rows of Pulumi's format
    {"saved": SHA-256}                       a state file with this content holds all of the above

A line counts when it ends: whoever wrote a cut one has not gone on. A state file that is neither the base nor one that
was saved was changed by someone else, and the two are not put together. Once a state is saved, its journal goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.book import Book, Entry
from localcloud.files import write_private
from localcloud.snapshot import Resource, Snapshot, decoded

VERSION = 1
ATTEMPTS = 50  # to read a state that another process is writing


def beside(state: Path) -> Path:
    """Where the journal of this state file is, if it has one: `STACK.journal`."""
    return state.with_suffix(".journal")


def digest(content: bytes) -> str:
    """The SHA-256 of a state file, as a journal names it."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class _Lines:
    """What a journal says: the state that it goes on from, the entries, the states that hold them already."""

    base: str
    entries: list[Entry]
    saved: frozenset[str]


def read(state: Path) -> tuple[bytes, list[Entry]]:
    """The content of a state file and the entries that go on from it.

    Raises FileNotFoundError where there is no state, OSError, and ValueError for a journal that does not fit.
    """
    before = None
    for _ in range(ATTEMPTS):
        try:
            lines = beside(state).read_bytes()
        except FileNotFoundError:
            return state.read_bytes(), []
        content = state.read_bytes()
        found = digest(content)
        if (found, lines) == before:
            break
        before = (found, lines)
        said = _parsed(lines)
        if found in said.saved or not (said.base or said.entries):  # or its first line is cut
            return content, []
        if found == said.base:
            return content, said.entries
    raise ValueError(f"its journal {beside(state).name} goes on from another one, so it was changed by hand since")


def _parsed(content: bytes) -> _Lines:
    """Raises ValueError for a line that ends and is none of a journal's."""
    base, entries, saved = "", [], set()
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            said = json.loads(line)
            if isinstance(said, list):
                entries += [tuple(_opened(one) for one in entry) for entry in said]
            elif "saved" in said:
                saved.add(said["saved"])
            elif said["version"] == VERSION:
                base = said["base"]
            else:
                raise ValueError(f"version {said['version']!r}")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} of its journal is broken: {error}") from error
    return _Lines(base, entries, frozenset(saved))


def _opened(argument: Any) -> object:
    return decoded(argument) if isinstance(argument, dict) else argument


def continued(snapshot: Snapshot, entries: Iterable[Entry]) -> Snapshot:
    """The snapshot after the entries. Raises ValueError for entries that do not fit."""
    book = Book(snapshot)
    try:
        for entry in entries:
            book.enter(entry)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its journal does not fit: {error!r}") from error
    return book.snapshot()


def line(entries: Iterable[Entry], row: Callable[[Resource], str]) -> bytes:
    """The entries as a line. row: the JSON text of a resource, its secrets closed."""

    def text(argument: object) -> str:
        return row(argument) if isinstance(argument, Resource) else json.dumps(argument)

    return f"[{', '.join('[' + ', '.join(map(text, entry)) + ']' for entry in entries)}]\n".encode()


def put(state: Path, content: bytes, lines: bytes = b"") -> None:
    """Puts a whole state, and a journal that goes on from it, in the place of what is there. Raises OSError.

    Killed at any moment, it leaves the state of before, or this one; or, where there are `lines`, a journal that does
    not fit what is there, which `read` refuses.
    """
    path = beside(state)
    if lines:
        write_private(path, lines)
    elif path.exists():
        _mark(path, {"saved": digest(content)})
    write_private(state, content)
    if not lines:
        path.unlink(missing_ok=True)


def _mark(path: Path, said: dict[str, str]) -> None:
    with path.open("r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        file.write(json.dumps(said).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


class Writer:
    """Appends lines to a new journal of a state file whose content has this digest. Each is on disk when `append`
    returns; after an error nothing more may be appended."""

    def __init__(self, state: Path, base: str) -> None:
        path = beside(state)
        path.unlink(missing_ok=True)  # of a state that was saved, or removed
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        self._head = json.dumps({"version": VERSION, "base": base}).encode() + b"\n"
        self._folder = path.parent
        self.size = 0

    def append(self, data: bytes) -> None:
        """Writes a line. Raises OSError; what of it was written is taken back, or is a cut line."""
        new, data = self.size == 0, self._head + data if self.size == 0 else data
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.size += len(data)
        if new:
            _sync_folder(self._folder)

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._file)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
