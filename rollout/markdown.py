"""Whatever a stranger wrote, as GitHub's Markdown shows it letter by letter: it makes no structure, link or mention.

GitHub renders in two steps: its CommonMark dialect (github.github.com/gfm), and then filters over the text of the
rendered page, which make mentions (`@name`), references (`#1`, `GH-1`, commit hashes), emoji and formulas. An entity or
a backslash stops the first step alone; a zero-width space stops the second; inside code neither looks.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

_GAP = "\u200b"  # zero-width space
_ESCAPED = re.compile(r"[&<>\"'`*_\[\]\\|~{}]")
_FIRST = re.compile(r"[#+=:-]|\d(?=\d*[.)])")
# Where a filter would make something of the text: the gap comes behind the letters matched here.
_FILTERED = re.compile(
    r"@(?=\w)"
    r"|\#(?=\d)"
    r"|\bGH-(?=\d)"
    r"|\b(?:https?|ftp|mailto|xmpp):(?=\S)"
    r"|\bwww(?=\.)"
    r"|:(?=[\w+-]+:)",
    re.IGNORECASE | re.ASCII,
)
_SHA = re.compile(r"\b[0-9a-f]{7,40}\b", re.IGNORECASE)
_LANGUAGE = re.compile(r"[a-z]*")


def printable(value: object) -> str:
    """On one line and without letters that move a cursor, hide, or turn the direction of writing (U+FFFD for each)."""
    letters = (letter if letter.isprintable() else " " if letter.isspace() else "\ufffd" for letter in str(value))
    return "".join(letters)


def text(value: object) -> str:
    """As plain text, on one line; good inside of HTML elements such as `<summary>`, and of a table's cells, too.

    Gaps that nobody sees (U+200B) stand where GitHub would make a mention, a reference or a link: what people are to
    copy stands in `code`.
    """
    shown = printable(value).strip()
    shown = _SHA.sub(lambda match: _GAP.join(re.findall(".{1,6}", match[0])), shown)
    shown = _FILTERED.sub(lambda match: match[0] + _GAP, shown)
    first = _FIRST.match(shown)
    shown = _ESCAPED.sub(lambda match: f"&#{ord(match[0])};", shown)
    shown = f"&#{ord(shown[0])};{shown[1:]}" if first else shown
    return shown.replace("$", "<span>$</span>")  # as GitHub's documentation has it: no formula begins there


def code(value: object) -> str:
    """As code in a line of Markdown; a run of backticks longer than any in it stands around it."""
    shown = printable(value)
    if not shown.strip():
        return f"<code>{'&nbsp;' * len(shown)}</code>"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def code_in_html(value: object) -> str:
    """As code inside of an HTML element or a table's cell, where backticks are letters or a `|` ends the cell."""
    return f"<code>{text(value)}</code>"


def block(value: object, language: str = "") -> str:
    """As a block of code with its line breaks, inside a fence longer than any run of backticks in it."""
    lines = [printable(line.replace("\t", "    ")) for line in re.split(r"\r\n|[\r\n]", str(value))]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    named = language if _LANGUAGE.fullmatch(language) else ""
    return "\n".join([f"{fence}{named}", *lines, fence])


def link(label: object, url: str) -> str:
    """A link, its label as plain text; the label alone where the address is not of the web."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return text(label)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        return text(label)
    return f"[{text(label)}](<{quote(url, safe=_SAFE)}>)"


_SAFE = ":/?#@!$&'*+,;=%~.-_"  # brackets, spaces, quotes and backslashes are what could end the address
