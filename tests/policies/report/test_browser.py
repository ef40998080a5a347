"""The page in a browser, at the width of a desk and of a phone."""

from pathlib import Path
from typing import Any

import pytest

from policies.report.html import render
from tests.policies import samples

SHOWN = """[...document.querySelectorAll('.card')].filter(card => !card.hidden)
    .flatMap(card => [...card.querySelectorAll('li')].filter(item => !item.hidden)
        .flatMap(item => [...item.querySelectorAll('i')].filter(place => !place.hidden)
            .map(place => `${card.id.slice(2)} ${item.closest('[data-status]').dataset.status} ${place.textContent}`)))
    .sort()"""
IN_SIGHT = """(() => {
    const node = document.getElementById('ANCHOR'), box = node.getBoundingClientRect();
    return node.contains(document.elementFromPoint(box.x + 2, box.y + box.height / 2));
})()"""
BROKEN = ("dev", "dev", "prod")  # where the resource `broken` fails, once for each path
Browser = Any  # conftest's; tests are no package


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(render(samples.report(tmp_path)), encoding="utf-8")
    return path


def test_it_asks_for_nothing_but_itself_and_says_no_error(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('details:not([open])').open = true")
    asked = [row["params"]["request"]["url"] for row in browser.events if row["method"] == "Network.requestWillBeSent"]
    assert asked == [page.as_uri()]
    assert not [row for row in browser.events if row["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]


@pytest.mark.parametrize("width", [1280, 390])
def test_it_never_scrolls_sideways(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    browser.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.run("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("#stack=prod", ["GW-TEST-001 fail prod", "GW-TEST-002 fail prod"]),
        (
            "#status=pass",
            ["GW-TEST-001 pass dev", "GW-TEST-002 pass dev"],
        ),
        ("#status=waived&severity=high", ["GW-TEST-001 waived dev"]),
        ("#text=HIDDEN%20wonders", []),
        ("#text=Hidden%20known", ["GW-TEST-001 undetermined dev", "GW-TEST-002 undetermined dev"]),
        ("#control=AC-6&stack=prod&severity=low", ["GW-TEST-002 fail prod"]),
        ("#control=SC-28", []),
        ("#cloud=gcp", []),
        ("#tool=groundwork&stack=prod&severity=high", ["GW-TEST-001 fail prod"]),
    ],
)
def test_a_link_shows_what_its_sender_saw(browser: Browser, page: Path, fragment: str, expected: list[str]) -> None:
    browser.open(page, fragment)
    assert browser.run(SHOWN) == expected
    assert browser.run("document.getElementById('shown').textContent").startswith(f"{len(expected)} of ")
    assert browser.run("document.getElementById('nothing').hidden") == bool(expected)


def test_filters_are_set_with_the_keyboard_and_kept_in_the_hash(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('[name=stack]').focus()")
    for _ in range(4):
        browser.press("Tab")
    assert browser.run("document.activeElement.name") == "tool"
    browser.run("document.querySelector('[name=text]').focus()")
    for letter in "broken":
        browser.press(letter)
    assert browser.run("location.hash") == "#text=broken"
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert browser.run(SHOWN) == [f"GW-TEST-00{rule} fail {stack}" for rule in (1, 2) for stack in BROKEN]
    browser.press("Tab")
    assert browser.run("document.activeElement.type") == "reset"
    browser.press("Enter")
    browser.run("new Promise(resolve => setTimeout(resolve, 50))")
    assert browser.run("location.hash") == ""
    assert len(browser.run(SHOWN)) == browser.run("document.querySelectorAll('.card i').length")


def test_a_mark_of_the_picture_leads_to_the_findings_of_its_resource(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run(
        "[...document.querySelectorAll('.picture a')].find(mark => mark.textContent.startsWith('hidden '))"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))"
    )
    assert browser.run(SHOWN) == ["GW-TEST-001 undetermined dev", "GW-TEST-002 undetermined dev"]
    browser.run("document.querySelector('#shown button').click()")
    assert len(browser.run(SHOWN)) == browser.run("document.querySelectorAll('.card i').length")


def test_a_link_to_a_finding_opens_what_folds_it(browser: Browser, page: Path) -> None:
    browser.open(page)
    anchor = browser.run("[...document.querySelectorAll('.card:not([open]) i[id]')].pop().id")
    browser.open(page, f"#{anchor}")
    assert browser.run(IN_SIGHT.replace("ANCHOR", anchor))


def test_a_link_to_a_finding_that_the_filters_hide_shows_it(browser: Browser, page: Path) -> None:
    browser.open(page)
    anchor = browser.run("document.querySelector('#p-GW-TEST-002 li[data-status=undetermined] i').id")
    browser.open(page, "#stack=prod")
    assert not browser.run(IN_SIGHT.replace("ANCHOR", anchor))
    browser.run(f"location.hash = '{anchor}'")
    browser.run("new Promise(resolve => setTimeout(resolve, 100))")
    assert browser.run(IN_SIGHT.replace("ANCHOR", anchor))
    assert browser.run("document.querySelector('[name=stack]').value") == ""


def test_without_javascript_everything_is_there_as_a_plain_list(browser: Browser, page: Path) -> None:
    browser.open(page, scripts=False)
    browser.call("DOM.enable")
    root = browser.call("DOM.getDocument", depth=1)["root"]["nodeId"]

    def visible(selector: str) -> list[bool]:
        nodes = browser.call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]
        return ["hidden" not in browser.call("DOM.getAttributes", nodeId=node)["attributes"] for node in nodes]

    assert visible("#filters") == [False]
    assert len(visible(".items li")) > 3
    assert all(visible(".card"))
    assert all(visible(".card li"))
