"""A stack's state in Pulumi's own deployment format (version 3), with a journal of what changed since it was written.

The format is that of `pulumi stack export`: sdk/go/common/apitype/deployments.json in Pulumi's Go module. What
localcloud does not use of a state that it reads is kept and written back.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from localcloud import history, journal
from localcloud.book import Entry
from localcloud.errors import LocalcloudError
from localcloud.files import remove_drafts
from localcloud.secrets import Passphrase, new_salt, passphrase
from localcloud.snapshot import (
    FIELDS,
    Operation,
    Resource,
    Snapshot,
    decoded,
    encoded,
    now,
    touched,
    verified,
)
from localcloud.values import SECRET, SIGNATURE, Secret

VERSION = 3
# Beyond both, the whole state is written and a new journal begun: however many steps, what is written grows in line.
JOURNAL_BYTES = 2**20

__all__ = ["FIELDS", "Operation", "Resource", "Snapshot", "StateFile", "lock", "touched", "verified"]


class StateFile:
    """The state of one stack on disk. Secrets are encrypted with a passphrase, as the Pulumi CLI's `passphrase`
    secrets provider does; the passphrase comes from PULUMI_CONFIG_PASSPHRASE(_FILE) or a private file made once."""

    def __init__(self, path: Path, salt: str | None = None) -> None:
        self.path = path
        self._salt = salt
        self._keys: Passphrase | None = None
        self._extra: dict[str, Any] = {}
        self._lines: dict[int, tuple[Resource, str]] = {}  # holds each resource, so that its id stays its own
        self._kept = False
        self._journal: journal.Writer | None = None
        self._base = ("", 0, salt)  # digest, bytes and salt of the whole state that a journal may go on from, if any

    def load(self) -> Snapshot:
        """The state, or an empty one if there is none yet. A broken file raises LocalcloudError and stays as it is."""
        try:
            found = self._read()
            if found is None:
                return Snapshot()
            content, entries = found
            snapshot = verified(self.parse(json.loads(content), entries))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LocalcloudError(self._unreadable(error)) from error
        if not entries:
            self._base = (journal.digest(content), len(content), self._salt)
        return snapshot

    def content(self) -> bytes:
        """The document, its secrets closed, without need of the passphrase; nothing if there is none yet."""
        try:
            found = self._read()
            if found is None:
                return b""
            content, entries = found
            return self._text(self._closed(json.loads(content)["deployment"], entries)).encode() if entries else content
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LocalcloudError(self._unreadable(error)) from error

    def _read(self) -> tuple[bytes, list[Entry]] | None:
        try:
            return journal.read(self.path)
        except FileNotFoundError:
            return None

    def _unreadable(self, error: Exception) -> str:
        what = f"The state {self.path} cannot be read ({type(error).__name__}: {error}). "
        if kept := history.kept(self.path):
            return what + (
                f"`python -m localcloud restore` puts the one of {kept[-1].stem} in its place; {len(kept)} are kept."
            )
        return what + "Put a good one in its place with `python -m localcloud import`, or move it away to begin anew."

    def parse(self, document: dict[str, Any], entries: Sequence[Entry] = ()) -> Snapshot:
        """The snapshot of a document in the format of `pulumi stack export`, after the entries of its journal."""
        if document.get("version") != VERSION:
            raise LocalcloudError(
                f"This state has version {document.get('version')!r}; localcloud reads version {VERSION}, "
                "which `pulumi stack export` writes."
            )
        deployment = document["deployment"] or {}
        provider = deployment.get("secrets_providers") or {}
        if provider.get("type") == "passphrase":
            self._salt = provider["state"]["salt"]
            self._keys = None
        elif provider.get("type") and _has_ciphertext(deployment):
            raise LocalcloudError(
                f"The secrets of this state belong to the provider {provider['type']!r}, which only the Pulumi CLI "
                "opens. Change it first: `pulumi stack change-secrets-provider passphrase`."
            )
        self._extra = {key: deployment[key] for key in ("metadata",) if key in deployment}
        found = self._closed(deployment, entries)
        return Snapshot(
            [self._opened(row) for row in found.resources],
            [Operation(one.kind, self._opened(one.resource)) for one in found.operations],
        )

    def _closed(self, deployment: dict[str, Any], entries: Iterable[Entry]) -> Snapshot:
        """What a deployment says after the entries, secrets still closed."""
        snapshot = Snapshot(
            [decoded(row) for row in deployment.get("resources") or []],
            [Operation(row["type"], decoded(row["resource"])) for row in deployment.get("pending_operations") or []],
        )
        return journal.continued(snapshot, entries) if entries else snapshot

    def _opened(self, row: Resource) -> Resource:
        opened = {name: self._open(getattr(row, name)) for name in ("inputs", "outputs", "extra")}
        return replace(row, **opened)

    def render(self, snapshot: Snapshot, *, show_secrets: bool = False) -> dict[str, Any]:
        """The document of a snapshot, in the format of `pulumi stack export`."""
        row = self._shown if show_secrets else lambda resource: json.loads(self._line(resource))
        rows = [row(resource) for resource in snapshot.resources]
        pending = [{"resource": row(operation.resource), "type": operation.kind} for operation in snapshot.operations]
        deployment = {**self._head(), "resources": rows}
        if pending:
            deployment["pending_operations"] = pending
        return {"version": VERSION, "deployment": deployment}

    def _head(self) -> dict[str, Any]:
        """What stands before the resources; render them first, as the first secret makes the salt."""
        secrets = {"secrets_providers": {"type": "passphrase", "state": {"salt": self._salt}}} if self._salt else {}
        return {"manifest": {"time": now(), "magic": "", "version": ""}, **secrets, **self._extra}

    def append(self, entries: Sequence[Entry]) -> bool:
        """Writes down what changed since the last write, in the journal; it is on disk when this returns.

        False if the whole state has to be saved in its stead: there is none yet, it was not read from a file that the
        journal could go on from, the first secret came, or the journal has grown as long as the state. A disk that
        takes no more raises LocalcloudError, and what was written before stays.
        """
        base, size, salt = self._base
        line = journal.line(entries, self._line) if base else b""
        if not base or salt != self._salt:
            return False
        with self._refused():
            self._keep()
            if self._journal is None:
                self._journal = journal.Writer(self.path, base)
            if self._journal.size > max(size, JOURNAL_BYTES):
                return False
            self._journal.append(line)
        return True

    def save(self, snapshot: Snapshot) -> None:
        """Replaces the file in one step, so that a reader or a kill finds the old state or the new, never a part.

        The first write of a run keeps the state that was there before (history.py). A disk that takes no more raises
        LocalcloudError, and the old state stays, with its journal.
        """
        content = self._text(snapshot).encode()
        with self._refused():
            self._keep()
            journal.put(self.path, content)
        self._let_go()
        self._base = (journal.digest(content), len(content), self._salt)

    def _keep(self) -> None:
        if not self._kept:
            history.keep(self.path)
        self._kept = True

    @contextlib.contextmanager
    def _refused(self) -> Iterator[None]:
        """Turns an error of the disk into a sentence; whatever is written next is a whole state."""
        try:
            yield
        except OSError as error:
            self._let_go()
            self._base = ("", 0, None)
            raise LocalcloudError(
                f"The state {self.path} cannot be written: {error.strerror}. It stays as it was last saved, with what "
                "was under way. Once there is room to write, the same command goes on from there."
            ) from error

    def _let_go(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = None

    def _text(self, snapshot: Snapshot) -> str:
        """The document that `render` gives, a resource a line; what did not change since the last save is at hand."""
        before, self._lines = self._lines, {}
        for resource in (*snapshot.resources, *(operation.resource for operation in snapshot.operations)):
            known = before.get(id(resource))
            self._lines[id(resource)] = known or (resource, self._line(resource))
        rows = ",\n".join(self._line(resource) for resource in snapshot.resources)
        pending = ",\n".join(
            f'{{"type": {json.dumps(operation.kind)}, "resource": {self._line(operation.resource)}}}'
            for operation in snapshot.operations
        )
        head = json.dumps(self._head())[1:-1]
        more = f',\n"pending_operations": [\n{pending}\n]' if pending else ""
        return f'{{"version": {VERSION}, "deployment": {{{head},\n"resources": [\n{rows}\n]{more}}}}}\n'

    def _line(self, resource: Resource) -> str:
        """The resource as JSON, its secrets closed: one that did not change keeps its ciphertexts."""
        known = self._lines.get(id(resource))
        if known is None:
            known = self._lines[id(resource)] = (resource, json.dumps(encoded(resource, self._close)))
        return known[1]

    def salt(self) -> str:
        """The passphrase's salt, made when the first secret is written."""
        if self._salt is None:
            self._salt = new_salt(self._passphrase())
        return self._salt

    def _passphrase(self) -> str:
        return passphrase(self.path.parent / "passphrase")

    def _cipher(self) -> Passphrase:
        if self._keys is None:
            self._keys = Passphrase(self._passphrase(), self.salt())
        return self._keys

    def _shown(self, resource: Resource) -> dict[str, Any]:
        return encoded(resource, lambda value: self._close(value, shown=True))

    def _close(self, value: Any, shown: bool = False) -> Any:
        if isinstance(value, Secret):
            text = json.dumps(value.value, separators=(",", ":"))
            closed = {"plaintext": text} if shown else {"ciphertext": self._cipher().encrypt(text)}
            return {SIGNATURE: SECRET, **closed}
        if isinstance(value, dict):
            return {name: self._close(item, shown) for name, item in value.items()}
        if isinstance(value, list):
            return [self._close(item, shown) for item in value]
        return value

    def _open(self, value: Any) -> Any:
        if isinstance(value, dict):
            if value.get(SIGNATURE) == SECRET:
                text = value["plaintext"] if "plaintext" in value else self._cipher().decrypt(value["ciphertext"])
                return Secret(json.loads(text))
            return {name: self._open(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._open(item) for item in value]
        return value


def _has_ciphertext(value: Any) -> bool:
    if isinstance(value, dict):
        return "ciphertext" in value or any(_has_ciphertext(item) for item in value.values())
    return isinstance(value, list) and any(_has_ciphertext(item) for item in value)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """One writer of a state at a time. The lock goes with its process; who holds it stands in the file."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise LocalcloudError(f"The lock {path} cannot be had: {error.strerror}. Its folder must be yours.") from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise LocalcloudError(
                f"The stack is locked by {holder}. Wait for it to end, or stop that process; the lock ends with it."
            ) from None
        file.seek(0)
        file.truncate()
        command = " ".join(Path(word).name for word in sys.argv[:2])
        file.write(f"process {os.getpid()} ({command}) of {getpass.getuser()} on {platform.node()}, since {now()}")
        file.flush()
        for written in (path.with_suffix(".json"), path.with_suffix(".journal")):
            remove_drafts(written)
        yield
        file.seek(0)
        file.truncate()
