"""What machines are called on AWS, and what they cost."""

from infra.shape import Accelerator
from infra.sizes import Size

# List prices for Linux and the average spot price of the day, as ec2instances.info collected them from AWS.
_REGION, _DATED = "eu-west-1", "2025-05-28"
_SOURCE = "https://github.com/cristim/ec2-instances-info/blob/32acf84f42eb/data/instances.json"
_T4, _A10G = "NVIDIA T4 (16 GB)", "NVIDIA A10G (24 GB)"


def _size(
    name: str, cpus: int, memory_gib: float, on_demand: float, spot: float, *, gpus: int = 0, gpu: str = ""
) -> Size:
    return Size(name, cpus, memory_gib, gpus, gpu, on_demand, spot, _REGION, _DATED, _SOURCE)


# Several for each need, so that spot can be found; the first is the one that is bought on demand.
SIZES: dict[Accelerator, tuple[Size, ...]] = {
    "none": (
        _size("m6a.xlarge", 4, 16, 0.1926, 0.0886),
        _size("m6i.xlarge", 4, 16, 0.214, 0.0984),
        _size("m7i.xlarge", 4, 16, 0.2247, 0.0989),
        _size("m5.xlarge", 4, 16, 0.214, 0.0942),
    ),
    "gpu-small": (
        _size("g4dn.xlarge", 4, 16, 0.587, 0.27, gpus=1, gpu=_T4),
        _size("g4dn.2xlarge", 8, 32, 0.838, 0.3771, gpus=1, gpu=_T4),
        _size("g5.xlarge", 4, 16, 1.123, 0.5166, gpus=1, gpu=_A10G),
        _size("g5.2xlarge", 8, 32, 1.353, 0.5953, gpus=1, gpu=_A10G),
    ),
    "gpu-large": (
        _size("g5.12xlarge", 48, 192, 6.3317, 2.7859, gpus=4, gpu=_A10G),
        _size("g5.24xlarge", 96, 384, 9.0912, 4.091, gpus=4, gpu=_A10G),
        _size("g4dn.12xlarge", 48, 192, 4.362, 1.9629, gpus=4, gpu=_T4),
    ),
}
