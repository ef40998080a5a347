"""What is answered to a request that was understood, and what is written down of it: one way for all who ask.

    /predict    {"id": "…", "weight": 127.11, "margin": 19.74, "extrapolated": false, "unit": "lb", "model": "…"}
                {"id": "…", "weights": […], "margin": 19.74, "extrapolated": […], "unit": "lb", "model": "…"}
    /feedback   {"id": "…", "taken": 1}

`margin` is half the width of the 95 % prediction interval, in the answer's unit and the same at each height. `id`
names the prediction: 128 random bits, so that who knows it was told it, and may say what the true weight was.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from math import trunc
from typing import NamedTuple

import orjson

from app import records
from app.calls import Calls
from app.drift import Drift
from app.lake import Lake
from app.metrics import Metrics
from app.records import MAX_PREDICTED, Feedback, Prediction
from app.registry import Version
from app.requests import MAX_HEIGHTS, UNITS, Asked, RequestError, Told, Unit
from app.serving import Models

_IDS = 256  # made at once
_ids: list[str] = []
os.register_at_fork(after_in_child=_ids.clear)  # two workers must never give the same


class Answers:
    """Answers by the model that is served, and writes down what was answered: in `lake`, `calls` or nowhere."""

    def __init__(
        self, models: Models, metrics: Metrics, drift: Drift, lake: Lake | None = None, calls: Calls | None = None
    ) -> None:
        self._models, self._metrics, self._drift = models, metrics, drift
        self.lake = lake
        self._calls = calls
        self._moment = (0, "")
        self._lines: tuple[Version | None, dict[str, _Line]] = (None, {})

    @property
    def waits(self) -> bool:
        """Whether an answer waits for a table that is somewhere else, and so must be given by a thread."""
        return self._calls is not None

    def predict(self, asked: Asked) -> bytes:
        """The answer's JSON. Raises RequestError: 503 without a model, 400 for a height that it cannot tell of."""
        served = self._models.served
        version = served.version
        if version is None:
            raise RequestError(503, served.trouble or "No model was loaded yet.")
        heights, unit, many, shortest, tallest, given = asked
        line = self._line_of(version, unit)
        least, most = line.of(shortest), line.of(tallest)  # and all others are between them
        if not (min(least, most) > 0 and max(least, most) <= line.most):
            raise _senseless(asked, version)
        offset, slope = line.offset, line.slope
        weights = [trunc(offset + slope * height) / 100 for height in heights]
        written = orjson.dumps(weights)
        if unit.inches == 1.0:
            found = self._write_down(heights, weights, (given or orjson.dumps(heights), written), version)
        else:
            inches, pounds = [height * unit.inches for height in heights], self._line_of(version, UNITS["in"])
            in_pounds = [trunc(pounds.offset + pounds.slope * height) / 100 for height in inches]
            found = self._write_down(inches, in_pounds, (orjson.dumps(inches), orjson.dumps(in_pounds)), version)
        if not many:
            end = line.inside if line.low <= heights[0] <= line.high else line.outside
            return b'{"id":"%b","weight":%b%b' % (found, written[1:-1], end)
        if line.low <= shortest and tallest <= line.high:
            extrapolated = _all_inside(len(heights))
        else:
            extrapolated = orjson.dumps([not line.low <= height <= line.high for height in heights])
        return b'{"id":"%b","weights":%b%b%b%b' % (found, written, line.margin, extrapolated, line.rest)

    def feedback(self, told: Told) -> bytes:
        """The answer's JSON. Raises RequestError where nothing is kept."""
        if self.lake is None:
            raise RequestError(404, "True weights are not kept here: the service has no lake. Set LAKE to have one.")
        moment = records.moment()
        for row, weight in told.rows:
            self.lake.append("feedback", records.line(Feedback(told.id, row, moment, weight)))
        self._metrics.told(len(told.rows))
        return b'{"id":"%b","taken":%d}\n' % (told.id.encode(), len(told.rows))

    def _write_down(
        self, inches: list[float], pounds: list[float], written: tuple[bytes, bytes], version: Version
    ) -> bytes:
        """Writes a prediction down, `written` being both as JSON, and returns its id. Whatever goes wrong, it is
        answered."""
        found = _new_id()
        self._metrics.predicted(version.version, len(pounds))
        self._drift.observe(inches, version.model)
        if self.lake is not None:  # records.line of a Prediction, without making one
            names = (found.encode(), self._now().encode(), *written, version.version.encode())
            record = b'{"id":"%b","time":"%b","heights":%b,"weights":%b,"model":"%b"}\n' % names
            self.lake.append("predictions", record)
        if self._calls is not None:
            self._calls.store(Prediction(found, self._now(), inches, pounds, version.version))
        return found.encode()

    def _line_of(self, version: Version, unit: Unit) -> _Line:
        """The version's line in a unit, worked out when it is first asked for."""
        known, lines = self._lines
        if known is not version:
            lines = {name: _line(version, each) for name, each in UNITS.items()}
            self._lines = (version, lines)
        return lines[unit.height]

    def _now(self) -> str:
        """records.moment, made once for each millisecond."""
        now = time.time_ns() // 1_000_000
        known, text = self._moment
        if known != now:
            text = records.moment()
            self._moment = (now, text)
        return text


