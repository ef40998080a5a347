"""What a reviewer is told to look at first, and what not."""

import json
from typing import Any

import pytest

from rollout import changes, hazard_tables, risk
from rollout.errors import RolloutError
from rollout.grant import Grant, covers
from rollout.kinds import FORCES_NEW, HOLDS_DATA, forces_new, holds, kind
from rollout.risk import Risk
from tests.rollout.plan_documents import HEAD, plan, resource

BUCKET = "aws:s3/bucket:Bucket"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
Row = dict[str, Any]


def told(old: list[Row] | None, new: list[Row] | None) -> list[tuple[str, str, str]]:
    """Kind, name and sentence of each risk."""
    before, after = plan(*old) if old is not None else None, plan(*new) if new is not None else None
    found = risk.of(changes.compare(before, after), before, after)
    return [(row.kind, row.name, said(row)) for row in found]


def said(row: Risk) -> str:
    return row.says.replace("{prose}", "{}").format(*row.values)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resources: Any = "arn:aws:s3:::data/*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resources, **more}


def role(*statements: dict[str, Any], **inputs: Any) -> list[Row]:
    """The role `app` with a policy."""
    return [
        resource(ROLE, "app", {"name": "app", **inputs}),
        resource(ROLE_POLICY, "app", {"role": "app", "policy": document(*statements)}),
    ]


# --- data ---


@pytest.mark.parametrize(
    "token",
    [
        BUCKET,
        "aws:dynamodb/table:Table",
        "aws:kms/key:Key",
        "aws:ecr/repository:Repository",
        "aws:efs/fileSystem:FileSystem",
        "aws:cloudwatch/logGroup:LogGroup",
        "gcp:storage/bucket:Bucket",
        "gcp:firestore/database:Database",
        "gcp:artifactregistry/repository:Repository",
        "gcp:filestore/instance:Instance",
        "gcp:kms/cryptoKey:CryptoKey",
        "azure-native:storage:StorageAccount",
        "azure-native:storage/v20230101:BlobContainer",
        "azure-native:keyvault:Vault",
        "azure-native:containerregistry:Registry",
        "azure-native:operationalinsights:Workspace",
        "kubernetes:core/v1:PersistentVolumeClaim",
        "kubernetes:apps/v1:StatefulSet",
    ],
)
def test_the_deletion_of_what_holds_data_comes_first(token: str) -> None:
    found = told([resource(token, "data"), *role(allow("s3:GetObject"))], role(allow("*")))
    assert found[0][:2] == ("data", "data")
    assert found[0][2].startswith("is deleted, and with it ")
    assert [kind_ for kind_, _, _ in found] == ["data", "permission"]


def test_the_deletion_of_what_holds_nothing_is_no_risk() -> None:
    assert told([resource("aws:sns/topic:Topic", "a")], []) == []


def test_a_deletion_says_what_will_stop_it_or_what_stays() -> None:
    protected = told([resource(BUCKET, "data", options={"protect": True})], [])
    kept = told([resource(BUCKET, "data", options={"retainOnDelete": True})], [])
    assert "It is protected" in protected[0][2]
    assert "leaves the stack" in kept[0][2]


def test_a_bucket_that_is_moved_in_the_program_asks_for_an_alias() -> None:
    moved = resource(BUCKET, "data", urn=f"{HEAD}demo:index:Part${BUCKET}::data")
    assert told([resource(BUCKET, "data")], [moved]) == [
        (
            "data",
            "data",
            "is deleted, and with it objects, and made anew elsewhere in the program: "
            f"an alias of {HEAD}{BUCKET}::data would keep it",
        )
    ]


def test_a_bucket_with_another_name_may_be_replaced() -> None:
    old, new = resource(BUCKET, "data", {"bucket": "a"}), resource(BUCKET, "data", {"bucket": "b"})
    assert told([old], [new]) == [("data", "data", "may be replaced, and objects lost, as bucket changes")]


