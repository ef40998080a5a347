"""`python -m stacks.costs`: what machines to train on cost, by need, on each cloud. An estimate from list prices.

Nothing is asked over the network: sizes carry the price that was read on a day, and where (`infra/*/sizes.py`).
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from infra.aws.sizes import SIZES as AWS
from infra.azure.sizes import SIZES as AZURE
from infra.gcp.sizes import SIZES as GCP
from infra.shape import Accelerator
from infra.sizes import Size
from stacks.settings import Settings, read

HOURS_A_MONTH = 730  # 365 days of 24 hours, by twelve: what the clouds' own calculators use
CLOUDS: dict[str, Mapping[Accelerator, tuple[Size, ...]]] = {"aws": AWS, "gcp": GCP, "azure": AZURE}
PROJECT = Path(__file__).resolve().parent.parent


def cheapest(cloud: str, need: Accelerator, *, spot: bool) -> Size:
    """The size that costs least of those that a trainer may use for the need."""
    return min(CLOUDS[cloud][need], key=lambda size: size.spot if spot else size.on_demand)


def a_month(cloud: str, settings: Settings) -> tuple[float, float]:
    """US dollars a month: of the machines that always run, and with every spot machine running all the time."""
    fleet = settings.fleet
    always = fleet.on_demand * cheapest(cloud, fleet.accelerator, spot=False).on_demand * HOURS_A_MONTH
    spot = (fleet.maximum - fleet.on_demand) * cheapest(cloud, fleet.accelerator, spot=True).spot * HOURS_A_MONTH
    return always, always + spot


def sizes_table() -> Table:
    """Every size, with what an hour and a month cost on demand and as spot."""
    table = Table(title="What a machine costs, in US dollars", title_justify="left", box=None, pad_edge=False)
    for name in ("cloud", "need", "size"):
        table.add_column(name)
    for name in ("CPUs", "GiB"):
        table.add_column(name, justify="right")
    table.add_column("GPU")
    for name in ("an hour", "spot", "saved", "a month", "spot", "read on"):
        table.add_column(name, justify="right")
    for cloud, needs in CLOUDS.items():
        for need, sizes in needs.items():
            for size in sizes:
                table.add_row(
                    *(cloud, need, size.name, str(size.cpus), f"{size.memory_gib:g}"),
                    f"{size.gpus} x {size.gpu}" if size.gpus else "",
                    *(f"{size.on_demand:.3f}", f"{size.spot:.3f}", f"{1 - size.spot / size.on_demand:.0%}"),
                    *(f"{size.on_demand * HOURS_A_MONTH:,.0f}", f"{size.spot * HOURS_A_MONTH:,.0f}", size.dated),
                )
    return table


def environments_table() -> Table:
    """What the trainers of each environment cost a month: at rest, and at most."""
    table = Table(title="\nTrainers a month, by environment", title_justify="left", box=None, pad_edge=False)
    for name in ("environment", "cloud", "need"):
        table.add_column(name)
    for name in ("on demand", "spot", "at rest", "at most", "budget"):
        table.add_column(name, justify="right")
    for path in sorted(PROJECT.glob("Pulumi.*.yaml")):
        stack = path.name.split(".")[1]
        found = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
        settings = read(
            {key.partition(":")[2]: value for key, value in found.items()}, project="groundwork", stack=stack
        )
        if not isinstance(settings, Settings) or settings.context.disposable:
            continue
        for cloud in settings.clouds:
            rest, most = a_month(cloud, settings)
            fleet = settings.fleet
            table.add_row(
                *(stack, cloud, fleet.accelerator, str(fleet.on_demand), str(fleet.maximum - fleet.on_demand)),
                *(f"{rest:,.0f}", f"{most:,.0f}", f"{settings.budget:,}"),
            )
    return table


def main() -> None:
    """Prints both tables, and where the prices are from."""
    console = Console(width=None if sys.stdout.isatty() else 140, soft_wrap=True)
    console.print(sizes_table())
    console.print(environments_table())
    sources = sorted({(size.source, size.dated) for needs in CLOUDS.values() for row in needs.values() for size in row})
    console.print("\nAn estimate: list prices of one region as read on the day shown; spot prices move by the hour.")
    console.print("Disks, traffic, taxes and discounts are not in it. Sources:")
    for source, dated in sources:
        console.print(f"  {source} ({dated})", highlight=False)


if __name__ == "__main__":
    main()
