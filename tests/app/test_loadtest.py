"""The load test: Locust against a small service that does as it is told, and what is said of what it found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree

import pytest

from infra.alerts import ERRORS, LATENCY
from tests.app.load import judge, page, run
from tests.app.load.judge import Call, Objectives

WANTED = Objectives(0.25, 0.001, 0.95)
needs_locust = pytest.mark.skipif(
    not run.LOCUST.exists(), reason="Locust is not installed here, so it put no load on anything: ./install.sh loadtest"
)


class Service(ThreadingHTTPServer):
    """Answers /predict and /feedback as the app does; `answer` may change status and body, and take its time."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[str, int, bytes], tuple[int, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.asked, self.tokens = answer, list[tuple[str, bytes]](), set[str]()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Service

    def do_GET(self) -> None:
        granted = "audience=predict" in self.path and self.headers.get("Authorization") == "Bearer of-the-job"
        self._send(200, b'{"value": "of-github"}' if granted else b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/trade":
            granted = b"subject_token=of-github" in body and b"token-exchange" in body
            self._send(200, b'{"access_token": "of-the-caller"}' if granted else b"{}")
            return
        self.server.asked.append((self.path, body))
        self.server.tokens.add(self.headers.get("Authorization", ""))
        answers = {
            "/predict": (200, b'{"id": "%s", "weight": 1, "weights": [1]}' % (b"0" * 32)),
            "/feedback": (202, b'{"taken": 1}'),
        }
        self._send(*self.server.answer(self.path, *answers[self.path]))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def as_it_is(_path: str, status: int, body: bytes) -> tuple[int, bytes]:
    return status, body


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    running = Service(getattr(request, "param", as_it_is))
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def load(service: Service, out: Path, *more: str) -> int:
    return run.main(["--host", service.url, "--seconds", "1", "--rate", "60", "--users", "5", "--out", str(out), *more])


def call(seconds: float = 0.01, error: str = "", start: float = 0.0) -> Call:
    return Call(start, seconds, "predict one", error)


@needs_locust
@pytest.mark.slow
def test_a_service_that_keeps_the_objectives_passes_with_a_page_that_shows_it(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIENCE", "predict")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{service.url}/github?of=this")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
    monkeypatch.setenv("TOKEN_URL", f"{service.url}/trade")
    monkeypatch.setenv("LOCUST_RUN_TIME", "1h")  # a caller's own settings change nothing
    assert load(service, tmp_path) == 0, capsys.readouterr()
    assert "Passed" in capsys.readouterr().out
    assert {path for path, _ in service.asked} == {"/predict", "/feedback"}
    sizes = {len(found.get("heights", [0])) for path, body in service.asked for found in [json.loads(body)]}
    assert sizes == {1, 100}
    assert service.tokens == {"Bearer of-the-caller"}
    report = (tmp_path / "loadtest.html").read_text()
    assert "passed" in report
    assert "of-the-caller" not in report + (tmp_path / "locust.log").read_text()
    for drawn in re.findall(r"<svg.*?</svg>", report):
        ElementTree.fromstring(drawn)
    assert report.count("<polyline") == 4
    assert not (tmp_path / "locust.pid").exists()
    assert not (tmp_path / "people.json").exists()


def broken(path: str, status: int, _body: bytes) -> tuple[int, bytes]:
    time.sleep(0.4)
    return (500, b"") if path == "/feedback" else (status, b'{"id": "1", "weight": 1}')


@needs_locust
@pytest.mark.slow
@pytest.mark.parametrize("service", [broken], indirect=True)
def test_a_service_that_does_not_fails_the_run_and_it_is_said_why(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(service, tmp_path, "--users", "40") == 1
    said = capsys.readouterr().out
    for told in ("status 500", "no weights in the answer", "✗  p99", "✗  errors", "Failed"):
        assert told in said


@needs_locust
@pytest.mark.slow
def test_what_a_killed_run_has_left_is_ended_by_stop_and_nothing_else_is(service: Service, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.app.load.run", "--host", service.url, "--out", str(tmp_path)]
    killed = subprocess.Popen([*command, "--rate", "20", "--users", "2"], cwd=run.ROOT, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not service.asked and time.monotonic() < until:
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    number = (tmp_path / "locust.pid").read_text()
    assert subprocess.run(["ps", "-p", number], capture_output=True, check=False).returncode == 0
    assert run.main(["--stop", "--out", str(tmp_path)]) == 0
    ends = subprocess.run(["ps", "-o", "stat=", "-p", number], capture_output=True, text=True, check=False).stdout
    assert ends.strip() in ("", "Z", "Zs", "Zsl")  # gone, or dead and not yet fetched
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / "locust.pid").write_text(str(bystander.pid))
    assert run.main(["--stop", "--out", str(tmp_path)]) == 0
    assert bystander.poll() is None
    bystander.communicate(b"\n", timeout=10)
    assert run.main(["--stop", "--out", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--host", "http://127.0.0.1:1"], "Nothing answers at http://127.0.0.1:1"),
        (["--host", "ftp://127.0.0.1"], "no address of a service"),
        (["--host", "http://127.0.0.1/a path"], "no address of a service"),
        (["--seconds", "0"], "up to 3600 seconds"),
        (["--rate", "1e9"], "5000 calls a second"),
    ],
)
def test_where_there_is_nothing_to_test_a_sentence_says_so(
    words: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "LOCUST", Path(sys.executable))
    assert run.main([*words, "--out", str(tmp_path)]) == 2
    assert told in capsys.readouterr().err


def test_objectives_are_stricter_than_what_wakes_somebody() -> None:
    found = judge.objectives()
    assert found == WANTED
    assert found.p99_seconds < LATENCY.threshold
    assert found.error_share < ERRORS.threshold


def test_a_run_is_judged_by_its_slowest_hundredth_its_errors_and_what_it_reached() -> None:
    good = [call()] * 1000
    assert judge.judge(good, WANTED, 100, 10).passed
    assert judge.judge([*good[:990], *[call(9.0)] * 10], WANTED, 100, 10).passed
    rows = {
        "slow": judge.judge([*good[:989], *[call(9.0)] * 11], WANTED, 100, 10),
        "wrong": judge.judge([*good[:998], *[call(error="status 500")] * 2], WANTED, 100, 10),
        "behind": judge.judge(good[:949], WANTED, 100, 10),
        "nothing": judge.judge([], WANTED, 100, 10),
    }
    missed = {name: [row.what for row in verdict.rows if not row.met] for name, verdict in rows.items()}
    assert missed == {
        "slow": ["p99"],
        "wrong": ["errors"],
        "behind": ["calls of those that were to be made"],
        "nothing": ["calls"],
    }
    assert rows["wrong"].errors == [("status 500", 2)]


def test_a_page_shows_what_a_service_answers_as_text_and_never_as_its_own() -> None:
    found = [call(error="<script>alert(1)</script>", start=second) for second in range(3)]
    shown = page.render("http://127.0.0.1", "Few.", judge.judge(found, WANTED, 1, 3), found, 0.25)
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
