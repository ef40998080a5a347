"""What only AWS needs to know, from the section `aws` of the settings. Imports no SDK."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AwsArgs:
    """`zones` are the letters after the region's name.

    `hosted_zone` is the Route 53 zone in which the service's certificate is validated and its name is
    published. `replica_region` keeps the copies of replicated buckets. `endpoint` is an AWS-compatible
    emulator, which issues certificates without being asked twice. `token_keys` is where the issuer of the callers'
    tokens publishes its keys (its `jwks_uri`), if not at `/.well-known/jwks.json` under its own URL.
    """

    region: str
    zones: tuple[str, ...]
    hosted_zone: str | None = None
    replica_region: str | None = None
    endpoint: str | None = None
    token_keys: str | None = None
