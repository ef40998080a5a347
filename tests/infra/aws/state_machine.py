"""Walks a state machine in Amazon States Language as Step Functions would, with its tasks done by the caller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 100  # states; more is a machine that never ends


class TaskError(Exception):
    """A task failed; the message is the name of the error, as States Language has it."""


@dataclass
class Walk:
    """The states that were entered, in order, and how it ended: None, or the error's name."""

    states: list[str] = field(default_factory=list)
    error: str | None = None


def walk(definition: Mapping[str, Any], do: Callable[[str, Mapping[str, Any]], None]) -> Walk:
    """Start to end. `do` gets each task's resource and parameters, and raises TaskError if it failed."""
    done, name = Walk(), definition["StartAt"]
    data: dict[str, str] = {}
    for _ in range(MOST):
        state = definition["States"][name]
        done.states.append(name)
        if state["Type"] == "Fail":
            done.error = data[state["ErrorPath"].removeprefix("$.")]
            return done
        assert state["Type"] == "Task", state
        try:
            _attempt(state, do)
        except TaskError as error:
            caught = next((row for row in state.get("Catch", []) if _matches(row, error)), None)
            if caught is None:
                done.error = str(error)
                return done
            data, name = {"Error": str(error), "Cause": ""}, caught["Next"]
            continue
        if state.get("End"):
            return done
        name = state["Next"]
    raise AssertionError(f"It did not end: {done.states}")


def _attempt(state: Mapping[str, Any], do: Callable[[str, Mapping[str, Any]], None]) -> None:
    """The task, again as often as its retriers allow (without the waiting)."""
    used = [0] * len(state.get("Retry", []))
    while True:
        try:
            return do(state["Resource"], state["Parameters"])
        except TaskError as error:
            again = next((n for n, row in enumerate(state.get("Retry", [])) if _matches(row, error)), None)
            if again is None or used[again] == state["Retry"][again].get("MaxAttempts", 3):
                raise
            used[again] += 1


def _matches(row: Mapping[str, Any], error: TaskError) -> bool:
    return str(error) in row["ErrorEquals"] or "States.ALL" in row["ErrorEquals"]
