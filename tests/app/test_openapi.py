"""The description of the API, held to OpenAPI 3.1, to the routes that there are and to what they answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from app import openapi, service
from app.requests import MAX_BODY, MAX_HEIGHTS
from tests.app.lines import line
from tests.app.memory import Memory
from tests.app.test_app_service import Fixed

DOCUMENT = openapi.document()
ID = "0f" * 16
JSON = {"Content-Type": "application/json"}


class Empty(Fixed):
    """Serves a model whose store has nothing else."""

    store = Memory()


class Kept:
    """A lake that forgets."""

    def append(self, kind: str, line: bytes) -> None:
        assert kind in ("predictions", "feedback")
        assert line.endswith(b"}\n")

    def waiting(self) -> int:
        return 0


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    flat = line(coefficient=0.1)  # it has a sensible weight for every height
    return service.create_app(Empty(flat), Kept()).test_client()  # type: ignore[arg-type] # what of a lake is called


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of a schema within the document."""
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


ASKED, TOLD = (validator({"$ref": f"#/components/schemas/{name}"}) for name in ("Asked", "Told"))


def described(method: str, path: str, response: Any) -> None:
    """Fails unless the document says that `path` may answer so."""
    answers = DOCUMENT["paths"][path][method]["responses"]
    assert str(response.status_code) in answers, response.text
    answer = answers[str(response.status_code)]
    for name in answer["headers"]:
        assert name in response.headers
    if response.status_code == 304:
        assert not response.data
        return
    assert response.mimetype in answer["content"], response.text
    if response.mimetype.endswith("json"):
        validator(answer["content"][response.mimetype]["schema"]).validate(json.loads(response.data))


def test_the_description_satisfies_openapi_3_1() -> None:
    # in a process of its own: tests of the emulator put a stand-in in the place of this package
    command = [sys.executable, "-m", "openapi_spec_validator", "--schema", "3.1", "-"]
    done = subprocess.run(command, input=json.dumps(DOCUMENT), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_each_route_is_described_and_each_description_has_its_route(client: FlaskClient) -> None:
    rules = client.application.url_map.iter_rules()
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}


@pytest.mark.parametrize("operation", openapi.operations(), ids=lambda operation: operation.name)
def test_the_examples_and_the_command_of_an_operation_do_what_they_say(
    operation: openapi.Operation, client: FlaskClient
) -> None:
    for body, example in zip(operation.bodies or [""], operation.examples or [""], strict=True):
        path = re.search(r'"\$URL(/[^"]*)"', operation.command)[1]  # type: ignore[index] # or it is no command
        response = client.open(path, method=operation.method, data=body, headers=JSON if body else {})
        assert response.status_code in (200, 202), response.text
        described(operation.method.lower(), operation.path, response)
        if example:
            assert json.loads(response.data).keys() == json.loads(example).keys()
    if operation.bodies:
        assert json.loads(re.search(r"-d '(.*)'$", operation.command)[1]) == json.loads(operation.bodies[0])  # type: ignore[index] # as above


@pytest.mark.parametrize("path", [path for path, methods in DOCUMENT["paths"].items() if "get" in methods])
def test_what_can_be_read_is_answered_as_described(path: str, client: FlaskClient) -> None:
    for file in ("home.js", "absent.js") if "{" in path else ("",):
        response = client.get(path.replace("{file}", file))
        described("get", path, response)
        assert response.status_code == (404 if file == "absent.js" else 200)
        if "ETag" in response.headers:
            described(
                "get",
                path,
                client.get(path.replace("{file}", file), headers={"If-None-Match": response.headers["ETag"]}),
            )


def test_without_a_model_a_lake_or_a_card_answers_are_those_described() -> None:
    client = service.create_app(Empty(None)).test_client()
    for method, path, body, status in (
        ("post", "/predict", {"height": 68}, 503),
        ("post", "/feedback", {"id": ID, "weight": 130}, 404),
        ("get", "/readyz", None, 503),
        ("get", "/status", None, 200),
        ("get", "/version", None, 200),
    ):
        response = client.open(path, method=method.upper(), json=body)
        assert response.status_code == status
        described(method, path, response)


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", JSON, 400),
        (b"{}", JSON, 400),
        (b"\xff", JSON, 400),
        (b"{}", {}, 415),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {**JSON, "Content-Encoding": "gzip"}, 415),
        (b"[" + b" " * MAX_BODY, JSON, 413),
    ],
)
def test_what_is_refused_is_refused_as_described(
    path: str, body: bytes, headers: dict[str, str], status: int, client: FlaskClient
) -> None:
    response = client.post(path, data=body, headers=headers)
    assert response.status_code == status
    described("post", path, response)


@pytest.mark.parametrize("path", list(DOCUMENT["paths"]))
def test_methods_that_are_not_described_are_refused(path: str, client: FlaskClient) -> None:
    for method in {"get", "post", "put", "patch", "delete"} - DOCUMENT["paths"][path].keys():
        response = client.open(path.replace("{file}", "home.js"), method=method.upper())
        assert response.status_code == 405
        assert response.headers["Allow"]
        assert response.mimetype == "application/problem+json"


