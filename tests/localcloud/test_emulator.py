"""The emulator's life: started, found again, stopped; what it keeps, and from whom."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from localcloud import emulator, pids
from localcloud.emulator import EmulatorError
from localcloud.errors import LocalcloudError
from tests.localcloud.emulated import client, running

pytestmark = [pytest.mark.slow, pytest.mark.drawn(4)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator.Emulator]:
    with running(tmp_path_factory.mktemp("emulator") / "home") as found:
        yield found


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """For tests that start, kill and stop one of their own."""
    yield tmp_path / "home"
    emulator.stop(tmp_path / "home")


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def gone(pid: int) -> bool:
    """Whether the process ends within a few seconds."""
    for _ in range(100):
        if pids.start_time(pid) is None:
            return True
        time.sleep(0.05)
    return False


def kill(found: emulator.Emulator) -> None:
    os.kill(found.pid, signal.SIGKILL)
    assert gone(found.pid)


def taken(port: int) -> socket.socket:
    """Another program that listens on the port; what was killed may take a moment to give it back."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + 5
    while True:
        try:
            held.bind(("127.0.0.1", port))
            held.listen()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return held


def test_a_running_emulator_is_found_again_and_not_started_twice(cloud: emulator.Emulator) -> None:
    assert cloud.started
    again = emulator.start(cloud.directory)
    assert not again.started
    assert (again.pid, again.url, again.identity) == (cloud.pid, cloud.url, cloud.identity)
    found = emulator.status(cloud.directory)
    assert found is not None
    assert found.pid == cloud.pid


def test_what_it_writes_is_for_its_owner_alone(cloud: emulator.Emulator) -> None:
    client(cloud, "s3").list_buckets()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in cloud.directory.rglob("*")}
    assert {"emulator.json", "administrator.json", "server.key", "calls.jsonl", "emulator.log"} <= set(modes)
    assert {name: mode for name, mode in modes.items() if mode & 0o177} == {}
    assert stat.S_IMODE(cloud.directory.stat().st_mode) == 0o700


