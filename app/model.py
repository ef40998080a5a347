"""The model: a line through scaled heights, as JSON with a schema. Reading and using it is pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from app import documents

MAX_BYTES = 64 * 1024  # a model is under 2 KB, a card under 40; more than this is something else
LEVELS = tuple(step / 20 for step in range(21))  # of `quantiles`: 0 %, 5 %, …, 100 %
NORMAL = 1.959963984540054  # the standard normal's 97.5 % quantile: 95 % lie between minus and plus this


@dataclass(frozen=True)
class Model:
    """weight = intercept + coefficient * (height - mean) / scale, in pounds and inches.

    `quantiles` are those of the heights that it was fitted to, at LEVELS; the first and the last are the smallest
    and the largest height. `residual` is the standard deviation of its errors on the rows that it was fitted to.
    `data` is the SHA-256 of the table, `labels` that of the labelled rows of the lake which were added (None if
    none were), `rows` how many it was fitted to, `labelled` how many of these were labels, and `held_out` how many
    it has not seen, with `seed` as that of the split.
    """

    mean: float
    scale: float
    quantiles: tuple[float, ...]
    coefficient: float
    intercept: float
    residual: float
    data: str
    labels: str | None
    rows: int
    labelled: int
    held_out: int
    seed: int

    @property
    def minimum(self) -> float:
        """The smallest height that it was fitted to, in inches."""
        return self.quantiles[0]

    @property
    def maximum(self) -> float:
        """The largest height that it was fitted to, in inches."""
        return self.quantiles[-1]

    def predict(self, height: float) -> float:
        """The weight in pounds for a height in inches."""
        return self.intercept + self.coefficient * (height - self.mean) / self.scale

    def margin(self) -> float:
        """Half the width of the 95 % prediction interval in pounds, the same at each height that it knows.

        Student's t with rows - 2 degrees of freedom, by the first terms of its expansion (Abramowitz and Stegun,
        26.7.5: within 0.2 % from 14 degrees on), times the spread of a new person's error about a fitted mean.
        """
        z, degrees = NORMAL, self.rows - 2
        t = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2) if degrees else z
        return t * self.residual * math.sqrt(1 + 1 / self.rows)

    def knows(self, height: float) -> bool:
        """Whether a height in inches lies among those it was fitted to; outside it extrapolates."""
        return self.minimum <= height <= self.maximum

    def to_json(self) -> bytes:
        """The model's one spelling, satisfying `schemas/model.schema.json`. Equal models give equal bytes."""
        return documents.dump(
            {
                "schema": "height-weight-model/2",
                "input": {
                    "name": "height",
                    "unit": "in",
                    "mean": self.mean,
                    "scale": self.scale,
                    "quantiles": list(self.quantiles),
                },
                "output": {"name": "weight", "unit": "lb", "residual": self.residual},
                "coefficient": self.coefficient,
                "intercept": self.intercept,
                "training": {
                    "data": self.data,
                    "labels": self.labels,
                    "rows": self.rows,
                    "labelled": self.labelled,
                    "held_out": self.held_out,
                    "seed": self.seed,
                },
            }
        )


def version_of(sha256: str) -> str:
    """The version id of data or a model whose bytes have this SHA-256: its first 16 digits."""
    return sha256[:16]


def load(data: bytes, sha256: str) -> Model:
    """The model in `data`, whose SHA-256 must be `sha256`. Raises documents.DocumentError."""
    found = documents.sha256(data)
    if found != sha256:
        raise documents.DocumentError(f"has the SHA-256 {found}, but its manifest says {sha256}")
    document: dict[str, Any] = documents.checked(data, "model")
    scaled, training = document["input"], document["training"]
    quantiles = tuple(scaled["quantiles"])
    if list(quantiles) != sorted(quantiles):
        raise documents.DocumentError("has quantiles that do not ascend")
    return Model(
        mean=scaled["mean"],
        scale=scaled["scale"],
        quantiles=quantiles,
        coefficient=document["coefficient"],
        intercept=document["intercept"],
        residual=document["output"]["residual"],
        data=training["data"],
        labels=training["labels"],
        rows=training["rows"],
        labelled=training["labelled"],
        held_out=training["held_out"],
        seed=training["seed"],
    )
