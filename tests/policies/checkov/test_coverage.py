"""That the tables hold the inputs of the SDKs in use, and every type of our own plans."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from policies import checkov
from policies.checkov import translate
from policies.checkov.translate import ANY, TYPES
from policies.graph import parse
from tests.plans import plans
from tests.policies.checkov import derive, pairs

pytestmark = [pytest.mark.slow, pytest.mark.drawn(4)]
SCHEMA = translate.schema()


def paths(tree: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, below in tree.items():
        yield above + name
        if isinstance(below, dict):
            yield from paths(below, f"{above}{name}.")


@pytest.mark.parametrize("provider", ["aws", "gcp"])
def test_every_input_of_a_type_has_a_name_in_terraform_or_is_known_to_have_none(provider: str) -> None:
    for token, type_ in TYPES["terraform"].items():
        if token.startswith(f"{provider}:"):
            found = derive.beyond(token, SCHEMA["types"][type_])
            assert found == SCHEMA["beyond"].get(token, []), token


def test_every_input_of_an_azure_type_is_known() -> None:
    for token in (*TYPES["azure"], *TYPES["nested"]):
        assert derive.azure_row(token) == SCHEMA["azure"][token], token


def test_what_is_said_of_an_azure_type_is_about_inputs_that_it_has() -> None:
    for token, row in TYPES["azure"].items():
        known = set(paths(SCHEMA["azure"][token]["inputs"]))
        named = {word for word in row["name"] if not word.startswith("=")}
        assert named | set(row.get("wrapped", ())) | set(row.get("renames", ())) <= known, token
    for token, row in TYPES["nested"].items():
        assert row["inside"] in TYPES["azure"]
        assert row["by"] in SCHEMA["azure"][token]["inputs"]


def test_a_rename_is_of_an_input_that_no_rule_would_find() -> None:
    for token, rows in TYPES["renames"].items():
        tree = SCHEMA["types"][TYPES["terraform"][token]]
        for path, attribute in rows.items():
            assert "." in path or attribute in tree or tree == ANY, (token, path)


def test_no_table_holds_a_type_of_another() -> None:
    tables = [set(TYPES[name]) for name in ("terraform", "azure", "nested", "unchecked")]
    assert sum(map(len, tables)) == len(set().union(*tables))


def test_checkov_has_no_check_for_a_type_that_is_said_to_have_none() -> None:
    answer = checkov.run({"terraform": {}, "arm": {}})
    known = {type_.lower() for type_ in answer["types"]}
    assert "aws_s3_bucket" in known
    assert not {token for token, type_ in TYPES["unchecked"].items() if type_.lower() in known}


@pytest.mark.sampled(1)  # each run: whoever adds a kind of resource is told
def test_every_resource_of_prod_is_read_whole_or_listed_with_a_known_reason() -> None:
    assert not unread("prod")


@pytest.mark.parametrize("environment", ["dev", "bootstrap-aws", "bootstrap-gcp", "bootstrap-azure"])
def test_every_resource_of_other_plans_is_read_whole_or_listed_with_a_known_reason(environment: str) -> None:
    assert not unread(environment)


def unread(environment: str) -> list[Any]:
    graph = parse(json.loads(plans.evaluated_once(environment).stdout), environment)
    reasons = ("Checkov has no check for ", "Checkov looks at it inside of ", "no translation of kubernetes:")
    return [row for row in checkov.assess([graph]).not_assessed if row.path or not row.reason.startswith(reasons)]


def test_every_type_of_a_pair_has_checks() -> None:
    _, answers = pairs.assessed()
    assert all(any(found.values()) for found in answers.values())
