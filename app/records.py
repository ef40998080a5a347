"""What is written down of a prediction, and of the true weights that come back: one JSON line each.

    {"id":"…","time":"2026-11-21T15:00:00.123Z","heights":[68.0],"weights":[127.11],"model":"…"}   one for each call
    {"id":"…","row":0,"time":"2026-11-22T09:00:00.000Z","weight":131.5}                          one for each person

`id` joins the two; it is random, and who asked is nowhere in it. A line that is read is not trusted: the lake is a
bucket, and what lies in it may have been written by anybody who got hold of a key.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Literal, NamedTuple

import orjson

from app.dataset import HEIGHT_RANGE, WEIGHT_RANGE
from app.documents import DocumentError, short

Kind = Literal["predictions", "feedback"]
KINDS: tuple[Kind, ...] = ("predictions", "feedback")

MAX_ROWS = 1_000  # of a call
MAX_LINE = 64 * 1024  # bytes, the newline with them: MAX_ROWS heights and weights, written in full, take 45 KB
MAX_PREDICTED = 10_000.0  # lb: what a model may say of a height that it never saw, and no record goes beyond

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MODEL = re.compile(r"[0-9a-f]{16}", re.ASCII)
_TIME = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", re.ASCII)
_ROUNDING = 1e-6  # inches: a height in centimetres at the very edge of the range, converted


class Prediction(NamedTuple):
    """One answered call: `heights` in inches, `weights` in pounds, one of each per person, in the order asked."""

    id: str  # 32 hexadecimal digits, random
    time: str  # UTC to the millisecond, with a Z at its end
    heights: list[float]
    weights: list[float]
    model: str  # the version that answered


class Feedback(NamedTuple):
    """The true weight, in pounds, of the person in row `row` (from 0) of the call `id`."""

    id: str
    row: int
    time: str
    weight: float


Record = Prediction | Feedback


def new_id() -> str:
    """An id for a call: 128 random bits in 32 hexadecimal digits."""
    return token_hex(16)


def moment() -> str:
    """The time in UTC to the millisecond, as records spell it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def line(record: Record) -> bytes:
    """The record as one line of JSON, its newline at the end."""
    return orjson.dumps(record._asdict(), option=orjson.OPT_APPEND_NEWLINE)


def parse(kind: Kind, text: bytes) -> Record:
    """The record of `kind` that a line says, with its newline or without. Raises DocumentError: a sentence's end,
    as in "is not JSON", that quotes no height, no weight and no id."""
    if len(text) > MAX_LINE:
        raise DocumentError(f"is longer than {MAX_LINE} bytes")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise DocumentError("is not JSON") from None
    fields = (Prediction if kind == "predictions" else Feedback)._fields
    if not isinstance(found, dict) or found.keys() != set(fields):
        raise DocumentError(f"is not an object of {', '.join(fields)}")
    if not _matches(_ID, found["id"]):
        raise DocumentError("has an id that is not 32 hexadecimal digits")
    if not _is_time(found["time"]):
        raise DocumentError("has a time that is none, as 2026-11-21T15:00:00.123Z would be")
    return _prediction(found) if kind == "predictions" else _feedback(found)


def _prediction(found: dict[str, Any]) -> Prediction:
    low, high = HEIGHT_RANGE
    heights = _numbers(found["heights"], "heights", low - _ROUNDING, high + _ROUNDING)
    weights = _numbers(found["weights"], "weights", 0.0, MAX_PREDICTED)
    if len(heights) != len(weights):
        raise DocumentError(f"has {len(heights)} heights and {len(weights)} weights")
    if not _matches(_MODEL, found["model"]):
        raise DocumentError(f"has the model {short(found['model'])}, which is no version")
    return Prediction(found["id"], found["time"], heights, weights, found["model"])


def _feedback(found: dict[str, Any]) -> Feedback:
    row = found["row"]
    if type(row) is not int or not 0 <= row < MAX_ROWS:
        raise DocumentError(f"has a row that is no number from 0 to {MAX_ROWS - 1}")
    [weight] = _numbers([found["weight"]], "weight", *WEIGHT_RANGE)
    return Feedback(found["id"], row, found["time"], weight)


def _numbers(values: Any, name: str, low: float, high: float) -> list[float]:
    if not isinstance(values, list) or not 0 < len(values) <= MAX_ROWS:
        raise DocumentError(f"has {name} that are no list of 1 to {MAX_ROWS} numbers")
    for value in values:
        if type(value) not in (float, int) or not (low <= value <= high) or not math.isfinite(value):
            raise DocumentError(f"has {name} with what is no number from {low:g} to {high:g}")
    return [float(value) for value in values]


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_time(value: Any) -> bool:
    if not _matches(_TIME, value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
