"""What only GCP needs to know, from the section `gcp` of the settings. Imports no SDK."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class GcpArgs:
    """`project` is the id of a Google Cloud project, `project_number` its number, which service agents are named
    after; `zones` are the letters after the region's name.

    `replica_region` keeps the copies of replicated buckets. `managed_zone` is the Cloud DNS zone that holds the
    domain. `projects` says for each environment which project it is in, to those who deploy.
    """

    project: str
    project_number: int
    region: str
    zones: tuple[str, ...]
    managed_zone: str
    billing_account: str
    replica_region: str | None = None
    projects: Mapping[str, str] = field(default_factory=dict)
