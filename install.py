"""Make `.venv` from the pinned, hashed requirements, and install the project itself into it.

    python3 install.py {local,plan,deploy,dev,scanners,loadtest,fuzz}

Needs a Python with venv and pip, and a package index: the one that pip is configured for. Each level holds
the one before it, and a level once installed stays; `scanners`, `loadtest` and `fuzz` are environments of their own,
`.venv-scanners`, which `dev` brings too, `.venv-loadtest` and `.venv-fuzz`. When nothing has changed since the last
run that ended well, this returns at once; a run that was cut short, another Python or a moved folder starts anew.

This file alone must be readable by old Pythons (3.7 on), for it is what tells their users so.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OLDEST = (3, 11)
# MB on disk once installed, seen on Linux with Python 3.11; the download is kept beside it for a moment.
LEVELS = {"local": 380, "plan": 680, "deploy": 720, "dev": 830}
# What would be at odds with the rest has an environment of its own: its name → MB, and what it imports first.
SCANNERS = "scanners"
APART = {
    SCANNERS: (300, "checkov.arm.runner, checkov.terraform.plan_runner, cloudsplaining, parliament, policy_sentry"),
    "loadtest": (110, "locust"),
    "fuzz": (105, "schemathesis.cli"),
}
SIZES = {**LEVELS, **{name: size for name, (size, _) in APART.items()}}
SPARE = 200  # MB, for the download of the largest package
# What every run imports. Doing so once compiles it, and shows that it works on this machine; to compile all that is
# installed takes ten times as long and 200 MB more, and most of it is never imported.
IMPORTED = "boto3, cryptography.x509, flask, jsonschema, moto.server, pulumi_aws, rich.live, waitress, yaml"
QUIET_SECONDS = 10.0  # without a terminal, a step that goes on says so this often

# What installers print, and what it means to the reader. The first that matches is told.
TROUBLE = (
    (
        r"No space left on device|os error 28|Errno 28|Disk quota exceeded",
        "The disk is full: free some space and run the command again.",
    ),
    (
        r"(?i)hash mismatch|do not match the hashes",
        "A package differs from the one that was pinned (its hash is not in requirements/): the index served"
        " something else, or the download broke. Run it again; if it stays, do not trust that index.",
    ),
    (
        r"(?i)invalid peer certificate|certificate verify failed|UnknownIssuer|SSLError|TLS handshake",
        "The package index's certificate is not trusted here: name your certificate authority's file,"
        " `pip config set global.cert FILE` (or PIP_CERT=FILE).",
    ),
    (
        r"(?i)\b(401|403)\b.*(unauthorized|forbidden|client error)|(unauthorized|forbidden).*\b(401|403)\b",
        "The package index refused the access: check the user and password that pip is configured with"
        " (`pip config list`).",
    ),
    (
        r"(?i)connection refused|dns error|name or service not known|name resolution|network is unreachable"
        r"|timed? ?out|newconnectionerror|error sending request|connection (reset|aborted)|max retries exceeded",
        "The package index cannot be reached: check the network, the proxy, and the index that pip is"
        " configured for (`pip config list`).",
    ),
    (
        r"(?i)permission denied|Errno 13|os error 13|read-only file system",
        "Writing was refused: the project's folder and your caches must be writable for you.",
    ),
    (
        r"(?i)no matching distribution|no solution found|not found in the package registry|no wheels with a"
        r" matching|could not find a version",
        "A pinned package is not to be had for this Python and machine from the index that pip is configured"
        " for (`pip config list`).",
    ),
)


class StoppedError(Exception):
    """The installation cannot go on; the message is for the user: what, where, what to do."""


def dotted(version: tuple[int, ...]) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))


def free_megabytes(path: Path) -> int:
    """What the file system of `path` has left for this user, in MB."""
    return shutil.disk_usage(str(path)).free // 10**6


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> None:
    """Stop if this Python is too old, or cannot make a virtual environment."""
    if version[:2] < OLDEST:
        raise StoppedError(
            f"Python {dotted(OLDEST)} or newer is needed, and {sys.executable} is Python {dotted(version)}: install a"
            " newer one, or name it, `make install PYTHON=/path/to/python3.11`."
        )
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise StoppedError(
            f"{sys.executable} has no module {' and no '.join(missing)}, so it cannot make .venv: on Debian and Ubuntu"
            " `apt install python3-venv`, elsewhere install the whole of Python."
        )


def place(root: Path) -> str:
    """What makes a `.venv` unusable when it changes: its folder and its interpreter."""
    return json.dumps([os.path.realpath(str(root)), os.path.realpath(sys.base_prefix), list(sys.version_info[:3])])


def fingerprint(root: Path, level: str) -> str:
    """What an installation depends on, as one hash: requirements, rooms, interpreter, place."""
    digest = hashlib.sha256()
    rooms = sorted(path.parent.name for path in root.glob("*/__init__.py"))
    for path in [root / "pyproject.toml", *(root / "requirements" / (name + ".txt") for name in ("install", level))]:
        digest.update(path.read_bytes() + b"\0")
    for part in (*rooms, place(root)):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def rank(level: str) -> int:
    """A level's place in the chain: a higher one holds all the lower ones."""
    return list(SIZES).index(level)


