"""Renders what a program declares as one document, the plan: a plain resource graph that other rooms build on.

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
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from localcloud.display import short
from localcloud.evaluation import Evaluation, Planned
from localcloud.monitor import STACK_TYPE
from localcloud.project import Project
from localcloud.providers import PROVIDER_PREFIX
from localcloud.values import ARCHIVE, ASSET, RESOURCE, SIGNATURE, UNKNOWN, Properties, Secret, reveal, walk

VERSION = 1
SHORTEST = 6  # characters of a synthetic text by which it is known again inside another text
HASHED_FILES, HASHED_BYTES = 5_000, 200_000_000  # of an archive's directory; beyond them its hash is left out


def _ordered(rows: Iterable[Planned]) -> Iterator[Planned]:
    """The rows so that each comes after those it depends on, else by URN: the program registers them in any order."""
    by_urn = {row.urn: row for row in rows}
    waiting: dict[str, set[str]] = {}
    for urn, row in by_urn.items():
        before = {row.parent, row.provider.rpartition("::")[0], *row.dependencies}
        before.update(*row.property_dependencies.values())
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


def graph(evaluation: Evaluation) -> dict[str, Any]:
    """The plan as a document of `plan.schema.json`: the same bytes for the same program and settings."""
    project = evaluation.project
    show = _Display(project)
    looked_up = {leaf for leaf in evaluation.looked_up if _telling(leaf)}
    made: dict[str, set[Any]] = {}
    rows = list(_ordered(evaluation.resources))
    marks: dict[str, set[str]] = {}
    for row in rows:
        marks[row.urn] = _marks(row, looked_up, made)
        made[row.urn] = {
            leaf
            for pointer, leaf in pointers(reveal({"inputs": row.inputs, "outputs": _outputs(row)}))
            if pointer in marks[row.urn] and _telling(leaf)
        }
    everything = looked_up.union(*made.values())
    for row in rows:  # a component comes before its children, and registers what they answered
        if not row.custom:
            marks[row.urn] |= {
                pointer for pointer, leaf in pointers({"outputs": row.outputs}) if _contains(leaf, everything)
            }
    return {
        "version": VERSION,
        "project": project.name,
        "stack": project.stack,
        "config": {
            key: {"$secret": True} if key in project.secret_keys else show.value(value)
            for key, value in sorted(project.config.items())
        },
        "resources": [_resource(row, show, marks[row.urn]) for row in rows],
        "outputs": show.object(evaluation.outputs),
        "synthetic": sorted(
            {pointer for pointer, leaf in pointers({"outputs": evaluation.outputs}) if _contains(leaf, everything)}
        ),
    }


def _outputs(row: Planned) -> Properties:
    return {**row.outputs, **({"id": row.id} if row.id else {})}


def _marks(row: Planned, looked_up: set[Any], made: dict[str, set[Any]]) -> set[str]:
    """The pointers of a resource's synthetic leaves: outputs made up, and whatever holds one of another resource."""
    outputs = _outputs(row)
    by_path = zip(walk(outputs), _pointers(outputs, "", whole=False), strict=True)
    marks = {f"/outputs{pointer}" for (path, _), (pointer, _) in by_path if path in row.synthetic}
    if row.id and "id" not in row.options:
        marks.add("/outputs/id")
    for name, value in row.inputs.items():
        sources = looked_up.union(*(made.get(urn, ()) for urn in row.property_dependencies.get(name, row.dependencies)))
        marks |= {f"/inputs{pointer}" for pointer, leaf in pointers({name: value}) if _contains(leaf, sources)}
    marks |= {f"/outputs{mark.removeprefix('/inputs')}" for mark in marks if mark.startswith("/inputs/")}
    return marks & {pointer for pointer, _ in pointers({"inputs": row.inputs, "outputs": outputs})}


def _resource(row: Planned, show: _Display, marks: set[str]) -> dict[str, Any]:
    return {
        "urn": row.urn,
        "type": row.type,
        "name": row.name,
        "parent": row.parent or None,
        "custom": row.custom,
        "provider": row.provider.rpartition("::")[0] or None,
        "inputs": show.object(row.inputs),
        "outputs": show.object(_outputs(row)),
        "dependencies": sorted(row.dependencies),
        "propertyDependencies": {
            name: sorted(urns) for name, urns in sorted(row.property_dependencies.items()) if urns
        },
        "options": show.object(row.options),
        "source": show.source(row),
        "synthetic": sorted(marks),
    }


