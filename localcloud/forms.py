"""Well-formed texts that are pure functions of a seed: ids, keys, addresses; templates; what a property's name and
documentation say of its form.

Addresses come from the ranges reserved for documentation (RFC 5737, RFC 3849), host names end in `example.com`
(RFC 2606) where no cloud's form is known. Nothing here is random: the same seed gives the same text on every machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

Known = Callable[[str], str | None]

ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
TIMESTAMP = "2025-01-01T00:00:00Z"
DOCUMENTATION_RANGES = ("192.0.2", "198.51.100", "203.0.113")
ATOM = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")
FIRST_LETTER = re.compile(r"^[a-z]")


def digest(seed: str, label: str, size: int) -> bytes:
    """`size` bytes that depend on the seed and the label alone."""
    return hashlib.shake_256(f"{seed}\n{label}".encode()).digest(size)


def text(seed: str, form: str) -> str | None:
    """A text of a form such as `hex:8`, `digits:12`, `uuid`, `ip`; None for a form that is not known."""
    kind, _, argument = form.partition(":")
    size = int(argument) if argument.isdigit() else 0
    if kind in ("hex", "digits", "alnum", "upper") and size:
        alphabet = {"hex": "0123456789abcdef", "digits": "0123456789", "alnum": ALNUM, "upper": UPPER}[kind]
        found = "".join(alphabet[byte % len(alphabet)] for byte in digest(seed, kind, size))
        # Names and hosts start with a letter, numbers not with a zero.
        return {"alnum": "a", "digits": "1"}.get(kind, found[0]) + found[1:]
    if kind == "uuid":
        return str(uuid.UUID(bytes=digest(seed, form, 16), version=4))
    if kind == "base64" and size:
        return base64.b64encode(digest(seed, form, size)).decode()
    makers: dict[str, Callable[[], str]] = {
        "ip": lambda: address(seed),
        "ipv6": lambda: "2001:db8::" + digest(seed, "ipv6", 2).hex().lstrip("0").rjust(1, "1"),
        "cidr": lambda: f"10.{digest(seed, 'cidr', 1)[0]}.0.0/16",
        "cidr6": lambda: f"2001:db8:{digest(seed, 'cidr6', 1)[0] + 1:x}::/56",
        "time": lambda: TIMESTAMP,
        "pem": lambda: pem(seed, argument or "CERTIFICATE"),
        "pem64": lambda: base64.b64encode(pem(seed, "CERTIFICATE").encode()).decode(),
        "kubeconfig": lambda: kubeconfig(seed),
        "kubeconfig64": lambda: base64.b64encode(kubeconfig(seed).encode()).decode(),
        "serviceaccount64": lambda: base64.b64encode(json.dumps({"type": "service_account"}).encode()).decode(),
    }
    return makers[kind]() if kind in makers else None


def address(seed: str) -> str:
    """An IPv4 address of a documentation range (RFC 5737)."""
    first, second = digest(seed, "ip", 2)
    return f"{DOCUMENTATION_RANGES[first % 3]}.{second % 254 + 1}"


def pem(seed: str, label: str) -> str:
    """A text in PEM's shape (RFC 7468); its content is no key and no certificate."""
    body = base64.b64encode(digest(seed, label, 96)).decode()
    lines = "\n".join(body[start : start + 64] for start in range(0, len(body), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def kubeconfig(seed: str) -> str:
    """A kubeconfig whose server is nowhere, as JSON, which is YAML too."""
    authority = base64.b64encode(pem(seed, "CERTIFICATE").encode()).decode()
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "synthetic",
                    "cluster": {
                        "server": "https://cluster.example.com:443",
                        "certificate-authority-data": authority,
                    },
                }
            ],
            "contexts": [{"name": "synthetic", "context": {"cluster": "synthetic", "user": "synthetic"}}],
            "current-context": "synthetic",
            "users": [{"name": "synthetic", "user": {"token": text(seed, "hex:32")}}],
        }
    )


