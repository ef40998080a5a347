"""Models by hand: a line through normal heights."""

from __future__ import annotations

from statistics import NormalDist

from app.model import LEVELS, Model


def line(
    *,
    mean: float = 68.0,
    scale: float = 2.0,
    minimum: float = 60.0,
    maximum: float = 76.0,
    coefficient: float = 6.0,
    intercept: float = 127.0,
    residual: float = 10.0,
) -> Model:
    """A model as if it had been fitted to 20,000 people of normal heights, inches and pounds."""
    inner = tuple(NormalDist(mean, scale).inv_cdf(level) for level in LEVELS[1:-1])
    return Model(
        mean=mean,
        scale=scale,
        quantiles=(minimum, *inner, maximum),
        coefficient=coefficient,
        intercept=intercept,
        residual=residual,
        data="d" * 64,
        labels=None,
        rows=20_000,
        labelled=0,
        held_out=5_000,
        seed=1,
    )
