"""The verdict on the model that is served, from the lake: have people changed, and is it as accurate as it was?

At 25 % of change the model is to be built again: drift.REBUILD holds for the share that heights have moved, and for
how much larger the error on labelled rows is than on the rows that the model was fitted to (docs/adr/0094).
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from app import documents, drift, labels, lake, registry
from app.model import Model
from app.store import Store

DRIFT = "drift.json"  # in the model store, beside current.json
DAYS = 7
CALL_ROWS = 100  # of one call: no caller's batch is a population
LABELS = 1_000  # the newest ones, of which accuracy is told
ENOUGH_LABELS = 200  # of fewer, chance alone moves their error
FARTHEST = 4.0  # spreads: an error counts as this at most, so that a slip of the pen is not a population


def check(models: Store, lake_store: Store | None, now: datetime | None = None) -> dict[str, Any] | None:
    """Looks at the newest predictions and labels of the lake, and writes drift.json. Returns it; None, and nothing
    is written, if no model is served. Without a lake nothing is known, and no rebuild is asked for.

    Raises StoreError, JobError.
    """
    pointer, _ = registry.read_current(models)
    if pointer is None:
        return None
    model = registry.load_version(models, pointer["version"], pointer["manifest"]).model
    now = now or datetime.now(UTC)
    heights = _heights(lake_store, now) if lake_store else []
    told = labels.gather(lake_store, Counter(), now) if lake_store else []
    since = (now - timedelta(days=DAYS)).strftime("%Y-%m-%dT%H:%M:%S")
    share = drift.share(heights, model) if drift.enough(len(heights), model) else None
    accuracy = _accuracy([one for one in told if one.time >= since][-LABELS:], model)
    reasons = _reasons(share, accuracy, len(heights))
    verdict = {
        "schema": "drift/1",
        "model": pointer["version"],
        "checked": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "rows": len(heights),
        "share": share,
        "accuracy": accuracy,
        "rebuild": bool(reasons),
        "reasons": reasons,
    }
    models.write(DRIFT, documents.dump(verdict))
    return verdict


def _heights(store: Store, now: datetime) -> list[float]:
    """The heights of the newest predictions, drift.WINDOW at most; an even part of a call that asked for many."""
    found: list[float] = []
    for prediction in lake.read(store, "predictions", (now - timedelta(days=DAYS)).date(), newest=True):
        found += prediction.heights[:: math.ceil(len(prediction.heights) / CALL_ROWS)]
        if len(found) >= drift.WINDOW:
            break
    return found[: drift.WINDOW]


def _accuracy(told: list[labels.Label], model: Model) -> dict[str, Any] | None:
    if len(told) < ENOUGH_LABELS or model.residual == 0.0:
        return None
    farthest = FARTHEST * model.residual
    errors = (min(abs(one.weight - model.predict(one.height)), farthest) for one in told)
    rmse = math.sqrt(math.fsum(error * error for error in errors) / len(told))
    return {"labels": len(told), "rmse": rmse, "expected": model.residual}


def _reasons(share: float | None, accuracy: dict[str, Any] | None, rows: int) -> list[str]:
    reasons = []
    if share is not None and share > drift.REBUILD:
        reasons.append(f"The last {rows} heights are {share:.0%} away from those of the last model build.")
    if accuracy is not None and accuracy["rmse"] > (1 + drift.REBUILD) * accuracy["expected"]:
        more = accuracy["rmse"] / accuracy["expected"] - 1
        reasons.append(
            f"On {accuracy['labels']} true weights that came back, the error is {more:.0%} larger than at the last "
            f"model build: {accuracy['rmse']:.2f} lb, not {accuracy['expected']:.2f} lb."
        )
    return reasons