def render(template: Any, known: Known) -> Any:
    """The template with its atoms replaced, also inside lists and objects; None if a text has an atom not known."""
    if isinstance(template, list):
        items = [render(item, known) for item in template]
        return None if any(item is None for item in items) else items
    if isinstance(template, dict):
        rendered = {name: render(item, known) for name, item in template.items()}
        return None if any(item is None for item in rendered.values()) else rendered
    if not isinstance(template, str):
        return template
    missing = False

    def replace(match: re.Match[str]) -> str:
        nonlocal missing
        if match.group(1) is None:
            return match.group(0)[0]
        found = next((value for atom in match.group(1).split("|") if (value := _atom(atom, known)) is not None), None)
        missing = missing or found is None
        return found or ""

    rendered_text = ATOM.sub(replace, template)
    return None if missing else rendered_text


def _atom(atom: str, known: Known) -> str | None:
    if atom.startswith("'"):
        return atom.strip("'")
    if "~" in atom:
        name, _, change = atom.partition("~")
        old, _, new = change.partition(">")
        value = known(name)
        return value.replace(old, new) if value is not None else None
    head, _, rest = atom.partition(":")
    if head == "base" and (value := known(rest)) is not None:
        return re.split(r"[/:]", value.rstrip("/"))[-1]
    if head == "bare" and (value := known(rest)) is not None:
        return re.sub(r"^[a-z]+://", "", value).lstrip("/")
    return known(atom)


# What the name of a text property says of its form, first match first; the name is matched without its plural s.
NAMES = tuple(
    (re.compile(pattern), form)
    for pattern, form in (
        (r"^region$|Region$", "{region}"),
        (r"[kK]ube[cC]onfig(Raw|Json)?$", "{kubeconfig}"),
        (r"^azureApiVersion$", "2025-01-01"),
        (r"^(availabilityZone|zone)$", "{zone}"),
        (r"^(location|primaryLocation)$", "{location}"),
        (r"^(accountId|ownerId|registryId|awsAccountId|catalogId|projectNumber)$", "{account|number}"),
        (r"^(project|projectId)$", "{project}"),
        (r"^subscriptionId$", "{subscription}"),
        (r"^tenantId$", "{tenant}"),
        (r"^(principalId|clientId|objectId|customerId)$|[uU]uid$|[gG]uid$", "{uuid}"),
        (r"^provisioningState$", "Succeeded"),
        (r"([iI]pv6|IPv6).*([cC]idr(Block|Range)?|[pP]refix)$", "{cidr6}"),
        (r"([cC]idr(Block|Range)?|[aA]ddressPrefix|[iI]pRange)$", "{cidr}"),
        (r"[iI]pv6(Address)?$", "{ipv6}"),
        (r"(^ip|I[pP])(v4)?(Address)?$", "{ip}"),
        (r"[eE]mail(Address)?$", "{name}@example.com"),
        (r"([cC]reated|[uU]pdated|[mM]odified|[eE]xpires)(At|On|Date)?$|(Time|Timestamp|Date)$", "{time}"),
        (r"[eE]tag$|[fF]ingerprint$|(Hash|Checksum|Md5|Sha1|Sha256)$", "{hex:32}"),
        (r"[pP]rivateKey(Pem)?$", "{pem:PRIVATE KEY}"),
        (r"[pP]ublicKeyPem$", "{pem:PUBLIC KEY}"),
        (r"[pP]em$|^(certificate|caCertificate|certificateBody|certificateChain|caCert)$", "{pem}"),
        (r"[uU]r[li]$", "https://{slug}.example.com/"),
        (r"([dD]nsName|[dD]omainName|[fF]qdn|[hH]ost[nN]ame|[hH]ost|[eE]ndpoint|Address)$", "{slug}.example.com"),
        (r"[vV]ersion$|[gG]eneration$|[rR]evision$", "1"),
        (r"[jJ]son$", "{{}}"),
        (r"([pP]assword|[sS]ecret|[tT]oken|[kK]ey)$", "{alnum:32}"),
        (r"^([sS]tatus|[sS]tate|[pP]hase)$|(Status|State)$", "ACTIVE"),
        (r"^port$", "443"),
    )
)
PLACES = tuple(
    (pattern, form)
    for pattern, form in NAMES
    if form
    in (
        "{region}",
        "{zone}",
        "{location}",
        "{project}",
        "{account|number}",
        "{subscription}",
        "{tenant}",
        "{cidr}",
        "{ip}",
        "1",
    )
)
# What a documentation sentence says of a text's form.
DOCUMENTATION = tuple(
    (re.compile(pattern), form)
    for pattern, form in (
        (r"(?i)base ?-?64", "{base64:24}"),
        (r"\bPEM\b", "{pem}"),
        (r"(?i)\bkubeconfig for\b", "{kubeconfig}"),
        (r"RFC ?3339|ISO ?8601|(?i:timestamp|date and time)", "{time}"),
        (r"\bCIDR\b", "{cidr}"),
        (r"(?i)\b(uuid|guid)\b", "{uuid}"),
        (r"\bJSON\b", "{{}}"),
        (r"(?i)\be-?mail address", "{name}@example.com"),
        (r"\bURL\b", "https://{slug}.example.com/"),
    )
)
ALIVE = ("succeeded", "active", "available", "ready", "running", "enabled", "issued", "online", "deployed", "completed")
_WORD = r"[`\"']([^\s`\"'{}]{1,80})[`\"']"
_DEFAULT = re.compile(rf"[Dd]efault(?:s| value)?(?: is| to| of|:)*\s*{_WORD}|{_WORD} \(default\)")
_NUMBER = re.compile(r"[Dd]efault(?:s| value)?(?: is| to| of|:)*\s*[`\"']?(\d+)\b")
_TRUTH = re.compile(r"[Dd]efault(?:s| value)?(?: is| to| of|:)*\s*[`\"']?(true|false)\b")
_VALUES = re.compile(
    r"(?i:(?:valid|possible|allowed|supported|acceptable|accepted) (?:values?|options?|types?|states?)|one of)"
    r"[^`\"]{0,60}((?:[`\"][^`\"]+[`\"][^`\"]{0,6})+)"
)


