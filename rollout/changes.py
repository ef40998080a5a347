"""What changes between two plans of one stack: which resources, and of each which properties.

Nobody asked a cloud, so a replacement is what the program or a well-known property makes likely ("may be replaced").
A value that a plan made up (an id, an ARN) counts as what it stands for: where it differs only because what it comes
from was made anew, nothing changes.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rollout import kinds
from rollout.plans import Plan, without_release
from rollout.redact import NESTED, document_of

Op = Literal["create", "update", "replace", "delete"]
Row = Mapping[str, Any]
STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"
LONGEST_LIST = 500  # rows; longer lists are not aligned, as that takes the square of the time
SHORTEST = 6  # characters of a made-up text that is looked for inside of others
_HIDDEN_OPTIONS = ("version", "pluginDownloadURL", "additionalSecretOutputs", "ignoreChanges")
_IDENTITIES = ("name", "key", "Sid", "sid", "id", "containerName", "roleId")  # by which rows of a list know each other
_STEP = re.compile(r"\[\d+\]|\[[^\]]*\]")


class _Missing:
    """The value of a property that is not there."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True)
class Property:
    """One value that changes. path: dotted, lists by index or by what names a row (`tags[Name]`); inside of JSON texts,
    too. option: it is a resource option, not an input. forces: a new value of it may make the thing anew."""

    path: str
    old: Any
    new: Any
    option: bool = False
    forces: bool = False


@dataclass(frozen=True)
class Change:
    """One resource that changes. old, new: its rows of the plans, None where it is not. moved: the URN of one of the
    same type and name that the change makes or removes elsewhere; an alias would keep it."""

    op: Op
    urn: str
    type: str
    name: str
    old: Row | None
    new: Row | None
    properties: tuple[Property, ...] = ()
    moved: str = ""


