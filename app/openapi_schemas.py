"""The schemas of the OpenAPI document: JSON Schema 2020-12, as those of the model store are, and so parts of it."""

from __future__ import annotations

from typing import Any

from app import documents
from app.dataset import WEIGHT_RANGE
from app.drift import REBUILD
from app.requests import MAX_HEIGHTS, UNITS

Document = dict[str, Any]

_KILOGRAM = 0.45359237  # in one pound


def schemas() -> Document:
    """`components.schemas` of the document: bodies, answers, and what they are made of."""
    sha256 = {"type": "string", "pattern": "^(sha256:)?[0-9a-f]{64}$"}
    model_id = {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": "A model's version."}
    call_id = {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "A prediction's id."}
    weight = {"type": "number", "minimum": 0}
    predicted = {
        "id": call_id,
        "margin": {"type": "number", "minimum": 0, "description": "Half the width of the 95 % interval, in `unit`."},
        "unit": {"enum": [unit.weight for unit in UNITS.values()]},
        "model": model_id,
    }
    many = {"type": "array", "minItems": 1, "maxItems": MAX_HEIGHTS}
    pounds = _told("lb", WEIGHT_RANGE)
    kilograms = _told("kg", (round(WEIGHT_RANGE[0] * _KILOGRAM, 6), round(WEIGHT_RANGE[1] * _KILOGRAM, 6)))
    return {
        "Asked": {
            "description": "One height or many; without `unit`, in inches.",
            "oneOf": [each for unit in UNITS.values() for each in _asked(unit.height, unit.low, unit.high)],
        },
        "Prediction": _object({"weight": weight, "extrapolated": {"type": "boolean"}, **predicted}),
        "Predictions": _object(
            {
                "weights": {**many, "items": weight},
                "extrapolated": {**many, "items": {"type": "boolean"}},
                **predicted,
            }
        ),
        "Told": {
            "description": "One true weight, or those of all rows; without `unit`, in pounds.",
            "oneOf": [*pounds, *kilograms],
        },
        "Taken": _object({"id": call_id, "taken": {"type": "integer", "minimum": 1, "maximum": MAX_HEIGHTS}}),
        "Health": _object({"status": {"const": "ok"}}),
        "Ready": _object(
            {"status": {"const": "ready"}, "model": model_id, "detail": {"type": "string"}}, optional={"detail"}
        ),
        "Version": _object(
            {
                "model": {
                    "anyOf": [
                        _object(
                            {
                                "version": model_id,
                                "sha256": sha256,
                                "data": _object({"version": model_id, "sha256": sha256}),
                                "trained_by": _object({"release": sha256, "commit": {"type": "string"}}),
                                "created": {"type": "string", "format": "date-time"},
                            }
                        ),
                        {"type": "null"},
                    ]
                },
                "release": sha256,
                "code": sha256,
            }
        ),
        "Status": _status_schema(model_id),
        "Card": _stored("card"),
        "Verdict": _stored("drift"),
        "Problem": _object(
            {
                "type": {"const": "about:blank"},
                "title": {"type": "string"},
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": {"type": "string", "description": "A sentence for people."},
                "field": {"type": "string", "description": "What it is about: a member of the body, or a header."},
            },
            optional={"field"},
        ),
    }


def _status_schema(model_id: Document) -> Document:
    number, seconds = {"type": "number"}, {"type": ["number", "null"], "minimum": 0}
    text = {"type": ["string", "null"]}
    line = _object({"slope": number, "intercept": number, "low": number, "high": number, "margin": number})
    line["description"] = "weight = intercept + slope * height ± margin, in pounds and inches, fitted from low to high."
    drift = {
        "share": {"type": ["number", "null"], "minimum": 0, "description": "Of this service's recent heights."},
        "limit": {"const": REBUILD, "description": "From here on the model is to be rebuilt."},
        "verdict": {"anyOf": [ref("Verdict"), {"type": "null"}], "description": "The drift job's last one."},
    }
    return _object(
        {
            "ready": {"type": "boolean"},
            "trouble": {**text, "description": "What is wrong with the last look for a model, if anything is."},
            "model": {"anyOf": [model_id, {"type": "null"}]},
            "created": {**text, "description": "When the model was built."},
            "line": {"anyOf": [line, {"type": "null"}]},
            "card": {"anyOf": [ref("Card"), {"type": "null"}]},
            "drift": _object(drift),
            "traffic": _object({"requests": {"type": "integer", "minimum": 0}, "p50": seconds, "p99": seconds}),
        }
    )


def _asked(unit: str, low: float, high: float) -> list[Document]:
    """The two ways to ask in one unit: inches are meant where none is named."""
    height = {"type": "number", "minimum": low, "maximum": high}
    heights = {"type": "array", "minItems": 1, "maxItems": MAX_HEIGHTS, "items": height}
    optional = {"unit"} if unit == "in" else set()
    return [
        _object({name: each, "unit": {"const": unit}}, optional)
        for name, each in (("height", height), ("heights", heights))
    ]


def _told(unit: str, limits: tuple[float, float]) -> list[Document]:
    """The two ways to tell in one unit: pounds are meant where none is named."""
    call_id = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
    weight = {"type": "number", "minimum": limits[0], "maximum": limits[1]}
    row = {"type": "integer", "minimum": 0, "maximum": MAX_HEIGHTS - 1, "description": "From 0."}
    weights = {"type": "array", "minItems": 1, "maxItems": MAX_HEIGHTS, "items": weight}
    optional = {"unit"} if unit == "lb" else set()
    return [
        _object({"id": call_id, "weight": weight, "row": row, "unit": {"const": unit}}, optional | {"row"}),
        _object({"id": call_id, "weights": weights, "unit": {"const": unit}}, optional),
    ]


def _stored(name: str) -> Document:
    """The schema of a document of the model store, as part of this one."""
    return {key: value for key, value in documents.load_schema(name).items() if key != "$schema"}


def _object(properties: Document, optional: set[str] | None = None) -> Document:
    required = [name for name in properties if name not in (optional or set())]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def ref(name: str) -> Document:
    """A reference to the schema called `name`."""
    return {"$ref": f"#/components/schemas/{name}"}


def one_of(*names: str) -> Document:
    """Exactly one of these schemas."""
    return {"oneOf": [ref(name) for name in names]}
