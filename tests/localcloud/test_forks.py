"""Plans of several stacks in forks are what they are alone, and share nothing of the program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localcloud import forks
from tests.localcloud.clouds import PRELUDE

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys, helper
helper.SEEN.append(pulumi.get_stack())
if pulumi.get_stack() == 'bad':
    raise ValueError('no such place')
print('said to nobody')
import pulumi_random
pulumi.export('password', pulumi_random.RandomPet('pet').id)
pulumi.export('seen', helper.SEEN)
pulumi.export('loaded', sorted(name for name in sys.modules if name == 'helper'))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux alone")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
    for stack in ("one", "two", "three", "bad"):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    (tmp_path / "helper.py").write_text("SEEN = []\n")
    (tmp_path / "__main__.py").write_text(PRELUDE + PROGRAM)
    return tmp_path


def plan(program: Path, *stacks: str) -> subprocess.CompletedProcess[str]:
    words = [word for stack in stacks for word in ("-s", stack)]
    command = [sys.executable, "-m", "localcloud", "plan", "-C", str(program), *words, "--json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_plan_beside_others_is_the_one_it_is_alone(program: Path) -> None:
    together: list[Any] = json.loads(plan(program, "one", "two", "three").stdout)
    assert [document["outputs"]["seen"] for document in together] == [["one"], ["two"], ["three"]]
    assert together[1] == json.loads(plan(program, "two").stdout)


def test_a_stack_that_fails_is_named_and_the_others_do_not_hide_it(program: Path) -> None:
    for stacks in (("bad", "one"), ("one", "bad")):
        done = plan(program, *stacks)
        assert done.returncode == 1
        assert "no such place" in done.stderr
        assert "No plan of bad: see above." in done.stderr
        assert done.stdout == ""


def test_only_modules_of_sdks_whose_inside_is_imported_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bytes] = []
    monkeypatch.setattr("os.write", lambda _pipe, data: told.append(data))
    teller = forks._Teller(0)
    for name in ("helper", "pulumi_x", "pulumi_x.a", "pulumi_x.b", "pulumi_x.b.c", "pulumi_x.b.d", "os.path"):
        teller.find_spec(name)
    assert told == [b"pulumi_x\n", b"pulumi_x.b\n"]
