"""Whatever a plan asks of AWS, localcloud can do, or says that it only records it."""

import pytest

from localcloud.aws import KINDS, RECORDED
from localcloud.aws.provider import known_inputs
from tests.plans.plans import ENVIRONMENTS, plan_of

pytestmark = pytest.mark.slow
STACKS = (*ENVIRONMENTS, "bootstrap-aws")


@pytest.mark.parametrize("stack", STACKS)
def test_every_aws_type_of_a_plan_has_a_provider(stack: str) -> None:
    types = {row.type for row in plan_of(stack).resources if row.type.startswith("aws:")}
    assert types - KINDS.keys() == set()
    assert types, "a plan without AWS proves nothing"


@pytest.mark.parametrize("stack", STACKS)
def test_every_input_that_a_plan_gives_to_aws_is_read_back_or_known_to_be_lost(stack: str) -> None:
    rows = [row for row in plan_of(stack).resources if row.type in KINDS]
    refused = {f"{row.type} {name}" for row in rows for name in row.inputs.keys() - known_inputs(KINDS[row.type])}
    assert refused == set()


def test_what_is_in_the_state_alone_says_why() -> None:
    assert RECORDED
    assert all(set(KINDS[token].kept.values()) == {why} for token, why in RECORDED.items())
    assert not any(KINDS[token].list or KINDS[token].find or KINDS[token].read_back for token in RECORDED)
