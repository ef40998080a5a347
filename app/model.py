"""The model: a line through scaled heights, as JSON with a schema. Reading and using it is pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app import documents

MAX_BYTES = 64 * 1024  # a model is under 1 KB; more than this is something else


@dataclass(frozen=True)
class Model:
    """weight = intercept + coefficient * (height - mean) / scale, in pounds and inches.

    `minimum` and `maximum` are the smallest and largest height it was fitted to; `data` is the SHA-256 of the
    data version, `rows` and `held_out` how that was split, with `seed`.
    """

    mean: float
    scale: float
    minimum: float
    maximum: float
    coefficient: float
    intercept: float
    data: str
    rows: int
    held_out: int
    seed: int

    def predict(self, height: float) -> float:
        """The weight in pounds for a height in inches."""
        return self.intercept + self.coefficient * (height - self.mean) / self.scale

    def knows(self, height: float) -> bool:
        """Whether a height in inches lies among those it was fitted to; outside it extrapolates."""
        return self.minimum <= height <= self.maximum

    def to_json(self) -> bytes:
        """The model's one spelling, satisfying `schemas/model.schema.json`. Equal models give equal bytes."""
        return documents.dump(
            {
                "schema": "height-weight-model/1",
                "input": {
                    "name": "height",
                    "unit": "in",
                    "mean": self.mean,
                    "scale": self.scale,
                    "minimum": self.minimum,
                    "maximum": self.maximum,
                },
                "output": {"name": "weight", "unit": "lb"},
                "coefficient": self.coefficient,
                "intercept": self.intercept,
                "training": {
                    "data": self.data,
                    "rows": self.rows,
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
    return Model(
        mean=scaled["mean"],
        scale=scaled["scale"],
        minimum=scaled["minimum"],
        maximum=scaled["maximum"],
        coefficient=document["coefficient"],
        intercept=document["intercept"],
        data=training["data"],
        rows=training["rows"],
        held_out=training["held_out"],
        seed=training["seed"],
    )
