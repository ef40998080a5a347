"""The one comment in a pull request: what a change does to every stack, the risky first.

What strangers wrote is redacted first and escaped then (`redact`, `markdown`); sentences are ours.

GitHub refuses what is longer with "Body is too long (maximum is 65536 characters)" (telia-oss/github-pr-resource#259).
What it counts differs by place and year: people who measured found 65,536 code points for a pull request's text, and
262,144 bytes of UTF-8 for a comment (dead-claudia/github-limits#13). Bytes of UTF-8 against 65,536 are within both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rollout import changes, markdown, risk
from rollout.artifact import Preview, StackPreview
from rollout.changes import Changes, Op
from rollout.difftext import SIGNS, change_lines, property_lines, short_type
from rollout.preview_cloud import CloudPreview
from rollout.redact import Redactor
from rollout.risk import KINDS, Kind, Risk

LIMIT = 65_536
RESERVE = 200  # bytes for what `superseded` adds later
LONGEST = 240  # letters of a value in a sentence
NAMES = 12  # resources that one sentence is about
_TITLES: dict[Kind, str] = {
    "data": "Data that may be lost",
    "exposure": "Open to the public",
    "permission": "Wider permissions",
    "capacity": "Fewer of what runs",
    "policy": "Policies",
}
_WORDS: dict[Kind, str] = {
    "data": "data",
    "exposure": "exposure",
    "permission": "permissions",
    "capacity": "capacity",
    "policy": "policies",
}
_OPS: dict[Op, str] = {
    "create": "to create",
    "update": "to change",
    "replace": "that may be replaced",
    "delete": "to delete",
}
_DIFFS: tuple[Op, ...] = ("delete", "replace", "update", "create")  # in this order
_SUPERSEDED = re.compile(r"\A> \*\*Superseded by [^\n]*\n\n?")


@dataclass(frozen=True)
class _Item:
    """A piece that may be left out. rank: what stays longest has the least. kind: None for a piece of the diff."""

    rank: tuple[int, int, int, str, int]
    stack: str
    kind: Kind | None
    text: str
    number: int = 1


@dataclass(frozen=True)
class _Stack:
    """What there is to say of one stack."""

    preview: StackPreview
    changes: Changes
    risks: tuple[Risk, ...]
    fixed: int

    @property
    def name(self) -> str:
        return self.preview.stack

    @property
    def order(self) -> tuple[int, int, int, str]:
        """By the worst risk of each, then by how many there are."""
        first = self.risks[0] if self.risks else None
        worst = (KINDS.index(first.kind), first.weight) if first else (len(KINDS), 0)
        return *worst, -len(self.risks), self.name


@dataclass(frozen=True)
class _Parts:
    """What a comment is made of, but for the pieces that may be left out."""

    preview: Preview
    stacks: tuple[_Stack, ...]
    marker: str
    url: str
    cloud: tuple[CloudPreview, ...]
    redactor: Redactor


def comment(
    preview: Preview,
    *,
    marker: str,
    artifact_url: str,
    limit: int = LIMIT,
    cloud: Sequence[CloudPreview] = (),
    redactor: Redactor | None = None,
) -> str:
    """The comment's Markdown: `marker` on its first line, at most `limit` bytes of UTF-8.

    What does not fit is left out from the least risky on, counted, and said to be in the artifact at `artifact_url`.
    """
    known = redactor or Redactor()
    touched = [_told(row) for row in preview.stacks.values() if row.touched]
    stacks = tuple(sorted(touched, key=lambda stack: stack.order))
    items = sorted((item for stack in stacks for item in _items(stack, known)), key=lambda item: item.rank)
    parts = _Parts(preview, stacks, marker, artifact_url, tuple(cloud), known)
    room = limit - RESERVE
    most = _most(len(items), lambda count: size(_page(parts, items[:count], items[count:])) <= room)
    text = _page(parts, items[:most], items[most:])
    if size(text) > room:
        return f"{marker}\nThe preview is too long to be shown: {markdown.link('see it', artifact_url)}.\n"
    return text


def size(text: str) -> int:
    """The bytes of a text in UTF-8."""
    return len(text.encode("utf-8", "replace"))


def superseded(body: str, sha: str) -> str:
    """A comment that another head has overtaken, with a line that says so under its marker; the same the second time.

    sha: 40 hex digits.
    """
    marker, _, rest = body.partition("\n")
    note = f"> **Superseded by {markdown.code(sha[:40])}:** what follows is of an older commit.\n\n"
    return f"{marker}\n{note}{_SUPERSEDED.sub('', rest)}"


def _most(count: int, fits: Callable[[int], bool]) -> int:
    """The greatest number up to `count` that fits, by halves: more never fits where less does not."""
    if fits(count):
        return count
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _told(row: StackPreview) -> _Stack:
    found = changes.compare(row.base_plan, row.head_plan)
    risks = risk.of(found, row.base_plan, row.head_plan, row.base_findings, row.head_findings)
    return _Stack(row, found, risks, risk.fixed(row.base_findings, row.head_findings))


# --- the pieces ---


def _items(stack: _Stack, redactor: Redactor) -> Iterator[_Item]:
    together: dict[tuple[object, ...], list[Risk]] = {}
    for row in stack.risks:
        together.setdefault((row.kind, row.weight, row.type, row.says, row.values), []).append(row)
    for number, rows in enumerate(together.values()):
        first = rows[0]
        rank = (0, KINDS.index(first.kind), first.weight, stack.name, number)
        yield _Item(rank, stack.name, first.kind, _sentence(rows, redactor), len(rows))
    risky = {row.urn for row in stack.risks}
    for number, change in enumerate(stack.changes.resources):
        rank = (1 if change.urn in risky else 2, _DIFFS.index(change.op), 0, stack.name, number)
        yield _Item(rank, stack.name, None, "\n".join(change_lines(change, redactor)))
    for place, title, rows_ in ((1, "settings", stack.changes.config), (3, "outputs", stack.changes.outputs)):
        lines = [line for row_ in rows_ for line in property_lines(row_, redactor)]
        if lines:
            yield _Item((place, -1, 0, stack.name, 0), stack.name, None, "\n".join([f"# {title}", *lines]), 0)


def _sentence(rows: Sequence[Risk], redactor: Redactor) -> str:
    """One list item: which resources, and what becomes of each."""
    first = rows[0]
    parts = iter(first.values)
    escape = {"{}": markdown.code, "{prose}": markdown.text}
    said = re.sub(r"\{(?:prose)?\}", lambda match: escape[match[0]](_short(next(parts), redactor)), first.says)
    names = [row.name for row in rows if row.name]
    if not names:
        return f"- {said}"
    shown = ", ".join(markdown.code(_short(name, redactor)) for name in names[:NAMES])
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    lead = f"{markdown.code(_short(short_type(first.type), redactor))} {shown}{more}"
    if first.says.startswith("{}"):  # about somebody who is not the resource that says so
        return f"- {said} (by {lead})"
    return f"- {lead}: each {said}" if len(names) > 1 else f"- {lead} {said}"


def _short(text: str, redactor: Redactor) -> str:
    shown = redactor.text(text)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}… ({len(shown) - LONGEST} more letters)"


# --- the page ---


def _page(parts: _Parts, kept: Sequence[_Item], left_out: Sequence[_Item]) -> str:
    lines = [parts.marker, *_head(parts)]
    for stack in parts.stacks:
        lines += _stack(stack, [item for item in kept if item.stack == stack.name])
    for found in parts.cloud:
        lines += ["", *found.markdown(parts.redactor)]
    link = markdown.link("The whole plans and findings", parts.url)
    if left_out:
        risks = sum(item.number for item in left_out if item.kind)
        others = sum(item.number for item in left_out if not item.kind)
        told = [_count(risks, "thing to look at", "things to look at"), _count(others, "changed resource")]
        what = " and ".join(text for text in told if text) or "settings and outputs"
        lines += [
            "",
            f"**Too long for a comment:** {what} left out, from the least risky on. {link} are in the artifact.",
        ]
    elif parts.stacks:
        lines += ["", f"<sub>{link} are in the artifact.</sub>"]
    return "\n".join(lines) + "\n"


def _head(parts: _Parts) -> Iterator[str]:
    preview = parts.preview
    commits = f"{markdown.code(preview.head[:10])} against {markdown.code(preview.base[:10])}"
    still = [name for name, row in preview.stacks.items() if not row.touched]
    if not parts.stacks and not preview.failures:
        yield f"**No change** to {_count(len(still), 'stack') or 'any stack'}: {commits}."
        return
    yield from ["### What this change does", ""]
    if parts.stacks:
        yield from [*_table(parts.stacks), ""]
    for failure in preview.failures:
        how = "with this change" if failure.side == "head" else "as it is now, so all of it is shown as new"
        said = markdown.text(_short(failure.message, parts.redactor))
        yield f"- {markdown.code(failure.stack)} **cannot be planned** {how}: {said}"
    if preview.failures:
        yield ""
    rest = f" No change to {', '.join(map(markdown.code, still))}." if still else ""
    yield f"<sub>Planned from the code of {commits}; no cloud was asked.{rest}</sub>"


def _table(stacks: Sequence[_Stack]) -> Iterator[str]:
    yield "| Stack | To look at | Policies | Resources |"
    yield "|:--|:--|:--|:--|"
    for stack in stacks:
        risks = {kind: sum(row.kind == kind for row in stack.risks) for kind in KINDS}
        look = ", ".join(f"{_WORDS[kind]} {number}" for kind, number in risks.items() if number)
        found = {sign: stack.changes.count(op) for op, sign in SIGNS.items()}
        counts = markdown.code_in_html(" ".join(f"{sign}{count}" for sign, count in found.items() if count) or "none")
        name = f"**{markdown.code_in_html(stack.name)}**{_whole(stack.preview)}"
        yield f"| {name} | {look or 'nothing'} | {_policies(stack)} | {counts} |"


def _whole(row: StackPreview) -> str:
    if row.head_plan is None:
        return " (removed)"
    return " (new)" if row.base_plan is None else ""


def _policies(stack: _Stack) -> str:
    found = stack.preview.head_findings
    if found is None:
        return ""
    if found["errors"]:
        return "**no answer**"
    blocking = sum(row["blocks"] for row in found["findings"])
    fixed = f", {stack.fixed} fixed" if stack.fixed else ""
    return (f"**{blocking} stop it**" if blocking else "passed") + fixed


def _stack(stack: _Stack, items: Sequence[_Item]) -> Iterator[str]:
    name = markdown.code_in_html(stack.name)
    if any(item.kind for item in items):
        yield from ["", f"### {name}"]
    for kind in KINDS:
        rows = [item.text for item in items if item.kind == kind]
        if rows:
            yield from ["", f"**{_TITLES[kind]}**", "", *rows]
    body = "\n".join(item.text for item in items if not item.kind)
    if not body:
        return
    yield from ["", f"<details><summary>{name}: {_summary(stack.changes)}</summary>", "", markdown.block(body, "diff")]
    folded = _folded(stack.changes)
    if folded:
        yield from ["", folded]
    yield from ["", "</details>"]


def _summary(found: Changes) -> str:
    told = [f"{found.count(op)} {words}" for op, words in _OPS.items() if found.count(op)]
    return f"{', '.join(told) or 'no resource changes'}, {found.unchanged} unchanged"


def _folded(found: Changes) -> str:
    """Components, providers and plugins in a line."""
    providers = [change for change in found.folded if change.type.startswith(changes.PROVIDER_PREFIX)]
    told = [_count(len(found.folded) - len(providers), "component"), _count(len(providers), "provider")]
    said = [f"Besides: {' and '.join(text for text in told if text)}"] if any(told) else []
    for (package, old, new), number in sorted(found.plugins.items()):
        versions = f"{markdown.code(old or 'none')} to {markdown.code(new or 'none')}"
        said.append(f"{_count(number, 'resource')} of {markdown.code(package)} from version {versions}")
    return f"{'; '.join(said)}." if said else ""


def _count(number: int, one: str, several: str = "") -> str:
    if not number:
        return ""
    return f"{number} {one if number == 1 else several or f'{one}s'}"
