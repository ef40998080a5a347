"""What the engine tells of while it works."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.state import Resource
from localcloud.values import Properties


@dataclass(frozen=True)
class Event:
    """Something that a user may want to see.

    kind: start, done or failed (of a step), gone or drift (seen by a refresh), adopt (a killed creation was found),
    noted (a component, a provider or a read resource, which no provider's call changes).
    step: same, create, update, replace, delete, read. changed: properties; replaces: those that force a replacement.
    before, after: the resource as the state has it and as it is to be; of a deletion both are the state's; of a
    refresh, as the state has it and as the cloud has it.
    """

    kind: str
    step: str
    urn: str
    type: str
    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    before: Resource | None = None
    after: Resource | None = None
    seconds: float = 0.0
    message: str = ""

    @property
    def name(self) -> str:
        """The last part of the URN."""
        return self.urn.rsplit("::", 1)[1]

    @property
    def old(self) -> Properties:
        """The inputs before; empty where there were none."""
        return self.before.inputs if self.before else {}

    @property
    def new(self) -> Properties:
        """The inputs after."""
        return self.after.inputs if self.after else {}
