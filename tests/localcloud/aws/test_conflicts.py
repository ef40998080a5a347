"""What has the name that a program asks for and is somebody else's is neither taken over nor deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from localcloud.aws.provider import Provider, ProviderError
from tests.localcloud.clouds import World

TRUST = '{"Version": "2012-10-17", "Statement": []}'
BUCKET, ROLE = "aws:s3/bucket:Bucket", "aws:iam/role:Role"
PROGRAMS: dict[str, dict[str, Any]] = {
    BUCKET: {"bucket": "taken", "forceDestroy": True},
    ROLE: {"name": "taken", "assumeRolePolicy": TRUST, "forceDetachPolicies": True},
    "aws:cloudwatch/logGroup:LogGroup": {"name": "taken"},
    "aws:ecs/cluster:Cluster": {"name": "taken"},
    "aws:ecr/repository:Repository": {"name": "taken", "forceDelete": True},
}


class AwsWorld(World):
    """A project whose program declares AWS resources, applied over a given provider."""

    def __init__(self, root: Path, provider: Provider) -> None:
        super().__init__(root)
        self.provider = provider

    def factories(self) -> Any:
        return {"aws": lambda _config: self.provider}

    def declare(self, token: str, inputs: dict[str, Any], name: str = "ours") -> None:
        self.program(f"pulumi.CustomResource({token!r}, {name!r}, {inputs!r})")

    def pending(self) -> list[Any]:
        document = json.loads(self.project().state_file.read_text())
        found: list[Any] = document["deployment"].get("pending_operations") or []
        return found


@pytest.fixture
def world(tmp_path: Path, provider: Provider) -> AwsWorld:
    return AwsWorld(tmp_path, provider)


def strangers(provider: Provider, token: str, inputs: dict[str, Any]) -> str:
    """A resource of another stack."""
    urn = f"urn:pulumi:other::other::{token}::theirs"
    return provider.create(token, urn, provider.check(token, urn, inputs))


@pytest.mark.parametrize("token", PROGRAMS)
def test_a_strangers_resource_of_the_same_name_survives_up_again_and_destroy(world: AwsWorld, token: str) -> None:
    theirs = strangers(world.provider, token, {**PROGRAMS[token], "tags": {"owner": "somebody"}})
    before = world.provider.read(token, theirs, {})
    world.declare(token, PROGRAMS[token])
    for _ in range(2):
        with pytest.raises(ProviderError, match=r"ours.*(exists|Exists|you already own it)"):
            world.up()
        assert world.pending() == []
    world.destroy()
    assert before is not None
    assert world.provider.read(token, theirs, {}) == before


@pytest.mark.parametrize("token", PROGRAMS)
def test_a_creation_that_was_killed_is_still_found_and_taken_over(world: AwsWorld, token: str) -> None:
    """Killed when the cloud had made it and nobody had written that down."""
    world.declare(token, PROGRAMS[token])
    create = world.provider.create

    def killed(token: str, urn: str, inputs: dict[str, Any]) -> str:
        create(token, urn, inputs)
        raise ConnectionAbortedError("the end")

    world.provider.create = killed  # type: ignore[method-assign] # for this run
    try:
        with pytest.raises(ConnectionAbortedError):
            world.up()
    finally:
        del world.provider.create
    assert len(world.pending()) == 1
    world.up()
    assert [event.kind for event in world.events if event.kind == "adopt"] == ["adopt"]
    assert world.pending() == []
    world.destroy()
    assert world.provider.inventory() == []


def refused(provider: Provider, token: str, inputs: dict[str, Any]) -> ProviderError:
    urn = f"urn:pulumi:dev::demo::{token}::ours"
    with pytest.raises(ProviderError) as raised:
        provider.create(token, urn, provider.check(token, urn, inputs))
    return raised.value


def test_arguments_that_boto3_refuses_left_nothing(provider: Provider) -> None:
    inputs = {**PROGRAMS[ROLE], "maxSessionDuration": "long"}
    assert refused(provider, ROLE, inputs).nothing_happened


def test_a_call_that_got_no_answer_may_have_left_something(provider: Provider) -> None:
    unanswered = Provider({**provider.account.config, "endpoints": [{"iam": "http://127.0.0.1:1"}]})
    assert not refused(unanswered, ROLE, PROGRAMS[ROLE]).nothing_happened


@contextmanager
def answering(provider: Provider, service: str, operation: str, status: int, code: str) -> Iterator[list[int]]:
    """The emulator's first answer to an operation is this one; yields how often the operation was sent."""
    events, sent = provider.account.client(service).meta.events, [0]

    def answer(request: Any, **_: Any) -> AWSResponse | None:
        sent[0] += 1
        if sent[0] > 1:
            return None
        response = AWSResponse(request.url, status, {}, None)
        inner = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        response._content = (inner if service == "s3" else f"<ErrorResponse>{inner}</ErrorResponse>").encode()
        return response

    name = f"before-send.{service}.{operation}"
    events.register(name, answer, unique_id=name)
    try:
        yield sent
    finally:
        events.unregister(name, unique_id=name)


def test_a_conflict_in_a_later_call_of_a_creation_leaves_what_the_earlier_made(provider: Provider) -> None:
    with answering(provider, "s3", "PutBucketTagging", 409, "OperationAborted"):
        error = refused(provider, BUCKET, {"bucket": "new", "tags": {"a": "b"}})
    assert "PutBucketTagging was refused: no (OperationAborted)" in str(error)
    assert not error.nothing_happened


def test_a_conflict_after_a_retry_may_be_with_what_the_first_attempt_made(provider: Provider) -> None:
    strangers(provider, ROLE, PROGRAMS[ROLE])
    with answering(provider, "iam", "CreateRole", 500, "InternalError") as sent:
        error = refused(provider, ROLE, PROGRAMS[ROLE])
    assert sent == [2]
    assert "EntityAlreadyExists" in str(error)
    assert not error.nothing_happened


def test_what_a_denied_call_would_have_made_is_not_looked_for(provider: Provider) -> None:
    with answering(provider, "iam", "CreateRole", 403, "AccessDenied"):
        assert refused(provider, ROLE, PROGRAMS[ROLE]).nothing_happened
