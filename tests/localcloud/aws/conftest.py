"""One emulator for all tests of a process, empty before each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto.core.base_backend import BackendDict
from moto.server import ThreadedMotoServer

from localcloud.aws.provider import Provider
from tests.localcloud.aws.bench import Bench, configuration


@pytest.fixture(scope="session")
def emulator_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def provider(emulator_url: str) -> Provider:
    BackendDict.reset()
    return Provider(configuration(emulator_url))


@pytest.fixture
def bench(provider: Provider) -> Bench:
    return Bench(provider)
