"""Lines that wait on disk until they are sent: a folder of segments, shared by the processes of one machine.

A line goes into memory that is a file's (`mmap`, shared): a process that is killed the moment after has lost nothing,
as the pages are the kernel's. A machine that loses power loses what its kernel had not written.

    FOLDER/lock                     held while a segment is made, taken or thrown away
    FOLDER/TIME-PROCESS-NUMBER.seg  lines, each after a byte that says its kind, then zeros

Whoever writes to a segment or sends it holds a lock on it (`flock`), which ends with the process, however it ends.
So a segment without a lock is complete, whoever wrote it, and any process may send it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from app.store import StoreError

log = logging.getLogger("app.spool")

SEGMENT = 2 * 1024 * 1024  # bytes; what is sent at once
LATE = 2 * 1024 * 1024  # bytes in memory, while the disk is too slow to give a segment
_NAME = re.compile(r"[0-9]{8}T[0-9]{9}-[0-9a-f]{8}-[0-9]{8}\.seg", re.ASCII)


class SpoolError(StoreError):
    """The folder cannot be used; the message is a sentence that names it."""


class Segment:
    """A file of lines that this process holds the lock of."""

    def __init__(self, path: Path, file: int) -> None:
        self.path, self._file = path, file

    def lines(self) -> Iterator[bytes]:
        """Its lines, each with the byte that says its kind and its newline. What a kill cut off is left out."""
        size = os.fstat(self._file).st_size
        for line in os.pread(self._file, size, 0).rstrip(b"\0").splitlines(keepends=True):
            if line.endswith(b"\n") and b"\0" not in line:
                yield line

    def release(self) -> None:
        """Lets others have it, if that was not done before."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def remove(self) -> None:
        """It is sent, or thrown away."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.release()


class _Open(Segment):
    """A segment that is written to: `used` of its bytes are."""

    def __init__(self, path: Path, file: int, size: int) -> None:
        super().__init__(path, file)
        # Written, not only claimed: what the disk has no room for must fail here, not where memory is touched.
        with memoryview(bytes(size)) as zeros:
            done = 0
            while done < size:
                done += os.pwrite(file, zeros[done:], done)
        self.map = mmap.mmap(file, size)
        self.size, self.used, self.since = size, 0, 0.0

    def seal(self) -> None:
        """Ends it at its last line, and lets others have it; without a line, it goes."""
        self.map.close()
        if self.used:
            os.ftruncate(self._file, self.used)
            self.release()
        else:
            self.remove()


class Spool:
    """The folder, as one process uses it. `append` is for any thread, the rest for one thread each.

    All segments of all processes together never take more than `most_bytes`: the oldest that nobody holds is thrown
    away for a new one. Raises SpoolError if the folder cannot be used.
    """

    def __init__(self, folder: Path, most_bytes: int, segment: int = SEGMENT) -> None:
        self.folder, self._most, self._size = folder, most_bytes, segment
        self.wanted = threading.Event()  # set when a segment is wanted before the next look
        self.dropped = 0  # lines that found no room; who reads them takes them by `take_counts`
        self.lost = 0  # lines that were thrown away for newer ones
        self._lock = threading.Lock()
        self._active: _Open | None = None
        self._spare: _Open | None = None
        self._full: list[_Open] = []
        self._late: list[bytes] = []
        self._late_bytes = 0
        self._process, self._number = token_hex(4), 0
        self._listed: Iterator[Path] = iter(())
        self._troubled = False
        self._guard = _prepared(folder)

    def append(self, line: bytes) -> None:
        """Takes a line, its kind before it and its newline at the end. Waits for no disk and raises nothing."""
        with self._lock:
            active = self._active
            if active is not None:
                end = active.used + len(line)
                if end <= active.size:
                    if not active.used:
                        active.since = time.monotonic()
                    active.map[active.used : end] = line
                    active.used = end
                    return
            self._append_elsewhere(line)

    def _append_elsewhere(self, line: bytes) -> None:
        """There is no segment, or it is full: into the spare one, or into memory until there is one again."""
        self.wanted.set()
        spare, size = self._spare, len(line)
        if spare is not None and size <= spare.size:
            if self._active is not None:
                self._full.append(self._active)
            self._active, self._spare = spare, None
            spare.since = time.monotonic()
            spare.map[:size] = line
            spare.used = size
        elif self._late_bytes + size <= LATE and size <= self._size:
            self._late.append(line)
            self._late_bytes += size
        else:
            self.dropped += 1

    def tend(self, seconds: float) -> int:
        """Seals what is full or `seconds` old, and sees that there is a segment to write to and another one.
        Returns how many were sealed."""
        self.wanted.clear()
        if self._spare is None:
            self._spare = self._made()
        with self._lock:
            active = self._active
            old = active is not None and active.used and time.monotonic() - active.since >= seconds
            if self._spare is not None and (active is None or old or self._late):
                if active is not None:
                    self._full.append(active)
                self._active, self._spare = self._spare, None
                self._write_late(self._active)
            sealed, self._full = self._full, []
        for each in sealed:
            each.seal()
        if self._spare is None:
            self._spare = self._made()
        return len(sealed)

    @property
    def short(self) -> bool:
        """Whether there is no segment to spare: the disk or the bound has no room."""
        return self._spare is None

    def _write_late(self, segment: _Open) -> None:
        """Moves what waits in memory into an empty segment, as far as it fits."""
        fits = taken = 0
        for line in self._late:
            if taken + len(line) > segment.size:
                break
            taken += len(line)
            fits += 1
        if fits:
            segment.map[:taken] = b"".join(self._late[:fits])
            segment.used, segment.since = taken, time.monotonic()
            del self._late[:fits]
            self._late_bytes -= taken

    def close(self) -> None:
        """Seals everything: what is appended from now on is dropped. What waits in memory is written if it can be."""
        for _ in range(2 + LATE // self._size):
            if self._late:
                self.tend(0.0)
        with self._lock:
            rest = [*self._full, *filter(None, (self._active, self._spare))]
            self.dropped += len(self._late)
            self._active, self._spare, self._full, self._late, self._late_bytes = None, None, [], [], LATE
        for each in rest:
            each.seal()

    def take(self) -> Segment | None:
        """A complete segment, locked for this process, the oldest first; None if there is none. What is there is
        listed anew once all of the last list were looked at: many are not listed as many times."""
        with self._locked():
            for listing in (self._listed, self._paths()):
                self._listed = iter(listing)
                for path in self._listed:
                    found = _taken(path)
                    if found is not None:
                        return found
        return None

    def waiting(self) -> int:
        """The bytes of all segments, of all processes."""
        return sum(size for _, size in self._segments())

    def take_counts(self) -> tuple[int, int]:
        """How many lines were dropped and how many lost since the last call."""
        with self._lock:
            counts = self.dropped, self.lost
            self.dropped = self.lost = 0
        return counts

    def _made(self) -> _Open | None:
        """A new segment, if the disk and the bound have room for one."""
        self._number += 1
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
        path = self.folder / f"{moment}-{self._process}-{self._number:08d}.seg"
        try:
            with self._locked():
                if not self._make_room():
                    return None
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(file, self._size)  # so that others count it from now on
            try:
                made = _Open(path, file, self._size)
            except OSError:
                Segment(path, file).remove()
                raise
        except OSError as error:
            if not self._troubled:
                log.error("%s takes no more records: %s", self.folder, error.strerror)
            self._troubled = True
            return None
        self._troubled = False
        return made

    def _make_room(self) -> bool:
        """Throws away the oldest segments until there is room for one; the folder is locked."""
        if (len(self._paths()) + 1) * self._size <= self._most:
            return True  # whatever their sizes: each look at a file would cost a busy process its turn
        segments = list(self._segments())
        taken = sum(size for _, size in segments)
        for path, size in segments:
            if taken + self._size <= self._most:
                break
            found = _taken(path)
            if found is not None:
                lines = sum(1 for _ in found.lines())
                found.remove()
                taken -= size
                with self._lock:
                    self.lost += lines
                if lines:
                    log.warning("%d records were thrown away: more than %d bytes wait", lines, self._most)
        return taken + self._size <= self._most

    def _segments(self) -> Iterator[tuple[Path, int]]:
        """Each segment with its size, the oldest first."""
        for path in self._paths():
            with contextlib.suppress(FileNotFoundError):
                yield path, path.lstat().st_size

    def _paths(self) -> list[Path]:
        return [self.folder / name for name in sorted(os.listdir(self.folder)) if _NAME.fullmatch(name)]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # Opened anew each time: threads that share an open file would share the lock as well.
        guard = os.open(self._guard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        finally:
            os.close(guard)


def _taken(path: Path) -> Segment | None:
    """The segment at `path` with its lock, or None if somebody has it or it is gone."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return Segment(path, file)


def _prepared(folder: Path) -> Path:
    """Makes the folder, for this user alone, and returns the path of its lock."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise SpoolError(f"{folder} is not a folder of this user alone; set SPOOL to one that is.")
        guard = folder / "lock"
        os.close(os.open(guard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise SpoolError(
            f"{folder} cannot hold what waits for the lake: {error.strerror}. Set SPOOL to a folder to write to."
        ) from None
    return guard
