"""The registry: images by digest, pulled by those who may, pushed by fewer."""

from typing import Any

import pulumi
import pytest

from infra.aws.identity import Identity
from infra.aws.keys import Key
from infra.aws.names import Account
from infra.aws.registry import PULL, PUSH, Registry
from tests.infra.evaluated import CONTEXT, evaluated, only

RELEASE = "sha256:" + "0" * 64


def registry(account: Account) -> Registry:
    return Registry("app", Key("data", account=account, ctx=CONTEXT), ctx=CONTEXT)


def test_an_image_is_named_by_its_digest() -> None:
    told: list[str] = []

    def program(account: Account) -> pulumi.Output[Any]:
        return registry(account).image(RELEASE).uri.apply(told.append)

    evaluated(program)
    assert told == [f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/groundwork-dev-app@{RELEASE}"]


@pytest.mark.parametrize(("grant", "actions"), [("grant_pull", PULL), ("grant_push", [*PULL, *PUSH])])
def test_a_grant_is_to_this_repository_and_to_logging_in(grant: str, actions: list[str]) -> None:
    def program(account: Account) -> None:
        images = registry(account)
        getattr(images, grant)(Identity("server", "container", account=account, ctx=CONTEXT))

    images, login = only(evaluated(program), "RolePolicy").document()
    assert images["Action"] == actions
    assert images["Resource"] == ["arn:aws:ecr:::groundwork-dev-app"]
    assert login["Action"] == ["ecr:GetAuthorizationToken"]


def test_who_may_pull_may_not_push() -> None:
    assert not set(PULL) & set(PUSH)
