"""The prediction service.

    POST /predict   {"height": 68}                         → {"weight": 127.11, "unit": "lb", …}
                    {"heights": [172.7, 180], "unit": "cm"} → {"weights": [57.6, 61.6], "unit": "kg", …}
    GET  /healthz   the process is alive
    GET  /readyz    a checked model is loaded (503 until then)
    GET  /version   hashes of the model, its data and the code
    GET  /metrics   for Prometheus

`unit` is of heights in a request, `in` (the default) or `cm`, and of weights in an answer, `lb` or `kg`. An
answer also has `model`, the version, and `extrapolated`, true for a height outside those the model was fitted
to. Whatever is wrong is answered as `application/problem+json` (RFC 9457) with the `field` at fault.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from werkzeug.exceptions import HTTPException

from app import documents, events, release
from app.calls import Calls
from app.dataset import HEIGHT_RANGE
from app.documents import DocumentError, short
from app.drift import Drift
from app.jobs import Version
from app.lake import Lake
from app.serving import Models, Served
from app.store import Store

log = logging.getLogger("app.service")

MAX_BODY = 64 * 1024  # bytes; twice what MAX_HEIGHTS take when written with full precision
MAX_HEIGHTS = 1_000
_UNITS = {"in": ("lb", 1.0, 1.0), "cm": ("kg", 1 / 2.54, 0.45359237)}  # to inches, from pounds
_QUIET = ("/healthz", "/readyz", "/metrics")  # what the platform itself asks, again and again
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds


class RequestError(Exception):
    """A request that is refused: the status, a sentence, and the field it is about."""

    def __init__(self, status: int, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field = status, detail, field


class Metrics:
    """What /metrics shows, in a registry of its own, so that two apps in a process do not mix."""

    def __init__(self, models: Models, drift: Drift) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests answered.", ["route", "status"], registry=self.registry)
        self.seconds = Histogram(
            "http_request_duration_seconds",
            "Time to answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.predictions = Counter("predictions", "Weights predicted.", ["model"], registry=self.registry)
        self.lake = Counter(
            "lake_records", "Predictions by what became of their record.", ["outcome"], registry=self.registry
        )
        for outcome in ("written", "dropped", "lost"):
            self.lake.labels(outcome)  # a counter that exists at 0 can be watched for its first rise
        ready = Gauge("model_ready", "1 if a checked model is loaded.", registry=self.registry)
        ready.set_function(lambda: float(models.served.version is not None))
        stale = Gauge("model_stale", "1 if the last look for a model failed.", registry=self.registry)
        stale.set_function(lambda: float(models.served.trouble is not None))
        self.registry.register(_ModelCollector(models, drift))
        ProcessCollector(registry=self.registry)

    def count_records(self, outcome: str, records: int) -> None:
        """Counts lake records by what became of them."""
        self.lake.labels(outcome).inc(records)


class _ModelCollector(Collector):
    """Which model is served, and how looks at the store ended, read at the moment of the scrape."""

    def __init__(self, models: Models, drift: Drift) -> None:
        self._models, self._drift = models, drift

    def collect(self) -> Iterator[Metric]:
        loads = CounterMetricFamily(
            "model_loads", "Looks for a model that found a change or failed.", labels=["outcome"]
        )
        for outcome, number in self._models.loads.items():
            loads.add_metric([outcome], number)
        yield loads
        info = Metric("model_info", "The model that is served.", "gauge")
        version = self._models.served.version
        if version is not None:
            names = {"version": version.version, "data": version.manifest["data"]["version"]}
            info.add_sample("model_info", names, 1.0)
        yield info
        drift = Metric("drift_share", "How far live heights are from the model's; rebuild it from 0.25 on.", "gauge")
        share = self._drift.share(version.model) if version is not None else None
        if share is not None:
            drift.add_sample("drift_share", {}, share)
        yield drift


class _Kept(NamedTuple):
    """Where predictions are noted down."""

    metrics: Metrics
    drift: Drift
    lake: Lake | None
    calls: Calls | None


def create_app(models: Models, lake_store: Store | None = None, calls: Calls | None = None) -> Flask:
    """The WSGI application. `models` says what is served; without `lake_store` and `calls` no predictions are kept.

    Starts no thread: who serves it starts and stops `models` and, if there is one, `app.extensions["lake"]`.
    """
    app = Flask("app", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    drift = Drift(lambda share: events.tell("drift", share=round(share, 4)))
    metrics = Metrics(models, drift)
    lake = Lake(lake_store, metrics.count_records) if lake_store is not None else None
    app.extensions["lake"] = lake
    kept = _Kept(metrics, drift, lake, calls)

    @app.post("/predict")
    def predict() -> Response:
        return _predicted(_asked(_body()), models.served, kept)

    @app.get("/healthz")
    def healthz() -> Response:
        return _json({"status": "ok"})

    @app.get("/readyz")
    def readyz() -> Response:
        served = models.served
        if served.version is None:
            raise RequestError(503, served.trouble or "No model was loaded yet.")
        detail = {"detail": served.trouble} if served.trouble else {}
        return _json({"status": "ready", "model": served.version.version, **detail})

    @app.get("/version")
    def version() -> Response:
        return _json(_versions(models))

    @app.get("/metrics")
    def show_metrics() -> Response:
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

    _observe(app, metrics)
    _explain(app)
    return app


class Asked(NamedTuple):
    """What a request asks for: heights in `unit`, and whether as a list (`many`) or as one number."""

    heights: list[float]
    unit: str
    many: bool


def _predicted(asked: Asked, served: Served, kept: _Kept) -> Response:
    version = served.version
    if version is None:
        raise RequestError(503, served.trouble or "No model was loaded yet.")
    weight_unit, to_inches, from_pounds = _UNITS[asked.unit]
    inches = [height * to_inches for height in asked.heights]
    pounds = [version.model.predict(height) for height in inches]
    for index, weight in enumerate(pounds):
        if not (math.isfinite(weight) and weight > 0):
            low, high = version.model.minimum / to_inches, version.model.maximum / to_inches
            raise RequestError(
                400,
                f"Model {version.version} has no sensible weight for {asked.heights[index]:g} {asked.unit}: "
                f"it was fitted to heights from {low:.1f} to {high:.1f} {asked.unit}.",
                f"heights[{index}]" if asked.many else "height",
            )
    _keep(inches, pounds, version, kept)
    weights = [round(weight * from_pounds, 2) for weight in pounds]
    extrapolated = [not version.model.knows(height) for height in inches]
    answer: dict[str, Any] = {"unit": weight_unit, "model": version.version}
    if asked.many:
        return _json({"weights": weights, "extrapolated": extrapolated, **answer})
    return _json({"weight": weights[0], "extrapolated": extrapolated[0], **answer})


def _keep(inches: list[float], pounds: list[float], version: Version, kept: _Kept) -> None:
    """Notes predictions down; whatever goes wrong there, they are answered."""
    kept.metrics.predictions.labels(version.version).inc(len(pounds))
    kept.drift.observe(inches, version.model)
    if kept.lake is not None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        for height, weight in zip(inches, pounds, strict=True):
            kept.lake.append({"time": moment, "height_in": height, "weight_lb": weight, "model": version.version})
    if kept.calls is not None:
        kept.calls.store(inches, pounds, version.version)


def _body() -> Any:
    """What the request's body says. Raises RequestError."""
    if request.mimetype != "application/json":
        sent = short(request.mimetype) if request.mimetype else "nothing"
        raise RequestError(415, f"Content-Type must be application/json; it says {sent}.", "Content-Type")
    if request.content_encoding not in (None, "", "identity"):
        raise RequestError(415, "Content-Encoding is not supported; send plain JSON.", "Content-Encoding")
    try:
        return documents.parse(request.get_data(cache=False))
    except DocumentError as error:
        raise RequestError(400, f"The body {error}.", "body") from None


