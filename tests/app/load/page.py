"""The page of a load test: verdict, table, and two plots as SVG. One file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.app.load.judge import Call, Verdict, by_name, by_second, quantile

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 210, 56, 24, 14  # of a plot, in pixels, and its margins
STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#1d232b;background:#fff;max-width:760px;margin:2rem auto}
body{padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
td,th{padding:.2rem 1rem .2rem 0;text-align:left;border-bottom:1px solid #e3e6ea}
h1{font-size:1.3rem}h2{font-size:1rem;margin:1.5rem 0 0}
.met{color:#0b6b3a}.missed{color:#a8201a;font-weight:600}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#5a6572}"""


def render(host: str, asked: str, verdict: Verdict, found: Sequence[Call], p99_limit: float) -> str:
    """The page. `asked`: a sentence on what load it was. `p99_limit`: seconds, drawn as a line."""
    word = '<b class="met">passed</b>' if verdict.passed else '<b class="missed">failed</b>'
    parts = [
        f"<h1>Load test of {escape(host)}: {word}</h1><p>{escape(asked)}</p>",
        _table(("", "found", "objective"), [(row.what, row.found, row.asked, row.met) for row in verdict.rows]),
    ]
    if found:
        seconds = by_second(found)
        p50, p99 = (_latency(seconds, share) for share in (0.5, 0.99))
        parts += [
            "<h2>Latency by second (ms): p99, and p50 below it</h2>",
            _plot([(p99, "#c2571a"), (p50, "#2563a8")], limit=p99_limit * 1000),
            "<h2>Calls a second, and errors</h2>",
            _plot([(_count(seconds), "#2563a8"), (_count(seconds, errors=True), "#a8201a")]),
            _table(("call", "number", "p50", "p95", "p99", "max", "errors"), [_row(*each) for each in by_name(found)]),
        ]
    if verdict.errors:
        parts.append(_table(("what was wrong", "times"), [(error, str(times)) for error, times in verdict.errors]))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Load test of {escape(host)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>{"".join(parts)}</html>\n'
    )


def _row(name: str, found: Sequence[Call]) -> tuple[str, ...]:
    times = [call.seconds * 1000 for call in found]
    shown = (f"{quantile(times, share):.1f} ms" for share in (0.5, 0.95, 0.99, 1.0))
    return (name, str(len(found)), *shown, str(sum(bool(call.error) for call in found)))


def _table(head: Sequence[str], rows: Sequence[Sequence[str | bool]]) -> str:
    """A table; a row that ends with a truth value is coloured by it."""
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head)]
    for row in rows:
        mark = "" if isinstance(row[-1], str) else f' class="{"met" if row[-1] else "missed"}"'
        lines.append(f"<tr{mark}>" + "".join(f"<td>{escape(cell)}" for cell in row if isinstance(cell, str)))
    return f"<table>{''.join(lines)}</table>"


def _latency(seconds: Sequence[tuple[int, list[Call]]], share: float) -> list[tuple[float, float]]:
    return [(second, quantile([call.seconds for call in calls], share) * 1000) for second, calls in seconds]


def _count(seconds: Sequence[tuple[int, list[Call]]], *, errors: bool = False) -> list[tuple[float, float]]:
    return [(second, sum(bool(call.error) or not errors for call in calls)) for second, calls in seconds]


def _plot(lines: Sequence[tuple[Sequence[tuple[float, float]], str]], limit: float | None = None) -> str:
    """Lines of (second, value) from zero; the limit is drawn where it is within the plot, else named."""
    last = max(x for line, _ in lines for x, _ in line) or 1
    top = max(y for line, _ in lines for _, y in line) * 1.1 or 1

    def place(x: float, y: float) -> str:
        return f"{LEFT + x / last * (WIDTH - LEFT - 8):.1f},{TOP + (HEIGHT - BOTTOM - TOP) * (1 - y / top):.1f}"

    drawn = []
    for share in (0.0, 0.5, 1.0):
        x, y = place(0, top * share).split(",")
        drawn.append(f'<path d="M{x},{y}H{WIDTH}" stroke="#e3e6ea"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{top * share:.3g}</text>')
    drawn += [
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(place(*at) for at in line)}"/>'
        for line, colour in lines
    ]
    if limit is not None and limit <= top:
        drawn.append(f'<path d="M{place(0, limit)}H{WIDTH}" stroke="#a8201a" stroke-dasharray="4 3"/>')
    elif limit is not None:
        drawn.append(
            f'<text x="{WIDTH}" y="12" text-anchor="end">the objective, {limit:g} ms, is above the plot</text>'
        )
    drawn.append(f'<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">{last:g} s</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(drawn)}</svg>'
