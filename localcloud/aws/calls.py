"""What the families of kinds share: answers that mean "gone", the two forms of tags, the two cases of names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.kind import Properties, Tags
from localcloud.errors import LocalcloudError


class ProviderError(LocalcloudError):
    """What a cloud refused, or what it would refuse, in a sentence.

    nothing_happened: of a creation, whether it certainly left nothing, so that what has its name is somebody else's.
    """

    nothing_happened = False


# AlreadyExistsException, BucketAlreadyOwnedByYou, InvalidGroup.Duplicate, ResourceInUseException, Route…
_CONFLICT = re.compile("AlreadyExists|AlreadyOwnedByYou|Duplicate|InUse|Conflict")
_READING = re.compile("(Describe|Get|List|Head)[A-Z]")


def is_change(operation: str) -> bool:
    """Whether an API operation may change something."""
    return not _READING.match(operation)


def left_nothing(error: ClientError) -> bool:
    """Whether the refused call certainly changed nothing: a conflict, or a denial, of the first attempt.

    A conflict after a retry may be one with what the first attempt made before its answer was lost.
    """
    about = error.response.get("ResponseMetadata", {})
    refused = about.get("HTTPStatusCode") in (401, 403, 409) or _CONFLICT.search(error.response["Error"]["Code"])
    return bool(refused) and about.get("RetryAttempts") == 0


def if_found(call: Callable[..., Any], *codes: str, **arguments: Any) -> Any:
    """The answer of a call, or None where the cloud answers with one of the error codes."""
    try:
        return call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in codes:
            return None
        raise


def all_of(client: Any, operation: str, key: str, **arguments: Any) -> list[Any]:
    """Every item of a paged operation (named as boto3's method), from the answers' list `key`."""
    pages = client.get_paginator(operation).paginate(**arguments)
    return [item for page in pages for item in page.get(key, [])]


def tag_list(tags: Tags, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags as most of AWS wants them: a list of pairs."""
    return [{key: name, value: text} for name, text in tags.items()]


def tag_map(pairs: Iterable[Mapping[str, str]], key: str = "Key", value: str = "Value") -> Tags:
    """A list of pairs as a map."""
    return {pair[key]: pair.get(value, "") for pair in pairs}


def tag_changes(old: Properties, new: Properties) -> tuple[Tags, list[str]]:
    """The tags to write and the names of those to remove, from the old inputs and the new ones."""
    before, after = old.get("tags") or {}, new.get("tags") or {}
    return (
        {name: text for name, text in after.items() if before.get(name) != text},
        [name for name in before if name not in after],
    )


def retag(old: Properties, new: Properties, write: Callable[[Tags], Any], remove: Callable[[list[str]], Any]) -> None:
    """Brings the tags from the old inputs to the new ones by two calls of a cloud, each made only if it is needed."""
    added, removed = tag_changes(old, new)
    if removed:
        remove(removed)
    if added:
        write(added)


def changed(old: Properties, new: Properties, *names: str) -> bool:
    """Whether one of the properties is written differently in the new inputs."""
    return any(old.get(name) != new.get(name) for name in names)


def to_wire(value: Any, names: Mapping[str, str] | None = None) -> Any:
    """A cloud's answer in Pulumi's form: KeyNames become keyNames, but for those that `names` spells out."""
    if isinstance(value, dict):
        spelled = names or {}
        return {
            spelled.get(name) or name[:1].lower() + name[1:]: to_wire(item, names)
            for name, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [to_wire(item, names) for item in value]
    return value


def to_cloud(value: Any, names: Mapping[str, str] | None = None) -> Any:
    """Pulumi's form as a cloud wants it; `names` maps Pulumi's spelling to the cloud's where it is not KeyName."""
    if isinstance(value, dict):
        spelled = names or {}
        return {
            spelled.get(name) or name[:1].upper() + name[1:]: to_cloud(item, names)
            for name, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [to_cloud(item, names) for item in value]
    return value
