"""The model that is served: loaded through `current.json`, checked, and exchanged while requests run."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from app import jobs, model
from app.jobs import JobError, Version
from app.store import Store, StoreError

log = logging.getLogger("app.serving")


@dataclass(frozen=True)
class Served:
    """What the service knows at one moment: the version it predicts with, and what is wrong, if anything is.

    `trouble` is a sentence about the last look at the store; with it, `version` is the last good one.
    """

    version: Version | None = None
    trouble: str | None = "No model was loaded yet."


class Models:
    """Keeps `served` up to date with the store. Requests read that one attribute, and hold no lock."""

    def __init__(self, store: Store, *, seconds: float = 5.0) -> None:
        self.served = Served()
        self.loads = {"loaded": 0, "refused": 0, "unreachable": 0}
        self._store, self._seconds = store, seconds
        self._etag: str | None = None
        self._looked = 0.0
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
            self.served = Served(version or self.served.version, None)

    def _load(self) -> Version | None:
        """The current version if the pointer has moved since the last load that went well, else None."""
        found = self._store.read_if_changed(jobs.CURRENT, self._etag, model.MAX_BYTES)
        if found is None:
            return None
        pointer = jobs.checked_document(self._store, jobs.CURRENT, "current", found)
        before = self.served.version
        if before is not None and (before.version, before.manifest_sha256) == (
            pointer["version"],
            pointer["manifest"],
        ):
            self._etag = found.etag
            return None
        version = jobs.load_version(self._store, pointer["version"], pointer["manifest"])
        self._etag = found.etag
        return version

    def _note(self, outcome: str, sentence: str) -> None:
        self.loads[outcome] += 1
        if sentence != self.served.trouble:
            log.warning("%s", sentence)
        self.served = Served(self.served.version, sentence)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.refresh()
            # Before the first model, look often: a service that has just started is waited for.
            self._stopping.wait(self._seconds if self.served.version else min(self._seconds, 0.5))
