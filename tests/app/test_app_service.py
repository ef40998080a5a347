from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from app import records, release, service
from app.lake import Lake
from app.registry import Version
from app.serving import Models, Served
from tests.app.lines import line

if TYPE_CHECKING:
    from pathlib import Path

    from app.model import Model
    from tests.app.conftest import Stores

LINE = line()
MANIFEST = {
    "sha256": "a" * 64,
    "data": {"version": "d" * 16, "sha256": "d" * 64},
    "code": {"release": "sha256:" + "e" * 64, "commit": "unknown"},
    "created": "2026-11-21T00:00:00Z",
}


class Fixed(Models):
    """Serves one model that was put there by hand."""

    def __init__(self, model: Model | None = LINE) -> None:
        self.served = Served() if model is None else Served(Version("a" * 16, "b" * 64, MANIFEST, model), None)
        self.loads = {"loaded": 1, "refused": 0, "unreachable": 0}

    def refresh_if_due(self) -> None:
        """Nothing is looked for."""

    def put(self, version: str, model: Model) -> Served:
        """Serves another model from now on."""
        self.served = Served(Version(version, "b" * 64, MANIFEST, model), None)
        self.changed()
        return self.served


def client_of(models: Models) -> FlaskClient:
    return service.create_app(models).test_client()


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return client_of(Fixed())


