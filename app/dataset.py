"""The height and weight table: generated from published statistics, or read from the user's own CSV.

Heights are in inches and weights in pounds everywhere in this application.
"""

from __future__ import annotations

import csv
import io
import math
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import NormalDist

HEADER = ("Index", "Height(Inches)", "Weight(Pounds)")
ROWS = 25_000
SEED = 20_080_201  # the table's name, 020108, is a date

# SOCR Data Dinov 020108 HeightsWeights (Statistics Online Computational Resource, UCLA and University of
# Michigan): 25,000 people of 18 years, simulated from the Hong Kong growth survey of 1993.
HEIGHT_MEAN, HEIGHT_SD = 67.99, 1.90  # inches: mean and sample standard deviation of column Height(Inches)
WEIGHT_MEAN, WEIGHT_SD = 127.08, 11.66  # pounds: the same of column Weight(Pounds)
CORRELATION = 0.50  # Pearson's, between the two columns

# Guinness World Records, adults: the shortest 21.5 in (Chandra Bahadur Dangi), the tallest 107.1 in (Robert
# Wadlow), the heaviest 1,400 lb (Jon Brower Minnoch); the lightest weights leave room for newborns.
HEIGHT_RANGE = (20.0, 110.0)
WEIGHT_RANGE = (2.0, 1_500.0)

MAX_BYTES = 64 * 1024 * 1024
MIN_ROWS = 20  # a fifth is held out; under this a held-out error says nothing

_UNITS = {
    "height": {"": 1.0, "in": 1.0, "inch": 1.0, "inches": 1.0, "cm": 1 / 2.54, "m": 100 / 2.54},
    "weight": {"": 1.0, "lb": 1.0, "lbs": 1.0, "pound": 1.0, "pounds": 1.0, "kg": 1 / 0.45359237},
}
for _name in ("centimeters", "centimetres"):
    _UNITS["height"][_name] = _UNITS["height"]["cm"]
for _name in ("kilograms", "kgs"):
    _UNITS["weight"][_name] = _UNITS["weight"]["kg"]
_COLUMN = re.compile(r"\s*(height|weight)s?\s*[\s_(\[]?\s*([a-z]*)\s*[)\]]?\s*", re.IGNORECASE)
_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,20}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?\s*", re.ASCII)
_RANGES = {"height": HEIGHT_RANGE, "weight": WEIGHT_RANGE}


class DataError(ValueError):
    """A table that cannot be learned from; the message is a sentence naming file, row and column."""


@dataclass(frozen=True)
class People:
    """A table of people: `heights` in inches and `weights` in pounds, of the same length."""

    heights: tuple[float, ...]
    weights: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.heights)

    def __add__(self, other: People) -> People:
        return People(self.heights + other.heights, self.weights + other.weights)

    def rows(self, indices: list[int]) -> People:
        """The people at these indices, in that order."""
        return People(tuple(self.heights[i] for i in indices), tuple(self.weights[i] for i in indices))

    def to_csv(self) -> bytes:
        """The table's one spelling: the original's header, rows counted from 1, shortest exact decimals."""
        lines = [",".join(HEADER)]
        pairs = zip(self.heights, self.weights, strict=True)
        lines += [f"{i},{height!r},{weight!r}" for i, (height, weight) in enumerate(pairs, 1)]
        return ("\n".join(lines) + "\n").encode("ascii")

    def statistics(self) -> dict[str, float]:
        """Means, sample standard deviations and Pearson's correlation, in inches and pounds."""
        height_mean, height_sd = mean_and_sd(self.heights)
        weight_mean, weight_sd = mean_and_sd(self.weights)
        products = ((h - height_mean) * (w - weight_mean) for h, w in zip(self.heights, self.weights, strict=True))
        return {
            "height_mean": height_mean,
            "height_sd": height_sd,
            "weight_mean": weight_mean,
            "weight_sd": weight_sd,
            "correlation": math.fsum(products) / ((len(self) - 1) * height_sd * weight_sd),
        }


