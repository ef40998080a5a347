"""Plans a program for any cloud: evaluates it with synthetic outputs and renders the resource graph as one document.

The document (schema: `plan.schema.json`) holds plain values, so that rules and scanners read whole documents:
- a synthetic value stays in its place as the text, number or truth value that it is; its JSON Pointer is listed in the
  resource's `synthetic`. A text of the program's that contains a synthetic one (a policy with a made-up ARN) is listed
  too, under `/inputs/…`.
- a secret is `{"$secret": true}`, never the value; what cannot be known is `{"$unknown": true}`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from localcloud import sdk, synthetic
from localcloud.errors import UnsupportedError
from localcloud.monitor import STACK_TYPE, Monitor, Registration, run
from localcloud.project import Project
from localcloud.values import ARCHIVE, ASSET, RESOURCE, SIGNATURE, UNKNOWN, Properties, Secret, reveal, walk

VERSION = 1
SHORTEST = 6  # characters of a synthetic text by which it is known again inside another text
HASHED_FILES, HASHED_BYTES = 5_000, 200_000_000  # of an archive's directory; beyond them its hash is left out

Log = Callable[[str, str], None]
Inspect = Callable[[Registration, Properties], None]


@dataclass(frozen=True)
class Planned:
    """One resource of a plan: what the program declared, its id and outputs, and which output paths were made up."""

    registration: Registration
    id: str
    outputs: Properties
    synthetic: frozenset[str] = frozenset()

    @property
    def urn(self) -> str:
        return self.registration.urn


@dataclass(frozen=True)
class Plan:
    """A program's evaluation: its resources in order of dependency, stack outputs, and the results of its look-ups."""

    project: Project
    resources: tuple[Planned, ...]
    outputs: Properties = field(default_factory=dict)
    invoked: tuple[Properties, ...] = ()


def evaluate(
    project: Project,
    log: Log,
    *,
    inspect: Inspect | None = None,
    references: Mapping[str, Properties] | None = None,
) -> Plan:
    """Runs the program with synthetic outputs. No cloud is called.

    inspect: is shown each registration with its inputs before it is answered, and may raise.
    references: outputs of other stacks by name, for StackReference; without them those outputs are unknown.
    Raises UnsupportedError for a type that no installed SDK knows, with the line that declares it.
    """
    host = _Host(project, inspect, references or {})
    run(Monitor(host, project, dry_run=True), log)
    return Plan(project, tuple(_ordered(host.planned.values())), host.stack_outputs, tuple(host.invoked))


class _Host:
    """Answers the monitor with synthetic outputs, and keeps what the program declared."""

    def __init__(self, project: Project, inspect: Inspect | None, references: Mapping[str, Properties]) -> None:
        self.stopping = threading.Event()
        self.planned: dict[str, Planned] = {}
        self.stack_outputs: Properties = {}
        self.invoked: list[Properties] = []
        self._inspect = inspect
        self._lock = threading.Lock()
        self._context = synthetic.Context(project.name, project.stack, project.config, references=references)

    def register(self, registration: Registration) -> tuple[str, Properties]:
        if self._inspect is not None:
            self._inspect(registration, registration.inputs)
        return self._answer(registration, None)

    def read(self, registration: Registration, id_: str) -> tuple[str, Properties]:
        return self._answer(replace(registration, options={**registration.options, "id": id_}), id_)

    def invoke(self, token: str, arguments: Properties, provider: str) -> Properties:
        result = synthetic.invoke(token, arguments, None, self._context_of(provider))
        made = {name: value for name, value in result.items() if arguments.get(name) != value}
        with self._lock:
            self.invoked.append(made)
        return result

    def outputs(self, urn: str, outputs: Properties) -> None:
        with self._lock:
            row = self.planned[urn]
            self.planned[urn] = replace(row, outputs=outputs)
            if row.registration.type == STACK_TYPE:
                self.stack_outputs = outputs

    def _answer(self, registration: Registration, id_: str | None) -> tuple[str, Properties]:
        if not registration.custom:
            row = Planned(registration, "", {})
        else:
            try:
                answer = synthetic.outputs(
                    registration.type,
                    registration.name,
                    registration.urn,
                    registration.inputs,
                    self._context_of(registration.provider),
                    id_=id_,
                )
            except sdk.UnknownType as error:
                raise UnsupportedError(f"{registration.where} cannot be planned: {error}.") from error
            secret = registration.options.get("additionalSecretOutputs", [])
            outputs = {
                name: Secret(reveal(value)) if name in secret and value is not None else value
                for name, value in answer.outputs.items()
            }
            row = Planned(registration, answer.id, outputs, answer.paths)
        with self._lock:
            self.planned[registration.urn] = row
        return row.id, row.outputs

    def _context_of(self, provider: str) -> synthetic.Context:
        """The context with the inputs of the provider resource that a reference `URN::id` names."""
        urn = provider.rpartition("::")[0]
        row = self.planned.get(urn)
        if row is None:
            return self._context
        return replace(self._context, provider={key: _opened(value) for key, value in row.registration.inputs.items()})


