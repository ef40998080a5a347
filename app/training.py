"""Fitting a line to people, and how wrong it is: least squares and its errors, by the standard library."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypedDict

from app.dataset import DataError, People
from app.model import Model


class Metrics(TypedDict):
    """Root mean square and mean absolute error in pounds, and the share of variance explained."""

    rmse: float
    mae: float
    r2: float


def fit(people: People, training: list[int], *, data: str, seed: int) -> Model:
    """The least squares line through the rows `training` of the table, heights scaled to mean 0 and sd 1.

    `data` is the table's SHA-256 and `seed` the split's; the model names both. Sums are exact, so the same rows
    give the same model on every machine.
    """
    part = people.rows(training)
    mean = math.fsum(part.heights) / len(part)
    intercept = math.fsum(part.weights) / len(part)
    scale = math.sqrt(math.fsum((height - mean) ** 2 for height in part.heights) / len(part))
    if scale == 0.0:
        raise DataError("Every height in the training part is the same; a line needs two or more.")
    scaled = [(height - mean) / scale for height in part.heights]
    products = (x * (weight - intercept) for x, weight in zip(scaled, part.weights, strict=True))
    return Model(
        mean=mean,
        scale=scale,
        minimum=min(part.heights),
        maximum=max(part.heights),
        coefficient=math.fsum(products) / math.fsum(x * x for x in scaled),
        intercept=intercept,
        data=data,
        rows=len(part),
        held_out=len(people) - len(part),
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
