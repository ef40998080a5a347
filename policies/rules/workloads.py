"""What containers and machines of every cloud have in common: images, and what is written into their environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policies.rule import Verdict, fail, undetermined
from policies.rules.reading import UNKNOWN

MOVING = re.compile(
    r"latest|stable|main|master|mainline|trunk|head|edge|nightly|snapshot|dev|develop|development|test|testing|qa|stage"
    r"|staging|prod|production|release|current|canary|beta|alpha|lts|rolling|default",
    re.IGNORECASE,
)
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$", re.IGNORECASE)
TAG = re.compile(r":([A-Za-z0-9_][A-Za-z0-9_.-]*)$")
SECRET_NAME = re.compile(
    r"(^|[_\-.])(password|passwd|passphrase|secret|token|api_?key|access_?key|account_?key|secret_?key|private_?key"
    r"|connection_?string)$",
    re.IGNORECASE,
)
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
SECRET_VALUE = re.compile(
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bgh[pousr]_[A-Za-z0-9]{36}\b"
    r"|\bxox[abp]-[0-9A-Za-z-]{10}|\bAccountKey=[A-Za-z0-9+/]{20}|\bsk_live_[0-9A-Za-z]{16}|\bAIza[0-9A-Za-z_-]{35}\b"
    r"|\"type\": ?\"service_account\"|\b[a-z][a-z0-9+]{0,20}://[^\s:/@{}$]{1,99}:[^\s:/@{}$]{3,99}@"
)
POINTER = re.compile(
    r"^$|^(true|false|none|null|\d{1,4})$|^[/@~.]|^\$[({]|^arn:|^projects/|^/subscriptions/|^[a-z][a-z0-9+.-]*://"
    r"|\$\{|^\{\{|^(secretsmanager|ssm|vault|kms|file|env|secretref|valueFrom)[:/]",
    re.IGNORECASE,
)


def image_verdict(image: Any, path: str, made_up: bool) -> Iterator[Verdict]:
    """Against an image whose reference names another image tomorrow. made_up: whether a plan filled part of it in."""
    if image is None:
        return
    if image is UNKNOWN or not isinstance(image, str):
        yield undetermined("Nobody knows the image before the deployment.", path)
        return
    if DIGEST.search(image):
        return
    tag = TAG.search(image.rsplit("/", 1)[-1])
    if tag and MOVING.fullmatch(tag[1]):
        yield fail(f"It runs `{image}`: whoever moves the tag `{tag[1]}` changes what runs.", path)
    elif tag is None and made_up:
        yield undetermined("Nobody knows the whole image before the deployment.", path)
    elif tag is None:
        yield fail(f"It runs `{image}` without a tag or digest, and so whatever is latest.", path)


def digest_verdict(image: Any, path: str, made_up: bool) -> Iterator[Verdict]:
    """Against an image by a tag that can be pushed again; what `image_verdict` says is not said twice."""
    if not isinstance(image, str) or made_up or DIGEST.search(image):
        return
    tag = TAG.search(image.rsplit("/", 1)[-1])
    if tag and not MOVING.fullmatch(tag[1]):
        yield fail(f"It runs `{image}` by its tag, which can be pushed again.", path)


def secret_verdict(name: Any, value: Any, path: str, made_up: bool) -> Iterator[Verdict]:
    """Against a password, key or token written out in an environment, or a Pulumi secret laid open there."""
    if made_up or value is None or not isinstance(name, str):
        return
    words = bool(SECRET_NAME.search(CAMEL.sub("_", name)))
    if isinstance(value, str):
        if SECRET_VALUE.search(value):
            yield fail(f"The plain value of `{name}` holds a credential.", path)
        elif words and not POINTER.search(value):
            yield fail(f"`{name}` is written out as a plain value.", path)
    elif value == {"$secret": True}:
        yield fail(f"The secret `{name}` lies open to whoever may look at this resource.", path)
