"""Each way into a project of Google Cloud that must be stopped; `# unsound: TOPIC` marks the line."""

import pulumi_gcp as gcp

network = gcp.compute.Network("net", auto_create_subnetworks=False)
gcp.compute.Firewall(  # unsound: ssh
    "ssh",
    network=network.id,
    direction="INGRESS",
    source_ranges=["0.0.0.0/0"],
    allows=[{"protocol": "tcp", "ports": ["22"]}],
)
gcp.compute.Firewall(  # unsound: ssh in a range over IPv6
    "range", network=network.id, source_ranges=["::/0"], allows=[{"protocol": "tcp", "ports": ["443", "1-1024"]}]
)
gcp.compute.Firewall(  # unsound: ssh by all protocols
    "everything", network=network.id, allows=[{"protocol": "all"}], source_ranges=["10.0.0.0/8", "0.0.0.0/0"]
)

bucket = gcp.storage.Bucket("public", location="EU")
gcp.storage.BucketIAMMember(  # unsound: public bucket
    "public", bucket=bucket.name, role="roles/storage.objectViewer", member="allUsers"
)
gcp.storage.BucketIAMBinding(  # unsound: public bucket for any account
    "any-account", bucket=bucket.name, role="roles/storage.objectAdmin", members=["allAuthenticatedUsers"]
)

gcp.projects.IAMMember(  # unsound: star role
    "owner", project="planned", role="roles/owner", member="serviceAccount:app@planned.iam.gserviceaccount.com"
)
gcp.projects.IAMBinding(  # unsound: editor
    "editor", project="planned", role="roles/editor", members=["group:team@example.com"]
)

gcp.cloudrunv2.Service(  # unsound: latest image
    "latest",
    location="europe-west1",
    template={"containers": [{"image": "europe-docker.pkg.dev/planned/app/app:latest"}]},
)
gcp.cloudrunv2.Job(  # unsound: image without a tag
    "untagged",
    location="europe-west1",
    template={"template": {"containers": [{"image": "europe-docker.pkg.dev/planned/app/train"}]}},
)
gcp.artifactregistry.Repository(  # unsound: mutable tags
    "app", repository_id="app", location="europe-west1", format="DOCKER", docker_config={"immutable_tags": False}
)

pool = gcp.iam.WorkloadIdentityPool("github", workload_identity_pool_id="github")
gcp.iam.WorkloadIdentityPoolProvider(  # unsound: OIDC trust without a subject
    "github",
    workload_identity_pool_id=pool.workload_identity_pool_id,
    workload_identity_pool_provider_id="github",
    attribute_mapping={"google.subject": "assertion.sub"},
    oidc={"issuer_uri": "https://token.actions.githubusercontent.com"},
)
