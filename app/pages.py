"""What a browser shows of the service: the home page, the API's description, and the state they draw from.

    GET /               the form, the plot, the model's card, drift and latency
    GET /docs           the API for people          GET /openapi.json   and for programs
    GET /status         what the home page shows, as JSON
    GET /static/FILE    script, style, icon

Pages ask for nothing from any other place, and the policy sent along (CSP) has the browser see to it: no script, style
or request of another origin, none written inline, no frame around them.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from flask import Flask, Response, abort, request

from app import documents, openapi, registry
from app.drift import REBUILD
from app.registry import JobError
from app.serving import Models
from app.store import StoreError

log = logging.getLogger("app.pages")

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, and asked about by its tag each time
}
_AGAIN = 30.0  # seconds until a card that could not be read is tried again


class Numbers(Protocol):
    """What the pages want of the metrics, over all workers."""

    def recent(self) -> dict[str, Any]:
        """`requests` answered, and `p50` and `p99` of recent predictions in seconds, None while there are none."""

    def share(self) -> float | None:
        """How far live heights have drifted, None while too few are known."""


def register(app: Flask, models: Models, metrics: Numbers) -> None:
    """Adds the pages' routes to `app`. Files are read here, once; a card is read when /status first asks for it."""
    files = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
    home, template = files.pop("index.html"), files.pop("docs.html").decode()
    description = documents.dump(openapi.document())
    cards = _Cards(models)

    @cache
    def docs() -> bytes:
        page = app.jinja_env.from_string(template)  # escapes whatever it is given
        return page.render(api=openapi.document(), operations=openapi.operations()).encode()

    @app.get("/", endpoint="home")
    def show_home() -> Response:
        return _sent(home, ".html")

    @app.get("/docs", endpoint="docs")
    def show_docs() -> Response:
        return _sent(docs(), ".html")

    @app.get("/openapi.json", endpoint="openapi")
    def show_openapi() -> Response:
        return _sent(description, ".json")

    @app.get("/static/<file>", endpoint="static_file")
    def show_file(file: str) -> Response:
        if file not in files:
            abort(404)
        return _sent(files[file], Path(file).suffix)

    @app.get("/status", endpoint="status")
    def show_status() -> Response:
        response = Response(documents.dump(_status(models, metrics, cards)), content_type="application/json")
        response.headers["Cache-Control"] = "no-store"
        return response


def _sent(content: bytes, suffix: str) -> Response:
    """Content with its tag, or 304 to whoever has it already."""
    response = Response(content, content_type=_TYPES.get(suffix, "application/json"), headers=_HEADERS)
    response.set_etag(documents.sha256(content)[:32])
    response.make_conditional(request)
    return response


def _status(models: Models, metrics: Numbers, cards: _Cards) -> dict[str, Any]:
    served = models.served
    version = served.version
    line = None
    if version is not None:
        model = version.model
        line = {
            "slope": model.coefficient / model.scale,
            "intercept": model.predict(0.0),
            "low": model.minimum,
            "high": model.maximum,
            "margin": model.margin(),
        }
    return {
        "ready": version is not None,
        "trouble": served.trouble,
        "model": version.version if version is not None else None,
        "created": version.manifest["created"] if version is not None else None,
        "line": line,
        "card": cards.of(version.version) if version is not None else None,
        "drift": {"share": metrics.share(), "limit": REBUILD, "verdict": served.drift},
        "traffic": metrics.recent(),
    }


class _Cards:
    """The card of the version that is served: read once, and again after a while where that failed."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._read: tuple[str, dict[str, Any] | None, float] = ("", None, 0.0)

    def of(self, version: str) -> dict[str, Any] | None:
        """The card, or None if the version has none that can be read."""
        known, card, until = self._read
        if known != version or (card is None and monotonic() >= until):
            card = self._load(version)
            self._read = (version, card, monotonic() + _AGAIN)
        return card

    def _load(self, version: str) -> dict[str, Any] | None:
        try:
            return registry.load_card(self._models.store, version)
        except (StoreError, JobError) as error:
            log.warning("The card of model %s cannot be shown: %s", version, error)
            return None
