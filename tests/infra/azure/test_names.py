"""Names within Azure's limits, and ids that are made from names."""

import re

import pulumi
import pytest

from infra.azure import names
from infra.azure.names import STORAGE_ACCOUNT, VAULT, Account, own
from infra.context import Context, Limit

CONTEXT = Context("groundwork", "dev", "acme", "ml-platform", "research", "internal")
LONG = Context(
    "groundwork-of-the-data-science-guild", "staging-of-europe", "acme-machine-learning", "a", "b", "internal"
)
PARTS = ("data", "audit", "predict-certificate", "a--very__odd.part of a name", "x" * 300)
LIMITS = {name: limit for name, limit in vars(names).items() if isinstance(limit, Limit)}
# Source: Microsoft, "Naming rules and restrictions for Azure resources". A bucket's and a registry's have no hyphens.
LEGAL = {
    "STORAGE_ACCOUNT": "[a-z0-9]{3,24}",
    "REGISTRY": "[a-z0-9]{5,50}",
    "VAULT": "[a-z](?!.*--)[a-z0-9-]{1,22}[a-z0-9]",
}


def account(subscription: str = "00000000-0000-4000-8000-000000000001") -> Account:
    group = pulumi.Output.from_input("group")
    return Account(subscription, "tenant", group, group, "westeurope", ("1",))


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("ctx", [CONTEXT, LONG], ids=("short", "long"))
def test_a_name_is_within_its_limit_and_legal(kind: str, ctx: Context) -> None:
    limit = LIMITS[kind]
    for part in PARTS:
        for name in (ctx.name(part, limit), ctx.unique_name(part, limit)):
            assert 3 <= len(name) <= limit.longest
            assert re.fullmatch(LEGAL.get(kind, "[a-z][a-z0-9-]*[a-z0-9]"), name), name


def test_names_that_were_cut_stay_apart() -> None:
    for limit in (STORAGE_ACCOUNT, VAULT):
        found = {LONG.unique_name(part, limit) for part in ("data", "models", "logs", "audit", "flows")}
        assert len(found) == 5


def test_a_made_id_is_the_same_each_time_and_another_one_in_another_place() -> None:
    ids = {
        account().made_id(CONTEXT, "grant", "server-read-data"),
        account().made_id(CONTEXT, "grant", "server-read-models"),
        account().made_id(LONG, "grant", "server-read-data"),
        account("00000000-0000-4000-8000-000000000009").made_id(CONTEXT, "grant", "server-read-data"),
    }
    assert len(ids) == 4
    assert account().made_id(CONTEXT, "grant", "server-read-data") in ids


def test_a_part_of_another_cloud_is_refused_with_its_name() -> None:
    with pytest.raises(TypeError, match="azure: needs a Account of Azure"):
        own(Account, CONTEXT)
