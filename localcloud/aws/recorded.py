"""Kinds of which the emulator has nothing: declared, checked and ordered as on AWS, and kept in the state alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.kind import Kind, Properties, Tags

Id = Callable[[Account, Properties], str]
Outputs = Callable[[Account, str, Properties], Properties]


def recorded(
    token: str,
    why: str,
    *,
    id_: Id,
    inputs: Iterable[str],
    owner: Callable[[Account, Properties], Any],
    outputs: Outputs = lambda _, __, ___: {},
    replaces: Iterable[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Kind:
    """A kind whose resources the emulator cannot hold.

    why: what the emulator lacks. id_, outputs: as the real provider would tell them, made from the inputs. owner: what
    the resource belongs to, if that exists; with its owner the resource is gone too, and nothing else is ever drift.
    """

    def create(account: Account, given: Properties, _: Tags) -> str:
        return id_(account, given)

    def read(account: Account, id__: str, given: Properties) -> Properties | None:
        if not given or not owner(account, given):
            return None
        return {**given, **outputs(account, id__, given)}

    return Kind(
        token,
        create=create,
        read=read,
        update=lambda _, __, ___, ____: None,
        delete=lambda _, __, ___: None,
        kept=dict.fromkeys(inputs, why),
        replaces=frozenset(replaces),
        defaults=defaults or {},
        delete_before_replace=True,
        recorded=why,
    )
