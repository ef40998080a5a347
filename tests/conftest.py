"""What the processes of one test run share: a folder for plans, which tests stay together, and which cases are run."""

import os
import random
import shutil
import tempfile
from collections import defaultdict

import pytest

from tests.plans.plans import PLANS


def pytest_configure(config: pytest.Config) -> None:
    if PLANS not in os.environ:  # the first process; those that it starts find it
        os.environ[PLANS] = tempfile.mkdtemp(prefix="plans-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(PLANS)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Draws the cases of sampled tests; keeps together what shares something costly: imports, plans, an environment.

    Of the slow tests, few files share anything; the others' go to whoever is free.
    """
    if not os.environ.get("ALL"):
        left = left_out(items, config.getoption("randomly_seed", 0))
        config.hook.pytest_deselected(items=[item for item in items if item in left])
        items[:] = [item for item in items if item not in left]
    for item in items:
        shares = "infra" in item.path.parts or not item.get_closest_marker("slow")
        if shares and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(config.rootpath))))


def left_out(items: list[pytest.Item], seed: object) -> set[pytest.Item]:
    """The cases of tests marked `sampled`, and the tests of files marked `drawn`, that this seed leaves out.

    They are the same in each process of a run.
    """
    cases: dict[tuple[str, int], list[pytest.Item]] = defaultdict(list)
    for item in items:
        if mark := item.get_closest_marker("sampled"):
            cases[item.nodeid.partition("[")[0], mark.args[0]].append(item)
        elif (mark := item.get_closest_marker("drawn")) and item.get_closest_marker("slow"):
            cases[item.nodeid.partition("::")[0], mark.args[0]].append(item)
    left: set[pytest.Item] = set()
    for (test, of), found in cases.items():
        found.sort(key=lambda item: item.nodeid)
        kept = random.Random(f"{seed} {test}").sample(found, -(-len(found) // of))
        left |= set(found) - set(kept)
    return left
