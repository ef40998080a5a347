from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import flask
import pytest

from app import function, service
from app.calls import Calls
from app.function import EventError, Runtime, RuntimeApiError, answer, run
from app.records import Prediction
from app.serving import Models
from tests.app.fakes import Answer, Lambda, serving
from tests.app.test_app_service import Fixed, without_id

if TYPE_CHECKING:
    from tests.app.conftest import Stores


def event(body: Any = None, path: str = "/predict", method: str = "POST", **more: Any) -> dict[str, Any]:
    """A call as API Gateway's HTTP APIs send it, payload format 2.0."""
    context = {"http": {"method": method, "path": path}, "stage": more.pop("stage", "$default"), "requestId": "r"}
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "api.example", "content-length": "999"},
        "requestContext": context,
        **({} if body is None else {"body": body if isinstance(body, str) else json.dumps(body)}),
        "isBase64Encoded": False,
        **more,
    }


def rest_event(body: str | None, path: str = "/predict", method: str = "POST", **more: Any) -> dict[str, Any]:
    """A call as API Gateway's REST APIs send it, payload format 1.0: what is not there is null."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": "application/json", "Host": "api.example", "X-Request-Id": "last"},
        "multiValueHeaders": {
            "Content-Type": ["application/json"],
            "Host": ["api.example"],
            "X-Request-Id": ["first"],
            "Content-Length": ["999"],
        },
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path[1:]},
        "stageVariables": None,
        "requestContext": {"resourcePath": "/{proxy+}", "path": f"/dev{path}", "stage": "dev", "httpMethod": method},
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


@pytest.fixture
def app() -> Any:
    return service.create_app(Fixed())


def test_a_call_is_answered_as_the_service_answers_it(app: Any) -> None:
    found = answer(app, event({"height": 69}))
    assert found["statusCode"] == 200
    assert found["headers"]["content-type"] == "application/json"
    assert not found["isBase64Encoded"]
    assert without_id(json.loads(found["body"])) == {
        "weight": 130.0,
        "margin": 19.6,
        "unit": "lb",
        "extrapolated": False,
        "model": "a" * 16,
    }


def test_a_body_in_base64_is_read(app: Any) -> None:
    coded = base64.b64encode(b'{"height": 69}').decode()
    assert json.loads(answer(app, event(coded, isBase64Encoded=True))["body"])["weight"] == 130.0


def test_a_bad_request_is_a_problem_with_its_field(app: Any) -> None:
    found = answer(app, event({"height": "tall"}))
    assert (found["statusCode"], found["headers"]["content-type"]) == (400, "application/problem+json")
    assert json.loads(found["body"])["field"] == "height"
    assert answer(app, event({"height": 68}, headers={}))["statusCode"] == 415
    assert answer(app, event(None, "/nothing", "GET"))["statusCode"] == 404
    assert answer(app, event(None, "/predict", "GET"))["headers"]["allow"]
    assert answer(app, event("x" * 100_000))["statusCode"] == 413


def test_a_named_stage_is_no_part_of_the_path(app: Any) -> None:
    assert answer(app, event({"height": 69}, "/dev/predict", stage="dev"))["statusCode"] == 200
    assert answer(app, event({"height": 69}, "/dev/predict"))["statusCode"] == 404


def test_a_call_of_a_rest_api_is_answered_alike(app: Any) -> None:
    found = answer(app, rest_event('{"height": 69}'))
    assert (found["statusCode"], json.loads(found["body"])["weight"]) == (200, 130.0)
    assert found["headers"]["x-request-id"] == "first"
    coded = base64.b64encode(b'{"height": 69}').decode()
    assert answer(app, rest_event(coded, isBase64Encoded=True))["statusCode"] == 200
    assert answer(app, rest_event(None, "/healthz", "GET"))["statusCode"] == 200
    assert answer(app, rest_event(None, "/predict", "GET"))["headers"]["allow"]
    bare = rest_event('{"height": "tall"}', multiValueHeaders=None)
    assert json.loads(answer(app, bare)["body"])["field"] == "height"
    assert answer(app, rest_event('{"height": 69}', multiValueHeaders=None, headers=None))["statusCode"] == 415


@pytest.mark.parametrize(
    "parameters",
    [
        {"multiValueQueryStringParameters": {"a": ["1", "2 3"]}, "queryStringParameters": {"a": "2 3"}},
        {"queryStringParameters": {"a": "2 3"}},
    ],
)
def test_parameters_of_a_rest_api_arrive(app: Any, parameters: dict[str, Any]) -> None:
    @app.get("/query")  # type: ignore[untyped-decorator] # a test's
    def query() -> dict[str, list[str]]:
        return dict(flask.request.args.lists())

    found = answer(app, rest_event(None, "/query", "GET", **parameters))
    assert json.loads(found["body"])["a"][-1] == "2 3"


def test_what_is_no_text_goes_back_in_base64(app: Any) -> None:
    @app.get("/bytes")  # type: ignore[untyped-decorator] # a test's
    def raw() -> bytes:
        return b"\xff\x00"

    found = answer(app, event(None, "/bytes", "GET"))
    assert found["isBase64Encoded"]
    assert base64.b64decode(found["body"]) == b"\xff\x00"


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        "x",
        {},
        {"version": "1.0", "path": "/predict"},
        {"version": "1.0", "path": "/predict", "httpMethod": "POST", "multiValueHeaders": {"a": 1}},
        {"version": "1.0", "path": "/predict", "httpMethod": "POST", "headers": ["x"]},
        {"requestContext": {}, "rawPath": "/"},
        {"Records": []},
    ],
)
def test_what_is_no_call_of_the_gateway_is_told(app: Any, wrong: Any) -> None:
    with pytest.raises(EventError, match=r"no request of API Gateway's, payload format 1\.0 or 2\.0"):
        answer(app, wrong)
    with pytest.raises(EventError):
        answer(app, event("?", isBase64Encoded=True))


def finished(fake: Lambda, app: Any, models: Models) -> None:
    with serving(fake), pytest.raises(RuntimeApiError, match="answered 410"):
        run(Runtime(fake.url.removeprefix("http://")), app, models)


def test_calls_are_answered_one_after_another_and_a_bad_one_ends_nothing(app: Any) -> None:
    fake = Lambda(*(json.dumps(each).encode() for each in (event({"height": 68}), {"x": 1}, event({"height": 70}))))
    finished(fake, app, Fixed())
    weights = [json.loads(fake.said[f"invocation/call-{n}/response"]["body"])["weight"] for n in (1, 3)]
    assert weights == [127.0, 133.0]
    failure = fake.said["invocation/call-2/error"]
    assert failure["errorType"] == "EventError"
    assert "payload format 1.0 or 2.0" in failure["errorMessage"]
    assert not [path for path in fake.said if path == "invocation/call-2/response"]


def test_an_answer_that_the_platform_refuses_does_not_end_the_loop(app: Any) -> None:
    class Small(Lambda):
        def answer(self, asked: Any) -> Answer:
            found = super().answer(asked)
            return Answer(413) if asked.path.endswith("call-1/response") else found

    fake = Small(*(json.dumps(event({"height": height})).encode() for height in (68, 70)))
    finished(fake, app, Fixed())
    assert "invocation/call-2/response" in fake.said


def test_a_runtime_api_that_is_away_is_told() -> None:
    with pytest.raises(RuntimeApiError, match="is away"):
        Runtime("127.0.0.1:1").next()


def test_a_function_looks_for_a_new_model_when_it_is_called(stores: Stores) -> None:
    first = stores.publish(1)
    models = Models(stores.models, seconds=0.0)
    app = service.create_app(models)
    fake = Lambda(*(json.dumps(event({"height": 68})).encode() for _ in range(2)))

    class Publishing(Runtime):
        def next(self) -> function.Invocation:
            if len(fake.events) == 1:
                stores.publish(2)
            return super().next()

    with serving(fake), pytest.raises(RuntimeApiError):
        run(Publishing(fake.url.removeprefix("http://")), app, models)
    used = [json.loads(fake.said[f"invocation/call-{n}/response"]["body"])["model"] for n in (1, 2)]
    assert used[0] == first
    assert used[1] != first


def test_a_recent_look_is_not_repeated_for_each_call(stores: Stores) -> None:
    stores.publish()
    models = Models(stores.models, seconds=60.0)
    looks: list[int] = []
    look = models.refresh
    models.refresh = lambda: (looks.append(1), look())[1]  # type: ignore[method-assign, func-returns-value] # counted
    for _ in range(3):
        models.refresh_if_due()
    assert len(looks) == 1


def test_a_function_without_a_model_says_503_and_stores_nothing() -> None:
    stored: list[Prediction] = []
    found = answer(service.create_app(Fixed(None), None, Calls(stored.append)), event({"height": 68}))
    assert (found["statusCode"], stored) == (503, [])
