"""What the gateway of an API is told, in OpenAPI 2.0 with Google's extensions. Pure."""

from typing import Any

from infra.shape import Callers

TOKEN, KEY = "token", "caller"
METRIC, LIMIT = "calls", "calls-per-minute"


def document(title: str, address: str, callers: Callers, seconds: int) -> dict[str, Any]:
    """`POST /predict` at the backend's `address`, for callers with a token, each at most so often a minute.

    The gateway counts by what the caller names itself with, a key of an API that the caller made for itself: it says
    whose quota a call is taken from, and lets nobody in, which the token alone does. The keys that tokens are signed
    with it finds by OpenID Connect discovery at the issuer.
    """
    return {
        "swagger": "2.0",
        "info": {"title": title, "description": "Predictions, for callers with a token", "version": "1"},
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": _who(callers),
        "x-google-management": _how_often(callers),
        "paths": {"/predict": {"post": _predict(address, seconds)}},
    }


def _who(callers: Callers) -> dict[str, Any]:
    token = {
        "type": "oauth2",
        "flow": "implicit",
        "authorizationUrl": "",
        "x-google-issuer": callers.issuer,
        "x-google-audiences": callers.audience,
    }
    return {TOKEN: token, KEY: {"type": "apiKey", "name": "x-api-key", "in": "header"}}


def _how_often(callers: Callers) -> dict[str, Any]:
    limit = {"name": LIMIT, "metric": METRIC, "unit": "1/min/{project}", "values": {"STANDARD": callers.per_minute}}
    metric = {"name": METRIC, "displayName": "Calls", "valueType": "INT64", "metricKind": "DELTA"}
    return {"metrics": [metric], "quota": {"limits": [limit]}}


def _predict(address: str, seconds: int) -> dict[str, Any]:
    return {
        "operationId": "predict",
        "security": [{TOKEN: [], KEY: []}],
        "x-google-backend": {
            "address": address,
            "path_translation": "APPEND_PATH_TO_ADDRESS",
            "deadline": float(seconds),
            "protocol": "http/1.1",
        },
        "x-google-quota": {"metricCosts": {METRIC: 1}},
        "parameters": [{"in": "body", "name": "people", "required": True, "schema": {"type": "object"}}],
        "responses": {
            "200": {"description": "The predictions", "schema": {"type": "object"}},
            "400": {"description": "Not what can be predicted from"},
            "401": {"description": "No token, or not one for this API"},
            "429": {"description": "Too many calls in a minute"},
        },
    }
