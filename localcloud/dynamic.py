"""`pulumi.dynamic`: resources whose create, read, update and delete are functions of the program itself.

The SDK serializes the program's ResourceProvider with dill into the input `__provider`, as a secret; the state keeps
it, so that a resource can be deleted after its code has left the program. Opening it runs the program's own code, as
the Pulumi CLI does: whoever may write the state may run code.
"""

from __future__ import annotations

import base64
import binascii
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi.dynamic import Config, ConfigureRequest
from pulumi.dynamic.dynamic import dill  # type: ignore[attr-defined] # what the SDK serializes with, not exported
from pulumi.runtime import rpc
from pulumi.runtime._serialization import _deserialize

from localcloud.errors import LocalcloudError, UnsupportedError
from localcloud.project import Project
from localcloud.state import Resource
from localcloud.values import UNKNOWN, Properties, plain, transform

PACKAGE = "pulumi-python"
PREFIX = f"{PACKAGE}:dynamic"
KEY = "__provider"


@dataclass(frozen=True)
class Change:
    """A verdict on old and new inputs; see localcloud.providers.Change."""

    changed: tuple[str, ...]
    replaces: tuple[str, ...]
    delete_before_replace: bool


class Dynamic:
    """The provider of dynamic resources. rows: what the state knows now; old outputs come from there."""

    def __init__(self, project: Project, rows: Callable[[], Iterable[Resource]]) -> None:
        self._project = project
        self._rows = rows
        self._opened: dict[str, Any] = {}
        self._made: dict[tuple[str, str], Properties] = {}  # what a creation or an update answered, until it is read
        self._checking = threading.local()  # the URN whose check this thread did last: its diff follows
        self._lock = threading.RLock()

    def supports(self, token: str) -> bool:
        return token.startswith(PREFIX)

    def check(self, token: str, urn: str, inputs: Properties, old_inputs: Properties | None) -> Properties:
        self._checking.urn = urn
        row = next((row for row in self._rows() if row.urn == urn and not row.delete), None)
        olds = self._outputs(row) if row and old_inputs is not None else {}
        result = self._asked(token, "check", inputs, _given(olds), _given(inputs))
        if result.failures:
            told = "; ".join(f"{failure.property}: {failure.reason}" for failure in result.failures)
            raise LocalcloudError(f"{token} {urn.rsplit('::', 1)[1]!r} is not valid: {told}")
        return {**_taken(result.inputs or {}, token, "check"), KEY: inputs[KEY]}

    def diff(self, token: str, old_inputs: Properties, new_inputs: Properties) -> Change:
        row = self._row(token, old_inputs)
        provider = new_inputs if new_inputs[KEY] is not UNKNOWN else old_inputs
        olds = self._outputs(row) if row else old_inputs
        result = self._asked(token, "diff", provider, row.id if row else "", _given(olds), _given(new_inputs))
        names = sorted(old_inputs.keys() | new_inputs.keys())
        changed = tuple(
            name for name in names if new_inputs.get(name) is UNKNOWN or old_inputs.get(name) != new_inputs.get(name)
        )
        replaces = tuple(result.replaces or ())
        if result.changes is False:
            changed = ()
        elif result.changes and not changed:
            changed = replaces or (KEY,)
        return Change(changed or replaces, replaces, bool(result.delete_before_replace))

    def create(self, token: str, urn: str, inputs: Properties) -> str:
        result = self._asked(token, "create", inputs, _given(inputs))
        if not isinstance(result.id, str) or not result.id:
            raise LocalcloudError(f"The dynamic provider of {urn} gave no id: CreateResult takes one as a text.")
        self._keep(token, result.id, result.outs or {}, inputs)
        return result.id

    def update(self, token: str, id_: str, old_inputs: Properties, new_inputs: Properties) -> None:
        row = self._by_id(token, id_)
        olds = self._outputs(row) if row else old_inputs
        result = self._asked(token, "update", new_inputs, id_, _given(olds), _given(new_inputs))
        self._keep(token, id_, (result.outs if result else None) or {}, new_inputs)

    def read(self, token: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        with self._lock:
            made = self._made.pop((token, id_), None)
        if made is not None:
            return dict(inputs), made
        row = self._by_id(token, id_)
        props = self._outputs(row) if row else inputs
        result = self._asked(token, "read", inputs, id_, _given(props))
        if not result.id:
            return None
        outputs = {**_taken(result.outs or {}, token, "read"), KEY: inputs[KEY]}
        told = getattr(result, "inputs", None)
        return ({**_taken(told, token, "read"), KEY: inputs[KEY]} if told is not None else dict(inputs)), outputs

    def delete(self, token: str, id_: str, inputs: Properties) -> None:
        row = self._by_id(token, id_)
        self._asked(token, "delete", inputs, id_, _given(self._outputs(row) if row else inputs))

    def find(self, _token: str, _urn: str, _inputs: Properties, _known: frozenset[str]) -> str | None:
        return None  # a dynamic provider cannot be asked what there is

    def invoke(self, token: str, _arguments: Properties) -> Properties:
        raise UnsupportedError(f"A dynamic provider has no functions, so no {token}.")

    def _keep(self, token: str, id_: str, outs: Mapping[str, Any], inputs: Properties) -> None:
        with self._lock:
            self._made[token, id_] = {**_taken(outs, token, "create"), KEY: inputs[KEY]}

    def _row(self, token: str, old_inputs: Properties) -> Resource | None:
        """The row that old inputs are of: that of the last check if they fit it, else the first that they fit."""
        fitting = [row for row in self._rows() if row.type == token and plain(row.inputs) == old_inputs]
        last = getattr(self._checking, "urn", "")
        return next((row for row in fitting if row.urn == last), fitting[0] if fitting else None)

    def _by_id(self, token: str, id_: str) -> Resource | None:
        return next((row for row in self._rows() if (row.type, row.id) == (token, id_)), None)

    def _outputs(self, row: Resource) -> Properties:
        found: Properties = plain(row.outputs)
        return found

    def _asked(self, token: str, verb: str, inputs: Properties, *arguments: Any) -> Any:
        """What the program's own function answers; whatever it raises becomes a sentence with the program's line."""
        provider = self._provider(token, inputs.get(KEY))
        try:
            return getattr(provider, verb)(*arguments)
        except Exception as error:
            place = ""
            for step in traceback.extract_tb(error.__traceback__):
                file = Path(step.filename)
                if file.is_relative_to(self._project.root) and "site-packages" not in file.parts:
                    place = f" ({file.relative_to(self._project.root)}:{step.lineno})"
            text = f"{type(error).__name__}: {error or 'no message'}{place}"
            raise LocalcloudError(self._project.masked(f"The {verb} of the dynamic {token} failed: {text}")) from error

    def _provider(self, token: str, serialized: Any) -> Any:
        if not isinstance(serialized, str):
            raise LocalcloudError(f"{token} has no provider among its inputs ({KEY!r}); declare it anew.")
        with self._lock:
            if serialized not in self._opened:
                try:
                    raw = base64.b64decode(serialized, validate=True)
                    provider = _deserialize(lambda: dill.loads(raw))
                except (binascii.Error, Exception) as error:
                    raise LocalcloudError(
                        f"The code of the dynamic {token} cannot be opened: {type(error).__name__}: {error}."
                    ) from error
                if hasattr(provider, "configure"):
                    provider.configure(ConfigureRequest(Config(dict(self._project.config), self._project.name)))
                self._opened[serialized] = provider
            return self._opened[serialized]


def _given(values: Properties) -> Properties:
    """Properties as the SDK hands them to a dynamic provider: what is not known as the SDK's own mark."""
    found: Properties = transform(values, lambda leaf: rpc.UNKNOWN if leaf is UNKNOWN else leaf)
    return found


def _taken(values: Mapping[str, Any], token: str, verb: str) -> Properties:
    """Properties as a dynamic provider answered them. Raises LocalcloudError for what is no property value."""

    def value(item: Any) -> Any:
        if isinstance(item, Mapping):
            return {str(name): value(inner) for name, inner in item.items()}
        if isinstance(item, list | tuple | set):
            return [value(inner) for inner in item]
        if item == rpc.UNKNOWN:
            return UNKNOWN
        if item is None or isinstance(item, str | bool | int | float):
            return item
        raise LocalcloudError(
            f"The {verb} of the dynamic {token} answered with a {type(item).__name__}; "
            "it must be text, a number, a truth value, a list or a dict of these."
        )

    return {str(name): value(item) for name, item in values.items() if item is not None}


__all__ = ["KEY", "PACKAGE", "PREFIX", "Change", "Dynamic"]
