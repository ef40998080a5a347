"""The service's own description in OpenAPI 3.1: every route, every answer, every limit. /docs is made from it.

Limits come from the code that keeps them, documents of the model store from their schemas, so that none is written
twice. A test holds the document to the routes that there are, and generated requests to the answers named here.
"""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

from app.openapi_schemas import Document, one_of, ref, schemas
from app.requests import MAX_BODY, MAX_HEIGHTS

VERSION = "2.0.0"  # of the interface: the first number rises where a client would have to change
ID = "0f8fad5bd9cb469fa165708867e14b1c"
MODEL = "3883ffdb465694e0"

PROBLEMS = {
    400: "The body is not what it should be, or the model has no sensible weight for this height: see `field`.",
    404: "There is nothing at this address; or true weights are not kept here, as the service has no lake.",
    413: f"The body is larger than {MAX_BODY} bytes, or has more than {MAX_HEIGHTS} rows.",
    415: "The body is not JSON, or is compressed.",
    500: "The service failed. Its log says how; the answer does not.",
    503: "No model is loaded yet, or the service is full or stopping. Ask again after `Retry-After` seconds.",
}

ABOUT = f"""Height in, weight out, from a model that is replaced while the service runs.

Bodies are JSON of at most {MAX_BODY} bytes; names that are not listed, names given twice, NaN and infinities are
refused. Whatever is refused is answered as `application/problem+json` (RFC 9457): `detail` is a sentence for people,
`field` names what it is about. Another method than those listed gets 405 with `Allow`, another path 404, and what is
not HTTP 400. The service itself asks for no token; in a cloud, the load balancer or the gateway before it does."""


@cache
def document() -> Document:
    """The OpenAPI 3.1 document. Shared: do not change what it returns."""
    paths = _paths()
    for path, methods in paths.items():
        for operation in methods.values():
            operation["x-codeSamples"] = [{"lang": "Shell", "source": _command(path, operation)}]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Weight from height", "version": VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "Predict", "description": "What clients call."},
            {"name": "Watch", "description": "What the platform and its people look at."},
            {"name": "Pages", "description": "What a browser shows."},
        ],
        "paths": paths,
        "components": {"schemas": schemas(), "headers": _headers()},
    }


class Operation(NamedTuple):
    """One operation, its references followed: what a page shows of it."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    description: str
    command: str
    bodies: list[str]  # JSON texts, each answered by the one of `examples` in its place
    examples: list[str]
    answers: list[Answer]


class Answer(NamedTuple):
    """One answer of an operation: its status, when it is given, and its media type."""

    status: str
    when: str
    media: str


def operations() -> list[Operation]:
    """All operations, in the document's order."""
    found = []
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            found.append(
                Operation(
                    method.upper(),
                    path,
                    operation["operationId"],
                    operation["tags"][0],
                    operation["summary"],
                    operation.get("description", ""),
                    operation["x-codeSamples"][0]["source"],
                    _examples(operation.get("requestBody", {})),
                    [text for response in operation["responses"].values() for text in _examples(response)],
                    [
                        Answer(status, response["description"], ", ".join(response.get("content", {})))
                        for status, response in operation["responses"].items()
                    ],
                )
            )
    return found


def _examples(part: Document) -> list[str]:
    """The examples of a body or an answer, a member a line."""
    values = [each["value"] for kind in part.get("content", {}).values() for each in kind.get("examples", {}).values()]
    return ["{\n" + ",\n".join(f'  "{name}": {json.dumps(value[name])}' for name in value) + "\n}" for value in values]


def _paths() -> Document:
    return {
        "/predict": {"post": _predict()},
        "/feedback": {"post": _feedback()},
        "/healthz": {"get": _healthz()},
        "/readyz": {"get": _readyz()},
        "/version": {"get": _version()},
        "/status": {"get": _status()},
        "/metrics": {"get": _metrics()},
        "/": {"get": _page("home", "A form, the prediction on a plot, the model's card, drift and latency")},
        "/docs": {"get": _page("docs", "This document, to be read by people")},
        "/openapi.json": {"get": _openapi()},
        "/static/{file}": {"get": _static()},
    }


def _command(path: str, operation: Document) -> str:
    """The command that tries an operation, with URL as the service's address."""
    for parameter in operation.get("parameters", []):
        path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    if "requestBody" not in operation:
        return f'curl "$URL{path}"'
    example = operation["requestBody"]["content"]["application/json"]["examples"]["one"]["value"]
    return f"curl \"$URL{path}\" -H 'Content-Type: application/json' \\\n  -d '{json.dumps(example)}'"


def _predict() -> Document:
    one: Document = {"height": 68}
    many: Document = {"heights": [172.7, 180], "unit": "cm"}
    one_answer = {"id": ID, "weight": 127.05, "margin": 19.81, "extrapolated": False, "unit": "lb", "model": MODEL}
    many_weights = {"weights": [57.62, 61.66], "margin": 8.99, "extrapolated": [False, False], "unit": "kg"}
    many_answer = {"id": ID, **many_weights, "model": MODEL}
    return _operation(
        "predict",
        "Predict",
        "Predict the weight of one person, or of many",
        "Heights are in inches, or in centimetres with `unit`; weights come back in pounds or kilograms to match. "
        "`margin` is half the width of the 95 % prediction interval. `extrapolated` is true for a height outside those "
        "that the model was fitted to. The `id` is the key to tell the true weight later, and the only one to have the "
        "record erased: keep it.",
        {
            200: _json("The prediction.", one_of("Prediction", "Predictions"), one=one_answer, many=many_answer),
            **_problems(400, 413, 415, 500, 503),
        },
        body=(ref("Asked"), {"one": one, "many": many}),
    )


