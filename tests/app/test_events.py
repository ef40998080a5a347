from __future__ import annotations

import io
import json
import statistics
from typing import Any

import pytest

from app import drift, events, service
from app.drift import ENOUGH, EVERY, REBUILD, WINDOW, Drift
from app.model import Model
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
    assert all(set(line) == {"event", "path", "status", "seconds"} and line["seconds"] > 0 for line in found)


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


def people(mean: float = LINE.mean, sd: float = LINE.scale, count: int = ENOUGH) -> list[float]:
    """Heights of exactly this mean and (population) standard deviation."""
    half = [1.0 if index % 2 else -1.0 for index in range(count)]
    return [mean + sd * each for each in half]


@pytest.mark.parametrize(
    ("heights", "share"),
    [
        (people(), 0.0),
        (people(mean=LINE.mean + 0.25 * LINE.scale), 0.25),
        (people(mean=LINE.mean - 0.5 * LINE.scale), 0.5),
        (people(sd=LINE.scale * 1.1), 0.1),
        (people(sd=LINE.scale * 0.7), 0.3),
        (people(sd=0.0), 1.0),
        (people(mean=LINE.mean + 0.1 * LINE.scale, sd=LINE.scale * 1.2), 0.2),  # the larger of the two
    ],
)
def test_the_share_is_the_distance_of_mean_or_spread_in_spreads_of_the_training_data(
    heights: list[float], share: float
) -> None:
    assert drift.share(heights, LINE) == pytest.approx(share, abs=1e-9)


def test_a_quarter_is_when_the_model_is_to_be_built_again() -> None:
    assert REBUILD == 0.25


def test_people_like_those_it_was_fitted_to_have_not_drifted() -> None:
    from app import dataset  # noqa: PLC0415 - here alone

    table = dataset.generate()
    mean, sd = statistics.fmean(table.heights), statistics.pstdev(table.heights)
    model = Model(mean, sd, 60.0, 76.0, 6.0, 127.0, "d" * 64, 80, 20, 1)
    for start in range(0, 3_000, ENOUGH):
        assert drift.share(list(table.heights[start : start + ENOUGH]), model) < REBUILD


def test_drift_is_told_once_there_is_enough_and_then_once_a_while() -> None:
    said: list[float] = []
    now = [0.0]
    found = Drift(said.append, clock=lambda: now[0])
    found.observe(people()[: ENOUGH - 1], LINE)
    assert (said, found.share(LINE)) == ([], None)
    found.observe(people()[ENOUGH - 1 :], LINE)
    assert said == [pytest.approx(0.0, abs=1e-9)]
    found.observe(people(count=2), LINE)
    assert len(said) == 1
    now[0] = EVERY
    found.observe(people(mean=LINE.mean + LINE.scale, count=WINDOW), LINE)
    assert said[1:] == [pytest.approx(1.0)]  # the window holds the newest heights alone


def test_drift_is_an_event_and_a_metric(capsys: pytest.CaptureFixture[str]) -> None:
    client = service.create_app(Fixed()).test_client()
    assert "\ndrift_share " not in client.get("/metrics").text  # nothing is known yet
    tall = people(mean=LINE.mean + LINE.scale)
    ask(client, {"heights": tall})
    assert {"event": "drift", "share": 1.0} in told(capsys)
    assert "\ndrift_share 1.0\n" in client.get("/metrics").text
