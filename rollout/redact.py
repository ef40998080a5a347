"""Takes secrets out of whatever leaves a runner: by their value, by how they look, and by where they stand.

Too much is hidden rather than too little: a name that only looks like a secret's costs a reader one word. Redacting
twice gives what redacting once gave.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[secret]"
SHORTEST = 4  # characters of a given value that is searched for inside of longer texts
DEEPEST, NESTED = 50, 3  # levels of a document, and of JSON texts in JSON texts, that are read
SHORTEST_FOUND = 8  # of one that nobody named as a secret: an environment variable's, a property's of a plan

# Names whose value is a secret are those that end so, in lower case and without `_`, `-` and `.`.
_ENDINGS = (
    "password", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "privatekey", "privatekeypem",
    "privatekeyopenssh", "apikey", "accesskey", "secretkey", "sharedkey", "accountkey", "primarykey", "secondarykey",
    "masterkey", "signingkey", "connectionstring", "connectionurl", "credential", "credentials", "secretstring",
    "secretbinary", "secretdata", "secretvalue", "authorization", "clientkeydata", "protectedsettings",
)  # fmt: skip
# These end so, too, and are none: they make a request unique, or page through answers.
_HARMLESS = ("creationtoken", "locktoken", "clienttoken", "idempotencytoken", "nexttoken", "continuationtoken")
_IN_ENVIRONMENT = re.compile(
    r"token|secret|passw|passphrase|credential|(private|api|access|signing)_?key", re.IGNORECASE
)
# Resources whose named properties hold a secret, whatever these are called.
_HOLDERS: Mapping[str, tuple[str, ...]] = {
    "random:index/randomPassword:RandomPassword": ("result", "bcryptHash"),
    "random:index/randomBytes:RandomBytes": ("base64", "hex"),
    "tls:index/privateKey:PrivateKey": ("privateKeyPem", "privateKeyOpenssh", "privateKeyPemPkcs8"),
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretString", "secretBinary"),
    "aws:iam/accessKey:AccessKey": ("secret", "sesSmtpPasswordV4"),
    "aws:ssm/parameter:Parameter": ("value", "insecureValue"),
    "gcp:secretmanager/secretVersion:SecretVersion": ("secretData",),
    "gcp:serviceaccount/key:Key": ("privateKey",),
    "azure-native:keyvault:Secret": ("properties",),
    "kubernetes:core/v1:Secret": ("data", "stringData"),
}
# Where rows pair a name and a value: environment variables, headers, parameters.
_PAIRS = (("name", "value"), ("key", "value"), ("Name", "Value"), ("Key", "Value"))
# An object at a secret's name: in one of several, everything is a secret but for what only tells which one it is; in
# one alone (`oauthToken`), what is called its value.
_SEVERAL = ("secrets", "credentials", "protectedsettings")
_VALUES = {"value", "plaintext", "data", "content", "text", "string"}
_TELLING = {"name", "valuefrom", "identity", "key", "version", "id", "type", "arn", "ref", "keyvaulturl"}
_REFERENCE = re.compile(
    r"arn:aws[\w-]*:[\w:/.@+=,-]+|projects/[\w/.-]+|/subscriptions/[\w/.-]+|https://[\w.-]+\.vault\.azure\.net/[\w/.-]*"
)
_SIGNATURE, _PULUMI_SECRET = (
    "4dabf18193072939515e22adb298388d",
    "1b47061264138c4ac30d75fd1eb44270",
)  # Pulumi's wire form

_PATTERNS = re.compile(
    "|".join(
        (
            # Private keys: with line breaks or with `\n` for them, whole or cut off.
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|\Z)",
            r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])",  # AWS
            r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
            r"\bgl(?:pat|[dfr]t|cbt|ptt|soat|agent|oas|imt)-[\w-]{20,}|\bxox[a-z]-[\w-]{10,}|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[\w-]{50,}",
            r"\bpul-[0-9a-f]{40}\b|\bhf_[A-Za-z0-9]{30,}|\bsk-(?:[a-z]+-)?[A-Za-z0-9_]{20,}|\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
            r"AIza[\w-]{35}|\bya29\.[\w.-]{20,}|\bGOCSPX-[\w-]{20,}",  # Google
            r"\b[\w~.-]{3}8Q~[\w~.-]{31,}|(?<![A-Za-z0-9+])[A-Za-z0-9+/]{86}==",  # Azure
            # JSON Web Tokens. Bounded, as each of many beginnings would be followed to the end of a text.
            r"eyJ[\w-]{8,400}\.eyJ[\w-]+\.[\w-]*|\bey[JI][\w-]{8,}\.[\w-]{8,}\.[\w-]*(?:\.[\w-]+\.[\w-]+)?",
            r"https://hooks\.slack\.com/[^\s\"']+|https://[\w-]+\.webhook\.office\.com/[^\s\"']+",
            r"(?<=://)[^\s/@:\"'<>]*:[^\s/@\"'<>]+(?=@)",  # user and password in an address
            r"\b(?i:Bearer|Basic)\s+[\w.~+/-]{8,}=*",
        )
    )
)
# NAME=value, "name": "value" (also where JSON stands in JSON), Name: value; the last group is what is hidden.
_ASSIGNED = re.compile(
    r"(?P<name>passw(?:or)?d|passphrase|\bpwd|secret|token|(?:api|access|account|shared|secret|private|signing)[_-]?key"
    r"|client-key-data|connection[_-]?string|credentials?|(?<![A-Za-z])sig(?:nature)?)"
    r"(?P<sign>\\*[\"']?(?:\s*=\s*|\s*:\s+|\s*:(?=\\*[\"'])))"
    r"(?P<value>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|(?P<open>\\+[\"']).*?(?P=open)|[^\s\"'&;,<>\\]+)",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(
    r"(?P<name>authorization\\*[\"']?(?:\s*=\s*|\s*:\s+|\s*:(?=\\*[\"']))\\*[\"']?)(?P<value>[^\"'\\\n]+)",
    re.IGNORECASE,
)
# A row of JSON that pairs a secret's name with its value.
_PAIRED = re.compile(
    r"(?P<name>(?<=\")(?:name|key)\\*\"\s*:\s*\\*\"[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|key|credentials?)\\*\"\s*,\s*"
    r"\\*\"value\\*\"\s*:\s*)(?P<open>\\*\")(?P<value>.*?)(?<!\\)(?P=open)",
    re.IGNORECASE,
)
# No secret stands there, but what takes its place: a variable, a truth value, the call of a function.
_NO_VALUE = re.compile(
    r"(?:Bearer |Basic |token )?(?:\$[({].*|\$[A-Z_][A-Z0-9_]*|\{\w*\}|\[secret\].*)"
    r"|[\[{(][\]}),;]*|(?i:true|false|null|none|undefined)"
)
_CALL = re.compile(r"[A-Za-z_][\w.]*\(")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}={0,2}")


class Redactor:
    """Hides secrets in texts and in values.

    values: secrets that somebody knows of. environment: where values of variables with a secret's name are taken from;
    of this process, unless another is given.
    """

    def __init__(self, values: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        known = {value for value in values if value}
        known |= {
            value for name, value in found.items() if _IN_ENVIRONMENT.search(name) and len(value) >= SHORTEST_FOUND
        }
        self._whole = known
        forms = {form for value in known if len(value) >= SHORTEST for form in forms_of(value)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._seen: dict[str, str] = {}

    def text(self, text: str) -> str:
        """The text with `[secret]` for each secret in it."""
        if (known := self._seen.get(text)) is None:
            known = self._seen[text] = self._text(text)
        return known

    def _text(self, text: str) -> str:
        if text in self._whole:
            return HIDDEN
        shown = self._known.sub(HIDDEN, text) if self._known else text
        if len(shown) < SHORTEST_FOUND:
            return shown
        shown = _BASE64.sub(self._encoded, shown)
        shown = _PATTERNS.sub(HIDDEN, shown)
        shown = _AUTHORIZATION.sub(_authorization, shown)
        shown = _PAIRED.sub(_pair, shown)
        return _ASSIGNED.sub(_assignment, shown)

    def _encoded(self, match: re.Match[str]) -> str:
        """A base64 text: encoded again without what its text must not say; hidden where only a piece of it says it."""
        decoded = _decoded(match[0])
        if decoded:
            shown = self.text(decoded)
            return match[0] if shown == decoded else base64.b64encode(shown.encode()).decode()
        word = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        for start in range(4):  # wherever it was cut
            piece = word[start : start + (len(word) - start) // 4 * 4]
            if _PATTERNS.search(base64.b64decode(piece).decode("latin-1")):
                return HIDDEN
        return match[0]

    def value(self, value: Any, path: str = "") -> Any:
        """Any JSON value without its secrets. path: where it stands, `/` between names; the last one counts."""
        return self._value(value, re.split(r"[/.]", path)[-1], HIDDEN)

    def _value(self, value: Any, name: str, hidden: Any, held: int = 0, nested: int = 0) -> Any:
        """held: how far its place makes a value a secret (`_held`). nested: in how many JSON texts it stands."""
        held = max(held, _held(name))
        if isinstance(value, Mapping):
            if value.get(_SIGNATURE) == _PULUMI_SECRET:
                return hidden
            return {
                self.text(str(key)): self._value(item, str(key), hidden, inner, nested)
                for key, item, inner in _inside(value, held)
            }
        if isinstance(value, list | tuple):
            return [self._value(item, "", hidden, held, nested) for item in value]
        if held and not (value is None or isinstance(value, bool) or value == "" or _is_reference(value)):
            return hidden
        return self._leaf(value, hidden, nested) if isinstance(value, str) else value

    def _leaf(self, text: str, hidden: Any, nested: int) -> Any:
        """A text; in one that is a JSON document the places count, too."""
        document = document_of(text) if nested < NESTED else None
        if document is not None:
            shown = self._value(document, "", HIDDEN, nested=nested + 1)
            if shown != document:
                return json.dumps(shown, ensure_ascii=False)
        shown = self.text(text)
        return hidden if shown == HIDDEN else shown

    def properties(self, values: Mapping[str, Any], holds: Iterable[str] = ()) -> dict[str, Any]:
        """Properties as a plan has them, `{"$secret": true}` for each secret. holds: names of those that are one."""
        mark = {"$secret": True}
        return {self.text(name): self._value(item, name, mark, 2 * (name in holds)) for name, item in values.items()}

    def knowing(self, values: Iterable[str]) -> Redactor:
        """One that knows of these secrets, too."""
        return Redactor({*self._whole, *values}, {})

    def plan(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A plan (`localcloud/plan.schema.json`) without secrets: `{"$secret": true}` at their places."""
        return _plan(document, self)


