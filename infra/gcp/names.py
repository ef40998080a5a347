"""GCP's limits on names, where things are, and what its services act as."""

from dataclasses import dataclass

from infra.context import Context, Limit, joined

# Longest names in characters, from the API reference of each service.
BUCKET = Limit(63)
SERVICE_ACCOUNT = Limit(30)
KEY = Limit(63)  # key rings and keys
REPOSITORY = Limit(63)
COMPUTE = Limit(63)  # networks, firewall rules, addresses and all else of Compute Engine (RFC 1035)
NETWORK_TAG = Limit(63)
DNS_ZONE = Limit(63)
RUN_SERVICE = Limit(49)
WORKFLOW = Limit(64)
TRIGGER = Limit(63)
TOPIC = Limit(255)
SCHEDULE = Limit(500)
DATABASE = Limit(63)
GATEWAY = Limit(63)  # APIs, their configurations and gateways
FILE_SYSTEM = Limit(63)
MACHINES = Limit(58)  # groups of machines, behind whose name each machine's has five characters
CLUSTER = Limit(40)
NODE_POOL = Limit(40)
CERTIFICATE = Limit(63)
LOG_BUCKET = Limit(100)
SINK = Limit(100)
METRIC = Limit(100)
POOL = Limit(32)  # workload identity pools and their providers
ROLE = Limit(64, separator="")  # no hyphens in the id of a role

# What services of GCP act as. Those in MADE_LATE do not exist before they are asked for; the others come with the
# service's API. Source: IAM reference, "Service agents".
AGENTS = {
    "artifactregistry": "gcp-sa-artifactregistry",
    "compute": "compute-system",
    "container": "container-engine-robot",
    "eventarc": "gcp-sa-eventarc",
    "file": "cloud-filer",
    "firestore": "gcp-sa-firestore",
    "pubsub": "gcp-sa-pubsub",
    "run": "serverless-robot-prod",
    "secretmanager": "gcp-sa-secretmanager",
    "workflows": "gcp-sa-workflows",
}
MADE_LATE = ("artifactregistry", "eventarc", "firestore", "pubsub", "run", "secretmanager", "workflows")


@dataclass(frozen=True)
class Account:
    """Where things are: the project by its id and its number, and the region."""

    project: str
    number: int
    region: str

    def agent(self, service: str) -> str:
        """What a service acts as in this project, as a member of a grant."""
        return f"serviceAccount:service-{self.number}@{AGENTS[service]}.iam.gserviceaccount.com"


def service_account(ctx: Context, part: str) -> str:
    """The id of a service account: a letter first, and at least six characters."""
    name = ctx.name(part, SERVICE_ACCOUNT)
    return name if len(name) >= 6 else f"{name}-account"


def role_id(ctx: Context, part: str) -> str:
    """The id of a role of the project's own."""
    return joined((ctx.project, ctx.environment, part), ROLE)