class _Display:
    """Values as the document shows them: secrets masked, files by kind, path and hash, object keys in order."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._hidden = project.secret_texts  # a program may read them in clear; they must not come out for that

    def object(self, values: Properties) -> dict[str, Any]:
        """The properties without those that are null."""
        return {name: self.value(value) for name, value in sorted(values.items()) if value is not None}

    def value(self, value: Any) -> Any:
        """One value, with everything in it."""
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return self._marked(value) if SIGNATURE in value else self.object(value)
        hidden = isinstance(value, str) and any(text in value for text in self._hidden)
        if isinstance(value, Secret) or hidden:
            return {"$secret": True}
        return {"$unknown": True} if value is UNKNOWN else value

    def _marked(self, value: Properties) -> dict[str, Any]:
        if value[SIGNATURE] == ASSET:
            return {"$asset": self._file(value)}
        if value[SIGNATURE] == ARCHIVE:
            return {"$archive": self._file(value)}
        return {"$resource": value["urn"]} if value[SIGNATURE] == RESOURCE else self.object(value)

    def source(self, row: Planned) -> dict[str, Any] | None:
        """Where the program declares the resource; None where the SDK does not say, and for the stack itself."""
        if not row.source_file or row.type == STACK_TYPE:
            return None
        return {"file": self._relative(Path(row.source_file)), "line": row.source_line}

    def _relative(self, path: Path) -> str:
        """The path below the project's root; of another file its name alone, as other machines keep it elsewhere."""
        absolute = path if path.is_absolute() else self._project.main / path
        root = self._project.root
        below = absolute.relative_to(root) if absolute.is_relative_to(root) else Path(absolute.name)
        return below.name if "site-packages" in below.parts else below.as_posix()

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


def pointers(value: Any) -> Iterator[tuple[str, Any]]:
    """Each leaf of a value with its JSON Pointer (RFC 6901), as in `/rules/0/days`; empty containers have none.

    What an asset, an archive or a resource reference holds
    has the pointer of the whole: the plan shows it in another form.
    """
    return (found for found in _pointers(value, "", whole=False) if found[1] is not None)


def _pointers(value: Any, pointer: str, *, whole: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        whole = whole or SIGNATURE in value
        for name, item in value.items():
            below = pointer if whole else f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            yield from _pointers(item, below, whole=whole)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _pointers(item, pointer if whole else f"{pointer}/{index}", whole=whole)
    else:
        yield pointer, value


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


def table(document: dict[str, Any], width: int = 120) -> str:
    """The plan for a human, lines of at most `width` columns: how many of each type, and their names."""
    resources = [row for row in document["resources"] if row["type"] != STACK_TYPE]
    providers = [row for row in resources if row["type"].startswith(PROVIDER_PREFIX)]
    parts = (
        ("RESOURCE", "resource", [row for row in resources if row["custom"] and row not in providers]),
        ("COMPONENT", "component", [row for row in resources if not row["custom"]]),
        ("PROVIDER", "provider", providers),
    )
    counts = [f"{len(rows)} {noun}{'' if len(rows) == 1 else 's'}" for _, noun, rows in parts if rows]
    lines = [f"{document['project']} / {document['stack']}: {', '.join(counts) or 'no resources'}"]
    longest = max((len(short(row["type"])) for row in resources), default=0)
    for title, _, rows in parts:
        named: dict[str, list[str]] = {}
        for row in rows:
            named.setdefault(short(row["type"]), []).append(row["name"])
        lines += ["", f"{title:<{longest}}  COUNT  NAMES"] if rows else []
        for type_, names in sorted(named.items()):
            lines.append(f"{type_:<{longest}}  {len(names):>5}  {_names(sorted(names), width - longest - 9)}")
    if document["outputs"]:
        lines += ["", f"Outputs: {_names(list(document['outputs']), width - 9)}"]
    return _printable(lines)


def _printable(lines: list[str]) -> str:
    return "\n".join("".join(letter if letter.isprintable() else "?" for letter in line) for line in lines)


def comparison(documents: dict[str, dict[str, Any]]) -> str:
    """The plans of several stacks beside each other for a human: resources by package, components by type."""
    columns = "".join(f"  {stack:>7}" for stack in documents)
    lines = []
    for title, names in (("RESOURCE", _packages), ("COMPONENT", _components)):
        counts = [Counter(names(document)) for document in documents.values()]
        rows = {name: [count[name] for count in counts] for name in sorted(set().union(*counts))}
        rows["total"] = [count.total() for count in counts]
        longest = max(map(len, (title, *rows)))
        lines += [f"{title:<{longest}}{columns}"]
        for name, row in rows.items():
            cells = (f"  {number or '-':>{max(7, len(stack))}}" for stack, number in zip(documents, row, strict=True))
            lines += [f"{name:<{longest}}{''.join(cells)}"]
        lines += [""]
    return _printable(lines[:-1])


def _packages(document: dict[str, Any]) -> Iterator[str]:
    rows = (row for row in document["resources"] if row["custom"] and not row["type"].startswith(PROVIDER_PREFIX))
    return (row["type"].partition(":")[0] for row in rows)


def _components(document: dict[str, Any]) -> Iterator[str]:
    rows = (row for row in document["resources"] if not row["custom"] and row["type"] != STACK_TYPE)
    return (short(row["type"]) for row in rows)


def _names(names: list[str], room: int) -> str:
    """As many of the names as fit, but one at least, and how many more there are."""
    for shown in range(len(names), 0, -1):
        more = f", and {len(names) - shown} more" if shown < len(names) else ""
        if len(text := ", ".join(names[:shown]) + more) <= room:
            return text
    return text


__all__ = ["VERSION", "comparison", "graph", "pointers", "table"]
