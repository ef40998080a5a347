"""A flame graph of /predict under load: `make profile`, or python -m tests.app.load.flames --seconds 10 --out measured

Starts the service (one worker, on loopback, its storage emulated), asks it for predictions over four connections, and
samples stacks: by py-spy from outside, or, where this machine lets no process look into another (ptrace), by a timer
within it, which sees the thread that answers predictions and no other, and only between two steps of Python. What it
shows is Python, from the server's turn for a request on; wider is more often seen there. The kernel's time counts for
the frame that called it, so a wide `_send` is the price of a system call and not of our code.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from html import escape
from pathlib import Path

from tests.app import processes
from tests.app.load.run import ROOT

PYSPY = ROOT / ".venv-loadtest/bin/py-spy"
EVERY = 0.002  # seconds between two samples
CONNECTIONS = 4
# The frames in which a request begins: what is below them is the server's loop, and what has none of them no request.
REQUEST = re.compile(r"(Worker\._serve|Flask\.__call__) ")
WIDTH, ROW = 1200, 17  # pixels
Stacks = Counter[tuple[str, ...]]


def main(arguments: list[str] | None = None) -> int:
    """Writes OUT/profile.svg. 0: done; 1: nothing was seen, told in a sentence."""
    parser = argparse.ArgumentParser(prog="python -m tests.app.load.flames", description="A flame graph of /predict.")
    parser.add_argument("--seconds", type=float, default=10.0, help="of load (10)")
    parser.add_argument("--out", type=Path, default=ROOT / "measured", help="the folder for it")
    parser.add_argument("--within", action="store_true", help="sample by a thread of the service, not by py-spy")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    stacks: Stacks = Counter()
    asked, how = 0, "within it"
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the emulator's, of each of its calls
    with processes.moto_server() as s3, tempfile.TemporaryDirectory() as folder:
        variables = processes.environment(s3) | {"WORKERS": "1", "SPOOL": f"{folder}/spool"}
        for job in ("train", "evaluate", "publish"):
            done = processes.run([job], variables)
            if done.returncode:
                sys.stderr.write(f"error: there is no model to predict with: {done.stderr.strip()}\n")
                return 1
        if not options.within:
            asked, stacks, how = *_profiled(variables, Path(folder), options.seconds, within=False), "by py-spy"
        if not stacks:
            asked, stacks, how = *_profiled(variables, Path(folder), options.seconds, within=True), "within it"
    if not stacks:
        sys.stderr.write("error: no sample of a request was seen. Give it longer: DURATION=30\n")
        return 1
    picture = options.out / "profile.svg"
    picture.write_text(render(stacks, f"/predict, {asked:,} calls, sampled {how}"), encoding="utf-8")
    top = Counter[str]()
    for stack, number in stacks.items():
        top[stack[-1]] += number
    for frame, number in top.most_common(5):
        sys.stdout.write(f"  {number / stacks.total():6.1%}  {frame}\n")
    sys.stdout.write(f"{asked} calls, {stacks.total()} samples {how}: {picture}\n")
    return 0


def _profiled(variables: dict[str, str], folder: Path, seconds: float, *, within: bool) -> tuple[int, Stacks]:
    """Calls made, and the stacks that were seen under them; none where no process may look into another."""
    port = _free_port()
    samples = folder / ("within" if within else "samples")
    program = [sys.executable, "-c", _WITHIN, str(samples)] if within else [sys.executable, "-m", "app", "serve"]
    if not within:
        if not PYSPY.exists():
            sys.stderr.write("py-spy is not installed (./install.sh loadtest): sampling within the service.\n")
            return 0, Counter()
        # As the parent, as which most systems let it look.
        program = [*_recorder(samples), "--", *program]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables, "PORT": str(port)}
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(program, cwd=ROOT, env=environment, stdout=said, stderr=said, start_new_session=True)
    try:
        processes.wait_until_ready(f"http://127.0.0.1:{port}", 30.0)
        asked = _load(port, seconds)
    except AssertionError:
        asked = 0
    finally:
        # py-spy writes what it has on SIGINT, and the service drains; the timer's handler has written what it saw.
        os.killpg(process.pid, signal.SIGKILL if within else signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found = sorted(folder.glob(f"{samples.name}*"))
    if not found:
        told = log.read_text(errors="replace")
        denied = re.search(r"[Pp]ermission denied|Operation not permitted", told)
        why = "this machine lets it look into no process" if denied else told.strip()[-300:] or "it says nothing"
        sys.stderr.write(f"No samples: {why}.\n")
    return asked, read("".join(path.read_text() for path in found))


def _recorder(samples: Path) -> list[str]:
    rate = str(round(1 / EVERY))
    command = [str(PYSPY), "record", "--subprocesses", "--function", "--format", "raw"]
    return [*command, "--rate", rate, "--duration", "unlimited", "--output", str(samples)]


# The service, with a timer of processor time in each of its processes: its handler gets the frame that was interrupted.
# A thread that sampled the others would see them where they let go of the interpreter, which is in system calls alone.
_WITHIN = f"""
import os, signal, sys, time
from collections import Counter
from pathlib import Path
seen, written = Counter(), [time.monotonic()]
def sample(number, frame):
    stack = []
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        stack.append(f"{{frame.f_code.co_qualname}} ({{file.parent.name}}/{{file.name}})")
        frame = frame.f_back
    seen[";".join(reversed(stack))] += 1
    if time.monotonic() - written[0] > 1:
        written[0] = time.monotonic()
        Path(sys.argv[1] + "-" + str(os.getpid())).write_text("".join(f"{{s}} {{n}}\\n" for s, n in seen.items()))
