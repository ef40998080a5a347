"""The AWS emulator: Moto behind the gate, over TLS, in a process of its own on the loopback interface.

One emulator belongs to one directory, which holds its certificate, its administrator's keys, the port
that was chosen once, its log (`emulator.log`) and the record of calls (`calls.jsonl`; see gate.py). What
the emulator holds lives in its memory: an emulator that was started anew is empty.
"""

import contextlib
import errno
import fcntl
import http.client
import json
import os
import secrets
import select
import signal
import socket
import ssl
import string
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from localcloud import certificate, pids, server
from localcloud.errors import LocalcloudError
from localcloud.files import write_private

ACCOUNT = "123456789012"
START_SECONDS = 30.0
_RECORD, _KEYS, _PORT, _LOCK, LOG = "emulator.json", "administrator.json", "port", "lock", "emulator.log"
CALLS = "calls.jsonl"


class EmulatorError(LocalcloudError):
    """The emulator cannot be started, stopped or asked; the message is a sentence for the user."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    url: `https://127.0.0.1:PORT`. ca_bundle: the PEM file that vouches for it. identity: changes with every
    start of the server, and with it everything that the emulator holds is gone. started: whether this call
    started it (and it is empty).
    """

    url: str
    ca_bundle: Path
    pid: int
    access_key: str
    secret_key: str
    identity: str
    directory: Path
    started: bool = False

    def environment(self) -> dict[str, str]:
        """Variables with which an AWS SDK calls this emulator as the account's administrator.

        No region: that is the caller's. Drop AWS_PROFILE and AWS_SESSION_TOKEN from what these are added to.
        """
        return {
            **self.endpoint(),
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def endpoint(self) -> dict[str, str]:
        """The part of `environment()` that holds no credentials."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CA_BUNDLE": str(self.ca_bundle),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **_without_proxy(),
        }

    def __repr__(self) -> str:
        return f"Emulator(url={self.url!r}, pid={self.pid}, started={self.started})"  # no keys in logs


def _without_proxy() -> dict[str, str]:
    """No proxy of the caller's reaches this machine's loopback interface. Clients read one spelling or the other."""
    found = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host for host in found.split(",") if host]
    hosts += [host for host in ("127.0.0.1", "localhost") if host not in hosts]
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(hosts))


# --- starting, stopping, asking -----------------------------------------------------------------------


def start(directory: Path) -> Emulator:
    """Starts the emulator of `directory`, or returns the one that runs. Raises EmulatorError with a sentence."""
    directory = directory.resolve()
    _private_directory(directory)
    with _locked(directory):
        if (running := _running(directory)) is not None:
            return running
        _end(directory)  # one that runs and does not answer
        certificate.ensure(directory)
        _keys(directory)
        listener = _listen(directory)
        if isinstance(listener, Emulator):
            return listener
        with listener:
            return _spawn(directory, listener)


def status(directory: Path) -> Emulator | None:
    """The running, answering emulator of `directory`, or None."""
    return _running(directory.resolve())


def stop(directory: Path) -> bool:
    """Stops the emulator of `directory`; whether there was one. What it held is gone, its files stay."""
    directory = directory.resolve()
    if not (directory / _RECORD).exists():
        return False
    with _locked(directory):
        return _end(directory)


def reset(emulator: Emulator) -> None:
    """Empties the emulator: everything but its own administrator is gone."""
    _ask(emulator.directory, _port(emulator), "POST", "/moto-api/reset")


def control(emulator: Emulator, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """One call of the gate's control interface as the administrator; see gate.py for the paths.

    Raises EmulatorError with the sentence that the gate refuses with.
    """
    return _ask(emulator.directory, _port(emulator), "POST", path, body)


def _port(emulator: Emulator) -> int:
    return int(emulator.url.rpartition(":")[2])


# --- the directory ------------------------------------------------------------------------------------


def _private_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)
    except OSError as error:
        raise EmulatorError(
            f"The emulator's directory {directory} cannot be made ({error.strerror}). Choose one that you own."
        ) from None


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One start or stop at a time; a process that dies gives the lock back."""
    handle = os.open(directory / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, Any]:
    """A JSON object from a file of ours; empty when it is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keys(directory: Path) -> dict[str, str]:
    """The administrator's keys and the control token, made on first use."""
    path = directory / _KEYS
    found = _read(path)
    if not {"access_key", "secret_key", "token"} <= set(found):
        letters = string.ascii_uppercase + "234567"
        found = {
            "access_key": "AKIA" + "".join(secrets.choice(letters) for _ in range(16)),
            "secret_key": secrets.token_urlsafe(30),
            "token": secrets.token_urlsafe(32),
        }
        write_private(path, json.dumps(found).encode())
    return found


def _listen(directory: Path) -> socket.socket | Emulator:
    """The socket of the stored port, or of a new one that is stored; or the emulator that holds the port."""
    path = directory / _PORT
    try:
        port = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        port = 0
    deadline = time.monotonic() + 3.0
    while True:
        try:
            listener = server.listen(port)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not port:
                raise EmulatorError(f"The emulator cannot listen on 127.0.0.1:{port} ({error.strerror}).") from None
        # Perhaps one whose starter was killed before the record was written: it tells by answering.
        if (running := _running(directory)) is not None:
            return running
        if time.monotonic() > deadline:
            raise EmulatorError(
                f"Port {port} of 127.0.0.1, which this project's emulator uses, is taken by another program. "
                f"Stop that program, or delete {path} to let the emulator choose another port."
            )
        time.sleep(0.1)
    write_private(path, str(listener.getsockname()[1]).encode())
    return listener


# --- the server process, seen from outside ------------------------------------------------------------


def _spawn(directory: Path, listener: socket.socket) -> Emulator:
    ready, told = os.pipe()
    command = [sys.executable, "-m", "localcloud.emulator", "serve", str(directory)]
    log = os.open(directory / LOG, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(
            [*command, str(listener.fileno()), str(told)],
            env=_child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            pass_fds=(listener.fileno(), told),
            start_new_session=True,
        )
    finally:
        os.close(told)
        os.close(log)
    with os.fdopen(ready, "rb") as pipe:
        if _first_line(pipe.fileno()) == b"ready\n" and (running := _running(directory)):
            return Emulator(**{**running.__dict__, "started": True})
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
    raise EmulatorError(f"The emulator did not start. Its log says: {_last_line(directory / LOG)}")


def _first_line(handle: int) -> bytes:
    poll = select.poll()
    poll.register(handle, select.POLLIN | select.POLLHUP)
    return os.read(handle, 64) if poll.poll(START_SECONDS * 1000) else b""


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        if lines:
            return f"{lines[-1].strip()} ({path})"
    return f"nothing ({path})"


def _child_environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_", "PYTHON"))}
    return {
        **kept,
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "none",  # Moto's own use of boto3 must never find real credentials
        "AWS_SECRET_ACCESS_KEY": "none",
        "MOTO_ACM_VALIDATION_WAIT": "0",  # certificates are issued at once
        "MOTO_DISABLE_GLOBAL_CORS": "1",  # no web page may read from it
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",  # AWS's own policies exist and are evaluated
        "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "1",  # the gate has made every request path-style
    }


def _running(directory: Path) -> Emulator | None:
    record, keys = _read(directory / _RECORD), _read(directory / _KEYS)
    try:
        pid, port, identity = int(record["pid"]), int(record["port"]), str(record["identity"])
        if not pids.alive(pid, str(record["process"])):
            return None
        health = _ask(directory, port, "GET", "/_localcloud/health")
    except (KeyError, ValueError, EmulatorError):
        return None
    if health.get("identity") != identity:
        return None
    return Emulator(
        f"https://127.0.0.1:{port}", directory / "ca.pem", pid, keys["access_key"], keys["secret_key"], identity,
        directory,
    )  # fmt: skip


def _end(directory: Path) -> bool:
    record = _read(directory / _RECORD)
    try:
        ended = pids.terminate(int(record["pid"]), str(record["process"]), grace=5.0)
    except (KeyError, ValueError):
        ended = False
    (directory / _RECORD).unlink(missing_ok=True)
    return ended


def _ask(directory: Path, port: int, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    try:
        trust = ssl.create_default_context(cafile=str(directory / "ca.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=trust)
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {_read(directory / _KEYS).get('token', '')}"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise EmulatorError(f"The emulator on port {port} does not answer ({error}).") from None
    try:
        answer = json.loads(text)
    except ValueError:
        answer = {}
    if response.status != 200:
        raise EmulatorError(str(answer.get("message", f"The emulator answered {response.status} to {path}.")))
    return answer if isinstance(answer, dict) else {}


# --- the server process itself ------------------------------------------------------------------------


def _serve(directory: Path, listener: socket.socket, ready: int) -> NoReturn:
    from localcloud import gate  # noqa: PLC0415 - Moto is slow to import; only the server process needs it

    os.umask(0o077)
    files = certificate.ensure(directory)
    keys = _keys(directory)
    identity = secrets.token_hex(16)
    credentials = server.listen(0)
    application = gate.Gate(
        administrator=(keys["access_key"], keys["secret_key"]),
        token=keys["token"],
        identity=identity,
        calls_file=directory / CALLS,
        credentials_port=credentials.getsockname()[1],
    )
    servers = (
        server.Server(application, listener, server.tls_context(str(files.chain), str(files.key))),
        server.Server(application.serve_credentials, credentials, None),
    )
    for each in servers:
        threading.Thread(target=each.serve_forever, daemon=True).start()
    record = {
        "pid": os.getpid(),
        "process": pids.start_time(os.getpid()),
        "port": listener.getsockname()[1],
        "identity": identity,
    }
    write_private(directory / _RECORD, json.dumps(record).encode())
    with contextlib.suppress(BrokenPipeError):  # whoever started us may be gone
        os.write(ready, b"ready\n")
    os.close(ready)
    threading.Thread(target=application.warm_up, daemon=True).start()
    # A server whose record is gone (a deleted directory, a newer server) belongs to nobody.
    while _read(directory / _RECORD).get("identity") == identity:
        time.sleep(2.0)
    os._exit(0)


def _main(arguments: list[str]) -> None:
    if len(arguments) != 4 or arguments[0] != "serve":
        sys.exit("This module is started by localcloud itself; use localcloud.emulator.start().")
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _serve(Path(arguments[1]), socket.socket(fileno=int(arguments[2])), int(arguments[3]))


if __name__ == "__main__":
    _main(sys.argv[1:])
