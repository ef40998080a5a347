"""What each cloud alone needs to know, read from its own section of a stack's settings."""

from collections.abc import Callable, Mapping
from typing import Any

from infra.aws.args import AwsArgs
from infra.azure.args import AzureArgs
from infra.gcp.args import GcpArgs
from stacks.section import Section, between, each, endpoint, mapping, matching, zones

CERTIFICATE = "the id of the Key Vault secret that holds the domain's certificate"
MONTH = r"20[0-9]{2}-(0[1-9]|1[0-2])"
BUDGET_SINCE = "the month (YYYY-MM) in which the budget is made first; it stays when months pass"
BOOTSTRAP = "bootstrap-"  # a stack of this name, with a cloud's behind it, is of that cloud's whole account


def _aws(section: Section) -> AwsArgs:
    args = AwsArgs(
        region=section.take(
            "region", matching(r"(?!cn-)[a-z]{2}-[a-z]+-\d"), "a region of AWS's public partition", "eu-west-1"
        ),
        zones=section.take("zones", zones, "a list of two to four letters of the region's zones", ["a", "b"]),
        hosted_zone=section.take(
            "hostedZone",
            matching(r"Z[A-Z0-9]{5,31}"),
            "the id of the Route 53 zone that holds the domain",
            "Z0123456789ABCDEFGHIJ",
            default=None,
        ),
        replica_region=section.take(
            "replicaRegion", matching(r"(?!cn-)[a-z]{2}-[a-z]+-\d"), "another region", "eu-central-1", default=None
        ),
        endpoint=section.take(
            "endpoint",
            endpoint,
            "the address of an AWS-compatible emulator, over https unless it is on this machine",
            "https://localhost:4566",
            default=None,
        ),
        token_keys=section.take(
            "tokenKeys",
            matching(r"https://[^\s]{4,248}"),
            "the https URL at which the issuer of the callers' tokens publishes its keys (its jwks_uri)",
            "https://login.example.com/keys",
            default=None,
        ),
    )
    if section.close() and not (args.endpoint or args.hosted_zone or section.stack.startswith(BOOTSTRAP)):
        needed = "the id of the Route 53 zone that holds the domain; only an emulator (endpoint) needs none"
        section.refuse("hostedZone", needed, "Z0123456789ABCDEFGHIJ")
    return args


def _gcp(section: Section) -> GcpArgs:
    region = matching(r"[a-z]+-[a-z]+[0-9]{1,2}")
    args = GcpArgs(
        project=section.take("project", matching(r"[a-z][a-z0-9-]{4,28}[a-z0-9]"), "a project's id", "acme-ml-dev"),
        project_number=section.take("projectNumber", between(1, 10**15), "the project's number", 123456789012),
        region=section.take("region", region, "a region", "europe-west1"),
        zones=section.take("zones", zones, "a list of two to four letters of the region's zones", ["b", "c"]),
        managed_zone=section.take(
            "managedZone", matching(r"[a-z][a-z0-9-]{0,62}"), "the Cloud DNS zone that holds the domain", "example-com"
        ),
        billing_account=section.take(
            "billingAccount", matching(r"([0-9A-F]{6}-){2}[0-9A-F]{6}"), "a billing account", "012345-6789AB-CDEF01"
        ),
        replica_region=section.take("replicaRegion", region, "another region", "europe-west4", default=None),
        projects=section.take(
            "projects", _projects, "a project's id for each environment", {"dev": "acme-ml-dev"}, default={}
        ),
    )
    section.close()
    return args


def _projects(value: Any) -> Mapping[str, str]:
    project = matching(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
    return {environment: project(found) for environment, found in mapping(value).items()}


def _azure(section: Section) -> AzureArgs:
    uuid = matching(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    location = matching(r"[a-z]{4,20}[0-9]?")
    nowhere = "00000000-0000-4000-8000-000000000000"
    secret = f"/subscriptions/{nowhere}/resourceGroups/dns/providers/Microsoft.KeyVault/vaults/acme/secrets/predict"
    args = AzureArgs(
        subscription=section.take("subscription", uuid, "a subscription's id", nowhere),
        tenant=section.take("tenant", uuid, "a tenant's id", nowhere),
        location=section.take("location", location, "a region", "westeurope"),
        zones=section.take("zones", each(matching("[1-3]")), "a list of the region's zones, 1 to 3", ["1", "2"]),
        dns_zone=section.take(
            "dnsZone", matching(r"[a-z0-9.-]{4,64}"), "the DNS zone that holds the domain", "example.com"
        ),
        dns_group=section.take(
            "dnsGroup", matching(r"[A-Za-z0-9._()-]{1,90}"), "the resource group of the DNS zone", "dns"
        ),
        replica_location=section.take("replicaLocation", location, "another region", "northeurope", default=None),
        certificate=section.take(
            "certificate",
            _vault_secret,
            CERTIFICATE,
            secret,
            default=None,
        ),
        budget_since=section.take("budgetSince", matching(MONTH), BUDGET_SINCE, "2026-12", default=None),
        certificates=section.take(
            "certificates", _certificates, f"for each environment {CERTIFICATE}", {"dev": secret}, default={}
        ),
    )
    if section.close() and not section.stack.startswith(BOOTSTRAP):
        if args.certificate is None:
            section.refuse("certificate", CERTIFICATE, secret)
        if args.budget_since is None:
            section.refuse("budgetSince", BUDGET_SINCE, "2026-12")
    return args


def _vault_secret(value: Any) -> str:
    vault = r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.KeyVault/vaults/[A-Za-z0-9-]{3,24}"
    return matching(vault + r"/secrets/[A-Za-z0-9-]{1,127}")(value)


def _certificates(value: Any) -> Mapping[str, str]:
    return {environment: _vault_secret(found) for environment, found in mapping(value).items()}


SECTIONS: dict[str, Callable[[Section], Any]] = {"aws": _aws, "gcp": _gcp, "azure": _azure}