@dataclass(frozen=True)
class Changes:
    """What differs between two plans. resources: of a cloud, in the plans' order, removed ones last. folded: components
    and providers. plugins: (package, old version, new version) → of how many resources."""

    stack: str
    resources: tuple[Change, ...] = ()
    folded: tuple[Change, ...] = ()
    config: tuple[Property, ...] = ()
    outputs: tuple[Property, ...] = ()
    plugins: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    unchanged: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing changes at all."""
        return not (self.resources or self.folded or self.config or self.outputs or self.plugins)

    def count(self, op: Op) -> int:
        """How many resources of a cloud change so."""
        return sum(change.op == op for change in self.resources)


def compare(base: Plan | None, head: Plan | None) -> Changes:
    """What becomes different when a stack goes from one plan to the other. None is a stack that is not there.

    The release pin is left out, as it is out of the digest. The plans must have passed `plans.check`.
    """
    old, new = _Side(base), _Side(head)
    old.former, new.former = {}, _former(old.rows, new.rows)
    names = {urn: new.former.get(urn, urn) for urn in new.rows}
    resources: list[Change] = []
    folded: list[Change] = []
    plugins: dict[tuple[str, str, str], int] = {}
    for urn, row in new.rows.items():
        before = old.rows.get(names[urn])
        change = _change(before, row, old, new)
        if before and (versions := _versions(before, row)):
            plugins[versions] = plugins.get(versions, 0) + 1
        if change:
            (resources if _of_a_cloud(row) else folded).append(change)
    kept = set(names.values())
    gone = [
        Change("delete", urn, row["type"], row["name"], row, None) for urn, row in old.rows.items() if urn not in kept
    ]
    resources += [change for change in gone if _of_a_cloud(change.old)]
    folded += [change for change in gone if not _of_a_cloud(change.old)]
    settings = [side.plan.get("config", {}) for side in (old, new)]
    everything = sum(_of_a_cloud(row) for row in new.rows.values())
    return Changes(
        stack=str((head or base or {"stack": ""})["stack"]),
        resources=tuple(_moved(resources)),
        folded=tuple(folded),
        config=tuple(_differing(*settings, *settings)),
        outputs=tuple(_outputs(old, new)),
        plugins=plugins,
        unchanged=everything - sum(change.op != "delete" for change in resources),
    )


def text_of(value: Any) -> str | None:
    """The text that a base64 text stands for, if it is one of several lines or of JSON: user data, documents."""
    if not isinstance(value, str) or len(value) < 32 or len(value) % 4 or not re.fullmatch(r"[A-Za-z0-9+/]+=*", value):
        return None
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if "\n" in text or document_of(text) is not None else None


class _Side:
    """One plan, its rows by URN, and what its made-up values stand for."""

    def __init__(self, plan: Plan | None) -> None:
        self.plan: Plan = without_release(plan) if plan is not None else {}
        rows: Sequence[Row] = self.plan.get("resources", ())
        self.rows = {str(row["urn"]): row for row in rows if row["type"] != STACK_TYPE}
        self.former: dict[str, str] = {}
        self._made: dict[str, dict[str, str]] = {}

    def neutral(self, row: Row) -> dict[str, Any]:
        """The inputs of a resource, each made-up value as the output that it is."""
        marks = {pointer for pointer in row["synthetic"] if pointer.startswith("/inputs/")}
        if not marks:
            return dict(row["inputs"])
        found = {}
        for name, value in row["inputs"].items():
            sources = row["propertyDependencies"].get(name) or row["dependencies"]
            made = {text: known for urn in sources for text, known in self._values(urn).items()}
            longest = sorted(made, key=lambda text: (-len(text), text))
            found[name] = _neutral(value, f"/inputs/{_escaped(name)}", marks, [(text, made[text]) for text in longest])
        return found

    def _values(self, urn: str) -> dict[str, str]:
        """The made-up values of a resource, each with what it is."""
        if urn not in self._made:
            row, found = self.rows.get(urn), dict[str, str]()
            known = self.former.get(urn, urn)
            for pointer in sorted(row["synthetic"]) if row else ():
                leaf = _at(row, pointer)
                if isinstance(leaf, str) and len(leaf) >= SHORTEST:
                    found.setdefault(leaf, f"{{{known}{pointer.removeprefix('/inputs').removeprefix('/outputs')}}}")
                elif isinstance(leaf, int | float) and not isinstance(leaf, bool) and abs(leaf) > 9:
                    found.setdefault(repr(leaf), f"{{{known}{pointer}}}")
            self._made[urn] = found
        return self._made[urn]


def _neutral(value: Any, pointer: str, marks: set[str], made: Sequence[tuple[str, str]]) -> Any:
    """A value with what made-up values in it stand for. made: those, the longest first, each with what it is."""
    if isinstance(value, dict):
        return {name: _neutral(item, f"{pointer}/{_escaped(name)}", marks, made) for name, item in value.items()}
    if isinstance(value, list):
        return [_neutral(item, f"{pointer}/{index}", marks, made) for index, item in enumerate(value)]
    if pointer not in marks:
        return value
    if not isinstance(value, str):
        return next((known for text, known in made if text == repr(value)), value)
    for text, known in made:
        value = value.replace(text, known)
    return value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _at(row: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(row, Mapping):
            row = row.get(name)
        elif isinstance(row, list) and name.isdigit() and int(name) < len(row):
            row = row[int(name)]
        else:
            return None
    return row


def _former(old: Mapping[str, Row], new: Mapping[str, Row]) -> dict[str, str]:
    """The URNs that resources of the new plan had in the old one, by their aliases."""
    found: dict[str, str] = {}
    for urn, row in new.items():
        aliases = row["options"].get("aliases", ()) if urn not in old else ()
        for alias in aliases if isinstance(aliases, list) else ():
            if isinstance(alias, str) and alias in old and alias not in new and alias not in found.values():
                found[urn] = alias
                break
    return found


def _of_a_cloud(row: Row | None) -> bool:
    return bool(row and row["custom"] and not row["type"].startswith(PROVIDER_PREFIX))


def _versions(old: Row, new: Row) -> tuple[str, str, str] | None:
    before, after = (str(row["options"].get("version", "")) for row in (old, new))
    package = new["type"].removeprefix(PROVIDER_PREFIX).partition(":")[0]
    return (package, before, after) if before != after else None


def _change(old: Row | None, new: Row, before: _Side, after: _Side) -> Change | None:
    urn, token, name = new["urn"], new["type"], new["name"]
    if old is None:
        return Change("create", urn, token, name, None, new)
    found = [*_inputs(old, new, before, after), *_options(old, new), *_provider(old, new, before, after)]
    if not found:
        return None
    forced = _of_a_cloud(new) and any(row.forces for row in found)
    return Change("replace" if forced else "update", urn, token, name, old, new, tuple(found))


def _inputs(old: Row, new: Row, before: _Side, after: _Side) -> Iterator[Property]:
    forcing = kinds.forces_new(new["type"])
    asked = new["options"].get("replaceOnChanges", ())
    forcing += tuple(path for path in asked if isinstance(path, str)) if isinstance(asked, list) else ()
    ignored = new["options"].get("ignoreChanges", ())
    told = _differing(old["inputs"], new["inputs"], before.neutral(old), after.neutral(new))
    for row in told:
        if any(isinstance(path, str) and _below(row.path, path) for path in ignored):
            continue
        forces = any(_below(row.path, path) for path in forcing)
        yield Property(row.path, row.old, row.new, forces=forces)


def _below(path: str, root: str) -> bool:
    """Whether a property is, or is in, another: `tags[Name].value` is in `tags`. `*` is any."""
    plain, wanted = _STEP.sub("", path), _STEP.sub("", root)
    return wanted in ("*", plain) or plain.startswith(f"{wanted}.") or path.startswith(f"{root}[")


def _options(old: Row, new: Row) -> Iterator[Property]:
    for name in sorted((old["options"].keys() | new["options"].keys()) - set(_HIDDEN_OPTIONS)):
        before, after = old["options"].get(name, MISSING), new["options"].get(name, MISSING)
        if before != after:
            yield Property(name, before, after, option=True)


def _provider(old: Row, new: Row, before: _Side, after: _Side) -> Iterator[Property]:
    """Another provider, or the same for another place."""
    if old["provider"] is None and new["provider"] is None:
        return
    one, other = before.rows.get(str(old["provider"])), after.rows.get(str(new["provider"]))
    same = old["provider"] == after.former.get(str(new["provider"]), new["provider"])
    if not same:
        yield Property("provider", old["provider"] or MISSING, new["provider"] or MISSING, option=True)
    for name in kinds.PROVIDER_FORCES_NEW:
        was, becomes = ((row or {"inputs": {}})["inputs"].get(name, MISSING) for row in (one, other))
        if was != becomes and MISSING not in (was, becomes):
            yield Property(f"provider.{name}", was, becomes, option=True, forces=True)


def _outputs(old: _Side, new: _Side) -> Iterator[Property]:
    """Outputs of the stack that differ, but for what both plans made up."""
    made = [set(side.plan.get("synthetic", ())) for side in (old, new)]
    found = [side.plan.get("outputs", {}) for side in (old, new)]
    for row in _differing(*found, *found):
        pointer = "/outputs/" + "/".join(_escaped(step) for step in row.path.split("."))
        if not all(pointer in marks for marks in made):
            yield row


def _moved(changes: list[Change]) -> Iterator[Change]:
    """The changes, those told that make or remove something of a type and name that the other does elsewhere."""
    ends: dict[tuple[str, str, str], list[str]] = {}
    for change in changes:
        ends.setdefault((change.op, change.type, change.name), []).append(change.urn)
    for change in changes:
        other = {"create": "delete", "delete": "create"}.get(change.op, "")
        found = ends.get((other, change.type, change.name), [])
        if len(found) == 1 and len(ends[change.op, change.type, change.name]) == 1:
            yield Change(**{**vars(change), "moved": found[0]})
        else:
            yield change


def _differing(
    old: Any, new: Any, known_old: Any, known_new: Any, path: str = "", *, nested: int = 0
) -> Iterator[Property]:
    """The leaves that differ, also when made-up values count as what they stand for (`known_…`).

    nested: in how many JSON texts, one inside of the other, they stand.
    """
    if _same(old, new) or _same(known_old, known_new):
        return
    if isinstance(old, dict) and isinstance(new, dict) and not _is_mark(old) and not _is_mark(new):
        for name in sorted(old.keys() | new.keys()):
            below = f"{path}.{name}" if path else name
            pair = (old.get(name, MISSING), new.get(name, MISSING))
            yield from _differing(
                *pair, known_old.get(name, MISSING), known_new.get(name, MISSING), below, nested=nested
            )
        return
    if isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, known_old, known_new, path, nested=nested)
        return
    documents = [document_of(value) for value in (old, new, known_old, known_new)] if nested < NESTED else [None]
    if all(document is not None for document in documents) and isinstance(documents[0], type(documents[1])):
        one, other, known, known_other = documents
        yield from _differing(one, other, known, known_other, path, nested=nested + 1)
        return
    yield Property(path, old, new)


def _same(one: Any, other: Any) -> bool:
    """JSON's equality: `1` and `true` are two values."""
    return one is other or (one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def _is_mark(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")


def _lists(
    old: list[Any], new: list[Any], known_old: Any, known_new: Any, path: str, *, nested: int
) -> Iterator[Property]:
    """The rows of two lists that differ: by what names them, else as a text comparison aligns them."""
    if (names := _named(old)) and (others := _named(new)):
        sides = ((names, old), (others, new), (names, known_old), (others, known_new))
        rows = [dict(zip(keys, values, strict=True)) for keys, values in sides]
        for name in dict.fromkeys([*names, *others]):
            one, other, known, known_other = (row.get(name, MISSING) for row in rows)
            yield from _differing(one, other, known, known_other, f"{path}[{name}]", nested=nested)
        return
    if max(len(old), len(new)) > LONGEST_LIST:
        yield Property(path, old, new)
        return
    keys, others = ([json.dumps(item, sort_keys=True) for item in items] for items in (known_old, known_new))
    for tag, a, b, c, d in difflib.SequenceMatcher(None, keys, others, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for step in range(max(b - a, d - c)):
            one, other = a + step, c + step
            known = known_old[one] if one < b else MISSING
            known_other = known_new[other] if other < d else MISSING
            where = f"{path}[{one if one < b else other}]"
            was, becomes = old[one] if one < b else MISSING, new[other] if other < d else MISSING
            yield from _differing(was, becomes, known, known_other, where, nested=nested)


def _named(rows: list[Any]) -> list[str]:
    """What names each row of a list, if something does: no two by the same name."""
    if not rows or not all(isinstance(row, dict) for row in rows):
        return []
    for key in _IDENTITIES:
        names = [row.get(key) for row in rows]
        if all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names):
            return [str(name) for name in names]
    return []
