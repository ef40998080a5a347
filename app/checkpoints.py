"""A training that was cut off goes on with the rows that it had gathered, not with those of another day.

    CHECKPOINTS/table.csv, labels.csv     what was gathered, from file, store and lake
    CHECKPOINTS/checkpoint.json           written last: for which training, and the SHA-256 of both

The lake moves on while a machine is taken away; what is fitted is what the first run gathered, so that the second one
ends with the model that the first would have made. All else of a training can be repeated (docs/adr/0063).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from app import dataset, documents, labels, model
from app.dataset import DataError, People
from app.documents import DocumentError
from app.labels import Label

OLDEST = timedelta(days=1)  # an older one is of another day's people, and of nobody's concern any more
_NAMES = ("checkpoint.json", "table.csv", "labels.csv")  # the order of removal


class Gathered(NamedTuple):
    """What a training is given: the table, where it came from, the seed of its split, and the labels of the lake."""

    people: People
    source: str
    seed: int
    told: list[Label]


def save(folder: Path, training: str, gathered: Gathered) -> None:
    """Keeps what was gathered for `training`, a string that names it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    table, told = gathered.people.to_csv(), labels.to_csv(gathered.told)
    document = {
        "schema": "checkpoint/1",
        "training": training,
        "source": gathered.source,
        "seed": gathered.seed,
        "table": documents.sha256(table),
        "labels": documents.sha256(told),
        "created": documents.now(),
    }
    for name, content in (("table.csv", table), ("labels.csv", told), ("checkpoint.json", documents.dump(document))):
        _write(folder / name, content)


def _write(path: Path, content: bytes) -> None:
    """Under another name first: a file is whole or not there, whenever somebody looks."""
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load(folder: Path, training: str) -> Gathered | None:
    """What was kept for `training`; None if there is nothing, or not all of it, or it is another's or too old.

    What lies there is not trusted: other machines write to the folder.
    """
    try:
        document = documents.checked(_read(folder / "checkpoint.json", model.MAX_BYTES), "checkpoint")
        table, told = (_read(folder / f"{name}.csv", dataset.MAX_BYTES) for name in ("table", "labels"))
        if [documents.sha256(table), documents.sha256(told)] != [document["table"], document["labels"]]:
            return None
        if document["training"] != training or not _is_recent(document):
            return None
        people = dataset.parse_csv(table, "table.csv")
        return Gathered(people, document["source"], document["seed"], labels.parse_csv(told, "labels.csv"))
    except (OSError, DocumentError, DataError):
        return None


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit)


def _is_recent(document: dict[str, Any]) -> bool:
    age = datetime.now(UTC) - datetime.fromisoformat(document["created"])
    return timedelta(0) <= age <= OLDEST


def clear(folder: Path) -> None:
    """Removes what was kept: the training has ended. Raises OSError."""
    for name in _NAMES:
        (folder / name).unlink(missing_ok=True)