NUMBERS = st.one_of(
    st.sampled_from([19.999999, 20, 110, 110.000001, 50.8, 279.4, 279.400001, 50.799999, 2, 1500, 1500.01, 0.907185]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-5, 400),
)
ODD: st.SearchStrategy[Any] = st.one_of(st.none(), st.booleans(), st.text(max_size=3), st.just([]), st.just({}))
VALUES = st.one_of(NUMBERS, NUMBERS, NUMBERS, ODD)
LISTS = st.one_of(st.lists(VALUES, max_size=4), st.just([68] * MAX_HEIGHTS), st.just([68] * (MAX_HEIGHTS + 1)), ODD)


def bodies(one: str, many: str, units: list[str], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Bodies that are right, or nearly so."""
    unit = st.sampled_from([*units, "m", "", None, 1])
    optional = {one: VALUES, many: LISTS, "unit": unit, "other": st.just(1), **more}
    single = st.fixed_dictionaries({one: VALUES}, optional={"unit": unit, **more})
    several = st.fixed_dictionaries({many: LISTS}, optional={"unit": unit, **more})
    return st.one_of(single, several, st.fixed_dictionaries({}, optional=optional), ODD)


def told() -> st.SearchStrategy[Any]:
    ids = st.sampled_from([ID, ID, ID, "", ID.upper(), ID[1:], 1])
    rows = st.one_of(st.integers(-1, MAX_HEIGHTS), st.sampled_from([0.0, 7.0, 999.0, 1000.0, 1.5, 1e300, -1.0]), ODD)
    return bodies("weight", "weights", ["lb", "kg"], id=ids, row=rows)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies("height", "heights", ["in", "cm"]))
def test_what_is_predicted_is_exactly_what_the_schema_allows(body: Any, client: FlaskClient) -> None:
    response = client.post("/predict", json=body)
    described("post", "/predict", response)
    assert (response.status_code == 200) == ASKED.is_valid(body), response.text


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=told())
def test_what_is_taken_as_feedback_is_exactly_what_the_schema_allows(body: Any, client: FlaskClient) -> None:
    response = client.post("/feedback", json=body)
    described("post", "/feedback", response)
    assert (response.status_code == 202) == TOLD.is_valid(body), response.text


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/predict", {"unit": "in"}, "height"),
        ("/predict", {"unit": "cm"}, "height"),
        ("/feedback", {"unit": "lb", "id": ID}, "weight"),
        ("/feedback", {"unit": "kg", "id": ID}, "weight"),
    ],
)
def test_the_described_bounds_are_those_that_are_kept(
    path: str, body: dict[str, Any], name: str, client: FlaskClient
) -> None:
    schema = ASKED if path == "/predict" else TOLD
    bounds = {
        bound
        for form in DOCUMENT["components"]["schemas"]["Asked" if path == "/predict" else "Told"]["oneOf"]
        if name in form["properties"] and form["properties"]["unit"]["const"] == body["unit"]
        for bound in (form["properties"][name]["minimum"], form["properties"][name]["maximum"])
    }
    assert len(bounds) == 2
    for value in (bound + step for bound in bounds for step in (-1e-6, 0, 1e-6)):
        asked = {**body, name: round(value, 6)}
        assert (client.post(path, json=asked).status_code < 300) == schema.is_valid(asked), asked


def readme() -> list[tuple[str, str]]:
    """The commands of the app's README that call the service, each with what it is said to print."""
    text = (Path(openapi.__file__).parent / "README.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    found = []
    for part in (part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)):
        lines = part.splitlines()
        length = next((at for at, line in enumerate(lines, 1) if not line.endswith("\\")), 0)
        if part.startswith("curl "):
            found.append(("\n".join(lines[:length]), "\n".join(lines[length:])))
    return found


def test_the_readme_has_a_command_for_each_operation() -> None:
    assert {operation.command for operation in openapi.operations()} <= {command for command, _ in readme()}


@pytest.mark.parametrize(("command", "output"), readme(), ids=lambda text: text[:40])
def test_what_the_readme_shows_is_what_the_service_answers(command: str, output: str, client: FlaskClient) -> None:
    path = re.search(r'"\$URL(/[^"]*)"', command)[1]  # type: ignore[index] # or it is no command
    body = re.search(r"-d '(.*)'$", command)
    response = client.open(path, method="POST" if body else "GET", data=body and body[1], headers=JSON if body else {})
    described("post" if body else "get", "/static/{file}" if path.startswith("/static") else path, response)
    if "…" in output:
        words = output.partition("…")[0].splitlines()[0][:8]  # what comes after is this model's
        assert response.text.startswith(words)
    else:
        assert json.loads(output).keys() == json.loads(response.data).keys()
