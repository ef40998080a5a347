"""The comment: what it says, in which order, how long it may be, and that what strangers wrote stays in its place."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout import plans
from rollout.artifact import Failure, Preview, StackPreview
from rollout.changes import MISSING, Property, compare
from rollout.difftext import change_lines, property_lines, short_type, shown
from rollout.preview_cloud import CloudPreview
from rollout.redact import HIDDEN, Redactor
from rollout.render import LIMIT, comment, size, superseded
from tests.rollout import example
from tests.rollout.plan_documents import HEAD, plan, resource
from tests.rollout.test_markdown import HOSTILE, filtered, page
from tests.rollout.test_redact import AZURE_KEY, SECRETS, decoded, forms
from tests.rollout.test_risk import BUCKET, allow, finding, findings, role

MARKER = "<!-- groundwork-rollout preview " + "a" * 40 + " -->"
URL = "https://github.com/o/r/actions/runs/1/artifacts/2"
Plan = dict[str, Any]


def stack(
    name: str, base: Plan | None, head: Plan | None, *, base_found: Any = None, head_found: Any = None
) -> StackPreview:
    one, other = (plans.digest(document) if document else None for document in (head, base))
    return StackPreview(name, head, base, one, other, head_found, base_found)


def still(name: str) -> StackPreview:
    return StackPreview(name, None, None, "0" * 64, "0" * 64, None, None)


def said(*stacks: StackPreview, failures: tuple[Failure, ...] = (), **more: Any) -> str:
    preview = Preview("a" * 40, "b" * 40, {row.stack: row for row in stacks}, failures)
    return comment(preview, marker=MARKER, artifact_url=URL, **{"redactor": Redactor((), {}), **more})


def one(base: Plan | None, head: Plan | None, **more: Any) -> str:
    return said(stack("dev", base, head), **more)


TOPIC = "aws:sns/topic:Topic"


def test_no_change_is_one_line_under_the_marker() -> None:
    text = said(still("dev"), still("prod"))
    assert text == f"{MARKER}\n**No change** to 2 stacks: `aaaaaaaaaa` against `bbbbbbbbbb`.\n"


def test_the_first_line_is_the_marker_and_the_heading_follows() -> None:
    lines = one(plan(), plan(resource(TOPIC, "a"))).splitlines()
    assert lines[0] == MARKER
    assert lines[1].startswith("### ")


def test_each_stack_is_a_row_and_those_that_stay_are_one_line() -> None:
    text = said(
        stack("dev", plan(), plan(resource(TOPIC, "a"))),
        stack("prod", plan(resource(BUCKET, "a")), plan()),
        still("local"),
    )
    rows = [line for line in text.splitlines() if line.startswith("| **")]
    assert [re.findall("<code>(.*?)</code>", row) for row in rows] == [["prod", "&#45;1"], ["dev", "&#43;1"]]
    assert "No change to `local`." in text


def test_a_stack_that_is_new_or_removed_says_so() -> None:
    assert "<code>dev</code>** (new)" in one(None, plan(resource(TOPIC, "a")))
    assert "<code>dev</code>** (removed)" in one(plan(resource(TOPIC, "a")), None)


def test_the_risky_stand_above_what_is_folded() -> None:
    base = plan(resource(BUCKET, "data"), *role(allow("s3:GetObject")))
    text = one(base, plan(*role(allow("s3:*")), resource(TOPIC, "a")))
    order = [
        text.index(part) for part in ("Data that may be lost", "Wider permissions", "<details>", "- aws:s3:Bucket data")
    ]
    assert order == sorted(order)
    assert "`role app` gains `s3:*` on `arn:aws:s3:::data/*` (by `aws:iam:RolePolicy` `app`)" in text


def test_the_same_of_several_resources_is_one_line() -> None:
    base = plan(*(resource(BUCKET, name) for name in "abc"))
    assert "- `aws:s3:Bucket` `a`, `b`, `c`: each is deleted, and with it objects\n" in one(base, plan())


def test_a_change_is_a_diff_with_its_place_in_the_program() -> None:
    old, new = (resource(TOPIC, "a", {"displayName": name, "x": {"y": 1}}) for name in ("one", "two"))
    text = one(plan(old), plan(new))
    assert '```diff\n~ aws:sns:Topic a  # stacks/__main__.py:3\n!     displayName: "one" → "two"\n```' in text


def test_policies_are_told_by_what_is_new_and_how_many_are_fixed() -> None:
    row = stack("dev", plan(), plan(resource(TOPIC, "a")), base_found=findings(finding()), head_found=findings())
    assert "| passed, 1 fixed |" in said(row)
    row = stack("dev", plan(), plan(resource(TOPIC, "a")), base_found=findings(), head_found=findings(finding()))
    text = said(row)
    assert "| **1 stop it** |" in text
    assert "- `aws:s3:Bucket` `data` breaks `GW-1` (`high`): It is open. This stops the deployment." in text
    row = stack(
        "dev", plan(), plan(resource(TOPIC, "a")), base_found=findings(), head_found=findings(errors=["No tool."])
    )
    assert "| **no answer** |" in said(row)
    assert "- The policies have no answer: No tool." in said(row)


def test_a_side_that_cannot_be_planned_is_told() -> None:
    text = said(
        still("dev"), failures=(Failure("prod", "head", "error: <b>@octocat</b>"), Failure("dev", "base", "error: x"))
    )
    assert "- `prod` **cannot be planned** with this change: error: &#60;b&#62;@\u200boctocat&#60;/b&#62;" in text
    assert "- `dev` **cannot be planned** as it is now, so all of it is shown as new: error: x" in text


def test_the_artifact_is_linked() -> None:
    assert f"](<{URL}>)" in one(plan(), plan(resource(TOPIC, "a")))


# --- length ---


def many(count: int, letters: int) -> tuple[Plan, Plan]:
    """A plan, and one in which a bucket is gone and many topics have changed."""
    old = [resource(TOPIC, f"t{number:04}", {"displayName": "ü" * letters}) for number in range(count)]
    new = [resource(TOPIC, f"t{number:04}", {"displayName": "ö" * letters}) for number in range(count)]
    return plan(*old, resource(BUCKET, "data")), plan(*new)


def test_what_is_too_long_loses_the_least_risky_first_and_says_how_much() -> None:
    text = one(*many(1_200, 40))
    assert LIMIT - 3_000 < size(text) <= LIMIT
    assert "`aws:s3:Bucket` `data` is deleted" in text
    assert "- aws:s3:Bucket data" in text
    (left_out,) = re.findall(r"\*\*Too long for a comment:\*\* (\d+) changed resources left out", text)
    assert text.count("~ aws:sns:Topic") + int(left_out) == 1_200
    assert text.count("<details>") == text.count("</details>") == 1
    assert text.count("```") == 2


@pytest.mark.parametrize("limit", [600, 1_000, 3_000, 10_000, 65_536])
def test_no_limit_is_passed_counted_in_bytes(limit: int) -> None:
    text = one(*many(500, 200), limit=limit)
    assert size(text) <= limit
    assert text.startswith(MARKER)
    assert URL in text


def test_risks_are_left_out_last_and_counted() -> None:
    gained = [allow("s3:GetObject", f"arn:aws:s3:::bucket-{number}/*") for number in range(60)]
    base, head = [resource(BUCKET, "data"), *role(allow("s3:ListBucket"))], role(allow("s3:ListBucket"), *gained)
    text = one(plan(*base), plan(*head), limit=2_000)
    assert "`aws:s3:Bucket` `data` is deleted" in text
    assert "<details>" not in text
    (left_out,) = re.findall(r"(\d+) things to look at and 2 changed resources left out", text)
    assert text.count("`role app` gains `s3:GetObject`") + int(left_out) == 60


def test_more_than_github_counts_in_any_unit_is_never_sent() -> None:
    text = one(*many(900, 100))
    assert max(len(text), len(text.encode("utf-16-le")) // 2, len(text.encode())) <= 65_536
    assert size(superseded(text, "c" * 40)) <= 65_536


# --- overtaken ---


def test_an_older_comment_says_what_has_overtaken_it_once() -> None:
    body = one(plan(), plan(resource(TOPIC, "a")))
    older = superseded(body, "c" * 40)
    assert older.splitlines()[:2] == [MARKER, f"> **Superseded by `{'c' * 40}`:** what follows is of an older commit."]
    assert older.endswith(body.partition("\n")[2])
    assert superseded(older, "c" * 40) == older
    assert superseded(older, "d" * 40).count("Superseded") == 1


# --- hostile ---


def everywhere(text: str) -> tuple[Plan, Plan, Any, Failure]:
    """Two plans, findings and a failure with a text in every field that holds one."""

    def rows(value: Any) -> list[dict[str, Any]]:
        name = text.replace("::", "..") or "x"
        urn = f"{HEAD}{BUCKET}::{name}"
        place = {"file": text or "x", "line": 1}
        return [
            resource(
                BUCKET,
                name,
                {"bucket": value, text: text, "tags": {text: value}},
                urn=urn.replace("\n", " "),
                source=place,
            ),
            resource(
                TOPIC,
                "policy",
                {"policy": json.dumps({"Statement": [allow(text, value, Principal=text)]})},
                source=place,
            ),
            resource(
                "aws:iam/role:Role",
                name,
                {"name": text, "permissionsBoundary": text + str(value)},
                options={text: value},
            ),
            resource(
                TOPIC, "script", {"userData": base64.b64encode(f"#!/bin/sh\n{text}\n{value}\nlonger".encode()).decode()}
            ),
        ]

    waiver = dict.fromkeys(("owner", "approver", "reason", "ticket", "expires"), text)
    found = findings(
        finding(text, message=text, name=text, type=text, file=text, path=text),
        finding("GW-2", fingerprint="0" * 31 + "2", status="waived", waiver=waiver, name=text, blocks=False),
        errors=[text or "x"],
    )
    old = plan(*rows(text + "1"), resource(BUCKET, "gone"), config={f"demo:{text}": text}, outputs={text: text})
    new = plan(*rows(text + "2"), config={f"demo:{text}": text + "2"}, outputs={text: text + "2"})
    return old, new, found, Failure("prod", "head", text or "x")


def shown_page(text: str) -> str:
    old, new, found, failure = everywhere(text)
    step = {"op": "delete", "urn": text, "type": BUCKET, "name": text, "changed": [text], "replacing": [text]}
    told = {"version": 1, "stack": "dev", "commit": "a" * 40, "release": "sha256:" + "0" * 64, "omitted": 0}
    cloud = CloudPreview.parse({**told, "changes": {"delete": 1}, "steps": [step]})
    row = stack("dev", old, new, base_found=findings(), head_found=found)
    return said(row, failures=(failure,), cloud=[cloud])


ALLOWED = {
    "!--", "h3", "table", "thead", "tbody", "tr", "th", "td", "p", "sub", "strong", "code", "pre", "ul", "li",
    "details", "summary", "a", "span", "em",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_every_field_makes_no_markup(text: str) -> None:
    check_page(text)


@given(st.text("`<>&[]()!*_~|\\#-+=.:@/\n 1aw\u202e\x1b", max_size=12))
@settings(max_examples=40, deadline=None)
def test_no_text_in_any_field_makes_markup(text: str) -> None:
    check_page(text)


def check_page(text: str) -> None:
    source = shown_page(text)
    parsed = page(source)
    assert set(parsed.tags) <= ALLOWED
    assert parsed.tags.count("!--") == 1
    assert parsed.tags.count("a") == 1
    assert parsed.tags.count("details") == parsed.tags.count("summary") == 1
    assert parsed.tags.count("h3") == 2
    assert not filtered("".join(parsed.outside))
    assert all(letter.isprintable() or letter in "\n\u200b" for letter in source)


FORMS = ("as it is", "json", "json in json", "base64", "base64 behind one", "lines")
# A storage account's key is known by its length: a letter before it makes another text.
PLANTED = [(secret, form) for secret in SECRETS for form in FORMS if (secret, form) != (AZURE_KEY, FORMS[4])]


@pytest.mark.parametrize(("secret", "form"), PLANTED, ids=lambda value: value[:12])
def test_secrets_in_every_field_are_hidden_by_how_they_look(secret: str, form: str) -> None:
    text = shown_page(forms(secret)[form])
    first = secret.splitlines()[1] if "\n" in secret else secret
    assert first not in text
    assert not any(first in found for word in re.findall(r"[A-Za-z0-9+/_=-]{16,}", text) for found in decoded(word))


@pytest.mark.parametrize("form", forms("x"))
def test_a_secret_that_is_known_is_hidden_in_every_form(form: str) -> None:
    secret = "correct-horse-battery"
    old, new, found, failure = everywhere(forms(secret)[form])
    row = stack("dev", old, new, base_found=findings(), head_found=found)
    text = said(row, failures=(failure,), redactor=Redactor([secret], {}))
    assert secret not in text
    assert not any(secret in found for word in re.findall(r"[A-Za-z0-9+/_=-]{16,}", text) for found in decoded(word))


def test_a_secret_by_its_place_is_hidden() -> None:
    old, new = (
        plan(
            resource(
                "aws:rds/instance:Instance", "a", {"password": f"plain words {n}", "x": {"clientSecret": f"more {n}"}}
            )
        )
        for n in "12"
    )
    text = one(old, new)
    assert "plain words" not in text
    assert "more" not in text.replace("more letters", "")
    assert HIDDEN in text


def nests(kind: str) -> str:
    """A text that whoever reads what is in it would follow far down."""
    text = "[1]"
    if kind == "deep":
        return "[" * 40_000 + "]" * 40_000
    for _ in range(12):
        text = json.dumps([text]) if kind == "json" else base64.b64encode(text.encode()).decode()
    return json.dumps([text, "[" * 60 + "]" * 60])


@pytest.mark.parametrize("kind", ["deep", "json", "base64"])
def test_texts_that_nest_are_read_only_so_far(kind: str) -> None:
    old, new = (plan(resource(TOPIC, "a", {"policy": nests(kind), "n": number})) for number in (1, 2))
    new["resources"][1]["inputs"]["policy"] += " "
    assert "!     n: 1 → 2" in one(old, new)


# --- lines of a diff ---


def lines(old: Any, new: Any, path: str = "x", **more: Any) -> list[str]:
    return property_lines(Property(path, old, new, **more), Redactor((), {}))


def test_a_value_is_one_line_where_both_are_short_and_two_where_not() -> None:
    assert lines(1, 2) == ["!     x: 1 → 2"]
    assert lines("a" * 60, "b") == [f'-     x: "{"a" * 60}"', '+     x: "b"']
    assert lines(MISSING, True) == ["+     x: true"]
    assert lines([1], MISSING, forces=True) == ["-     x: [1]  ← may make it anew"]
    assert lines(False, True, "protect", option=True) == ["!     [protect]: false → true"]


def test_a_long_value_is_shortened_around_where_it_differs() -> None:
    before, after = lines("a" * 500 + "1" + "b" * 500, "a" * 500 + "2" + "b" * 500)
    assert re.fullmatch(r"-     x: …a{24}1b{95}… \(406 more letters\)", before)
    assert len(after) == len(before)


def test_a_script_is_compared_line_by_line() -> None:
    old, new = (base64.b64encode(f"#!/bin/sh\nset -e\necho {n}\nexit\n".encode()).decode() for n in "12")
    assert lines(old, new) == [
        "!     x:", "          set -e", "-         echo 1", "+         echo 2", "          exit",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"$secret": True}, "[secret]"),
        ({"$unknown": True}, "[unknown]"),
        ({"$resource": f"{HEAD}{BUCKET}::data"}, "resource data"),
        ({"$asset": {"kind": "file", "path": "a.zip", "sha256": "0" * 64}}, "asset a.zip 000000000000"),
        ({"$archive": {"kind": "remote", "uri": "https://x.example/a"}}, "archive https://x.example/a"),
        ("a\nb", '"a\\nb"'),
        ('{"b": 1, "a": 2}', '{"b": 1, "a": 2}'),
    ],
)
def test_what_a_plan_marks_is_told_in_words(value: Any, text: str) -> None:
    assert shown(value) == text


def test_a_new_resource_shows_its_inputs_but_for_labels() -> None:
    inputs = {"tags": {"a": "b"}, **{f"i{number}": number for number in range(12)}}
    (change,) = compare(plan(), plan(resource(TOPIC, "a", inputs))).resources
    told = change_lines(change, Redactor((), {}))
    assert told[:2] == ["+ aws:sns:Topic a  # stacks/__main__.py:3", "+     i0: 0"]
    assert told[-1] == "+     … 4 more"


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (BUCKET, "aws:s3:Bucket"),
        ("gcp:projects/iAMMember:IAMMember", "gcp:projects:IAMMember"),
        ("azure-native:storage:StorageAccount", "azure-native:storage:StorageAccount"),
        ("kubernetes:core/v1:Service", "kubernetes:core/v1:Service"),
    ],
)
def test_types_are_told_as_pulumi_tells_them(token: str, text: str) -> None:
    assert short_type(token) == text


# --- the example ---


def test_the_example_is_what_the_code_makes_today() -> None:
    assert example.PAGE.read_text(encoding="utf-8") == example.page(), "run python -m tests.rollout.example"


def test_readme_shows_the_beginning_of_the_example() -> None:
    readme = example.README.read_text(encoding="utf-8")
    assert example.with_beginning(readme) == readme, "run python -m tests.rollout.example"
    assert readme.count(example.BEGIN) == readme.count(example.END) == 1
    assert "> **Wider permissions**" in readme


def test_the_example_shows_every_kind_of_risk_in_order() -> None:
    text = example.page()
    titles = [
        "Data that may be lost",
        "Open to the public",
        "Wider permissions",
        "Fewer of what runs",
        "**Policies**",
        "<details>",
    ]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)


def test_the_edits_of_the_example_are_still_possible() -> None:
    for name, old, _ in example.EDITS:
        assert (example.ROOT / name).read_text(encoding="utf-8").count(old) == 1, name
