"""Who reads the buckets, and what is written to disk in plain."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource, is_known
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.aws.reading import (
    Statement,
    actions,
    conditions,
    each_statement,
    flags,
    meant,
    no,
    open_to_all,
    rows_of,
    setters,
    statements,
    twins,
    yes,
)

BUCKETS = twins("aws:s3/bucket:Bucket")
ACLS = twins("aws:s3/bucketAcl:BucketAcl")
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ACCOUNT_BLOCK = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ENCRYPTIONS = twins("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
LOCKS = twins("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
VERSIONINGS = twins("aws:s3/bucketVersioning:BucketVersioning")
WEBSITES = twins("aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration")
TRAIL = "aws:cloudtrail/trail:Trail"
BLOCK_FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
PUBLIC_ACLS = ("public-read", "public-read-write", "authenticated-read")
EVERYBODY = ("/global/AllUsers", "/global/AuthenticatedUsers")
READING_ONE = {"s3:getobject", "s3:getobjectversion"}

VOLUME = "aws:ebs/volume:Volume"
INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
BY_DEFAULT = "aws:ebs/encryptionByDefault:EncryptionByDefault"
AT_REST = {
    "aws:rds/instance:Instance": "storageEncrypted",
    "aws:rds/cluster:Cluster": "storageEncrypted",
    "aws:docdb/cluster:Cluster": "storageEncrypted",
    "aws:neptune/cluster:Cluster": "storageEncrypted",
    "aws:efs/fileSystem:FileSystem": "encrypted",
    "aws:elasticache/replicationGroup:ReplicationGroup": "atRestEncryptionEnabled",
    "aws:opensearch/domain:Domain": "encryptAtRest.enabled",
    "aws:elasticsearch/domain:Domain": "encryptAtRest.enabled",
}
INHERITS = ("snapshotIdentifier", "replicateSourceDb", "replicationSourceIdentifier", "globalClusterIdentifier")
KEYS = {
    "aws:sns/topic:Topic": "kmsMasterKeyId",
    "aws:kinesis/stream:Stream": "kmsKeyId",
    "aws:dynamodb/table:Table": "serverSideEncryption.enabled",
    "aws:sqs/queue:Queue": "kmsMasterKeyId",
}


def is_website(bucket: Resource, graph: Graph) -> bool:
    """Whether a bucket serves a website."""
    inline = rows_of(bucket.get("website")) or rows_of(bucket.get("websites"))
    return bool(inline) or bool(setters(graph, bucket, "bucket", *WEBSITES))


def _acl(resource: Resource, _: Graph) -> Iterator[Verdict]:
    acl = resource.get("acl")
    if acl in PUBLIC_ACLS:
        yield fail(f"Its access control list is {acl}.", "acl")
    elif not is_known(acl):
        yield undetermined("Its access control list is not known before the deployment.", "acl")
    grants = rows_of(resource.get("grants")) or rows_of(resource.get("accessControlPolicy.grants"))
    uris = [uri for row in grants for uri in (row.get("uri"), *(who.get("uri") for who in rows_of(row.get("grantee"))))]
    if any(str(uri).endswith(EVERYBODY) for uri in uris):
        yield fail("Its access control list names everybody.", "grants")


def _policy(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    buckets = meant(graph, resource, "bucket", *BUCKETS) if resource.type == POLICY else [resource]
    website = any(is_website(bucket, graph) for bucket in buckets)

    def judge(row: Statement) -> str:
        public_files = website and "Action" in row and set(actions(row)) <= READING_ONE
        return "Its policy lets anybody in" if open_to_all(row) and not public_files else ""

    return each_statement(resource, "policy", judge)


def _website(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if not is_website(resource, graph):
        return
    for row in (resource, *setters(graph, resource, "bucket", POLICY)):
        for statement in statements(row.get("policy")) or []:
            if statement.get("Effect") == "Allow" and open_to_all(statement):
                yield fail("The bucket itself is a public website.", "website")
                return


def _weak_block(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if resource.type == BLOCK and any(is_website(row, graph) for row in meant(graph, resource, "bucket", *BUCKETS)):
        return
    for flag in BLOCK_FLAGS:
        if not is_known(resource.get(flag)):
            yield undetermined(f"{flag} is not known before the deployment.", flag)
    missing = [flag for flag in BLOCK_FLAGS if is_known(resource.get(flag)) and not yes(resource.get(flag))]
    if missing:
        yield fail(f"It leaves {', '.join(missing)} off.", missing[0])


def _no_block(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if not setters(graph, resource, "bucket", BLOCK) and not any(True for _ in graph.of_type(ACCOUNT_BLOCK)):
        yield fail("Nothing in the program blocks public access to it.")


def _said_encryption(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    inline = resource.get("serverSideEncryptionConfiguration") or resource.get("serverSideEncryptionConfigurations")
    if not inline and not setters(graph, resource, "bucket", *ENCRYPTIONS):
        yield fail("The program does not say how it is encrypted.", "serverSideEncryptionConfiguration")


def _plain_transport(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    documents = [
        row.get("policy") for row in (resource, *setters(graph, resource, "bucket", POLICY)) if row.get("policy")
    ]
    read = [statements(value) for value in documents]
    for row in (row for rows in read for row in rows or []):
        said = {(key, values[0].lower()) for _, key, values in conditions(row) if values}
        old = any(key == "s3:tlsversion" for key, _ in said)
        if row.get("Effect") == "Deny" and (("aws:securetransport", "false") in said or old):
            return
    if None in read:
        yield undetermined("Its policy is not known before the deployment.", "policy")
    else:
        yield fail("No policy of it denies requests without TLS.", "policy")


def _is_audit(bucket: Resource, graph: Graph) -> bool:
    """Whether a bucket keeps an audit trail: a trail writes to it, or it is called so."""
    words = f"{bucket.name} {bucket.get('bucket', '')}".lower().replace("_", "-").replace(" ", "-").split("-")
    return bool(setters(graph, bucket, "s3BucketName", TRAIL)) or bool({"audit", "cloudtrail"} & set(words))


def _audit_lock(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if not _is_audit(resource, graph):
        return
    inline = rows_of(resource.get("objectLockConfiguration"))
    locks = [rule for row in setters(graph, resource, "bucket", *LOCKS) for rule in rows_of(row.get("rule"))]
    locks += [rule for row in inline for rule in (*rows_of(row.get("rule")), *rows_of(row.get("rules")))]
    if not is_known(locks):
        yield undetermined("Its lock is not known before the deployment.", "objectLockConfiguration")
    elif not any(rule.get("defaultRetention") or rule.get("defaultRetentions") for rule in locks):
        yield fail("No object lock keeps the audit trail from being deleted.", "objectLockConfiguration")


def _audit_versions(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if (
        not _is_audit(resource, graph)
        or any(yes(row.get("enabled")) for key in ("versioning", "versionings") for row in rows_of(resource.get(key)))
        or yes(resource.get("objectLockEnabled"))
    ):
        return
    rows = setters(graph, resource, "bucket", *VERSIONINGS)
    values = [row.get("versioningConfiguration.status") for row in rows]
    if not is_known(values):
        yield undetermined("Whether it keeps versions is not known before the deployment.", "versioning")
    elif "Enabled" not in values:
        yield fail("An overwritten file of the audit trail is gone.", "versioning")


def _devices(resource: Resource) -> Iterator[tuple[str, object]]:
    """The disks that a resource describes, and whether each says that it is encrypted."""
    if resource.type == VOLUME:
        yield "encrypted", resource.get("encrypted")
        return
    if resource.type == TEMPLATE:
        for index, row in enumerate(rows_of(resource.get("blockDeviceMappings"))):
            for disk in rows_of(row.get("ebs")):
                yield f"blockDeviceMappings.{index}.ebs.encrypted", disk.get("encrypted")
        return
    for key in ("rootBlockDevice", "ebsBlockDevices"):
        for index, row in enumerate(rows_of(resource.get(key))):
            if not row.get("noDevice"):
                yield (
                    f"{key}.{index}.encrypted" if key == "ebsBlockDevices" else f"{key}.encrypted",
                    row.get("encrypted"),
                )


def _by_default(graph: Graph) -> bool:
    return any(not no(row.get("enabled")) for row in graph.of_type(BY_DEFAULT))


def _disks(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if _by_default(graph):
        return
    for path, encrypted in _devices(resource):
        if not is_known(encrypted):
            yield undetermined("Whether its disk is encrypted is not known before the deployment.", path)
        elif not yes(encrypted):
            yield fail("Its disk is not encrypted.", path)


def _unsaid_disk(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if not _by_default(graph) and not resource.get("rootBlockDevice") and not resource.get("launchTemplate"):
        yield fail("Whether its root disk is encrypted is left to the image and to the account.", "rootBlockDevice")


def _at_rest(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    serverless = resource.get("engineMode") == "serverless" or resource.get("engine") == "valkey"
    if not any(resource.get(key) for key in INHERITS) and not (
        serverless and not no(resource.get(AT_REST[resource.type]))
    ):
        yield from flags(AT_REST, "Its data is not encrypted at rest.")(resource, graph)


def _own_key(resource: Resource, _: Graph) -> Iterator[Verdict]:
    path = KEYS[resource.type]
    value = resource.get(path)
    if not is_known(value):
        yield undetermined(f"{path} is not known before the deployment.", path)
    elif resource.type.startswith("aws:sqs/"):
        if not value and no(resource.get("sqsManagedSseEnabled")):
            yield fail("Its messages are not encrypted.", "sqsManagedSseEnabled")
    elif not value or no(value) or resource.get("encryptionType") == "NONE":
        yield fail("It has no encryption key of the account.", path)


RULES = (
    Rule(
        "GW-AWS-020",
        "A bucket's access control list must not be public",
        "critical",
        "Anybody on the internet, or anybody with an account of any company, lists and reads the objects.",
        "Leave the acl out (private) and grant the identities that need the objects by a policy.",
        ("AC-3", "AC-6", "SC-7"),
        (*BUCKETS, *ACLS),
        _acl,
    ),
    Rule(
        "GW-AWS-021",
        "A bucket's policy must not make it public",
        "critical",
        "A Principal of * without a condition about the caller makes the bucket's data everybody's.",
        "Name the roles in Principal, or add a condition on aws:PrincipalOrgID, aws:SourceVpce or aws:SourceAccount.",
        ("AC-3", "AC-6", "SC-7"),
        (POLICY, *BUCKETS),
        _policy,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-022",
        "A public access block must leave nothing open",
        "high",
        "One careless policy or list makes the objects public, which the block is there to stop.",
        "Set all four: block_public_acls, block_public_policy, ignore_public_acls, restrict_public_buckets.",
        ("AC-3", "SC-7"),
        (BLOCK, ACCOUNT_BLOCK),
        _weak_block,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-023",
        "A bucket must have a public access block, its own or the account's",
        "medium",
        "New buckets are blocked by default, but anybody who may change the default opens it unseen by the program.",
        "Declare aws.s3.BucketPublicAccessBlock for the bucket with all four flags set.",
        ("AC-3", "CM-6", "SC-7"),
        BUCKETS,
        _no_block,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-024",
        "A bucket must say how it is encrypted",
        "medium",
        "S3 then uses a key of its own, which nobody can restrict, rotate on demand or withdraw.",
        "Declare aws.s3.BucketServerSideEncryptionConfiguration with sse_algorithm aws:kms and a key of the account.",
        ("SC-12", "SC-28"),
        BUCKETS,
        _said_encryption,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-025",
        "A bucket must be reached over TLS",
        "medium",
        "A client that is set up wrongly sends data and its signature in plain, and nothing refuses it.",
        "Add a Deny statement for Principal * with the condition Bool aws:SecureTransport false to its policy.",
        ("SC-8",),
        BUCKETS,
        _plain_transport,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-026",
        "A website must be served by a content network",
        "medium",
        "S3 websites have no TLS and no access control, and whatever lands in the bucket is public.",
        "Put CloudFront with an origin access control before it, and close the bucket.",
        ("AC-3", "SC-7", "SC-8"),
        BUCKETS,
        _website,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-027",
        "Audit logs must not be deletable",
        "high",
        "Whoever breaks in deletes the record of it, and an auditor cannot believe what is left.",
        "Set object_lock_enabled, and declare aws.s3.BucketObjectLockConfiguration with a default_retention.",
        ("AU-9", "AU-11"),
        BUCKETS,
        _audit_lock,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-028",
        "What is overwritten in a bucket of audit logs must be recoverable",
        "high",
        "A log file that is overwritten is gone, and with it the proof of what happened.",
        "Declare aws.s3.BucketVersioning for the bucket with status Enabled.",
        ("AU-9", "AU-11", "CP-9"),
        BUCKETS,
        _audit_versions,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-030",
        "A disk must be encrypted",
        "high",
        "A copy of the disk, a snapshot or a discarded drive gives the data to whoever holds it.",
        "Set encrypted=True on the volume, or declare aws.ebs.EncryptionByDefault for the account.",
        ("SC-28", "MP-6"),
        (VOLUME, INSTANCE, TEMPLATE, CONFIGURATION),
        _disks,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-031",
        "A machine must say that its root disk is encrypted",
        "low",
        "Whether it is then depends on the image and on a setting of the account that can change.",
        "Set root_block_device with encrypted=True.",
        ("SC-28",),
        (INSTANCE,),
        _unsaid_disk,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-032",
        "A database or a file system must be encrypted",
        "high",
        "Its snapshots and copies give the data to whoever holds them; most stores cannot be encrypted later.",
        "Set storage_encrypted (encrypted, at_rest_encryption_enabled) when you create it, with a key of yours.",
        ("SC-28",),
        tuple(AT_REST),
        _at_rest,
    ),
    Rule(
        "GW-AWS-033",
        "A topic, stream or table must have a key of the account; a queue must be encrypted",
        "medium",
        "Who may read the messages then hangs on the service's policy alone; no key can be withdrawn.",
        "Set the KMS key: kms_master_key_id (topic, queue), kms_key_id (stream), server_side_encryption (table).",
        ("SC-12", "SC-28"),
        tuple(KEYS),
        _own_key,
        "advisory",
    ),
)
