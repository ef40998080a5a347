from __future__ import annotations

import json
from typing import Any

import pytest

from app import records
from app.documents import DocumentError
from app.records import Feedback, Kind, Prediction

PREDICTION = Prediction("c" * 32, "2026-11-21T15:00:00.123Z", [68.0, 70.5], [127.1, 134.6], "a" * 16)
FEEDBACK = Feedback("c" * 32, 1, "2026-11-22T09:00:00.000Z", 131.5)


@pytest.mark.parametrize(("kind", "record"), [("predictions", PREDICTION), ("feedback", FEEDBACK)])
def test_a_record_is_read_back_from_its_line_as_it_was(kind: Kind, record: records.Record) -> None:
    line = records.line(record)

    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    assert records.parse(kind, line) == record
    assert records.parse(kind, line.strip()) == record


def test_a_full_call_fits_into_a_line() -> None:
    numbers = [27.123456789012345 + row * 0.012345678901 for row in range(records.MAX_ROWS)]
    line = records.line(PREDICTION._replace(heights=numbers, weights=[number * 9.87654321 for number in numbers]))

    assert len(line) <= records.MAX_LINE
    assert len(records.parse("predictions", line)[2]) == records.MAX_ROWS


def test_ids_are_random_and_times_are_to_the_millisecond() -> None:
    ids = {records.new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    made = PREDICTION._replace(id=ids.pop(), time=records.moment())
    assert records.parse("predictions", records.line(made)) == made


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("predictions", {"id": "C" * 32}, "id"),
        ("predictions", {"id": "c" * 31}, "id"),
        ("predictions", {"id": "c" * 32 + "\n"}, "id"),
        ("predictions", {"id": ["c"]}, "id"),
        ("predictions", {"time": "2026-11-21T15:00:00Z"}, "time"),
        ("predictions", {"time": "2026-13-21T15:00:00.123Z"}, "time"),
        ("predictions", {"time": 5}, "time"),
        ("predictions", {"heights": []}, "heights"),
        ("predictions", {"heights": [68.0]}, "1 heights and 2 weights"),
        ("predictions", {"heights": [68.0, True]}, "heights"),
        ("predictions", {"heights": [68.0, "70.5"]}, "heights"),
        ("predictions", {"heights": [68.0, 1e9]}, "heights"),
        ("predictions", {"heights": [68.0, None]}, "heights"),
        ("predictions", {"heights": [68.0] * 1_001}, "heights"),
        ("predictions", {"heights": 68.0}, "heights"),
        ("predictions", {"weights": [127.1, -1.0]}, "weights"),
        ("predictions", {"weights": [127.1, 1e300]}, "weights"),
        ("predictions", {"model": "../../etc/passwd"}, "model"),
        ("predictions", {"who": "somebody"}, "is not an object"),
        ("feedback", {"row": -1}, "row"),
        ("feedback", {"row": 1_000}, "row"),
        ("feedback", {"row": True}, "row"),
        ("feedback", {"row": 1.0}, "row"),
        ("feedback", {"weight": 0.0}, "weight"),
        ("feedback", {"weight": 1e9}, "weight"),
        ("feedback", {"weight": "131"}, "weight"),
        ("feedback", {"heights": [68.0]}, "is not an object"),
    ],
)
def test_a_line_that_is_no_such_record_is_refused(kind: Kind, change: dict[str, Any], said: str) -> None:
    record = PREDICTION if kind == "predictions" else FEEDBACK
    with pytest.raises(DocumentError, match=said) as refused:
        records.parse(kind, json.dumps({**record._asdict(), **change}).encode())
    assert "127.1" not in str(refused.value)
    assert "c" * 31 not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"{", b"[]", b"null", b"\xff\xfe", b"{" * 5_000, b"NaN", b'{"id": NaN}', b"0" * 70_000],
)
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(DocumentError):
        records.parse("predictions", text)


def test_a_record_is_not_taken_for_one_of_the_other_kind() -> None:
    with pytest.raises(DocumentError, match="is not an object"):
        records.parse("feedback", records.line(PREDICTION))
    with pytest.raises(DocumentError, match="is not an object"):
        records.parse("predictions", records.line(FEEDBACK))