def test_a_directory_that_others_could_read_is_closed(directory: Path) -> None:
    directory.mkdir(mode=0o755)
    emulator.start(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_nothing_that_is_printed_holds_a_key(cloud: emulator.Emulator) -> None:
    assert cloud.secret_key not in repr(cloud)
    assert cloud.access_key not in repr(cloud)
    assert cloud.secret_key not in (cloud.directory / emulator.LOG).read_text()
    assert set(cloud.endpoint().values()).isdisjoint({cloud.secret_key, cloud.access_key})


def test_a_request_in_clear_is_not_served(cloud: emulator.Emulator) -> None:
    with pytest.raises((OSError, urllib.error.URLError)):
        urllib.request.urlopen(cloud.url.replace("https:", "http:"), timeout=5)


def test_its_certificate_is_good_for_its_own_authority_and_for_no_other(cloud: emulator.Emulator) -> None:
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(cloud.url, timeout=5)
    port = int(cloud.url.rpartition(":")[2])
    trust = ssl.create_default_context(cafile=str(cloud.ca_bundle))
    for name, good in (("127.0.0.1", True), ("localhost", True), ("example.com", False)):
        with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as plain:
            if good:
                with trust.wrap_socket(plain, server_hostname=name) as secure:
                    assert secure.version() in ("TLSv1.2", "TLSv1.3")
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    trust.wrap_socket(plain, server_hostname=name)


def test_it_listens_on_the_loopback_interface_alone(cloud: emulator.Emulator) -> None:
    """127.0.0.2 is loopback too, and would be served by one that listens everywhere."""
    with pytest.raises(OSError):  # noqa: PT011 - refused on Linux, not an address elsewhere
        socket.create_connection(("127.0.0.2", int(cloud.url.rpartition(":")[2])), timeout=2)


def test_no_proxy_of_the_caller_is_meant_for_it(cloud: emulator.Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "intranet.example")
    assert emulator.status(cloud.directory) is not None
    names = cloud.environment()
    assert names["NO_PROXY"] == names["no_proxy"] == "intranet.example,127.0.0.1,localhost"
    monkeypatch.setenv("no_proxy", names["no_proxy"])
    assert client(cloud, "sts").get_caller_identity()["Account"] == emulator.ACCOUNT


def test_one_that_was_stopped_comes_back_empty_on_the_same_port_with_the_same_keys(directory: Path) -> None:
    first = emulator.start(directory)
    client(first, "iam").create_user(UserName="ann")
    assert emulator.stop(directory)
    assert gone(first.pid)
    assert emulator.status(directory) is None
    assert not emulator.stop(directory)
    second = emulator.start(directory)
    assert second.started
    assert (second.url, second.access_key) == (first.url, first.access_key)
    assert second.identity != first.identity
    assert client(second, "iam").list_users()["Users"] == []


def test_one_that_was_killed_is_started_anew_and_the_start_says_so(directory: Path) -> None:
    first = emulator.start(directory)
    kill(first)
    assert emulator.status(directory) is None
    second = emulator.start(directory)
    assert second.started
    assert second.url == first.url
    assert second.identity != first.identity


def test_a_port_that_another_program_took_is_told_with_what_to_do(directory: Path) -> None:
    first = emulator.start(directory)
    kill(first)
    port = int(first.url.rpartition(":")[2])
    with (
        closing(taken(port)),
        pytest.raises(LocalcloudError, match=f"Port {port} .* is taken by another program") as no,
    ):
        emulator.start(directory)
    assert str(directory / "port") in str(no.value)
    (directory / "port").write_text("no number")
    assert emulator.start(directory).started


def test_a_record_that_names_another_process_never_ends_that_process(
    directory: Path, bystander: subprocess.Popen[bytes]
) -> None:
    """Process ids come round: the record's now belongs to somebody else."""
    first = emulator.start(directory)
    kill(first)
    record = json.loads((directory / "emulator.json").read_text())
    (directory / "emulator.json").write_text(json.dumps({**record, "pid": bystander.pid}))
    assert emulator.status(directory) is None
    assert not emulator.stop(directory)
    (directory / "emulator.json").write_text(json.dumps({**record, "pid": bystander.pid}))
    assert emulator.start(directory).started
    assert bystander.poll() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x", "process": 1, "port": 2, "identity": 3}'])
def test_a_damaged_record_is_no_running_emulator(tmp_path: Path, text: str) -> None:
    (tmp_path / "emulator.json").write_text(text)
    assert emulator.status(tmp_path) is None
    assert not emulator.stop(tmp_path)


def test_one_that_dies_at_its_start_is_told_with_the_last_line_of_its_log(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moto.py").write_text("raise SystemExit('there is no Moto today')")
    monkeypatch.setattr(emulator, "_child_environment", lambda: {"PYTHONPATH": str(tmp_path)})
    with pytest.raises(
        EmulatorError, match=r"did not start\. Its log says: there is no Moto today \(.*emulator\.log\)"
    ):
        emulator.start(directory)
    assert emulator.status(directory) is None


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmulatorError, match=r"cannot be made .*Choose one that you own"):
        emulator.start(tmp_path / "file/home")


def test_one_whose_directory_is_deleted_ends_by_itself(directory: Path) -> None:
    found = emulator.start(directory)
    (directory / "emulator.json").unlink()
    assert gone(found.pid)


def test_two_starts_at_once_share_one_emulator(directory: Path) -> None:
    code = "import sys; from pathlib import Path; from localcloud import emulator\n"
    code += "found = emulator.start(Path(sys.argv[1])); print(found.pid, found.started)"
    starting = [
        subprocess.Popen([sys.executable, "-c", code, str(directory)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = sorted(process.communicate(timeout=60)[0].split() for process in starting)
    assert told[0][0] == told[1][0]
    assert sorted(row[1] for row in told) == ["False", "True"]


def test_the_control_interface_answers_its_token_alone(cloud: emulator.Emulator) -> None:
    trust = ssl.create_default_context(cafile=str(cloud.ca_bundle))
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"}):
        request = urllib.request.Request(f"{cloud.url}/_localcloud/health", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5, context=trust)
        assert refused.value.code == 403
