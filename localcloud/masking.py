"""Blots secrets out of text that people read: messages, logs, what a program prints, errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import Any, TextIO

from localcloud.values import UNKNOWN, Secret, reveal, transform, walk

MASK = "[secret]"
SHORTEST = 4  # characters: to hide shorter texts would hide half of every line
PLAIN = frozenset({"true", "false", "null", "none"})  # never hidden, though a secret may say no more


class Mask:
    """Texts that no output may hold: those it was given, and those that it learned. Safe from any thread."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts: frozenset[str] = frozenset()
        self._written: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        """Takes texts, also as JSON writes them."""
        new = {text for text in texts if len(text) >= SHORTEST and text.lower() not in PLAIN} - self._texts
        if new:
            with self._lock:
                self._texts |= new
                written = self._texts | {json.dumps(text)[1:-1] for text in self._texts}
                written |= {repr(text)[1:-1] for text in self._texts}
                self._written = tuple(sorted(written, key=lambda text: (-len(text), text)))

    def learn(self, value: Any) -> None:
        """Takes the texts inside of the secrets of a property value."""
        secrets = [leaf.value for _, leaf in walk(value) if isinstance(leaf, Secret)]
        if secrets:
            self.add(text for _, text in walk(reveal(secrets)) if isinstance(text, str))

    def __call__(self, text: str) -> str:
        for secret in self._written:
            text = text.replace(secret, MASK)
        return text


class Masked:
    """A stream that masks what is written to it; all else is the stream's own. A secret that comes in two writes is
    not seen."""

    def __init__(self, stream: TextIO, mask: Mask) -> None:
        self._stream = stream
        self._mask = mask

    def write(self, text: str) -> int:
        """Writes the text without secrets; tells the length that it was given."""
        self._stream.write(self._mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes lines likewise."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def masked(value: Any) -> Any:
    """The value with each secret as Pulumi prints it, and unknown ones as null."""
    return transform(value, lambda leaf: "[secret]" if isinstance(leaf, Secret) else None if leaf is UNKNOWN else leaf)