def default_text(doc: str) -> str | None:
    """The default that a documentation sentence names, as in "Defaults to `x`"."""
    found = _DEFAULT.search(doc)
    return (found.group(1) or found.group(2)) if found else None


def default_number(doc: str) -> int | None:
    """The number that a documentation sentence names as the default."""
    found = _NUMBER.search(doc)
    return int(found.group(1)) if found else None


def default_truth(doc: str) -> bool:
    """The truth value that a documentation sentence names as the default, else False."""
    found = _TRUTH.search(doc)
    return found is not None and found.group(1) == "true"


def legal_value(doc: str) -> str | None:
    """A value of those that the documentation lists as legal: one that means "up" if there is one, else the first."""
    found = _VALUES.search(doc)
    if found is None:
        return None
    quoted = re.findall(r"[`\"]([^`\"]+)[`\"]", found.group(1))
    values = [value for text in quoted for value in re.split(r"[,\s]+", text) if value]
    return next((value for value in values if value.lower() in ALIVE), values[0] if values else None)


def from_name(name: str, known: Known, *, places: bool = False) -> str | None:
    """A text of the form that the property's name tells, or None; with `places`, of those forms that tell a place."""
    singular = re.sub(r"(?<=ss)es$|(?<![su])s$", "", name)
    return _first(PLACES if places else NAMES, singular, known)


def from_documentation(doc: str, known: Known) -> str | None:
    """A text of the form that the property's documentation tells, or None."""
    return _first(DOCUMENTATION, doc, known)


def _first(rules: tuple[tuple[re.Pattern[str], str], ...], subject: str, known: Known) -> str | None:
    found = next((form for pattern, form in rules if pattern.search(subject)), None)
    return None if found is None else render(found, known)


def slug(name: str) -> str:
    """The name as one DNS label: lower-case letters, digits and dashes, at most 50."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-")
    return found if FIRST_LETTER.match(found) else f"x-{found}".strip("-")
