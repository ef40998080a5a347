"""The fast path and the Flask route give the same answers, errors included."""

from __future__ import annotations

import json
import logging
from time import perf_counter
from typing import Any

import pytest
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import service
from app.calls import Calls
from app.fast import MORE, Fast
from app.requests import MAX_BODY, MAX_HEIGHTS
from tests.app.lines import line
from tests.app.test_app_service import JSON, Fixed, samples

HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def fast_of(app: Flask) -> Fast:
    return Fast(app.extensions["answers"], app.extensions["metrics"], app.extensions["requests"])


APP = service.create_app(Fixed())
FAST = fast_of(APP)
STEEP = service.create_app(Fixed(line(mean=66, scale=4, coefficient=31, intercept=161, minimum=54, maximum=79)))
EMPTY = service.create_app(Fixed(None))


def raw(body: bytes, *headers: bytes) -> bytes:
    """A request as a client sends it."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Answer:
    """An answer as HTTP: status, headers by lower name, and body."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert self.headers["content-length"] == str(len(self.body))


def by_fast(fast: Fast, body: bytes, *headers: bytes) -> Answer | None:
    found = fast.answer(raw(body, *headers), perf_counter())
    return None if found is None else Answer(found)


def same(body: bytes, app: Flask = APP, *, headers: dict[str, str] | None = None) -> int:
    """Asks both ways and compares all but what is new each time; the status."""
    given_ = {"Content-Type": "application/json", **(headers or {})}
    route = app.test_client().post("/predict", data=body, headers=given_)
    lines = [f"{name}: {value}".encode("latin-1") for name, value in (headers or {}).items()]
    found = by_fast(fast_of(app), body, *lines)
    assert found is not None
    assert found.status == route.status_code
    expected = {name.lower(): value for name, value in route.headers if name != "Connection"}
    for name in ("x-request-id", "date"):
        expected.pop(name, None)
        assert found.headers.pop(name)
    assert found.headers == expected
    assert masked(found.body) == masked(route.data)
    return found.status


def masked(body: bytes) -> bytes:
    """A body without the id that is another each time."""
    document = json.loads(body)
    return body.replace(document["id"].encode(), b"ID") if "id" in document else body


FIELDS = st.fixed_dictionaries(
    {}, optional={"height": JSON | st.floats(15, 115), "heights": st.lists(JSON | st.floats(15, 115)), "unit": JSON}
)
TEXT = (FIELDS | JSON).map(lambda document: json.dumps(document).encode())
RAW = st.binary(min_size=1, max_size=200)


@settings(max_examples=400, deadline=None)
@given(TEXT | RAW)
@example(b'{"height":68,"height":69}')
@example(b'{"height":68,"\\u0068eight":69}')
@example(b'{"unit":"in","unit":"cm","height":68}')
@example(b'{"height":68,"unit":"in:"}')
@example(b'{"height":68,"hei:ght":1}')
@example(b'{"height": 1e999}')
@example(b'{"height": NaN}')
@example(b'{"height": 68} ')
@example(b'\xef\xbb\xbf{"height": 68}')
@example(b'{"height": "\\ud800"}')
@example(b'{"height": 068}')
@example(b'{"height": 68.}')
@example(b'{"heights": [68, true]}')
@example(b'{"heights": []}')
@example(b'{"heights": [68, 69], "height": 68}')
@example(b'{"height": 18446744073709551616}')
@example(b'{"unit": "cm", "height": 180}')
def test_both_ways_answer_alike_whatever_is_asked(body: bytes) -> None:
    same(body)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(20, 110) | st.integers(20, 110), min_size=1, max_size=20), st.sampled_from(["in", "cm", None])
)
def test_both_ways_give_the_same_weights(heights: list[float], unit: str | None) -> None:
    factor = 2.54 if unit == "cm" else 1
    asked: dict[str, Any] = {
        "heights": [min(max(height * factor, 50.8 if unit == "cm" else 20), 279) for height in heights]
    }
    body = json.dumps(asked if unit is None else {**asked, "unit": unit}).encode()
    assert same(body, service.create_app(Fixed(line(coefficient=1.0)))) in (200, 400)


def test_both_ways_refuse_alike_without_a_model_and_where_it_has_no_sensible_weight() -> None:
    assert same(b'{"height": 68}', EMPTY) == 503
    assert same(b'{"heights": [66, 36]}', STEEP) == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "identity"},
        {"Content-Encoding": ""},
        {"X-Request-Id": "mine"},
        {"X-Request-Id": "not plain"},
        {"X-Forwarded-For": "1.2.3.4"},
        {"Cookie": "a=b"},
    ],
)
def test_both_ways_read_headers_alike(headers: dict[str, str]) -> None:
    same(b'{"height": 68}', headers=headers)


