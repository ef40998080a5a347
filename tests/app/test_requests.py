"""The quick way to read a body accepts nothing that the careful one refuses, and says the same."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import answers, requests
from app.requests import UNITS, Asked, RequestError
from tests.app.test_app_service import JSON

NAMES = st.sampled_from(["height", "heights", "unit", "\\u0068eight", "x"])
VALUES = st.sampled_from(
    [
        "68",
        "68.5",
        "1e2",
        "-0",
        "true",
        "null",
        '"in"',
        '"cm"',
        '"in:"',
        "[68, 69.5]",
        "[]",
        "[true]",
        '{"a": 1}',
        "1e999",
    ]
)
MEMBERS = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(
    lambda pairs: ("{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}").encode()
)


def carefully(body: bytes) -> Asked | None:
    try:
        return requests._asked(requests._parsed(body))
    except RequestError:
        return None


@settings(max_examples=1_000, deadline=None)
@given(MEMBERS | JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
@example(b'{"height": 68, "height": 69}')
@example(b'{"height": 68, "\\u0068eight": 69}')
@example(b'{"heights": [68], "heights": [69], "unit": "in"}')
@example(b'{"height": true}')
@example(b'{"heights": [68, true]}')
@example(b'{"height": 18446744073709551616}')
def test_what_is_read_quickly_is_what_is_read_carefully(body: bytes) -> None:
    quick = requests._asked_quickly(body)
    if quick is not None:
        assert quick._replace(written=b"") == carefully(body)
        if quick.written:
            assert json.loads(quick.written) == quick.heights
            assert len(quick.written.splitlines()) == 1


@pytest.mark.parametrize("body", [b'{"height": 68}', b'{"unit":"cm","heights":[170,171.5]}', b' {"height":68.25} \n'])
def test_usual_bodies_are_read_quickly(body: bytes) -> None:
    quick = requests._asked_quickly(body)
    assert quick is not None
    assert quick._replace(written=b"") == carefully(body)


def test_a_quick_look_keeps_what_was_asked_and_how_it_was_written() -> None:
    expected = Asked([68.0, 69.5], UNITS["in"], True, 68.0, 69.5, b"[68, 69.5]")
    assert requests._asked_quickly(b'{"heights": [68, 69.5]}') == expected


@pytest.mark.parametrize("between", [b"\n", b"\r", b"\r\n", b" " * requests.MAX_LIST])
def test_a_list_that_would_be_no_line_of_the_lake_is_not_kept_as_it_was_written(between: bytes) -> None:
    quick = requests._asked_quickly(b'{"heights": [68,' + between + b"69.5]}")
    assert quick == Asked([68.0, 69.5], UNITS["in"], True, 68.0, 69.5)


def test_a_forked_worker_gives_ids_of_its_own() -> None:
    answers._new_id()
    assert answers._ids
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, answers._new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 100).decode()
    os.close(read)
    os.close(write)
    assert len(theirs) == 32
    assert theirs not in answers._ids
