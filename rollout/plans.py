"""Plans (`localcloud/plan.schema.json`): reading them, whoever made them, and the digest that a review stands for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from rollout.errors import RolloutError
from rollout.redact import DEEPEST, Redactor

Plan = dict[str, Any]
VERSION = 1
RELEASE_KEY = "groundwork:release"
LARGEST = 20_000_000  # bytes of one plan: seven times the largest of ours
MOST_RESOURCES = 10_000

_PINNED = re.compile(r"sha256:[0-9a-f]{64}")
_PIN = "sha256:the-release"
_BASE64 = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")
# Google's templates cannot be changed, so that each content has a name of its own, which ends in a hash of it.
_NAMED_BY_CONTENT = re.compile(r"gcp:compute/(regionI|i)nstanceTemplate:(RegionI|I)nstanceTemplate")
_CONTENT_HASH = re.compile(r"-[0-9a-f]{8,}$")
# What a cloud would answer, and where in the code it stands: neither is asked for, so neither is reviewed.
_ASKED = (
    "urn",
    "type",
    "name",
    "parent",
    "custom",
    "provider",
    "inputs",
    "dependencies",
    "propertyDependencies",
    "options",
)


def digest(document: Plan) -> str:
    """The SHA-256, 64 hex digits, of what a plan asks for, whatever release it pins: what a review stands for.

    Counts: project, stack, settings, stack outputs, and of each resource all but what the plan made up (`outputs`,
    `synthetic`) and the line that declares it (`source`). The release is left out wherever its value stands: in the
    settings, in any text, in base64 of a text (user data), and in the name of an instance template that is a hash of
    its content. Secrets that stand in clear are left out as an artifact leaves them out, so that both say the same. The
    document must have passed `check`.
    """
    document = Redactor(environment={}).plan(document)
    asked = {
        "version": document["version"],
        "project": document["project"],
        "stack": document["stack"],
        "config": document["config"],
        "outputs": document["outputs"],
        "resources": [
            {name: row[name] for name in _ASKED}
            for row in sorted(document["resources"], key=lambda row: str(row["urn"]))
        ],
    }
    canonical = json.dumps(_released(asked, document), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def without_release(document: Plan) -> Plan:
    """The plan with a constant where its release stands, as `digest` counts it: two such plans can be compared."""
    changed: Plan = _released(document, document)
    return changed


def _released(value: Any, document: Plan) -> Any:
    release = document["config"].get(RELEASE_KEY)
    if not isinstance(release, str) or not _PINNED.fullmatch(release):
        return value
    pins = {release: _PIN, release.removeprefix("sha256:"): _PIN}
    for row in document["resources"]:
        name = row["inputs"].get("name")
        if _NAMED_BY_CONTENT.fullmatch(row["type"]) and isinstance(name, str) and _CONTENT_HASH.search(name):
            holds = any(release in text or release in _decoded(text) for text in _texts(row["inputs"]))
            pins |= {name: _CONTENT_HASH.sub("-the-content", name)} if holds else {}
    return _replaced(value, pins)


def _replaced(value: Any, pins: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(item, pins) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, pins) for item in value]
    if not isinstance(value, str):
        return value
    decoded = _decoded(value)
    text = decoded if any(pin in decoded for pin in pins) else value
    for pin, constant in pins.items():
        text = text.replace(pin, constant)
    return text


def _decoded(text: str) -> str:
    """The text that another is the base64 of; "" if it is of none."""
    if len(text) % 4 or not _BASE64.fullmatch(text):
        return ""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def read(content: bytes, where: str) -> Plan:
    """The plan in some bytes, of whoever's making. `where` names it in errors. Raises RolloutError for anything else.

    It is judged by hand and not by the schema: nested `anyOf` takes a validator twice the time for each level of a
    document made to do that, and 1.2 s for an honest one. Tests hold the two to the same answers.
    """
    if len(content) > LARGEST:
        raise RolloutError(f"{where} is no plan: it has {len(content)} bytes, and none has over {LARGEST}.")
    try:
        document = json.loads(content.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise RolloutError(f"{where} is no plan: it is no JSON ({type(error).__name__}). Make it again.") from error
    return check(document, where)


def _no_number(name: str) -> float:
    raise ValueError(f"JSON has no {name}")


class _WrongError(Exception):
    """What is wrong with a plan, as the end of a sentence: names of ours and places, nothing that the plan says."""


def check(document: Any, where: str) -> Plan:
    """The document, if it is a plan of version 1. Raises RolloutError with what it is not; quotes nothing of it."""
    try:
        _check_document(document)
    except _WrongError as error:
        raise RolloutError(f"{where} is no plan: {error}. Make it with `python -m localcloud plan --json`.") from None
    plan: Plan = document
    return plan


_URN = re.compile(r"urn:pulumi:[^:\n]+::[^:\n]+::[^\n]+::[^\n]*")
_TYPE = re.compile(r"[^:]+:[^:]*:[^:]+")
_KEY = re.compile(r"[^:]+:[\s\S]+")
_POINTER = re.compile(r"/(inputs|outputs)(/([^~]|~[01])*)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DOCUMENT = ("version", "project", "stack", "config", "resources", "outputs", "synthetic")
_RESOURCE = (*_ASKED, "outputs", "source", "synthetic")


def _check_document(document: Any) -> None:
    _object(document, _DOCUMENT, "it")
    if document["version"] != VERSION or isinstance(document["version"], bool):
        raise _WrongError(f"its version is not {VERSION}")
    _require(all(isinstance(document[name], str) and document[name] for name in ("project", "stack")), "its name")
    _value(document["config"], "its settings", 1)
    for key, value in document["config"].items():
        _require(_KEY.fullmatch(key), "a setting's key")
        _require(isinstance(value, str) or value == {"$secret": True}, "a setting")
    _properties(document["outputs"], "its outputs")
    _pointers(document["synthetic"], "its synthetic outputs")
    rows = document["resources"]
    _require(isinstance(rows, list) and len(rows) <= MOST_RESOURCES, "its list of resources")
    prefix = f"urn:pulumi:{document['stack']}::{document['project']}::"
    known = set()
    for number, row in enumerate(rows):
        _check_resource(row, f"resource {number}")
        _require(row["urn"].startswith(prefix) and row["urn"] not in known, f"the URN of resource {number}")
        known.add(row["urn"])


def _check_resource(row: Any, where: str) -> None:
    _object(row, _RESOURCE, where)
    _require(_is_urn(row["urn"]), f"the URN of {where}")
    _require(isinstance(row["type"], str) and _TYPE.fullmatch(row["type"]), f"the type of {where}")
    _require(_is_text(row["name"]) and isinstance(row["custom"], bool), f"the name or kind of {where}")
    for name in ("parent", "provider"):
        _require(row[name] is None or _is_urn(row[name]), f"the {name} of {where}")
    for name in ("inputs", "outputs", "options"):
        _properties(row[name], f"the {name} of {where}")
    references = row["propertyDependencies"]
    _require(isinstance(references, dict), f"the dependencies of {where}")
    for urns in (row["dependencies"], *references.values()):
        _require(isinstance(urns, list) and all(_is_urn(urn) for urn in urns), f"the dependencies of {where}")
        _require(len(set(urns)) == len(urns) and (urns or urns is row["dependencies"]), f"the dependencies of {where}")
    _require(all(_is_text(name) for name in references), f"the dependencies of {where}")
    _source(row["source"], where)
    _pointers(row["synthetic"], f"the synthetic values of {where}")


def _source(source: Any, where: str) -> None:
    if source is None:
        return
    _object(source, ("file", "line"), f"the source of {where}")
    line = source["line"]
    good = isinstance(line, int) and not isinstance(line, bool) and line >= 1
    _require(good and _is_text(source["file"]) and source["file"], f"the source of {where}")


def _require(good: Any, what: str) -> None:
    if not good:
        raise _WrongError(f"{what} is not as the form says")


def _object(value: Any, names: tuple[str, ...], what: str) -> None:
    _require(isinstance(value, dict) and value.keys() == set(names), what)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not _SURROGATE.search(value)


def _is_urn(value: Any) -> bool:
    return _is_text(value) and _URN.fullmatch(value) is not None


def _pointers(value: Any, what: str) -> None:
    _require(isinstance(value, list) and all(_is_text(item) and _POINTER.fullmatch(item) for item in value), what)
    _require(len(set(value)) == len(value), what)


def _properties(value: Any, what: str) -> None:
    _require(isinstance(value, dict) and not value.keys() & _MARKS.keys(), what)
    _value(value, what, 1)


def _value(value: Any, what: str, depth: int) -> None:
    """Anything that a property may be. Raises _WrongError, also for what is nested too deep and for half a letter."""
    _require(depth <= DEEPEST, what)
    if isinstance(value, dict):
        if marks := value.keys() & _MARKS.keys():
            _require(len(value) == 1, what)
            _MARKS[marks.pop()](next(iter(value.values())), what, depth)
            return
        for name, item in value.items():
            _require(_is_text(name), what)
            _value(item, what, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _value(item, what, depth + 1)
    else:
        number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        _require(value is None or number or _is_text(value), what)


def _true(value: Any, what: str, _depth: int) -> None:
    _require(value is True, what)


def _urn(value: Any, what: str, _depth: int) -> None:
    _require(_is_urn(value), what)


_CONTENT = {
    "text": ("kind", "sha256"),
    "file": ("kind", "path", "sha256"),
    "remote": ("kind", "uri"),
    "assets": ("kind", "assets"),
}


def _content(value: Any, what: str, depth: int) -> None:
    _require(isinstance(value, dict) and isinstance(value.get("kind"), str) and value["kind"] in _CONTENT, what)
    _object(value, _CONTENT[value["kind"]], what)
    if "sha256" in value and not (value["kind"] == "file" and value["sha256"] is None):
        _require(isinstance(value["sha256"], str) and _SHA256.fullmatch(value["sha256"]), what)
    if "assets" in value:
        _require(isinstance(value["assets"], dict) and not value["assets"].keys() & _MARKS.keys(), what)
        _value(value["assets"], what, depth + 1)
    _require(_is_text(value.get("path", "")), what)
    _value(value.get("uri"), what, depth + 1)


_MARKS = {"$secret": _true, "$unknown": _true, "$resource": _urn, "$asset": _content, "$archive": _content}
