"""One worker's HTTP: waitress reads requests and runs Flask in threads, a loop of ours takes the fast path before it.

waitress's own loop asks every connection what it waits for each time round; this one asks those alone that are not
plain, and lets the kernel keep the rest (epoll). What is bounded, and how it is told:

    body       MAX_BODY; more is read, forgotten and answered 413
    time       a request arrives, and an answer is taken, within ARRIVAL seconds; an idle connection ends after IDLE
    queue      QUEUE requests for Flask's threads and CONNECTIONS connections; who is over gets 503 with Retry-After
    stop       who asks within QUIET seconds of silence, LINGER in all, is answered and told to close; then nobody new
"""

from __future__ import annotations

import array
import contextlib
import io
import logging
import select
import socket
import struct
import time
from time import monotonic, perf_counter
from typing import Any

from flask import Flask
from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error

from app import events, requests
from app.fast import MORE, RETRY, Fast
from app.metrics import NO_ROUTE, Metrics
from app.requests import MAX_BODY, PROBLEM

log = logging.getLogger("app.server")

ARRIVAL = 20.0  # seconds
IDLE = 75.0  # seconds: more than the minute after which load balancers drop what is idle, so that they are first
QUEUE = 64
CONNECTIONS = 1_000
QUIET, LINGER, GRACE = 0.5, 3.0, 10.0  # seconds of a stop; platforms kill after 30

_THREADS = 4  # for what is not on the fast path
_LARGEST_UPLOAD = 64 * 1024 * 1024  # bytes read (and forgotten) so that the client gets to see its 413
_LARGEST_HEAD = 32 * 1024
_READ = 32 * 1024
_REFUSED = 200  # connections over CONNECTIONS that are told so; others wait to be accepted
_DEAF = 0.05  # seconds for handshakes under way, once no new one is begun
_LOOK = 1.0  # seconds between two looks at who is too slow


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


class _FullError(Error):  # type: ignore[misc] # as above
    code, reason = 503, "Service Unavailable"


class _ErrorTask(ErrorTask):  # type: ignore[misc] # as above
    """Answers a request that the application never sees, as it would."""

    def execute(self) -> None:
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        said = str(error.body)[:200].rstrip(".")
        body = requests.problem(error.code, said + "." if error.code == 503 else f"The request cannot be read: {said}.")
        request = events.request_id(None)
        self.response_headers += [
            ("Content-Type", PROBLEM),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Request-Id", request),
        ]
        if error.code == 503:
            self.response_headers.append(("Retry-After", RETRY))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
        seconds = time.time() - self.start_time
        self.channel.server.worker.metrics.answered(NO_ROUTE, error.code, seconds)
        self.channel.server.worker.told.tell(NO_ROUTE, error.code, seconds, request)


class _Task(WSGITask):  # type: ignore[misc] # as above
    def execute(self) -> None:
        worker = self.channel.server.worker
        if worker.stopping:
            self.set_close_on_finish()
        worker.serving.add(self)
        try:
            super().execute()
        finally:
            worker.serving.discard(self)


