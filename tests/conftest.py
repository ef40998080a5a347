"""What the processes of one test run share: a folder for plans, and which tests stay together."""

import os
import shutil
import tempfile

import pytest

from tests.plans.plans import PLANS


def pytest_configure(config: pytest.Config) -> None:
    if PLANS not in os.environ:  # the first process; those that it starts find it
        os.environ[PLANS] = tempfile.mkdtemp(prefix="plans-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(PLANS)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps together what shares something costly: plans that a process remembers, an environment that is up."""
    for item in items:
        if {"infra", "end_to_end"} & set(item.path.parts):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
