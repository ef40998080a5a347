"""Evaluates a program of `programs/` for the tests of plans, in a project of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from localcloud import evaluation, plan, project

PROGRAMS = Path(__file__).parent / "programs"
SETTINGS = {"aws:region": "us-east-1", "gcp:project": "planned", "gcp:region": "europe-west1"}


def names() -> list[str]:
    """The programs there are."""
    return sorted(path.stem for path in PROGRAMS.glob("*.py"))


def planned(directory: Path, source: str, config: dict[str, Any] | None = None) -> evaluation.Evaluation:
    """The evaluation of a program's text for the stack `dev`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "Pulumi.yaml").write_text("name: planned\nruntime: python\n", encoding="utf-8")
    settings = json.dumps({"config": SETTINGS | (config or {})})  # JSON is YAML
    (directory / "Pulumi.dev.yaml").write_text(settings, encoding="utf-8")
    (directory / "data.txt").write_text("data\n", encoding="utf-8")
    (directory / "__main__.py").write_text(source, encoding="utf-8")
    return evaluation.evaluate(project.load(directory, "dev"), lambda _severity, _message: None)


def document(directory: Path, name: str) -> dict[str, Any]:
    """The plan document of a program of `programs/`."""
    return plan.graph(planned(directory, (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")))
