"""What the Kubernetes provider does on this machine and not in a cluster: it reads YAML. And what it only can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from localcloud.errors import LocalcloudError
from localcloud.values import UNKNOWN, Properties, Secret, reveal

# Rendered by the provider with Helm's and Kustomize's own code, from charts that it downloads.
RENDERING = {"kubernetes:helm:template": "chart", "kubernetes:kustomize:directory": "kustomization"}


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it, by way of JSON: a date is a text."""


_Loader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in rows if tag != "tag:yaml.org,2002:timestamp"]
    for sign, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def decoded(arguments: Properties) -> Properties:
    """The result of `kubernetes:yaml:decode`: the objects that a text holds, those of lists one by one.

    :raises LocalcloudError: the text is no YAML
    """
    given = arguments.get("text")
    text = reveal(given)
    if text is UNKNOWN:
        return {"result": UNKNOWN}
    try:
        found = [item for document in yaml.load_all(str(text), _Loader) for item in _objects(document)]
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" in line {place.line + 1}" if place is not None else ""
        raise LocalcloudError(f"A text of Kubernetes objects is no YAML{where}. Mend it.") from None
    return {"result": Secret(found) if isinstance(given, Secret) else found}


def _objects(document: Any) -> Iterator[Properties]:
    if not isinstance(document, dict):
        return
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _objects(item)
    else:
        yield document


def unrendered(_arguments: Properties) -> Properties:
    """The result of a function of RENDERING: not known, as in a preview whose provider is not configured yet."""
    return {"result": UNKNOWN}