def begin():
    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, {EVERY}, {EVERY})
os.register_at_fork(after_in_child=begin)
begin()
from app.__main__ import main
sys.exit(main(["serve"]))
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _load(port: int, seconds: float) -> int:
    """Asks for predictions over CONNECTIONS connections; nine times in ten one, else a hundred. How many calls."""
    until, asked = time.monotonic() + seconds, list[int]()
    calls = [_call([round(random.gauss(68, 1.9), 2) for _ in range(100 if at % 10 == 9 else 1)]) for at in range(500)]

    def ask() -> None:
        number = 0
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.monotonic() < until:
                connection.sendall(calls[number % len(calls)])
                _receive(connection)
                number += 1
        asked.append(number)

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(asked)


def _call(heights: list[float]) -> bytes:
    body = json.dumps({"height": heights[0]} if len(heights) == 1 else {"heights": heights}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _receive(connection: socket.socket) -> None:
    """Reads one answer to its end."""
    found = b""
    while not (answer := re.search(rb"(?i)content-length: (\d+)\r\n(?:.*\r\n)*\r\n", found)) or (
        len(found) < answer.end() + int(answer[1])
    ):
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the service hung up")
        found += part


def read(text: str) -> Stacks:
    """The stacks of requests in lines of `frame;frame;… number`, from the frame that begins a request on."""
    stacks: Stacks = Counter()
    for line in text.splitlines():
        frames, _, number = line.rpartition(" ")
        stack = frames.split(";")
        begins = next((at for at, frame in enumerate(stack) if REQUEST.match(frame)), None)
        if begins is not None and number.isdigit():
            stacks[tuple(stack[begins:])] += int(number)
    return stacks


def render(stacks: Stacks, title: str) -> str:
    """The flame graph as SVG: a row a depth, the caller below, the share in a frame as its width and in its tooltip."""
    total, depth = stacks.total(), max(map(len, stacks))
    height = (depth + 3) * ROW
    drawn: list[str] = []

    def draw(group: Stacks, level: int, left: float) -> None:
        by_frame: dict[str, Stacks] = {}
        for stack, number in group.items():
            if len(stack) > level:
                by_frame.setdefault(stack[level], Counter())[stack] = number
        for frame, inside in sorted(by_frame.items()):
            width = inside.total() / total * WIDTH
            if width >= 0.5:
                drawn.append(_frame(frame, inside.total() / total, left, height - (level + 2) * ROW, width))
                draw(inside, level + 1, left)
            left += width

    draw(stacks, 0, 0.0)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/><text x="4" y="13">{escape(title)}, '
        f"{total:,} samples. Orange is our code; the caller is below. The kernel's time counts for the frame "
        f"that called it.</text>{''.join(drawn)}</svg>\n"
    )


def _frame(frame: str, share: float, left: float, top: float, width: float) -> str:
    ours = re.search(r"\(app/", frame)
    shown = frame.partition(" (")[0][: int(width / 6.8)] if width > 24 else ""
    return (
        f'<g><title>{escape(frame)}: {share:.1%}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" '
        f'height="{ROW - 1}" rx="2" fill="{"#f0a35e" if ours else "#c9d6e3"}"/>'
        f'<text x="{left + 3:.1f}" y="{top + 12}">{escape(shown)}</text></g>'
    )


if __name__ == "__main__":
    sys.exit(main())
