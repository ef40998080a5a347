"""What a version tells of itself: a card for people, and a reference that the next version is compared on.

Both are aggregates: no group and no cell in them has fewer than FEWEST people, so that no person is in them.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from app.dataset import People
from app.model import Model

FEWEST = 5  # people in a group or a cell; smaller ones are left out
GROUPS = 40  # neighbourhoods of heights in a reference, each of two groups
STEPS = 32  # of a card's grid, each way, over the middle 95 % twice as wide
MOST_CELLS = 1_500  # of a card, the fullest ones: it stays under 64 KB

PURPOSE = "A first guess of an adult's weight from height alone, and an example of a model's whole life."
LIMITS = (
    "Not for any decision about a person: not for medicine, insurance, work or sport.",
    "One line for everybody: age, sex, build and where people live are not in it.",
    "It knows the heights from minimum to maximum; outside of these an answer says that it is extrapolated.",
    "The margin holds for 95 of 100 people like those of its data, and says nothing about others.",
)


def card(version: str, model: Model, people: People, metrics: dict[str, Any]) -> dict[str, Any]:
    """The document of schemas/card.schema.json: use, limits, data, metrics, and `people`, those that `model` was
    fitted to, counted in cells of heights and weights. The same arguments give the same card."""
    steps, counts = _cells(people)
    return {
        "schema": "card/1",
        "version": version,
        "purpose": PURPOSE,
        "limits": list(LIMITS),
        "formula": {
            "pounds_per_inch": model.coefficient / model.scale,
            "mean_height": model.mean,
            "mean_weight": model.intercept,
            "minimum": model.minimum,
            "maximum": model.maximum,
            "margin": model.margin(),
        },
        "data": {
            "sha256": model.data,
            "labels": model.labels,
            "rows": model.rows,
            "labelled": model.labelled,
            "held_out": model.held_out,
            "statistics": people.statistics(),
        },
        "metrics": metrics,
        "cells": {"height": steps[0], "weight": steps[1], "counts": counts},
    }


def reference(version: str, held_out: People) -> dict[str, Any]:
    """The document of schemas/reference.schema.json: neighbours in height, each neighbourhood as the mean height,
    mean weight and number of its lighter and of its heavier half."""
    order = sorted(range(len(held_out)), key=lambda index: (held_out.heights[index], held_out.weights[index]))
    number = min(GROUPS, len(order) // (2 * FEWEST))
    groups = []
    for part in range(number):
        near = order[part * len(order) // number : (part + 1) * len(order) // number]
        near.sort(key=lambda index: (held_out.weights[index], held_out.heights[index]))
        half = len(near) // 2
        groups += [_group(held_out.rows(near[:half])), _group(held_out.rows(near[half:]))]
    return {"schema": "reference/1", "version": version, "groups": groups}


def _group(people: People) -> dict[str, Any]:
    size = len(people)
    return {"height": math.fsum(people.heights) / size, "weight": math.fsum(people.weights) / size, "people": size}


def _cells(people: People) -> tuple[tuple[float, float], list[list[float]]]:
    """The width of a cell in inches and pounds, and [lower height, lower weight, people] of each that is shown."""
    height_step, weight_step = _step(people.heights), _step(people.weights)
    pairs = zip(people.heights, people.weights, strict=True)
    counted = Counter((math.floor(height / height_step), math.floor(weight / weight_step)) for height, weight in pairs)
    full = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MOST_CELLS]
    shown = sorted((cell, count) for cell, count in full if count >= FEWEST)
    return (height_step, weight_step), [
        [round(i * height_step, 3), round(j * weight_step, 3), count] for (i, j), count in shown
    ]


def _step(values: tuple[float, ...]) -> float:
    """The smallest of 0.1, 0.2, 0.5, 1, 2, 5 … that covers twice the middle 95 % in STEPS steps or fewer."""
    ordered = sorted(values)
    middle = ordered[-1 - len(ordered) // 40] - ordered[len(ordered) // 40]
    power = 0.1
    while True:
        for digit in (1, 2, 5):
            if 2 * middle <= STEPS * digit * power:
                return round(digit * power, 1)
        power *= 10