class _Channel(HTTPChannel):  # type: ignore[misc] # as above
    """A connection. While it has no request of waitress's, what it reads is shown to the fast path first."""

    parser_class = _Parser
    task_class = _Task
    error_task_class = _ErrorTask
    partial = b""  # of a request for the fast path
    since = 0.0  # when the request began to arrive that is `timed`, or `partial`
    timed: Any = None
    refused = False  # made while the worker was full

    def add_channel(self, map: Any = None) -> None:  # noqa: A002 - waitress's name
        super().add_channel(map)
        self.server.worker.watch(self._fileno)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002 - as above
        self.server.worker.forget(self._fileno)
        super().del_channel(map)

    @property
    def idle(self) -> bool:
        """Whether nothing of a request or an answer is under way."""
        return not (self.requests or self.request or self.total_outbufs_len or self.partial)

    def handle_read(self) -> None:
        worker = self.server.worker
        worker.asked = worker.now
        if self.refused or self.request is not None or self.requests or self.total_outbufs_len:
            super().handle_read()
            worker.unsettled.add(self)
            return
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.handle_close()
            return
        if self.partial:
            data = self.partial + data
        close = worker.stopping  # read once: a signal may change it, and what is said must be what is done
        answer = worker.fast.answer(data, worker.started, close=close)
        if answer:
            self.partial = b""
            self.last_activity = worker.now
            self._send(answer, worker, close)
        elif answer is MORE:
            if not self.partial:
                self.since = worker.now
            self.partial = data
        else:
            self.partial = b""
            self.last_activity = worker.now
            self.received(data)
            worker.unsettled.add(self)

    def is_late(self, now: float) -> bool:
        """Whether this client takes too long; asked now and then, at `now`."""
        if self.requests:
            return False  # it is our turn
        if self.total_outbufs_len:
            return bool(self.last_activity < now - ARRIVAL)
        if self.request is not self.timed:
            self.timed = self.request
            if self.request is not None:
                self.since = now
        if self.request is not None or self.partial:
            return self.since < now - ARRIVAL
        return bool(self.last_activity < now - (ARRIVAL if self.refused else IDLE))

    def _send(self, answer: bytes, worker: Worker, close: bool) -> None:
        try:
            sent = self.socket.send(answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.handle_close()
            return
        if sent < len(answer):
            with self.outbuf_lock:
                self.outbufs[-1].append(answer[sent:])
                self.total_outbufs_len += len(answer) - sent
            worker.unsettled.add(self)
        if close:
            self.close_when_flushed = True
            worker.unsettled.add(self)


class Worker:
    """Answers the connections of `listener` by `app` and `fast` until `stop`, then those that were made already."""

    def __init__(
        self, app: Flask, listener: socket.socket, fast: Fast, metrics: Metrics, told: events.Requests
    ) -> None:
        self.fast, self.metrics, self.told = fast, metrics, told
        self.stopping = False
        self.serving: set[Any] = set()  # tasks of Flask's threads; waitress counts threads as busy that only begin
        self.unsettled: set[Any] = set()  # channels that may wait for something else than the kernel knows of
        self.now, self.started = time.time(), perf_counter()
        self.asked = 0.0  # when something was last read
        self._epoll = select.epoll()
        self._masks: dict[int, int] = {}
        self._refusals: list[Any] = []
        self._looked = 0.0
        self._accepting = False
        self._server: Any = create_server(
            app,
            sockets=[listener],
            threads=_THREADS,
            ident="",
            max_request_body_size=_LARGEST_UPLOAD,
            max_request_header_size=_LARGEST_HEAD,
            clear_untrusted_proxy_headers=True,
        )
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # our own bound is what counts
        self._server.channel_class = _Channel
        self._server.worker = self
        self._server.add_task = self._add_task
        self._listener: socket.socket = self._server.socket
        self._channels: dict[int, Any] = self._server._map
        self._epoll.register(self._server.trigger._fileno, select.EPOLLIN)
        self._listen(True)

    def stop(self) -> None:
        """Begins the end: `run` returns once everybody is answered. For a signal's handler or another thread."""
        self.stopping = True
        with contextlib.suppress(OSError):  # it has ended
            self._server.pull_trigger()

    def run(self) -> None:
        """Answers until the end."""
        while not self.stopping:
            self._turn(_LOOK)
        self._drain()
        self._server.task_dispatcher.shutdown(timeout=1)
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.trigger.close()
        self._epoll.close()

    def watch(self, file: int) -> None:
        """Waits for what this connection sends."""
        self._masks[file] = select.EPOLLIN
        self._epoll.register(file, select.EPOLLIN)

    def forget(self, file: int) -> None:
        """This connection is about to be closed."""
        if self._masks.pop(file, None) is not None:
            self._epoll.unregister(file)

    def _turn(self, seconds: float) -> None:
        """Waits for something to happen, and does what is to be done about it."""
        events_ = self._epoll.poll(seconds)
        self.now, self.started = time.time(), perf_counter()
        listener = self._listener.fileno()
        for file, mask in events_:
            channel = self._channels.get(file)
            if file == listener:
                self._accept()
            elif channel is not None:
                self._serve(channel, mask)
        while self._refusals:
            self._refusals.pop(0).service()
        if self.unsettled:
            self._settle()
        if self.now - self._looked >= _LOOK:
            self._looked = self.now
            self._look()

    def _serve(self, channel: Any, mask: int) -> None:
        try:
            if mask & select.EPOLLIN:
                channel.handle_read()
            if mask & select.EPOLLOUT:
                channel.handle_write()
                self.unsettled.add(channel)
            if mask & (select.EPOLLHUP | select.EPOLLERR) and not mask & select.EPOLLIN:
                channel.handle_close()
        except Exception:  # one connection must not end the others
            log.exception("a connection failed")
            channel.handle_close()

    def _settle(self) -> None:
        """Tells the kernel what the channels wait for that are not plain."""
        for channel in list(self.unsettled):
            file = channel._fileno
            known = self._masks.get(file)
            if known is None:
                self.unsettled.discard(channel)
                continue
            asked = bool(channel.requests)  # first: a thread that answers meanwhile has written before it takes it away
            writable = channel.writable()
            mask = (select.EPOLLIN if channel.readable() else 0) | (select.EPOLLOUT if writable else 0)
            if mask != known:
                self._masks[file] = mask
                self._epoll.modify(file, mask)
            if not (writable or asked):
                self.unsettled.discard(channel)

    def _accept(self) -> bool:
        """Takes a connection; False if there is none."""
        before = len(self._server.active_channels)
        self._server.handle_accept()
        number = len(self._server.active_channels)
        if number > CONNECTIONS:
            next(reversed(self._server.active_channels.values())).refused = True
            if number >= CONNECTIONS + _REFUSED:
                self._listen(False)
        return number > before

    def _listen(self, accepting: bool) -> None:
        if accepting != self._accepting:
            self._accepting = accepting
            if accepting:
                self._epoll.register(self._listener.fileno(), select.EPOLLIN)
            else:
                self._epoll.unregister(self._listener.fileno())

    def _add_task(self, channel: Any) -> None:
        """Gives a channel's first request to Flask's threads, or refuses it. waitress holds a lock of the channel."""
        request, dispatcher = channel.requests[0], self._server.task_dispatcher
        full = len(dispatcher.queue) + len(self.serving) >= QUEUE + _THREADS
        if request.error is None and (channel.refused or full):
            request.error = _FullError("The service is full; try again in a moment")
            self._refusals.append(channel)
        else:
            dispatcher.add_task(channel)

    def _look(self) -> None:
        """Ends connections that are too slow, and takes new ones again if there is room."""
        for channel in list(self._server.active_channels.values()):
            if channel.is_late(self.now):
                channel.handle_close()
        if not self.stopping and len(self._server.active_channels) < CONNECTIONS + _REFUSED:
            self._listen(True)

    def _drain(self) -> None:
        """Answers who asks until it is quiet, then who is connected, then ends."""
        stopped = monotonic()
        self.asked = quiet_since = self.now = time.time()
        while monotonic() - stopped < LINGER and time.time() - max(quiet_since, self.asked) < QUIET:
            self._turn(0.05)
        _deafen(self._listener)
        deaf = monotonic()
        while monotonic() - deaf < _DEAF:
            self._turn(_DEAF / 5)
        while self._accept():
            pass
        self._listen(False)
        self._listener.close()
        closed = time.time()
        while self._server.active_channels and monotonic() - stopped < GRACE:
            for channel in list(self._server.active_channels.values()):
                silent = time.time() - max(closed, channel.last_activity)
                if channel.idle and not channel.writable() and silent >= QUIET:
                    channel.handle_close()
            self._turn(0.05)


def _deafen(listener: socket.socket) -> None:
    """Has the kernel pass over new connections (packets with SYN), which would be reset when the listener closes.

    Linux, packet(7) and "Linux Socket Filtering": a filter of a TCP socket sees packets from the TCP header on, whose
    byte 13 has the flags.
    """
    load, test, drop, keep = (0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)
    program = array.array("B", b"".join(struct.pack("HBBI", *each) for each in (load, test, drop, keep)))
    attach = struct.pack("HxxxxxxQ", 4, program.buffer_info()[0])
    try:
        listener.setsockopt(socket.SOL_SOCKET, 26, attach)  # SO_ATTACH_FILTER
    except OSError as error:  # some sandboxes forbid it; then a connection made in the last moment may be reset
        log.warning("new connections cannot be held off: %s", error.strerror)
