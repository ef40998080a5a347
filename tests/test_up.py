"""What `make up` says when it cannot go on; that it works is tested end to end."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import up
from localcloud import emulator, processes
from localcloud.errors import LocalcloudError
from localcloud.steps import Steps


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    monkeypatch.setattr(up, "FILES", folder)
    monkeypatch.setattr(sys, "argv", ["up.py", *words])
    return up.main()


def test_a_table_that_does_not_exist_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(emulator, "start", lambda _: pytest.fail("the emulator was started"))
    assert run(monkeypatch, tmp_path, "up", "--data", "people.csv") == 1
    assert (
        "There is no file people.csv. Name a CSV of heights and weights: make up DATA=FILE" in capsys.readouterr().err
    )


def test_an_interrupt_ends_in_a_sentence_that_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Path) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(emulator, "start", interrupted)
    assert run(monkeypatch, tmp_path, "up") == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told_with_the_command_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: Any, **__: Any) -> Any:
        raise processes.PortInUseError("Port 8080 is in use by another process.")

    monkeypatch.setattr(processes, "start", taken)
    found = {"registry": "host/app", "service": {"cluster": "c", "name": "n"}}
    running: Any = SimpleNamespace()
    with Steps() as steps, pytest.raises(LocalcloudError, match="make up PORT=8090"):
        up._serve(steps, up.Place(running, found, "eu-west-1"), "0" * 16)


@pytest.mark.parametrize("script", ["up.py", "drift_demo.py"])
def test_ctrl_c_among_the_imports_shows_no_traceback(script: str, tmp_path: Path) -> None:
    first, second, rest = (up.ROOT / script).read_text().partition("no traceback is shown\n")
    assert second
    copied = tmp_path / script
    copied.write_text(f"{first}{second}print('begun', flush=True)\n{rest}")
    process = subprocess.Popen(
        [sys.executable, str(copied), "down"],
        env={**os.environ, "PYTHONPATH": str(up.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (-signal.SIGINT, "")
