"""The list of steps: plain lines without a terminal, a live table in one."""

from __future__ import annotations

import io
import re
import threading
import time

import pytest
from rich.console import Console

from localcloud import steps
from localcloud.steps import Steps


def plain() -> tuple[Steps, io.StringIO]:
    file = io.StringIO()
    return Steps(Console(file=file, force_terminal=False, width=60)), file


def test_without_a_terminal_each_step_is_one_plain_line_when_it_ends() -> None:
    shown, file = plain()
    with shown:
        with shown.step("Emulator") as step:
            step.say("starting")
            assert file.getvalue() == ""
            step.say("https://127.0.0.1:1")
        with shown.step("Model"):
            pass
    lines = file.getvalue().splitlines()
    assert re.fullmatch(r"✓ Emulator +\d+\.\d s   https://127\.0\.0\.1:1", lines[0])
    assert re.fullmatch(r"✓ Model +\d+\.\d s *", lines[1])
    assert len(lines) == 2
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_a_step_that_fails_is_marked_and_its_error_goes_on(error: BaseException) -> None:
    shown, file = plain()
    with pytest.raises(type(error)), shown, shown.step("Service") as step:  # noqa: PT012 - the error passes through
        step.say("waiting")
        raise error
    assert re.fullmatch(r"✗ Service +\d+\.\d s   waiting\n", file.getvalue())


def test_a_long_line_is_not_broken_and_markup_is_no_markup() -> None:
    shown, file = plain()
    said = "[red]" + "x" * 200
    with shown, shown.step("Model") as step:
        step.say(said)
    assert file.getvalue().rstrip("\n").endswith(said)


def test_without_a_terminal_a_long_step_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "QUIET_SECONDS", 0.05)
    shown, file = plain()
    with shown:
        with shown.step("Brief"):
            pass
        with shown.step("Model") as step:
            step.say("training")
            deadline = time.monotonic() + 5
            while "…" not in file.getvalue() and time.monotonic() < deadline:
                time.sleep(0.01)
    assert re.search(r"^… Model +\d\.\d s   training$", file.getvalue(), re.MULTILINE)
    assert "… Brief" not in file.getvalue()


def test_nothing_is_said_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "QUIET_SECONDS", 0.01)
    before = threading.active_count()
    shown, file = plain()
    with pytest.raises(RuntimeError), shown, shown.step("Model"):
        raise RuntimeError
    said = file.getvalue()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
    assert file.getvalue() == said


def test_in_a_terminal_the_list_is_redrawn_and_ends_with_the_marks() -> None:
    file = io.StringIO()
    shown = Steps(Console(file=file, force_terminal=True, width=80, highlight=False))
    with pytest.raises(RuntimeError), shown:  # noqa: PT012 - the error passes through
        with shown.step("Emulator") as step:
            step.say("was running")
        with shown.step("Model") as step:
            step.say("training")
            raise RuntimeError
    assert "\x1b" in file.getvalue()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    assert "✗" in text.splitlines()[-1]
    assert "✓" in text.splitlines()[-2]


def test_in_a_narrow_terminal_only_what_a_step_says_is_cut() -> None:
    file = io.StringIO()
    shown = Steps(Console(file=file, force_terminal=True, width=60, color_system=None))
    with shown, shown.step("Infrastructure") as step:
        step.say("x" * 200)
    last = [line for line in file.getvalue().splitlines() if "Infrastructure" in line][-1]
    assert re.search(r"✓  Infrastructure +\d+\.\d s  x{20,}…", last)
