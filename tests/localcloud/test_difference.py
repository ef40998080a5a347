"""Differences as `--diff` shows them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.difference import WIDTH, differences, properties, short
from localcloud.values import ASSET, SIGNATURE, UNKNOWN, Secret


def told(old: dict[str, Any], new: dict[str, Any]) -> str:
    return "\n".join(differences(old, new))


def test_a_value_that_changes_is_shown_as_the_cli_shows_it() -> None:
    assert told({"acl": "private", "kept": 1}, {"acl": "public", "kept": 1}) == '~ acl: "private" => "public"'


def test_names_are_brought_to_one_width() -> None:
    assert told({"a": 1}, {"a": 2, "long": True}).splitlines() == ["~ a   : 1 => 2", "+ long: true"]


def test_objects_and_lists_are_opened_where_they_differ_and_nowhere_else() -> None:
    old = {"tags": {"env": "dev", "kept": "x"}, "ports": [80, 443]}
    new = {"tags": {"kept": "x", "owner": "me"}, "ports": [80, 8443, 9]}
    assert told(old, new).splitlines() == [
        "~ ports: [",
        "    ~ [1]: 443 => 8443",
        "    + [2]: 9",
        "  ]",
        "~ tags : {",
        '    - env  : "dev"',
        '    + owner: "me"',
        "  }",
    ]


def test_json_inside_of_a_string_is_compared_as_what_it_says() -> None:
    old, new = ({"Statement": [{"Action": action, "Effect": "Allow"}]} for action in ("s3:Get", "s3:Put"))
    lines = told({"policy": json.dumps(old)}, {"policy": json.dumps(new, indent=2)}).splitlines()
    assert lines[0] == "~ policy: (json) {"
    assert '            ~ Action: "s3:Get" => "s3:Put"' in lines
    assert not any("Effect" in line for line in lines)


def test_a_string_of_json_that_only_changes_its_form_is_shown_as_text() -> None:
    assert told({"p": '{"a":1}'}, {"p": '{"a": 1}'}) == '~ p: "{\\"a\\":1}" => "{\\"a\\": 1}"'


def test_text_is_compared_line_by_line() -> None:
    lines = told({"script": "one\ntwo\n"}, {"script": "one\nthree\n"}).splitlines()
    assert lines == ['~ script: """', "      one", "    - two", "    + three", '  """']


def test_what_is_added_whole_is_shown_whole() -> None:
    assert told({}, {"rule": {"days": 3}}).splitlines() == ["+ rule: {", "      days: 3", "  }"]


@pytest.mark.parametrize(("old", "new"), [("hunter1", "hunter2"), ({"a": "hunter1"}, {"a": "hunter2"})])
def test_no_secret_is_shown(old: Any, new: Any) -> None:
    for pair in (({"p": Secret(old)}, {"p": Secret(new)}), ({"p": {"q": Secret(old)}}, {"p": {"q": Secret(new)}})):
        text = told(*pair)
        assert "[secret] => [secret]" in text
        assert "hunter" not in text
    assert "hunter" not in "\n".join(properties({"p": Secret(old)}))


def test_what_the_cloud_will_tell_is_an_output() -> None:
    assert told({"arn": "x"}, {"arn": UNKNOWN}) == '~ arn: "x" => output<string>'


def test_an_asset_is_named_by_file_and_hash() -> None:
    assert short({SIGNATURE: ASSET, "path": "a.zip", "hash": "0123456789"}) == "asset(file:0123456) { a.zip }"


@pytest.mark.parametrize("sign", ["\x1b[2J", "\r", "\x9b", "\u202e"])
def test_nothing_of_a_value_or_a_name_reaches_the_terminal_as_a_command(sign: str) -> None:
    for text in (told({sign: 1}, {sign: sign}), told({"a": "x\n"}, {"a": f"{sign}\ny\n"}), short({"a": sign})):
        assert all(line.isprintable() for line in text.splitlines())
        assert sign not in text


def test_a_long_string_is_cut() -> None:
    assert len(short("x" * 10_000)) <= WIDTH


def test_true_is_not_one() -> None:
    assert told({"a": 1}, {"a": True}) == "~ a: 1 => true"