def _feedback() -> Document:
    taken: Document = {"id": ID, "taken": 1}
    return _operation(
        "feedback",
        "Predict",
        "Tell the true weight of a prediction",
        "With `weights`, those of all rows from the first on. Whether there is such a prediction is found out "
        "later, when the two are joined: an id is 128 random bits, so knowing it is the right to tell. What is told "
        "can change a model only within bounds, and only after a judgement beside the current one.",
        {
            202: _json("Taken, to be joined with the prediction.", ref("Taken"), one=taken, many={**taken, "taken": 2}),
            **_problems(400, 404, 413, 415, 500, 503),
        },
        body=(
            ref("Told"),
            {"one": {"id": ID, "weight": 131.2}, "many": {"id": ID, "weights": [59.5, 61], "unit": "kg"}},
        ),
    )


def _healthz() -> Document:
    answer = _json("The process is alive.", ref("Health"), one={"status": "ok"})
    return _operation("healthz", "Watch", "Is the process alive", "", {200: answer, **_problems(500, 503)})


def _readyz() -> Document:
    text = (
        "No, until a checked model is loaded. With `detail`, the last look for a newer one failed, and the model stays."
    )
    answer = _json("A checked model is loaded.", ref("Ready"), one={"status": "ready", "model": MODEL})
    return _operation("readyz", "Watch", "Is a model loaded", text, {200: answer, **_problems(500, 503)})


def _version() -> Document:
    answer = _json("Hashes from the model to its data and code.", ref("Version"))
    return _operation("version", "Watch", "What runs here, by its hashes", "", {200: answer, **_problems(500, 503)})


def _status() -> Document:
    text = "What the home page shows. `card` is null where the version has none, `line` where no model is loaded."
    answer = _json("The state of the service.", ref("Status"))
    return _operation(
        "status", "Watch", "Model card, drift and recent latency", text, {200: answer, **_problems(500, 503)}
    )


def _metrics() -> Document:
    answer = {"description": "Metrics of all workers.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return _operation("metrics", "Watch", "For Prometheus", "", {200: answer, **_problems(500, 503)})


def _page(name: str, summary: str) -> Document:
    answer = {
        "description": "The page.",
        "content": {"text/html": {"schema": {"type": "string"}}},
        "headers": _tagged(),
    }
    return _operation(name, "Pages", summary, "", {200: answer, 304: _unchanged(), **_problems(500, 503)})


def _openapi() -> Document:
    answer = _json("OpenAPI 3.1.", {"type": "object", "required": ["openapi", "info", "paths"]})
    answer["headers"] = _tagged()
    return _operation("openapi", "Pages", "This document", "", {200: answer, 304: _unchanged(), **_problems(500, 503)})


def _static() -> Document:
    kinds = ("text/css", "text/javascript", "image/svg+xml")
    content = {kind: {"schema": {"type": "string"}} for kind in kinds}
    answer = {"description": "The file.", "content": content, "headers": _tagged()}
    text = "The pages ask for nothing else, and for nothing from any other place."
    found = _operation(
        "static",
        "Pages",
        "What the pages are made of",
        text,
        {200: answer, 304: _unchanged(), **_problems(404, 500, 503)},
    )
    name = {"type": "string", "pattern": r"^[a-z]+\.(css|js|svg)$"}
    found["parameters"] = [{"name": "file", "in": "path", "required": True, "schema": name, "example": "home.js"}]
    return found


def _operation(
    name: str,
    tag: str,
    summary: str,
    text: str,
    responses: dict[int, Document],
    *,
    body: tuple[Document, dict[str, Document]] | None = None,
) -> Document:
    """An operation. `body` is the schema of its JSON body, and examples of it."""
    found: Document = {"operationId": name, "tags": [tag], "summary": summary}
    if text:
        found["description"] = text
    if body is not None:
        examples = {key: {"value": value} for key, value in body[1].items()}
        content = {"application/json": {"schema": body[0], "examples": examples}}
        found["requestBody"] = {"required": True, "content": content}
    for response in responses.values():
        headers = response.setdefault("headers", {})
        headers["X-Request-Id"] = {"$ref": "#/components/headers/X-Request-Id"}
    found["responses"] = {str(status): response for status, response in responses.items()}
    return found


def _json(description: str, schema: Document, **examples: Document) -> Document:
    content: Document = {"schema": schema}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"description": description, "content": {"application/json": content}}


def _problems(*statuses: int) -> dict[int, Document]:
    found: dict[int, Document] = {}
    for status in statuses:
        content = {"application/problem+json": {"schema": ref("Problem")}}
        found[status] = {"description": PROBLEMS[status], "content": content}
    if 503 in found:
        found[503]["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return found


def _unchanged() -> Document:
    return {"description": "It is what `If-None-Match` names.", "headers": _tagged()}


def _tagged() -> Document:
    return {"ETag": {"$ref": "#/components/headers/ETag"}}


def _headers() -> Document:
    return {
        "ETag": {"description": "Names the content; send it as `If-None-Match`.", "schema": {"type": "string"}},
        "X-Request-Id": {
            "description": "Names the request in the log: the caller's own, or a new one.",
            "schema": {"type": "string"},
        },
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    }