def venv(root: Path, level: str) -> Path:
    """The environment that a level goes into."""
    return root / (f".venv-{level}" if level in APART else ".venv")


def installed(root: Path, asked: str = "local") -> dict[str, str] | None:
    """What the last run that ended well left where `asked` goes: its `level`, `fingerprint`, `place`; None: nothing."""
    folder = venv(root, asked)
    try:
        stamp = json.loads((folder / "installed.json").read_text())
    except (OSError, ValueError):
        return None
    usable = isinstance(stamp, dict) and stamp.get("level") in SIZES and "fingerprint" in stamp and "place" in stamp
    return stamp if usable and os.access(str(folder / "bin/python"), os.X_OK) else None


def pip_settings(listing: str) -> dict[str, str]:
    """The settings in what `pip config list` prints, `:env:` over `install` over `global`."""
    found: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(section):
                try:
                    found[key[len(section) :].lower().replace("_", "-")] = str(ast.literal_eval(value))
                except (SyntaxError, ValueError):
                    continue
    return found


def uv_environment(
    settings: Mapping[str, str],
    environment: Mapping[str, str],
) -> dict[str, str]:
    """The environment in which uv uses the index, certificates and proxy that pip is configured with.

    In variables rather than options, so that an index's password shows in no process list. What the user set
    for uv itself wins.
    """

    def words(key: str) -> list[str]:
        return settings.get(key, "").split()

    # pip warns of a folder that is not there, where uv stops
    links = [link for link in words("find-links") if "://" in link or os.path.exists(os.path.expanduser(link))]
    certificates = settings.get("cert") or environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE")
    proxy = settings.get("proxy", "")
    translated = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(words("extra-index-url")),
        "UV_FIND_LINKS": ",".join(links),
        "UV_NO_INDEX": "1" if settings.get("no-index", "").lower() in ("1", "true", "yes", "on") else "",
        "UV_INSECURE_HOST": " ".join(words("trusted-host")),
        "UV_HTTP_TIMEOUT": settings.get("timeout") or settings.get("default-timeout", ""),
        "UV_HTTP_RETRIES": settings.get("retries", ""),
        "UV_KEYRING_PROVIDER": "subprocess" if settings.get("keyring-provider") in ("subprocess", "import") else "",
        "SSL_CLIENT_CERT": settings.get("client-cert", ""),
        "SSL_CERT_FILE": certificates or "",
        "HTTP_PROXY": proxy,
        "HTTPS_PROXY": proxy,
        # pip takes the best of all indexes; the hashes make that safe
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_NO_PROGRESS": "1",
    }
    result = {key: value for key, value in translated.items() if value}
    result.update(environment)
    for key in ("proxy", "cert"):  # a setting of pip's own is nearer than the machine's variable
        for name in {"proxy": ("HTTP_PROXY", "HTTPS_PROXY"), "cert": ("SSL_CERT_FILE",)}[key]:
            if settings.get(key):
                result[name] = settings[key]
    for name in ("UV_REQUIRE_HASHES", "UV_PROJECT", "UV_PYTHON", "UV_WORKING_DIR"):  # said on the command line
        result.pop(name, None)
    return result


def without_passwords(text: str) -> str:
    """`text` with the user and password of every URL struck out."""
    return re.sub(r"://[^/\s@]+@", "://***@", text)


def explain(output: str, step: str) -> str:
    """One sentence for a failed step, from what the installer printed, and its most telling line."""
    lines = [without_passwords(line.strip()) for line in output.splitlines() if line.strip()]
    for pattern, sentence in TROUBLE:
        telling = [line for line in lines if re.search(pattern, line)]
        if telling:
            return f"{sentence}\n  ({step}: {telling[-1][:300]})"
    words = "\n  ".join(lines[-8:]) or "none"
    return f"{step} failed. The installer's last words:\n  {words}"


def show(text: str, end: str = "\n") -> None:
    """Print one line, over a line in progress if there is one."""
    sys.stdout.write(("\r\033[K" if sys.stdout.isatty() else "") + text + end)
    sys.stdout.flush()