KEPT_LESS = [
    (VERSIONING, "versioningConfiguration.status", "Enabled", "Suspended"),
    (BUCKET, "forceDestroy", False, True),
    ("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration", "rule.defaultRetention.days", 365, 30),
    (
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "rule.defaultRetention.mode",
        "COMPLIANCE",
        "GOVERNANCE",
    ),
    ("aws:dynamodb/table:Table", "deletionProtectionEnabled", True, False),
    ("aws:dynamodb/table:Table", "pointInTimeRecovery.enabled", True, None),
    ("aws:rds/instance:Instance", "backupRetentionPeriod", 7, 1),
    ("aws:cloudwatch/logGroup:LogGroup", "retentionInDays", 365, 7),
    ("aws:cloudwatch/logGroup:LogGroup", "retentionInDays", None, 7),
    ("aws:kms/key:Key", "deletionWindowInDays", 30, 7),
    ("aws:ecr/repository:Repository", "imageTagMutability", "IMMUTABLE", "MUTABLE"),
    ("gcp:storage/bucket:Bucket", "versioning.enabled", True, False),
    ("gcp:storage/bucket:Bucket", "softDeletePolicy.retentionDurationSeconds", 604800, 0),
    ("gcp:storage/bucket:Bucket", "retentionPolicy.retentionPeriod", "31536000", "60"),
    (
        "gcp:firestore/database:Database",
        "deleteProtectionState",
        "DELETE_PROTECTION_ENABLED",
        "DELETE_PROTECTION_DISABLED",
    ),
    ("gcp:filestore/instance:Instance", "deletionProtectionEnabled", True, None),
    ("azure-native:storage:BlobServiceProperties", "isVersioningEnabled", True, False),
    ("azure-native:storage:BlobServiceProperties", "deleteRetentionPolicy.days", 30, 1),
    ("azure-native:keyvault:Vault", "properties.enablePurgeProtection", True, None),
    ("azure-native:storage:StorageAccount", "sku.name", "Standard_RAGZRS", "Standard_LRS"),
]


def at(path: str, value: Any) -> dict[str, Any]:
    """Inputs with a value at a path, or without it where it is None; `[]` is a list of one row."""
    if value is None:
        return {}
    for step in reversed(path.split(".")):
        value = [value] if step == "[]" else {step: value}
    return dict(value)


@pytest.mark.parametrize(("token", "path", "good", "bad"), KEPT_LESS, ids=lambda value: str(value)[-24:])
def test_what_keeps_data_less_is_told_and_what_keeps_it_more_is_not(token: str, path: str, good: Any, bad: Any) -> None:
    old, new = [resource(token, "a", at(path, good))], [resource(token, "a", at(path, bad))]
    assert [(kind_, name) for kind_, name, says in told(old, new) if "loses" in says] == [("data", "a")]
    assert not [says for _, _, says in told(new, old) if "loses" in says]


def test_a_protection_that_is_lifted_is_told() -> None:
    found = told([resource(BUCKET, "a", options={"protect": True})], [resource(BUCKET, "a")])
    assert found == [("data", "a", "loses its protection from deletion by Pulumi (true → false)")]


def test_versioning_that_is_deleted_counts_only_while_its_bucket_stays() -> None:
    bucket = resource(BUCKET, "a")
    versions = resource(
        VERSIONING,
        "a",
        {"versioningConfiguration": {"status": "Enabled"}},
        propertyDependencies={"bucket": [bucket["urn"]]},
    )
    assert told([bucket, versions], [bucket]) == [("data", "a", "is deleted: what it is about loses its versions")]
    assert len(told([bucket, versions], [])) == 1


# --- exposure ---

