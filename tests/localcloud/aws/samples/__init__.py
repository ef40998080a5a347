"""Samples of resources, as data: one module per family, with `SAMPLES: dict[name, Sample]`.

Every test of test_life.py runs on every sample that it concerns, so a new kind is tested by its rows here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.kind import Properties


@dataclass(frozen=True)
class Ref:
    """In a sample's inputs: an output of another sample's resource (or its id), which is made first."""

    sample: str
    output: str = "id"


# changes a resource with boto3, behind the provider's back: (account, id, the resource's outputs)
Behind = Callable[[Account, str, Properties], Any]
# what the emulator says of a property that it loses: (account, id) → the value as far as it is reported
Probe = Callable[[Account, str], Any]


@dataclass(frozen=True)
class Sample:
    """One resource to try.

    inputs: what is declared; `Ref` where it needs another resource.
    changes: input → another value, for each input that is changed in place; None leaves it out.
    behind: read-back input → a change of it behind our back.
    lost: kept input (by path, as in Kind.kept) → (a value for the top-level input, what the emulator says of it; the
        test fails once that equals the value's own text, so that the list of kept inputs shrinks with the emulator).
    steers: kept inputs that steer calls of ours and that no cloud reports: nothing to prove.
    leaves: what stays readable after the deletion, as there is nothing to delete or AWS only switches it off.
    absent: computed outputs that the SDK declares and this resource does not have.
    lacking: of a recorded kind, the call that would make the resource, which the emulator does not know: (account, id).
    """

    token: str
    inputs: Properties
    changes: Properties = field(default_factory=dict)
    behind: Mapping[str, Behind] = field(default_factory=dict)
    lost: Mapping[str, tuple[Any, Probe]] = field(default_factory=dict)
    steers: frozenset[str] = frozenset()
    leaves: str = ""
    absent: frozenset[str] = frozenset()
    lacking: Probe | None = None


def all_samples() -> dict[str, Sample]:
    """The samples of every family, by name."""
    found: dict[str, Sample] = {}
    for module in iter_modules(__path__):
        for name, sample in import_module(f"{__name__}.{module.name}").SAMPLES.items():
            if name in found:
                raise ValueError(f"two samples are called {name}")
            found[name] = sample
    return found
