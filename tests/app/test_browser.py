"""The pages as people meet them: a real browser, at a desk and on a phone, with the keyboard alone.

Skipped, with a sentence, where no Chromium is installed. Pictures of all pages are left in measured/pages.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app import documents
from tests.app.browser import Browser, Page, find
from tests.app.processes import ROOT, Running, environment, moto_server, run, s3, wait_until_ready

pytestmark = [
    pytest.mark.drawn(4),
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),  # one service and one browser for all
    pytest.mark.skipif(find() is None, reason="no Chromium is installed: the pages were not seen in a browser"),
]
CHECKS = (Path(__file__).parent / "browser_checks.js").read_text()
VERDICT: dict[str, Any] = {
    "schema": "drift/1",
    "checked": "2026-11-21T10:00:00Z",
    "rows": 402,
    "share": 0.31,
    "accuracy": None,
    "rebuild": True,
    "reasons": ["The last 402 heights are 31% away from those of the last model build."],
}
NOTHING = "\u2013"  # a dash, where there is no weight yet
WIDTHS = {"desk": 1280, "phone": 390}
PICTURES = ROOT / "measured/pages"
AXE = ROOT / ".venv-axe/node_modules/axe-core/axe.min.js"  # make install-axe


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service with a published model, as `make up` starts it."""
    with moto_server() as url:
        variables = {**environment(url), "SPOOL": str(tmp_path_factory.mktemp("spool"))}
        for command in ("train", "evaluate", "publish"):
            done = run([command], variables)
            assert done.returncode == 0, done.stderr
        verdict = {**VERDICT, "model": json.loads(done.stdout)["version"]}
        s3(url).put_object(Bucket="models", Key="height-weight/drift.json", Body=documents.dump(verdict))
        with Running(variables) as running:
            wait_until_ready(running.url)
            yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, service: Running, browser: Browser) -> Iterator[Page]:
    """The home page at each width; nothing that it did may have come from elsewhere or have been complained about."""
    opened = browser.open(service.url + "/", width=WIDTHS[request.param])
    opened.wait("document.querySelector('#plot svg .fit') && document.querySelector('#card').children.length")
    yield opened
    assert {address.split("/")[2] for address in opened.requests()} == {service.url.split("/")[2]}
    refused = [each for each in opened.complaints() if "status of 400" not in each]  # the browser notes what is refused
    assert not refused
    opened.close()


def check(page: Page, name: str) -> Any:
    """What one of browser_checks.js has to say."""
    text = CHECKS[CHECKS.index("({") :]
    return page.js(f"{text}.{name}()")


def focused(page: Page) -> str:
    return str(page.js("document.activeElement.id || document.activeElement.textContent.trim()"))


def ask(page: Page, height: str) -> None:
    """Types a height and asks, by the keyboard."""
    page.js("document.getElementById('height').select()")
    page.type(height)
    page.press("Enter")


def answered(page: Page) -> str:
    """The weight that is shown, once there is one."""
    page.wait(f"document.getElementById('weight').textContent !== '{NOTHING}'")
    return page.text("#answer")


def test_a_height_gets_a_weight_and_its_interval_by_the_keyboard_alone(page: Page) -> None:
    seen = []
    for _ in range(12):
        page.press("Tab")
        seen.append(focused(page))
        ring = page.js(
            "getComputedStyle(document.activeElement.matches('.choice input') ? "
            "document.activeElement.nextElementSibling : document.activeElement).outlineStyle"
        )
        assert ring != "none", f"nobody sees that {seen[-1]} has the focus"
        if "Predict the weight" in seen:
            break
    assert seen == ["Skip to the form", "Groundwork", "API", "Metrics", "height", "unit-in", "Predict the weight"]
    page.press("Tab", shift=True)
    page.press("Tab", shift=True)
    page.type("68")
    page.press("Enter")
    shown = answered(page)
    weight, low, high = (float(each) for each in re.findall(r"(\d+\.\d) ?", shown)[:3])
    assert 120 < weight < 135
    assert low < weight < high
    assert abs((low + high) / 2 - weight) < 0.11
    assert page.js("document.querySelectorAll('#plot .point').length") == 1
    assert page.js("document.querySelector('#plot .tag').textContent") == f"{weight} lb"
    assert page.js("document.getElementById('answer').getAttribute('aria-live')") == "polite"


def test_the_skip_link_leads_to_the_form(page: Page) -> None:
    page.press("Tab")
    page.press("Enter")
    assert focused(page) == "height"


def test_units_are_chosen_with_arrows_and_what_was_answered_is_shown_in_the_other_one(page: Page) -> None:
    ask_first = "document.getElementById('height').focus()"
    page.js(ask_first)
    ask(page, "68")
    answered(page)
    page.press("Tab")
    page.press("ArrowRight")
    page.wait("document.getElementById('weight-unit').textContent === 'kg'")
    assert page.js("document.getElementById('height').value") == "172.7"
    assert "height, cm" in page.js("document.querySelector('#plot svg').textContent")
    assert 54 < float(page.text("#weight")) < 62


def test_feet_and_inches_and_a_decimal_comma_are_understood(page: Page) -> None:
    ask(page, "5'8\"")
    first = answered(page).split()[0]
    ask(page, "68,0")
    page.wait("document.getElementById('height').value === '68,0'")
    assert answered(page).split()[0] == first