def follow(process: subprocess.Popen[str], step: str) -> str:
    """Show that `step` goes on until its process ends; returns what it printed."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    terminal, start = sys.stdout.isatty(), time.monotonic()
    output: list[str] = []
    last = ""
    said = start
    while True:
        try:
            line = lines.get(timeout=0.2 if terminal else 1.0)
            if line is None:
                return "".join(output)
            output.append(line)
            last = without_passwords(line.strip()) or last
        except queue.Empty:
            pass
        now = time.monotonic()
        if terminal and now - said >= 0.2:
            said = now
            width = shutil.get_terminal_size().columns - 1
            show(f"  …  {step}  {now - start:.0f} s  {last}"[:width], end="")
        elif not terminal and now - said >= QUIET_SECONDS:
            said = now
            show(f"  …  {step}, {now - start:.0f} s so far: {last}")


def run(command: list[str], step: str, environment: Mapping[str, str], root: Path) -> None:
    """Run one installer command, showing its progress; a failure becomes a sentence."""
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=str(root),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    try:
        output = follow(process, step)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
    if process.returncode:
        show(f"  ✗  {step}")
        raise StoppedError(explain(output, step))
    show(f"  ✓  {step:<58} {time.monotonic() - start:5.1f} s")


def make_venv(root: Path, folder: Path) -> None:
    """Make an environment anew, with the interpreter that runs this."""
    own = Path(sys.prefix) in (venv(root, level).resolve() for level in SIZES)
    interpreter = os.path.realpath(sys.executable) if own else sys.executable
    step = f"{folder.name} with Python {dotted(tuple(sys.version_info[:3]))}"
    run([interpreter, "-I", "-m", "venv", "--clear", str(folder)], step, os.environ, root)


def fill(root: Path, level: str) -> None:
    """Bring a level's environment to exactly its pinned packages, and `.venv` to the project itself."""
    python = str(venv(root, level) / "bin/python")
    uv = str(venv(root, level) / "bin/uv")
    environment = dict(os.environ, PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    if not os.path.exists(uv):
        # without a retry, pip does not tell an index that is out of reach from one that lacks the package
        pip = [python, "-I", "-m", "pip", "install", "--retries", "2", "--progress-bar", "off", "--require-hashes"]
        run([*pip, "--no-deps", "-r", "requirements/install.txt"], "uv, which installs the rest", environment, root)
    listing = subprocess.run(
        [python, "-I", "-m", "pip", "config", "list"], stdout=subprocess.PIPE, env=environment, check=False
    ).stdout.decode("utf-8", "replace")
    environment = uv_environment(pip_settings(listing), environment)
    sync = [uv, "pip", "sync", "--python", python, "--require-hashes"]
    run([*sync, f"requirements/{level}.txt"], f"the packages of requirements/{level}.txt", environment, root)
    if level not in APART:
        options = ["--no-deps", "--no-build-isolation", "--offline", "-e", "."]
        run([uv, "pip", "install", "--python", python, *options], "the project itself", environment, root)
    first = f"import {APART[level][1] if level in APART else IMPORTED}"
    run([python, "-I", "-W", "ignore", "-c", first], "a first import", environment, root)


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """One installation into a project at a time; another one waits for it."""
    folder = os.open(str(root), os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            show("  …  waiting for another installation to end")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def install(root: Path, asked: str, free: Callable[[Path], int] = free_megabytes) -> bool:
    """Make an environment hold at least the level `asked`; True if anything had to be done. Errors: StoppedError."""
    check_python()
    with alone(root):
        have = installed(root, asked)
        level = have["level"] if have and rank(have["level"]) > rank(asked) else asked
        if have and have["level"] == level and have["fingerprint"] == fingerprint(root, level):
            return False
        folder = venv(root, level)
        fresh = have is None or have["place"] != place(root)
        if not os.access(str(root), os.W_OK):
            raise StoppedError(f"{root} is not writable for you, so {folder.name} cannot be made in it.")
        needed = SIZES[level] + SPARE - (SIZES[have["level"]] if have and not fresh else 0)
        left = free(root) + (0 if have is None or not fresh else SIZES[have["level"]])
        if left < needed:
            raise StoppedError(
                f"The disk is too full: {folder.name} needs {needed} MB for `{level}`, and {root} has {left} MB left."
                " Free some space, or move the project to a larger disk."
            )
        show(f"Installing the pinned packages for `{level}` into {folder.name}")
        with contextlib.suppress(FileNotFoundError):
            (folder / "installed.json").unlink()
        if fresh:
            make_venv(root, folder)
        fill(root, level)
        stamp = {"level": level, "fingerprint": fingerprint(root, level), "place": place(root)}
        (folder / "installed.json").write_text(json.dumps(stamp) + "\n")
        return True


def main(arguments: list[str]) -> int:
    """The command line; the exit status is 0, 1 after a failure that was told, 130 after Ctrl-C."""
    if len(arguments) != 1 or arguments[0] not in SIZES:
        sys.stderr.write(f"usage: install.py {{{','.join(SIZES)}}}\n")
        return 2
    try:
        for level in (arguments[0], SCANNERS) if arguments[0] == "dev" else (arguments[0],):
            install(Path(__file__).resolve().parent, level)
    except StoppedError as stopped:
        sys.stderr.write(f"install: {stopped}\n")
    except OSError as error:
        sys.stderr.write(f"install: {explain(str(error), 'installing')}\n")
    except KeyboardInterrupt:
        sys.stderr.write("\ninstall: stopped; the next run starts .venv anew.\n")
        return 130
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
