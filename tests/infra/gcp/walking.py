"""Walks a definition of Cloud Workflows as the service would, with its calls made by the caller.

It knows the steps and the functions of the language that our definition uses, and refuses every other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

EXECUTION = "0123456789-execution"
FUNCTIONS = {
    "default": lambda value, otherwise: otherwise if value is None else value,
    "map": SimpleNamespace(
        get=lambda found, keys: _at(found, keys if isinstance(keys, list) else [keys]),
        merge=lambda first, second: {**first, **second},
    ),
    "sys": SimpleNamespace(get_env=lambda name: {"GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID": EXECUTION}[name]),
}


class CallError(Exception):
    """A call failed."""


@dataclass
class Walk:
    """The steps that were entered, in order, and how it ended: None, or the error."""

    steps: list[str] = field(default_factory=list)
    error: str | None = None


def walk(definition: Mapping[str, Any], call: Callable[[str, Mapping[str, Any]], Any]) -> Walk:
    """Start to end. `call` gets each call's name and arguments, and raises CallError if it failed."""
    done = Walk()
    known: dict[str, Any] = {"event": {}}
    main = definition["main"]
    assert main["params"] == ["event"]
    for row in main["steps"]:
        ((name, step),) = row.items()
        done.steps.append(name)
        try:
            _do(step, known, call)
        except CallError as error:
            done.error = str(error)
            return done
    return done


def _do(step: Mapping[str, Any], known: dict[str, Any], call: Callable[[str, Mapping[str, Any]], Any]) -> None:
    assert set(step) <= {"call", "args", "result", "switch", "assign"}, step
    if "call" in step:
        answer = call(step["call"], {key: _value(value, known) for key, value in step["args"].items()})
        if "result" in step:
            known[step["result"]] = answer
    for case in step.get("switch", []):
        if _value(case["condition"], known):
            raise CallError(case["raise"])
    for row in step.get("assign", []):
        ((target, value),) = row.items()
        *path, last = target.split(".")
        place = known
        for key in path:
            place = place[key]
        place[last] = _value(value, known)


def _value(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _value(inner, known) for key, inner in value.items()}
    if isinstance(value, str) and value.startswith("${"):
        assert value.endswith("}"), value
        return eval(value[2:-1], {"__builtins__": {}}, {**FUNCTIONS, **known})  # our own text, in a subset of Python
    return value


def _at(found: Any, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found
