"""What machines cost: every need on every cloud, from sources, and within the budgets of the environments."""

import datetime
import subprocess
import sys
from dataclasses import replace

import pytest

from infra.shape import Fleet
from infra.sizes import Size
from stacks import costs
from stacks.settings import Settings, read
from tests.stacks.test_settings import configuration

SIZES = [(cloud, need, size) for cloud, needs in costs.CLOUDS.items() for need, row in needs.items() for size in row]


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_every_need_has_a_size_on_every_cloud(cloud: str) -> None:
    assert set(costs.CLOUDS[cloud]) == {"none", "gpu-small", "gpu-large"}
    assert all(costs.CLOUDS[cloud].values())


@pytest.mark.parametrize(("cloud", "need", "size"), SIZES, ids=[f"{cloud}-{size.name}" for cloud, _, size in SIZES])
def test_a_size_has_a_dated_price_with_a_source_and_a_spot_price_below_it(cloud: str, need: str, size: Size) -> None:
    assert 0 < size.spot < size.on_demand
    assert datetime.date.fromisoformat(size.dated).year >= 2025
    assert size.source.startswith("https://")
    assert (size.gpus > 0) == (need != "none")
    assert bool(size.gpu) == (size.gpus > 0)


def settings_of(environment: str) -> Settings:
    found = read(configuration(environment), project="groundwork", stack=environment)
    assert isinstance(found, Settings)
    return found


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_an_environment_s_trainers_stay_within_its_budget(environment: str, cloud: str) -> None:
    settings = settings_of(environment)
    rest, most = costs.a_month(cloud, settings)
    assert rest < settings.budget, "machines that always run"
    assert most < 2 * settings.budget, "every machine all the time"


def test_a_month_is_its_hours_at_the_cheapest_size() -> None:
    settings = replace(settings_of("dev"), fleet=Fleet("none", maximum=3, on_demand=1))
    sizes = costs.CLOUDS["aws"]["none"]
    always = min(size.on_demand for size in sizes) * 730
    assert costs.a_month("aws", settings) == (always, always + 2 * min(size.spot for size in sizes) * 730)


def test_the_command_prints_each_size_and_says_that_it_estimates() -> None:
    shown = subprocess.run([sys.executable, "-m", "stacks.costs"], capture_output=True, text=True, check=True).stdout
    assert all(size.name in shown for _, _, size in SIZES)
    assert "An estimate" in shown
    assert all(size.source in shown for _, _, size in SIZES)