def _asked(body: Any) -> Asked:
    """What a body asks for. Raises RequestError."""
    if not isinstance(body, dict):
        raise RequestError(400, f'The body is {short(body)}; send an object such as {{"height": 68}}.', "body")
    for name in body:
        if name not in ("height", "heights", "unit"):
            raise RequestError(400, f"Field {short(name)} is not known; height, heights and unit are.", str(name)[:80])
    if ("height" in body) == ("heights" in body):
        raise RequestError(400, "Give height for one person or heights for many, one of the two.", "height")
    unit = body.get("unit", "in")
    if not isinstance(unit, str) or unit not in _UNITS:
        raise RequestError(400, f'unit is {short(unit)}; it must be "in" or "cm".', "unit")
    if "height" in body:
        return Asked([_height(body["height"], unit, "height")], unit, False)
    heights = body["heights"]
    if not isinstance(heights, list) or not heights:
        raise RequestError(400, f"heights is {short(heights)}; it must be a list of numbers.", "heights")
    if len(heights) > MAX_HEIGHTS:
        raise RequestError(413, f"heights has {len(heights)} items; {MAX_HEIGHTS} are allowed.", "heights")
    return Asked([_height(height, unit, f"heights[{i}]") for i, height in enumerate(heights)], unit, True)


def _height(value: Any, unit: str, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(400, f"{field} is {short(value)}; it must be a number.", field)
    low, high = (round(bound / _UNITS[unit][1], 6) for bound in HEIGHT_RANGE)
    if not low <= value <= high:  # also false for an infinity, which 1e999 is read as
        shown = f"{value:g}" if math.isfinite(value) else "too large a number"
        raise RequestError(400, f"{field} is {shown}; people are {low:g} to {high:g} {unit} tall.", field)
    return float(value)


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


def _observe(app: Flask, metrics: Metrics) -> None:
    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        # The rule, not the path: a client must not be able to make new time series.
        route = request.url_rule.rule if request.url_rule else "none"
        metrics.requests.labels(route, response.status_code).inc()
        seconds = time.perf_counter() - g.started
        metrics.seconds.labels(route).observe(seconds)
        if route not in _QUIET:
            events.tell("request", path=route, status=response.status_code, seconds=round(seconds, 6))
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _explain(app: Flask) -> None:
    @app.errorhandler(RequestError)
    def refused(problem: RequestError) -> Response:
        return problem_response(problem.status, problem.detail, problem.field)

    @app.errorhandler(HTTPException)
    def wrong(error: HTTPException) -> Response:
        status = error.code or 500
        details = {
            404: "There is nothing here; POST /predict, and GET /healthz, /readyz, /version and /metrics exist.",
            405: f"{request.path[:80]} does not know this method.",
            413: f"The body is larger than {MAX_BODY} bytes; send at most {MAX_HEIGHTS} heights.",
        }
        field = "body" if status == 413 else None
        response = problem_response(status, details.get(status, "The request cannot be read."), field)
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.path[:80], exc_info=error)
        return problem_response(500, "The service failed; its log says how.", None)


def problem_response(status: int, detail: str, field: str | None) -> Response:
    """A problem as RFC 9457 spells it, with the field it is about."""
    response = Response(problem_json(status, detail, field), status, content_type="application/problem+json")
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response


def problem_json(status: int, detail: str, field: str | None = None) -> bytes:
    """The body of a problem; `field` is left out where there is none."""
    title = Response(status=status).status.partition(" ")[2].title()
    named = {} if field is None else {"field": field}
    return documents.dump({"type": "about:blank", "title": title, "status": status, "detail": detail, **named})


def _json(document: dict[str, Any]) -> Response:
    return Response(documents.dump(document), content_type="application/json")
