"""Whether a release serves: by what each cloud says of it, by the API's refusal, by the service itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rollout import clouds, smoke
from rollout.errors import RolloutError
from tests.rollout.fake_cloud import FakeCloud

RELEASE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
ARN = "arn:aws:ecs:eu-west-1:123456789012:service/predict-cluster/predict"
RUN = "projects/example/locations/europe-west1/services/predict"
APP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/predict"
TYPES = {
    "aws:ecs/service:Service": ARN,
    "gcp:cloudrunv2/service:Service": RUN,
    "azure-native:app:ContainerApp": APP,
    "azure-native:app/v20240301:ContainerApp": APP,
}


class FakeEngine:
    """A stack with one service, or none."""

    stack, release = "dev", RELEASE

    def __init__(self, type_: str = "", outputs: dict[str, Any] | None = None, *, services: int = 1) -> None:
        self.type, self.found, self.services = type_, outputs or {}, services

    def resources(self) -> list[dict[str, Any]]:
        rows = [{"type": "pulumi:pulumi:Stack", "urn": "a::b::c::dev"}]
        row = {"type": self.type, "urn": "a::b::c::predict", "id": TYPES[self.type]} if self.type else None
        return [*rows, *([row] * self.services if row else [])]

    def outputs(self) -> dict[str, Any]:
        return self.found


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def check(engine: FakeEngine, clock: Clock | None = None, **options: Any) -> str:
    clock = clock or Clock()
    return smoke.check(engine, clock=clock, sleep=clock.sleep, **options)  # type: ignore[arg-type] # as much of an engine as is asked


# AWS


class FakeAws:
    """ECS and its load balancer, as boto3 answers."""

    def __init__(self) -> None:
        self.deployments = [{"status": "PRIMARY", "rolloutState": "COMPLETED", "taskDefinition": "arn:task:1"}]
        self.image, self.running, self.healthy = f"registry/app@{RELEASE}", 2, ["healthy", "healthy"]
        self.regions: set[str] = set()

    def __call__(self, _service: str, region: str) -> FakeAws:
        self.regions.add(region)
        return self

    def describe_services(self, cluster: str, services: list[str]) -> dict[str, Any]:
        assert (cluster, services) == ("predict-cluster", ["predict"])
        balancers = [{"targetGroupArn": "arn:group"}]
        row = {"deployments": self.deployments, "desiredCount": 2, "runningCount": self.running}
        return {"services": [{**row, "loadBalancers": balancers}]}

    def describe_task_definition(self, taskDefinition: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        assert taskDefinition == "arn:task:1"
        return {"taskDefinition": {"containerDefinitions": [{"image": self.image}]}}

    def describe_target_health(self, TargetGroupArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        assert TargetGroupArn == "arn:group"
        return {"TargetHealthDescriptions": [{"TargetHealth": {"State": state}} for state in self.healthy]}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    found = FakeAws()
    monkeypatch.setattr(clouds, "aws", found)
    return found


ECS = "aws:ecs/service:Service"
UNDER_WAY = {"status": "PRIMARY", "rolloutState": "IN_PROGRESS", "taskDefinition": "arn:task:1"}


def test_an_ecs_service_serves_once_its_deployment_is_complete_and_every_copy_healthy(aws: FakeAws) -> None:
    assert check(FakeEngine(ECS)) == "predict (aws)"
    assert aws.regions == {"eu-west-1"}
    aws.healthy += ["draining"]
    check(FakeEngine(ECS))


def test_services_of_one_name_are_each_looked_at(cloud: FakeCloud) -> None:
    cloud.answers[f"GET /{RUN}"] = (200, {}, service())
    assert check(FakeEngine(CLOUD_RUN, services=2)) == "predict (gcp), predict (gcp)"
    assert len(cloud.requests) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"deployments": []}, "it has no deployment"),
        ({"deployments": [UNDER_WAY]}, "under way"),
        ({"running": 1}, "1 of 2 copies run"),
        ({"healthy": ["healthy", "unhealthy"]}, "1 of 2 copies are healthy"),
        ({"healthy": []}, "0 of 0 copies are healthy"),
    ],
)
def test_an_ecs_service_that_does_not_serve_in_time_fails(aws: FakeAws, change: dict[str, Any], why: str) -> None:
    for name, value in change.items():
        setattr(aws, name, value)
    clock = Clock()
    with pytest.raises(RolloutError, match=f"does not serve sha256:1.* after 900 s: .*{why}"):
        check(FakeEngine(ECS), clock)
    assert clock.now == smoke.SECONDS


def test_an_older_deployment_of_ecs_that_still_runs_is_waited_for(aws: FakeAws) -> None:
    aws.deployments.append({"status": "ACTIVE", "rolloutState": "COMPLETED", "taskDefinition": "arn:task:0"})
    clock = Clock()
    real = clock.sleep

    def sleep(seconds: float) -> None:
        real(seconds)
        if clock.now >= 30:
            del aws.deployments[1:]

    clock.sleep = sleep  # type: ignore[method-assign] # the old copies end while it waits
    check(FakeEngine(ECS), clock)
    assert clock.now == 30


def test_ecs_that_gave_up_or_went_back_fails_at_once(aws: FakeAws) -> None:
    clock = Clock()
    aws.image = f"registry/app@{OTHER}"
    with pytest.raises(RolloutError, match="runs another image"):
        check(FakeEngine(ECS), clock)
    aws.deployments[0]["rolloutState"] = "FAILED"
    with pytest.raises(RolloutError, match="ECS gave up"):
        check(FakeEngine(ECS), clock)
    assert clock.now == 0


# GCP and Azure


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    with FakeCloud() as found:
        for name in ("gcp", "azure"):
            monkeypatch.setitem(clouds.BASES, name, f"{found.url}/")
        monkeypatch.setattr(clouds, "token", lambda name: f"token of {name}")
        monkeypatch.setattr(smoke, "PAUSE", 300.0)
        yield found


def service(**changed: Any) -> dict[str, Any]:
    return {
        "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
        "latestCreatedRevision": "r2",
        "latestReadyRevision": "r2",
        "template": {"containers": [{"image": f"registry/app@{RELEASE}"}]},
        **changed,
    }


CLOUD_RUN = "gcp:cloudrunv2/service:Service"


def test_a_cloud_run_service_serves_once_its_newest_revision_is_ready(cloud: FakeCloud) -> None:
    cloud.answers[f"GET /{RUN}"] = (200, {}, service())
    assert check(FakeEngine(CLOUD_RUN)) == "predict (gcp)"
    assert cloud.requests[0][1] == "Bearer token of gcp"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"latestReadyRevision": "r1"}, "is not ready"),
        ({"latestCreatedRevision": None, "latestReadyRevision": None}, "is not ready"),
        ({"reconciling": True}, "at it"),
        ({"terminalCondition": {"state": "CONDITION_RECONCILING"}}, "at it"),
        ({"terminalCondition": {"state": "CONDITION_FAILED"}, "reconciling": True}, "at it"),
        ({"terminalCondition": {}}, "at it"),
    ],
)
def test_a_cloud_run_service_that_is_not_ready_in_time_fails(cloud: FakeCloud, changed: Any, why: str) -> None:
    cloud.answers[f"GET /{RUN}"] = (200, {}, service(**changed))
    clock = Clock()
    clock.now = 0.0
    with pytest.raises(RolloutError, match=f"after 900 s: .*{why}"):
        check(FakeEngine(CLOUD_RUN), clock)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"terminalCondition": {"state": "CONDITION_FAILED", "message": "no port"}}, "gave up predict: no port"),
        ({"template": {"containers": [{"image": f"registry/app@{OTHER}"}]}}, "another image"),
        ({"template": {"containers": [{"image": f"registry/app:{RELEASE[7:]}"}]}}, "another image"),
    ],
)
def test_a_cloud_run_service_that_never_will_fails_at_once(cloud: FakeCloud, changed: Any, why: str) -> None:
    cloud.answers[f"GET /{RUN}"] = (200, {}, service(**changed))
    with pytest.raises(RolloutError, match=why):
        check(FakeEngine(CLOUD_RUN))
    assert len(cloud.requests) == 1


def app(**changed: Any) -> dict[str, Any]:
    return {
        "properties": {
            "provisioningState": "Succeeded",
            "latestRevisionName": "predict--2",
            "latestReadyRevisionName": "predict--2",
            "template": {"containers": [{"image": f"registry/app@{RELEASE}"}], "scale": {"minReplicas": 2}},
            **changed,
        }
    }


CONTAINER_APP = "azure-native:app:ContainerApp"


@pytest.mark.parametrize("type_", [CONTAINER_APP, "azure-native:app/v20240301:ContainerApp"])
def test_a_container_app_serves_once_its_newest_revision_is_ready(cloud: FakeCloud, type_: str) -> None:
    cloud.answers[f"GET {APP}"] = (200, {}, app())
    cloud.answers[f"GET {APP}/revisions/predict--2"] = (
        200,
        {},
        {"properties": {"healthState": "Healthy", "replicas": 2}},
    )
    assert check(FakeEngine(type_)) == "predict (azure-native)"
    assert cloud.requests[0][0] == f"GET {APP}?api-version=2024-03-01"


@pytest.mark.parametrize(
    ("changed", "revision", "why"),
    [
        ({"latestReadyRevisionName": "predict--1"}, {}, "is not ready"),
        ({"provisioningState": "InProgress"}, {}, "is not ready"),
        ({}, {"healthState": "Unhealthy", "replicas": 2}, "is not healthy"),
        ({}, {"healthState": "Healthy", "replicas": 1}, "1 of 2 copies run"),
        ({}, {"healthState": "Healthy"}, "0 of 2 copies run"),
    ],
)
def test_a_container_app_that_is_not_ready_in_time_fails(
    cloud: FakeCloud, changed: Any, revision: Any, why: str
) -> None:
    cloud.answers[f"GET {APP}"] = (200, {}, app(**changed))
    cloud.answers[f"GET {APP}/revisions/predict--2"] = (200, {}, {"properties": revision})
    with pytest.raises(RolloutError, match=why):
        check(FakeEngine(CONTAINER_APP))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"provisioningState": "Failed"}, "Azure gave up predict"),
        ({"template": {"containers": [{"image": f"registry/app@{OTHER}"}]}}, "another image"),
    ],
)
def test_a_container_app_that_never_will_fails_at_once(cloud: FakeCloud, changed: Any, why: str) -> None:
    cloud.answers[f"GET {APP}"] = (200, {}, app(**changed))
    with pytest.raises(RolloutError, match=why):
        check(FakeEngine(CONTAINER_APP))
    assert len(cloud.requests) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((403, {}, {"error": {"message": "no right"}}), "gcp answers 403 about .*no right"),
        ((404, {}, "x"), "gcp answers 404"),
        ((200, {}, [1]), "no JSON object"),
    ],
)
def test_a_cloud_that_refuses_is_a_sentence(cloud: FakeCloud, answer: Any, why: str) -> None:
    cloud.answers[f"GET /{RUN}"] = answer
    with pytest.raises(RolloutError, match=why):
        check(FakeEngine(CLOUD_RUN))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_cloud_that_is_out_of_order_for_a_moment_is_asked_again(cloud: FakeCloud, status: int) -> None:
    answers: Iterator[Any] = iter([(status, {}, {}), (200, {}, service())])
    cloud.answers[f"GET /{RUN}"] = lambda: next(answers)
    check(FakeEngine(CLOUD_RUN))
    cloud.answers[f"GET /{RUN}"] = (status, {}, {})
    with pytest.raises(RolloutError, match=f"after 900 s: gcp answers {status}"):
        check(FakeEngine(CLOUD_RUN))


def test_aws_that_refuses_is_a_sentence_and_aws_that_does_not_answer_is_asked_again(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Exception] = [EndpointConnectionError(endpoint_url="https://ecs")]
    real = aws.describe_services

    def describe(cluster: str, services: list[str]) -> dict[str, Any]:
        if errors:
            raise errors.pop()
        return real(cluster, services)

    monkeypatch.setattr(aws, "describe_services", describe)
    check(FakeEngine(ECS))
    errors.append(ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeServices"))
    with pytest.raises(RolloutError, match=r"AWS refuses to say how predict \(aws\) is: AccessDenied"):
        check(FakeEngine(ECS))


# The API and the service themselves


def test_an_api_has_to_refuse_a_call_without_a_token(cloud: FakeCloud) -> None:
    engine = FakeEngine(outputs={"aws": {"api": {"url": f"{cloud.url}/"}}, "gcp": {"api": {}}, "other": "text"})
    for status in (401, 403):
        cloud.answers["POST /predict"] = (status, {}, {})
        assert check(engine) == f"the API {cloud.url}/"
        assert cloud.requests[-1][1] == ""
    cloud.answers["POST /predict"] = (200, {}, {})
    with pytest.raises(RolloutError, match="its authorization is not in force"):
        check(engine)
    for status in (404, 503, 302):
        cloud.answers["POST /predict"] = (status, {"Location": f"{cloud.url}/login"}, {})
        with pytest.raises(RolloutError, match=f"answers {status} to a call without a token"):
            check(engine)


def test_an_api_that_does_not_answer_fails() -> None:
    engine = FakeEngine(outputs={"aws": {"api": {"url": "http://127.0.0.1:9"}}})
    with pytest.raises(RolloutError, match="answers nothing to a call without a token"):
        check(engine)
    assert "nothing to be asked" in check(engine, api_urls=False)


def test_a_service_that_can_be_reached_is_ready_says_its_version_and_predicts(cloud: FakeCloud) -> None:
    whole = {"GET /readyz": 200, "GET /version": 200, "POST /predict": 200}
    for name, status in whole.items():
        cloud.answers[name] = (status, {}, {})
    assert check(FakeEngine(), smoke_url=f"{cloud.url}/") == f"the service {cloud.url}/"
    assert cloud.requests[-1] == ("POST /predict", "", {"height": 68})
    for name in whole:
        before, cloud.answers[name] = cloud.answers[name], (503, {}, "the model is missing")
        with pytest.raises(RolloutError, match=f"{name.split()[1]} answers 503: .*the model is missing"):
            check(FakeEngine(), smoke_url=cloud.url)
        cloud.answers[name] = before


def test_neither_a_proxy_nor_a_password_of_the_environment_gets_a_part(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in ("GET /readyz", "GET /version", "POST /predict"):
        cloud.answers[name] = (200, {}, {})
    check(FakeEngine(), smoke_url=cloud.url)
