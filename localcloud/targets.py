"""Which resources a command is about: --target, --exclude, --replace, as the Pulumi CLI takes them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from localcloud.errors import LocalcloudError
from localcloud.state import Resource


@dataclass(frozen=True)
class Selection:
    """What a user asked for. Each text is a URN or a glob: `*` is anything but a colon, `**` anything.

    targets: only these; excludes: all but these; replaces: these anew, changed or not; dependents: what depends on a
    target (or an excluded one) is meant as well.
    """

    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    dependents: bool = False

    @property
    def constrained(self) -> bool:
        """Whether some resources are left out."""
        return bool(self.targets or self.excludes)

    def check(self, known: Collection[str], texts: Iterable[str]) -> None:
        """Raises LocalcloudError for a URN, spelt out, that nothing has."""
        missing = [text for text in texts if "*" not in text and text not in known]
        if missing:
            raise LocalcloudError(
                f"No resource of the stack has the URN {missing[0]}. `python -m localcloud export` lists them; "
                "in a shell, a URN with `$` needs single quotes."
            )


EVERYTHING = Selection()


@lru_cache
def _pattern(glob: str) -> re.Pattern[str]:
    parts = ("[^:]*".join(re.escape(text) for text in part.split("*")) for part in glob.split("**"))
    return re.compile(".*".join(parts), re.DOTALL)


def matches(urn: str, texts: Sequence[str]) -> bool:
    """Whether one of the URNs or globs names the URN."""
    return any(urn == text or ("*" in text and _pattern(text).fullmatch(urn)) for text in texts)


class Chosen:
    """The resources that a run takes, found out one by one, each after what it depends on."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._named: set[str] = set()

    def takes(self, row: Resource) -> bool:
        """Whether the run may touch the resource. With `dependents`, remembers what it said of what the row needs."""
        asked = self.selection
        if not asked.constrained:
            return True
        named = matches(row.urn, asked.targets or asked.excludes)
        named = named or (asked.dependents and not row.needs.isdisjoint(self._named))
        if named:
            self._named.add(row.urn)
        return named if asked.targets else not named

    def replaces(self, urn: str) -> bool:
        """Whether the resource is to be made anew, changed or not."""
        return matches(urn, self.selection.replaces)


def to_delete(
    rows: Sequence[Resource], every: Sequence[Resource], selection: Selection, kept: Iterable[str] = ()
) -> list[Resource]:
    """Those of the rows that may be deleted. every: all rows of the state, which tell what depends on what; kept: URNs
    of what stays as it is, with all that it needs.

    A target goes with all that depends on it; where that is none of the targets and `dependents` was not asked for,
    LocalcloudError. What is excluded stays with all that it needs.
    """
    if not selection.constrained:
        return list(rows)
    named = {row.urn for row in every if matches(row.urn, selection.targets or selection.excludes)}
    staying = set(kept)
    chosen = list(rows)
    if selection.targets:
        going = closure(named, every)
        chosen = [row for row in rows if row.urn in going]
    else:
        staying |= closure(named, every) if selection.dependents else named
    needs = needed(staying, every)
    chosen = [row for row in chosen if row.delete or row.urn not in needs]
    others = [row.urn for row in chosen if selection.targets and row.urn not in named]
    if others and not selection.dependents:
        raise LocalcloudError(
            f"Nothing was deleted: {others[0]} would have to go as well, and is none of the targets. "
            "Name it, too, or pass --target-dependents."
        )
    return chosen


def needed(urns: set[str], rows: Sequence[Resource]) -> set[str]:
    """The URNs with those of all that they need."""
    needs: dict[str, set[str]] = {}
    for row in rows:
        needs.setdefault(row.urn, set()).update(row.needs)
    found, edge = set(urns), list(urns)
    while edge:
        more = needs.get(edge.pop(), set()) - found
        found |= more
        edge += more
    return found


def closure(urns: set[str], rows: Sequence[Resource]) -> set[str]:
    """The URNs with those of all that depends on them: by a property, an option, as a child or through a provider."""
    users: dict[str, list[str]] = {}
    for row in rows:
        for urn in row.needs:
            users.setdefault(urn, []).append(row.urn)
    found, edge = set(urns), list(urns)
    while edge:
        more = [urn for urn in users.get(edge.pop(), ()) if urn not in found]
        found |= set(more)
        edge += more
    return found


def refuse_missing(
    resource: Resource, where: str, skipped: Collection[str], passed_over: Collection[str], rows: Iterable[Resource]
) -> None:
    """Raises LocalcloudError for a target that needs what is none of the targets, and so is not there or stays.

    where: the resource, for messages. skipped: URNs left out that do not exist; passed_over: those that stay as they
    are. rows: the state.
    """
    missing = sorted(resource.needs & set(skipped))
    if missing:
        raise LocalcloudError(
            f"{where} needs {missing[0]}, which does not exist yet and is none of the targets. "
            "Name it as a target, too."
        )
    for urn in sorted(resource.needs & set(passed_over)):
        if resource.urn in needed({urn}, list(rows)):
            raise LocalcloudError(
                f"{where} needs {urn}, which depends on it in the state and is none of the targets. "
                "Name it as a target, too."
            )
