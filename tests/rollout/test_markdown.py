"""Hostile text stays text: read by a Markdown parser, and by the filters that GitHub runs over what it rendered."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rollout import markdown

RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = (
    "</details>",
    "<img src=x onerror=alert(1)>",
    "<!-- marker -->",
    "@octocat and @org/team",
    "#12 GH-12 org/repo#12 deadbeefcafe 0123456789abcdef0123456789abcdef01234567",
    "https://evil.example www.evil.example mailto:a@b.example a@b.example ftp://x.example",
    "[click](https://evil.example) ![pixel](https://evil.example/p.png) [x]: https://evil.example",
    "```\n# heading\n```",
    "`` ` ```` `",
    "| a | b |\n|---|---|\n| c | d |",
    "# heading",
    "- item",
    "+ item",
    "1. item",
    "12) item",
    "===",
    "---",
    "> quote",
    "    indented",
    "*bold* _it_ ~~gone~~ **b** __b__",
    "&lt;b&gt; &#60; &amp;",
    "\\` \\<b> \\",
    "line\nbreak\r\nbreak\u2028break",
    "a\u202eb\u2066c\u200b\u00adc\x1b[31m\x00\x07",
    ":tada: $x^2$ $$y$$",
    "[!WARNING] [^1]",
    "",
    " ",
    "`",
    "ends with `",
    "\t",
)
hostile = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=60), st.text("`<>&[]()!*_~|\\#-+=.:@/\n 1aw", max_size=40)
)


class _Page(HTMLParser):
    """The tags of a page, and its texts outside of code."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.shown: list[str] = []
        self.outside: list[str] = []
        self._code = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self._code += tag in ("code", "pre")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre")

    def handle_data(self, data: str) -> None:
        self.shown.append(data)
        if not self._code:
            self.outside.append(data)

    def handle_comment(self, data: str) -> None:
        self.tags.append("!--")


def page(source: str) -> _Page:
    parsed = _Page()
    parsed.feed(RENDERER.render(source))
    parsed.close()
    return parsed


def filtered(text: str) -> list[str]:
    """What GitHub's filters and its autolinks would find in a text outside of code."""
    return re.findall(
        r"@\w+|#\d+|\bGH-\d+|\b[0-9a-f]{7,40}\b|https?://\S|ftp://\S|\bwww\.\S|:[\w+-]+:|mailto:\w", text, re.ASCII
    )


def seen(text: str) -> str:
    """The text as a reader sees it: without gaps, its blanks as one."""
    return " ".join(text.replace("\u200b", "").split())


@given(hostile)
@example("*")
@example("&")
def test_hostile_text_is_shown_letter_by_letter_and_makes_nothing(text: str) -> None:
    shown = page(f"before {markdown.text(text)}")
    assert set(shown.tags) <= {"p", "span"}
    assert seen("".join(shown.shown)) == seen(f"before {markdown.printable(text)}")
    assert not filtered("".join(shown.outside))


@given(hostile)
def test_hostile_text_is_text_where_a_line_begins(text: str) -> None:
    shown = page(markdown.text(text))
    assert set(shown.tags) <= {"p", "span"}
    assert seen("".join(shown.shown)) == seen(markdown.printable(text))


@given(hostile)
def test_hostile_text_does_not_leave_an_html_element(text: str) -> None:
    shown = page(
        f"<details><summary>{markdown.text(text)} {markdown.code_in_html(text)}</summary>\n\nrest\n\n</details>"
    )
    assert [tag for tag in shown.tags if tag not in ("span",)] == ["details", "summary", "code", "p"]
    assert not filtered("".join(shown.shown))


@given(hostile)
def test_hostile_text_does_not_leave_a_cell(text: str) -> None:
    shown = page(f"| a | b |\n|---|---|\n| {markdown.text(text)} | {markdown.code_in_html(text)} |\n")
    assert [tag for tag in shown.tags if tag not in ("span",)].count("td") == 2
    assert set(shown.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "code", "span"}


@given(hostile)
def test_code_is_one_span_that_holds_every_letter(text: str) -> None:
    shown = page(f"before {markdown.code(text)} after")
    assert shown.tags == ["p", "code"]
    assert seen("".join(shown.shown).replace("\xa0", " ")) == seen(f"before {markdown.printable(text)} after")
    assert "".join(shown.outside).split() == ["before", "after"]


@given(hostile)
def test_a_block_is_one_fence_and_what_follows_is_outside(text: str) -> None:
    shown = page(f"{markdown.block(text, 'diff')}\n\nafter")
    assert shown.tags == ["pre", "code", "p"]
    assert "".join(shown.outside).split() == ["after"]


@given(hostile, hostile)
def test_a_link_leads_where_it_says_or_is_none(label: str, url: str) -> None:
    shown = page(f"see {markdown.link(label, 'https://example.com/' + url)}")
    assert set(shown.tags) <= {"p", "span", "a"}
    assert not filtered("".join(shown.outside))


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//x.example", "https://u:p@x.example", "https://[", "", "x"])
def test_an_address_that_is_not_of_the_web_makes_no_link(url: str) -> None:
    assert "a" not in page(markdown.link("label", url)).tags


def test_an_ordinary_link_is_one() -> None:
    assert 'href="https://example.com/a?b=c&amp;d=e#f"' in RENDERER.render(
        markdown.link("label", "https://example.com/a?b=c&d=e#f")
    )


@given(st.text(max_size=60))
def test_letters_that_hide_or_move_do_not_pass(text: str) -> None:
    assert all(letter.isprintable() for letter in markdown.printable(text))


def test_the_language_of_a_block_cannot_break_the_fence() -> None:
    assert markdown.block("x", "diff`\n# no").splitlines()[0] == "```"
