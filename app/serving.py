"""The model that is served: loaded through `current.json`, checked, and exchanged while requests run.

A version that `current.json` names is taken up if its bytes are what its manifest says, its documents satisfy their
schemas, and it is not clearly worse than the one being served, on the reference rows that it brings itself: its own
held-out people, so that going back to an older version passes. Otherwise the one before it stays.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app import events, model, registry
from app.model import Model
from app.registry import JobError, Version
from app.store import AbsentError, Store, StoreError

log = logging.getLogger("app.serving")

WORSE = 0.10  # of rmse on the reference rows: a version that is worse by more is refused
VERDICT = "drift.json"
VERDICT_SECONDS = 30.0  # between two looks for a verdict


@dataclass(frozen=True)
class Served:
    """What the service knows at one moment: the version it predicts with, and what is wrong, if anything is.

    `trouble` is a sentence about the last look at the store; with it, `version` is the last good one. `drift` is
    what the last drift job found, a document of schemas/drift.schema.json, or None if there is none to be read.
    """

    version: Version | None = None
    trouble: str | None = "No model was loaded yet."
    drift: dict[str, Any] | None = None

    @property
    def verdict(self) -> dict[str, Any] | None:
        """`drift` if it judged the version that is served: what was found of another one says nothing of this."""
        judged = self.version is not None and self.drift is not None and self.drift["model"] == self.version.version
        return self.drift if judged else None


class Models:
    """Keeps `served` up to date with `store`. Requests read that one attribute, and hold no lock.

    `changed` is called after each look that found something new or went wrong.
    """

    def __init__(self, store: Store, *, seconds: float = 5.0, changed: Callable[[], None] = lambda: None) -> None:
        self.served = Served()
        self.loads = {"loaded": 0, "refused": 0, "unreachable": 0}
        self.store, self.changed = store, changed
        self._seconds = seconds
        self._etag: str | None = None
        self._looked = -math.inf
        self._verdict_etag: str | None = None
        self._verdict_looked = -math.inf
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    def start(self) -> None:
        """Loads the current model in the background, then looks for a new one every `seconds`."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; does not wait for a call that is under way."""
        self._stopping.set()

    def refresh_if_due(self) -> None:
        """Looks if there is no model yet or the last look is `seconds` ago: for who has no thread to look."""
        if self.served.version is None or time.monotonic() - self._looked >= self._seconds:
            self.refresh()

    def refresh(self) -> None:
        """Looks once. A model that cannot be read or fails a check leaves the one before it in place."""
        self._looked = time.monotonic()
        before = self.served
        try:
            version = self._load()
        except StoreError as error:
            self._note("unreachable", str(error))
        except JobError as error:
            self._note("refused", f"The published model was refused: {error}")
        except Exception as error:  # the thread must outlive whatever a store can answer
            log.exception("looking for a model failed")
            self._note("unreachable", f"The store could not be read: {type(error).__name__}.")
        else:
            if version is not None:
                self.loads["loaded"] += 1
                log.info("serving model %s, fitted to data %s", version.version, version.model.data[:16])
                events.tell("model", outcome="loaded", version=version.version)
            self.served = replace(before, version=version or before.version, trouble=None)
        self._look_for_verdict()
        if self.served != before or self.served.trouble:
            self.changed()

    def _load(self) -> Version | None:
        """The current version if the pointer has moved since the last load that went well, else None."""
        found = self.store.read_if_changed(registry.CURRENT, self._etag, model.MAX_BYTES)
        if found is None:
            return None
        pointer = registry.checked_document(self.store, registry.CURRENT, "current", found)
        before = self.served.version
        if before is not None and (before.version, before.manifest_sha256) == (
            pointer["version"],
            pointer["manifest"],
        ):
            self._etag = found.etag
            return None
        version = registry.load_version(self.store, pointer["version"], pointer["manifest"])
        if before is not None:
            _compare(version, before, registry.load_reference(self.store, version.version))
        self._etag = found.etag
        return version

    def _look_for_verdict(self) -> None:
        """Reads what the last drift job found, if the last look is a while ago; predictions never depend on it."""
        if time.monotonic() - self._verdict_looked < VERDICT_SECONDS:
            return
        self._verdict_looked = time.monotonic()
        try:
            found = self.store.read_if_changed(VERDICT, self._verdict_etag, model.MAX_BYTES)
            if found is not None:
                verdict = registry.checked_document(self.store, VERDICT, "drift", found)
                self._verdict_etag = found.etag
                self.served = replace(self.served, drift=verdict)
        except AbsentError:
            self.served = replace(self.served, drift=None)
        except Exception as error:  # noqa: BLE001 - told in a sentence; the thread must outlive it
            log.warning("the verdict on drift cannot be read: %s", error)

    def _note(self, outcome: str, sentence: str) -> None:
        self.loads[outcome] += 1
        if sentence != self.served.trouble:
            log.warning("%s", sentence)
            events.tell("model", outcome=outcome, reason=sentence)
        self.served = replace(self.served, trouble=sentence)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.refresh()
            # Before the first model, look often: a service that has just started is waited for.
            self._stopping.wait(self._seconds if self.served.version else min(self._seconds, 0.5))


def _compare(version: Version, before: Version, rows: list[tuple[float, float, int]]) -> None:
    """Raises JobError if `version` is clearly worse than `before` on (height, weight, people) in inches and pounds."""
    people = sum(number for _, _, number in rows)
    if not people:
        return  # of too few people to tell anything about

    def rmse(model: Model) -> float:
        squares = ((model.predict(height) - weight) ** 2 * number for height, weight, number in rows)
        return math.sqrt(math.fsum(squares) / people)

    found, served = rmse(version.model), rmse(before.model)
    if not found <= (1 + WORSE) * served:
        raise JobError(
            f"model {version.version} is worse than {before.version}, which is served: on the reference rows that it "
            f"brings its error is {found:.3f} lb, the other's {served:.3f} lb (rmse)."
        )