OPENED = [
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "cidrIpv4", "10.0.0.0/8", "0.0.0.0/0"),
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "cidrIpv6", "fd00::/8", "::/0"),
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "cidrIpv4", "10.0.0.0/8", "0.0.0.0/1"),
    ("aws:ec2/securityGroup:SecurityGroup", "ingress.[].cidrBlocks.[]", "10.0.0.0/8", "0.0.0.0/0"),
    ("aws:lb/loadBalancer:LoadBalancer", "internal", True, False),
    ("aws:lb/loadBalancer:LoadBalancer", "internal", True, None),
    ("aws:ecs/service:Service", "networkConfiguration.assignPublicIp", False, True),
    ("aws:eks/cluster:Cluster", "vpcConfig.endpointPublicAccess", False, True),
    ("aws:rds/instance:Instance", "publiclyAccessible", False, True),
    ("aws:s3/bucketAcl:BucketAcl", "acl", "private", "public-read"),
    (BLOCK, "blockPublicAcls", True, False),
    (BLOCK, "restrictPublicBuckets", True, None),
    ("aws:lambda/functionUrl:FunctionUrl", "authorizationType", "AWS_IAM", "NONE"),
    ("gcp:storage/bucket:Bucket", "publicAccessPrevention", "enforced", "inherited"),
    ("gcp:storage/bucket:Bucket", "publicAccessPrevention", "enforced", None),
    ("gcp:cloudrunv2/service:Service", "ingress", "INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_ALL"),
    ("gcp:compute/forwardingRule:ForwardingRule", "loadBalancingScheme", "INTERNAL_MANAGED", "EXTERNAL_MANAGED"),
    ("azure-native:storage:StorageAccount", "allowBlobPublicAccess", False, True),
    ("azure-native:storage:StorageAccount", "publicNetworkAccess", "Disabled", "Enabled"),
    ("azure-native:storage:StorageAccount", "networkRuleSet.defaultAction", "Deny", "Allow"),
    ("azure-native:storage:BlobContainer", "publicAccess", "None", "Blob"),
    ("azure-native:containerregistry:Registry", "anonymousPullEnabled", False, True),
    ("azure-native:app:ContainerApp", "configuration.ingress.external", False, True),
    ("azure-native:containerservice:ManagedCluster", "apiServerAccessProfile.enablePrivateCluster", True, False),
    ("kubernetes:core/v1:Service", "spec.type", "ClusterIP", "LoadBalancer"),
]


@pytest.mark.parametrize(("token", "path", "closed", "opened"), OPENED, ids=lambda value: str(value)[-24:])
def test_what_is_opened_is_told_and_what_is_closed_is_not(token: str, path: str, closed: Any, opened: Any) -> None:
    shut, wide = [resource(token, "a", at(path, closed))], [resource(token, "a", at(path, opened))]
    assert [(kind_, name) for kind_, name, _ in told(shut, wide) if kind_ == "exposure"] == [("exposure", "a")]
    assert not [kind_ for kind_, _, _ in told(wide, shut) if kind_ == "exposure"]


@pytest.mark.parametrize(("token", "path", "opened"), [(t, p, o) for t, p, _, o in OPENED if o is not None], ids=str)
def test_what_is_new_and_open_is_told(token: str, path: str, opened: Any) -> None:
    assert "exposure" in {kind_ for kind_, _, _ in told([], [resource(token, "a", at(path, opened))])}


def firewall(**inputs: Any) -> list[Row]:
    given = {"direction": "INGRESS", "allows": [{"protocol": "tcp"}], "sourceRanges": ["0.0.0.0/0"], **inputs}
    return [resource("gcp:compute/firewall:Firewall", "a", given)]


def test_a_firewall_counts_only_where_it_lets_in() -> None:
    assert told([], firewall()) == [("exposure", "a", 'lets the whole internet in (sourceRanges.[] is "0.0.0.0/0")')]
    assert told([], firewall(direction="EGRESS")) == []
    assert told([], firewall(allows=[])) == []


def security_rule(**inputs: Any) -> list[Row]:
    given = {"access": "Allow", "direction": "Inbound", "sourceAddressPrefix": "*", **inputs}
    return [resource("azure-native:network:SecurityRule", "a", given)]


def test_a_rule_of_azure_counts_only_where_it_lets_the_internet_in() -> None:
    assert [kind_ for kind_, _, _ in told([], security_rule())] == ["exposure"]
    assert [kind_ for kind_, _, _ in told([], security_rule(sourceAddressPrefix="Internet"))] == ["exposure"]
    assert told([], security_rule(access="Deny")) == []
    assert told([], security_rule(direction="Outbound")) == []
    assert told([], security_rule(sourceAddressPrefix="10.0.0.0/8")) == []


def test_a_load_balancer_inside_a_cluster_network_is_not_open() -> None:
    internal = {"metadata": {"annotations": {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}}}
    service = {"spec": {"type": "LoadBalancer"}}
    assert told([], [resource("kubernetes:core/v1:Service", "a", {**service, **internal})]) == []
    assert told([], [resource("kubernetes:core/v1:Service", "a", service)]) != []


def test_a_block_of_public_access_that_is_deleted_counts_only_while_its_bucket_stays() -> None:
    bucket = resource(BUCKET, "a")
    block = resource(BLOCK, "a", {"blockPublicAcls": True}, propertyDependencies={"bucket": [bucket["urn"]]})
    assert [kind_ for kind_, _, _ in told([bucket, block], [bucket])] == ["exposure"]
    assert [kind_ for kind_, _, _ in told([bucket, block], [])] == ["data"]


