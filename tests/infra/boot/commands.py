"""Stands in for `docker`, `mount`, `mountpoint`, `curl`, `sleep` and `shutdown`, by the name it is called under.

Each call is a line of the file calls in $FAKES. `docker run` really runs the command, as a process of this machine.
A boot calls them hundreds of times, each a process: what few need is imported where it is needed.
"""

import os
import sys
import time

FAKES = os.environ["FAKES"]


def there(name: str) -> str | None:
    """What the file of that name says; None where there is none."""
    try:
        with open(f"{FAKES}/{name}") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(name: str, text: str = "") -> None:
    with open(f"{FAKES}/{name}", "w") as file:
        file.write(text)


def main(name: str, arguments: list[str]) -> int:
    note = {"command": name, "arguments": arguments}
    if name == "docker" and arguments[0] == "login":
        note["stdin"] = sys.stdin.read()
    with open(f"{FAKES}/calls", "a") as file:
        file.write(f"{note!r}\n")
    if name == "curl":
        return curl(arguments)
    verbs = {"run": run, "stop": stop, "ps": ps}
    if name == "docker" and arguments[0] in verbs:
        return verbs[arguments[0]](arguments[1:])
    if name == "sleep":
        time.sleep(0.05)
    if name == "mountpoint":
        return 1 if there("mounted") is None else 0
    if name == "mount":
        if there("mount-fails") is not None:
            os.unlink(f"{FAKES}/mount-fails")
            return 32
        write("mounted")
    return 0


def curl(arguments: list[str]) -> int:
    """The real one; a service of a cloud is sent to the fake metadata service, which answers for it."""
    import subprocess  # noqa: PLC0415 - see above: few calls need it

    metadata = os.environ["METADATA"]
    sent = [
        f"{metadata}/https/{part.removeprefix('https://')}" if part.startswith("https://") else part
        for part in arguments
    ]
    return subprocess.run([os.environ["REAL_CURL"], *sent], check=False).returncode


def run(arguments: list[str]) -> int:
    import subprocess  # noqa: PLC0415 - see above: few calls need it

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
    write("running", str(process.pid))  # the process id of the container
    code = process.wait()
    os.unlink(f"{FAKES}/running")
    return code if code >= 0 else 128 - code


def stop(_: list[str]) -> int:
    running = there("running")
    if running is None:
        return 1
    os.kill(int(running), 15)  # SIGTERM
    for _attempt in range(200):
        if there("running") is None:
            break
        time.sleep(0.02)
    return 0


def ps(_: list[str]) -> int:
    left = int(there("by-hand") or 0)  # how many more times somebody else's container runs
    if left > 0:
        write("by-hand", str(left - 1))
        sys.stdout.write("c0ffee\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.path.basename(sys.argv[0]), sys.argv[1:]))
