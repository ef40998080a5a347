from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from waitress.adjustments import Adjustments

from app.server import _Parser
from tests.app.processes import ROOT, Running, environment, moto_server, run, wait_until_ready

pytestmark = [pytest.mark.slow, pytest.mark.drawn(4)]
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
def published(emulator: str) -> dict[str, str]:
    """The environment of a service whose model is published."""
    variables = environment(emulator)
    for command in ("train", "evaluate", "publish"):
        result = run([command], variables)
        assert result.returncode == 0, result.stderr
    return variables


@pytest.fixture
def service(published: dict[str, str]) -> Iterator[Running]:
    with Running(published) as running:
        wait_until_ready(running.url)
        yield running


def exchange(url: str, request: bytes, then: Any = None) -> tuple[int, dict[str, Any]]:
    """Sends raw bytes and reads the whole answer: status and JSON. `then` is called before the last byte."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        if then:
            connection.sendall(request[:-1])
            then()
            connection.sendall(request[-1:])
        else:
            connection.sendall(request)
        answer = b""
        connection.settimeout(10)
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def post(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers) or b"Content-Length: %d\r\n" % len(body)
    return HEAD + b"Connection: close\r\n" + lines + b"\r\n" + body


def test_the_service_starts_without_what_only_training_or_the_infrastructure_needs() -> None:
    """What makes a start slow is what it imports; a measured time would depend on the machine."""
    program = "import sys, app.server, app.service; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert {"flask", "waitress"} <= loaded
    assert not loaded & {"pulumi", "pulumi_aws", "moto", "numpy", "pandas", "sklearn", "infra", "stacks", "localcloud"}


def test_the_service_listens_on_loopback_and_answers(service: Running) -> None:
    assert service.url.startswith("http://127.0.0.1:")
    status, answer = exchange(service.url, post(b'{"height": 68}'))
    assert status == 200
    assert answer["weight"] == pytest.approx(127.1, abs=0.3)
    chunked = post(b"e\r\n" + b'{"height": 68}' + b"\r\n0\r\n\r\n", b"Transfer-Encoding: chunked")
    status, again = exchange(service.url, chunked)
    assert (status, again | {"id": answer["id"]}) == (200, answer)


def test_a_body_of_ten_megabytes_is_413_with_and_without_a_length(service: Running) -> None:
    body = b'{"heights": [' + b"68," * 3_500_000 + b"68]}"
    before = peak_memory(service)
    with_length = exchange(service.url, post(body))
    chunks = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    without = exchange(service.url, post(chunks, b"Transfer-Encoding: chunked"))
    assert with_length[0] == without[0] == 413
    assert with_length[1]["field"] == without[1]["field"] == "body"
    assert peak_memory(service) - before < 5 * 1024  # KiB: it is forgotten as it arrives


def test_what_exceeds_the_largest_body_is_kept_neither_in_memory_nor_on_disk() -> None:
    parser = _Parser(Adjustments())
    parser.received(HEAD + b"Content-Length: 10000000\r\n\r\n")
    for _ in range(1_000):
        parser.received(b"x" * 10_000)
    assert parser.completed
    assert len(parser.body_rcv) == 10_000_000
    assert parser.body_rcv.getfile().read() == b""


def peak_memory(service: Running) -> int:
    """KiB that the worker took at most that took most."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in service.workers()]
    return max(int(text.partition("VmHWM:")[2].split()[0]) for text in texts)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (post(b"zz\r\n", b"Transfer-Encoding: chunked"), 400),
        (post(b"", b"Content-Length: 99999999999"), 413),
        (b"GET / HTTP/1.1\r\nX: ".ljust(32 * 1024, b"y"), 431),
        (b"GET /%ff%00 HTTP/1.1\r\nHost: <script>\r\nConnection: close\r\n\r\n", 404),
    ],
    ids=["garbage", "length", "chunk", "huge", "head", "path"],
)
def test_what_is_hardly_http_is_a_problem_document_too(service: Running, request_: bytes, status: int) -> None:
    found, answer = exchange(service.url, request_)
    assert (found, answer["status"]) == (status, status)
    assert answer["type"] == "about:blank"


def test_a_request_under_way_is_answered_before_the_stop(service: Running) -> None:
    def stop() -> None:
        time.sleep(0.1)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)

    status, answer = exchange(service.url, post(b'{"height": 68}'), stop)
    assert (status, answer["unit"]) == (200, "lb")
    assert service.process.wait(10) == 0
    with pytest.raises(OSError, match="refused"):
        urlopen(service.url + "/healthz")


def test_a_stop_writes_the_predictions_to_the_lake_first(service: Running, emulator: str) -> None:
    count = len(lake_lines(service))
    for _ in range(3):
        exchange(service.url, post(b'{"heights": [68, 69]}'))
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10) == 0
    assert len(lake_lines(service)) - count == 3


def lake_lines(service: Running) -> list[str]:
    s3 = service.s3()
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="data", Prefix="lake/").get("Contents", [])]
    return [line for key in keys for line in s3.get_object(Bucket="data", Key=key)["Body"].read().splitlines()]