def _opened(value: Any) -> Any:
    """A provider's setting: the SDKs hand over objects, lists and numbers as JSON texts."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _ordered(rows: Iterable[Planned]) -> Iterator[Planned]:
    """The rows so that each comes after those it depends on, else by URN: the program registers them in any order."""
    by_urn = {row.urn: row for row in rows}
    waiting: dict[str, set[str]] = {}
    for urn, row in by_urn.items():
        known = row.registration
        before = {known.parent, known.provider.rpartition("::")[0], *known.dependencies}
        before.update(*known.property_dependencies.values())
        waiting[urn] = (before & by_urn.keys()) - {urn}
    followers: dict[str, list[str]] = {}
    for urn, before in waiting.items():
        for other in before:
            followers.setdefault(other, []).append(urn)
    ready = [urn for urn, before in waiting.items() if not before]
    heapq.heapify(ready)
    while ready:
        urn = heapq.heappop(ready)
        yield by_urn[urn]
        for follower in followers.get(urn, ()):
            waiting[follower].discard(urn)
            if not waiting[follower]:
                heapq.heappush(ready, follower)


# The document


def graph(plan: Plan) -> dict[str, Any]:
    """The plan as a document of `plan.schema.json`: the same bytes for the same program and settings."""
    project = plan.project
    show = _Display(project)
    by_urn: dict[str, Planned] = {}
    traces: dict[str, set[Any]] = {}
    looked_up = {leaf for result in plan.invoked for _, leaf in walk(reveal(result)) if _telling(leaf)}
    resources = []
    for row in plan.resources:
        known = row.registration
        marks = {f"/outputs{pointer}" for pointer in map(_pointer, row.synthetic)}
        if row.id and "id" not in known.options:
            marks.add("/outputs/id")
        for name, value in known.inputs.items():
            around = known.property_dependencies.get(name, known.dependencies)
            made = looked_up.union(*(traces.get(urn, ()) for urn in around))
            marks |= {f"/inputs{pointer}" for pointer, leaf in pointers({name: value}) if _contains(leaf, made)}
        document_outputs = {**row.outputs, **({"id": row.id} if row.id else {})}
        echoed = {f"/outputs{mark.removeprefix('/inputs')}" for mark in marks if mark.startswith("/inputs")}
        present = {f"/inputs{pointer}" for pointer, _ in pointers(known.inputs)}
        present |= {f"/outputs{pointer}" for pointer, _ in pointers(document_outputs)}
        if not known.custom:
            made = looked_up.union(*traces.values()) if row.outputs else set()
            echoed |= {f"/outputs{pointer}" for pointer, leaf in pointers(row.outputs) if _contains(leaf, made)}
        marks = (marks | echoed) & present
        traces[row.urn] = {
            leaf
            for side, values in (("inputs", known.inputs), ("outputs", document_outputs))
            for pointer, leaf in pointers(reveal(values))
            if f"/{side}{pointer}" in marks and _telling(leaf)
        }
        by_urn[row.urn] = row
        resources.append(_resource(row, document_outputs, show, marks))
    everything = looked_up.union(*traces.values()) if traces else looked_up
    return {
        "version": VERSION,
        "project": project.name,
        "stack": project.stack,
        "config": {
            key: {"$secret": True} if key in project.secret_keys else show.value(value)
            for key, value in sorted(project.config.items())
        },
        "resources": resources,
        "outputs": show.object(plan.outputs),
        "synthetic": sorted(
            f"/outputs{pointer}" for pointer, leaf in pointers(plan.outputs) if _contains(leaf, everything)
        ),
    }


def _resource(row: Planned, outputs: Properties, show: _Display, marks: set[str]) -> dict[str, Any]:
    known = row.registration
    return {
        "urn": known.urn,
        "type": known.type,
        "name": known.name,
        "parent": known.parent or None,
        "custom": known.custom,
        "provider": known.provider.rpartition("::")[0] or None,
        "inputs": show.object(known.inputs),
        "outputs": show.object(outputs),
        "dependencies": sorted(known.dependencies),
        "propertyDependencies": {
            name: sorted(urns) for name, urns in sorted(known.property_dependencies.items()) if urns
        },
        "options": show.object(known.options),
        "source": show.source(known),
        "synthetic": sorted(mark for mark in marks),
    }


class _Display:
    """Values as a document shows them: secrets masked, files by kind, path and hash, object keys in order."""

    def __init__(self, project: Project) -> None:
        self._project = project
        # A program may read a secret setting in clear; its text must not come out for that.
        self._hidden = tuple(
            value for key, value in project.config.items() if key in project.secret_keys and len(value) >= 4
        )

    def object(self, values: Properties) -> dict[str, Any]:
        """The properties without those that are null."""
        return {name: self.value(value) for name, value in sorted(values.items()) if value is not None}

    def value(self, value: Any) -> Any:
        if isinstance(value, Secret):
            return {"$secret": True}
        if value is UNKNOWN:
            return {"$unknown": True}
        if isinstance(value, str):
            return {"$secret": True} if any(hidden in value for hidden in self._hidden) else value
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return value
        signature = value.get(SIGNATURE)
        if signature == RESOURCE:
            return {"$resource": value.get("urn", "")}
        if signature == ASSET:
            return {"$asset": self._file(value)}
        if signature == ARCHIVE:
            return {"$archive": self._file(value)}
        return self.object(value)

    def source(self, registration: Registration) -> dict[str, Any] | None:
        if not registration.source_file:
            return None
        return {"file": self._relative(Path(registration.source_file)), "line": registration.source_line}

    def _relative(self, path: Path) -> str:
        """The path below the project's root; of another file its name alone, as other machines keep it elsewhere."""
        absolute = path if path.is_absolute() else self._project.main / path
        root = self._project.root
        return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else absolute.name

    def _file(self, value: Properties) -> dict[str, Any]:
        if isinstance(text := value.get("text"), str):
            return {"kind": "text", "sha256": hashlib.sha256(text.encode()).hexdigest()}
        if isinstance(uri := value.get("uri"), str) and uri:
            return {"kind": "remote", "uri": self.value(uri)}
        if isinstance(assets := value.get("assets"), dict):
            return {"kind": "assets", "assets": self.object(assets)}
        path = Path(str(value.get("path", "")))
        path = path if path.is_absolute() else self._project.main / path
        return {"kind": "file", "path": self._relative(path.resolve()), "sha256": _sha256(path)}


