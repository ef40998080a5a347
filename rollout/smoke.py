"""Whether a release really serves, by what a runner can see of it.

The services' load balancers are inside their networks and ask for tokens, so each cloud is asked about what it runs:
the image is the release's, every copy of it is ready and nothing older is left. The address of the serverless API can
be reached, and has to refuse a call without a token. Where the service itself can be reached (an emulator), it has to
be ready, to say its version, and to predict. What clouds answer is from their documentation, not seen on an account.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from rollout import clouds
from rollout.engine import Engine
from rollout.errors import RolloutError

SECONDS = 900.0  # that a release may take to serve, after the cloud said that it is there
PAUSE = 10.0  # seconds between two looks
TIMEOUT = (5, 20)  # seconds to connect, and for an answer
CONTAINER_APPS_API = "2024-03-01"
REFUSALS = (401, 403)
BODY_LIMIT = 2000  # bytes of an answer that are looked at
Look = Callable[[], str]  # "" once all is well, else why not yet; raises RolloutError where it never will be


def check(
    engine: Engine,
    *,
    smoke_url: str = "",
    api_urls: bool = True,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Waits until everything of a stack that can be looked at serves the engine's release; what was seen.

    :param smoke_url: where the service itself answers, if it can be reached
    :param api_urls: look at the clouds and the APIs that the stack's outputs name; an emulator has none
    :raises RolloutError: it does not within SECONDS, or a cloud says that it never will
    """
    rows = engine.resources()
    looks: list[tuple[str, Look]] = []
    if api_urls:
        looks += _services(rows, engine.release)
        looks += [(f"the API {url}", _refuses(url)) for url in _api_urls(engine.outputs())]
    if smoke_url:
        looks.append((f"the service {smoke_url}", _answers(smoke_url.rstrip("/"))))
    ends = clock() + SECONDS
    for what, look in looks:
        while why := _looked(what, look):
            if clock() >= ends:
                raise RolloutError(f"{what} does not serve {engine.release[:19]}… after {SECONDS:.0f} s: {why}.")
            sleep(PAUSE)
    return ", ".join(what for what, _ in looks) or f"{len(rows)} resources are in the state, and nothing to be asked"


def _looked(what: str, look: Look) -> str:
    try:
        return look()
    except clouds.UnansweredError as error:
        return str(error)
    except ClientError as error:
        raise RolloutError(f"AWS refuses to say how {what} is: {error.response['Error']['Code']}.") from error
    except BotoCoreError as error:
        return f"AWS does not answer ({type(error).__name__})"


def _services(rows: list[dict[str, Any]], release: str) -> Iterator[tuple[str, Look]]:
    for row in rows:
        for pattern, service in SERVICES:
            if pattern.fullmatch(str(row.get("type"))) and row.get("id"):
                yield f"{row['urn'].rsplit('::', 1)[-1]} ({row['type'].partition(':')[0]})", service(row["id"], release)


def _ecs(arn: str, release: str) -> Look:
    """An ECS service: one deployment, completed, of the release; as many copies as wanted, each one healthy."""
    region, cluster, name = arn.split(":")[3], *arn.split("/")[-2:]

    def look() -> str:
        ecs = clouds.aws("ecs", region)
        service = ecs.describe_services(cluster=cluster, services=[name])["services"][0]
        primary = next((row for row in service["deployments"] if row["status"] == "PRIMARY"), None)
        if primary is None:
            return "it has no deployment"
        if primary.get("rolloutState") == "FAILED":
            raise RolloutError(f"ECS gave up the deployment of {name}: {primary.get('rolloutStateReason', '')}")
        task = ecs.describe_task_definition(taskDefinition=primary["taskDefinition"])["taskDefinition"]
        if not _has([row["image"] for row in task["containerDefinitions"]], release):
            raise RolloutError(f"{name} runs another image: ECS went back, or the release is not what was brought up.")
        if primary.get("rolloutState") != "COMPLETED" or len(service["deployments"]) > 1:
            return "its deployment is under way"
        wanted, running = service["desiredCount"], service["runningCount"]
        if running < max(wanted, 1):
            return f"{running} of {wanted} copies run"
        return _targets(region, [row["targetGroupArn"] for row in service["loadBalancers"] if "targetGroupArn" in row])

    return look


def _targets(region: str, groups: list[str]) -> str:
    balancing = clouds.aws("elbv2", region)
    for group in groups:
        rows = balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        states = [row["TargetHealth"]["State"] for row in rows if row["TargetHealth"]["State"] != "draining"]
        if not states or any(state != "healthy" for state in states):
            return f"{states.count('healthy')} of {len(states)} copies are healthy to the load balancer"
    return ""


