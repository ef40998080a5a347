"""AWS's limits on names, with long and odd ones."""

import re
from dataclasses import replace

import pytest

from infra.aws import names
from infra.context import Limit
from tests.infra.evaluated import CONTEXT

# What each service takes, by its API reference: longest name and characters.
TAKEN: dict[str, tuple[Limit, str]] = {
    "state machine": (names.STATE_MACHINE, r"[A-Za-z0-9_-]{1,80}"),
    "rule, schedule and group of schedules": (names.RULE, r"[0-9A-Za-z_.-]{1,64}"),
    "function": (names.FUNCTION, r"[a-zA-Z0-9_-]{1,64}"),
    "table": (names.TABLE, r"[a-zA-Z0-9_.-]{3,255}"),
    "gateway": (names.GATEWAY, r".{1,128}"),
    "cluster of Kubernetes": (names.CLUSTER, r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}"),
    "group of nodes": (names.NODE_GROUP, r"[0-9A-Za-z][A-Za-z0-9_-]{0,62}"),
    "policy": (names.POLICY, r"[\w+=,.@-]{1,128}"),
    "role": (names.ROLE, r"[\w+=,.@-]{1,64}"),
    "bucket": (names.BUCKET, r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"),
    "load balancer": (names.LOAD_BALANCER, r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?"),
}
PARTS = ["predict", "p" * 300, "Predict_Height.v2", "größe und gewicht", "-odd-", "retrain-landing"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kind", TAKEN)
def test_a_name_is_one_that_the_service_takes(kind: str, part: str) -> None:
    limit, allowed = TAKEN[kind]
    for made in (CONTEXT.name(part, limit), CONTEXT.unique_name(part, limit)):
        assert re.fullmatch(allowed, made, re.ASCII), made


@pytest.mark.parametrize("kind", TAKEN)
def test_two_long_names_stay_apart_and_one_stays_the_same(kind: str) -> None:
    limit, _ = TAKEN[kind]
    one, two = (CONTEXT.name("p" * 300 + end, limit) for end in ("a", "b"))
    assert one != two
    assert one == CONTEXT.name("p" * 300 + "a", limit)


def test_names_of_an_environment_begin_with_it_so_that_its_deployer_reaches_them() -> None:
    """The longest environment there may be, with the longest part, in the shortest of the names in ARNs."""
    ctx = replace(CONTEXT, environment="e" * 19 + "1")
    for limit, _ in TAKEN.values():
        if limit.longest >= 63:
            assert ctx.name("p" * 300, limit).startswith(f"groundwork-{ctx.environment}-")
