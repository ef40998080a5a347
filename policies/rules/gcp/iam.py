"""Who may do what: members, roles and keys of service accounts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from policies.graph import Graph, Resource, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.gcp.federation import PROVIDER, names_one_repository
from policies.rules.reading import UNKNOWN, every, given, one_of, read, uses

PUBLIC = ("allUsers", "allAuthenticatedUsers")
DEFAULT_ACCOUNT = re.compile(r"(\d+-compute@developer|@appspot)\.gserviceaccount\.com$")
GOOGLES_OWN = "@cloudservices.gserviceaccount.com"
WHOLE_POOL = re.compile(r"^principalSet://iam\.googleapis\.com/.+/workloadIdentityPools/[^/]+/\*$")


def iam_types(*stems: str) -> tuple[str, ...]:
    """The tokens of the three ways to grant: `storage/bucketIAM` is `gcp:storage/bucketIAMMember:BucketIAMMember`, …"""
    return tuple(
        f"gcp:{module}/{name}{kind}:{name[0].upper()}{name[1:]}{kind}"
        for module, name in (stem.split("/") for stem in stems)
        for kind in ("Member", "Binding", "Policy")
    )


PROJECTS = iam_types("projects/iAM", "folder/iAM", "organizations/iAM")
BUCKETS = iam_types("storage/bucketIAM")
SERVICES = iam_types(
    "cloudrunv2/serviceIam", "cloudrun/iam", "cloudfunctionsv2/functionIam", "cloudfunctions/functionIam"
)
ACCOUNTS = iam_types("serviceaccount/iAM")
OTHERS = iam_types(
    "artifactregistry/repositoryIam",
    "bigquery/datasetIam",
    "cloudrunv2/jobIam",
    "kms/cryptoKeyIAM",
    "kms/keyRingIAM",
    "pubsub/subscriptionIAM",
    "pubsub/topicIAM",
    "secretmanager/secretIam",
)


def grants(resource: Resource) -> Iterator[tuple[Any, Any, str]]:
    """Role, member and the path of each grant that an IAM resource makes; UNKNOWN for what nobody knows yet."""
    data = read(resource, "policyData")
    if data is None:
        role = read(resource, "role")
        for where in ("member", "members.*"):
            yield from ((role, value, path) for path, value in every(given(resource), where) if value is not None)
        return
    try:
        bindings = json.loads(data)["bindings"] if isinstance(data, str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        bindings = None
    if not isinstance(bindings, list):
        yield UNKNOWN, UNKNOWN, "policyData"
        return
    for row in bindings:
        if isinstance(row, dict):
            yield from ((row.get("role"), member, "policyData") for member in listed(row.get("members")))


def is_anybody(resource: Resource, member: Any, path: str) -> bool:
    """Whether a member is unknown and may be everyone: what comes of another resource is that resource's identity."""
    name = path.split(".", maxsplit=1)[0]
    return member is UNKNOWN and (name == "policyData" or not resource.references.get(name))


