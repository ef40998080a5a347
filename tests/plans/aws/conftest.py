"""The plan of each environment on AWS, for the tests that ask what every one of them promises."""

import pytest

from tests.plans.plans import ENVIRONMENTS, Plan, plan_of


@pytest.fixture(params=ENVIRONMENTS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return plan_of(request.param)
