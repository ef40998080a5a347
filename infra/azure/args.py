"""What only Azure needs to know, from the section `azure` of the settings. Imports no SDK."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AzureArgs:
    """`subscription` and `tenant` are ids (UUIDs); `location` is a region; `zones` are its numbered zones.

    `replica_location` keeps the copies of replicated stores. `dns_zone` is the name of the DNS zone that holds the
    domain, in the resource group `dns_group`.

    An environment needs two more: `certificate` is the id of the secret in a Key Vault that holds the domain's
    certificate, `budget_since` the month (YYYY-MM) in which its budget begins. The whole account needs the
    `certificates` of its environments.
    """

    subscription: str
    tenant: str
    location: str
    zones: tuple[str, ...]
    dns_zone: str
    dns_group: str
    replica_location: str | None = None
    certificate: str | None = None
    budget_since: str | None = None
    certificates: Mapping[str, str] = field(default_factory=dict)
