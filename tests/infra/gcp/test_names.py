"""Names on GCP: within each limit, legal whatever the environment is called, and never alike by being cut."""

import re

import pytest

from infra.context import Context, Limit
from infra.gcp import names

LONG = Context("groundwork-for-machine-learning", "a-very-long-environ", "an-organisation-of-20", "o", "c", "internal")
SHORT = Context("gw", "dev", "acme", "o", "c", "internal")
LIMITS = {name: value for name, value in vars(names).items() if isinstance(value, Limit) and name != "ROLE"}
LEGAL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("ctx", [LONG, SHORT])
def test_a_name_is_legal_and_within_its_limit(limit: Limit, ctx: Context) -> None:
    for part in ("predict", "a-part-with-a-name-that-is-much-too-long-for-anything", "Odd_Näme.of/a part"):
        for name in (ctx.name(part, limit), ctx.unique_name(part, limit)):
            assert len(name) <= limit.longest
            assert LEGAL.fullmatch(name), name


def test_long_names_that_begin_alike_stay_apart() -> None:
    made = {LONG.name(f"{'predict' * 10}-{number}", names.SERVICE_ACCOUNT) for number in range(50)}
    assert len(made) == 50


def test_a_service_account_has_at_least_six_characters() -> None:
    assert len(names.service_account(Context("g", "d", "acme", "o", "c", "internal"), "x")) >= 6


@pytest.mark.parametrize("ctx", [LONG, SHORT])
def test_the_id_of_a_role_has_no_hyphen(ctx: Context) -> None:
    assert re.fullmatch(r"[a-z0-9]{3,64}", names.role_id(ctx, "replace-objects-of-models"))


def test_agents_are_named_by_the_number_of_the_project() -> None:
    account = names.Account("acme-ml-dev", 123456789012, "europe-west1")
    assert account.agent("run") == "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
    assert set(names.MADE_LATE) <= set(names.AGENTS)
