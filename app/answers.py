"""What is answered to a request that was understood, and what is written down of it: one way for all who ask.

    /predict    {"id": "…", "weight": 127.11, "margin": 19.74, "extrapolated": false, "unit": "lb", "model": "…"}
                {"id": "…", "weights": […], "margin": 19.74, "extrapolated": […], "unit": "lb", "model": "…"}
    /feedback   {"id": "…", "taken": 1}

`margin` is half the width of the 95 % prediction interval, in the answer's unit and the same at each height. `id`
names the prediction: 128 random bits, so that who knows it was told it, and may say what the true weight was.
"""

from __future__ import annotations

import math
import os
import time
from functools import lru_cache
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
        heights, unit, many = asked
        model = version.model
        inches = heights if unit.inches == 1.0 else [height * unit.inches for height in heights]
        # Model.predict, written out: a thousand calls of a method take as long as all the rest.
        intercept, coefficient, mean, scale = model.intercept, model.coefficient, model.mean, model.scale
        pounds = [intercept + coefficient * (height - mean) / scale for height in inches]
        if not (min(pounds) > 0 and max(pounds) <= MAX_PREDICTED and math.isfinite(sum(pounds))):
            raise _senseless(asked, pounds, version)
        found = self._write_down(inches, pounds, version).encode()
        low, high, part = model.minimum, model.maximum, unit.weight_of_pound
        ends = _ends(version, unit)
        if not many:
            end = ends.inside if low <= inches[0] <= high else ends.outside
            return b'{"id":"%b","weight":%.2f%b' % (found, pounds[0] * part, end)
        weights = (
            _pattern(len(pounds)) % tuple(pounds if part == 1.0 else [weight * part for weight in pounds])
        ).encode()
        if low <= min(inches) and max(inches) <= high:
            extrapolated = _all_inside(len(inches))
        else:
            extrapolated = orjson.dumps([not low <= height <= high for height in inches])
        return b'{"id":"%b","weights":[%b]%b%b%b' % (found, weights, ends.margin, extrapolated, ends.rest)

    def feedback(self, told: Told) -> bytes:
        """The answer's JSON. Raises RequestError where nothing is kept."""
        if self.lake is None:
            raise RequestError(404, "True weights are not kept here: the service has no lake. Set LAKE to have one.")
        moment = records.moment()
        for row, weight in told.rows:
            self.lake.append("feedback", records.line(Feedback(told.id, row, moment, weight)))
        self._metrics.told(len(told.rows))
        return b'{"id":"%b","taken":%d}\n' % (told.id.encode(), len(told.rows))

    def _write_down(self, inches: list[float], pounds: list[float], version: Version) -> str:
        """Writes a prediction down and returns its id. Whatever goes wrong with that, it is answered."""
        found = _new_id()
        self._metrics.predicted(version.version, len(pounds))
        self._drift.observe(inches, version.model)
        if self.lake is not None:
            # records.line of a Prediction, without making one
            record = {"id": found, "time": self._now(), "heights": inches, "weights": pounds, "model": version.version}
            self.lake.append("predictions", orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        if self._calls is not None:
            self._calls.store(Prediction(found, self._now(), inches, pounds, version.version))
        return found

    def _now(self) -> str:
        """records.moment, made once for each millisecond."""
        now = time.time_ns() // 1_000_000
        known, text = self._moment
        if known != now:
            text = records.moment()
            self._moment = (now, text)
        return text


class _Ends(NamedTuple):
    """How the answers of one version in one unit go on: after a weight, and after weights in three parts."""

    inside: bytes
    outside: bytes
    margin: bytes
    rest: bytes


@lru_cache(maxsize=MAX_HEIGHTS)
def _pattern(number: int) -> str:
    """How so many weights are written."""
    return ",".join(["%.2f"] * number)


@lru_cache(maxsize=MAX_HEIGHTS)
def _all_inside(number: int) -> bytes:
    """What is said of so many heights if the model knows them all."""
    return orjson.dumps([False] * number)


@lru_cache(maxsize=8)
def _ends_of(version: str, margin: float, unit: str) -> _Ends:
    before = b',"margin":%.2f,"extrapolated":' % (margin * UNITS[unit].weight_of_pound)
    after = b',"unit":"%b","model":"%b"}\n' % (UNITS[unit].weight.encode(), version.encode())
    return _Ends(before + b"false" + after, before + b"true" + after, before, after)


def _ends(version: Version, unit: Unit) -> _Ends:
    return _ends_of(version.version, version.model.margin(), unit.height)


def _senseless(asked: Asked, pounds: list[float], version: Version) -> RequestError:
    """What is said of the first height that the model has no sensible weight for."""
    index = next(at for at, weight in enumerate(pounds) if not 0 < weight <= MAX_PREDICTED)
    unit, model = asked.unit, version.model
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
