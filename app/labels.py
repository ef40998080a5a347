"""Labelled rows: predictions of the lake whose true weight came back, joined and bounded before anything learns.

Feedback is written by callers, so it is bounded in what it can do to a model (docs/adr/0095 has the reasons):

- Only who was given a prediction's id can tell its weight; of several tellings for one row the last one holds.
- Weights and heights are those that people can have; of one call CALL_ROWS rows count, of all the newest MOST.
- What lies far off all the other labels, in height or in weight, is left out (`bounded`).
- Labels are at most SHARE of the rows that a model is fitted to, and none are used before there are FEWEST.
- A model that they made is judged on rows of the table as well, which no caller wrote (app/judging.py).
"""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from app import lake
from app.dataset import HEIGHT_RANGE, WEIGHT_RANGE, DataError, People
from app.model import Model
from app.records import Feedback, Prediction
from app.store import Store

DAYS = 28  # labels of predictions older than this say little about those to come
MOST = 2_000  # labels; more would move the second decimal of a line, and the newest know today's people
MOST_READ = 10 * MOST  # rows of feedback that are looked at: what is read is bounded, whoever wrote it
MOST_SCANNED = 2_000_000  # predictions that are looked through for them, the newest first: a minute or two
CALL_ROWS = 20  # of one call
FEWEST = 200  # labels that are used at all
SHARE = 0.9  # of the rows that a model is fitted to, at most
TRIM = 3.0  # spreads of the labels' errors; of honest people 3 in 1,000 are further off
TRIM_HEIGHT = 4.0  # spreads of the labels' heights: far out, one label has the weight of many
WIDER = 1.5  # how much wider than the table's the labels' errors may be taken to be, whatever they say
ROBUST = 1.4826  # median absolute deviation → standard deviation, for a normal distribution
HEADER = ("Id", "Row", "Time", "Height(Inches)", "Weight(Pounds)")


def key(version: str, name: str) -> str:
    """Where the data store has `name` of a version of labels: under a prefix of its own, which has its own age."""
    return f"labels/{version}/{name}"


class Label(NamedTuple):
    """One person: the height that was asked about, and the true weight that was told at `time`; inches, pounds."""

    id: str
    row: int
    time: str
    height: float
    weight: float


def gather(store: Store, counts: Counter[str], now: datetime | None = None) -> list[Label]:
    """The newest labels in the lake, joined and thinned to CALL_ROWS a call and MOST in all; oldest first.

    `counts` is told how many rows of feedback were `told`, and `joined`, `of_full_calls` and `older` what became of
    them. The same lake gives the same labels. Raises StoreError.
    """
    since = ((now or datetime.now(UTC)) - timedelta(days=DAYS)).date()
    told: dict[str, dict[int, Feedback]] = defaultdict(dict)
    for feedback in lake.read(store, "feedback", since, newest=True):
        rows = told[feedback.id]
        if feedback.row not in rows:
            if counts["told"] == MOST_READ:
                break
            counts["told"] += 1
        rows[feedback.row] = max(feedback, rows.get(feedback.row, feedback), key=lambda one: (one.time, one.weight))
    asked: dict[str, Prediction] = {}
    for prediction in islice(lake.read(store, "predictions", since, newest=True), MOST_SCANNED):
        if len(asked) == len(told):
            break  # else some ids are of no prediction, or of one long ago
        if prediction.id in told:
            asked.setdefault(prediction.id, prediction)
    found = list(join(asked.values(), (one for rows in told.values() for one in rows.values())))
    counts["joined"] = len(found)
    thinned = _of_each_call(found)
    counts["of_full_calls"] = len(found) - len(thinned)
    counts["older"] = max(0, len(thinned) - MOST)
    return sorted(thinned, key=lambda one: (one.time, one.id, one.row))[-MOST:]


def join(predictions: Iterable[Prediction], feedback: Iterable[Feedback]) -> Iterable[Label]:
    """Each person whose weight was told, once: the last telling holds (at one time, the larger weight).

    What names no prediction or no row of it, or is nothing that a person can have, is left out.
    """
    asked = {prediction.id: prediction for prediction in predictions}
    last: dict[tuple[str, int], Feedback] = {}
    for one in feedback:
        before = last.get((one.id, one.row), one)
        last[one.id, one.row] = max(before, one, key=lambda each: (each.time, each.weight))
    for one in last.values():
        prediction = asked.get(one.id)
        if prediction is None or one.row >= len(prediction.heights):
            continue
        height = prediction.heights[one.row]
        if _within(height, HEIGHT_RANGE) and _within(one.weight, WEIGHT_RANGE):
            yield Label(one.id, one.row, one.time, height, one.weight)


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]


