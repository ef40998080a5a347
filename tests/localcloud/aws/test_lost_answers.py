"""Calls that were done and answered as if not, creations that end half-way: the next run takes over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.aws.provider import Provider, ProviderError
from tests.localcloud.aws.test_conflicts import BUCKET, PROGRAMS, ROLE, AwsWorld, answering


@pytest.mark.parametrize(("status", "code"), [(400, "Throttling"), (500, "InternalError"), (503, "ServiceUnavailable")])
def test_a_creation_that_was_done_and_answered_with_an_error_is_taken_over_by_the_next_run(
    tmp_path: Path, provider: Provider, status: int, code: str
) -> None:
    """The first answer is an error although the role was made; the second attempt then meets the role."""
    world = AwsWorld(tmp_path, provider)
    world.declare(ROLE, PROGRAMS[ROLE])
    with (
        answering(provider, "iam", "CreateRole", status, code) as sent,
        pytest.raises(ProviderError, match="CreateRole was refused"),
    ):
        world.up()
    assert sent == [2]
    assert len(world.pending()) == 1
    taken_over(world)


def test_a_creation_of_several_calls_that_fails_half_way_is_finished_and_not_made_again(
    tmp_path: Path, provider: Provider
) -> None:
    world = AwsWorld(tmp_path, provider)
    world.declare(BUCKET, {**PROGRAMS[BUCKET], "tags": {"a": "b"}})
    with (
        answering(provider, "s3", "PutBucketTagging", 403, "AccessDenied"),
        pytest.raises(ProviderError, match="PutBucketTagging was refused"),
    ):
        world.up()
    assert len(world.pending()) == 1
    taken_over(world)


def taken_over(world: AwsWorld) -> None:
    world.up()
    assert [event.kind for event in world.events if event.kind == "adopt"] == ["adopt"]
    assert world.pending() == []
    assert len(world.provider.inventory()) == 1
    assert world.preview(refresh=True).changes == 0
