"""Taking settings out of a mapping one by one, and a sentence for each that is missing, wrong or unknown."""

import difflib
import ipaddress
import json
import re
import shlex
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
Text = TypeVar("Text", bound=str)

PRIVATE = [ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHOWN = 60  # characters of a wrong value


class Section:
    """Settings under one key. It takes each once, and keeps a sentence for each that is wrong."""

    def __init__(
        self, found: Mapping[str, Any], path: str, stack: str, problems: list[str], hidden: Collection[str]
    ) -> None:
        self.found, self.path, self.stack, self.problems, self.hidden = found, path, stack, problems, hidden
        self.taken: set[str] = set()
        self.sound = True

    def section(self, key: str) -> "Section":
        """The settings under one of these keys; none if it is missing, as their own sentences say it better."""
        self.taken.add(key)
        try:
            found = mapping(self.found.get(key, {}))
        except ValueError:
            found = {}
            self.refuse(key, "a mapping of keys to values")  # once it is gone, its keys can be set one by one
        hidden = found if key in self.hidden else ()
        return Section(found, f"{self.path}{key}.", self.stack, self.problems, hidden)

    def take(self, key: str, parse: Callable[[Any], T], allowed: str, example: Any, default: Any = ...) -> T | Any:
        """The value, or the default, or (if it is missing or wrong, which ends in an error) the example's."""
        self.taken.add(key)
        if key not in self.found:
            if default is not ...:
                return default
            self.refuse(key, allowed, example)
            return parse(example)
        try:
            return parse(self.found[key])
        except (ValueError, TypeError):
            self.refuse(key, allowed, example)
            return parse(example)

    def refuse(self, key: str, allowed: str, *example: Any) -> None:
        """Note that a value is missing or wrong, with the command that sets a right one (or takes it away)."""
        value = "a secret" if key in self.hidden else shown(self.found.get(key))
        found = f"is {value}" if key in self.found else "is missing"
        self._note(f"{self.path}{key} {found} in stack {self.stack}; allowed is {allowed}.", key, *example)

    def close(self) -> bool:
        """Refuse the keys that nobody took. Returns whether all went well so far."""
        for unknown in sorted(self.found.keys() - self.taken):
            nearest = difflib.get_close_matches(unknown, self.taken, n=1, cutoff=0.6)
            hint = (
                f"did you mean {self.path}{nearest[0]}?" if nearest else f"there are {', '.join(sorted(self.taken))}."
            )
            key = shown(unknown)[1:-1]
            self._note(f"{self.path}{key} is not a setting (in stack {self.stack}); {hint}", key)
        return self.sound

    def _note(self, sentence: str, key: str, *example: Any) -> None:
        self.sound = False
        verb = "set" if example else "rm"
        path, is_nested = f"{self.path}{key}", "." in self.path
        words = [verb, *(["--path"] if is_nested else []), shlex.quote(path)]
        words += [shlex.quote(value if isinstance(value, str) else json.dumps(value)) for value in example]
        self.problems.append(f"{sentence} Run `pulumi config {' '.join(words)} --stack {self.stack}`.")


def shown(value: Any) -> str:
    """A value as it may be printed: short, on one line, without control characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def matching(pattern: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(pattern)
        return value

    return parse


def one_of(choices: Collection[Text]) -> Callable[[Any], Text]:
    def parse(value: Any) -> Text:
        for choice in choices:
            if value == choice:
                return choice
        raise ValueError("none of the choices")

    return parse


def each(parse: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """A list of at least one and nothing twice. Settings on the top level arrive as JSON in a text."""

    def parse_all(value: Any) -> tuple[T, ...]:
        items = json.loads(value) if isinstance(value, str) else value
        if not isinstance(items, list) or not items:
            raise ValueError("not a list")
        parsed = tuple(parse(item) for item in items)
        if len(set(parsed)) < len(parsed):
            raise ValueError("something twice")
        return parsed

    return parse_all


def zones(value: Any) -> tuple[str, ...]:
    zones = each(matching("[a-f]"))(value)
    if not 2 <= len(zones) <= 4:
        raise ValueError("too few or too many")
    return zones


def mapping(value: Any) -> Mapping[str, Any]:
    found = json.loads(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        raise ValueError("not a mapping")
    return found


def boolean(value: Any) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ValueError("neither true nor false")
    return str(value).lower() == "true"


def between(lowest: int, highest: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", str(value)) or not lowest <= int(value) <= highest:
            raise ValueError("out of range")
        return int(value)

    return parse


def private(widest: int, narrowest: int) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        network = ipaddress.IPv4Network(matching(r"[0-9./]+")(value))
        private = any(network.subnet_of(block) for block in PRIVATE)
        if not (private and widest <= network.prefixlen <= narrowest):
            raise ValueError("not a private network of this size")
        return str(network)

    return parse


def network(value: Any) -> str:
    """A network of IPv4 addresses (CIDR) that is smaller than the whole internet."""
    found = ipaddress.IPv4Network(matching(r"[0-9./]+")(value))
    if found.prefixlen < 8:
        raise ValueError("too wide")
    return str(found)


def endpoint(value: Any) -> str:
    url = urlsplit(matching(r"https?://[A-Za-z0-9.:\[\]-]+/?")(value))
    if not url.hostname or (url.scheme == "http" and url.hostname not in LOOPBACK):
        raise ValueError("in clear over a network")
    between(1, 65535)(url.port or 443)
    return value.rstrip("/")  # type: ignore[no-any-return] # matching has seen that it is a text
