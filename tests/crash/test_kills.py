"""A seeded dozen of kills over the full local stack; `make crash-matrix` kills at every boundary."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.runs import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash")]


def test_a_dozen_kills_at_step_boundaries_leave_what_the_next_run_completes(tmp_path: Path) -> None:
    """In a process of its own: Moto reads its settings when it is imported, and the program's modules stay."""
    command = [sys.executable, "-m", "tests.crash.dozen", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
