"""Sizes of virtual machines by what they compute with, and what each costs by the list.

Prices: Azure's retail price list for Linux, as the catalogue in `SOURCE` took it down; the day is that on which it
was looked up there. All have the same local disks (none, without a GPU) and disk interface, as a scale set that
mixes sizes asks: https://learn.microsoft.com/azure/virtual-machine-scale-sets/instance-mix-overview
"""

from infra.shape import Accelerator
from infra.sizes import Size

SOURCE = (
    "https://github.com/coopslarhette/skypilot-catalog/blob/"
    "20291d7eda23e6f420cd9586558cf0bc4051851c/catalogs/v8/azure/vms.csv"
)
REGION, DATED = "eastus", "2026-11-21"


def _size(name: str, cpus: int, memory_gib: float, prices: tuple[float, float], gpu: str = "") -> Size:
    return Size(f"Standard_{name}", cpus, memory_gib, int(bool(gpu)), gpu, *prices, REGION, DATED, SOURCE)


# A scale set mixes sizes of the families A, B, D, E and F alone: of those with a GPU it has one.
SIZES: dict[Accelerator, tuple[Size, ...]] = {
    "none": (
        _size("D8as_v5", 8, 32, (0.344, 0.03784)),
        _size("D8s_v5", 8, 32, (0.384, 0.04224)),
        _size("D8s_v4", 8, 32, (0.384, 0.04224)),
    ),
    "gpu-small": (_size("NC4as_T4_v3", 4, 28, (0.526, 0.062699), "NVIDIA T4"),),
    "gpu-large": (_size("NC24ads_A100_v4", 24, 220, (3.673, 0.444433), "NVIDIA A100 80GB"),),
}
