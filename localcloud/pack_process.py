"""The process of a policy pack: what it needs from PulumiPolicy.yaml, its start, its end, and why it failed."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml

from localcloud.errors import LocalcloudError

# Runs `python -m pulumi.policy` with a lifeline on standard input, as a pack must not outlive an engine that is killed,
# and with gRPC's log on standard error, as only there the line of a rule that raises is told. That an older pack does
# not know a call is no such thing.
BOOT = """\
import logging, os, runpy, threading
log = logging.StreamHandler()
log.addFilter(lambda record: "Method not implemented!" not in record.getMessage())
logging.getLogger("grpc").addHandler(log)
lifeline = os.dup(0)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
threading.Thread(target=lambda: (os.read(lifeline, 1), os._exit(1)), daemon=True).start()
runpy.run_module("pulumi.policy", run_name="__main__", alter_sys=True)
"""
# The Python SDK takes the engine's address and never dials it: a pack's log comes on standard error.
NO_ENGINE = "127.0.0.1:0"


class PackError(LocalcloudError):
    """A policy pack that could not be loaded, or that gave no answer; the text says which, where and why."""


class NotStartedError(Exception):
    """The pack gave no port to talk to; the text goes on where a sentence has named the pack."""


@dataclass(frozen=True)
class PackSettings:
    """What a pack's PulumiPolicy.yaml says: the interpreter to run it with, and its version ("" if none)."""

    interpreter: str
    version: str


def pack_settings(directory: Path) -> PackSettings:
    """Reads DIRECTORY/PulumiPolicy.yaml; raises PackError for a pack that cannot be run here."""
    path = directory / "PulumiPolicy.yaml"
    try:
        # BaseLoader leaves every scalar a text: version 1.10 is not the number 1.1.
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - makes texts only
    except (FileNotFoundError, NotADirectoryError):
        raise PackError(f"{directory} is no policy pack: it has no PulumiPolicy.yaml.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PackError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    document = document if isinstance(document, dict) else {}
    runtime = document.get("runtime")
    name, options = (runtime.get("name"), runtime.get("options")) if isinstance(runtime, dict) else (runtime, None)
    options = options if isinstance(options, dict) else {}
    if name != "python":
        raise PackError(
            f"{path} asks for runtime {name or 'nothing'!r}; localcloud runs packs in Python: write `runtime: python`."
        )
    if not options.get("virtualenv") and options.get("toolchain", "pip") != "pip":
        raise PackError(
            f"{path} asks for toolchain {options['toolchain']!r}, which localcloud does not know. "
            "Name the pack's virtual environment: `options: {virtualenv: venv}`."
        )
    return PackSettings(_interpreter(directory, options), str(document.get("version") or ""))


def _interpreter(directory: Path, options: Mapping[str, str]) -> str:
    if not options.get("virtualenv"):
        return sys.executable
    interpreter = directory / options["virtualenv"] / "bin" / "python"
    if not interpreter.exists():
        raise PackError(
            f"{directory / 'PulumiPolicy.yaml'} names the virtual environment {options['virtualenv']!r}, and "
            f"{interpreter} does not exist. Create it with the pack's requirements, or remove the option."
        )
    return str(interpreter)


class PackProcess:
    """A running pack, and what it printed last. `line` takes each printed line, on a thread of its own."""

    def __init__(
        self, interpreter: str, directory: Path, environment: Mapping[str, str], line: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._line = line
        self._first: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: deque[str] = deque(maxlen=200)
        try:
            self._process = subprocess.Popen(
                [interpreter, "-u", "-c", BOOT, NO_ENGINE, str(directory)],
                cwd=directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # Ctrl-C is the engine's; and what the pack starts can be ended with it
            )
        except OSError as error:
            raise PackError(f"The policy pack {directory} cannot be run by {interpreter}: {error.strerror}.") from error
        self._readers = [
            threading.Thread(target=self._read_output, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def port(self, patience: float) -> int:
        """The port that the pack serves the analyzer protocol on; waits `patience` seconds, raises NotStartedError."""
        try:
            text = self._first.get(timeout=patience)
        except queue.Empty:
            raise NotStartedError(f"did not start within {patience:g} s, and was stopped") from None
        if text is None:
            raise NotStartedError("failed to load")
        if not re.fullmatch(r"\d{1,5}", text.strip()):
            raise NotStartedError(
                f"printed {text.strip()!r} where its port belongs; it may print nothing before PolicyPack(...)"
            )
        return int(text)

    def stop(self, grace: float = 0.0) -> str:
        """Ends the pack and what it started; why it failed, as far as it told. `grace`: seconds to end by itself."""
        ended = ""
        try:
            code = self._process.wait(timeout=grace)
            ended = f"exit code {code}" if code >= 0 else f"signal {-code}"
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # not reaped yet, so the number is still the pack's
            self._process.wait()
        for reader in self._readers:
            reader.join(timeout=2)
        if self._process.stdin is not None:
            self._process.stdin.close()
        return _reason(list(self._errors), self._directory) or ended

    def _read_output(self, stream: IO[str]) -> None:
        for number, line in enumerate(stream):
            if number == 0:
                self._first.put(line)
            else:
                self._line(line.rstrip("\n"))
        self._first.put(None)

    def _read_errors(self, stream: IO[str]) -> None:
        for line in stream:
            self._errors.append(line.rstrip("\n"))
            self._line(line.rstrip("\n"))


def _reason(lines: Sequence[str], directory: Path) -> str:
    """The last traceback's exception with the innermost line of the pack, else the last line; "" if none."""
    starts = [index for index, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not starts:
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    trace = lines[starts[-1] + 1 :]
    error = next((line.strip() for line in trace if line and not line.startswith(" ")), "")
    place = ""
    for line in trace:
        found = re.match(r'\s+File "(.+)", line (\d+)', line)
        if found and Path(found[1]).is_relative_to(directory):
            place = f" ({Path(found[1]).relative_to(directory)}:{found[2]})"
    return error + place
