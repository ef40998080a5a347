"""A stack's state in Pulumi's own deployment format (version 3), saved after every step.

The format is that of `pulumi stack export`: sdk/go/common/apitype/deployments.json and resources.json in Pulumi's Go
module. What localcloud does not use of a state that it reads is kept and written back.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localcloud import history
from localcloud.errors import LocalcloudError
from localcloud.files import remove_drafts, write_private
from localcloud.secrets import Passphrase, new_salt, passphrase
from localcloud.values import SECRET, SIGNATURE, Properties, Secret

VERSION = 3
URN_PARTS = 3  # `::` between stack, project, types and name

# attribute → the state's key, for what is written only when it is not empty
FIELDS = {
    "id": "id",
    "inputs": "inputs",
    "outputs": "outputs",
    "parent": "parent",
    "protect": "protect",
    "external": "external",
    "dependencies": "dependencies",
    "provider": "provider",
    "property_dependencies": "propertyDependencies",
    "additional_secret_outputs": "additionalSecretOutputs",
    "custom_timeouts": "customTimeouts",
    "import_id": "importID",
    "retain_on_delete": "retainOnDelete",
    "deleted_with": "deletedWith",
    "replace_with": "replaceWith",
    "created": "created",
    "modified": "modified",
    "source_position": "sourcePosition",
}


@dataclass(frozen=True)
class Resource:
    """One resource of a state. `inputs` and `outputs` are values as in localcloud.values, secrets in clear inside
    `Secret`. `delete` marks the old copy of a resource that was replaced and still has to go."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    delete: bool = False
    external: bool = False
    additional_secret_outputs: tuple[str, ...] = ()
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    import_id: str = ""
    deleted_with: str = ""
    replace_with: tuple[str, ...] = ()
    created: str = ""
    modified: str = ""
    source_position: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the URN."""
        return self.urn.rsplit("::", 1)[1]

    @property
    def needs(self) -> frozenset[str]:
        """URNs of what must exist before this resource: dependencies, parent, provider."""
        links = {*self.dependencies, *(urn for row in self.property_dependencies.values() for urn in row)}
        links |= {self.parent, self.provider.rpartition("::")[0], self.deleted_with, *self.replace_with}
        return frozenset(links - {"", self.urn})


@dataclass(frozen=True)
class Operation:
    """A step that was written down before it began. kind: creating, updating, deleting, reading or importing."""

    kind: str
    resource: Resource


@dataclass
class Snapshot:
    """A whole state: resources in an order in which each follows what it needs, and operations not known to be over."""

    resources: list[Resource] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)


class StateFile:
    """The state of one stack on disk. Secrets are encrypted with a passphrase, as the Pulumi CLI's `passphrase`
    secrets provider does; the passphrase comes from PULUMI_CONFIG_PASSPHRASE(_FILE) or a private file made once."""

    def __init__(self, path: Path, salt: str | None = None) -> None:
        self.path = path
        self._salt = salt
        self._keys: Passphrase | None = None
        self._written: dict[int, tuple[Resource, dict[str, Any], str]] = {}
        self._saved = False
        self._extra: dict[str, Any] = {}

    def load(self) -> Snapshot:
        """The state, or an empty one if there is none yet. A broken file raises LocalcloudError and stays as it is."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Snapshot()
        except (OSError, UnicodeDecodeError) as error:
            raise LocalcloudError(self._unreadable(error)) from error
        try:
            return verified(self.parse(json.loads(text)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LocalcloudError(self._unreadable(error)) from error

    def _unreadable(self, error: Exception) -> str:
        what = f"The state {self.path} cannot be read ({type(error).__name__}: {error}). "
        if kept := history.kept(self.path):
            return what + (
                f"`python -m localcloud restore` puts the one of {kept[-1].stem} in its place; {len(kept)} are kept."
            )
        return what + "Put a good one in its place with `python -m localcloud import`, or move it away to begin anew."

    def parse(self, document: dict[str, Any]) -> Snapshot:
        """The snapshot of a document in the format of `pulumi stack export`."""
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
        return Snapshot(
            [self._resource(row) for row in deployment.get("resources") or []],
            [
                Operation(row["type"], self._resource(row["resource"]))
                for row in deployment.get("pending_operations") or []
            ],
        )

    def render(self, snapshot: Snapshot, *, show_secrets: bool = False) -> dict[str, Any]:
        """The document of a snapshot, in the format of `pulumi stack export`."""
        rows = [self._row(resource, show_secrets=show_secrets) for resource in snapshot.resources]
        pending = [
            {"resource": self._row(operation.resource, show_secrets=show_secrets), "type": operation.kind}
            for operation in snapshot.operations
        ]
        deployment = {**self._head(), "resources": rows}
        if pending:
            deployment["pending_operations"] = pending
        return {"version": VERSION, "deployment": deployment}

    def _head(self) -> dict[str, Any]:
        """What stands before the resources; render them first, as the first secret makes the salt."""
        secrets = {"secrets_providers": {"type": "passphrase", "state": {"salt": self._salt}}} if self._salt else {}
        return {"manifest": {"time": _now(), "magic": "", "version": ""}, **secrets, **self._extra}

    def save(self, snapshot: Snapshot) -> None:
        """Replaces the file in one step, so that a reader or a kill finds the old state or the new, never a part.

        The first save of a run keeps the state that was there before (history.py). A disk that takes no more raises
        LocalcloudError, and the old state stays.
        """
        try:
            if not self._saved:
                history.keep(self.path)
            self._saved = True
            write_private(self.path, self._text(snapshot).encode())
        except OSError as error:
            raise LocalcloudError(
                f"The state {self.path} cannot be written: {error.strerror}. It stays as it was last saved, with what "
                "was under way. Once there is room to write, the same command goes on from there."
            ) from error

    def _text(self, snapshot: Snapshot) -> str:
        """The document that `render` gives, a resource a line; what did not change since the last save is at hand."""
        rows = ",\n".join(self._line(resource) for resource in snapshot.resources)
        pending = ",\n".join(
            f'{{"type": {json.dumps(operation.kind)}, "resource": {self._line(operation.resource)}}}'
            for operation in snapshot.operations
        )
        head = json.dumps(self._head())[1:-1]
        more = f',\n"pending_operations": [\n{pending}\n]' if pending else ""
        return f'{{"version": {VERSION}, "deployment": {{{head},\n"resources": [\n{rows}\n]{more}}}}}\n'

    def _line(self, resource: Resource) -> str:
        self._row(resource, show_secrets=False)
        return self._written[id(resource)][2]

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

    def _resource(self, row: dict[str, Any]) -> Resource:
        known = {key: attribute for attribute, key in FIELDS.items()}
        values: dict[str, Any] = {known[key]: value for key, value in row.items() if key in known and value is not None}
        for name in ("inputs", "outputs"):
            values[name] = self._open(values.get(name) or {})
        for name in ("dependencies", "additional_secret_outputs", "replace_with"):
            values[name] = tuple(values.get(name) or ())
        values["property_dependencies"] = {
            name: tuple(urns or ()) for name, urns in (values.get("property_dependencies") or {}).items()
        }
        plain = {"urn", "type", "custom", "delete", *known}
        return Resource(
            urn=row["urn"],
            type=row["type"],
            custom=bool(row.get("custom")),
            delete=bool(row.get("delete")),
            extra={key: self._open(value) for key, value in row.items() if key not in plain},
            **values,
        )

    def _row(self, resource: Resource, *, show_secrets: bool) -> dict[str, Any]:
        cached = self._written.get(id(resource))
        if cached is not None and not show_secrets:
            return cached[1]
        row: dict[str, Any] = {"urn": resource.urn, "custom": resource.custom}
        if resource.delete:
            row["delete"] = True
        row["type"] = resource.type
        for attribute, key in FIELDS.items():
            value = getattr(resource, attribute)
            if attribute in ("inputs", "outputs"):
                value = self._close(value, show_secrets)
            if value:
                row[key] = list(value) if isinstance(value, tuple) else value
        row.update(self._close(resource.extra, show_secrets))
        if not show_secrets:
            self._written[id(resource)] = (resource, row, json.dumps(row))  # holds it, so that its id stays its own
        return row

    def _close(self, value: Any, show_secrets: bool) -> Any:
        if isinstance(value, Secret):
            text = json.dumps(value.value, separators=(",", ":"))
            shown = {"plaintext": text} if show_secrets else {"ciphertext": self._cipher().encrypt(text)}
            return {SIGNATURE: SECRET, **shown}
        if isinstance(value, dict):
            return {name: self._close(item, show_secrets) for name, item in value.items()}
        if isinstance(value, list):
            return [self._close(item, show_secrets) for item in value]
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


def verified(snapshot: Snapshot) -> Snapshot:
    """The snapshot, if it is one that a run may leave; else ValueError says what stands twice or is not there.

    The rules of the CLI's Snapshot.VerifyIntegrity, but for the order of the rows, which any save puts right.
    """
    living = Counter(row.urn for row in snapshot.resources if not row.delete)
    if twice := [urn for urn, count in living.items() if count > 1]:
        raise ValueError(f"{twice[0]} stands there {living[twice[0]]} times")
    known = {row.urn for row in snapshot.resources}
    for row in snapshot.resources:
        if not row.urn.startswith("urn:pulumi:") or row.urn.count("::") < URN_PARTS:
            raise ValueError(f"{row.urn!r} is no URN")
        if missing := sorted(row.needs - known - {row.deleted_with, *row.replace_with}):
            raise ValueError(f"{row.urn} needs {missing[0]}, which is not there")
    return snapshot


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def touched(resource: Resource, *, new: bool) -> Resource:
    """The resource with its time of change set to now, and of creation if it is new."""
    now = _now()
    return replace(resource, created=now if new else resource.created, modified=now)


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
        file.write(f"process {os.getpid()} ({command}) of {getpass.getuser()} on {platform.node()}, since {_now()}")
        file.flush()
        remove_drafts(path.with_suffix(".json"))
        yield
        file.seek(0)
        file.truncate()
