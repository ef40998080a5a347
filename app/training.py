"""Fitting a line to people, and how wrong it is: least squares and its errors, by the standard library."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypedDict

from app import drift
from app.dataset import DataError, People
from app.model import Model


class Metrics(TypedDict):
    """Root mean square and mean absolute error in pounds, and the share of variance explained."""

    rmse: float
    mae: float
    r2: float


def fit(people: People, *, data: str, seed: int, held_out: int, labels: str | None = None, labelled: int = 0) -> Model:
    """The least squares line through a table, heights scaled to mean 0 and sd 1.

    The rest is lineage, which the model names: `data` and `labels` are the SHA-256 of the tables that the rows are
    from, `labelled` how many are from the latter, `seed` that of the split and `held_out` how many were kept from
    it. Sums are exact, so the same rows give the same model on every machine.
    """
    mean = math.fsum(people.heights) / len(people)
    intercept = math.fsum(people.weights) / len(people)
    scale = math.sqrt(math.fsum((height - mean) ** 2 for height in people.heights) / len(people))
    if scale == 0.0:
        raise DataError("Every height in the training part is the same; a line needs two or more.")
    scaled = [(height - mean) / scale for height in people.heights]
    pairs = list(zip(scaled, people.weights, strict=True))
    slope = math.fsum(x * (weight - intercept) for x, weight in pairs) / math.fsum(x * x for x in scaled)
    errors = math.fsum((weight - intercept - slope * x) ** 2 for x, weight in pairs)
    return Model(
        mean=mean,
        scale=scale,
        quantiles=drift.quantiles(people.heights),
        coefficient=slope,
        intercept=intercept,
        residual=math.sqrt(errors / max(1, len(people) - 2)),
        data=data,
        labels=labels,
        rows=len(people),
        labelled=labelled,
        held_out=held_out,
        seed=seed,
    )


def measure(people: People, predict: Callable[[float], float]) -> Metrics:
    """The errors of `predict` (inches to pounds) on people. r2 is 1 - residual / total sum of squares."""
    pairs = list(zip(people.heights, people.weights, strict=True))
    errors = [predict(height) - weight for height, weight in pairs]
    residual = math.fsum(error * error for error in errors)
    mean = math.fsum(people.weights) / len(people)
    total = math.fsum((weight - mean) ** 2 for weight in people.weights)
    if total == 0.0:
        raise DataError("Every weight in this part of the table is the same; r2 has no meaning. Add rows.")
    return Metrics(
        rmse=math.sqrt(residual / len(errors)),
        mae=math.fsum(map(abs, errors)) / len(errors),
        r2=1 - residual / total,
    )
