from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
from flask.testing import FlaskClient

from app import documents, openapi, service
from app.cards import card
from app.dataset import generate
from app.drift import REBUILD
from app.serving import Models
from tests.app.lines import line
from tests.app.memory import Memory
from tests.app.test_app_service import Fixed

if TYPE_CHECKING:
    from tests.app.conftest import Stores

LINE = line()
ERRORS = {"rmse": 10.0, "mae": 8.0, "r2": 0.25}
CARD = card("a" * 16, LINE, generate(500, 1), {"training": ERRORS, "held_out": ERRORS, "baseline": ERRORS})


class Kept(Fixed):
    """Serves one model, whose store has this card, or none."""

    def __init__(self, text: bytes | None = documents.dump(CARD)) -> None:
        super().__init__(LINE)
        self.store = self.kept = Memory()
        if text is not None:
            manifest = {
                "schema": "model-manifest/2",
                "version": "a" * 16,
                "sha256": "a" * 64,
                "card": documents.sha256(documents.dump(CARD)),
                "reference": "b" * 64,
                "data": {"version": "d" * 16, "sha256": "d" * 64},
                "labels": None,
                "parameters": {"seed": 1, "share": 0.8, "trim": 3.0, "days": 28},
                "metrics": ERRORS,
                "code": {"release": "sha256:" + "e" * 64, "commit": "unknown"},
                "created": "2026-11-21T00:00:00Z",
            }
            self.kept.objects = {
                f"versions/{'a' * 16}/manifest.json": documents.dump(manifest),
                f"versions/{'a' * 16}/card.json": text,
            }


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return service.create_app(Kept()).test_client()


def status(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/status")
    assert response.status_code == 200
    return dict(json.loads(response.data))


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_may_load_from_its_own_origin_alone_and_nothing_inline(path: str, client: FlaskClient) -> None:
    response = client.get(path)
    assert response.content_type == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
    assert set(policy.values()) == {"'self'"}
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert not re.findall(r"<style|<script(?![^>]*\bsrc=)|\s(?:style|on\w+)=|javascript:", response.text)
    addresses = re.findall(r"""(?:src|href|action)=["']?([^"'\s>]*)""", response.text)
    assert len(addresses) > 3
    assert not [address for address in addresses if not re.match(r"/(?!/)|#", address)]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_what_a_page_names_is_there(path: str, client: FlaskClient) -> None:
    page = client.get(path).text
    for address in set(re.findall(r"""(?:src|href)="(/[^"#]*)["#]""", page)):
        assert client.get(address).status_code == 200, address
    names = set(re.findall(r'id="([^"]+)"', page))
    for name in re.findall(r'(?:href="#|for="|aria-(?:labelledby|describedby)=")([^"]+)"', page):
        assert set(name.split()) <= names, name


def test_the_script_asks_for_no_element_that_is_not_on_the_page(client: FlaskClient) -> None:
    script, page = client.get("/static/home.js").text, client.get("/").text
    asked = set(re.findall(r'\b(?:at|say)\("([a-z0-9-]+)"', script))
    assert len(asked) > 15
    assert asked <= set(re.findall(r'id="([^"]+)"', page))


def test_what_has_not_changed_is_not_sent_again(client: FlaskClient) -> None:
    for path in ("/", "/docs", "/openapi.json", "/static/style.css"):
        tag = client.get(path).headers["ETag"]
        again = client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "name", ["absent.js", "index.html", "docs.html", "../pages.py", "%2e%2e/pages.py", "..%2fpages.py", ""]
)
def test_no_other_file_is_to_be_had(name: str, client: FlaskClient) -> None:
    response = client.get(f"/static/{name}")
    assert response.status_code == 404
    assert response.content_type == "application/problem+json"


def test_the_page_of_the_api_has_each_operation_with_its_command(client: FlaskClient) -> None:
    page = client.get("/docs").text
    for operation in openapi.operations():
        assert f'id="{operation.name}"' in page
        escaped = operation.command.replace("'", "&#39;").replace('"', "&#34;")
        assert escaped in page


def test_the_page_says_nothing_that_its_reader_sent(client: FlaskClient) -> None:
    for path in ("/", "/docs"):
        response = client.get(
            f"{path}?q=%3Cscript%3E", headers={"Host": "evil.example", "Referer": "https://evil.example"}
        )
        assert b"evil.example" not in response.data
        assert b"%3C" not in response.data


def test_the_state_has_card_line_drift_and_traffic(client: FlaskClient) -> None:
    found = status(client)
    assert found["ready"] is True
    assert found["model"] == "a" * 16
    assert found["card"] == CARD
    assert found["line"] == {
        "slope": 3.0,
        "intercept": 127 - 68 * 3.0,
        "low": 60.0,
        "high": 76.0,
        "margin": LINE.margin(),
    }
    assert found["drift"] == {"share": None, "limit": REBUILD, "verdict": None}
    assert found["traffic"].keys() == {"requests", "p50", "p99"}


def test_predictions_move_the_state() -> None:
    client = service.create_app(Kept()).test_client()
    assert status(client)["traffic"] == {"requests": 0, "p50": None, "p99": None}
    for _ in range(3):
        client.post("/predict", json={"heights": [90.0] * 100})
    client.get("/metrics")
    found = status(client)
    assert found["traffic"]["requests"] == 3
    assert 0 < found["traffic"]["p50"] <= found["traffic"]["p99"] < 10
    assert found["drift"]["share"] > REBUILD


def test_without_a_model_the_state_says_why() -> None:
    models = Kept()
    models.served = Fixed(None).served
    found = status(service.create_app(models).test_client())
    assert (found["ready"], found["model"], found["card"], found["line"]) == (False, None, None, None)
    assert found["trouble"] == "No model was loaded yet."


@pytest.mark.parametrize("text", [None, b"{}", b"not JSON", documents.dump({**CARD, "purpose": "another"})])
def test_a_card_that_is_absent_or_not_the_manifest_s_is_not_shown(
    text: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    client = service.create_app(Kept(text)).test_client()
    with caplog.at_level(logging.WARNING, "app.pages"):
        assert status(client)["card"] is None
        assert status(client)["card"] is None
    assert len([record for record in caplog.records if record.name == "app.pages"]) == 1  # asked for once


def test_a_card_that_could_not_be_read_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("app.pages.monotonic", lambda: now[0])
    models = Kept()
    held, models.kept.objects = models.kept.objects, {}
    client = service.create_app(models).test_client()
    assert status(client)["card"] is None
    models.kept.objects = held
    now[0] += 29
    assert status(client)["card"] is None
    now[0] += 2
    assert status(client)["card"] == CARD
    models.kept.objects = {}
    assert status(client)["card"] == CARD  # it never changes


def test_a_model_that_was_published_shows_its_own_card(stores: Stores) -> None:
    version = stores.publish()
    models = Models(stores.models)
    models.refresh()
    found = status(service.create_app(models).test_client())
    assert found["card"]["version"] == found["model"] == version
    assert all(people >= 5 for _, _, people in found["card"]["cells"]["counts"])
