"""The command that plans programs of others and writes docs/programs.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "good": 'import pulumi\npulumi.export("x", pulumi.Config().require("name"))\n'
    'import pulumi_random\npulumi_random.RandomPet("pet")\n',
    "broken": 'import pulumi\nraise ValueError("by its own fault")\n',
    "elsewhere": "import pulumi_nowhere\n",
    "older": "import pulumi_random\npulumi_random.NoSuchResource\n",
}


@pytest.mark.slow
def test_the_page_tells_what_passed_what_failed_and_why_and_the_programs_stay_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    for name, text in PROGRAMS.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "Pulumi.yaml").write_text("name: ${PROJECT}\nruntime: python\n", encoding="utf-8")
        (folder / name / "__main__.py").write_text(text, encoding="utf-8")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    page = tmp_path / "programs.md"

    command = [sys.executable, str(TOP / ".ci" / "programs"), str(folder), "--page", str(page)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)

    text = page.read_text(encoding="utf-8")
    assert "**1 of 3 tried programs pass.**" in text
    assert "| theirs/good | 1 |" in text
    assert "example" not in text.split("## Pass")[1].split("##")[0]  # the names of settings, not what they were given
    assert "by its own fault (__main__.py:2)" in text
    assert "| theirs/elsewhere | not installed: pulumi_nowhere |" in text
    assert "has no attribute 'NoSuchResource'" in text.split("## Written for other versions")[1]
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_a_folder_without_programs_is_said_to_be_one(tmp_path: Path) -> None:
    command = [sys.executable, str(TOP / ".ci" / "programs"), str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "no Pulumi Python program" in done.stderr
