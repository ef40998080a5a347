"""Names are legal, within each cloud's limits, and the same each time; tags are legal on three clouds."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.aws import names
from infra.context import Context, Limit, joined

CONTEXT = Context("groundwork", "dev", "acme", "ml-platform", "research", "internal")
AWS_LIMITS = {name: value for name, value in vars(names).items() if isinstance(value, Limit)}
OTHER_LIMITS = {  # what the other clouds' strictest names will need
    "service account on GCP": Limit(30),
    "storage account on Azure": Limit(24, separator=""),
}
PARTS = st.text(min_size=1, max_size=300).filter(lambda text: re.search(r"[a-z0-9]", text.lower(), re.ASCII))
LEGAL = {"-": r"[a-z0-9]+(-[a-z0-9]+)*", "/": r"[a-z0-9]+([-/][a-z0-9]+)*", "": r"[a-z0-9]+"}


def test_a_name_says_project_environment_and_part() -> None:
    assert CONTEXT.name("predict", names.ROLE) == "groundwork-dev-predict"
    assert names.log_group(CONTEXT, "predict") == "/groundwork/dev/predict"


def test_a_unique_name_starts_with_the_organisation() -> None:
    assert CONTEXT.unique_name("data", names.BUCKET) == "acme-groundwork-dev-data"
    assert CONTEXT.unique_name("data", OTHER_LIMITS["storage account on Azure"]) == "acmegroundworkdevdata"


def test_two_organisations_never_share_a_unique_name() -> None:
    other = dataclasses.replace(CONTEXT, organisation="apex")
    assert CONTEXT.unique_name("data", names.BUCKET) != other.unique_name("data", names.BUCKET)


@pytest.mark.parametrize("limit", [*AWS_LIMITS.values(), *OTHER_LIMITS.values()])
@given(parts=st.lists(PARTS, min_size=1, max_size=4).map(tuple))
def test_every_name_is_legal_and_within_its_limit(limit: Limit, parts: tuple[str, ...]) -> None:
    name = joined(parts, limit)
    assert len(name) <= limit.longest
    assert re.fullmatch(LEGAL[limit.separator], name, re.ASCII)
    assert joined(parts, limit) == name


@pytest.mark.parametrize(("kind", "limit"), [*AWS_LIMITS.items(), *OTHER_LIMITS.items()])
def test_a_name_of_just_the_limit_is_kept_and_one_longer_is_cut(kind: str, limit: Limit) -> None:
    assert joined(("x" * limit.longest,), limit) == "x" * limit.longest
    cut = joined(("x" * (limit.longest + 1),), limit)
    assert len(cut) == limit.longest
    assert cut != "x" * limit.longest


def test_names_that_are_cut_alike_stay_apart() -> None:
    long = "a" * 80
    assert joined((long, "data"), names.BUCKET) != joined((long, "models"), names.BUCKET)


def test_names_that_are_spelled_alike_after_cleaning_stay_apart() -> None:
    assert joined(("Über_data",), names.BUCKET) != joined(("ber-data",), names.BUCKET)


def test_a_part_without_a_letter_or_digit_is_refused() -> None:
    with pytest.raises(ValueError, match="letters or digits"):
        joined(("groundwork", "***"), names.BUCKET)


def test_the_five_tags_say_whose_it_is_and_are_legal_labels_on_three_clouds() -> None:
    assert CONTEXT.tags == {
        "project": "groundwork",
        "environment": "dev",
        "owner": "ml-platform",
        "cost-center": "research",
        "data-class": "internal",
    }
    for key, value in CONTEXT.tags.items():
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key)
        assert re.fullmatch(r"[a-z0-9_-]{0,63}", value)
