"""Buckets: who may read them, and what nobody may change in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.graph import Graph, Resource
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.gcp.iam import BUCKETS, PUBLIC, grants, is_anybody
from policies.rules.reading import UNKNOWN, every, given, must, on, one_of, read, uses

BUCKET = "gcp:storage/bucket:Bucket"
AUDIT = re.compile(r"(^|[^a-z])(audit|audits|auditlogs?|cloudaudit)([^a-z]|$)", re.IGNORECASE)
READERS = ("roles/storage.objectViewer", "roles/storage.legacyObjectReader")
ACLS = (
    "gcp:storage/bucketACL:BucketACL",
    "gcp:storage/defaultObjectACL:DefaultObjectACL",
    "gcp:storage/objectACL:ObjectACL",
)
CONTROLS = (
    "gcp:storage/bucketAccessControl:BucketAccessControl",
    "gcp:storage/defaultObjectAccessControl:DefaultObjectAccessControl",
    "gcp:storage/objectAccessControl:ObjectAccessControl",
)


def is_audit(name: str, *values: Any) -> bool:
    """Whether names, or labels, say that audit logs are kept here."""
    texts = [name, *(text for value in values for text in (value.values() if isinstance(value, Mapping) else [value]))]
    return any(isinstance(text, str) and AUDIT.search(text) for text in texts)


def _bucket_of(resource: Resource, graph: Graph) -> Resource | None:
    return next((row for row in graph.of_type(BUCKET) if uses(resource, row, "bucket")), None)


def _is_website(resource: Resource, graph: Graph) -> bool:
    bucket = _bucket_of(resource, graph)
    return bucket is not None and bool(read(bucket, "website"))


def _everyone(resource: Resource) -> Iterator[tuple[str, str, str]]:
    """Who of everyone may do what, and the path that says it."""
    for role, member, path in grants(resource):
        if member in PUBLIC:
            yield str(member), str(role), path
    entity = read(resource, "entity")
    if entity in PUBLIC:
        yield str(entity), str(read(resource, "role")), "entity"
    predefined = str(read(resource, "predefinedAcl"))
    if predefined.startswith("public") or predefined == "authenticatedRead":
        yield predefined, "READER", "predefinedAcl"
    default = str(read(resource, "defaultAcl"))
    if default.startswith("public") or default == "authenticatedRead":
        yield default, "READER", "defaultAcl"
    for path, row in every(given(resource), "roleEntities.*"):
        role, _, who = str(row).partition(":")
        if who in PUBLIC:
            yield who, role, path


def _public(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    website = _is_website(resource, graph)
    for who, role, path in _everyone(resource):
        if not (website and (role in READERS or role.upper() == "READER")):
            yield fail(f"`{who}`, which is everyone, has `{role}`.", path)
    unknown = [path for _, member, path in grants(resource) if is_anybody(resource, member, path)]
    if unknown:
        yield undetermined("Nobody knows the member before the deployment.", unknown[0])


def _website(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if _is_website(resource, graph):
        for who, role, path in _everyone(resource):
            yield fail(f"`{who}` has `{role}` on a website's bucket: all that is ever put there is public.", path)


def _lock(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if not is_audit(resource.name, read(resource, "name"), read(resource, "labels")):
        return
    policy = read(resource, "retentionPolicy")
    if policy is UNKNOWN:
        yield undetermined("Nobody knows how long it keeps what is in it before the deployment.", "retentionPolicy")
    elif policy is None:
        yield fail("It holds audit logs that can be deleted at any time.", "retentionPolicy")
    elif not on(resource, "retentionPolicy.isLocked"):
        yield fail("It holds audit logs under a retention that can be taken away.", "retentionPolicy.isLocked")


def _log_lock(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if is_audit(resource.name, read(resource, "bucketId")) and not on(resource, "locked"):
        yield fail("It holds audit logs under a retention that can be shortened.", "locked")


def _versioned(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if read(resource, "retentionPolicy") is None and not on(resource, "versioning.enabled"):
        days = read(resource, "softDeletePolicy.retentionDurationSeconds")
        if one_of(days, 0):
            yield fail("What is overwritten or deleted is gone: neither versions nor soft deletion.", "versioning")


RULES = (
    Rule(
        "GW-GCP-030",
        "A bucket must not be public",
        "critical",
        "Open buckets are searched for and copied by strangers; most leaks of data sets began with one.",
        "Name the readers; put what is meant for all behind a load balancer, in a bucket of a `website`.",
        ("AC-3", "AC-6"),
        (*BUCKETS, *ACLS, *CONTROLS),
        _public,
        whole_stack=True,
    ),
    Rule(
        "GW-GCP-031",
        "A website must be served by a load balancer",
        "low",
        "Whatever lands in a public bucket is published, by TLS of Google's name and without a log of who read it.",
        "Keep the bucket closed and serve it as a backend bucket.",
        ("AC-3",),
        (*BUCKETS, *ACLS, *CONTROLS),
        _website,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-GCP-032",
        "Audit logs must not be deletable",
        "high",
        "Whoever breaks in deletes the traces first.",
        "Set `retention_policy` with a `retention_period` and `is_locked=True`.",
        ("AU-9", "AU-11"),
        (BUCKET,),
        _lock,
    ),
    Rule(
        "GW-GCP-033",
        "A log bucket of audit logs must be locked",
        "medium",
        "An unlocked one can be told to keep a day.",
        "Set `locked=True` on it.",
        ("AU-9", "AU-11"),
        (
            "gcp:logging/projectBucketConfig:ProjectBucketConfig",
            "gcp:logging/folderBucketConfig:FolderBucketConfig",
            "gcp:logging/organizationBucketConfig:OrganizationBucketConfig",
        ),
        _log_lock,
        "advisory",
    ),
    Rule(
        "GW-GCP-034",
        "A bucket must not become public",
        "medium",
        "Without public access prevention one later grant, by anyone who may make one, opens it.",
        'Set `public_access_prevention="enforced"` on it.',
        ("AC-3", "AC-6"),
        (BUCKET,),
        must(
            "publicAccessPrevention",
            "enforced",
            message="Its public access prevention is {}.",
            when=lambda row: not read(row, "website"),
        ),
        "advisory",
    ),
    Rule(
        "GW-GCP-035",
        "A bucket must be governed by IAM alone",
        "medium",
        "Access lists of single objects are a second set of rights that nobody reviews.",
        "Set `uniform_bucket_level_access=True` on it.",
        ("AC-3", "AC-6"),
        (BUCKET,),
        must("uniformBucketLevelAccess", True, message="Its uniform access is {}."),
        "advisory",
    ),
    Rule(
        "GW-GCP-036",
        "What is overwritten in a bucket must be recoverable",
        "medium",
        "With soft deletion switched off and no versions, one wrong command destroys data.",
        "Set `versioning`, or leave `soft_delete_policy` at its week.",
        ("CP-9", "SI-7"),
        (BUCKET,),
        _versioned,
        "advisory",
    ),
)
