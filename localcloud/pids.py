"""Which process is which: a process id alone may belong to somebody else by now.

A process is named by its id and its start time; both are written down when it starts and compared
before anything is done to it. Linux reads /proc, other Unix systems ask `ps`.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_PROC = Path("/proc")


def start_time(pid: int) -> str | None:
    """When `pid` started, as an opaque text that never repeats on this machine; None if it does not run.

    A zombie counts as ended.
    """
    if (_PROC / "self" / "stat").exists():
        try:
            text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
            boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()  # the command's name, in parentheses, may hold anything
        return None if fields[0] in {"Z", "X"} else f"{boot}:{fields[19]}"
    answer = subprocess.run(
        ["/bin/ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def alive(pid: int, started: str) -> bool:
    """Whether the very process runs that had `pid` and began at `started` (see `start_time`)."""
    return start_time(pid) == started


def terminate(pid: int, started: str, grace: float = 10.0) -> bool:
    """Ends that process, or does nothing if the id is somebody else's by now.

    SIGTERM, then SIGKILL after `grace` seconds. Returns whether there was a process to end; returns only
    when it has ended. On Linux a handle on the process excludes that the id changes hands in between.
    """
    handle = None
    with contextlib.suppress(OSError, AttributeError):
        handle = os.pidfd_open(pid)
    try:
        if not alive(pid, started):
            return False
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                if handle is not None:
                    signal.pidfd_send_signal(handle, number)
                else:
                    os.kill(pid, number)
            if _ended(pid, started, patience):
                return True
        return True
    finally:
        if handle is not None:
            os.close(handle)


def _ended(pid: int, started: str, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # a child of ours would stay a zombie
        if not alive(pid, started):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
