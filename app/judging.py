"""Is a candidate to be served? It is compared with the current model on the very same people (docs/adr/0095).

- On the recent labelled rows that it was not fitted to, or on the table's held-out rows if there are too few of
  those, its error (rmse) is at most that of the current model: better, or equal. EQUAL is what equal means, as
  chance alone makes models of the same people differ by some tenths of a percent; of two equals, the one that was
  fitted to the newer people is to be served.
- On the table's held-out rows, which no caller wrote, its error is at most TOLERANCE times that of a model of the
  table alone. So whatever callers tell, and however often, a served model's lines are at most this far from what the
  table says: sqrt(TOLERANCE² - 1) = 0.75 of a residual spread, in the root mean square over the table's people.
- It beats predicting one weight for everybody.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from app import training
from app.dataset import People
from app.model import Model

TOLERANCE = 1.25
EQUAL = 1.01
FEWEST = 30  # labelled rows that a judgement rests on


class Judged(NamedTuple):
    """Whether a candidate is to be served and why, and the errors that say so (Metrics by model, by kind of rows)."""

    better: bool
    why: str
    errors: dict[str, dict[str, Any] | None]


def judge(candidate: Model, current: Model | None, alone: Model, table: People, labelled: People) -> Judged:
    """Compares `candidate` with `current` (None if nothing is served) and with `alone`, a model of the table alone.

    `table` is the table's held-out part, `labelled` the labelled rows that were held out, which may be empty.
    """
    models = {"candidate": candidate, "alone": alone, **({"current": current} if current else {})}
    rows, kind, on_table = table, "held-out rows of the table", _errors(table, models)
    on_rows = on_table
    errors: dict[str, dict[str, Any] | None] = {"table": on_table, "labels": None}
    if len(labelled) >= FEWEST and len(set(labelled.weights)) > 1:
        rows, kind, on_rows = labelled, "recent labelled rows", _errors(labelled, models)
        errors["labels"] = on_rows
    found = on_rows["candidate"]["rmse"]
    place = f"on {len(rows)} {kind}"
    mean = training.measure(rows, lambda _height: candidate.intercept)["rmse"]
    if not found < mean:
        return Judged(False, f"It is no better than predicting the mean {place}: {_of(found, mean)}.", errors)
    far, near = on_table["candidate"]["rmse"], on_table["alone"]["rmse"]
    if far > TOLERANCE * near:
        return Judged(
            False,
            f"Labels moved it too far from its table: on {len(table)} held-out rows of that, {_of(far, near)} "
            f"without labels, more than {TOLERANCE:g} times as much. If people "
            "have changed, land a table of them, or promote it.",
            errors,
        )
    if current is None:
        return Judged(
            True, f"Nothing is served yet, and it beats predicting the mean {place}: {_of(found, mean)}.", errors
        )
    before = on_rows["current"]["rmse"]
    if found > EQUAL * before:
        return Judged(False, f"It is worse than the current model {place}: {_of(found, before)}.", errors)
    word = "better than" if found < before else "as good as"
    return Judged(True, f"It is {word} the current model {place}: {_of(found, before)}.", errors)


def _errors(people: People, models: dict[str, Model]) -> dict[str, Any]:
    return {"rows": len(people), **{name: training.measure(people, one.predict) for name, one in models.items()}}


def _of(found: float, other: float) -> str:
    return f"an error (rmse) of {found:.3f} lb against {other:.3f} lb"