def test_two_stop_signals_and_an_interrupt_end_it_all_the_same(published: dict[str, str]) -> None:
    with Running(published) as running:
        wait_until_ready(running.url)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            running.process.send_signal(number)
        assert running.process.wait(10) == 0


class Client(threading.Thread):
    """Asks over kept connections until nobody takes new ones: `answers`, and `lost` requests without one."""

    def __init__(self, url: str, requests: list[bytes]) -> None:
        super().__init__(daemon=True)
        host, _, port = url.removeprefix("http://").partition(":")
        self._address, self._requests = (host, int(port)), requests
        self.answers: list[tuple[int, bytes]] = []
        self.lost: list[str] = []
        self.ending = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ending.is_set():
            try:
                connection = socket.create_connection(self._address, timeout=10)
            except ConnectionRefusedError:
                return
            with connection, connection.makefile("rb") as stream:
                closed = False
                while not closed and not self.ending.is_set():
                    number += 1
                    try:
                        connection.sendall(self._requests[number % len(self._requests)])
                        closed = self._read(stream)
                    except OSError as error:
                        self.lost.append(repr(error))
                        return

    def _read(self, stream: Any) -> bool:
        """Reads one answer; whether the connection ends with it."""
        head: dict[str, str] = {}
        first = stream.readline().decode()
        if not first:
            raise ConnectionResetError("the connection ended in place of an answer")
        while line := stream.readline().decode().strip():
            name, _, value = line.partition(": ")
            head[name.lower()] = value
        body = stream.read(int(head["content-length"]))
        self.answers.append((int(first.split()[1]), body))
        return head.get("connection") == "close"


