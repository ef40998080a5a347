"""Alert rules and dashboard: tried by promtool, and by a Prometheus that scrapes the real service."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from app.drift import REBUILD
from infra.alerts import ALERTS, CAPACITY, DRIFT, ERRORS, LATENCY, RETRAINING
from tests.app.composed import ROOT, composed

MONITORING = ROOT / "app/monitoring"
RULES: list[dict[str, Any]] = yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
WHERE = "is not installed here, so nothing was asked of it (Debian: apt-get install prometheus)"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason=f"promtool {WHERE}")
needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason=f"Prometheus {WHERE}")


def promtool(*words: str | Path, said: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["promtool", *words], input=said, capture_output=True, timeout=60, check=False)


def test_the_alerts_are_those_that_every_cloud_raises() -> None:
    assert {rule["alert"] for rule in RULES} == {alert.id for alert in ALERTS}
    by_id = {alert.id: alert for alert in ALERTS}
    for rule in RULES:
        alert = by_id[rule["alert"]]
        assert rule["annotations"]["description"] == alert.act
        assert rule["annotations"]["summary"]


def test_thresholds_and_durations_are_those_of_the_clouds() -> None:
    rules = {rule["alert"]: rule for rule in RULES if rule["alert"] != RETRAINING.id}
    for alert in (ERRORS, LATENCY, DRIFT):
        assert re.search(rf"> {alert.threshold:g}(?![\d.])", rules[alert.id]["expr"]), alert.id
        assert f"{alert.threshold:g}" in rules[alert.id]["annotations"]["summary"]
    for alert in (ERRORS, LATENCY, CAPACITY):
        assert rules[alert.id]["for"] == f"{alert.minutes}m"
    assert "for" not in rules[DRIFT.id]
    assert DRIFT.threshold == REBUILD


def test_each_alert_leads_to_a_chapter_of_the_runbook_that_is_there() -> None:
    address = re.search(r"^  groundwork:runbook: (\S+)$", (ROOT / "Pulumi.staging.yaml").read_text(), re.MULTILINE)
    assert address
    chapters = {
        line[3:].strip().lower() for line in (ROOT / "docs/runbook.md").read_text().splitlines() if line[:3] == "## "
    }
    for rule in RULES:
        assert rule["annotations"]["runbook_url"] == f"{address[1]}#{rule['alert']}"
        assert rule["alert"] in chapters


@needs_promtool
def test_promtool_takes_the_rules_and_each_alert_fires_when_it_is_to_and_not_before() -> None:
    checked = promtool("check", "config", MONITORING / "prometheus.yml")
    assert checked.returncode == 0, checked.stderr
    files = sorted(MONITORING.glob("*.test.yml"))
    tested = promtool("test", "rules", *files)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    tests = [test for file in files for test in yaml.safe_load(file.read_text())["tests"]]
    asked = [(row["alertname"], bool(row["exp_alerts"])) for test in tests for row in test["alert_rule_test"]]
    assert set(asked) == {(alert.id, fires) for alert in ALERTS for fires in (True, False)}


WRONG = [
    ("> 0.01", "> 0.1"),
    ('{route!~"/healthz|/readyz|/metrics",status', "{status"),
    ("== 0\n", "== 2\n"),
    ("histogram_quantile(0.99", "histogram_quantile(0.95"),
    ("> 0.9\n", "> 0.4\n"),
    ("> 0.25", "> 0.2"),
    ("or max(drift_rebuild) > 0", ""),
    ("for: 30m\n        labels", "for: 5m\n        labels"),
    ("for: 1d", "for: 2d"),
]


@needs_promtool
def test_a_rule_that_says_something_else_fails_its_test(tmp_path: Path) -> None:
    rules = (MONITORING / "rules.yml").read_text()
    tests = []
    for number, (right, wrong) in enumerate(WRONG):
        assert right in rules
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "rules.yml").write_text(rules.replace(right, wrong))
        tests.append(shutil.copy(MONITORING / ("rules.day.test.yml" if "1d" in right else "rules.test.yml"), folder))
    tested = promtool("test", "rules", *tests)
    said = (tested.stdout + tested.stderr).decode()
    assert said.count("FAILED:") >= said.count("Unit Testing:") == len(WRONG)
    passed = re.findall(r"/(\d)/rules\.\S+\n\s*SUCCESS", said)
    assert [WRONG[int(number)] for number in passed] == []


def test_the_dashboard_shows_latency_and_accuracy_drift_requests_errors_the_lake_and_the_version() -> None:
    asked = " ".join(query for _, query in QUERIES)
    for metric in (
        "http_request_duration_seconds_bucket",
        "model_rmse",
        "drift_share",
        "http_requests_total",
        'status=~"5.."',
        "lake_records_total",
        "model_info",
    ):
        assert metric in asked


def test_the_dashboard_is_one_that_grafana_can_be_given() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    source = yaml.safe_load((MONITORING / "datasource.yml").read_text())["datasources"][0]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies over another panel"
        assert max(x for x, _ in cells) < 24
        taken |= cells
        named = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert named == [{"type": source["type"], "uid": source["uid"]}] * len(named)
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What compose.yaml starts: where the app answers."""
    with composed(tmp_path_factory.mktemp("spool")) as url:
        yield url


