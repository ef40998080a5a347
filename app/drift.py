"""Drift: how far the heights that are asked about have moved from those that the model was fitted to.

The share is the larger of two distances, each relative to the spread of the training data:

    |mean of the live heights - mean of the training heights| / their standard deviation
    |standard deviation of the live heights - that of the training heights| / the latter

Mean and standard deviation of the training heights are those that the model itself states (`input.mean` and
`input.scale` of model.json, whose SHA-256 its manifest names): a model brings what it is compared with. Live
heights are the last WINDOW that got a prediction. At REBUILD, 25 %, the model is to be built again.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from app.model import Model

REBUILD = 0.25
WINDOW = 1_000  # heights
ENOUGH = 300  # heights; of these, chance alone moves the share past 0.25 once or twice in a hundred thousand times
EVERY = 60.0  # seconds between two events


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
        """The share against what `model` was fitted to, or None while too few heights are known."""
        with self._lock:
            heights = list(self._heights)
        return share(heights, model) if len(heights) >= ENOUGH else None


def share(heights: list[float], model: Model) -> float:
    """How far heights in inches are from those that `model` was fitted to."""
    mean = math.fsum(heights) / len(heights)
    spread = math.sqrt(math.fsum((height - mean) ** 2 for height in heights) / len(heights))
    return max(abs(mean - model.mean), abs(spread - model.scale)) / model.scale
