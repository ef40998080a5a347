"""Buckets, a service account with grants, Cloud Run in both versions, a function, a secret, trust for CI."""

import pulumi
import pulumi_gcp as gcp

project = gcp.organizations.get_project()
bucket = gcp.storage.Bucket("data", location="EU", uniform_bucket_level_access=True, labels={"team": "ml"})
account = gcp.serviceaccount.Account("server", account_id="server", display_name="Server")
gcp.storage.BucketIAMMember(
    "reads",
    bucket=bucket.name,
    role="roles/storage.objectViewer",
    member=account.email.apply(lambda email: f"serviceAccount:{email}"),
)
agent = gcp.storage.get_project_service_account()
ring = gcp.kms.KeyRing("ring", location="europe-west1")
key = gcp.kms.CryptoKey("key", key_ring=ring.id, rotation_period="7776000s")
gcp.kms.CryptoKeyIAMMember(
    "storage", crypto_key_id=key.id, role="roles/cloudkms.cryptoKeyEncrypterDecrypter", member=agent.member
)
repository = gcp.artifactregistry.Repository("images", repository_id="images", location="europe-west1", format="DOCKER")
image = pulumi.Output.concat(
    repository.location, "-docker.pkg.dev/", repository.project, "/", repository.repository_id, "/app:1"
)
service = gcp.cloudrunv2.Service(
    "app",
    location="europe-west1",
    template={"service_account": account.email, "containers": [{"image": image}]},
)
old = gcp.cloudrun.Service("old", location="europe-west1", template={"spec": {"containers": [{"image": image}]}})
topic = gcp.pubsub.Topic("events")
archive = gcp.storage.BucketObject(
    "code", bucket=bucket.name, source=pulumi.AssetArchive({"main.py": pulumi.StringAsset("")})
)
function = gcp.cloudfunctionsv2.Function(
    "function",
    location="europe-west1",
    build_config={
        "runtime": "python313",
        "entry_point": "main",
        "source": {"storage_source": {"bucket": bucket.name, "object": archive.name}},
    },
)
secret = gcp.secretmanager.Secret("token", secret_id="token", replication={"auto": {}})
version = gcp.secretmanager.SecretVersion(
    "token", secret=secret.id, secret_data=pulumi.Output.secret("hunter2-hunter2")
)
pool = gcp.iam.WorkloadIdentityPool("ci", workload_identity_pool_id="ci")
provider = gcp.iam.WorkloadIdentityPoolProvider(
    "ci",
    workload_identity_pool_id=pool.workload_identity_pool_id,
    workload_identity_pool_provider_id="github",
    oidc={"issuer_uri": "https://token.actions.githubusercontent.com"},
)
gcp.serviceaccount.IAMMember(
    "ci",
    service_account_id=account.name,
    role="roles/iam.workloadIdentityUser",
    member=pool.name.apply(lambda name: f"principalSet://iam.googleapis.com/{name}/attribute.repository/org/repo"),
)
job = gcp.cloudscheduler.Job(
    "nightly", schedule="0 3 * * *", http_target={"uri": service.uri.apply(lambda uri: uri + "/run")}
)
pulumi.export("url", service.uri.apply(lambda uri: uri.removeprefix("https://")))
pulumi.export("old", old.statuses.apply(lambda statuses: statuses[0].url))
pulumi.export("number", pulumi.Output.from_input(project.number).apply(int))
pulumi.export("bucket", bucket.url.apply(lambda url: url.removeprefix("gs://")))
pulumi.export("provider", provider.name.apply(lambda name: name.split("/")[3]))
