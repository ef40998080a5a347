"""What machines are called on GCP, what they cost, and in which regions they are to be had."""

from infra.shape import Accelerator, Unsupported
from infra.sizes import Size

# Prices and regions as the price calculator of Cyclenerd lists them, from Google's own billing catalogue. Sizes of the
# families E2 and G2 whose line is not listed here are linear in their cores there, and are taken so.
_SOURCE = (
    "https://github.com/Cyclenerd/google-cloud-pricing-cost-calculator/blob/"
    "dac31281f2a4575f0a8bff20ac04fc71a5ff2190/pricing.yml"
)
_DATED = "2026-08-20"


def _size(
    name: str,
    cpus: int,
    memory_gib: float,
    on_demand: float,
    spot: float,
    *,
    gpu: str = "",
    region: str = "europe-west1",
) -> Size:
    return Size(name, cpus, memory_gib, 1 if gpu else 0, gpu, on_demand, spot, region, _DATED, _SOURCE)


# The first of each is what is asked for first.
SIZES: dict[Accelerator, tuple[Size, ...]] = {
    "none": (
        _size("n2-standard-4", 4, 16, 0.2137, 0.0444),
        _size("n2d-standard-4", 4, 16, 0.1859, 0.0934),
        _size("e2-standard-4", 4, 16, 0.1474, 0.0827),
    ),
    "gpu-small": (
        _size("g2-standard-4", 4, 16, 0.7783, 0.4336, gpu="NVIDIA L4"),
        _size("g2-standard-8", 8, 32, 0.9399, 0.5236, gpu="NVIDIA L4"),
    ),
    "gpu-large": (
        _size("a2-highgpu-1g", 12, 85, 3.7480, 2.2479, gpu="NVIDIA A100 40GB", region="europe-west4"),
        _size("a2-ultragpu-1g", 12, 170, 5.5809, 2.8949, gpu="NVIDIA A100 80GB", region="europe-west4"),
        _size("a3-highgpu-1g", 26, 234, 12.1712, 5.7662, gpu="NVIDIA H100 80GB"),
    ),
}

# A3 High with fewer than eight GPUs is never sold on demand. Source: Compute Engine, "Accelerator-optimized machines".
SPOT_ALONE = frozenset({"a3-highgpu-1g"})


def _regions(names: str) -> frozenset[str]:
    return frozenset(names.split())


_L4 = _regions(
    "asia-east1 asia-northeast1 asia-northeast3 asia-south1 asia-southeast1 europe-west1 europe-west2 europe-west3 "
    "europe-west4 europe-west6 me-central2 northamerica-northeast1 northamerica-northeast2 us-central1 us-east1 "
    "us-east4 us-west1 us-west4"
)
# Where the sizes with a GPU are, and where others are not. Source: tools/machinetyperegion.csv beside the prices.
REGIONS: dict[str, frozenset[str]] = {
    "g2-standard-4": _L4,
    "g2-standard-8": _L4,
    "a2-highgpu-1g": _regions(
        "asia-northeast1 asia-northeast3 asia-southeast1 europe-west4 me-west1 us-central1 us-east1 us-west1 us-west3 "
        "us-west4"
    ),
    "a2-ultragpu-1g": _regions("asia-southeast1 europe-west4 us-central1 us-east4 us-east5"),
    "a3-highgpu-1g": _regions(
        "asia-east1 asia-northeast1 asia-northeast3 asia-south1 asia-south2 asia-southeast1 australia-southeast1 "
        "australia-southeast2 europe-north1 europe-west1 europe-west3 europe-west4 europe-west9 us-central1 us-east4 "
        "us-east5 us-west1 us-west4"
    ),
}
_YOUNG = frozenset({"europe-north2", "northamerica-south1"})
MISSING: dict[str, frozenset[str]] = {"n2-standard-4": _YOUNG, "n2d-standard-4": _YOUNG}


def offered(accelerator: Accelerator, region: str, *, on_demand: bool = False) -> tuple[str, ...]:
    """The names of the sizes for a need that a region has, best first. Raises Unsupported if it has none."""
    fitting = [size.name for size in SIZES[accelerator] if not (on_demand and size.name in SPOT_ALONE)]
    found = tuple(
        name for name in fitting if region in REGIONS.get(name, {region}) and region not in MISSING.get(name, ())
    )
    if not found:
        terms = "on demand" if on_demand else "as spot"
        known = sorted({region for name in fitting for region in REGIONS[name]})
        raise Unsupported(
            f"gcp: {region} has no machine for {accelerator!r} {terms}; choose one of the regions {', '.join(known)}"
            + (", or set onDemand to 0." if on_demand else ", or another accelerator.")
        )
    return found
