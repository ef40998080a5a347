"""Whom the clients of a provider may call, and as whom: loopback endpoints alone, whatever lies around."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from localcloud.__main__ import main
from localcloud.aws.account import Account, EndpointRefusedError, is_loopback
from localcloud.aws.provider import Provider, ProviderError
from localcloud.errors import LocalcloudError
from tests.localcloud.aws.bench import REGION, configuration

KEYS = {"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKey": "not-a-secret"}
ELSEWHERE = (
    "https://kms.eu-central-1.amazonaws.com",
    "http://10.0.0.1:5000",
    "http://0.0.0.0:5000",
    "http://emulator",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://127.0.0.1@example.com",
    "http://localhost:pass@example.com/",
    "http://example.com\\@127.0.0.1",
    "http://example.com#@127.0.0.1",
    "http://example.com?@127.0.0.1",
    "http://127.0.0.1 .example.com",
    "http://[2001:db8::1]:80",
    "http://2130706433",
    "http://0x7f.1",
    "//127.0.0.1",
    "127.0.0.1:5000",
    "ftp://127.0.0.1",
    "",
)


class ConnectedError(AssertionError):
    """A test that forbids connections saw one."""


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may connect to anything."""

    def connect(_self: socket.socket, address: Any) -> NoReturn:
        raise ConnectedError(address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable of the caller's clouds."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def caller(account: Account) -> str:
    return str(account.client("sts").get_caller_identity()["Arn"])


@pytest.mark.parametrize("url", ["http://127.0.0.1", "https://127.0.0.1:4566/", "http://[::1]:1", "http://localhost:1"])
def test_loopback_endpoints_are_taken(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize("url", ELSEWHERE)
def test_what_is_not_plainly_this_machine_is_no_loopback_endpoint(url: str) -> None:
    assert not is_loopback(url)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("url", [url for url in ELSEWHERE if url])
def test_one_endpoint_of_another_machine_is_refused_before_the_first_call(url: str) -> None:
    with pytest.raises(EndpointRefusedError, match=r"emulators on this machine only, and the endpoint of kms is "):
        Provider({"region": REGION, "endpoints": [{"s3": "http://127.0.0.1:1", "kms": url}], **KEYS})


@pytest.mark.usefixtures("offline")
def test_a_localhost_that_is_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_arguments: Any, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.1", "192.0.2.7")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(EndpointRefusedError, match="http://localhost:4566"):
        Account({"endpoints": [{"s3": "http://localhost:4566"}], **KEYS})


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("endpoints", [None, [], [{}], "[]", [{"s3": ""}]])
def test_a_provider_without_endpoints_is_refused_whatever_lies_around(bare: pytest.MonkeyPatch, endpoints: Any) -> None:
    """It would call the real cloud; that the variable names an emulator does not make the provider's endpoints."""
    bare.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "real")
    with pytest.raises(EndpointRefusedError, match="this provider has no endpoints"):
        Provider({"region": REGION, "endpoints": endpoints})


def test_a_program_for_the_real_cloud_is_refused_in_a_sentence_and_not_a_traceback(
    tmp_path: Path, bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever credentials lie around; connections to this machine's own processes are needed to run the program."""
    bare.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "real")
    (tmp_path / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  aws:region: eu-west-1\n")
    text = 'import pulumi\npulumi.CustomResource("aws:s3/bucket:Bucket", "b", {"bucket": "b"})\n'
    (tmp_path / "__main__.py").write_text(text)
    assert main(["up", "-C", str(tmp_path), "-s", "dev"]) == 1
    said = capsys.readouterr().err
    assert "error: localcloud applies to emulators on this machine only" in said
    assert "Traceback" not in said


@pytest.mark.usefixtures("offline")
def test_a_service_without_an_endpoint_is_refused(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_ENDPOINT_URL_KMS", "https://kms.eu-central-1.amazonaws.com")
    account = Account({"region": REGION, "endpoints": [{"s3": "http://127.0.0.1:1"}], **KEYS})
    with pytest.raises(EndpointRefusedError, match="no endpoint for kms"):
        account.client("kms")


@pytest.mark.usefixtures("offline")
def test_a_host_that_an_sdk_makes_of_an_arn_is_refused_at_the_last_moment() -> None:
    s3 = Account({"region": REGION, "endpoints": [{"s3": "http://127.0.0.1:1"}], **KEYS}).client("s3")
    with pytest.raises(LocalcloudError, match=r"this call would go to http://a-123456789012\.127\.0\.0\.1:1/k"):
        s3.get_object(Bucket="arn:aws:s3:eu-central-1:123456789012:accesspoint/a", Key="k")


def test_profiles_files_endpoints_and_switches_that_lie_around_do_not_matter(
    emulator_url: str, bare: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = https://example.com\nregion = mars\nproxies = x\n[profile p]\n")
    for name, value in {
        "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(config),
        "AWS_ENDPOINT_URL": "https://example.com",
        "AWS_ENDPOINT_URL_STS": "https://example.com",
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/real",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(config),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_SESSION_TOKEN": "of somebody else",
    }.items():
        bare.setenv(name, value)
    account = Account(configuration(emulator_url))
    assert account.client("sts").meta.endpoint_url == emulator_url
    assert caller(account).startswith("arn:aws:")
    assert account._session.get_credentials().token is None


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.usefixtures("offline")
def test_without_keys_nobody_is_asked_for_some(bare: pytest.MonkeyPatch, missing: str) -> None:
    """Neither the machine's metadata service nor the real STS."""
    bare.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/real")
    for name in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} - {missing}:
        bare.setenv(name, "x")
    with pytest.raises(LocalcloudError, match="no credentials for the emulator"):
        Account({"endpoints": [{"s3": "http://127.0.0.1:1"}]})


def test_the_keys_of_the_environment_serve_where_the_provider_has_none(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAONE")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "two")
    bare.setenv("AWS_SESSION_TOKEN", "three")
    endpoints = [{"s3": "http://127.0.0.1:1"}]
    found = Account({"endpoints": endpoints})._session.get_credentials()
    assert (found.access_key, found.secret_key, found.token) == ("AKIAONE", "two", "three")
    found = Account({"endpoints": endpoints, **KEYS})._session.get_credentials()
    assert (found.access_key, found.secret_key, found.token) == (KEYS["accessKey"], KEYS["secretKey"], None)


Answering = Callable[[int, dict[str, str]], str]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Starts servers that give one answer to everything; their URLs."""
    servers = []

    def start(status: int, headers: dict[str, str]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                seen.append(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_CONNECT = do_POST  # noqa: N815 - http.server's name

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    seen: list[str] = []
    start.seen = seen  # type: ignore[attr-defined] # what was asked for, for the tests to read
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"])
def test_no_proxy_stands_between(
    emulator_url: str, monkeypatch: pytest.MonkeyPatch, answering: Answering, variable: str
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(variable, answering(502, {}))
    assert caller(Account(configuration(emulator_url))).startswith("arn:aws:")
    assert answering.seen == []  # type: ignore[attr-defined] # see the fixture


def test_no_redirection_is_followed(answering: Answering) -> None:
    away = answering(200, {})
    url = answering(307, {"Location": f"{away}/away", "x-amz-bucket-region": "us-west-2"})
    provider = Provider(configuration(url))
    with pytest.raises(ProviderError, match="Unable to parse response"):
        provider.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})
    assert "/away" not in answering.seen  # type: ignore[attr-defined] # see the fixture
