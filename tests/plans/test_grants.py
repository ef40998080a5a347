"""What is granted widely, in the plans of all stacks, is on a reviewed list with its reason, and nothing else is."""

from typing import Any

import pytest

from tests.plans.breadth import Find, reviewed, wide
from tests.plans.plans import CLOUDS, Plan, Resource, environments_on, plan_of

EVERY = [(cloud, stack) for cloud in CLOUDS for stack in (*environments_on(cloud), f"bootstrap-{cloud}")]


@pytest.mark.slow
@pytest.mark.parametrize(("cloud", "stack"), EVERY)
def test_nothing_is_granted_widely_but_for_a_reason(cloud: str, stack: str) -> None:
    assert wide(plan_of(stack, cloud)) - reviewed(cloud).keys() == set()


@pytest.mark.slow
@pytest.mark.parametrize("cloud", CLOUDS)
def test_no_reason_outlives_what_it_was_for(cloud: str) -> None:
    found = [wide(plan_of(stack, cloud)) for other, stack in EVERY if other == cloud]
    assert set().union(*found) == reviewed(cloud).keys()


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_reason_is_a_sentence_of_its_own(cloud: str) -> None:
    assert all(len(reason.split()) >= 6 for reason in reviewed(cloud).values())


def resource(kind: str, name: str = "x", **inputs: Any) -> Resource:
    return Resource(f"urn:{name}", kind, name, True, None, inputs, {"id": f"id of {name}", "name": name}, {})


def policy(statement: str) -> Resource:
    return resource("aws:iam/rolePolicy:RolePolicy", policy=f'{{"Statement": [{statement}]}}')


def assignment(role: str, scope: str, kind: str = "ServicePrincipal") -> Resource:
    return resource(
        "azure-native:authorization:RoleAssignment", roleDefinitionId=f"x/{role}", scope=scope, principalType=kind
    )


GROUP, OTHER = "/subscriptions/s/resourceGroups/g", "00000000-0000-4000-8000-00000000000f"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/v"
MEMBER, BUCKET = "gcp:projects/iAMMember:IAMMember", "gcp:storage/bucketIAMMember:BucketIAMMember"
CLUSTER_ROLE = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
# What is wide, and what it is found as.
WIDE: list[tuple[Resource, Find]] = [
    (
        policy('{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::groundwork-dev-data"}'),
        ("iam:RolePolicy s3:*", "Action s3:*"),
    ),
    (
        policy('{"Sid": "A", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"]}'),
        ("iam:RolePolicy A", "Resource arn:aws:s3:::*"),
    ),
    (
        policy('{"Sid": "A", "Effect": "Allow", "NotAction": ["iam:PassRole"], "Resource": ["x"]}'),
        ("iam:RolePolicy A", "NotAction"),
    ),
    (
        policy('{"Sid": "A", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["x"], "Resource": ["x"]}'),
        ("iam:RolePolicy A", "Principal *"),
    ),
    (
        resource(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "server-AdministratorAccess",
            policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        ("iam:RolePolicyAttachment server", "AdministratorAccess"),
    ),
    (
        resource("gcp:projects/iAMCustomRole:IAMCustomRole", permissions=["storage.*"]),
        ("projects:IAMCustomRole x", "storage.*"),
    ),
    (resource(MEMBER, role="roles/run.admin", member="user:a"), ("projects:IAMMember user:a", "roles/run.admin")),
    (resource(BUCKET, role="roles/owner", member="user:a"), ("storage:BucketIAMMember user:a", "roles/owner")),
    (resource(BUCKET, role="roles/x", member="allUsers"), ("storage:BucketIAMMember x", "allUsers")),
    (
        resource("gcp:storage/bucketIAMBinding:BucketIAMBinding", role="roles/x", members=["allAuthenticatedUsers"]),
        ("storage:BucketIAMBinding x", "allAuthenticatedUsers"),
    ),
    (
        resource("gcp:storage/bucketIAMBinding:BucketIAMBinding", role="roles/x", members=["user:a"]),
        ("storage:BucketIAMBinding x", "replaces what others granted"),
    ),
    (resource("gcp:cloudrunv2/service:Service", invokerIamDisabled=True), ("cloudrunv2:Service x", "allUsers")),
    (
        resource(
            "azure-native:authorization:RoleDefinition",
            permissions=[{"actions": [], "dataActions": ["Microsoft.Storage/*"]}],
            assignableScopes=[GROUP],
        ),
        ("authorization:RoleDefinition x", "Microsoft.Storage/*"),
    ),
    (
        resource("azure-native:authorization:RoleDefinition", permissions=[], assignableScopes=["/subscriptions/s"]),
        ("authorization:RoleDefinition x", "assignable in the subscription"),
    ),
    (assignment(OWNER, VAULT), ("authorization:RoleAssignment x", "Owner in the resource")),
    (assignment(OTHER, GROUP), ("authorization:RoleAssignment x", f"{OTHER} in the group")),
    (assignment(OTHER, "/subscriptions/s"), ("authorization:RoleAssignment x", f"{OTHER} in the subscription")),
    (assignment(OTHER, VAULT, "User"), ("authorization:RoleAssignment x", "User")),
    (
        resource("azure-native:storage:StorageAccount", allowBlobPublicAccess=True),
        ("storage:StorageAccount x", "anybody"),
    ),
    (
        resource("azure-native:keyvault:Vault", properties={"accessPolicies": []}),
        ("keyvault:Vault x", "access policies of its own"),
    ),
    (resource(CLUSTER_ROLE, rules=[{"apiGroups": ["*"], "verbs": ["get"]}]), ("ClusterRole x", "apiGroups *")),
    (
        resource(f"{CLUSTER_ROLE}Binding", roleRef={"name": "cluster-admin"}),
        ("ClusterRoleBinding x", "cluster-admin"),
    ),
]


@pytest.mark.parametrize(("found", "as_what"), WIDE, ids=[f"{where}: {what}" for _, (where, what) in WIDE])
def test_what_is_wide_is_found(found: Resource, as_what: Find) -> None:
    assert as_what in wide(Plan("dev", (found,), {}))


@pytest.mark.parametrize(
    "narrow",
    [
        policy('{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::groundwork-dev-data/a/*"]}'),
        resource(BUCKET, role="roles/storage.objectViewer", member="serviceAccount:a"),
        assignment(OTHER, VAULT),
        resource("azure-native:storage:BlobContainer", publicAccess="None"),
        resource(CLUSTER_ROLE, rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
    ],
)
def test_what_is_narrow_is_not(narrow: Resource) -> None:
    assert wide(Plan("dev", (narrow,), {})) == set()
