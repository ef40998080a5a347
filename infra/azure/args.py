"""What only Azure needs to know, from the section `azure` of the settings. Imports no SDK."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AzureArgs:
    """`subscription` and `tenant` are ids (UUIDs); `location` is a region; `zones` are its numbered zones.

    `replica_location` keeps the copies of replicated stores. `dns_zone` is the name of the DNS zone that holds the
    domain, in the resource group `dns_group`. `certificate` is the id of the secret in a Key Vault that holds the
    domain's certificate; without one the service is called by the name that Azure gives it.
    """

    subscription: str
    tenant: str
    location: str
    zones: tuple[str, ...]
    dns_zone: str
    dns_group: str
    replica_location: str | None = None
    certificate: str | None = None
