"""One emulator for all tests of a process, empty before each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import settings
from moto.core.base_backend import BackendDict
from moto.server import ThreadedMotoServer

from localcloud.aws.provider import Provider
from localcloud.moto_imports import spare_moto_imports
from tests.localcloud.aws.bench import Bench, Mortal, configuration


@pytest.fixture(scope="session")
def emulator_url() -> Iterator[str]:
    spare_moto_imports()
    patch = pytest.MonkeyPatch()
    patch.setattr(settings, "ACM_VALIDATION_WAIT", 0)  # seconds; Moto's own are 60
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    patch.undo()


@pytest.fixture(scope="session")
def shared_provider(emulator_url: str) -> Provider:
    """Its clients are made once: making them takes longer than most tests."""
    return Provider(configuration(emulator_url))


@pytest.fixture
def provider(shared_provider: Provider) -> Provider:
    BackendDict.reset()
    return shared_provider


@pytest.fixture
def bench(provider: Provider) -> Bench:
    return Bench(provider)


@pytest.fixture(scope="session")
def mortal(emulator_url: str) -> Mortal:
    return Mortal(emulator_url)