@pytest.mark.parametrize(
    "content_type", ["text/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/json;", "", "é"]
)
def test_both_ways_read_content_types_alike(content_type: str) -> None:
    body = b'{"height": 68}'
    route = APP.test_client().post("/predict", data=body, headers={"Content-Type": content_type})
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: " + content_type.encode("latin-1")
    found = FAST.answer(head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body, perf_counter())
    assert found is not None
    answer = Answer(found)
    assert (answer.status, masked(answer.body)) == (route.status_code, masked(route.data))


def test_both_ways_answer_the_largest_body_and_as_many_heights_as_are_allowed_alike() -> None:
    assert same(json.dumps({"heights": [68.123456789012345] * MAX_HEIGHTS}).encode()) == 200
    assert same(json.dumps({"heights": [68] * (MAX_HEIGHTS + 1)}).encode()) == 413
    assert same(b'{"height": 68' + b" " * (MAX_BODY - 14) + b"}") == 200


def test_both_ways_count_alike() -> None:
    app = service.create_app(Fixed())
    fast, client = fast_of(app), app.test_client()
    for body in (b'{"height": 68}', b'{"heights": [68, 70]}', b"{"):
        by_fast(fast, body)
        client.post("/predict", data=body, content_type="application/json")
    found = samples(client)
    assert found["http_requests_total", "/predict", "200"] == 4
    assert found["http_requests_total", "/predict", "400"] == 2
    assert found["predictions_total", "a" * 16] == 6
    assert found["http_request_duration_seconds_count", "/predict"] == 6


BODY = b'{"height": 68}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /predict HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /feedback HTTP/1.1\r\nContent-Length: 14\r\n\r\n" + BODY,
        b"POST /predict?x=1 HTTP/1.1\r\nContent-Length: 14\r\n\r\n" + BODY,
        b"POST /predict HTTP/1.0\r\nContent-Length: 14\r\n\r\n" + BODY,
        b"post /predict HTTP/1.1\r\nContent-Length: 14\r\n\r\n" + BODY,
        HEAD[:-2],
        HEAD + b"\r\n" + BODY,
        raw(BODY, b"Connection: close"),
        raw(BODY, b"Expect: 100-continue"),
        raw(BODY, b"Transfer-Encoding: chunked"),
        raw(BODY, b"Transfer-Encoding: gzip"),
        raw(BODY, b"Content-Length: 14"),
        raw(BODY, b"Content-Length: 15"),
        raw(BODY, b"no colon"),
        raw(BODY, b"bare\rreturn: x"),
        raw(BODY, b"bare\nline: x"),
        raw(BODY) + b"G",
        raw(BODY) + raw(BODY),
        raw(BODY, b"X: " + b"y" * 5_000),
        HEAD + b"Content-Length: -1\r\n\r\n" + BODY,
        HEAD + b"Content-Length: +14\r\n\r\n" + BODY,
        HEAD + b"Content-Length: 0x0e\r\n\r\n" + BODY,
        HEAD + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
        HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1) + BODY,
    ],
)
def test_what_is_not_one_plain_request_is_left_to_the_server(data: bytes) -> None:
    for _ in range(2):  # read, and remembered
        assert FAST.answer(data, perf_counter()) is None


def test_a_request_that_is_not_whole_yet_is_waited_for() -> None:
    whole = raw(BODY)
    for size in range(whole.index(b"\r\n\r\n") + 4, len(whole)):
        assert FAST.answer(whole[:size], perf_counter()) is MORE
    assert Answer(FAST.answer(whole, perf_counter()) or b"").status == 200


def test_an_answer_that_ends_the_connection_says_so() -> None:
    assert Answer(FAST.answer(raw(BODY), perf_counter(), close=True) or b"").headers["connection"] == "close"
    assert "connection" not in Answer(FAST.answer(raw(BODY), perf_counter()) or b"").headers


def test_answers_that_wait_for_a_table_are_left_to_threads() -> None:
    waiting = service.create_app(Fixed(), None, Calls(lambda _: None))
    assert fast_of(waiting).answer(raw(BODY), perf_counter()) is None


def test_heads_that_are_all_different_are_answered_and_not_kept_for_ever() -> None:
    fast = fast_of(APP)
    for number in range(1_000):
        found = by_fast(fast, BODY, b"X-Trace: %d" % number)
        assert found is not None
        assert found.status == 200
    assert len(fast._heads) <= 256


def test_a_bug_is_a_500_and_not_the_end_of_the_worker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = service.create_app(Fixed())

    def broken(_: Any) -> bytes:
        raise RuntimeError("secret")

    monkeypatch.setattr(app.extensions["answers"], "predict", broken)
    with caplog.at_level(logging.CRITICAL):
        assert same(BODY, app) == 500
