# ruff: noqa: A002 - `id` is Pulumi's word for what it means here
"""The engine's view of AWS: check, diff, create, read, update, delete, adoption and invokes, for every kind alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from localcloud.aws import KINDS
from localcloud.aws.account import Account
from localcloud.aws.calls import ProviderError, is_change, left_nothing
from localcloud.aws.invokes import INVOKES
from localcloud.aws.kind import MARK, Kind, Properties, Tags
from localcloud.aws.meaning import explicit, is_empty, same
from localcloud.errors import UnsupportedError
from localcloud.values import has_unknown


class CheckError(ProviderError):
    """Inputs that localcloud cannot honour; `reasons` has a sentence for each."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True)
class Diff:
    """Which top-level inputs differ in meaning, and which of them need a new resource."""

    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    delete_before_replace: bool = False


def mark(urn: str) -> str:
    """The value of the tag by which a resource is found again: no URN is short enough for every cloud's tags."""
    return hashlib.sha256(urn.encode()).hexdigest()[:32]


class Provider:
    """One `pulumi:providers:aws`. Ids, inputs and outputs have the real provider's form and Pulumi's names.

    config: the provider's inputs; values may be JSON texts. An endpoint that is not loopback raises
    EndpointRefusedError. Every method that calls the cloud raises ProviderError with what the cloud said.
    """

    def __init__(self, config: Properties) -> None:
        self.account = Account(config)

    def supports(self, token: str) -> bool:
        """Whether the resource type is known."""
        return token in KINDS

    def check(self, token: str, urn: str, inputs: Properties, old_inputs: Properties | None = None) -> Properties:
        """The inputs with defaults, default tags and name filled in; CheckError for what is neither read back nor kept.

        A made name is the resource's own and 7 hex digits of its URN's hash; one that state holds already is left.
        """
        kind = _kind(token)
        unknown = sorted(name for name in inputs if name not in known_inputs(kind))
        if unknown:
            raise CheckError([REFUSED_INPUT.format(token=token, name=_name_of(urn), input=name) for name in unknown])
        checked = {**kind.defaults, **inputs}
        if "tags" in known_inputs(kind) and self.account.default_tags and isinstance(checked.get("tags", {}), dict):
            checked["tags"] = {**self.account.default_tags, **checked.get("tags", {})}
        if kind.name_input and kind.name_input not in checked:
            checked[kind.name_input] = _made_name(kind, urn, checked, old_inputs or {})
        return checked

    def diff(self, token: str, old_inputs: Properties, new_inputs: Properties) -> Diff:
        """What differs in meaning between two checked sets of inputs; a value that is not known yet differs.

        `delete_before_replace` is told also where nothing here replaces: options and users can ask for a replacement.
        """
        kind = _kind(token)
        old, new = {**kind.defaults, **old_inputs}, {**kind.defaults, **new_inputs}
        names = tuple(
            name
            for name in sorted({**old, **new})
            if has_unknown(new.get(name)) or not _same(kind, name, old.get(name), new.get(name))
        )
        replaces = tuple(name for name in names if kind.update is None or name in _replacing(kind))
        same_name = kind.name_input is not None and kind.name_input not in names
        return Diff(names, replaces, kind.delete_before_replace or same_name)

    def create(self, token: str, urn: str, inputs: Properties) -> str:
        """Makes the resource of some checked, plain inputs and returns its id.

        A ProviderError says with `nothing_happened` whether not a single call of the creation changed anything.
        """
        kind = _kind(token)
        declared = inputs.get("tags", {})  # those of Auto Scaling are a list with a say on what inherits them
        tags = {**(declared if isinstance(declared, dict) else {}), **({MARK: mark(urn)} if kind.tagged else {})}
        before = self.account.sent.changes
        try:
            with _sentences(token, _name_of(urn)):
                return kind.create(self._account(kind, inputs), inputs, tags)
        except ProviderError as error:
            # `nothing_happened` as raised is about the last call alone
            error.nothing_happened = self.account.sent.changes - before == int(error.nothing_happened)
            raise

    def read(self, token: str, id: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        """The resource as it is now, as (inputs, outputs), or None if it is gone.

        Inputs are the given ones, each read-back property replaced by the live value where that means something else;
        a live value that was not declared joins them unless it is the default or the cloud's own choice. Without
        inputs, as in an import, all that the cloud reports joins them.
        """
        kind = _kind(token)
        account = self._account(kind, inputs)
        with _sentences(token, id):
            live = kind.read(account, id, inputs)
        if live is None:
            return None
        if isinstance(live.get("tags"), dict):
            live["tags"] = {name: text for name, text in live["tags"].items() if name != MARK}
        seen = dict(inputs)
        for name in kind.read_back:
            expected = inputs.get(name, kind.defaults.get(name))
            chosen_by_cloud = bool(inputs) and name in kind.computed and is_empty(expected)
            if chosen_by_cloud or _same(kind, name, expected, live.get(name), kind.kept):
                continue
            seen.pop(name, None)
            if live.get(name) is not None:
                seen[name] = live[name]
        outputs = {**live, **seen}
        if isinstance(live.get("tags"), dict):
            outputs["tagsAll"] = live["tags"]
        if kind.regional:
            outputs["region"] = account.region
        return seen, outputs

    def update(self, token: str, id: str, old_inputs: Properties, new_inputs: Properties) -> None:
        """Changes the resource in place from the old inputs to the new ones."""
        kind = _kind(token)
        if kind.update is None:
            raise ProviderError(f"{token} {id}: this type is never changed in place, only replaced.")
        with _sentences(token, id):
            kind.update(self._account(kind, new_inputs), id, old_inputs, new_inputs)

    def delete(self, token: str, id: str, inputs: Properties) -> None:
        """Deletes the resource; inputs are its own last ones. One that is gone already is no error."""
        kind = _kind(token)
        with _sentences(token, id):
            kind.delete(self._account(kind, inputs), id, inputs)

    def find(self, token: str, urn: str, inputs: Properties, known: frozenset[str]) -> str | None:
        """The id of what a killed creation left, by the mark in its tags or its natural key; never one in `known`."""
        kind = _kind(token)
        account = self._account(kind, inputs)
        with _sentences(token, _name_of(urn)):
            if kind.tagged and kind.list:
                ids = [each for each, tags in kind.list(account) if tags.get(MARK) == mark(urn)]
            else:
                ids = [each for each in [kind.find(account, inputs) if kind.find else None] if each]
        return next((each for each in ids if each not in known), None)

    def inventory(self) -> list[tuple[str, str]]:
        """(token, id) of everything in the account and its region whose kind can be listed, sorted."""
        found = []
        for token, kind in KINDS.items():
            if kind.list:
                with _sentences(token, "(list)"):
                    found += [(token, each) for each, _ in kind.list(self.account)]
        return sorted(found)

    def invoke(self, token: str, args: Properties) -> Properties:
        """The answer of one of the SDK's functions; UnsupportedError names one that is not known."""
        if token not in INVOKES:
            raise UnsupportedError(f"{token}: localcloud does not know this function; it knows {', '.join(INVOKES)}.")
        with _sentences(token, "(invoke)"):
            return INVOKES[token](self.account, args)

    def _account(self, kind: Kind, inputs: Properties) -> Account:
        """The account, seen from the region that the resource asks for. Clients are shared."""
        region = inputs.get("region") if kind.regional else None
        if not region or region == self.account.region:
            return self.account
        view = copy(self.account)
        view.region = region
        return view


REFUSED_INPUT = (
    "{token} {name}: localcloud cannot honour the input `{input}`: it neither reads it back nor knows that the "
    "emulator loses it. Leave it out, or run this stack with the Pulumi CLI."
)


def _kind(token: str) -> Kind:
    if token not in KINDS:
        raise UnsupportedError(f"{token}: localcloud does not know this AWS resource type.")
    return KINDS[token]


def _same(kind: Kind, name: str, one: Any, other: Any, ignored: Collection[str] = ()) -> bool:
    if name in kind.explicit:
        one, other = explicit(one), explicit(other)
    return same(one, other, name, kind.unordered, ignored)


def known_inputs(kind: Kind) -> frozenset[str]:
    """The inputs that a kind can honour, or knows to be lost: those that `check` lets pass."""
    known = kind.read_back | frozenset(name.split(".")[0] for name in kind.kept)
    if kind.name_input:
        known |= {_prefix_input(kind)}
    return known | ({"region"} if kind.regional else set())


def _replacing(kind: Kind) -> frozenset[str]:
    return kind.replaces | {"region"} | ({kind.name_input, _prefix_input(kind)} if kind.name_input else set())


def _prefix_input(kind: Kind) -> str:
    return f"{kind.name_input}Prefix"


def _name_of(urn: str) -> str:
    return urn.rpartition("::")[2]


def _made_name(kind: Kind, urn: str, inputs: Properties, old_inputs: Properties) -> Any:
    prefix = inputs.get(_prefix_input(kind))
    if prefix is None:
        prefix = kind.auto_name(_name_of(urn) + "-")
    old = old_inputs.get(kind.name_input or "")
    if isinstance(old, str) and re.fullmatch(re.escape(prefix) + "[0-9a-f]{7}", old):
        return old  # made by the real provider, whose digits are chance
    return prefix + mark(urn)[:7]


@contextmanager
def _sentences(token: str, name: str) -> Iterator[None]:
    """Turns what boto3 raises into a sentence that names the resource; `nothing_happened` is about that call alone."""
    nothing_happened = False
    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        text = f"{error.operation_name} was refused: {said.get('Message')} ({said.get('Code')})."
        nothing_happened = is_change(error.operation_name) and left_nothing(error)
    except (BotoCoreError, ResponseParserError) as error:
        text = " ".join(str(error).split())
    except ProviderError as error:
        text = str(error)
    else:
        return
    raised = ProviderError(f"{token} {name}: {text}")
    raised.nothing_happened = nothing_happened
    raise raised


__all__ = ["CheckError", "Diff", "Provider", "ProviderError", "Tags", "mark"]
