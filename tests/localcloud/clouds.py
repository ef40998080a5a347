"""A cloud in memory and a provider over it, for tests of the engine: any type `test:…`, each property kept."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

from localcloud import operations
from localcloud.errors import LocalcloudError
from localcloud.events import Event
from localcloud.project import load
from localcloud.values import UNKNOWN, Properties


@dataclass(frozen=True)
class Change:
    changed: tuple[str, ...]
    replaces: tuple[str, ...]
    delete_before_replace: bool = False


@dataclass
class Cloud:
    """Resources by id, and the calls that were made. `fail` names resources whose next call fails."""

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    fail: dict[str, BaseException] = field(default_factory=dict)
    before: Callable[[str, str], None] = lambda _verb, _name: None
    checking: Callable[[str], None] = lambda _name: None
    ids: Any = field(default_factory=lambda: itertools.count(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def called(self, verb: str) -> list[str]:
        return [name for one, name in self.calls if one == verb]


class Provider:
    """Properties that begin with `fixed` replace; `first` in the inputs asks for delete before replace."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def _call(self, verb: str, name: str) -> None:
        with self.cloud.lock:
            self.cloud.calls.append((verb, name))
            error = self.cloud.fail.pop(f"{verb} {name}", None)
        self.cloud.before(verb, name)
        if error is not None:
            raise error

    def supports(self, token: str) -> bool:
        return token.startswith("test:")

    def check(self, _token: str, urn: str, inputs: Properties, _old: Properties | None) -> Properties:
        self.cloud.checking(urn.rsplit("::", 1)[1])
        return {"default": "yes", **inputs}

    def diff(self, _token: str, old: Properties, new: Properties) -> Change:
        names = sorted(old.keys() | new.keys())
        changed = tuple(name for name in names if new.get(name) is UNKNOWN or old.get(name) != new.get(name))
        return Change(changed, tuple(name for name in changed if name.startswith("fixed")), "first" in new)

    def create(self, token: str, urn: str, inputs: Properties) -> str:
        name = urn.rsplit("::", 1)[1]
        with self.cloud.lock:
            id_ = f"{name}-{next(self.cloud.ids)}"
            self.cloud.resources[id_] = {"token": token, "urn": urn, "inputs": dict(inputs)}
        self._call("create", name)
        return id_

    def read(self, _token: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        self._call("read", id_.rsplit("-", 1)[0])
        found = self.cloud.resources.get(id_)
        if found is None:
            return None
        return dict(found["inputs"]), {**found["inputs"], "arn": f"arn:{id_}"}

    def update(self, _token: str, id_: str, _old: Properties, new: Properties) -> None:
        self._call("update", id_.rsplit("-", 1)[0])
        self.cloud.resources[id_]["inputs"] = dict(new)

    def delete(self, _token: str, id_: str, _inputs: Properties) -> None:
        self._call("delete", id_.rsplit("-", 1)[0])
        self.cloud.resources.pop(id_, None)

    def find(self, token: str, urn: str, _inputs: Properties, known: frozenset[str]) -> str | None:
        for id_, row in self.cloud.resources.items():
            if (row["token"], row["urn"]) == (token, urn) and id_ not in known:
                return id_
        return None

    def invoke(self, token: str, arguments: Properties) -> Properties:
        if token != "test:index:echo":
            raise LocalcloudError(f"no function {token}")
        return {"said": arguments.get("say")}


PRELUDE = """
import pulumi
from pulumi import ResourceOptions as Options

class Thing(pulumi.CustomResource):
    arn: pulumi.Output[str]
    value: pulumi.Output[str]

    def __init__(self, name, opts=None, **props):
        super().__init__("test:index:Thing", name, {"arn": None, "value": None, **props}, opts)
"""


class World:
    """One project in a temporary folder, a cloud, and the events of the last run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cloud = Cloud()
        self.events: list[Event] = []
        self.logs: list[tuple[str, str]] = []
        (root / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
        (root / "Pulumi.dev.yaml").write_text("config:\n  demo:size: 3\n")

    def program(self, text: str) -> None:
        (self.root / "__main__.py").write_text(PRELUDE + dedent(text))

    def project(self, *overrides: str) -> Any:
        return load(self.root, "dev", overrides)

    def factories(self) -> Any:
        return {"test": lambda _config: Provider(self.cloud)}

    def note(self, event: Event) -> None:
        self.events.append(event)

    def log(self, severity: str, message: str) -> None:
        self.logs.append((severity, message))

    def up(self, text: str | None = None, **options: Any) -> operations.Result:
        if text is not None:
            self.program(text)
        self.events.clear()
        self.cloud.calls.clear()
        return operations.up(self.project(), self.factories(), self.note, self.log, **options)

    def preview(self, text: str | None = None, **options: Any) -> operations.Result:
        if text is not None:
            self.program(text)
        self.events.clear()
        self.cloud.calls.clear()
        return operations.preview(self.project(), self.factories(), self.note, self.log, **options)

    def destroy(self, **options: Any) -> operations.Result:
        self.events.clear()
        self.cloud.calls.clear()
        return operations.destroy(self.project(), self.factories(), self.note, **options)

    def refresh(self, **options: Any) -> operations.Result:
        self.events.clear()
        self.cloud.calls.clear()
        return operations.refresh(self.project(), self.factories(), self.note, **options)

    def steps(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for event in self.events:
            if event.kind == "done" and event.step != "same" and event.type.startswith("test:"):
                found.setdefault(event.step, []).append(event.name)
        return {step: sorted(names) for step, names in found.items()}
