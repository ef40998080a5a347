"""The fast path: POST /predict answered from the bytes of a connection, without a thread and without Flask.

It takes one whole, plain request and nothing else: HTTP/1.1 with a Content-Length, nothing behind it, a connection
that stays open. All others go to the server and to Flask, whole. Heads are read by the server's own parser, and what
a body says and what is answered is the Flask route's own code (app/requests.py, app/answers.py): this module only
spells answers as HTTP. Clients repeat their heads, so a head that was read is remembered.
"""

from __future__ import annotations

import logging
import time
from email.utils import formatdate
from http import HTTPStatus
from time import perf_counter
from typing import Any, NamedTuple

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented

from app import events, requests
from app.answers import Answers
from app.metrics import PREDICT, Metrics
from app.requests import JSON, MAX_BODY, PROBLEM, RequestError

log = logging.getLogger("app.fast")

MORE = b""  # in place of an answer: the rest of the request has not come yet
RETRY = "1"  # seconds, of whoever got a 503
_START = b"POST /predict HTTP/1.1\r\n"
_END = b"\r\n\r\n"
_LONGEST = 4 * 1024  # bytes of a head; longer ones are not for here
_HEADS = 256  # that are remembered at once


class _Head(NamedTuple):
    """What a head says that matters here; `request` is the caller's id of it, if it gave one."""

    length: int
    content_type: str | None
    content_encoding: str | None
    request: str | None


class Fast:
    """Answers requests by `answers`, counts them in `metrics` and tells of them by `told`. For one thread."""

    def __init__(self, answers: Answers, metrics: Metrics, told: events.Requests) -> None:
        self._answers, self._metrics, self._told = answers, metrics, told
        self._adjustments = Adjustments()
        self._heads: dict[bytes, _Head | None] = {}
        self._second, self._ok = 0, b""

    def answer(self, data: bytes, started: float, *, close: bool = False) -> bytes | None:
        """The answer to the request in `data`, whose first byte came at `started` (of perf_counter); MORE if it is
        not whole yet, None if it is not for the fast path. `close` says that the connection ends with it."""
        if not data.startswith(_START) or self._answers.waits:
            return None
        end = data.find(_END, 0, _LONGEST) + 4
        if end < 4:
            return None
        raw = data[:end]
        head = self._heads[raw] if raw in self._heads else self._read(raw)
        if head is None or len(data) > end + head.length:
            return None
        if len(data) < end + head.length:
            return MORE
        request = head.request or events.request_id(None)
        status = 200
        try:
            asked = requests.predict(data[end:], head.content_type, head.content_encoding)
            body = self._answers.predict(asked)
        except RequestError as error:
            status, body = error.status, requests.problem(error.status, error.detail, error.field)
        except Exception:  # a bug must not end the worker
            log.exception("POST /predict failed (request %s)", request)
            status, body = 500, requests.problem(500, "The service failed; its log says how.")
        seconds = perf_counter() - started
        self._metrics.answered(PREDICT, status, seconds)
        self._told.tell(PREDICT, status, seconds, request)
        if status != 200 or close:
            return spell(status, body, request, close=close)
        if (now := int(time.time())) != self._second:
            self._second, self._ok = now, _first_lines(200, JSON, now)
        return b"%bX-Request-Id: %b\r\nContent-Length: %d\r\n\r\n%b" % (self._ok, request.encode(), len(body), body)

    def _read(self, raw: bytes) -> _Head | None:
        """What a head says; None if its request is not for here. Both are remembered."""
        parser: Any = HTTPRequestParser(self._adjustments)
        head = None
        try:
            parser.parse_header(raw)
        except (ParsingError, TransferEncodingNotImplemented):
            pass  # the server says what is wrong with it
        else:
            plain = not (parser.chunked or parser.expect_continue or parser.connection_close)
            if plain and 0 < parser.content_length <= MAX_BODY:
                headers = parser.headers
                given = headers.get("X_REQUEST_ID")
                request = given if given and events.request_id(given) == given else None
                head = _Head(
                    parser.content_length, headers.get("CONTENT_TYPE"), headers.get("CONTENT_ENCODING"), request
                )
        if len(self._heads) >= _HEADS:
            self._heads.clear()
        self._heads[raw] = head
        return head


def spell(status: int, body: bytes, request: str, *, close: bool) -> bytes:
    """An answer as HTTP/1.1; one that is not 200 is a problem document."""
    lines = _first_lines(status, JSON if status == 200 else PROBLEM, int(time.time()))
    retry = f"Retry-After: {RETRY}\r\n" if status == 503 else ""
    last = "Connection: close\r\n" if close else ""
    more = f"X-Request-Id: {request}\r\nContent-Length: {len(body)}\r\n{retry}{last}\r\n"
    return lines + more.encode("ascii") + body


def _first_lines(status: int, content_type: str, now: int) -> bytes:
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"
        f"Date: {formatdate(now, usegmt=True)}\r\nX-Content-Type-Options: nosniff\r\n"
    ).encode("ascii")
