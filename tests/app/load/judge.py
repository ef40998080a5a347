"""Whether a load test met the objectives, from what each call took."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

OBJECTIVES = Path(__file__).with_name("objectives.json")


class Objectives(NamedTuple):
    """p99_seconds: of all calls. error_share: of all calls. reached_share: of the calls that were asked for."""

    p99_seconds: float
    error_share: float
    reached_share: float


class Call(NamedTuple):
    """One call: when it began (seconds since the epoch), how long it took, which, and what was wrong or nothing."""

    start: float
    seconds: float
    name: str
    error: str


class Row(NamedTuple):
    """A line of the verdict: what was measured, what it may be (most or least), as text, and whether it is."""

    what: str
    found: str
    asked: str
    met: bool


class Verdict(NamedTuple):
    """What is said of a run; it passed if all rows are met."""

    rows: list[Row]
    errors: list[tuple[str, int]]  # what was wrong, most frequent first

    @property
    def passed(self) -> bool:
        return all(row.met for row in self.rows)


def objectives(path: Path = OBJECTIVES) -> Objectives:
    """The objectives in a file."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Objectives(**{name: float(found[name]) for name in Objectives._fields})


def calls(path: Path) -> list[Call]:
    """What Locust left, by start; none if it left nothing."""
    if not path.exists():
        return []
    return sorted(Call(*row) for row in json.loads(path.read_text(encoding="utf-8")))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that `share` of them do not exceed (nearest rank); NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def judge(found: Sequence[Call], wanted: Objectives, rate: float, seconds: float) -> Verdict:
    """Holds a run that was to make `rate` calls a second for `seconds` against the objectives.

    A failed call counts in the p99 too, with the time until it failed. No call at all meets nothing.
    """
    if not found:
        return Verdict([Row("calls", "none", "some", met=False)], [])
    p99 = quantile([call.seconds for call in found], 0.99)
    wrong = Counter(call.error for call in found if call.error)
    share = wrong.total() / len(found)
    reached = len(found) / (rate * seconds)
    rows = [
        Row("p99", f"{p99 * 1000:.1f} ms", f"≤ {wanted.p99_seconds * 1000:g} ms", p99 <= wanted.p99_seconds),
        Row("errors", f"{share:.3%}", f"≤ {wanted.error_share:.3%}", share <= wanted.error_share),
        Row(
            "calls of those that were to be made",
            f"{reached:.1%}",
            f"≥ {wanted.reached_share:.0%}",
            reached >= wanted.reached_share,
        ),
    ]
    return Verdict(rows, wrong.most_common(5))


def by_second(found: Sequence[Call]) -> list[tuple[int, list[Call]]]:
    """The calls by the whole second since the first in which they began."""
    seconds: dict[int, list[Call]] = defaultdict(list)
    for call in found:
        seconds[int(call.start - found[0].start)].append(call)
    return sorted(seconds.items())


def by_name(found: Sequence[Call]) -> list[tuple[str, list[Call]]]:
    """The calls by what they were."""
    names: dict[str, list[Call]] = defaultdict(list)
    for call in found:
        names[call.name].append(call)
    return sorted(names.items())