def ask(client: FlaskClient, body: Any, **more: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/predict", data=data, **{"content_type": "application/json", **more})


def without_id(answer: Any) -> dict[str, Any]:
    """An answer without its id, after a look at that."""
    assert re.fullmatch("[0-9a-f]{32}", answer["id"])
    return {name: value for name, value in answer.items() if name != "id"}


def problem(response: Any, status: int) -> dict[str, Any]:
    """The response's problem document, after the checks that every problem must pass."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    document = dict(json.loads(response.data))
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["title"]
    assert document["detail"].endswith((".", "known."))
    return document


def test_one_height_gets_one_weight(client: FlaskClient) -> None:
    response = ask(client, {"height": 69})
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert without_id(response.json) == {
        "weight": 130.0,
        "margin": 19.6,
        "unit": "lb",
        "extrapolated": False,
        "model": "a" * 16,
    }


def test_many_heights_get_their_weights_in_order(client: FlaskClient) -> None:
    response = ask(client, {"heights": [68, 70.5, 80], "unit": "in"})
    assert without_id(response.json) == {
        "weights": [127.0, 134.5, 163.0],
        "margin": 19.6,
        "unit": "lb",
        "extrapolated": [False, False, True],
        "model": "a" * 16,
    }


def test_centimetres_get_kilograms(client: FlaskClient) -> None:
    response = ask(client, {"height": 68 * 2.54, "unit": "cm"})
    assert without_id(response.json) == {
        "weight": 57.61,
        "margin": 8.89,
        "unit": "kg",
        "extrapolated": False,
        "model": "a" * 16,
    }


def test_no_two_answers_have_the_same_id_and_an_id_is_random(client: FlaskClient) -> None:
    found = [ask(client, {"height": 69}).json["id"] for _ in range(600)]
    assert len(set(found)) == 600
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in found)
    assert len({each[:8] for each in found}) > 590  # of 600 random ones


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(20, 110), min_size=1, max_size=30))
def test_many_weights_are_those_of_one_height_at_a_time_and_of_the_model(heights: list[float]) -> None:
    client = client_of(Fixed(line(coefficient=1.0)))
    together = ask(client, {"heights": heights}).json
    assert together["weights"] == [ask(client, {"height": height}).json["weight"] for height in heights]
    for height, weight in zip(heights, together["weights"], strict=True):
        assert abs(weight - line(coefficient=1.0).predict(height)) <= 0.005 + 1e-9
        assert weight == round(weight, 2)


@pytest.mark.parametrize("height", [20, 110, 20.0, 68, 1e2])
def test_the_ends_of_the_human_range_are_in_it(height: float) -> None:
    flat = line(coefficient=0.1)
    assert ask(client_of(Fixed(flat)), {"height": height}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        (b"", "body", "is not JSON"),
        (b"height=68", "body", "is not JSON"),
        (b'{"height": 68', "body", "is not JSON"),
        (b"\xff\xfe", "body", "not UTF-8"),
        (b'{"height": NaN}', "body", "contains NaN"),
        (b'{"height": Infinity}', "body", "contains Infinity"),
        (b'{"height": -Infinity}', "body", "contains -Infinity"),
        (b'{"height": 68, "height": 69}', "body", 'has the name "height" twice'),
        (b"[" * 30_000 + b"]" * 30_000, "body", "nested too deeply"),
        (b'{"height": ' + b"[" * 900 + b"]" * 900 + b"}", "height", "must be a number"),
        (b'{"height": 1e999}', "height", "too large a number"),
        (b'{"height": -1e999}', "height", "too large a number"),
        (b'{"height": ' + b"9" * 60_000 + b"}", "height", "too large a number"),
        (b'{"height": 99999999999999999999}', "height", "people are 20 to 110 in tall"),
        ([68], "body", "send an object"),
        (68, "body", "send an object"),
        (None, "body", "send an object"),
        ({}, "height", "one of the two"),
        ({"unit": "in"}, "height", "one of the two"),
        ({"height": 68, "heights": [68]}, "height", "one of the two"),
        ({"height": 68, "": 1}, "", "is not known"),
        ({"height": 68, "wieght": 1}, "wieght", "is not known"),
        ({"height": 68, "x" * 10_000: 1}, "x" * 80, "is not known"),
        ({"height": 68, "\ud800": 1}, "\ud800", "is not known"),
        ({"height": "68"}, "height", 'is "68"; it must be a number'),
        ({"height": True}, "height", "is true; it must be a number"),
        ({"height": None}, "height", "is null; it must be a number"),
        ({"height": [68]}, "height", "must be a number"),
        ({"height": {}}, "height", "must be a number"),
        ({"height": -68}, "height", "-68; people are"),
        ({"height": 0}, "height", "people are"),
        ({"height": 19.99}, "height", "people are"),
        ({"height": 110.01}, "height", "people are"),
        ({"height": 50.7, "unit": "cm"}, "height", "people are 50.8 to 279.4 cm tall"),
        ({"height": 68, "unit": "m"}, "unit", 'must be "in" or "cm"'),
        ({"height": 68, "unit": ["in"]}, "unit", 'must be "in" or "cm"'),
        ({"height": 68, "unit": None}, "unit", 'must be "in" or "cm"'),
        ({"heights": 68}, "heights", "must be a list"),
        ({"heights": []}, "heights", "must be a list"),
        ({"heights": {"0": 68}}, "heights", "must be a list"),
        ({"heights": [68, "69"]}, "heights[1]", "must be a number"),
        ({"heights": [68, 69, False]}, "heights[2]", "must be a number"),
        ({"heights": [68, 5]}, "heights[1]", "people are"),
    ],
)
def test_bad_input_is_answered_with_the_field_at_fault(client: FlaskClient, body: Any, field: str, detail: str) -> None:
    found = problem(ask(client, body), 400)
    assert found["field"] == field
    assert detail in found["detail"]
    assert len(found["detail"]) < 300


def test_a_height_without_a_sensible_weight_is_refused_with_what_the_model_knows() -> None:
    steep = line(
        mean=66.0, scale=4.0, minimum=54.0, maximum=79.0, coefficient=31.0, intercept=161.0
    )  # like a fit to men and women
    found = problem(ask(client_of(Fixed(steep)), {"heights": [66, 36]}), 400)
    assert found["field"] == "heights[1]"
    assert "no sensible weight for 36 in: it was fitted to heights from 54.0 to 79.0 in" in found["detail"]


def test_a_thousand_heights_are_answered_and_one_more_is_too_many(client: FlaskClient) -> None:
    assert len(ask(client, {"heights": [68.123456789012345] * 1_000}).json["weights"]) == 1_000
    assert problem(ask(client, {"heights": [68] * 1_001}), 413)["field"] == "heights"


def test_a_body_of_ten_megabytes_is_too_large(client: FlaskClient) -> None:
    found = problem(ask(client, b'{"heights": [' + b"68," * 3_500_000 + b"68]}"), 413)
    assert found["field"] == "body"
    assert "larger than 65536 bytes" in found["detail"]


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_a_body_that_is_not_declared_as_json_is_415(client: FlaskClient, content_type: str | None) -> None:
    found = problem(ask(client, {"height": 68}, content_type=content_type), 415)
    assert found["field"] == "Content-Type"


def test_a_charset_is_no_reason_to_refuse(client: FlaskClient) -> None:
    assert ask(client, {"height": 68}, content_type="application/json; charset=utf-8").status_code == 200


def test_a_compressed_body_is_415(client: FlaskClient) -> None:
    found = problem(ask(client, {"height": 68}, headers={"Content-Encoding": "gzip"}), 415)
    assert found["field"] == "Content-Encoding"


@pytest.mark.parametrize("path", ["/predict/", "/healthz//", "/x//healthz", "/Predict", "/%00", "/predict%2f", "/é"])
def test_an_unknown_path_is_404_without_html(client: FlaskClient, path: str) -> None:
    problem(client.get(path), 404)
    problem(client.post(path, json={"height": 68}), 404)


@pytest.mark.parametrize(("method", "path"), [("GET", "/predict"), ("DELETE", "/predict"), ("POST", "/healthz")])
def test_a_wrong_method_is_405_and_names_the_right_ones(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(path, method=method)
    problem(response, 405)
    assert response.headers["Allow"]


def test_without_a_model_the_service_lives_but_is_not_ready() -> None:
    client = client_of(Fixed(None))
    assert client.get("/healthz").json == {"status": "ok"}
    for response in (client.get("/readyz"), ask(client, {"height": 68})):
        assert problem(response, 503)["detail"] == "No model was loaded yet."
        assert response.headers["Retry-After"]
    assert client.get("/version").json["model"] is None  # type: ignore[index] # the answer is an object
    assert "model_ready 0.0" in client.get("/metrics").text


def test_bad_input_is_bad_before_a_model_is_loaded_too() -> None:
    problem(ask(client_of(Fixed(None)), {"height": "x"}), 400)


def test_version_names_model_data_and_code(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELEASE", "sha256:" + "f" * 64)
    found = client.get("/version").json
    assert found == {
        "model": {
            "version": "a" * 16,
            "sha256": "a" * 64,
            "data": MANIFEST["data"],
            "trained_by": MANIFEST["code"],
            "created": "2026-11-21T00:00:00Z",
        },
        "release": "sha256:" + "f" * 64,
        "code": release.code_hash(),
    }


def samples(client: FlaskClient) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def test_metrics_count_requests_by_route_and_status_and_the_predictions() -> None:
    client = client_of(Fixed())
    ask(client, {"height": 68})
    ask(client, {"heights": [68, 69, 70]})
    ask(client, {"height": "x"})
    client.get("/nowhere/1")
    client.get("/nowhere/2")
    found = samples(client)
    assert found["http_requests_total", "/predict", "200"] == 2
    assert found["http_requests_total", "/predict", "400"] == 1
    assert found["http_requests_total", "none", "404"] == 2
    assert found["http_request_duration_seconds_count", "/predict"] == 3
    assert found["predictions_total", "a" * 16] == 4
    assert found["model_ready",] == 1
    assert found["model_info", "d" * 16, "a" * 16] == 1
    assert found["model_loads_total", "refused"] == 0
    assert found["lake_records_total", "dropped"] == 0


def test_no_path_that_a_client_invents_becomes_a_time_series() -> None:
    client = client_of(Fixed())
    before = len(samples(client))
    for number in range(50):
        client.get(f"/invented/{number}")
        client.open("/predict", method=f"M{number}")
    assert len(samples(client)) - before < 60  # two routes with one new status each, and their buckets


def test_a_model_that_was_refused_shows_in_readyz_and_metrics(stores: Stores) -> None:
    models = Models(stores.models)
    first = stores.publish(seed=1)
    models.refresh()
    client = client_of(models)
    second = stores.publish(seed=2)
    stores.damage(f"versions/{second}/model.json", b"{}")
    models.refresh()
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json is not None
    assert ready.json["model"] == first
    assert "The published model was refused" in ready.json["detail"]
    found = samples(client)
    assert found["model_stale",] == 1
    assert found["model_loads_total", "refused"] == 1
    assert ask(client, {"height": 68}).json["model"] == first


def lake_of(stores: Stores, folder: Path) -> Lake:
    return Lake(stores.lake, folder, lambda _outcome, _lines: None, seconds=0.05)


def lines_of(stores: Stores, kind: str) -> list[dict[str, Any]]:
    return [
        json.loads(line_)
        for key in stores.keys("data")
        if f"/{kind}/" in key
        for line_ in stores.s3.get_object(Bucket="data", Key=key)["Body"].read().splitlines()
    ]


def test_each_prediction_is_a_record_in_the_lake_as_records_spell_it(stores: Stores, tmp_path: Path) -> None:
    lake = lake_of(stores, tmp_path / "spool")
    client = service.create_app(Fixed(), lake).test_client()
    lake.start()
    first = ask(client, {"height": 68}).json
    second = ask(client, {"heights": [172.72, 200], "unit": "cm"}).json
    ask(client, {"heights": [68, "x"]})
    bodies = [
        b'{"heights": [68.5,\t6.95e1 ]}',
        b'{"heights": [68.5,\n69.5]}',
        b'{"heights": [68.5,%b 69.5]}' % (b" " * 60_000),
    ]
    answers = [client.post("/predict", data=body, content_type="application/json") for body in bodies]
    spelled = [json.loads(answer.data)["id"] for answer in answers]
    lake.stop()
    lines = {line_["id"]: line_ for line_ in lines_of(stores, "predictions")}
    assert lines.keys() == {first["id"], second["id"], *spelled}
    assert [lines.pop(each)["heights"] for each in spelled] == [[68.5, 69.5]] * 3
    assert [round(height, 6) for height in lines[second["id"]]["heights"]] == [68.0, round(200 / 2.54, 6)]
    found = lines[first["id"]]
    assert (found["heights"], found["weights"], found["model"]) == ([68.0], [127.0], "a" * 16)
    for each in lines.values():
        text = json.dumps(each).encode()
        assert isinstance(records.parse("predictions", text), records.Prediction)
        assert (
            records.line(records.parse("predictions", text)) == json.dumps(each, separators=(",", ":")).encode() + b"\n"
        )


def test_true_weights_are_records_too_under_the_id_that_they_name(stores: Stores, tmp_path: Path) -> None:
    lake = lake_of(stores, tmp_path / "spool")
    client = service.create_app(Fixed(), lake).test_client()
    lake.start()
    one = client.post("/feedback", json={"id": "1" * 32, "weight": 131.5})
    row = client.post("/feedback", json={"id": "2" * 32, "weight": 60, "unit": "kg", "row": 7})
    many = client.post("/feedback", json={"id": "3" * 32, "weights": [130, 140.5]})
    lake.stop()
    assert [(response.status_code, response.json) for response in (one, row, many)] == [
        (202, {"id": "1" * 32, "taken": 1}),
        (202, {"id": "2" * 32, "taken": 1}),
        (202, {"id": "3" * 32, "taken": 2}),
    ]
    found = {(each["id"][0], each["row"], round(each["weight"], 3)) for each in lines_of(stores, "feedback")}
    assert found == {("1", 0, 131.5), ("2", 7, 132.277), ("3", 0, 130.0), ("3", 1, 140.5)}
    assert samples(client)["feedback_total",] == 4


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        (b"{", "body", "is not JSON"),
        ([], "body", "send an object"),
        ({}, "id", "id is missing"),
        ({"id": 1, "weight": 1}, "id", "id is 1"),
        ({"id": "A" * 32, "weight": 100}, "id", "32 hexadecimal digits"),
        ({"id": "a" * 31, "weight": 100}, "id", "32 hexadecimal digits"),
        ({"id": "a" * 32}, "weight", "one of the two"),
        ({"id": "a" * 32, "weight": 100, "weights": [100]}, "weight", "one of the two"),
        ({"id": "a" * 32, "weight": 100, "height": 70}, "height", "is not known"),
        ({"id": "a" * 32, "weight": 100, "unit": "st"}, "unit", 'must be "lb" or "kg"'),
        ({"id": "a" * 32, "weight": 1.5}, "weight", "people weigh 2 to 1500 lb"),
        ({"id": "a" * 32, "weight": 700, "unit": "kg"}, "weight", "to 680.389 kg"),
        ({"id": "a" * 32, "weight": True}, "weight", "must be a number"),
        ({"id": "a" * 32, "weight": 100, "row": -1}, "row", "from 0 to 999"),
        ({"id": "a" * 32, "weight": 100, "row": 1.5}, "row", "whole number"),
        ({"id": "a" * 32, "weight": 100, "row": True}, "row", "whole number"),
        ({"id": "a" * 32, "weights": [100], "row": 1}, "row", "goes with weight"),
        ({"id": "a" * 32, "weights": []}, "weights", "must be a list"),
        ({"id": "a" * 32, "weights": [100, None]}, "weights[1]", "must be a number"),
    ],
)
def test_bad_feedback_is_answered_with_the_field_at_fault(
    client: FlaskClient, body: Any, field: str, detail: str
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body)
    found = problem(client.post("/feedback", data=data, content_type="application/json"), 400)
    assert found["field"] == field
    assert detail in found["detail"]


def test_without_a_lake_true_weights_are_not_taken(client: FlaskClient) -> None:
    found = problem(client.post("/feedback", json={"id": "a" * 32, "weight": 100}), 404)
    assert "no lake" in found["detail"]


def test_a_request_keeps_the_id_that_it_came_with_if_it_is_plain_and_gets_one_if_not(client: FlaskClient) -> None:
    def id_of(given: str | None) -> str:
        headers = {} if given is None else {"X-Request-Id": given}
        return str(client.get("/healthz", headers=headers).headers["X-Request-Id"])

    assert id_of("caller-1.2_3") == "caller-1.2_3"
    new = {id_of(None), id_of(None), id_of(""), id_of("a b"), id_of("x" * 65), id_of("<script>"), id_of('"')}
    assert len(new) == 7
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in new)


def test_an_answer_is_one_models_even_while_models_change() -> None:
    other = line(intercept=200.0)
    models = Fixed()
    served = [models.served, Served(Version("c" * 16, "b" * 64, MANIFEST, other), None)]
    client = client_of(models)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for each in served:
                models.served = each

    thread = threading.Thread(target=change)
    thread.start()
    try:
        found = [ask(client, {"heights": [68] * 50}).json for _ in range(200)]
    finally:
        stop.set()
        thread.join()
    assert {(answer["model"], *set(answer["weights"])) for answer in found} <= {("a" * 16, 127.0), ("c" * 16, 200.0)}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["height", "heights", "unit"]) | st.text(), inner),
    max_leaves=20,
)
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def judge(response: Any) -> None:
    """Any input is answered with weights or with a problem that names what is wrong."""
    if response.status_code == 200:
        weights = response.json.get("weights", [response.json.get("weight")])
        assert all(0 < weight < 2_000 for weight in weights)
    else:
        assert response.status_code in (400, 413, 415)
        assert "field" in problem(response, response.status_code)


@QUICK
@given(JSON)
def test_arbitrary_json_is_answered_or_refused(client: FlaskClient, body: Any) -> None:
    judge(ask(client, body))


@QUICK
@given(st.fixed_dictionaries({}, optional={"height": JSON, "heights": st.lists(JSON), "unit": JSON}))
def test_arbitrary_values_of_the_known_fields_are_answered_or_refused(client: FlaskClient, body: Any) -> None:
    judge(ask(client, body))


@QUICK
@given(st.binary(), st.sampled_from(["application/json", "text/plain", "application/json; charset=\xff"]) | st.text())
def test_arbitrary_bytes_and_types_are_answered_or_refused(client: FlaskClient, body: bytes, content_type: str) -> None:
    header = content_type.encode("latin-1", "replace").decode("latin-1").replace("\r", "").replace("\n", "")
    judge(client.post("/predict", data=body, headers={"Content-Type": header}))


@QUICK
@given(st.floats(20, 110), st.sampled_from(["in", "cm"]))
def test_every_human_height_gets_a_weight_in_either_unit(inches: float, unit: str) -> None:
    flat = line(coefficient=1.0)
    height = inches if unit == "in" else min(max(inches * 2.54, 50.8), 279.4)
    judged = ask(client_of(Fixed(flat)), {"height": height, "unit": unit})
    assert judged.status_code == 200
