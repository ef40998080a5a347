"""One self-contained page: no request leaves it, it opens from a file, and it reads without JavaScript, too."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from policies.check import Report, counts
from policies.controls import ANSWERS, frameworks, status_of
from policies.finding import STATUSES
from policies.report import view
from policies.report.picture import pictures
from policies.rule import SEVERITIES

FOLDER = Path(__file__).parent
# What a browser draws as nothing, or as something else than it is: controls, directions of writing, half characters.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb]"
)


def render(report: Report) -> str:
    """The page of a report. Two reports that differ in `made` alone give pages that differ in that time, and, on
    another day, in the days that waivers have left.
    """
    style, script = ((FOLDER / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_visible,
    )
    cards = view.cards(report)
    return environment.get_template("page.html").render(
        report=report,
        style=Markup(style),  # noqa: S704 - our own files, with nothing of the report in them
        script=Markup(script),  # noqa: S704 - likewise
        policy=f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'",
        cards=cards,
        summary=view.summary(report),
        verdict=view.judged(report, report.findings),
        says=_says(report),
        counts=counts(report.findings),
        words=view.WORDS,
        statuses=STATUSES,
        severities=SEVERITIES,
        choices=_choices(report, cards),
        frameworks=[(framework, status_of(report, framework.controls)) for framework in frameworks()],
        answers=ANSWERS,
        waivers=view.waivers(report),
        coverage=view.coverage(report),
        reached=view.reached(report),
        gaps=view.gaps(report),
        pictures=pictures(report),
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _visible(value: Any) -> Any:
    """A text with what nobody could see in it written out; the page's own markup as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)


def _choices(report: Report, cards: tuple[view.Card, ...]) -> dict[str, list[tuple[str, str]]]:
    """What each filter offers: (value, words)."""
    clouds = sorted({item.cloud for card in cards for item in (*card.open, *card.passed)})
    tools = sorted({card.policy.tool for card in cards})
    return {
        "stack": [(stack, stack) for stack in view.labels(report).values()],
        "cloud": [(cloud, cloud) for cloud in clouds],
        "severity": [(severity, severity) for severity in SEVERITIES],
        "status": [(status, view.WORDS[status]) for status in STATUSES],
        "tool": [(tool, tool) for tool in tools],
    }


def _says(report: Report) -> str:
    """The verdict in one sentence, with what it leaves open."""
    found = Counter(row.status for row in report.findings)
    blocking = sum(report.blocks(row) for row in report.findings)
    parts = [f"{blocking} of mandatory policies, which stop a deployment"] if blocking else []
    parts += [f"{found[status]} {word}" for status, word in view.WORDS.items() if found[status]]
    unread = len({(row.tool, row.urn) for row in report.not_assessed if not row.path})
    inputs = sum(bool(row.path) for row in report.not_assessed)
    gaps = [f"{unread} times a tool could not look at a resource"] if unread else []
    gaps += [f"{inputs} times not at one of its inputs"] if inputs else []
    total = f"{len(report.findings)} findings: {', '.join(parts) or 'none'}."
    return f"{total} Not assessed, and so not passed: {', '.join(gaps)}." if gaps else total
