"""What one worker bounds: time, connections, the queue; and what it does with requests in pieces."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from waitress.task import ThreadedTaskDispatcher

from app import server, service
from app.fast import Fast
from app.workers import listen
from tests.app.test_app_service import Fixed
from tests.app.test_fast import BODY, HEAD, raw
from tests.app.test_lake import until


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("ARRIVAL", 0.4), ("_LOOK", 0.05), ("QUIET", 0.05), ("LINGER", 0.5), ("_DEAF", 0.01)):
        monkeypatch.setattr(server, name, seconds)


class Served:
    """A worker in a thread of this process, at `address`; `slow` is a route that waits for `go`."""

    def __init__(self) -> None:
        app = service.create_app(Fixed())
        self.go, self.waiting = threading.Event(), threading.Semaphore(0)

        @app.get("/slow")
        def slow() -> str:
            self.waiting.release()
            self.go.wait(10)
            return "done"

        extensions = app.extensions
        self.metrics = extensions["metrics"]
        listener = listen("127.0.0.1", 0)
        self.address = listener.getsockname()
        fast = Fast(extensions["answers"], self.metrics, extensions["requests"])
        self.worker = server.Worker(app, listener, fast, self.metrics, extensions["requests"])
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()

    def connect(self) -> Connection:
        return Connection(self.address)


class Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self.stream = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """One whole answer: status, headers by lower name, body."""
        status = int(self.stream.readline().split()[1])
        headers = {}
        while line := self.stream.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return status, headers, self.stream.read(int(headers.get("content-length", 0)))

    def ended(self) -> bool:
        """Whether the other side ends the connection, within five seconds."""
        try:
            return self.stream.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


@contextmanager
def connections(found: Served, number: int) -> Iterator[list[Connection]]:
    made = [found.connect() for _ in range(number)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


@contextmanager
def serving() -> Iterator[Served]:
    found = Served()
    try:
        yield found
    finally:
        found.go.set()
        found.worker.stop()
        found.thread.join(10)
    assert not found.thread.is_alive()


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as found:
        yield found


VERSION = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("at", [1, 10, 60, 90, -1], ids=str)
def test_a_request_in_pieces_is_answered(served: Served, at: int) -> None:
    with connections(served, 1) as [one]:
        for _ in range(2):
            one.send(raw(BODY)[:at])
            time.sleep(0.03)
            one.send(raw(BODY)[at:])
            assert one.answer()[0] == 200


def test_requests_at_once_are_answered_in_their_order(served: Served) -> None:
    many = [raw(b'{"height": %d}' % height) for height in range(60, 76)]
    many[3:3] = [VERSION]
    with connections(served, 1) as [one]:
        one.send(b"".join(many))
        bodies = [json.loads(one.answer()[2]) for _ in many]
        assert "code" in bodies.pop(3)
        assert [body["weight"] for body in bodies] == [127 + 3 * (height - 68) for height in range(60, 76)]
        one.send(raw(BODY))
        assert one.answer()[0] == 200


def test_fast_and_other_requests_take_turns_on_a_connection(served: Served) -> None:
    with connections(served, 1) as [one]:
        for _ in range(20):
            for request, field in ((raw(BODY), "weight"), (VERSION, "code"), (raw(b"{}"), "detail")):
                one.send(request)
                assert field in json.loads(one.answer()[2])


@pytest.mark.parametrize(
    "begun",
    [raw(BODY)[:20], raw(BODY)[:-1], HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n", b"GET /healthz HTTP/1.1\r\n"],
    ids=["head", "body", "chunk", "other"],
)
def test_a_request_that_does_not_arrive_is_given_up_and_holds_nobody_up(served: Served, begun: bytes) -> None:
    with connections(served, 40) as slow, connections(served, 1) as [quick]:
        for each in slow:
            each.send(begun)
        for request in (raw(BODY), VERSION):
            quick.send(request)
            assert quick.answer()[0] == 200
        assert all(each.ended() for each in slow)
        quick.send(raw(BODY))
        assert quick.answer()[0] == 200  # a kept connection may be idle for longer


def test_a_request_that_comes_byte_by_byte_is_given_up_too(served: Served) -> None:
    with connections(served, 1) as [one]:
        sent = 0
        with suppress(ConnectionResetError, BrokenPipeError):
            for byte in raw(BODY, b"X: " + b"y" * 500):
                one.send(bytes([byte]))
                time.sleep(0.01)
                sent += 1
        assert 20 < sent < 300


def test_an_idle_connection_ends_after_a_while(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with connections(served, 2) as [used, silent]:
        used.send(raw(BODY))
        assert used.answer()[0] == 200
        monkeypatch.setattr(server, "IDLE", 0.2)
        assert used.ended()
        assert silent.ended()


def test_who_comes_when_the_queue_is_full_is_told_so_at_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "QUEUE", 3)
    with connections(served, server._THREADS + 5) as made:
        for each in made[: server._THREADS]:
            each.send(SLOW)
        for _ in range(server._THREADS):
            assert served.waiting.acquire(timeout=5)
        rest = made[server._THREADS :]
        for each in rest:
            each.send(SLOW)
            time.sleep(0.03)
        for each in rest[3:]:
            status, headers, body = each.answer()
            assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
            assert json.loads(body)["detail"] == "The service is full; try again in a moment."
            assert each.ended()
        with connections(served, 1) as [other]:
            other.send(raw(BODY))
            assert other.answer()[0] == 200  # the fast path has no queue
        served.go.set()
        for each in made[: server._THREADS + 3]:
            assert each.answer()[0] == 200
    assert b'http_requests_total{route="none",status="503"} 2.0' in served.metrics.exposition()


def test_the_first_requests_wait_for_threads_that_only_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "QUEUE", 3)
    may_begin, look = threading.Event(), ThreadedTaskDispatcher.handler_thread
    monkeypatch.setattr(
        ThreadedTaskDispatcher, "handler_thread", lambda self, number: may_begin.wait(10) and look(self, number)
    )
    with (
        serving() as served,
        connections(served, server._THREADS + 3) as first,
        connections(served, 1) as [over],
    ):
        for each in first:
            each.send(VERSION)
        queue = served.worker._server.task_dispatcher.queue
        assert until(lambda: len(queue) == len(first), 20)
        over.send(VERSION)
        assert over.answer()[0] == 503
        may_begin.set()
        assert [each.answer()[0] for each in first] == [200] * len(first)


def test_who_connects_when_there_are_enough_is_told_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 3)
    monkeypatch.setattr(server, "_REFUSED", 2)
    with connections(served, 3) as first:
        for each in first:
            each.send(raw(BODY))
            assert each.answer()[0] == 200
        with connections(served, 4) as more:  # of which two are told, and two wait until there is room
            for each in more:
                each.send(raw(BODY))
            for each in more[:2]:
                status, headers, _ = each.answer()
                assert (status, headers["retry-after"]) == (503, "1")
            for each in more[2:]:
                assert each.answer()[0] in (200, 503)
        for each in first:
            each.send(raw(BODY))
            assert each.answer()[0] == 200


def test_an_answer_that_is_not_read_is_given_up(served: Served) -> None:
    with connections(served, 1) as [one]:
        one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        many = json.dumps({"heights": [68.5] * 1_000}).encode()
        one.socket.settimeout(3)
        with suppress(TimeoutError, ConnectionResetError, BrokenPipeError):
            while True:
                one.send(raw(many))
        one.socket.settimeout(5)
        taken = 0  # of 17 KB for each request, were all of them answered
        with suppress(ConnectionResetError):  # it is one, where requests were left unread
            while data := one.stream.read1(1_000_000):
                taken += len(data)
        assert taken < 5_000_000
    with connections(served, 1) as [other]:
        other.send(raw(BODY))
        assert other.answer()[0] == 200


def test_a_stop_answers_what_is_under_way_and_says_that_the_connection_ends(served: Served) -> None:
    with connections(served, 4) as [slow, begun, idle, kept]:
        kept.send(raw(BODY))
        assert "connection" not in kept.answer()[1]
        slow.send(SLOW)
        assert served.waiting.acquire(timeout=5)
        begun.send(raw(BODY)[:-1])
        time.sleep(0.05)
        served.worker.stop()
        kept.send(raw(BODY))
        begun.send(raw(BODY)[-1:])
        for each in (kept, begun):
            status, headers, _ = each.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert each.ended()
        assert idle.ended()
        served.go.set()
        assert slow.answer()[0] == 200
        served.thread.join(5)
        assert not served.thread.is_alive()
        with pytest.raises(ConnectionRefusedError):
            served.connect()


def test_what_a_client_does_to_a_connection_ends_no_worker(served: Served) -> None:
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")  # a close is a reset
    for begun in (b"", raw(BODY)[:30], raw(BODY), SLOW, VERSION * 3, b"\x00" * 100):
        one: Any = served.connect()
        one.send(begun)
        one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        one.close()
    with connections(served, 1) as [other]:
        other.send(raw(BODY))
        assert other.answer()[0] == 200
