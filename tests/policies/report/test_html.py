import dataclasses
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from policies.check import Report, check
from policies.finding import NotAssessed, Waiver
from policies.report import html, view
from policies.report.html import render
from tests.policies import samples

VOID = {"meta", "input", "br", "img", "path", "circle", "use", "rect"}
HOSTILE = [
    "</script><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "' onmouseover='alert(1)",
    "</title></style><svg onload=alert(1)>",
    "{{ 7*7 }}{% raw %}{# #}",
    "javascript:alert(1)",
    "&lt;b&gt;&amp;",
    "-->]]>",
    "photo\u202egpj.exe",
    "zero\u200bwidth\x00nul",
    "a" * 3000,
]


class Page(HTMLParser):
    """The elements of a page, each with its attributes and all the text in it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.all: list[tuple[str, dict[str, str], list[str]]] = []
        self.stack: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node: tuple[str, dict[str, str], list[str]] = (tag, {name: value or "" for name, value in attrs}, [])
        self.all.append(node)
        if tag not in VOID:
            self.stack.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, _, texts in self.stack:
            texts.append(data)

    def having(self, tag: str, **wanted: str) -> list[tuple[dict[str, str], str]]:
        return [
            (attributes, "".join(texts))
            for name, attributes, texts in self.all
            if name == tag
            and all(
                value in attributes.get(key.strip("_").replace("_", "-"), "").split() for key, value in wanted.items()
            )
        ]


def page_of(report: Report) -> Page:
    return Page(render(report))


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return samples.report(tmp_path)


def judged(tmp_path: Path, *rows: dict[str, Any], rules: Any = (), **more: Any) -> Report:
    """The report of one stack of these resources."""
    rules = rules or (samples.rule(1), samples.rule(2, "low", "advisory"))
    return check(
        {"dev.json": samples.plan(*rows)}, samples.waivers(tmp_path), samples.TODAY, samples.assessor(*rules, **more)
    )


def test_a_page_counts_what_the_report_counts(report: Report) -> None:
    page = page_of(report)
    found = Counter(row.status for row in report.findings)
    shown = Counter(
        {
            status: sum(len(re.findall(r"dev|prod", text)) for text in _places(page, status))
            for status in ("fail", "undetermined", "waived", "pass")
        }
    )
    assert shown == found
    assert found["fail"]
    assert found["waived"]
    tallies: Counter[str] = Counter()
    for _, text in page.having("details", class_="card"):
        for status, word in view.WORDS.items():
            tallies[status] += sum(int(number) for number in re.findall(rf"(\d+) {word} ", text.partition("GW-")[0]))
    assert tallies == found


def _places(page: Page, status: str) -> list[str]:
    """The stacks of each item of a status."""
    parts = page.having("li", data_status=status) if status != "pass" else page.having("div", data_status="pass")
    names = {"broken", "data", "hidden", "sound"}
    return [" ".join(word for word in re.findall(r"\w+", text) if word in {"dev", "prod"} | names) for _, text in parts]


def test_the_summary_of_each_stack_adds_up_to_that_of_all(report: Report) -> None:
    *rows, everything = view.summary(report)
    assert [row.stack for row in rows] == ["dev", "prod"]
    for field in ("failed", "counts"):
        for name, count in getattr(everything, field).items():
            assert sum(getattr(row, field)[name] for row in rows) == count
    assert sum(everything.counts.values()) == len(report.findings)
    assert everything.not_assessed == sum(row.not_assessed for row in rows) == len(report.not_assessed)
    assert rows[0].failed != rows[1].failed


@pytest.mark.sampled(3)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(text: str, tmp_path: Path) -> None:
    row = samples.resource(text, {"fails": [text]}, source={"file": text, "line": 3}, type=f"aws:s3/x:{text}")
    good = samples.resource(text, {}, urn=f"urn:pulumi:dev::shop::x::{text}-2")
    rule = dataclasses.replace(samples.rule(1), types=(row["type"], samples.BUCKET), title=text, why=text, mend=text)
    missed = NotAssessed("tests", "dev", row["urn"], row["type"], text, text)
    found = judged(tmp_path, row, good, rules=(rule,), not_assessed=[missed])
    waiver = Waiver(rule.id, row["urn"], text, text, text, text, "2026-12-01")
    findings = tuple(
        dataclasses.replace(each, status="waived", waiver=waiver) if each.status == "fail" else each
        for each in found.findings
    )
    findings += (dataclasses.replace(findings[0], status="fail", path=text, message=text, waiver=None),)
    found = dataclasses.replace(
        found, findings=findings, waivers=(waiver,), errors=(text,), versions={text: text}, commit=text
    )
    plain = judged(tmp_path, samples.resource("plain", {"fails": ["x"]}), samples.resource("fine", {}))
    page, other = page_of(found), page_of(plain)
    assert len(page.having("script")) == len(other.having("script")) == 1
    assert {tag for tag, _, _ in page.all} <= {tag for tag, _, _ in other.all} | {"time", "b", "small", "h3", "ol"}
    assert not [name for _, attributes, _ in page.all for name in attributes if name.startswith("on")]
    assert not [value for _, attributes, _ in page.all for key, value in attributes.items()
                if key in ("href", "src", "action") and not value.startswith("#")]  # fmt: skip
    assert html._visible(text[:60]) in "".join(page.having("body")[0][1])
    assert not re.search("[\x00\u200b\u202e]", "".join(text for _, _, texts in page.all for text in texts))


def test_nothing_outside_the_page_is_loaded_and_the_policy_of_its_content_forbids_it(report: Report) -> None:
    text = render(report)
    page = Page(text)
    for tag, attributes, _ in page.all:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        for key, value in attributes.items():
            assert key not in ("src", "srcset", "style", "action", "background")
            assert key != "href" or value.startswith("#")
    (policy,) = [row["content"] for row, _ in page.having("meta") if "http-equiv" in row]
    assert policy.startswith("default-src 'none'; ")
    (style,) = page.having("style")
    (script,) = page.having("script")
    assert "unsafe" not in policy
    assert html._digest(style[1]) in policy
    assert html._digest(script[1]) in policy
    assert not re.search(r"url\(|@import|//[a-z]|fetch|XMLHttp|innerHTML|eval\(", style[1])
    assert not re.search(r"fetch|XMLHttp|innerHTML|eval\(|document\.write|import\(", script[1])


def test_all_anchors_resolve_and_no_id_stands_twice(report: Report) -> None:
    page = page_of(report)
    ids = Counter(attributes["id"] for _, attributes, _ in page.all if "id" in attributes)
    assert set(ids.values()) == {1}
    links = [attributes["href"] for _, attributes, _ in page.all if "href" in attributes]
    assert len(links) > 30
    assert not [link for link in links if link.removeprefix("#") not in ids]
    assert {view.anchor(row) for row in report.findings if row.status != "pass"} <= ids.keys()


def test_two_pages_differ_only_in_the_time_at_which_they_were_made(tmp_path: Path) -> None:
    first, second = samples.report(tmp_path), samples.report(tmp_path)
    first = dataclasses.replace(first, made="2026-11-21T08:00:00+00:00")
    second = dataclasses.replace(second, made="2026-11-21T09:30:00+00:00")
    assert render(first) != render(second)
    assert render(first).replace(first.made, "") == render(second).replace(second.made, "")


def test_a_page_says_of_each_finding_what_why_how_to_mend_it_and_where(report: Report) -> None:
    page = page_of(report)
    card = next(
        text for attributes, text in page.having("details", class_="card") if attributes["id"] == "p-GW-TEST-001"
    )
    for part in (
        "Rule 1 holds",
        "Whoever breaks it is in the tests.",
        "Write what the rule wants.",
        "AC-6",
        "infra/store.py:3",
        "It has acl.",
        "GW-TEST-001",
        "The bucket holds public samples.",
        "ml-platform",
        "SHOP-12",
    ):
        assert part in card


def test_findings_stand_worst_first(tmp_path: Path) -> None:
    rules = (samples.rule(1, "low"), samples.rule(2, "critical"), samples.rule(3, "high", "advisory"))
    page = page_of(judged(tmp_path, samples.resource("data", {"fails": ["acl"]}), rules=rules))
    order = [attributes["id"] for attributes, _ in page.having("details", class_="card")]
    assert order == ["p-GW-TEST-002", "p-GW-TEST-001", "p-GW-TEST-003"]


def test_a_policy_stands_under_the_heading_of_its_worst_finding(report: Report) -> None:
    page = page_of(report)
    text = "".join(page.having("section", id="findings")[0][1].split())
    assert [row["data-group"] for row, _ in page.having("h3", class_="group")] == ["fail"]
    assert text.index("Failed") < text.index("Rule1holds")
    assert {row["class"] for row, _ in page.having("details", class_="card")} == {"card fail"}
    passed = dataclasses.replace(report, findings=tuple(row for row in report.findings if row.status == "pass"))
    assert [row["data-group"] for row, _ in page_of(passed).having("h3", class_="group")] == ["pass"]


def test_the_same_answer_in_two_stacks_is_shown_once_and_another_one_apart(tmp_path: Path) -> None:
    def found(other: str) -> list[list[str]]:
        plans = {
            stack: samples.plan(samples.resource("data", {"fails": [path]}, stack=stack), stack=stack)
            for stack, path in (("dev", "acl"), ("prod", other))
        }
        (card,) = view.cards(check(plans, samples.waivers(tmp_path), samples.TODAY, samples.assessor(samples.rule(1))))
        return [[place.stack for place in item.places] for item in card.open]

    assert found("acl") == [["dev", "prod"]]
    assert found("tags") == [["dev"], ["prod"]]


@pytest.mark.parametrize(
    ("inputs", "changes", "tone"),
    [
        ({}, {}, "good"),
        ({"fails": ["acl"]}, {}, "bad"),
        ({"wonders": ["acl"]}, {}, "bad"),
        ({}, {"errors": ("A waiver has expired.",)}, "bad"),
        ({}, {"findings": ()}, "bad"),
    ],
)
def test_only_what_was_judged_and_passed_is_green(
    inputs: dict[str, Any], changes: dict[str, Any], tone: str, tmp_path: Path
) -> None:
    found = dataclasses.replace(judged(tmp_path, samples.resource("data", inputs)), **changes)
    page = page_of(found)
    assert page.having("div", class_="verdict")[0][0]["class"] == f"verdict {tone}"
    assert {row["class"] for row, _ in page.having("td", class_="tone")} == {f"tone {tone}"}
    for error in found.errors:
        assert error in page.having("div", class_="errors")[0][1]


@pytest.mark.parametrize("inputs", [{"fails": ["acl"]}, {"wonders": ["acl"]}])
def test_a_stack_with_advisory_findings_is_not_green(inputs: dict[str, Any], tmp_path: Path) -> None:
    found = judged(tmp_path, samples.resource("data", inputs), rules=(samples.rule(2, "low", "advisory"),))
    assert view.judged(found, found.findings)[0] == "fair"


def test_a_stack_with_a_waiver_is_not_green(tmp_path: Path) -> None:
    found = check(
        {"dev.json": samples.plan(samples.resource("data", {"fails": ["acl"]}))},
        samples.waivers(tmp_path, samples.waiver()),
        samples.TODAY,
        samples.assessor(samples.rule(1)),
    )
    assert view.judged(found, found.findings) == ("fair", "not stopped, with waivers")
    assert not page_of(found).having("b", class_="pass")


def test_a_waiver_tells_how_many_days_it_holds(report: Report) -> None:
    ((waiver, days, used),) = view.waivers(dataclasses.replace(report, made="2026-12-01T00:00:00+00:00"))
    assert (waiver.expires, days, used) == ("2026-12-31", 30, 1)
    text = page_of(dataclasses.replace(report, made="2026-12-30T00:00:00+00:00")).having("table", class_="rows")[0][1]
    assert "1 day" in text


def test_coverage_says_which_types_nobody_judged_and_what_a_tool_did_not_look_at(tmp_path: Path) -> None:
    queue = samples.resource(
        "jobs", {}, type="aws:sqs/queue:Queue", urn="urn:pulumi:dev::shop::aws:sqs/queue:Queue::jobs"
    )
    missed = NotAssessed("tests", "dev", queue["urn"], queue["type"], "It has no translation.")
    found = judged(tmp_path, samples.resource("data", {}), queue, not_assessed=[missed])
    tools, rows = view.coverage(found)
    assert tools == ("groundwork",)
    assert {row.type: (row.resources, row.by_tool["groundwork"], row.judged) for row in rows} == {
        samples.BUCKET: (1, 1, True),
        "aws:sqs/queue:Queue": (1, 0, False),
    }
    page = page_of(found)
    assert view.reached(found) == (1, 2)
    assert ["aws:sqs/queue:Queue" in text for _, text in page.having("tr", class_="unjudged")] == [True]
    assert "It has no translation." in page.having("details", class_="gaps")[0][1]


def test_two_projects_with_stacks_of_one_name_are_told_apart(tmp_path: Path) -> None:
    bucket = samples.resource("data", {}, urn=f"urn:pulumi:dev::other::{samples.BUCKET}::data")
    plans = {
        "a": samples.plan(samples.resource("data", {"fails": ["acl"]})),
        "b": samples.plan(bucket) | {"project": "other"},
    }
    found = check(plans, samples.waivers(tmp_path), samples.TODAY, samples.assessor(samples.rule(1)))
    assert [(row.stack, row.tone) for row in view.summary(found)] == [
        ("other/dev", "good"),
        ("shop/dev", "bad"),
        ("", "bad"),
    ]


def test_a_finding_of_a_resource_that_no_plan_holds_is_shown_all_the_same(report: Report) -> None:
    stray = dataclasses.replace(report.findings[0], urn="nonsense", name="stray")
    assert "stray" in page_of(dataclasses.replace(report, findings=(stray,))).having("details", class_="card")[0][1]


def test_a_page_of_ten_thousand_findings_is_small(tmp_path: Path) -> None:
    stacks = ("dev", "local", "prod", "staging")
    plans = {
        stack: samples.plan(
            *(
                samples.resource(f"bucket-number-{number}", {"fails": ["acl"]} if number % 10 == 0 else {}, stack=stack)
                for number in range(600)
            ),
            stack=stack,
        )
        for stack in stacks
    }
    rules = tuple(samples.rule(number, "medium", "advisory") for number in range(1, 6))
    found = check(plans, samples.waivers(tmp_path), samples.TODAY, samples.assessor(*rules))
    assert len(found.findings) == 12_000
    assert len(render(found).encode()) < 3_000_000


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_texts_contrast_with_what_is_behind_them_in_light_and_in_dark() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    style = (html.FOLDER / "page.css").read_text(encoding="utf-8")
    light, dark, *_ = (dict(re.findall(r"--([\w-]+): (#\w+)", part)) for part in re.findall(r":root {([^}]*)}", style))
    texts = ("text", "dim", "link", "critical", "high", "medium", "low", "undetermined", "waived", "pass")
    pairs = [(text, back) for text in texts for back in ("page", "card")]
    pairs += [("text", back) for back in ("bad-bg", "fair-bg", "good-bg", "mark")]
    pairs += [("on", back) for back in ("critical", "high", "medium", "low", "pass")]
    for theme in (light, dark):
        for text, back in pairs:
            low, high = sorted((luminance(theme[text]), luminance(theme[back])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} on {back}: {theme[text]} on {theme[back]}"
