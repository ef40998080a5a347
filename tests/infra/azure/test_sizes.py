"""Sizes of machines: enough of them for spot where a scale set can mix, each with a price that says its source."""

from datetime import date

import pytest

from infra.azure.sizes import SIZES
from infra.shape import Accelerator

ACCELERATORS: list[Accelerator] = ["none", "gpu-small", "gpu-large"]


def test_there_is_a_size_for_every_need_and_a_gpu_where_one_is_needed() -> None:
    assert list(SIZES) == ACCELERATORS
    for accelerator, sizes in SIZES.items():
        assert all((size.gpus > 0) is (accelerator != "none") and bool(size.gpu) is (size.gpus > 0) for size in sizes)


def test_spot_without_a_gpu_has_three_sizes_alike_to_be_found_in_and_a_scale_set_takes_no_more_than_five() -> None:
    names = [size.name for size in SIZES["none"]]
    assert 3 <= len(set(names)) == len(names) <= 5
    assert {(size.cpus, size.memory_gib) for size in SIZES["none"]} == {(8, 32)}
    assert all(name.startswith(("Standard_D", "Standard_E")) for name in names)  # families that mix


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_every_price_says_when_and_where_it_was_looked_up(accelerator: Accelerator) -> None:
    for size in SIZES[accelerator]:
        assert 0 < size.spot < size.on_demand
        assert size.source.startswith("https://")
        assert size.region
        assert date.fromisoformat(size.dated) >= date(2026, 1, 1)
