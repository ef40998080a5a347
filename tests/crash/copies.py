"""An emulator that can be copied in a moment: Moto behind the gate in a process with one thread, which forks.

A call goes over a Unix socket in place of TLS; signatures are verified and policies decided as ever. Whoever needs the
emulator as it is now asks for a copy, which answers at a socket of its own and knows nothing of its original.
"""

from __future__ import annotations

import gc
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from io import BytesIO
from multiprocessing.connection import Client, Connection, Listener, wait
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from werkzeug.test import EnvironBuilder

URL = "https://127.0.0.1:1"  # nothing listens there: a call that took another way than ours would fail
PATIENCE = 5.0  # seconds
ADMINISTRATOR = ("AKIAIOSFODNN7EXAMPLE", "not-a-secret")

SETTINGS = {
    "MOTO_ACM_VALIDATION_WAIT": "0",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "1",
}  # those of localcloud.emulator


class Copy:
    """A running copy, by its socket. Its process is a child of the copy that it was made from."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _ask(self, *message: Any) -> Any:
        with Client(str(self.path), "AF_UNIX") as connection:
            connection.send(message)
            return connection.recv()

    def copy(self, path: Path) -> Copy:
        """Another emulator that holds what this one holds now."""
        self._ask("copy", path)
        return Copy(path)

    def stop(self) -> None:
        """Ends it; what it held is gone."""
        self._ask("stop")
        self.path.unlink(missing_ok=True)


def start(path: Path) -> Copy:
    """An empty emulator, in a child process."""
    ready, told = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        _serve(path, told)
    os.close(told)
    with os.fdopen(ready, "rb") as pipe:
        if pipe.read(1) != b"!":
            raise RuntimeError("the emulator did not start")
    return Copy(path)


def _serve(path: Path, told: int) -> NoReturn:
    os.environ.update(SETTINGS)
    from localcloud import gate  # noqa: PLC0415 - Moto reads its settings when it is imported

    try:
        app = gate.Gate(ADMINISTRATOR, secrets.token_hex(8), "copies", path.with_name("calls.jsonl"), 1)
        app.warm_up()
        gc.freeze()
        _answer(app, path, told)
    finally:
        os._exit(1)


def _answer(app: Any, path: Path, told: int) -> NoReturn:
    """Serves one connection after the other; in a copy it begins anew."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        with Listener(str(path), "AF_UNIX", backlog=16) as listener:
            os.write(told, b"!")
            os.close(told)
            path, told = _until_copied(app, listener)


def _until_copied(app: Any, listener: Listener) -> tuple[Path, int]:
    parent = os.getppid()
    while True:
        while not wait([listener._listener._socket], PATIENCE):  # type: ignore[attr-defined] # it has no time-out
            if os.getppid() != parent:
                os._exit(0)  # whoever it was for is gone
        with listener.accept() as connection:
            made = _conversation(app, connection)
        if made is not None:
            # The socket is the original's: only the copy's own hold on it goes.
            os.close(listener._listener._socket.detach())  # type: ignore[attr-defined] # close() would remove the file
            listener._listener._unlink = lambda: None  # type: ignore[attr-defined] # as would the end of `with`
            return made


def _conversation(app: Any, connection: Connection) -> tuple[Path, int] | None:
    """Answers until the other side ends; what is returned is where the copy, which this now is, has to answer."""
    while True:
        try:
            message = connection.recv()
        except (EOFError, ConnectionError):
            return None
        if message[0] == "copy":
            ready, told = os.pipe()
            if os.fork() == 0:
                from moto.moto_api._internal import mock_random  # noqa: PLC0415 - Moto reads its settings when imported

                os.close(ready)
                mock_random.seed()  # or it would give the ids that its original gives, to other resources
                return message[1], told
            os.close(told)
            with os.fdopen(ready, "rb") as pipe:
                pipe.read(1)
            connection.send(None)
        elif message[0] == "stop":
            connection.send(None)
            os._exit(0)
        else:
            answer = _call(app, *message[1:])
            try:
                connection.send(answer)
            except ConnectionError:
                return None


def _call(app: Any, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Any:
    parts = urlsplit(url)
    environ = EnvironBuilder(
        path=parts.path, query_string=parts.query, base_url=f"{parts.scheme}://{parts.netloc}", method=method,
        headers=headers, input_stream=BytesIO(body), content_length=len(body),
    ).get_environ()  # fmt: skip
    raw = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lowered = [(name.lower(), value) for name, value in headers]
    environ |= {"RAW_URI": raw, "REQUEST_URI": raw, "localcloud.tls": "1.3"}
    environ["localcloud.headers"] = lowered if "host" in dict(lowered) else [("host", parts.netloc), *lowered]
    started: list[tuple[str, Any]] = []
    content = b"".join(app(environ, lambda status, head, _=None: started.append((status, head))))
    return int(started[0][0].split()[0]), started[0][1], content


class _Raw(BytesIO):
    """A body as botocore takes it from the network."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def call_only(copy: Copy) -> None:
    """From now on, each call that boto3 makes in this process goes to the copy, whatever its host."""
    connection = Client(str(copy.path), "AF_UNIX")
    lock = threading.Lock()

    def send(_session: Any, request: Any) -> AWSResponse:
        headers = [
            (name, value.decode() if isinstance(value, bytes) else str(value))
            for name, value in request.headers.items()
        ]
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        with lock:
            connection.send(("call", request.method, request.url, headers, _bytes(body)))
            status, answered, content = connection.recv()
        found = HTTPHeaders()
        for name, value in answered:
            found.add_header(name, value)
        return AWSResponse(request.url, status, found, _Raw(content))

    URLLib3Session.send = send


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)
