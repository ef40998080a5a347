"""Stands in for `docker`, `mount`, `mountpoint`, `curl`, `sleep` and `shutdown`, by the name it is called under.

Each call is a line of calls.jsonl in $FAKES. `docker run` really runs the command, as a process of this machine.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FAKES = Path(os.environ["FAKES"])
RUNNING = FAKES / "running"  # the process id of the container


def main(name: str, arguments: list[str]) -> int:
    note = {"command": name, "arguments": arguments}
    if name == "docker" and arguments[0] == "login":
        note["stdin"] = sys.stdin.read()
    with (FAKES / "calls.jsonl").open("a") as file:
        file.write(json.dumps(note) + "\n")
    if name == "curl":
        return curl(arguments)
    verbs = {"run": run, "stop": stop, "ps": ps}
    if name == "docker" and arguments[0] in verbs:
        return verbs[arguments[0]](arguments[1:])
    if name == "sleep":
        time.sleep(0.05)
    if name == "mountpoint":
        return 0 if (FAKES / "mounted").exists() else 1
    if name == "mount":
        failures = FAKES / "mount-fails"
        if failures.exists():
            failures.unlink()
            return 32
        (FAKES / "mounted").touch()
    return 0


def curl(arguments: list[str]) -> int:
    """The real one; a service of a cloud is sent to the fake metadata service, which answers for it."""
    there = os.environ["METADATA"]
    sent = [
        f"{there}/https/{part.removeprefix('https://')}" if part.startswith("https://") else part for part in arguments
    ]
    return subprocess.run([os.environ["REAL_CURL"], *sent], check=False).returncode


def run(arguments: list[str]) -> int:
    environment, folders, rest = {}, {}, list(arguments)
    flags = ("--init",)
    while rest[0].startswith("--"):
        option = rest.pop(0)
        if option in flags:
            continue
        value = rest.pop(0)
        if option == "--env":
            environment[value.partition("=")[0]] = value.partition("=")[2]
        elif option == "--volume":
            folders[value.partition(":")[2]] = value.partition(":")[0]
    environment["CHECKPOINTS"] = folders[environment["CHECKPOINTS"]]  # no file system of its own here
    process = subprocess.Popen([sys.executable, *rest[1:]], env={"PATH": os.environ["PATH"], **environment})
    RUNNING.write_text(str(process.pid))
    code = process.wait()
    RUNNING.unlink()
    return code if code >= 0 else 128 - code


def stop(_: list[str]) -> int:
    os.kill(int(RUNNING.read_text()), signal.SIGTERM)
    for _attempt in range(200):
        if not RUNNING.exists():
            break
        time.sleep(0.02)
    return 0


def ps(_: list[str]) -> int:
    by_hand = FAKES / "by-hand"  # how many more times somebody else's container runs
    if by_hand.exists() and (left := int(by_hand.read_text())) > 0:
        by_hand.write_text(str(left - 1))
        sys.stdout.write("c0ffee\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:]))