def _of_each_call(labels: list[Label]) -> list[Label]:
    """At most CALL_ROWS of each call: those with the smallest hash, which nobody can choose together with the id."""
    calls: dict[str, list[Label]] = defaultdict(list)
    for one in labels:
        calls[one.id].append(one)
    return [one for rows in calls.values() for one in sorted(rows, key=_hash)[:CALL_ROWS]]


def _hash(label: Label) -> bytes:
    return sha256(f"{label.id}:{label.row}".encode()).digest()


def bounded(labels: list[Label], table: Model, counts: Counter[str]) -> list[Label]:
    """The labels that may be learned from, beside `table`, the model of the table alone; none if under FEWEST.

    The middle of the labels' errors about the table's line is their median, and their spread comes from the median
    absolute deviation, at most WIDER than the table's own: half of the labels would have to be wrong to move the one
    far, and no number of them makes the other larger. What is further than TRIM spreads from the middle goes; so does
    a height further than TRIM_HEIGHT spreads from the median height.
    """
    if len(labels) < FEWEST:
        counts["too_few"] = len(labels)
        return []
    errors = [one.weight - table.predict(one.height) for one in labels]
    middle, spread = _middle_and_spread(errors)
    reach = TRIM * min(max(spread, table.residual / WIDER), table.residual * WIDER)
    tall, wide = _middle_and_spread([one.height for one in labels])
    span = TRIM_HEIGHT * max(wide, table.scale / WIDER)
    pairs = zip(labels, errors, strict=True)
    kept = [one for one, error in pairs if abs(error - middle) <= reach and abs(one.height - tall) <= span]
    counts["far_off"] = len(labels) - len(kept)
    if len(kept) < FEWEST or len({one.weight for one in kept}) == 1 or len({one.height for one in kept}) == 1:
        counts["too_few"] = len(kept)
        return []
    return kept


def _middle_and_spread(values: list[float]) -> tuple[float, float]:
    middle = statistics.median(values)
    return middle, ROBUST * statistics.median(abs(value - middle) for value in values)


def split(labels: list[Label]) -> tuple[list[Label], list[Label]]:
    """Labels for training and, about one in five, held out. A label is on the same side in every model's life."""
    sides: tuple[list[Label], list[Label]] = [], []
    for one in labels:
        sides[_hash(one)[0] < 51].append(one)  # 51 of 256
    return sides


def beside(fitting: int, table: int) -> tuple[int, int]:
    """How many of `fitting` labels and of `table` rows a model is fitted to: labels are SHARE of both at most."""
    used = min(fitting, math.floor(table * SHARE / (1 - SHARE) + 1e-9))
    return used, min(table, max(FEWEST, math.ceil(used * (1 - SHARE) / SHARE - 1e-9)))


def people(labels: list[Label]) -> People:
    """The labels as a table."""
    return People(tuple(one.height for one in labels), tuple(one.weight for one in labels))


def to_csv(labels: list[Label]) -> bytes:
    """The labels' one spelling, in their order."""
    lines = [",".join(HEADER)]
    lines += [f"{one.id},{one.row},{one.time},{one.height!r},{one.weight!r}" for one in labels]
    return ("\n".join(lines) + "\n").encode("ascii")


def parse_csv(data: bytes, name: str) -> list[Label]:
    """The labels that `to_csv` wrote; `name` is what messages call the table. Raises DataError."""
    try:
        header, *rows = csv.reader(io.StringIO(data.decode("ascii"), newline=""), strict=True)
        labels = [
            Label(id_, int(row), moment, float(height), float(weight)) for id_, row, moment, height, weight in rows
        ]
    except (ValueError, csv.Error):
        raise DataError(f"{name} is not a table of labelled rows.") from None
    if tuple(header) != HEADER or to_csv(labels) != data:
        raise DataError(f"{name} is not a table of labelled rows as this application writes them.")
    return labels
