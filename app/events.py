"""What the platform's metrics are made of: one JSON line per event on standard output.

    {"event": "request", "path": "/predict", "status": 200, "seconds": 0.004, "count": 1, "request": "…"}   answers,
                                                    but to the platform's own questions (health, metrics)
    {"event": "model", "outcome": "loaded", "version": "…"}    a version was taken up, or not, and why
    {"event": "evaluation", "rmse": 10.1, …}      pounds, on the held-out rows (a command's answer)
    {"event": "drift", "share": 0.03}             of the live heights; 0.25 is when the model is to be built again
    {"event": "unstored", "id": "…", "reason": "…"}   a call was answered, and its record could not be stored

Of many answers in a short time, one line stands for `count` of them: its `seconds` are those of one, so sums over
events take `count` and percentiles weigh by it. Failures (5xx) are told one by one up to a hundred a second.

Nothing that a client wrote is in them but the id that it gave its request: no header, no address, no height; the path
is the route.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

OFTEN = 0.1  # seconds between two lines about the same answers
FAILURES = 0.01  # the same, of those that the service failed
_WAITING = 1_000  # lines, of which the oldest go, where standard output is not read

_ID = re.compile(r"[0-9A-Za-z._-]{1,64}", re.ASCII)

_queue: deque[str] | None = None  # lines for the thread that writes, where there is one
_prefix, _numbers = os.urandom(4).hex(), count()


def tell(event: str, **fields: Any) -> None:
    """Prints an event. A standard output that nobody reads any more does not stop the program."""
    line = json.dumps({"event": event, **fields}) + "\n"
    if _queue is not None:
        _queue.append(line)
    else:
        _write(line)


class _Group:
    """Answers of one route and status: how many were not told of, and the last one."""

    __slots__ = ("left", "next", "request", "seconds")

    def __init__(self) -> None:
        self.left, self.next, self.seconds, self.request = 0, 0.0, 0.0, ""


class Requests:
    """Tells of answers, for any thread: each where they are few, one for many where they are many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._groups: dict[tuple[str, int], _Group] = {}
        self._lock = threading.Lock()
        self._clock = clock

    def tell(self, path: str, status: int, seconds: float, request: str) -> None:
        """Tells of an answer, or counts it for the next line about such answers. `path` must be a route."""
        with self._lock:
            group = self._groups.get((path, status))
            if group is None:
                group = self._groups[path, status] = _Group()
            group.left += 1
            group.seconds, group.request = seconds, request
            now = self._clock()
            if now < group.next:
                return
            group.next = now + (FAILURES if status >= 500 else OFTEN)
            number, group.left = group.left, 0
        self._tell(path, status, group, number)

    def tell_rest(self) -> None:
        """Tells of the answers that are counted and wait for a line."""
        with self._lock:
            waiting = [(key, group, group.left) for key, group in self._groups.items() if group.left]
            for _, group, _ in waiting:
                group.left = 0
        for (path, status), group, number in waiting:
            self._tell(path, status, group, number)

    def _tell(self, path: str, status: int, group: _Group, number: int) -> None:
        seconds = round(group.seconds, 6)
        tell("request", path=path, status=status, seconds=seconds, count=number, request=group.request)


def request_id(given: str | None) -> str:
    """The id of a request: the caller's own, if it is short and plain, or a new one, unlike any prediction's."""
    if given and _ID.fullmatch(given):
        return given
    return f"{_prefix}{next(_numbers):08x}"


def start_worker() -> None:
    """Writes by `write_waiting` from now on, which another thread calls: no request waits for who reads the lines."""
    global _queue, _prefix, _numbers  # noqa: PLW0603 - one standard output, one worker, one process
    _queue = deque(maxlen=_WAITING)
    _prefix, _numbers = os.urandom(4).hex(), count()


def write_waiting() -> None:
    """Writes what waits; called by one thread alone."""
    lines = []
    while _queue:
        lines.append(_queue.popleft())
    if lines:
        _write("".join(lines))


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError):
        pass
