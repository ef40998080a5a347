"""Cloud Run and Cloud Functions: what runs, as whom, and with which secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies.graph import Graph, Resource
from policies.rule import Judge, Rule, Verdict, fail, undetermined
from policies.rules.gcp.iam import DEFAULT_ACCOUNT
from policies.rules.reading import UNKNOWN, every, given, made_up, read
from policies.rules.workloads import digest_verdict, image_verdict, secret_verdict

SERVICE, JOB, POOL = (
    "gcp:cloudrunv2/service:Service",
    "gcp:cloudrunv2/job:Job",
    "gcp:cloudrunv2/workerPool:WorkerPool",
)
OLD_SERVICE = "gcp:cloudrun/service:Service"
FUNCTION, OLD_FUNCTION = "gcp:cloudfunctionsv2/function:Function", "gcp:cloudfunctions/function:Function"
CONTAINERS = {
    SERVICE: "template.containers",
    JOB: "template.template.containers",
    POOL: "template.containers",
    OLD_SERVICE: "template.spec.containers",
}
ACCOUNT = {
    SERVICE: "template.serviceAccount",
    JOB: "template.template.serviceAccount",
    POOL: "template.serviceAccount",
    OLD_SERVICE: "template.spec.serviceAccountName",
    FUNCTION: "serviceConfig.serviceAccountEmail",
    OLD_FUNCTION: "serviceAccountEmail",
}
VARIABLES = {
    FUNCTION: ("serviceConfig.environmentVariables", "buildConfig.environmentVariables"),
    OLD_FUNCTION: ("environmentVariables", "buildEnvironmentVariables"),
}


def _images(say: Callable[[Any, str, bool], Iterator[Verdict]]) -> Judge:
    def judge(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
        for path, image in every(given(resource), f"{CONTAINERS[resource.kind]}.*.image"):
            yield from say(image, path, made_up(resource, path))

    return judge


def _account(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    path = ACCOUNT[resource.type]
    account = read(resource, path)
    if account is None:
        yield fail("It names no service account, and so runs as the default one that others share.", path)
    elif account is UNKNOWN:
        return
    elif DEFAULT_ACCOUNT.search(str(account)):
        yield fail(f"It runs as the default service account `{account}`.", path)


def _secrets(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if resource.type in CONTAINERS:
        for path, row in every(given(resource), f"{CONTAINERS[resource.kind]}.*.envs.*"):
            if isinstance(row, Mapping):
                where = f"{path}.value"
                yield from secret_verdict(row.get("name"), row.get("value"), where, made_up(resource, where))
        return
    for path in VARIABLES[resource.type]:
        table = read(resource, path)
        if isinstance(table, Mapping):
            for name, value in table.items():
                yield from secret_verdict(name, value, f"{path}.{name}", made_up(resource, f"{path}.{name}"))


def _probes(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, row in every(given(resource), "template.containers.*"):
        if row is UNKNOWN:
            yield undetermined("Nobody knows the container before the deployment.", path)
        elif isinstance(row, Mapping) and row.get("ports") and not row.get("livenessProbe"):
            yield fail("A copy that hangs is never started again: it has no liveness probe.", path)


RULES = (
    Rule(
        "GW-GCP-040",
        "A container on Cloud Run must run an image that stays the same",
        "high",
        "Behind a tag that moves, what was reviewed and what runs are two things; a roll-back gets the wrong one.",
        "Name the image by digest: `IMAGE@sha256:…`.",
        ("CM-2", "SI-7", "SR-4"),
        tuple(CONTAINERS),
        _images(image_verdict),
    ),
    Rule(
        "GW-GCP-041",
        "A container on Cloud Run must be named by digest",
        "low",
        "A version's tag can be pushed again, unless the registry forbids it.",
        "Name the image by digest: `IMAGE@sha256:…`.",
        ("CM-2", "SI-7"),
        tuple(CONTAINERS),
        _images(digest_verdict),
        "advisory",
    ),
    Rule(
        "GW-GCP-042",
        "A service or function must run as an account of its own",
        "medium",
        "The default service account is shared by all that names none, and in many projects it is an editor.",
        "Make a service account for it, grant that what it needs, and name it.",
        ("AC-6", "IA-9"),
        tuple(ACCOUNT),
        _account,
        "advisory",
    ),
    Rule(
        "GW-GCP-043",
        "No password may stand in an environment of Cloud Run or Cloud Functions",
        "high",
        "Whoever may look at the service reads it, every revision keeps it, and it is in the program's history.",
        "Keep it in Secret Manager and refer to it (`value_source`, `secret_environment_variables`).",
        ("IA-5", "SC-28"),
        (*CONTAINERS, FUNCTION, OLD_FUNCTION),
        _secrets,
    ),
    Rule(
        "GW-GCP-044",
        "A service on Cloud Run must be asked whether it lives",
        "low",
        "Cloud Run sees that a port is open, and not that the program behind it has hung.",
        "Set `liveness_probe` on the container that serves.",
        ("SI-4", "CP-10"),
        (SERVICE,),
        _probes,
        "advisory",
    ),
)
