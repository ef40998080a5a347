"""What localcloud knows of one AWS resource type: a row of functions over boto3 and the marks of its properties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.aws.account import Account

Properties = dict[str, Any]
Tags = dict[str, str]

# the tag that a resource's creation writes, so that a killed one is found again; hidden from everything read
MARK = "localcloud:urn"


@dataclass(frozen=True)
class Kind:
    """One resource type.

    Properties have Pulumi's wire names (camelCase), as in the SDK's `pulumi_type`; ids have the real provider's form,
    so that `pulumi import` and a state that is moved to the real CLI agree.

    create: makes the resource from its inputs and the tags to write (the declared ones, the provider's default
        tags and, if `tagged`, the mark by which a killed creation is found again) and returns its id. Tags
        go in the very call that creates. Further calls that complete it belong here too.
    read: every property as the cloud reports it now, inputs and computed outputs alike, or None if it is gone.
        Gets the id and the last known inputs. Reports all tags under "tags"; leaves out what is absent.
    update: brings the resource from the old inputs to the new ones in place; None where every change replaces.
        Must be able to finish a creation that was killed half-way (called with `old` = what `read` reports).
    delete: deletes; a resource that is gone already is no error.
    list: (id, tags) of every resource of the kind in the account, for inventories and adoption; None for what is
        an attribute of another resource (a bucket's policy) or cannot be listed.
    find: the id that the resource has if it exists, where a natural key gives it (a bucket's name); None
        where only the mark in the tags can tell.
    read_back: inputs that `read` reports; a change behind our back is drift.
    computed: inputs read back that the cloud chooses when they are left out: compared only where they are declared.
    kept: inputs that the emulator loses or does not report, name → what is lost; they are taken from the last inputs.
        A part of a property is named by its path without indexes (`rules.filter.objectSizeGreaterThan`).
        Any input that is neither read back nor kept is refused by name.
    replaces: inputs whose change needs a new resource.
    unordered: lists, by path as in `kept`, whose order means nothing.
    explicit: properties in which an empty block says something by being there (`{"allow": {}}`).
    defaults: inputs that the provider fills in when they are left out.
    name_input: the input that gets a name made from the resource's own when it is left out.
    auto_name: that name's form, where the cloud wants one (lower case, a prefix).
    regional: whether the resource lives in a region, and so takes the input `region`.
    recorded: why the emulator has nothing of the resource, which then is in the state alone (recorded.py); else "".
    """

    token: str
    create: Callable[[Account, Properties, Tags], str]
    read: Callable[[Account, str, Properties], Properties | None]
    delete: Callable[[Account, str, Properties], None]
    update: Callable[[Account, str, Properties, Properties], None] | None = None
    list: Callable[[Account], Iterable[tuple[str, Tags]]] | None = None
    find: Callable[[Account, Properties], str | None] | None = None
    read_back: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()
    kept: Mapping[str, str] = field(default_factory=dict)
    replaces: frozenset[str] = frozenset()
    unordered: frozenset[str] = frozenset()
    explicit: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    name_input: str | None = None
    auto_name: Callable[[str], str] = str
    regional: bool = True
    tagged: bool = False
    delete_before_replace: bool = False
    recorded: str = ""
