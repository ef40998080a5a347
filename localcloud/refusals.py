"""What a program may ask for and localcloud does not do, as data: `localcloud/README.md` shows it as `table` writes it.

Most of it matters to `up` alone: a plan replaces and migrates nothing, and asks no plugin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from localcloud.errors import UnsupportedError


class Refusal(NamedTuple):
    """One thing refused. name: the field or call of the SDK's protocol; planned: what a plan makes of it, "" for
    nothing, so that a plan refuses it too; instead: what to do."""

    name: str
    what: str
    planned: str
    instead: str


FIELDS = (
    Refusal(
        "packageRef",
        "parameterized packages",
        "planned as its SDK says",
        "`python -m localcloud plan` takes the program",
    ),
    Refusal(
        "remote",
        "remote components (multi-language packages)",
        "outputs made up, nothing of what is inside",
        "declare what the component makes, or write it in Python",
    ),
    Refusal(
        "envVarMappings",
        "env_var_mappings",
        "no effect",
        "set the variables that the provider reads before the command",
    ),
    Refusal(
        "state_migrations",
        "state migrations",
        "no effect",
        "rename by `aliases`; else `export`, edit, `import`",
    ),
)
CALLS = (
    Refusal("Call", "methods of remote components", "outputs made up", "`python -m localcloud plan` takes the program"),
    Refusal("RegisterPackage", "parameterized packages", "planned as its SDK says", FIELDS[0].instead),
    Refusal("ExistsResource", "the test whether a resource exists", "", "`Type.get(...)` reads one that does"),
)


def refuse(where: str, request: Any, *, planning: bool) -> None:
    """Raises UnsupportedError for a registration that carries what localcloud does not know how to honour.

    where: the resource, for the message.
    """
    found = [row for row in FIELDS if getattr(request, row.name) and not (planning and row.planned)]
    if found:
        what = " and ".join(row.what for row in found)
        raise UnsupportedError(
            f"{where} uses {what}, which localcloud does not support; the Pulumi CLI does. "
            f"What to do here: {'; '.join(row.instead for row in found)}."
        )


def refuse_call(name: str, what: str = "", *, planning: bool) -> None:
    """Raises UnsupportedError for a call of CALLS, unless a plan answers it. what: the function asked for."""
    row = next(row for row in CALLS if row.name == name)
    if not (planning and row.planned):
        raise UnsupportedError(
            f"{what + ': ' if what else ''}localcloud does not support {row.what}; the Pulumi CLI does. "
            f"What to do here: {row.instead}."
        )


def table() -> Iterator[str]:
    """The section "Programs" of the README, line by line."""
    yield "| of a program | `plan` | `up`, `preview` | what to do |"
    yield "|---|---|---|---|"
    for row in {row.what: row for row in (*FIELDS, *CALLS)}.values():
        yield f"| {row.what} | {row.planned or 'refused'} | refused | {row.instead} |"
