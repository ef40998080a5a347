"""A Logic App of a definition, run in memory: triggers, order of actions, loops, choices and their expressions.

What is not of the language here is refused, so that a definition cannot pass by being misread.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(\d+)|([A-Za-z]+)\(|(\?)?\[|([\]),]))")


class TerminatedError(Exception):
    """The definition ended the run itself."""


@dataclass
class Run:
    """One run. `call` answers each request: (method, URI with its queries) → body, or raises to fail it."""

    actions: Json
    call: Callable[[str, str], Any]
    now: Callable[[], str]
    bodies: Json = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    ended: str = ""
    trigger: Json = field(default_factory=dict)

    def go(self) -> str:
        """How the run ended: Succeeded or Failed."""
        try:
            self._all(self.actions)
        except (TerminatedError, RuntimeError) as error:
            self.ended = str(error)
            return "Failed"
        return "Succeeded"

    def _all(self, actions: Json) -> None:
        """Each action once those have succeeded that it runs after."""
        left = dict(actions)
        while left:
            ready = [
                name
                for name, action in left.items()
                if all(states == ["Succeeded"] for states in action["runAfter"].values())
                and not any(before in left for before in action["runAfter"])
            ]
            assert ready, f"nothing can run of {sorted(left)}"
            assert len(ready) == 1, f"{ready} would run at once"
            self._one(ready[0], left.pop(ready[0]))

    def _one(self, name: str, action: Json) -> None:
        self.done.append(name)
        kind, inputs = action["type"], action.get("inputs", {})
        if kind == "Http":
            queries = "&".join(f"{key}={value}" for key, value in inputs.get("queries", {}).items())
            uri = self.text(inputs["uri"]) + (f"?{queries}" if queries else "")
            self.bodies[name] = self.call(inputs["method"], uri)
        elif kind == "Compose":
            self.bodies[name] = self.value(inputs)
        elif kind == "Query":
            items = self.value(inputs["from"])
            self.bodies[name] = [item for item in items if self.value(inputs["where"], item)]
        elif kind == "Until":
            for _ in range(action["limit"]["count"]):
                self._all(action["actions"])
                if self.value(action["expression"]):
                    break
        elif kind == "If":
            self._all(action["actions"] if self.value(action["expression"]) else action["else"]["actions"])
        elif kind == "Terminate":
            assert inputs["runStatus"] == "Failed"
            raise TerminatedError(self.text(inputs["runError"]["message"]))
        else:
            assert kind == "Wait", f"{name} is a {kind}"

    def text(self, template: str) -> str:
        """A text with expressions in it."""
        return re.sub(r"@\{([^}]*)\}", lambda found: str(self.value("@" + found[1])), template)

    def value(self, expression: str, item: Any = None) -> Any:
        """The value of one expression."""
        assert expression.startswith("@"), expression
        value, rest = self._parse(expression[1:], item)
        assert not rest.strip(), f"{rest!r} is left of {expression!r}"
        return value

    def _parse(self, text: str, item: Any) -> tuple[Any, str]:
        found = TOKEN.match(text)
        assert found, f"cannot read {text!r}"
        rest = text[found.end() :]
        if found[1] is not None:
            return found[1].replace("''", "'"), rest
        if found[2] is not None:
            return int(found[2]), rest
        assert found[3], f"cannot read {text!r}"
        arguments: list[Any] = []
        while not rest.lstrip().startswith(")"):
            argument, rest = self._parse(rest.lstrip().removeprefix(","), item)
            arguments.append(argument)
        value, rest = self._function(found[3], arguments, item), rest.lstrip()[1:]
        while (index := re.match(r"(\?)?\['([^']*)'\]", rest)) is not None:
            if value is None and index[1]:
                rest = rest[index.end() :]
                continue
            value, rest = (value.get(index[2]) if index[1] else value[index[2]]), rest[index.end() :]
        return value, rest

    def _function(self, name: str, arguments: list[Any], item: Any) -> Any:
        functions: dict[str, Callable[..., Any]] = {
            "body": lambda action: self.bodies[action],
            "outputs": lambda action: self.bodies[action],
            "triggerOutputs": lambda: self.trigger,
            "item": lambda: item,
            "utcNow": self.now,
            "formatDateTime": lambda text, form: {"s": text[:19]}[form],
            "coalesce": lambda *values: next((value for value in values if value is not None), None),
            "contains": lambda values, value: value in values,
            "createArray": lambda *values: list(values),
            "equals": lambda one, other: one == other,
            "first": lambda values: values[0] if values else None,
            "greater": lambda one, other: one > other,
            "greaterOrEquals": lambda one, other: one >= other,
            "int": int,
        }
        return functions[name](*arguments)
