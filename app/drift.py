"""Drift: how far the heights that are asked about have moved from those that the model was fitted to.

The share is the larger of two distances, and at REBUILD, 25 %, the model is to be built again (docs/adr/0094):

    quantile shift         the mean of |live quantile - training quantile| over 5 %, 10 %, … 95 %, in standard
                           deviations of the training heights: how far people moved
    population stability   half the root of the PSI, the sum of (live - training) * ln(live / training) over ten bins,
                           each of which holds a tenth of the training heights: how much the shape changed, wherever
                           that was. The PSI's usual limit, 0.25, is 0.25 here, too; but where normal people move by
                           some spreads the PSI is their square, and this is half of them

Both are of mid-distribution functions (Parzen 2004; Ma, Genton and Parzen 2011): half of a value's people count as
below it, and between values the function is a straight line. Heights that somebody rounds to inches so are no drift.
The training heights' quantiles are those that the model itself brings, and live heights the last WINDOW asked for.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from itertools import groupby, pairwise
from typing import NamedTuple

from app.model import LEVELS, Model

REBUILD = 0.25
WINDOW = 1_000  # heights
ENOUGH = 300  # heights, live ones and of the training: docs/adr/0094 has the false alarms of so many
EVERY = 60.0  # seconds between two events
BINS = 10
PSEUDO = 0.5  # people added to each bin, so that an empty one has a logarithm


class Drift:
    """Collects heights, in inches, and says what share they have drifted. Safe to use from several threads."""

    def __init__(self, tell: Callable[[float], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._heights: deque[float] = deque(maxlen=WINDOW)
        self._lock = threading.Lock()
        self._tell, self._clock = tell, clock
        self._told = -math.inf

    def observe(self, heights: Iterable[float], model: Model) -> None:
        """Takes heights that were asked about, and tells the share if the last telling is a while ago."""
        with self._lock:
            self._heights.extend(heights)
            if self._clock() - self._told < EVERY or len(self._heights) < ENOUGH:
                return
            self._told = self._clock()
        found = self.share(model)
        if found is not None:
            self._tell(found)

    def share(self, model: Model) -> float | None:
        """The share against what `model` was fitted to, or None while too few heights are known, live or its own."""
        with self._lock:
            heights = list(self._heights)
        return share(heights, model) if enough(len(heights), model) else None


def enough(heights: int, model: Model) -> bool:
    """Whether so many live heights can be compared with those of `model`: of fewer, chance alone moves the share."""
    return min(heights, model.rows) >= ENOUGH


def share(heights: list[float], model: Model) -> float:
    """How far heights in inches are from those that `model` was fitted to."""
    return max(distances(heights, model).values())


def distances(heights: list[float], model: Model) -> dict[str, float]:
    """Each distance by its name: `quantile_shift` and `population_stability`. Needs one height or more."""
    middle = MidDistribution.of(heights)
    moved = [
        abs(middle.quantile(level) - there) for level, there in list(zip(LEVELS, model.quantiles, strict=True))[1:-1]
    ]
    return {
        "quantile_shift": math.fsum(moved) / len(moved) / model.scale,
        "population_stability": math.sqrt(_psi(middle, len(heights), model.quantiles)) / 2,
    }


def _psi(live: MidDistribution, size: int, quantiles: tuple[float, ...]) -> float:
    """PSI of live heights against training quantiles."""
    step = (len(LEVELS) - 1) // BINS
    inner = list(zip(quantiles, LEVELS, strict=True))[step:-1:step]
    # Where many people share the smallest (largest) height, several edges are one: its last (first) level counts.
    half = len(inner) // 2
    edges = dict(inner[:half]) | dict(reversed(inner[half:]))
    expected = _parts([edges[edge] for edge in sorted(edges)])
    found = _parts([live.below(edge) for edge in sorted(edges)])
    whole = size + PSEUDO * len(expected)
    pairs = [((size * f + PSEUDO) / whole, (size * e + PSEUDO) / whole) for f, e in zip(found, expected, strict=True)]
    return math.fsum((f - e) * math.log(f / e) for f, e in pairs)  # no term is negative


def _parts(cumulative: list[float]) -> list[float]:
    return [max(0.0, high - low) for low, high in pairwise([0.0, *cumulative, 1.0])]


class MidDistribution(NamedTuple):
    """Distinct values, ascending, and the share of all that lies below each, half of those at it among them."""

    values: list[float]
    shares: list[float]

    @classmethod
    def of(cls, values: Iterable[float]) -> MidDistribution:
        """That of a sample of one value or more."""
        counted = [(value, len(list(same))) for value, same in groupby(sorted(values))]
        size = sum(count for _, count in counted)
        shares, below = [], 0
        for _, count in counted:
            shares.append((below + count / 2) / size)
            below += count
        return cls([value for value, _ in counted], shares)

    def quantile(self, level: float) -> float:
        """The value that the share `level` lies below; the smallest value at 0 and the largest at 1."""
        return _interpolated(self.shares, self.values, level, self.values[0], self.values[-1])

    def below(self, value: float) -> float:
        """The share that lies below a value."""
        return _interpolated(self.values, self.shares, value, 0.0, 1.0)


def quantiles(values: Iterable[float]) -> tuple[float, ...]:
    """The mid-quantiles of a sample at model.LEVELS."""
    middle = MidDistribution.of(values)
    return tuple(middle.quantile(level) for level in LEVELS)


def _interpolated(xs: list[float], ys: list[float], x: float, before: float, after: float) -> float:
    """y at `x` on the line through the points, whose x ascend; `before` and `after` them."""
    if x < xs[0]:
        return before
    if x > xs[-1]:
        return after
    right = bisect_left(xs, x)
    if xs[right] == x:
        return ys[right]
    part = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + part * (ys[right] - ys[right - 1])