class _Line(NamedTuple):
    """A version's model in a unit, and how its answers go on: after a weight, and after weights in three parts.

    A weight is rounded to hundredths: trunc(offset + slope * height) / 100, which is Model.predict in the unit, half a
    hundredth added to it. That is a quarter of the time of predict and round.
    """

    offset: float
    slope: float
    most: float  # the heaviest sensible weight, in hundredths
    low: float  # the heights that the model knows
    high: float
    inside: bytes
    outside: bytes
    margin: bytes
    rest: bytes

    def of(self, height: float) -> float:
        """The weight in hundredths, not rounded."""
        return self.offset - 0.5 + self.slope * height


def _line(version: Version, unit: Unit) -> _Line:
    model, part = version.model, unit.weight_of_pound
    slope = model.coefficient / model.scale
    before = b',"margin":%.2f,"extrapolated":' % (model.margin() * part)
    after = b',"unit":"%b","model":"%b"}\n' % (unit.weight.encode(), version.version.encode())
    return _Line(
        offset=100 * part * (model.intercept - slope * model.mean) + 0.5,
        slope=100 * part * slope * unit.inches,
        most=100 * part * MAX_PREDICTED,
        low=model.minimum / unit.inches,
        high=model.maximum / unit.inches,
        inside=before + b"false" + after,
        outside=before + b"true" + after,
        margin=before,
        rest=after,
    )


@lru_cache(maxsize=MAX_HEIGHTS)
def _all_inside(number: int) -> bytes:
    """What is said of so many heights if the model knows them all."""
    return orjson.dumps([False] * number)


def _senseless(asked: Asked, version: Version) -> RequestError:
    """What is said of the first height that the model has no sensible weight for."""
    unit, model = asked.unit, version.model
    weights = [model.predict(height * unit.inches) for height in asked.heights]
    index = next((at for at, weight in enumerate(weights) if not 0 < weight <= MAX_PREDICTED), 0)
    return RequestError(
        400,
        f"Model {version.version} has no sensible weight for {asked.heights[index]:g} {unit.height}: it was fitted "
        f"to heights from {model.minimum / unit.inches:.1f} to {model.maximum / unit.inches:.1f} {unit.height}.",
        f"heights[{index}]" if asked.many else "height",
    )


def _new_id() -> str:
    """records.new_id, from randomness that was asked for at once."""
    try:
        return _ids.pop()
    except IndexError:
        digits = os.urandom(16 * _IDS).hex()
        made = [digits[at : at + 32] for at in range(0, len(digits), 32)]
        found = made.pop()
        _ids.extend(made)
        return found
