"""One emulator for all tests of a process, empty before each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import settings
from moto.core.base_backend import BackendDict
from moto.ec2.models.amis import AMIS, Ami, AmiBackend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import ThreadedMotoServer

from localcloud.aws.provider import Provider
from localcloud.moto_adaptations import remember_what_moto_searches
from localcloud.moto_imports import spare_moto_imports
from tests.localcloud.aws.bench import Bench, Mortal, configuration, without_a_network
from tests.localcloud.aws.samples.launch_templates import IMAGE, OTHER_IMAGE


def _load_two_images(backend: AmiBackend) -> None:
    """In place of two thousand, which take a fifth of a second in each test that has a network."""
    backend.amis = {row["ami_id"]: Ami(backend, **row) for row in AMIS if row["ami_id"] in (IMAGE, OTHER_IMAGE)}


@pytest.fixture(scope="session")
def emulator_url() -> Iterator[str]:
    spare_moto_imports()
    remember_what_moto_searches()
    patch = pytest.MonkeyPatch()
    patch.setattr(settings, "ACM_VALIDATION_WAIT", 0)  # seconds; Moto's own are 60
    patch.setattr(AmiBackend, "_load_amis", _load_two_images)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    patch.undo()


@pytest.fixture(scope="session")
def app(emulator_url: str) -> DomainDispatcherApplication:
    """The server's app, for who calls it without a network."""
    return DomainDispatcherApplication(create_backend_app)


@pytest.fixture(scope="session")
def shared_provider(emulator_url: str, app: DomainDispatcherApplication) -> Provider:
    """Its clients are made once: making them takes longer than most tests."""
    return without_a_network(Provider(configuration(emulator_url)), app)


@pytest.fixture
def provider(shared_provider: Provider) -> Provider:
    BackendDict.reset()
    return shared_provider


@pytest.fixture
def bench(provider: Provider) -> Bench:
    return Bench(provider)


@pytest.fixture(scope="session")
def mortal(emulator_url: str, app: DomainDispatcherApplication) -> Provider:
    return without_a_network(Mortal(emulator_url), app)
