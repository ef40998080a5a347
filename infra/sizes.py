"""What a machine is, and what it costs by the list: the same facts for each cloud."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A size of machine as the cloud names it, with its list price in US dollars an hour in one region.

    `spot` is what the price was when it was looked up, and moves; `dated` is that day (ISO), `source` a URL.
    """

    name: str
    cpus: int
    memory_gib: float
    gpus: int
    gpu: str
    on_demand: float
    spot: float
    region: str
    dated: str
    source: str
