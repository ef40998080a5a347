"""The prediction service.

    POST /predict   {"height": 68}                          → {"id": "…", "weight": 127.11, "margin": 19.7, …}
                    {"heights": [172.7, 180], "unit": "cm"} → {"id": "…", "weights": [57.6, 61.6], …}
    POST /feedback  {"id": "…", "weight": 131.2}            → 202 {"id": "…", "taken": 1}
    GET  /healthz   the process is alive
    GET  /readyz    each worker has a checked model (503 until then, and from the stop on)
    GET  /version   hashes of the model, its data and the code
    GET  /metrics   for Prometheus, of all workers
    GET  /          pages for people (app/pages.py)

`unit` is of heights in a request for a prediction, `in` (the default) or `cm`, and of weights in its answer and in
feedback, `lb` or `kg`. Whatever is wrong is answered as `application/problem+json` (RFC 9457) with the `field` at
fault. Each answer has the header X-Request-Id: the caller's own, where it is one, or a new one.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app import documents, events, pages, release, requests
from app.answers import Answers
from app.calls import Calls
from app.drift import Drift
from app.lake import Lake
from app.metrics import CONTENT_TYPE, NO_ROUTE, Metrics
from app.requests import JSON, MAX_BODY, PROBLEM, TOO_LARGE, RequestError
from app.serving import Models

log = logging.getLogger("app.service")

_QUIET = ("/healthz", "/readyz", "/metrics")  # what the platform itself asks, again and again
_RETRY = "1"  # seconds, of whoever got a 503


def create_app(
    models: Models, lake: Lake | None = None, calls: Calls | None = None, metrics: Metrics | None = None
) -> Flask:
    """The WSGI application. `models` says what is served; without `lake` and `calls` no predictions are kept.

    Starts no thread: who serves it starts and stops `models` and `lake`. `app.extensions` has what else answers
    needs: `answers`, whose lake may be set later, `metrics`, `drift`, and `requests`, which tells of answers.
    """
    app = Flask("app", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    drift = Drift(lambda share: events.tell("drift", share=round(share, 4)))
    metrics, told = metrics or Metrics(), events.Requests()
    answers = Answers(models, metrics, drift, lake, calls)
    app.extensions |= {"metrics": metrics, "answers": answers, "drift": drift, "requests": told}

    def changed() -> None:
        metrics.show(models.served, models.loads)

    models.changed = changed
    changed()

    @app.post("/predict")
    def predict() -> Response:
        return _json(answers.predict(requests.predict(*_body())))

    @app.post("/feedback")
    def feedback() -> Response:
        return _json(answers.feedback(requests.feedback(*_body())), 202)

    @app.get("/healthz")
    def healthz() -> Response:
        return _json(documents.dump({"status": "ok"}))

    @app.get("/readyz")
    def readyz() -> Response:
        served = models.served
        if served.version is None:
            raise RequestError(503, served.trouble or "No model was loaded yet.")
        if not metrics.ready:
            raise RequestError(503, "Another worker of this service has no model yet.")
        detail = {"detail": served.trouble} if served.trouble else {}
        return _json(documents.dump({"status": "ready", "model": served.version.version, **detail}))

    @app.get("/version")
    def version() -> Response:
        return _json(documents.dump(_versions(models)))

    @app.get("/metrics")
    def show_metrics() -> Response:
        changed()
        version = models.served.version
        share = drift.share(version.model) if version is not None else None
        metrics.show_state(share, answers.lake.waiting() if answers.lake is not None else 0)
        return Response(metrics.exposition(), content_type=CONTENT_TYPE)

    pages.register(app, models, metrics)
    metrics.know(rule.rule for rule in app.url_map.iter_rules())
    _observe(app, metrics, told)
    _explain(app)
    return app


def _body() -> tuple[bytes, str | None, str | None]:
    """What came: at most one byte more than is allowed, and what it is said to be."""
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        body = bytes(MAX_BODY + 1)  # which says the same, to whom the content type comes first
    return body, request.headers.get("Content-Type"), request.headers.get("Content-Encoding")


def _versions(models: Models) -> dict[str, Any]:
    version = models.served.version
    model = None
    if version is not None:
        model = {
            "version": version.version,
            "sha256": version.manifest["sha256"],
            "data": version.manifest["data"],
            "trained_by": version.manifest["code"],
            "created": version.manifest["created"],
        }
    return {"model": model, "release": release.release(), "code": release.code_hash()}


def _observe(app: Flask, metrics: Metrics, told: events.Requests) -> None:
    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()
        g.id = events.request_id(request.headers.get("X-Request-Id"))

    @app.after_request
    def count(response: Response) -> Response:
        # The rule, not the path: a client must not be able to make new time series.
        route = request.url_rule.rule if request.url_rule else NO_ROUTE
        seconds = time.perf_counter() - g.started
        metrics.answered(route, response.status_code, seconds)
        if route not in _QUIET:
            told.tell(route, response.status_code, seconds, g.id)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Request-Id"] = g.id
        return response


def _explain(app: Flask) -> None:
    @app.errorhandler(RequestError)
    def refused(problem: RequestError) -> Response:
        return problem_response(problem.status, problem.detail, problem.field)

    @app.errorhandler(HTTPException)
    def wrong(error: HTTPException) -> Response:
        status = error.code or 500
        details = {
            404: "There is nothing here; POST /predict and /feedback, and GET /, /docs, /healthz, /readyz, /version "
            "and /metrics exist.",
            405: f"{request.path[:80]} does not know this method.",
            413: TOO_LARGE,
        }
        field = "body" if status == 413 else None
        response = problem_response(status, details.get(status, "The request cannot be read."), field)
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        log.error("%s %s failed (request %s)", request.method, request.path[:80], g.get("id"), exc_info=error)
        return problem_response(500, "The service failed; its log says how.", None)


def problem_response(status: int, detail: str, field: str | None) -> Response:
    """A problem as RFC 9457 spells it, with the field it is about."""
    response = Response(requests.problem(status, detail, field), status, content_type=PROBLEM)
    if status == 503:
        response.headers["Retry-After"] = _RETRY
    return response


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, content_type=JSON)
