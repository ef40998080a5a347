"""What a request may say: the one reader of bodies, for the Flask routes, the fast path and the function alike.

    predict(body, …)    {"height": 68}  or  {"heights": [172.7, 180], "unit": "cm"}
    feedback(body, …)   {"id": "…", "weight": 131.2}  or  {"id": "…", "weights": [59.5, 61], "unit": "kg"}

Whatever is wrong raises RequestError, which `problem` spells as a problem document (RFC 9457) with the field at
fault. Bodies in a usual form are read by orjson. All others, and every body with a mistake, take the longer way
through `documents.parse`, so that there is one wording of what is refused and nothing that only one way accepts.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson

from app import documents
from app.dataset import HEIGHT_RANGE, WEIGHT_RANGE
from app.documents import DocumentError, short

MAX_BODY = 64 * 1024  # bytes; twice what MAX_HEIGHTS take when written with full precision
MAX_HEIGHTS = 1_000
MAX_LIST = 24 * MAX_HEIGHTS  # bytes: a number written in full takes 18, its comma one
TOO_LARGE = f"The body is larger than {MAX_BODY} bytes; send at most {MAX_HEIGHTS} heights."
PROBLEM = "application/problem+json"
JSON = "application/json"
ID_DIGITS = 32


class Unit(NamedTuple):
    """A unit of heights, and the unit of weights that goes with it."""

    height: str
    weight: str
    inches: float  # in one of the unit
    weight_of_pound: float
    low: float  # the least and the largest height of people, as shown
    high: float


def _unit(height: str, weight: str, inches: float, weight_of_pound: float) -> Unit:
    return Unit(height, weight, inches, weight_of_pound, *(round(bound / inches, 6) for bound in HEIGHT_RANGE))


UNITS = {"in": _unit("in", "lb", 1.0, 1.0), "cm": _unit("cm", "kg", 1 / 2.54, 0.45359237)}
_POUNDS = {"lb": 1.0, "kg": 1 / 0.45359237}


class RequestError(Exception):
    """A request that is refused: the status, a sentence, and the field it is about."""

    def __init__(self, status: int, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field = status, detail, field


class Asked(NamedTuple):
    """What a prediction is asked for: heights in `unit`, and whether as a list (`many`) or as one number.

    `least` and `most` are the smallest and the largest of them. `written` is the list as one line of JSON, as whoever
    asked wrote it, or empty where they did not.
    """

    heights: list[float]
    unit: Unit
    many: bool
    least: float
    most: float
    written: bytes = b""


class Told(NamedTuple):
    """True weights, in pounds, of rows of the prediction `id`: (row, weight)."""

    id: str
    rows: list[tuple[int, float]]


def predict(body: bytes, content_type: str | None, content_encoding: str | None) -> Asked:
    """What a body asks of /predict. Pass at most MAX_BODY + 1 bytes of it. Raises RequestError."""
    if content_type != JSON or content_encoding or len(body) > MAX_BODY:
        _check(body, content_type, content_encoding)
    return _asked_quickly(body) or _asked(_parsed(body))


def feedback(body: bytes, content_type: str | None, content_encoding: str | None) -> Told:
    """What a body tells /feedback. Pass at most MAX_BODY + 1 bytes of it. Raises RequestError."""
    _check(body, content_type, content_encoding)
    return _told(_parsed(body))


def problem(status: int, detail: str, field: str | None = None) -> bytes:
    """The body of a problem document; `field` is left out where there is none."""
    named = {} if field is None else {"field": field}
    title = HTTPStatus(status).phrase.title()
    return documents.dump({"type": "about:blank", "title": title, "status": status, "detail": detail, **named})


def _check(body: bytes, content_type: str | None, content_encoding: str | None) -> None:
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != JSON:
        sent = short(media_type) if media_type else "nothing"
        raise RequestError(415, f"Content-Type must be application/json; it says {sent}.", "Content-Type")
    if content_encoding not in (None, "", "identity"):
        raise RequestError(415, "Content-Encoding is not supported; send plain JSON.", "Content-Encoding")
    if len(body) > MAX_BODY:
        raise RequestError(413, TOO_LARGE, "body")


def _parsed(body: bytes) -> Any:
    try:
        return documents.parse(body)
    except DocumentError as error:
        raise RequestError(400, f"The body {error}.", "body") from None


def _asked_quickly(body: bytes) -> Asked | None:
    """What a body without any mistake asks for; None where it has one, or may have.

    orjson keeps the last of two equal names, where we refuse the body. What passes here has no colon within its
    strings, which are its names and a unit: each member has one colon, so more colons than members are a second
    name.
    """
    try:
        found = orjson.loads(body)
        unit = UNITS[found.get("unit", "in")]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return None
    members = len(found)
    if body.count(b":") != members or members - ("unit" in found) != 1:
        return None
    try:  # what is no number cannot be compared with one, and True and False are under any height
        if "height" in found:
            height = found["height"]
            return Asked([float(height)], unit, False, height, height) if unit.low <= height <= unit.high else None
        heights = found["heights"]
        if type(heights) is not list or not 0 < len(heights) <= MAX_HEIGHTS:
            return None
        least, most = min(heights), max(heights)
        inside = unit.low <= least <= most <= unit.high
        return Asked(heights, unit, True, least, most, _list_in(body)) if inside else None
    except (KeyError, TypeError):
        return None


def _list_in(body: bytes) -> bytes:
    """The text of the one list in a body; empty if it has several lines or is longer than numbers have to be."""
    found = body[body.index(b"[") : body.rindex(b"]") + 1]
    return b"" if len(found) > MAX_LIST or b"\n" in found or b"\r" in found else found


def _asked(body: Any) -> Asked:
    """What a parsed body asks for, looked at member by member."""
    if not isinstance(body, dict):
        raise RequestError(400, f'The body is {short(body)}; send an object such as {{"height": 68}}.', "body")
    _known(body, ("height", "heights", "unit"))
    if ("height" in body) == ("heights" in body):
        raise RequestError(400, "Give height for one person or heights for many, one of the two.", "height")
    unit = body.get("unit", "in")
    if not isinstance(unit, str) or unit not in UNITS:
        raise RequestError(400, f'unit is {short(unit)}; it must be "in" or "cm".', "unit")
    if "height" in body:
        height = _height(body["height"], UNITS[unit], "height")
        return Asked([height], UNITS[unit], False, height, height)
    given = _list(body["heights"], "heights")
    heights = [_height(height, UNITS[unit], f"heights[{index}]") for index, height in enumerate(given)]
    return Asked(heights, UNITS[unit], True, min(heights), max(heights))


def _told(body: Any) -> Told:
    """What a parsed body tells, looked at member by member."""
    if not isinstance(body, dict):
        example = '{"id": "…", "weight": 131.2}'
        raise RequestError(400, f"The body is {short(body)}; send an object such as {example}.", "body")
    _known(body, ("id", "row", "unit", "weight", "weights"))
    found = body.get("id")
    if not isinstance(found, str) or len(found) != ID_DIGITS or set(found) - set("0123456789abcdef"):
        said = "missing" if "id" not in body else short(found)
        raise RequestError(400, f"id is {said}; it must be the id of a prediction: 32 hexadecimal digits.", "id")
    if ("weight" in body) == ("weights" in body):
        raise RequestError(400, "Give weight for one row or weights for all, one of the two.", "weight")
    unit = body.get("unit", "lb")
    if not isinstance(unit, str) or unit not in _POUNDS:
        raise RequestError(400, f'unit is {short(unit)}; it must be "lb" or "kg".', "unit")
    if "weight" in body:
        return Told(found, [(_row(body.get("row", 0)), _weight(body["weight"], unit, "weight"))])
    if "row" in body:
        raise RequestError(400, "row goes with weight; weights are of all rows, from the first on.", "row")
    weights = _list(body["weights"], "weights")
    return Told(found, [(row, _weight(weight, unit, f"weights[{row}]")) for row, weight in enumerate(weights)])


def _known(body: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in body:
        if name not in names:
            listed = f"{', '.join(names[:-1])} and {names[-1]} are"
            raise RequestError(400, f"Field {short(name)} is not known; {listed}.", name[:80])


def _list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise RequestError(400, f"{field} is {short(value)}; it must be a list of numbers.", field)
    if len(value) > MAX_HEIGHTS:
        raise RequestError(413, f"{field} has {len(value)} items; {MAX_HEIGHTS} are allowed.", field)
    return value


def _height(value: Any, unit: Unit, field: str) -> float:
    return _number(value, unit.low, unit.high, field, f"people are {unit.low:g} to {unit.high:g} {unit.height} tall")


def _weight(value: Any, unit: str, field: str) -> float:
    low, high = (round(bound / _POUNDS[unit], 6) for bound in WEIGHT_RANGE)
    return _number(value, low, high, field, f"people weigh {low:g} to {high:g} {unit}") * _POUNDS[unit]


def _number(value: Any, low: float, high: float, field: str, range_: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(400, f"{field} is {short(value)}; it must be a number.", field)
    if not low <= value <= high:  # also false for an infinity, which 1e999 is read as
        shown = f"{value:g}" if math.isfinite(value) else "too large a number"
        raise RequestError(400, f"{field} is {shown}; {range_}.", field)
    return float(value)


def _row(value: Any) -> int:
    """A row: 7.0 is a whole number, too, as JSON Schema has it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 <= value < MAX_HEIGHTS and value == int(value)):
        raise RequestError(400, f"row is {short(value)}; it must be a whole number from 0 to {MAX_HEIGHTS - 1}.", "row")
    return int(value)
