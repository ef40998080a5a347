"""What the identities of continuous delivery may do in the project of an environment. Pure."""

from infra.context import Context, joined
from infra.gcp.names import ROLE

# Roles that read how things are configured and granted, and no data.
PLAN_ROLES = (
    "roles/apigateway.viewer",
    "roles/browser",
    "roles/certificatemanager.viewer",
    "roles/cloudkms.viewer",
    "roles/cloudscheduler.viewer",
    "roles/compute.viewer",
    "roles/container.viewer",  # and what runs on clusters, but no secrets
    "roles/dns.reader",
    "roles/eventarc.viewer",
    "roles/file.viewer",
    "roles/iam.roleViewer",
    "roles/iam.securityReviewer",
    "roles/iam.serviceAccountViewer",
    "roles/iam.workloadIdentityPoolViewer",
    "roles/monitoring.viewer",
    "roles/pubsub.viewer",
    "roles/run.viewer",
    "roles/serviceusage.serviceUsageConsumer",  # the calls are counted as the project's own
    "roles/workflows.viewer",
)
# Where Google's role for reading configuration reads data as well: images, logs, objects, documents.
PLAN_PERMISSIONS = (
    "artifactregistry.repositories.get",
    "artifactregistry.repositories.getIamPolicy",
    "datastore.databases.get",
    "datastore.databases.getMetadata",
    "datastore.indexes.get",
    "logging.buckets.get",
    "logging.cmekSettings.get",
    "logging.exclusions.get",
    "logging.logMetrics.get",
    "logging.sinks.get",
    "storage.buckets.get",
    "storage.buckets.getIamPolicy",
)
# What the parts are made of, service by service: neither owner nor editor, and nothing of what others may grant.
APPLY_ROLES = (
    "roles/apigateway.admin",
    "roles/artifactregistry.admin",
    "roles/certificatemanager.owner",
    "roles/cloudkms.admin",
    "roles/cloudscheduler.admin",
    "roles/compute.admin",
    "roles/container.admin",
    "roles/datastore.owner",
    "roles/dns.admin",
    "roles/eventarc.admin",
    "roles/file.editor",
    "roles/iam.roleAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/iam.workloadIdentityPoolAdmin",
    "roles/logging.configWriter",
    "roles/monitoring.editor",
    "roles/pubsub.admin",
    "roles/run.admin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
    "roles/workflows.admin",
)
# What the parts grant for a whole project: roles of the environment's own by their parts, and Google's.
# IAM takes at most ten. Source: IAM, "Set limits on granting roles".
OWN_PROJECT_WIDE = ("api-erase", "api-store", "retrain-conduct", "retrain-start", "trainer-leave")
PROJECT_WIDE = ("roles/container.defaultNodeServiceAccount",)


def project_wide(project: str, environment: str, ctx: Context) -> list[str]:
    """The roles that an environment's deployer may grant for its whole project."""
    own = [f"projects/{project}/roles/{joined((ctx.project, environment, part), ROLE)}" for part in OWN_PROJECT_WIDE]
    return [*own, *PROJECT_WIDE]