def _public(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for role, member, path in grants(resource):
        if is_anybody(resource, member, path):
            yield undetermined("Nobody knows the member before the deployment.", path)
        elif member in PUBLIC:
            yield fail(f"`{member}`, which is everyone, has `{role}`.", path)


def _public_service(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    services = (
        "gcp:cloudrunv2/service:Service",
        "gcp:cloudrun/service:Service",
        "gcp:cloudfunctionsv2/function:Function",
        "gcp:cloudfunctions/function:Function",
    )
    called = [
        row
        for row in graph.of_type(*services)
        if any(uses(resource, row, n) for n in ("name", "service", "cloudFunction"))
    ]
    if called and all(_closed(row) for row in called):
        return
    yield from _public(resource, graph)


def _closed(service: Resource) -> bool:
    """Whether only the network or a load balancer reaches a service, whoever may call it."""
    annotation = next((v for _, v in every(given(service), "metadata.annotations") if isinstance(v, dict)), {})
    ingress = (
        read(service, "ingress"),
        read(service, "serviceConfig.ingressSettings"),
        read(service, "ingressSettings"),
        annotation.get("run.googleapis.com/ingress"),
    )
    return any("internal" in str(value).lower() for value in ingress if value is not None)


def _no_check(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if one_of(read(resource, "invokerIamDisabled"), True) and not _closed(resource):
        yield fail("It asks nobody for a token and takes calls from the internet.", "invokerIamDisabled")


def _basic(resource: Resource, roles: tuple[str, ...]) -> Iterator[Verdict]:
    for role, member, path in grants(resource):
        if role is UNKNOWN:
            # A role that comes of a custom role of the stack is none of these.
            if path == "policyData" or not resource.references.get("role"):
                yield undetermined(
                    "Nobody knows the role before the deployment.", "role" if path != "policyData" else path
                )
        elif role in roles and not str(member).endswith(GOOGLES_OWN):
            # Whether the member is known does not matter: nobody should have it.
            yield fail(f"It gives the basic role `{role}`.", "role" if path != "policyData" else path)


def _owner(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    yield from _basic(resource, ("roles/owner", "roles/editor", "roles/admin", "roles/writer"))


def _viewer(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    yield from (each for each in _basic(resource, ("roles/viewer", "roles/reader")) if each.status == "fail")


def _custom_role(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, permission in every(given(resource), "permissions.*"):
        if permission is UNKNOWN:
            yield undetermined("Nobody knows a permission before the deployment.", path)
        elif "*" in str(permission):
            yield fail(f"It holds `{permission}`.", path)


ESCALATES = {
    "iam.serviceAccountKeys.create": "make keys of service accounts",
    "iam.serviceAccounts.getAccessToken": "take tokens of service accounts",
    "iam.serviceAccounts.implicitDelegation": "take tokens of service accounts",
    "iam.serviceAccounts.signBlob": "sign as service accounts",
    "iam.serviceAccounts.signJwt": "sign as service accounts",
    "iam.roles.update": "widen its own role",
    "resourcemanager.projects.setIamPolicy": "give itself every role",
    "resourcemanager.folders.setIamPolicy": "give itself every role",
    "resourcemanager.organizations.setIamPolicy": "give itself every role",
    "iam.serviceAccounts.setIamPolicy": "let itself be any service account",
    "deploymentmanager.deployments.create": "act as Deployment Manager, an editor",
    "orgpolicy.policy.set": "switch off the organisation's policies",
}


def _escalates(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, permission in every(given(resource), "permissions.*"):
        if isinstance(permission, str) and permission in ESCALATES:
            yield fail(f"With `{permission}` its holder can {ESCALATES[permission]}.", path)


IMPERSONATES = (
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountKeyAdmin",
    "roles/iam.serviceAccountOpenIdTokenCreator",
    "roles/iam.workloadIdentityUser",
    "roles/iam.serviceAccountUser",
)


def _impersonates(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if read(resource, "condition") is not None:
        return
    for role, member, path in grants(resource):
        # Google's own agents are told to be granted so (Pub/Sub push, for one).
        if role in IMPERSONATES and "@gcp-sa-" not in str(member):
            yield fail(f"It gives `{role}` over every service account of the project.", path)


def _key(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    # A public key that is given from outside has its private half, and its end, elsewhere.
    if read(resource, "publicKeyData") is None and not one_of(read(resource, "state"), "INACTIVE"):
        yield fail("It makes a key that does not expire.")


def _default_account(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for role, member, path in grants(resource):
        if DEFAULT_ACCOUNT.search(str(member)):
            yield fail(f"It gives `{role}` to the default service account, which every new workload shares.", path)


def _whole_pool(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    for _role, member, path in grants(resource):
        if not isinstance(member, str) or not WHOLE_POOL.match(member):
            continue
        providers = list(graph.of_type(*PROVIDER))
        if not providers or not all(names_one_repository(row) for row in providers):
            yield fail("Every identity of the pool, whatever it is, may act.", path)


RULES = (
    Rule(
        "GW-GCP-010",
        "Nobody unnamed may use data, keys or secrets",
        "critical",
        "`allUsers` is the internet, `allAuthenticatedUsers` anyone with a Google account: not your organisation.",
        "Name a group, a service account or `domain:` as the member.",
        ("AC-3", "AC-6"),
        (*PROJECTS, *ACCOUNTS, *OTHERS),
        _public,
    ),
    Rule(
        "GW-GCP-011",
        "A service that the internet reaches must ask who calls",
        "high",
        "Anyone may call it, at your cost and with your service's rights.",
        "Name the callers in place of `allUsers`, or let only a load balancer in (`ingress`).",
        ("AC-3", "IA-9"),
        SERVICES,
        _public_service,
        whole_stack=True,
    ),
    Rule(
        "GW-GCP-012",
        "A service must not switch off its check of callers",
        "high",
        "With `invoker_iam_disabled` IAM no longer decides who may call.",
        "Leave `invoker_iam_disabled` out, or set `ingress` to internal traffic and load balancers.",
        ("AC-3", "IA-9"),
        ("gcp:cloudrunv2/service:Service",),
        _no_check,
    ),
    Rule(
        "GW-GCP-013",
        "Nobody may be owner or editor",
        "critical",
        "Basic roles hold thousands of permissions on everything: one stolen identity is the whole project.",
        "Give predefined roles on the resources that are meant, or a custom role.",
        ("AC-6", "AC-5"),
        PROJECTS,
        _owner,
    ),
    Rule(
        "GW-GCP-014",
        "Nobody may have the basic role of a viewer",
        "low",
        "It reads nearly everything of the project, now and in services yet to come.",
        "Give the viewer roles of the services that are meant, or `roles/browser`.",
        ("AC-6",),
        PROJECTS,
        _viewer,
        "advisory",
    ),
    Rule(
        "GW-GCP-015",
        "A custom role must name its permissions",
        "high",
        "A star grows with every permission that Google adds.",
        "List the permissions.",
        ("AC-6",),
        (
            "gcp:projects/iAMCustomRole:IAMCustomRole",
            "gcp:organizations/iAMCustomRole:IAMCustomRole",
        ),
        _custom_role,
    ),
    Rule(
        "GW-GCP-016",
        "A custom role must not let its holder become more",
        "medium",
        "Who may change policies, or take tokens and keys of others, has every right that they have.",
        "Leave the permission out; grant it on one service account where it is needed.",
        ("AC-6", "AC-5"),
        (
            "gcp:projects/iAMCustomRole:IAMCustomRole",
            "gcp:organizations/iAMCustomRole:IAMCustomRole",
        ),
        _escalates,
        "advisory",
    ),
    Rule(
        "GW-GCP-017",
        "Service accounts must be impersonated one by one",
        "medium",
        "On a project these roles let their holder act as every service account of it, later ones included.",
        "Grant the role on the service account (`serviceaccount.IAMMember`), not on the project.",
        ("AC-6",),
        PROJECTS,
        _impersonates,
        "advisory",
    ),
    Rule(
        "GW-GCP-018",
        "Default service accounts must be given nothing",
        "medium",
        "Every workload that names no account runs as the default one and gets what that is given.",
        "Make a service account for the workload and grant it what that needs.",
        ("AC-6", "IA-9"),
        (*PROJECTS, *BUCKETS, *ACCOUNTS, *OTHERS),
        _default_account,
        "advisory",
    ),
    Rule(
        "GW-GCP-019",
        "No key of a service account may lie about",
        "high",
        "A key is a password that does not expire: it leaks from a disk, a log or a state and works from anywhere.",
        "Use workload identity federation, or the service account of the machine that the program runs on.",
        ("IA-5", "SC-12"),
        ("gcp:serviceaccount/key:Key", "gcp:storage/hmacKey:HmacKey"),
        _key,
    ),
    Rule(
        "GW-GCP-020",
        "A whole workload identity pool must be given nothing",
        "critical",
        "`/*` is every identity that any provider of the pool lets in: every repository, every branch.",
        "Use `principalSet://…/attribute.repository_id/ID` or `principal://…/subject/SUBJECT`.",
        ("AC-3", "AC-6", "IA-9"),
        (*PROJECTS, *BUCKETS, *ACCOUNTS, *OTHERS),
        _whole_pool,
        whole_stack=True,
    ),
)