def _cloud_run(path: str, release: str) -> Look:
    """A Cloud Run service: its newest revision is of the release, ready, and the one that calls go to."""

    def look() -> str:
        service = clouds.ask("gcp", path)
        condition = service.get("terminalCondition", {})
        if condition.get("state") == "CONDITION_FAILED" and not service.get("reconciling"):
            raise RolloutError(f"Cloud Run gave up {path.rsplit('/', 1)[-1]}: {condition.get('message', '')}")
        if not _has([row.get("image", "") for row in service["template"]["containers"]], release):
            raise RolloutError(f"{path.rsplit('/', 1)[-1]} has another image than the release.")
        if service.get("reconciling") or condition.get("state") != "CONDITION_SUCCEEDED":
            return "Cloud Run is at it"
        newest, ready = service.get("latestCreatedRevision"), service.get("latestReadyRevision")
        return "" if newest and newest == ready else "its newest revision is not ready"

    return look


def _container_app(path: str, release: str) -> Look:
    """A container app: its newest revision is of the release, healthy, and has the copies that it is to have."""
    version = {"api-version": CONTAINER_APPS_API}

    def look() -> str:
        found = clouds.ask("azure", path, version)["properties"]
        name = path.rsplit("/", 1)[-1]
        if found.get("provisioningState") in ("Failed", "Canceled"):
            raise RolloutError(f"Azure gave up {name}: its provisioning ended as {found['provisioningState']}.")
        if not _has([row.get("image", "") for row in found["template"]["containers"]], release):
            raise RolloutError(f"{name} has another image than the release.")
        newest, ready = found.get("latestRevisionName"), found.get("latestReadyRevisionName")
        if found.get("provisioningState") != "Succeeded" or not newest or newest != ready:
            return "its newest revision is not ready"
        revision = clouds.ask("azure", f"{path}/revisions/{newest}", version)["properties"]
        if revision.get("healthState") == "Unhealthy":
            return "its newest revision is not healthy"
        wanted, running = found["template"].get("scale", {}).get("minReplicas") or 0, revision.get("replicas") or 0
        return f"{running} of {wanted} copies run" if running < wanted else ""

    return look


SERVICES: tuple[tuple[re.Pattern[str], Callable[[str, str], Look]], ...] = (
    (re.compile(r"aws:ecs/service:Service"), _ecs),
    (re.compile(r"gcp:cloudrunv2/service:Service"), _cloud_run),
    (re.compile(r"azure-native:app(/v\d+\w*)?:ContainerApp"), _container_app),
)


def _has(images: list[str], release: str) -> bool:
    return any(image.endswith(f"@{release}") for image in images)


def _api_urls(outputs: Mapping[str, Any]) -> list[str]:
    """The addresses of the serverless APIs: `CLOUD.api.url` of the outputs."""
    parts = [part.get("api") for part in outputs.values() if isinstance(part, Mapping)]
    return [part["url"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("url"), str)]


def _refuses(url: str) -> Look:
    """An API that is there and lets nobody in without a token. One that does is an error at once."""

    def look() -> str:
        status, _body = _http("POST", f"{url.rstrip('/')}/predict", {})
        if 200 <= status < 300:
            raise RolloutError(f"The API {url} answers a call without a token: its authorization is not in force.")
        return "" if status in REFUSALS else f"it answers {status or 'nothing'} to a call without a token"

    return look


def _answers(url: str) -> Look:
    """A service that is ready, says its version, and predicts."""

    def look() -> str:
        for method, path, body in (("GET", "/readyz", None), ("GET", "/version", None), ("POST", "/predict", EXAMPLE)):
            status, said = _http(method, url + path, body)
            if status != requests.codes.ok:
                return f"{path} answers {status or 'nothing'}: {said[:200]}"
        return ""

    return look


EXAMPLE = {"height": 68}  # inches


def _http(method: str, url: str, body: Any) -> tuple[int, str]:
    """Status (0: no answer) and the beginning of the answer. No redirect is followed, no credential sent."""
    with requests.Session() as session:
        session.trust_env = False  # neither a proxy nor a password of the environment
        try:
            with session.request(
                method, url, json=body, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as response:
                said = response.raw.read(BODY_LIMIT, decode_content=True)
                return response.status_code, said.decode(errors="replace")
        except (requests.RequestException, OSError):
            return 0, ""