def _sha256(path: Path) -> str | None:
    """The hash of a file, or of a directory's file names and contents; None if it is not there or too large."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.stat().st_size <= HASHED_BYTES else None
    if not path.is_dir():
        return None
    files: list[Path] = []
    size = 0
    for file in path.rglob("*"):
        if file.is_file() and not file.is_symlink() and "__pycache__" not in file.parts:
            files.append(file)
            size += file.stat().st_size
            if len(files) > HASHED_FILES or size > HASHED_BYTES:
                return None
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.relative_to(path).as_posix()):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(path).as_posix()}\n{content}\n".encode())
    return digest.hexdigest()


def pointers(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf of a value with its JSON Pointer (RFC 6901), as in `/rules/0/days`; empty containers have none."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from pointers(item, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from pointers(item, f"{pointer}/{index}")
    elif value is not None:
        yield pointer, value


def _pointer(path: str) -> str:
    return "/" + path.replace("[", ".").replace("]", "").replace(".", "/")


def _telling(leaf: Any) -> bool:
    """Whether a synthetic value can be known again: no short text, no truth value, no everyday number."""
    if isinstance(leaf, str):
        return len(leaf) >= SHORTEST
    return isinstance(leaf, int | float) and not isinstance(leaf, bool) and abs(leaf) > 9


def _contains(leaf: Any, made: set[Any]) -> bool:
    """Whether a leaf is, or its text holds, one of the synthetic values, also in base64."""
    inner = leaf.value if isinstance(leaf, Secret) else leaf
    if inner in made if isinstance(inner, str | int | float) else False:
        return True
    if not isinstance(inner, str):
        return False
    texts = [inner, _decoded(inner)]
    return any(isinstance(value, str) and value in text for value in made for text in texts if text)


def _decoded(text: str) -> str:
    if len(text) < 2 * SHORTEST or len(text) % 4:
        return ""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def table(document: dict[str, Any]) -> str:
    """The plan for a human: how many resources of each type, and their names, aligned to 120 columns."""
    named: dict[str, list[str]] = {}
    for row in document["resources"]:
        if row["type"] != STACK_TYPE:
            named.setdefault(row["type"], []).append(row["name"])
    count = sum(len(names) for names in named.values())
    width = max((len(type_) for type_ in named), default=4)
    room = max(20, 120 - width - 9)
    lines = [f"{document['project']} / {document['stack']}: {count} resources of {len(named)} types, planned", ""]
    if named:
        lines.append(f"{'TYPE':<{width}}  COUNT  NAMES")
    for type_, names in sorted(named.items()):
        lines.append(f"{type_:<{width}}  {len(names):>5}  {_names(sorted(names), room)}")
    clouds = Counter(row["type"].split(":")[0] for row in document["resources"] if row["custom"])
    clouds -= Counter({"pulumi": clouds["pulumi"]})
    if clouds:
        lines += ["", "By package: " + ", ".join(f"{name} {number}" for name, number in sorted(clouds.items()))]
    return "\n".join(lines)


def _names(names: list[str], room: int) -> str:
    shown: list[str] = []
    for name in names:
        rest = len(names) - len(shown) - 1
        tail = f", and {rest} more" if rest else ""
        if len(", ".join([*shown, name])) + len(tail) > room and shown:
            return f"{', '.join(shown)}, and {len(names) - len(shown)} more"
        shown.append(name)
    return ", ".join(shown)


__all__ = ["Plan", "Planned", "evaluate", "graph", "pointers", "table"]