@pytest.mark.parametrize(
    "row",
    [
        resource(BUCKET_POLICY, "a", {"bucket": "b", "policy": document(allow("s3:GetObject", Principal="*"))}),
        resource(BUCKET_POLICY, "b", {"bucket": "b", "policy": document(allow("s3:*", Principal={"AWS": ["*"]}))}),
        resource(
            "aws:lambda/permission:Permission",
            "a",
            {"principal": "*", "action": "lambda:InvokeFunction", "function": "f"},
        ),
        resource(
            "gcp:storage/bucketIAMMember:BucketIAMMember",
            "a",
            {"bucket": "data", "role": "roles/storage.objectViewer", "member": "allUsers"},
        ),
        resource(
            "gcp:cloudrunv2/serviceIamMember:ServiceIamMember",
            "a",
            {"name": "f", "role": "roles/run.invoker", "member": "allAuthenticatedUsers"},
        ),
    ],
    ids=lambda row: row["type"],
)
def test_a_permission_of_anyone_is_an_exposure(row: Row) -> None:
    (found,) = told([], [row])
    assert found[0] == "exposure"
    assert found[2].startswith("anyone gains ")


def test_a_permission_of_anyone_under_a_condition_is_a_permission() -> None:
    policy = document(allow("s3:GetObject", Principal="*", Condition={"StringEquals": {"aws:SourceAccount": "1"}}))
    (found,) = told([], [resource(BUCKET_POLICY, "a", {"bucket": "data", "policy": policy})])
    assert found[0] == "permission"


# --- permissions ---


def test_who_gains_which_action_on_what() -> None:
    found = told(role(allow("s3:GetObject")), role(allow(["s3:GetObject", "s3:DeleteObject", "s3:PutObject"])))
    assert found == [("permission", "app", "role app gains s3:DeleteObject, s3:PutObject on arn:aws:s3:::data/*")]


@pytest.mark.parametrize("wide", ["s3:*", "*", "s3:Get*", "S3:GetObject", "s3:G?tObject"])
def test_what_a_wider_permission_covers_is_nothing_new(wide: str) -> None:
    assert told(role(allow(wide)), role(allow(wide), allow("s3:GetObject"))) == []
    assert bool(told(role(allow("s3:GetObject")), role(allow(wide)))) is (wide != "S3:GetObject")


def test_a_wider_resource_is_told_and_a_narrower_is_not() -> None:
    narrow, wide = role(allow("s3:GetObject", "arn:aws:s3:::data/a/*")), role(allow("s3:GetObject"))
    assert [row[2] for row in told(narrow, wide)] == ["role app gains s3:GetObject on arn:aws:s3:::data/*"]
    assert told(wide, narrow) == []


def test_a_condition_that_is_removed_is_told() -> None:
    limited = role(allow("s3:GetObject", Condition={"Bool": {"aws:SecureTransport": "true"}}))
    assert told(limited, role(allow("s3:GetObject"))) == [
        ("permission", "app", "role app may do s3:GetObject on arn:aws:s3:::data/* without the condition that it had")
    ]
    assert told(role(allow("s3:GetObject")), limited) == []


def trust(ref: str) -> list[Row]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {"token.actions.githubusercontent.com:sub": ref}},
    }
    return [resource(ROLE, "app", {"name": "app", "assumeRolePolicy": document(statement)})]


def test_trust_under_another_condition_is_told() -> None:
    ((kind_, _, says),) = told(trust("repo:o/r:environment:prod"), trust("repo:o/r:*"))
    assert kind_ == "permission"
    assert "may do sts:AssumeRoleWithWebIdentity on role app under another condition" in says
    assert "repo:o/r:*" in says


def test_a_denial_that_is_removed_is_told() -> None:
    deny = {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}
    found = told(role(allow("s3:*"), deny), role(allow("s3:*")))
    assert found == [("permission", "app", "role app is no longer denied s3:DeleteObject on *")]
    assert told(role(allow("s3:*"), deny), []) == []
    assert told(role(allow("s3:*"), deny), role(allow("s3:*"), {**deny, "Action": "s3:*"})) == []


