from __future__ import annotations

import io
import json
import re
from statistics import NormalDist
from typing import Any

import pytest

from app import events, service
from app.drift import ENOUGH, EVERY, WINDOW, Drift
from tests.app.test_app_service import LINE, Fixed, ask, client_of


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_answer_is_one_line_with_route_status_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    client = client_of(Fixed())
    ask(client, {"height": 68})
    ask(client, {"height": "tall"})
    client.get("/secret-path?token=secret-value", headers={"Authorization": "secret-header"})
    found = told(capsys)
    assert [(line["event"], line["path"], line["status"]) for line in found] == [
        ("request", "/predict", 200),
        ("request", "/predict", 400),
        ("request", "none", 404),  # the path could hold anything
    ]
    assert all(set(line) == {"event", "path", "status", "seconds", "count", "request"} for line in found)
    assert all(line["seconds"] > 0 and line["count"] == 1 for line in found)


def test_of_many_answers_one_line_stands_for_many_and_the_counts_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    requests = events.Requests(lambda: now[0])
    for number in range(1_000):
        now[0] = number / 1_000
        requests.tell("/predict", 200, 0.001, f"r{number}")
    requests.tell_rest()
    requests.tell_rest()
    found = told(capsys)
    assert 10 <= len(found) <= 12
    assert sum(line["count"] for line in found) == 1_000
    assert (found[0]["count"], found[-1]["request"]) == (1, "r999")


def test_failures_are_told_one_by_one_among_many_answers_and_a_flood_of_them_is_bounded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    requests = events.Requests(lambda: now[0])
    for number in range(100):
        now[0] = number / 90
        requests.tell("/predict", 200, 0.001, "fine")
        requests.tell("/predict", 500, 0.001, f"failed-{number}")
    found = [line for line in told(capsys) if line["status"] == 500]
    assert len(found) >= 99
    for _ in range(1_000):
        requests.tell("/predict", 503, 0.001, "full")
    assert len(told(capsys)) == 1


def test_an_answer_names_the_request_in_the_line_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    response = client_of(Fixed()).post("/predict", json={"height": 68}, headers={"X-Request-Id": "mine"})
    assert (response.headers["X-Request-Id"], [line["request"] for line in told(capsys)]) == ("mine", ["mine"])


def test_what_the_platform_itself_asks_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    client = client_of(Fixed())
    for path in ("/healthz", "/readyz", "/metrics"):
        client.get(path)
    assert told(capsys) == []


def test_a_standard_output_that_nobody_reads_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Gone())
    events.tell("request", path="/predict")
    assert ask(client_of(Fixed()), {"height": 68}).status_code == 200


def people(mean: float = LINE.mean, count: int = ENOUGH) -> list[float]:
    """Heights as even as they can be of a normal distribution like that of LINE."""
    normal = NormalDist(mean, LINE.scale)
    return [normal.inv_cdf((index + 0.5) / count) for index in range(count)]


def test_drift_is_told_once_there_is_enough_and_then_once_a_while() -> None:
    said: list[float] = []
    now = [0.0]
    found = Drift(said.append, clock=lambda: now[0])
    found.observe(people()[: ENOUGH - 1], LINE)
    assert (said, found.share(LINE)) == ([], None)
    found.observe(people()[ENOUGH - 1 :], LINE)
    assert said == [pytest.approx(0.0, abs=0.02)]
    found.observe(people(count=2), LINE)
    assert len(said) == 1
    now[0] = EVERY
    found.observe(people(mean=LINE.mean + LINE.scale, count=WINDOW), LINE)
    assert said[1:] == [pytest.approx(1.0, abs=0.02)]  # the window holds the newest heights alone


def test_drift_is_an_event_and_a_metric(capsys: pytest.CaptureFixture[str]) -> None:
    client = service.create_app(Fixed()).test_client()
    assert "\ndrift_share " not in client.get("/metrics").text  # nothing is known yet
    tall = people(mean=LINE.mean + LINE.scale)
    ask(client, {"heights": tall})
    [share] = [line["share"] for line in told(capsys) if line["event"] == "drift"]
    assert share == pytest.approx(1.0, abs=0.02)
    [shown] = re.findall(r"^drift_share (.*)$", client.get("/metrics").text, re.MULTILINE)
    assert float(shown) == pytest.approx(share, abs=1e-4)
