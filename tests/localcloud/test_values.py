"""Property values between the wire and Python."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.values import (
    OUTPUT,
    RESOURCE,
    SIGNATURE,
    UNKNOWN,
    Secret,
    decode,
    encode,
    has_secret,
    has_unknown,
    plain,
    reveal,
    walk,
)

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20) | st.just(UNKNOWN)
VALUES = st.recursive(
    LEAVES | st.text(max_size=5).map(Secret),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5))
def test_what_is_encoded_decodes_to_itself(properties: dict[str, object]) -> None:
    assert decode(encode(properties)) == properties


def test_whole_numbers_are_int_and_others_stay_float() -> None:
    decoded = decode(encode({"a": 3.0, "b": 3.5}))
    assert decoded == {"a": 3, "b": 3.5}
    assert isinstance(decoded["a"], int)


def test_an_output_value_becomes_its_value_and_stays_secret() -> None:
    known = {SIGNATURE: OUTPUT, "value": "x", "secret": True, "dependencies": []}
    assert decode(encode({"a": known, "b": {SIGNATURE: OUTPUT}})) == {"a": Secret("x"), "b": UNKNOWN}


def test_a_secret_is_never_printed() -> None:
    assert "hunter2" not in repr({"a": [Secret("hunter2")]})


def test_an_unknown_value_is_neither_true_nor_false() -> None:
    with pytest.raises(TypeError):
        bool(UNKNOWN)


def test_unknowns_and_secrets_are_found_at_any_depth() -> None:
    assert has_unknown({"a": [{"b": Secret(UNKNOWN)}]})
    assert has_secret({"a": [{"b": Secret(1)}]})
    assert not has_unknown({"a": 1})
    assert not has_secret({"a": 1})


def test_plain_reveals_drops_nulls_and_takes_resources_by_their_id() -> None:
    reference = {SIGNATURE: RESOURCE, "urn": "urn:x", "id": "i-1"}
    assert plain({"a": Secret("s"), "b": None, "c": [reference]}) == {"a": "s", "c": ["i-1"]}


def test_reveal_opens_nested_secrets() -> None:
    assert reveal({"a": Secret({"b": Secret(1)})}) == {"a": {"b": 1}}


def test_walk_names_each_leaf() -> None:
    assert dict(walk({"a": [1, {"b": 2}]})) == {"a[0]": 1, "a[1].b": 2}


def test_a_copy_of_what_is_unknown_is_still_unknown() -> None:
    assert copy.deepcopy({"a": [UNKNOWN]})["a"][0] is UNKNOWN