def document_of(value: Any) -> Any:
    """The object or list that a JSON text holds; None for all else, and for what is nested deeper than plans are."""
    if not isinstance(value, str) or value[:1] not in ("{", "[") or value.rstrip()[-1:] not in ("}", "]"):
        return None
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return document if is_shallow(document) else None


def is_shallow(document: Any) -> bool:
    """Whether a document is nested no deeper than a plan may be, so that functions that call themselves can read it."""
    layer = [document]
    for _ in range(DEEPEST):
        held = [
            value.values() if isinstance(value, dict) else value for value in layer if isinstance(value, dict | list)
        ]
        layer = [item for items in held for item in items]
        if not layer:
            return True
    return False


def is_secret_name(name: Any) -> bool:
    """Whether a property, a setting or a variable of this name holds a secret."""
    if not isinstance(name, str):
        return False
    plain = re.sub(r"[_.-]", "", name.rpartition(":")[2]).lower()
    return plain.endswith(_ENDINGS) and not plain.endswith(_HARMLESS)


def _held(name: str) -> int:
    """0: no secret's name. 1: one secret's. 2: one of several, all of whose entries are secrets."""
    return (2 if name.lower().endswith(_SEVERAL) else 1) if is_secret_name(name) else 0


def _inside(value: Mapping[str, Any], held: int) -> Iterator[tuple[str, Any, int]]:
    """The entries of an object, each with how far its place makes it a secret."""
    marked = value.keys() <= {"$secret", "$unknown", "$resource"}
    named = {second for first, second in _PAIRS if is_secret_name(value.get(first))}
    for key, item in value.items():
        inner = 2 if held == 2 and key.lower() not in _TELLING else int(held == 1 and key.lower() in _VALUES)
        yield key, item, 0 if marked else 2 if key in named else inner


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def forms_of(value: str) -> set[str]:
    """A secret as it may stand in another text: escaped for JSON, addresses and HTML, in base64 and in hex.

    In base64 the letters depend on what stands before: of each of the three cases those that the secret alone decides.
    """
    lines = {line.strip() for line in value.splitlines() if len(line.strip()) >= SHORTEST_FOUND}
    found = set()
    for text in {value, value.strip(), *lines} - {""}:
        escaped = json.dumps(text)[1:-1]
        readable = json.dumps(text, ensure_ascii=False)[1:-1]
        found |= {text, escaped, readable, json.dumps(escaped)[1:-1], json.dumps(readable)[1:-1], html.escape(text)}
        found |= {escaped.replace("/", "\\/")}
        for safe in ("", "/", "/:@"):
            found |= {quote(text, safe=safe), quote_plus(text, safe=safe)}
        raw = text.encode("utf-8", "surrogatepass")
        found |= {raw.hex(), raw.hex().upper()} if len(raw) >= SHORTEST else set()
        for before, first in ((0, 0), (1, 2), (2, 3)):
            core = base64.b64encode(b"\0" * before + raw).decode()[first : (before + len(raw)) * 8 // 6]
            if len(core) >= SHORTEST_FOUND:
                found |= {core, core.replace("+", "-").replace("/", "_"), quote(core, safe="")}
    lowered = {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in found if "%" in form}
    return {form for form in found | lowered if len(form) >= SHORTEST}


def _assignment(match: re.Match[str]) -> str:
    value, sign = match["value"], match["sign"]
    around = match["open"] or (value[0] if value[0] in "\"'" else "")
    inner = value[len(around) : len(value) - len(around)] if around else value
    if not inner or _NO_VALUE.fullmatch(inner) or (sign == " = " and not around and _CALL.match(inner)):
        return match[0]
    return f"{match['name']}{sign}{around}{HIDDEN}{around}"


def _pair(match: re.Match[str]) -> str:
    hidden = match["value"] if _NO_VALUE.fullmatch(match["value"]) else HIDDEN
    return f"{match['name']}{match['open']}{hidden}{match['open']}"


def _authorization(match: re.Match[str]) -> str:
    return match[0] if _NO_VALUE.fullmatch(match["value"].strip()) else match["name"] + HIDDEN


def _decoded(text: str) -> str:
    """The text that another is the base64 of; "" if it is of none."""
    if len(text) % 4:
        return ""
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return decoded if all(letter.isprintable() or letter in "\r\n\t" for letter in decoded) else ""


def found_in_plan(document: Mapping[str, Any]) -> Iterator[str]:
    """The secrets in clear that stand at their places in a plan, to be hidden where else they stand."""
    for row in document["resources"]:
        holds = _HOLDERS.get(row["type"], ())
        for part in ("inputs", "outputs"):
            for name, value in row[part].items():
                yield from _secrets(value, name, 2 * (name in holds))
    for part in ("config", "outputs"):
        for name, value in document[part].items():
            yield from _secrets(value, name, 0)


def _secrets(value: Any, name: str, held: int) -> Iterator[str]:
    held = max(held, _held(name))
    if isinstance(value, Mapping):
        for key, item, inner in _inside(value, held):
            yield from _secrets(item, key, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, "", held)
    elif held and isinstance(value, str) and len(value) >= SHORTEST_FOUND and not _is_reference(value):
        yield value


def _plan(document: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    known = redactor.knowing(value for value in found_in_plan(document) if value != HIDDEN)

    def texts(value: Any) -> Any:
        if isinstance(value, dict):
            return {known.text(name): texts(item) for name, item in value.items()}
        if isinstance(value, list):
            return [texts(item) for item in value]
        return known.text(value) if isinstance(value, str) else value

    def resource(row: Mapping[str, Any]) -> dict[str, Any]:
        holds = _HOLDERS.get(row["type"], ())
        parts = {part: known.properties(row[part], holds) for part in ("inputs", "outputs", "options")}
        return {name: parts[name] if name in parts else texts(row[name]) for name in row}

    return {
        "version": document["version"],
        "project": document["project"],
        "stack": document["stack"],
        "config": known.properties(document["config"]),
        "resources": [resource(row) for row in document["resources"]],
        "outputs": known.properties(document["outputs"]),
        "synthetic": texts(document["synthetic"]),
    }