def call(url: str, path: str, body: Any) -> Any:
    request = Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def use(url: str) -> None:
    """A little of all that callers do."""
    heights = [60 + 0.04 * number for number in range(400)]
    answer = call(url, "/predict", {"heights": heights})
    call(url, "/feedback", {"id": answer["id"], "weights": [130.0] * 400})
    for _ in range(20):
        call(url, "/predict", {"height": 68})


@pytest.fixture
def prometheus(service: str, tmp_path: Path) -> Iterator[str]:
    """A Prometheus with our configuration that scrapes the service often; where it answers."""
    settings = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"}
    settings["rule_files"] = [str(MONITORING / "rules.yml")]
    settings["scrape_configs"][0]["static_configs"][0]["targets"] = [service.removeprefix("http://")]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
        try:
            yield f"http://{address}"
        finally:
            process.kill()
            process.wait()


def ask(prometheus: str, path: str) -> Any:
    with urlopen(f"{prometheus}/api/v1/{path}", timeout=10) as answer:
        return json.load(answer)["data"]


@needs_prometheus
@pytest.mark.slow
def test_every_query_of_the_dashboard_and_every_rule_finds_something_of_the_real_service(
    service: str, prometheus: str
) -> None:
    missing = [("all", "up")]
    until = time.monotonic() + 30
    while missing and time.monotonic() < until:
        time.sleep(0.3)
        try:
            use(service)
            missing = [
                (title, query)
                for title, query in QUERIES
                if not ask(
                    prometheus,
                    "query?" + urllib.parse.urlencode({"query": query.replace("$__rate_interval", "1m")}),
                )["result"]
            ]
        except OSError:
            continue  # it is starting
    assert not missing
    rules = ask(prometheus, "rules")["groups"][0]["rules"]
    assert {rule["name"]: rule["health"] for rule in rules} == dict.fromkeys((alert.id for alert in ALERTS), "ok")
    unknown = {"drift_rebuild", "model_stale", "workers", "up"} - set(ask(prometheus, "label/__name__/values"))
    assert not unknown


@needs_promtool
@pytest.mark.slow
def test_promtool_finds_nothing_wrong_with_the_metrics(service: str) -> None:
    use(service)
    with urlopen(f"{service}/metrics", timeout=10) as answer:
        shown = answer.read()
    checked = promtool("check", "metrics", said=shown)
    assert checked.returncode == 0, checked.stderr
    assert promtool("check", "metrics", said=shown + b"# TYPE badCounter counter\nbadCounter 1\n").returncode != 0