def mean_and_sd(values: tuple[float, ...] | list[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1), exactly summed. Needs two values or more."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def generate(rows: int = ROWS, seed: int = SEED, *, taller: float = 0.0, heavier: float = 0.0) -> People:
    """`rows` people of a bivariate normal whose sample has the published statistics to five decimals.

    With `taller` (inches) another population: its mean height is that much larger, and its people weigh as the tall
    among the published ones do. With `heavier` (pounds) people of one height weigh that much more.

    The same rows and seed give the same table on every machine: only `getrandbits`, whose sequence Python
    keeps, and plain arithmetic are used, and values are rounded to five decimals as the original's are.
    """
    if rows < MIN_ROWS:
        raise DataError(f"{rows} rows are too few to generate: a table needs {MIN_ROWS} rows or more.")
    rng = random.Random(seed)  # noqa: S311 - a repeatable sample is wanted here, not a secret
    quantile = NormalDist().inv_cdf
    first, second = (_standardised([quantile((rng.getrandbits(52) + 0.5) / 2**52) for _ in range(rows)]) for _ in "hw")
    # What `second` shares with `first` is taken out, so that the sample's correlation is the stated one.
    shared = math.fsum(a * b for a, b in zip(first, second, strict=True)) / (rows - 1)
    other = _standardised([b - shared * a for a, b in zip(first, second, strict=True)])
    rest = math.sqrt(1 - CORRELATION**2)
    height, weight = HEIGHT_MEAN + taller, WEIGHT_MEAN + heavier + taller * CORRELATION * WEIGHT_SD / HEIGHT_SD
    return People(
        tuple(round(height + HEIGHT_SD * a, 5) for a in first),
        tuple(round(weight + WEIGHT_SD * (CORRELATION * a + rest * b), 5) for a, b in zip(first, other, strict=True)),
    )


def _standardised(values: list[float]) -> list[float]:
    mean, sd = mean_and_sd(values)
    return [(value - mean) / sd for value in values]


def split(rows: int, seed: int) -> tuple[list[int], list[int]]:
    """Row indices for training and, one in five of them, held out; each list ascending.

    Which rows are held out depends on `rows` and `seed` alone: those with the smallest hash.
    """
    order = ranked(range(rows), seed)
    held_out = rows // 5
    return sorted(order[held_out:]), sorted(order[:held_out])


def ranked(indices: Iterable[int], seed: int) -> list[int]:
    """Row indices by a hash of theirs, the smallest first: an order that says nothing about the rows."""
    return sorted(indices, key=lambda index: sha256(f"{seed}:{index}".encode()).digest())


def read(path: Path) -> bytes:
    """The user's file, or as much of it as shows that it is too large. Raises DataError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def parse_csv(data: bytes, name: str) -> People:
    """The people in the CSV text `data`; `name` is what messages call it. Raises DataError.

    Columns may stand in any order among others, separated by comma, semicolon or tab. Their names are height
    and weight, with a unit or without: `Height(Inches)`, `weight_kg`, `Height (cm)`; inches and pounds if none.
    """
    reader = csv.reader(io.StringIO(_text(data, name), newline=""), delimiter=_delimiter(data), strict=True)
    try:
        header = next((row for row in reader if any(cell.strip() for cell in row)), None)
        if header is None:
            raise DataError(f"{name} is empty; it needs a header with height and weight, then rows.")
        columns = {measure: _column(header, measure, name) for measure in _UNITS}
        values: dict[str, list[float]] = {measure: [] for measure in _UNITS}
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            for measure, (index, factor) in columns.items():
                where = f"{name}, row {reader.line_num}, column {header[index].strip()}"
                values[measure].append(_value(row, index, factor, measure, where))
    except csv.Error as error:
        raise DataError(f"{name}, row {reader.line_num}: {error}.") from None
    people = People(tuple(values["height"]), tuple(values["weight"]))
    _check_learnable(people, name)
    return people


def _text(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise DataError(f"{name} is larger than {MAX_BYTES // 1024**2} MiB; give a sample of it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise DataError(f"{name}, row {row}: not UTF-8 text; save the table as CSV in UTF-8.") from None


def _delimiter(data: bytes) -> str:
    first = next((line for line in data[:4096].splitlines() if line.strip()), b"")
    return max(",;\t", key=lambda mark: first.count(mark.encode()))


def _column(header: list[str], measure: str, name: str) -> tuple[int, float]:
    """Where the column of `measure` stands, and what its values are multiplied by."""
    units = _UNITS[measure]
    matches = ((index, _COLUMN.fullmatch(cell)) for index, cell in enumerate(header))
    named = [(index, match[2].lower()) for index, match in matches if match and match[1].lower() == measure]
    found = [(index, units[unit]) for index, unit in named if unit in units]
    if len(found) == 1:
        return found[0]
    if named and not found:
        index, unit = named[0]
        known = ", ".join(filter(None, units))
        raise DataError(f"{name}, row 1, column {header[index].strip()[:30]}: unit {unit} is none of {known}.")
    names = ", ".join(cell.strip()[:30] or "(blank)" for cell in header[:10])
    problem = f"{len(found)} columns of {measure}" if found else f"no column named {measure}"
    raise DataError(f"{name}, row 1: {problem}; the header says: {names}.")


def _value(row: list[str], index: int, factor: float, measure: str, where: str) -> float:
    if index >= len(row) or not row[index].strip():
        raise DataError(f"{where}: the value is missing.")
    text = row[index]
    if not _NUMBER.fullmatch(text):
        raise DataError(f"{where}: {text.strip()[:30]!r} is not a number.")
    value = float(text) * factor
    low, high = _RANGES[measure]
    if not low <= value <= high:
        unit = "inches" if measure == "height" else "pounds"
        advice = "; a column in other units says so in its header, as in Height(cm) or Weight(kg)"
        raise DataError(f"{where}: {text.strip()[:30]} is no {measure} between {low:g} and {high:g} {unit}{advice}.")
    return value


def _check_learnable(people: People, name: str) -> None:
    if len(people) < MIN_ROWS:
        raise DataError(f"{name} has {len(people)} rows of people; at least {MIN_ROWS} are needed.")
    for measure, values in (("height", people.heights), ("weight", people.weights)):
        if min(values) == max(values):
            raise DataError(f"{name}, column {measure}: every value is the same, so nothing can be learned.")