KEPT = (HEAD + b"Content-Length: 14\r\n\r\n" + b'{"height": 68}', b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_loses_no_request(published: dict[str, str], number: signal.Signals) -> None:
    with Running(published) as running:
        wait_until_ready(running.url)
        clients = [Client(running.url, [KEPT[0], KEPT[0], KEPT[each % 2]]) for each in range(24)]
        for client in clients:
            client.start()
        time.sleep(0.5)
        running.process.send_signal(number)
        for client in clients:
            client.join(20)
        assert running.process.wait(10) == 0
        assert [lost for client in clients for lost in client.lost] == []
        answers = [status for client in clients for status, _ in client.answers]
        assert len(answers) > 500
        assert set(answers) == {200}
        predicted = [body for client in clients for _, body in client.answers if b'"weight"' in body]
        assert len(predicted) == len({json.loads(body)["id"] for body in predicted})


def test_a_new_version_is_taken_up_under_load_and_a_bad_one_refused_without_a_failed_request(emulator: str) -> None:
    variables = {**environment(emulator), "MODEL_STORE": "s3://models/other/", "DATA_STORE": "s3://data/other/"}
    versions = []
    for seed in ("1", "2"):
        trained = run(["train", "--seed", seed, "--rows", "5000"], variables)
        assert trained.returncode == 0, trained.stderr
        versions.append(json.loads(trained.stdout)["version"])
        assert run(["evaluate"], variables).returncode == 0
        if seed == "1":
            assert run(["publish"], variables).returncode == 0
    with Running(variables) as running:
        wait_until_ready(running.url)
        clients = [Client(running.url, [KEPT[0]]) for _ in range(8)]
        for client in clients:
            client.start()
        promoted = run(["models", "promote", versions[1]], variables)
        assert promoted.returncode == 0, promoted.stderr
        until = time.monotonic() + 20
        while models_of(running) != {versions[1]} and time.monotonic() < until:
            time.sleep(0.1)
        assert models_of(running) == {versions[1]}
        name = f"other/versions/{versions[0]}/model.json"
        running.s3().put_object(Bucket="models", Key=name, Body=b"{}")
        run(["models", "promote", versions[0]], variables)  # which looks at it first
        pointer = json.loads(running.s3().get_object(Bucket="models", Key="other/current.json")["Body"].read())
        pointer["version"], pointer["manifest"] = versions[0], "0" * 64
        running.s3().put_object(Bucket="models", Key="other/current.json", Body=json.dumps(pointer).encode())
        while not [each for each in running.events if each.get("outcome") == "refused"]:
            assert time.monotonic() < until + 20
            time.sleep(0.1)
        assert models_of(running) == {versions[1]}
        for client in clients:
            client.ending.set()
            client.join(10)
        assert [lost for client in clients for lost in client.lost] == []
        answers = [json.loads(body)["model"] for client in clients for _, body in client.answers]
        assert {status for client in clients for status, _ in client.answers} == {200}
        assert set(answers) == set(versions)


def models_of(running: Running) -> set[str]:
    """The versions that the workers say they serve."""
    shown = urlopen(running.url + "/metrics").read().decode()
    return set(re.findall(r'^model_info{.*version="([0-9a-f]+)"', shown, re.MULTILINE))


def test_what_the_workers_count_is_added_up(service: Running) -> None:
    clients = [Client(service.url, [KEPT[0]]) for _ in range(8)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    for client in clients:
        client.ending.set()
        client.join(10)
    asked = sum(len(client.answers) for client in clients)
    shown = urlopen(service.url + "/metrics").read().decode()
    assert f'http_requests_total{{route="/predict",status="200"}} {float(asked)}\n' in shown
    assert "predictions_total{" in shown
    assert "workers 2.0\n" in shown
    told = 0
    until = time.monotonic() + 5
    while told != asked and time.monotonic() < until:
        told = sum(event["count"] for event in service.events if event.get("path") == "/predict")
        time.sleep(0.1)
    assert told == asked


def test_a_worker_that_dies_is_replaced_and_the_others_answer_meanwhile(service: Running) -> None:
    before = service.workers()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    until = time.monotonic() + 10
    while len(set(service.workers()) - {before[0]}) < 2:
        assert exchange(service.url, post(b'{"height": 68}'))[0] in (200, 503)  # 503: the new one looks for the model
        assert time.monotonic() < until
    wait_until_ready(service.url)
    assert {"event": "worker", "worker": 0, "code": -signal.SIGKILL} in service.events
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10) == 0


def is_alive(pid: int) -> bool:
    """Whether a process, no child of ours, runs: one that has ended may wait for its new parent to notice."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_workers_whose_first_process_is_gone_end_too(service: Running) -> None:
    workers = service.workers()
    service.process.kill()
    until = time.monotonic() + 10
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_with_the_store_away_it_lives_unready_and_says_why(published: dict[str, str]) -> None:
    away = {**published, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    with Running(away) as running:
        assert json.load(urlopen(running.url + "/healthz"))["status"] == "ok"
        detail = ""
        end = time.monotonic() + 10
        while "could not be read" not in detail and time.monotonic() < end:
            with pytest.raises(HTTPError) as caught:
                urlopen(running.url + "/readyz")
            assert caught.value.code == 503
            detail = json.load(caught.value)["detail"]
            time.sleep(0.1)
        assert "EndpointConnectionError" in detail
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"MODEL_STORE": ""}, "serve: MODEL_STORE is not set"),
        ({"MODEL_STORE": "models"}, "serve: 'models' is not a store"),
        ({"LAKE": "lake"}, "serve: 'lake' is not a store"),
        ({"PORT": "http"}, "serve: PORT is 'http'"),
        ({"PORT": "65536"}, "serve: PORT is '65536'"),
        ({"WORKERS": "0"}, "serve: WORKERS is '0'; it must be a number from 1 to 64"),
        ({"SPOOL": "/dev/null/spool"}, "serve: /dev/null/spool"),
        ({"HOST": "not an address"}, "serve: HOST 'not an address' is not an address"),
        ({"HOST": "203.0.113.1"}, "serve: 203.0.113.1:0 cannot be listened on"),
    ],
)
def test_a_wrong_setting_stops_it_with_a_sentence(
    published: dict[str, str], change: dict[str, str], sentence: str
) -> None:
    result = run(["serve"], {**published, **change})
    assert result.returncode == 1
    assert result.stderr.startswith(sentence)
    assert "Traceback" not in result.stderr


def test_a_port_in_use_is_told(published: dict[str, str], service: Running) -> None:
    port = service.url.rpartition(":")[2]
    result = run(["serve"], {**published, "PORT": port})
    assert (result.returncode, f"127.0.0.1:{port} cannot be listened on: Address already in use" in result.stderr) == (
        1,
        True,
    )


def test_the_script_prints_the_answer_as_it_is(service: Running) -> None:
    for arguments in ([], ["68"], ["68", service.url], ["68", service.url + "/"]):
        result = run_script(arguments, {"PORT": service.url.rpartition(":")[2]})
        assert result.returncode == 0
        assert json.loads(result.stdout)["unit"] == "lb"
        assert result.stderr == ""


def test_the_script_fails_with_the_services_own_words(service: Running) -> None:
    result = run_script(["tall", service.url])
    assert result.returncode == 1
    assert json.loads(result.stdout)["field"] == "body"
    assert "the service refused the request (status 400)" in result.stderr


def test_the_script_says_so_when_nothing_answers_or_curl_is_missing() -> None:
    result = run_script(["68", "http://127.0.0.1:1"])
    assert result.returncode == 1
    assert "nothing answers at http://127.0.0.1:1" in result.stderr
    result = run_script(["68"], {"PATH": "/nowhere"})
    assert result.returncode == 127
    assert "curl is not installed" in result.stderr


def test_the_script_sends_nothing_of_this_machine_through_a_proxy(service: Running) -> None:
    result = run_script(["68", service.url], {"http_proxy": "http://127.0.0.1:1"})
    assert result.returncode == 0


def run_script(arguments: list[str], variables: dict[str, str] | None = None) -> Any:
    return run(arguments, variables or {}, program=["/bin/sh", str(ROOT / "make_prediction.sh")])
