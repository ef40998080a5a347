"""Turns between what AWS answers and Pulumi's properties that the families of networks and services need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from localcloud.aws.kind import Properties
from localcloud.aws.meaning import same

T = TypeVar("T")


def code(error: ClientError) -> str:
    """The error's code, as `InvalidVpcID.NotFound`."""
    return str(error.response["Error"]["Code"])


def unless_gone(call: Callable[[], T], *codes: str) -> T | None:
    """What the call returns, or None where the cloud says that the thing does not exist.

    Codes with NotFound in them say so; `codes` are further ones.
    """
    try:
        return call()
    except ClientError as error:
        if "NotFound" in code(error) or code(error) in codes:
            return None
        raise


def present(**values: Any) -> Properties:
    """The values that there are: None is left out."""
    return {name: value for name, value in values.items() if value is not None}


def fit(live: Properties | None, declared: Any, quiet: Mapping[str, Any] | None = None) -> Properties | None:
    """A live block without the parts that the declared one leaves to the cloud; None where nothing is left.

    A part that is not declared stays only if `quiet` names its default and the live value is another one: then somebody
    changed it.
    """
    if live is None:
        return None
    asked = declared if isinstance(declared, dict) else {}
    defaults = quiet or {}
    left = {
        name: value
        for name, value in live.items()
        if name in asked or (name in defaults and not same(value, defaults[name]))
    }
    return left or None
