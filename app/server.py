"""Serving the application by waitress: bodies too large to keep, answers without HTML, and a graceful stop."""

from __future__ import annotations

import io
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask

from app.service import MAX_BODY, problem_json

_LARGEST_UPLOAD = 64 * 1024 * 1024  # bytes read (and forgotten) so that the client gets to see its 413
_GRACE = 10.0  # seconds for requests under way when the stop comes; ECS kills after 30


class ServeError(Exception):
    """The service cannot be served; the message is a sentence."""


class _Sink:
    """Stands in for the buffer of a body that is too large already: counts bytes and keeps none."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def append(self, data: bytes) -> None:
        self._length += len(data)

    def getfile(self) -> io.BytesIO:
        return io.BytesIO()

    def close(self) -> None:
        pass


class _Parser(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
    """Forgets what exceeds MAX_BODY as it arrives. The application refuses such a body by its length; a server
    that hung up instead would make the client see a broken connection."""

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        body = self.body_rcv
        if body is not None and len(body) > MAX_BODY and not isinstance(body.buf, _Sink):
            full = body.buf
            body.buf = _Sink(len(full))
            full.close()
        return consumed


class _ErrorTask(ErrorTask):  # type: ignore[misc] # waitress has no types
    """Answers a request that is not HTTP, which the application never sees, as it would."""

    def execute(self) -> None:
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        body = problem_json(error.code, f"The request cannot be read: {str(error.body)[:200].rstrip('.')}.")
        self.response_headers.append(("Content-Type", "application/problem+json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    parser_class = _Parser
    error_task_class = _ErrorTask


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ServeError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ServeError(f"HOST {host!r} is not an address to listen on: {error}.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ServeError(f"{host}:{port} cannot be listened on: {error.strerror}. Set PORT.") from None
    return listener


def serve(app: Flask, listener: socket.socket, started: Callable[[], None]) -> None:
    """Serves `app` until SIGTERM or SIGINT, then finishes the requests under way. For the main thread.

    `started` is called once signals are handled and connections are accepted.
    """
    server: Any = create_server(
        app,
        sockets=[listener],
        threads=8,
        ident="",
        max_request_body_size=_LARGEST_UPLOAD,
        max_request_header_size=32 * 1024,
        channel_timeout=60,
        clear_untrusted_proxy_headers=True,
    )
    server.channel_class = _Channel
    stopping: list[int] = []

    def stop(number: int, _frame: object) -> None:
        stopping.append(number)
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)  # the stop is bounded; a second signal must not cut it short
        server.pull_trigger()  # wakes the loop

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    started()
    while not stopping:
        wasyncore.loop(timeout=1.0, map=server._map, count=1)
    _drain(server)


def _drain(server: Any) -> None:
    """Takes no more connections, and answers what was asked already."""
    wasyncore.dispatcher.close(server)
    until = time.monotonic() + _GRACE
    while time.monotonic() < until and any(
        channel.requests or channel.request or channel.total_outbufs_len for channel in server.active_channels.values()
    ):
        wasyncore.loop(timeout=0.1, map=server._map, count=1)
    server.task_dispatcher.shutdown(timeout=1)
    server.close()
    wasyncore.close_all(server._map)
