"""A list of steps that shows each one as it happens: live in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

QUIET_SECONDS = 10.0  # without a terminal, a step that goes on says so this often
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
MARKS = {"done": ("✓", "green"), "failed": ("✗", "red")}


@dataclass
class Step:
    """One step: its title, what it is at, and how it ended. `say` may be called from any thread."""

    title: str
    detail: str = ""
    state: str = "running"
    begun: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def say(self, detail: str) -> None:
        """What the step is at, in a few words; the last one said stays."""
        self.detail = detail

    @property
    def elapsed(self) -> float:
        """Seconds that the step took, so far or in all."""
        return self.seconds or time.monotonic() - self.begun


class Steps:
    """Shows steps on standard error. Use as a context; each `step` is one too."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._steps: list[Step] = []
        self._live: Live | None = None
        self._ended = threading.Event()

    def __enter__(self) -> Steps:
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._table, console=self.console, refresh_per_second=10)
            self._live.__enter__()
        else:
            threading.Thread(target=self._murmur, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        if self._live is not None:
            self._live.__exit__(None, None, None)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """One step of the list; an exception marks it as failed and goes on."""
        step = Step(title)
        self._steps.append(step)
        try:
            yield step
            step.state = "done"
        except BaseException:
            step.state = "failed"
            raise
        finally:
            step.seconds = max(time.monotonic() - step.begun, 0.001)
            if self._live is None:
                self._print(step)

    def _print(self, step: Step) -> None:
        mark = MARKS.get(step.state, ("…", ""))[0]
        self.console.print(Text(f"{mark} {step.title:16}{step.elapsed:6.1f} s   {step.detail}"), soft_wrap=True)

    def _murmur(self) -> None:
        while not self._ended.wait(QUIET_SECONDS):
            for step in self._steps:
                if step.state == "running" and step.elapsed >= QUIET_SECONDS:
                    self._print(step)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(width=1)
        table.add_column(width=14, no_wrap=True)
        table.add_column(width=7, justify="right", no_wrap=True)
        table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)  # what does not fit is cut here, and only here
        for step in self._steps:
            frame = FRAMES[int(time.monotonic() * 10) % len(FRAMES)]
            mark, style = MARKS.get(step.state, (frame, "cyan"))
            detail = Text(step.detail, style="" if step.state == "done" else style)
            table.add_row(Text(mark, style=style), step.title, f"{step.elapsed:.1f} s", detail)
        return table
