"""Settings: environment variables, read at the edge, with a sentence for what is missing or wrong."""

from __future__ import annotations

import os

from app.store import FORMS


class SettingError(Exception):
    """A setting is missing or wrong; the message is a sentence that names it."""


def setting(name: str, what: str = "") -> str:
    """The variable `name`, which must be set to `what` (the address of a store, if nothing is said)."""
    value = os.environ.get(name, "")
    if not value:
        raise SettingError(f"{name} is not set; give {what or f'the address of the store: {FORMS}'}.")
    return value


def number(name: str, default: int, least: int, most: int) -> int:
    """The variable `name`, a whole number from `least` to `most`."""
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
        raise SettingError(f"{name} is {text[:20]!r}; it must be a number from {least} to {most}.")
    return int(text)