def test_a_bucket_policy_that_is_deleted_takes_its_denials_along() -> None:
    bucket = resource(BUCKET, "data", {"bucket": "data"})
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::data/*"}
    policy = resource(
        BUCKET_POLICY,
        "data",
        {"bucket": "data", "policy": document(deny)},
        propertyDependencies={"bucket": [bucket["urn"]]},
    )
    assert told([bucket, policy], [bucket]) == [
        ("permission", "data", "anyone is no longer denied s3:* on arn:aws:s3:::data/*")
    ]
    assert [kind_ for kind_, _, _ in told([bucket, policy], [])] == ["data"]


def test_a_boundary_that_is_removed_or_changed_is_told() -> None:
    limited = role(allow("s3:GetObject"), permissionsBoundary="arn:aws:iam::1:policy/limit")
    assert told(limited, role(allow("s3:GetObject"))) == [
        ("permission", "", "role app loses its boundary, arn:aws:iam::1:policy/limit")
    ]
    other = role(allow("s3:GetObject"), permissionsBoundary="arn:aws:iam::1:policy/other")
    assert "gets another boundary" in told(limited, other)[0][2]


def test_a_managed_policy_counts_for_who_has_it() -> None:
    arn = "arn:aws:iam::1:policy/data"
    attached = resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "a", {"role": "app", "policyArn": arn})

    def managed(action: str) -> list[Row]:
        row = resource(
            "aws:iam/policy:Policy", "data", {"name": "data", "policy": document(allow(action))}, outputs={"arn": arn}
        )
        return [*role(allow("s3:ListBucket")), row, attached]

    assert [row[2] for row in told(managed("s3:GetObject"), managed("s3:PutObject"))] == [
        "role app gains s3:PutObject on arn:aws:s3:::data/*"
    ]


def test_a_policy_of_aws_that_is_attached_is_told_by_its_name() -> None:
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    attached = resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "a", {"role": "app", "policyArn": arn})
    found = told(role(allow("s3:GetObject")), [*role(allow("s3:GetObject")), attached])
    assert found == [("permission", "a", "role app gains policy AdministratorAccess on *")]


def test_not_action_and_not_resource_are_read_as_wide() -> None:
    wide = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret/*"}
    found = told(role(allow("s3:GetObject")), role(allow("s3:GetObject"), wide))
    assert [row[2] for row in found] == ["role app gains all but iam:* on all but arn:aws:s3:::secret/*"]


def test_an_identity_that_is_new_is_one_row() -> None:
    found = told([], role(allow(["s3:GetObject", "s3:PutObject"]), allow("kms:Decrypt", "*")))
    assert found == [
        ("permission", "app", "role app is new here and gains kms:Decrypt, s3:GetObject, s3:PutObject on 2 resources")
    ]


def member(role_: str, **more: Any) -> Row:
    given = {"bucket": "data", "member": "serviceAccount:app@x.iam.gserviceaccount.com", "role": role_, **more}
    return resource("gcp:storage/bucketIAMMember:BucketIAMMember", role_, given)


def test_a_member_of_google_gains_a_role_or_what_a_role_of_the_plan_allows() -> None:
    custom = resource(
        "gcp:projects/iAMCustomRole:IAMCustomRole", "r", {"roleId": "mine", "permissions": ["a.b.get", "a.b.put"]}
    )
    old = [member("roles/storage.objectViewer")]
    found = told(old, [*old, member("roles/storage.admin"), custom, member("projects/x/roles/mine")])
    assert [row[2] for row in found] == [
        "app@x.iam.gserviceaccount.com gains roles/storage.admin on bucket data",
        "app@x.iam.gserviceaccount.com gains a.b.get, a.b.put on bucket data",
    ]


def test_a_permission_that_is_added_to_a_role_of_google_is_told() -> None:
    def custom(*permissions: str) -> list[Row]:
        given = {"roleId": "mine", "permissions": list(permissions)}
        return [resource("gcp:projects/iAMCustomRole:IAMCustomRole", "r", given), member("projects/x/roles/mine")]

    assert [row[2] for row in told(custom("a.get"), custom("a.get", "a.delete"))] == [
        "app@x.iam.gserviceaccount.com gains a.delete on bucket data"
    ]


def assignment(guid: str, scope: str = "/subscriptions/1/resourceGroups/g") -> list[Row]:
    identity = resource("azure-native:managedidentity:UserAssignedIdentity", "app", {"resourceName": "app-identity"})
    given = {"principalId": "made-up", "roleDefinitionId": f"/x/roleDefinitions/{guid}", "scope": scope}
    uses = {"principalId": [identity["urn"]]}
    return [identity, resource("azure-native:authorization:RoleAssignment", guid, given, propertyDependencies=uses)]


def test_an_assignment_of_azure_is_told_by_the_names_of_identity_and_role() -> None:
    reader, owner = "acdd72a7-3385-48ef-bd42-f606fba81ae7", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
    found = told(assignment(reader), assignment(reader) + assignment(owner)[1:])
    assert found == [("permission", owner, "app-identity gains role Owner on g")]


def test_an_action_that_is_added_to_a_role_of_azure_is_told() -> None:
    def defined(*actions: str) -> list[Row]:
        given = {"roleDefinitionId": "mine", "permissions": [{"actions": [], "dataActions": list(actions)}]}
        return [resource("azure-native:authorization:RoleDefinition", "r", given), *assignment("mine")]

    assert [row[2] for row in told(defined("a/read"), defined("a/read", "a/delete"))] == [
        "app-identity gains a/delete on g"
    ]


def test_a_subject_that_may_log_in_as_an_identity_is_told() -> None:
    given = {"resourceName": "deployer", "issuer": "https://token.example", "subject": "repo:o/r:ref:refs/heads/x"}
    found = told([], [resource("azure-native:managedidentity:FederatedIdentityCredential", "a", given)])
    assert (
        found[0][2]
        == "repo:o/r:ref:refs/heads/x of https://token.example is new here and gains log in on identity deployer"
    )


def test_a_role_of_kubernetes_is_read_through_its_binding() -> None:
    def bound(*verbs: str) -> list[Row]:
        rules = {"metadata": {"name": "r"}, "rules": [{"verbs": list(verbs), "resources": ["secrets"]}]}
        binding = {
            "metadata": {"namespace": "n"},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "u"}],
        }
        return [
            resource("kubernetes:rbac.authorization.k8s.io/v1:Role", "r", rules),
            resource("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "b", binding),
        ]  # fmt: skip

    assert [row[2] for row in told(bound("list"), bound("list", "get"))] == ["User/u gains get secrets on namespace n"]


def test_a_policy_that_nobody_can_read_is_told() -> None:
    unread = resource(BUCKET_POLICY, "a", {"bucket": "b", "policy": {"$unknown": True}})
    assert "nobody knows" in told([], [unread])[0][2]


@pytest.mark.parametrize(
    ("known", "asked", "answer"),
    [
        ("*a*a*a*a*a*a*a*a*b", "a" * 5_000, False),
        ("a*b?c", "axxbyc", True),
        ("a*b?c", "axxbc", False),
        ("*", "anything", True),
        ("a*a", "a", False),
        ("a*ab*b", "aabb", True),
        ("a.c", "abc", False),
    ],
)
def test_patterns_are_read_as_clouds_read_them_and_in_time(known: str, asked: str, answer: bool) -> None:
    assert covers(Grant("x", "do", known), Grant("x", "do", asked)) is answer


def test_so_many_permissions_that_no_program_means_them_are_refused() -> None:
    many = [f"s3:{number}" for number in range(400)]
    with pytest.raises(RolloutError, match="permissions"):
        told([], role(allow(many, many)))


# --- capacity ---

LOWERED = [
    ("aws:autoscaling/group:Group", "minSize", 3, 1),
    ("aws:autoscaling/group:Group", "mixedInstancesPolicy.instancesDistribution.onDemandBaseCapacity", 1, 0),
    ("aws:appautoscaling/target:Target", "minCapacity", 3, 2),
    ("aws:ecs/service:Service", "desiredCount", 3, 2),
    ("aws:eks/nodeGroup:NodeGroup", "scalingConfig.minSize", 2, 1),
    ("gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager", "targetSize", 1, 0),
    ("gcp:cloudrunv2/service:Service", "template.scaling.minInstanceCount", 3, 0),
    ("gcp:container/nodePool:NodePool", "autoscaling.totalMinNodeCount", 4, 2),
    ("azure-native:app:ContainerApp", "template.scale.minReplicas", 3, 0),
    ("azure-native:compute:VirtualMachineScaleSet", "priorityMixPolicy.baseRegularPriorityCount", 1, 0),
    ("azure-native:monitor:AutoscaleSetting", "profiles.[].capacity.minimum", "2", "1"),
    ("azure-native:containerservice:ManagedCluster", "agentPoolProfiles.[].minCount", 3, 1),
    ("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", "spec.minReplicas", 3, 1),
    ("kubernetes:apps/v1:Deployment", "spec.replicas", 3, 1),
    ("kubernetes:policy/v1:PodDisruptionBudget", "spec.minAvailable", 2, 1),
]


@pytest.mark.parametrize(("token", "path", "more", "less"), LOWERED, ids=lambda value: str(value)[-24:])
def test_a_lower_minimum_is_told_and_a_higher_one_is_not(token: str, path: str, more: Any, less: Any) -> None:
    high, low = [resource(token, "a", at(path, more))], [resource(token, "a", at(path, less))]
    ((kind_, name, says),) = told(high, low)
    assert (kind_, name) == ("capacity", "a")
    assert says.endswith(f": {more} → {less}")
    assert told(low, high) == []
    assert "no longer sets" in told(high, [resource(token, "a")])[0][2]
    assert [row[0] for row in told(high, [])] == ["capacity"] or holds(token)


def test_a_count_that_pulumi_ignores_is_no_risk() -> None:
    def service(count: int) -> list[Row]:
        return [
            resource(
                "aws:ecs/service:Service", "a", {"desiredCount": count}, options={"ignoreChanges": ["desiredCount"]}
            )
        ]

    assert told(service(3), service(1)) == []


def test_fewer_zones_are_told() -> None:
    def group(*zones: str) -> list[Row]:
        return [resource("aws:autoscaling/group:Group", "a", {"vpcZoneIdentifiers": list(zones)})]

    assert told(group("a", "b"), group("a")) == [("capacity", "a", "is spread over fewer subnets: 2 → 1")]
    assert told(group("a"), group("a", "b")) == []


# --- policies ---


def finding(policy: str = "GW-1", **more: Any) -> dict[str, Any]:
    return {
        "fingerprint": "0" * 31 + "1", "policy": policy, "status": "fail", "urn": f"{HEAD}{BUCKET}::data",
        "type": BUCKET, "name": "data", "file": "a.py", "line": 1, "path": "", "message": "It is open.", "blocks": True,
        "waiver": None, **more,
    }  # fmt: skip


def findings(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    policies = {row["policy"]: {"tool": "t", "title": "T", "severity": "high", "mend": "m"} for row in rows}
    levels = {"GW-1": "mandatory", "GW-2": "advisory"}
    return {"version": 1, "stack": "dev", "passed": True, "errors": [], "counts": {}, "notAssessed": 0,
            "levels": levels,
            "policies": policies, "findings": list(rows), "omitted": 0, **more}  # fmt: skip


def judged(base: Any, head: Any) -> list[tuple[int, str, str]]:
    document_ = plan(resource(BUCKET, "data"))
    found = risk.of(changes.compare(document_, document_), document_, document_, base, head)
    assert {row.kind for row in found} <= {"policy"}
    return [(row.weight, row.name, said(row)) for row in found]


def test_a_new_finding_is_told_and_an_old_one_is_not() -> None:
    assert judged(findings(), findings(finding())) == [
        (0, "data", "breaks GW-1 (high): It is open. This stops the deployment.")
    ]
    assert judged(findings(finding()), findings(finding())) == []


def test_findings_that_block_come_first_and_fixed_ones_are_counted() -> None:
    rows = [finding(blocks=False), finding("GW-2", fingerprint="0" * 31 + "2", status="undetermined")]
    assert [weight for weight, _, _ in judged(findings(), findings(*rows))] == [1, 2]
    assert risk.fixed(findings(*rows), findings()) == 2
    assert risk.fixed(findings(*rows), findings(errors=["They could not look."])) == 0


def test_a_finding_that_now_blocks_is_told() -> None:
    assert len(judged(findings(finding(blocks=False)), findings(finding()))) == 1


def test_a_new_waiver_is_told_and_waives_nothing_in_silence() -> None:
    waiver = {"owner": "a", "approver": "b", "reason": "It must.", "ticket": "T-1", "expires": "2027-01-31"}
    waived = finding(status="waived", waiver=waiver, blocks=False)
    assert judged(findings(finding()), findings(waived)) == [
        (1, "data", "is let off GW-1 until 2027-01-31, by a on the word of b: It must.")
    ]
    assert judged(findings(waived), findings(waived)) == []


@pytest.mark.parametrize(
    "levels", [{"GW-2": "advisory"}, {"GW-1": "advisory", "GW-2": "advisory"}, {"GW-1": "disabled", "GW-2": "advisory"}]
)
def test_a_policy_that_asks_less_or_is_gone_is_told(levels: dict[str, str]) -> None:
    ((weight, _, says),) = judged(findings(), findings(levels=levels))
    assert weight == 0
    assert says.startswith("The policy GW-1 was mandatory and is ")


def test_policies_that_could_not_look_are_told_and_not_read_as_fixed() -> None:
    failed = findings(errors=["Checkov is not installed."], levels={})
    assert judged(findings(finding()), failed) == [(0, "", "The policies have no answer: Checkov is not installed.")]


# --- of all ---


def test_the_kinds_come_in_the_order_of_what_they_cost() -> None:
    old = [
        resource(BUCKET, "gone"),
        resource(BUCKET, "stays"),
        resource(BLOCK, "stays", {"blockPublicAcls": True}),
        *role(allow("s3:GetObject")),
        resource("aws:appautoscaling/target:Target", "t", {"minCapacity": 3}),
    ]
    new = [
        resource(BUCKET, "stays"),
        resource(BLOCK, "stays", {"blockPublicAcls": False}),
        *role(allow("s3:*")),
        resource("aws:appautoscaling/target:Target", "t", {"minCapacity": 1}),
    ]
    before, after = plan(*old), plan(*new)
    found = risk.of(changes.compare(before, after), before, after, findings(), findings(finding()))
    assert [row.kind for row in found] == ["data", "exposure", "permission", "capacity", "policy"]


def test_the_same_plans_make_no_risk() -> None:
    rows = [*role(allow("*", "*")), *firewall(), resource(BUCKET, "a")]
    assert told(rows, rows) == []


def test_a_sentence_has_a_place_for_each_value() -> None:
    old = [
        *role(allow("s3:GetObject"), permissionsBoundary="x"),
        resource(BUCKET, "a", {"bucket": "a", "forceDestroy": False}),
    ]
    new = [
        *role(allow("s3:*"), permissionsBoundary="y"),
        resource(BUCKET, "a", {"bucket": "b", "forceDestroy": True}),
        *firewall(),
    ]
    before, after = plan(*old), plan(*new)
    for row in risk.of(changes.compare(before, after), before, after, findings(), findings(finding())):
        assert row.says.count("{}") + row.says.count("{prose}") == len(row.values)


@pytest.mark.parametrize(
    "table",
    [
        HOLDS_DATA,
        FORCES_NEW,
        hazard_tables.COUNTS,
        *(
            [row[0] for row in table]
            for table in (hazard_tables.EXPOSED, hazard_tables.KEEPS, hazard_tables.FEWEST, hazard_tables.SPREAD)
        ),
    ],
)
def test_every_pattern_of_a_table_is_written_as_kinds_are(table: Any) -> None:
    assert all(pattern == pattern.lower() and pattern.count(":") in (1, 2) for pattern in table)


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ("azure-native:storage/v20230101:StorageAccount", "azure-native:storage:storageaccount"),
        ("azure-native_storage_v20230101:storage:StorageAccount", "azure-native:storage:storageaccount"),
        ("kubernetes:core/v1:Service", "kubernetes:core:service"),
        ("kubernetes:networking.k8s.io/v1:Ingress", "kubernetes:networking:ingress"),
        (BUCKET, "aws:s3/bucket:bucket"),
    ],
)
def test_a_kind_is_a_type_without_its_version(token: str, name: str) -> None:
    assert kind(token) == name


def test_a_type_that_no_table_names_says_nothing() -> None:
    assert holds("demo:index:Thing") == ""
    assert forces_new("demo:index:Thing") == ()


def test_a_lock_of_azure_that_is_shortened_deep_in_a_template_is_told() -> None:
    def locked(days: int) -> list[Row]:
        inner = {"policy": {"immutabilityPeriodSinceCreationInDays": days}}
        return [
            resource("azure-native:resources:Deployment", "lock", {"properties": {"template": {"resources": [inner]}}})
        ]

    assert told(locked(365), locked(30)) == [("data", "lock", "loses days of a lock (365 → 30)")]
    assert told(locked(30), locked(365)) == []
