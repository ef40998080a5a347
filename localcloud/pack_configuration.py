"""How a pack's policies are set: level and properties, from the pack's own defaults and the user's configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
from google.protobuf import json_format

from localcloud.pack_process import PackError

LEVELS = ("advisory", "mandatory", "disabled", "remediate")  # by number, as in analyzer.proto


def read(file: Path) -> dict[str, Any]:
    """A configuration as the Pulumi CLI's --policy-pack-config reads it: by policy name; empty text is none."""
    try:
        text = file.read_text(encoding="utf-8")
        config = json.loads(text) if text.strip() else {}
    except OSError as error:
        raise PackError(f"The policy pack configuration {file} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise PackError(f"The policy pack configuration {file} is no JSON: {error}.") from None
    if not isinstance(config, dict):
        raise PackError(f"The policy pack configuration {file} is no JSON object: write a level by the policy's name.")
    return config


def reconciled(pack: str, info: Any, config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Level and properties by policy: the pack's defaults, then its initial configuration, then the user's."""
    settings: dict[str, tuple[str, dict[str, Any]]] = {}
    schemas = {row.name: json_format.MessageToDict(row.configSchema.properties) for row in info.policies}
    for row in info.policies:
        defaults = {name: each["default"] for name, each in schemas[row.name].items() if "default" in each}
        settings[row.name] = (LEVELS[row.enforcementLevel], defaults)
    initial = {
        name: (LEVELS[row.enforcementLevel], json_format.MessageToDict(row.properties))
        for name, row in info.initialConfig.items()
    }
    given = {name: _setting(pack, name, value) for name, value in config.items()}
    unknown = sorted(set(given) - set(settings) - {"all"})
    if unknown:
        raise PackError(
            f"The policy pack {pack!r} has no policy {unknown[0]!r} to configure; it has {', '.join(sorted(settings))}."
        )
    for layer in (initial, given):
        everywhere = layer.get("all", ("", {}))[0]
        for name, (level, properties) in settings.items():
            own_level, own = layer.get(name, ("", {}))
            settings[name] = (own_level or everywhere or level, properties | own)
    for row in info.policies:
        schema = {"type": "object", "properties": schemas[row.name], "required": list(row.configSchema.required)}
        _check(pack, row.name, settings[row.name][1], schema)
    return settings


def _setting(pack: str, name: str, value: Any) -> tuple[str, dict[str, Any]]:
    properties = dict(value) if isinstance(value, Mapping) else {}
    level = properties.pop("enforcementLevel", "") if isinstance(value, Mapping) else value
    if level not in LEVELS and not (level == "" and properties):
        raise PackError(
            f"The configuration of policy {name!r} of the pack {pack!r} has enforcement level {level!r}. "
            f"Allowed: {', '.join(LEVELS)}."
        )
    return level, properties


def _check(pack: str, policy: str, properties: dict[str, Any], schema: dict[str, Any]) -> None:
    try:
        jsonschema.validate(properties, schema)
    except jsonschema.ValidationError as error:
        raise PackError(
            f"The configuration of policy {policy!r} of the pack {pack!r} is wrong: {error.message}."
        ) from None
    except jsonschema.SchemaError as error:
        raise PackError(f"Policy {policy!r} of the pack {pack!r} has no valid schema: {error.message}.") from None
