"""The same things on Google Cloud as they should be."""

import pulumi
import pulumi_gcp as gcp

network = gcp.compute.Network("net", auto_create_subnetworks=False)
gcp.compute.Firewall(
    "ssh",
    network=network.id,
    direction="INGRESS",
    source_ranges=["35.235.240.0/20"],
    allows=[{"protocol": "tcp", "ports": ["22"]}],
)
gcp.compute.Firewall(
    "web", network=network.id, source_ranges=["0.0.0.0/0"], allows=[{"protocol": "tcp", "ports": ["443"]}]
)
gcp.compute.Firewall("closed", network=network.id, source_ranges=["0.0.0.0/0"], denies=[{"protocol": "all"}])

account = gcp.serviceaccount.Account("app", account_id="app-runner")
bucket = gcp.storage.Bucket(
    "data",
    location="EU",
    uniform_bucket_level_access=True,
    public_access_prevention="enforced",
    versioning={"enabled": True},
)
gcp.storage.BucketIAMMember(
    "read",
    bucket=bucket.name,
    role="roles/storage.objectViewer",
    member=pulumi.Output.concat("serviceAccount:", account.email),
)
gcp.projects.IAMMember(
    "metrics",
    project="planned",
    role="roles/monitoring.metricWriter",
    member=pulumi.Output.concat("serviceAccount:", account.email),
)

gcp.cloudrunv2.Service(
    "app",
    location="europe-west1",
    ingress="INGRESS_TRAFFIC_INTERNAL_ONLY",
    template={
        "service_account": account.email,
        "containers": [{"image": "europe-docker.pkg.dev/planned/app/app@sha256:" + "a" * 64}],
    },
)
gcp.artifactregistry.Repository(
    "app", repository_id="app", location="europe-west1", format="DOCKER", docker_config={"immutable_tags": True}
)

pool = gcp.iam.WorkloadIdentityPool("github", workload_identity_pool_id="github")
gcp.iam.WorkloadIdentityPoolProvider(
    "github",
    workload_identity_pool_id=pool.workload_identity_pool_id,
    workload_identity_pool_provider_id="github",
    attribute_mapping={"google.subject": "assertion.sub", "attribute.repository_id": "assertion.repository_id"},
    attribute_condition=(
        "assertion.repository_owner_id == '1234' && assertion.repository_id == '5678'"
        " && assertion.environment == 'prod' && assertion.ref == 'refs/heads/main'"
    ),
    oidc={"issuer_uri": "https://token.actions.githubusercontent.com"},
)