def test_what_is_wrong_is_said_in_words_next_to_the_field(page: Page) -> None:
    assert page.js("document.getElementById('height').getAttribute('aria-describedby')") == "height-says"
    for height, words in {
        "": "Type a height",
        "tall": "is no number",
        "12": "people are 20 to 110 in tall",
        "20": "no sensible weight",
    }.items():
        ask(page, height)
        page.wait(f"document.getElementById('height-says').textContent.includes('{words}')")
        assert page.js("document.getElementById('height').getAttribute('aria-invalid')") == "true"
        assert focused(page) == "height"
        assert page.text("#weight") == NOTHING
    ask(page, "68")
    answered(page)
    assert page.js("document.getElementById('height').hasAttribute('aria-invalid')") is False
    assert "no sensible weight" not in page.text("#height-says")


def test_the_true_weight_is_told_for_the_prediction_that_was_shown(page: Page, service: Running) -> None:
    before = told(service)
    assert page.js("document.getElementById('true-weight').matches(':disabled')") is True
    ask(page, "70")
    answered(page)
    page.js("document.getElementById('height').focus()")
    while focused(page) != "true-weight":
        page.press("Tab")
    page.press("Enter")
    page.wait("document.getElementById('true-weight').getAttribute('aria-invalid') === 'true'")
    assert "Type a weight" in page.text("#feedback-says")
    page.type("9999")
    page.press("Enter")
    page.wait("document.getElementById('feedback-says').textContent.includes('people weigh')")
    page.js("document.getElementById('true-weight').select()")
    page.type("140")
    page.press("Enter")
    page.wait("document.getElementById('feedback-says').dataset.kind === 'good'")
    assert re.search(r"off by \d+\.\d lb, within its interval", page.text("#feedback-says"))
    assert page.js("document.querySelectorAll('#plot .told').length") == 1
    assert told(service) == before + 1


def told(service: Running) -> float:
    """How many true weights the service has counted."""
    metrics = urllib.request.urlopen(service.url + "/metrics").read().decode()
    return float(re.search(r"^feedback_total (\S+)$", metrics, re.MULTILINE)[1])  # type: ignore[index] # it is there


def test_nothing_on_the_page_jumps(page: Page) -> None:
    """Cumulative layout shift, of everything that happened since the page was opened, typing included."""
    page.js("document.getElementById('height').focus()")
    ask(page, "12")
    page.wait("document.getElementById('height-says').dataset.kind === 'wrong'")
    ask(page, "71")
    answered(page)
    assert check(page, "jumps") == []


def test_drift_and_latency_are_shown_as_the_service_tells_them(page: Page) -> None:
    ask(page, "69")
    answered(page)
    page.wait(f"document.getElementById('p50').textContent !== '{NOTHING}'")
    assert re.search(r"99 of 100 within [\d.]+ ms", page.text("#latency-says"))
    meter = page.js(
        "Object.fromEntries([...document.getElementById('drift-meter').attributes].map(a => [a.name, a.value]))"
    )
    assert meter["role"] == "meter"
    assert 0 <= float(meter["aria-valuenow"]) <= float(meter["aria-valuemax"]) == 0.5
    assert meter["aria-valuetext"] == "0.31 of 0.25"
    assert meter["data-state"] == "over"
    assert page.text("#drift-says") == f"Judged 2026-11-21 10:00 UTC: rebuild. {VERDICT['reasons'][0]}"


def test_a_service_that_is_gone_is_told_in_words(service: Running, browser: Browser) -> None:
    page = browser.open(service.url + "/")
    page.wait("document.querySelector('#state').dataset.state === 'ready'")
    page.send(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    ask(page, "68")
    page.wait("document.getElementById('height-says').dataset.kind === 'wrong'")
    assert "cannot be reached" in page.text("#height-says")
    assert page.js("document.querySelector('#state').dataset.state") == "trouble"
    page.close()


@pytest.mark.parametrize(
    ("path", "width", "dark"),
    [
        ("/", "desk", False),
        ("/", "desk", True),
        ("/", "phone", False),
        ("/", "phone", True),
        ("/docs", "desk", True),
        ("/docs", "phone", False),
    ],
)
def test_text_stands_out_controls_have_names_and_are_large_enough(
    width: str, path: str, dark: bool, service: Running, browser: Browser
) -> None:
    page = browser.open(service.url + path, width=WIDTHS[width], dark=dark)
    if path == "/":
        page.wait("document.querySelector('#plot svg .fit') && document.querySelector('#card').children.length")
        ask(page, "12")
        page.wait("document.getElementById('height-says').dataset.kind === 'wrong'")
        assert check(page, "contrast") == []
        ask(page, "71")
        answered(page)
    assert check(page, "contrast") == []
    assert check(page, "nameless") == []
    assert check(page, "small") == []
    assert check(page, "wide") == []
    assert page.js("document.documentElement.scrollWidth <= document.documentElement.clientWidth") is True
    headings = page.js("[...document.querySelectorAll('h1, h2, h3, h4')].map((each) => Number(each.tagName[1]))")
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert (
        page.js("document.documentElement.lang && document.title && document.querySelectorAll('main').length === 1")
        is True
    )
    assert not page.complaints() or path == "/"
    axe(page)
    keep(page, f"{'docs' if path == '/docs' else 'home'}-{width}-{'dark' if dark else 'light'}")
    page.close()


def axe(page: Page) -> None:
    """The same by axe-core, where it is installed."""
    if AXE.exists():
        page.js(AXE.read_text() + ";0")
        found: list[dict[str, Any]] = page.js("axe.run().then((found) => found.violations)")
        assert not found, json.dumps(
            [[each["id"], [node["html"] for node in each["nodes"]]] for each in found], indent=1
        )


def keep(page: Page, name: str) -> None:
    """Leaves a picture of the whole page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(PICTURES / f"{name}.png", whole=True)
