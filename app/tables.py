"""What the registry's commands show to people: plain text in columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEADER = ("VERSION", "STATE", "TRAINED", "ROWS", "LABELLED", "RMSE lb", "DATA", "JUDGEMENT")


def of_models(rows: list[dict[str, Any]]) -> str:
    """A line for each row of registry.models_list, under a header."""
    if not rows:
        return "There is no model yet. Train one: python -m app train"
    return _aligned([HEADER, *(_cells(row) for row in rows)])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    state = row["state"] or "-"
    if "trouble" in row:
        return row["version"], state, "damaged", "", "", "", "", row["trouble"]
    rmse = "-" if row["rmse"] is None else f"{row['rmse']:.3f}"
    trained = row["created"].replace("T", " ").replace("Z", "")
    return (
        row["version"],
        state,
        trained,
        str(row["rows"]),
        str(row["labelled"]),
        rmse,
        row["data"],
        row["why"] or "not judged",
    )


def of_model(found: dict[str, Any]) -> str:
    """What registry.models_show found, a line for each fact."""
    manifest, line, training = found["manifest"], found["model"], found["model"]["training"]
    slope = line["coefficient"] / line["input"]["scale"]
    labels, evaluation, judgement = manifest["labels"], found["evaluation"], found["judgement"]
    facts = [
        ("version", f"{found['version']}  ({found['state'] or 'not served'})"),
        ("trained", f"{manifest['created']}  code {manifest['code']['release'][:19]}, {manifest['code']['commit']}"),
        ("data", f"{manifest['data']['version']}  SHA-256 {manifest['data']['sha256']}"),
        ("labels", f"{labels['version']}  {labels['rows']} rows" if labels else "none"),
        ("parameters", ", ".join(f"{name} {value:g}" for name, value in sorted(manifest["parameters"].items()))),
        (
            "rows",
            f"{training['rows']} fitted, {training['labelled']} of them labelled; {training['held_out']} held out",
        ),
        (
            "line",
            f"{line['intercept']:.3f} lb at {line['input']['mean']:.3f} in, {slope:+.3f} lb per inch, "
            f"95 % within {line['margin']:.1f} lb",
        ),
        ("fitted rmse", f"{manifest['metrics']['rmse']:.3f} lb"),
        ("held-out rmse", f"{evaluation['metrics']['rmse']:.3f} lb" if evaluation else "not evaluated"),
    ]
    if judgement:
        against = judgement["against"] or "nothing"
        facts.append(
            ("judgement", f"{'better' if judgement['better'] else 'refused'} beside {against}. {judgement['why']}")
        )
    return _aligned(facts)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)
