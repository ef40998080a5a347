"""Outputs that are a computation on the inputs, not a matter of a cloud's choice."""

from __future__ import annotations

import base64
import json
from typing import Any

from localcloud import forms
from localcloud.values import Properties, reveal

# Ports of the engines of Amazon RDS, by the start of the engine's name; all others are PostgreSQL's.
PORTS = {"mysql": 3306, "mariadb": 3306, "aurora-mysql": 3306, "sqlserver": 1433, "oracle": 1521}

# Deployments of an Azure template: where its text or object is, and the output that answers its `outputs`.
TEMPLATES = {
    ("azure", "ResourceGroupTemplateDeployment"): ("templateContent", "outputContent"),
    ("azure", "SubscriptionTemplateDeployment"): ("templateContent", "outputContent"),
    ("azure-native", "Deployment"): ("properties", "properties.outputs"),
}


def outputs(token: str, seed: str, inputs: Properties) -> dict[str, Any]:
    """What can be computed of a resource's outputs, by output name; `id` may be among them."""
    package, module, kind = token.split(":")
    if (package, module) == ("aws", "acm/certificate"):
        return {"domainValidationOptions": _domain_validation(seed, inputs)}
    if (package, module) == ("aws", "rds/instance"):
        engine = inputs.get("engine")
        return {
            "port": next((PORTS[name] for name in PORTS if isinstance(engine, str) and engine.startswith(name)), 5432)
        }
    if (package, kind) in TEMPLATES:
        return _template_outputs(seed, inputs, *TEMPLATES[package, kind])
    makers = {
        "RandomPassword": _letters,
        "RandomString": _letters,
        "RandomId": _bytes,
        "RandomBytes": _bytes,
        "RandomInteger": _integer,
        "RandomShuffle": _shuffle,
    }
    return makers[kind](seed, inputs) if package == "random" and kind in makers else {}


def _domain_validation(seed: str, inputs: Properties) -> list[Properties]:
    """A DNS record for each domain of an ACM certificate, as many and in that order."""
    names = [inputs.get("domainName"), *(inputs.get("subjectAlternativeNames") or [])]
    return [
        {
            "domainName": name,
            "resourceRecordName": f"_{forms.text(seed + name, 'hex:32')}.{name.removeprefix('*.')}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_{forms.text(seed + name, 'hex:30')}.acm-validations.aws.",
        }
        for name in dict.fromkeys(name for name in names if isinstance(name, str))
    ]


def _template_outputs(seed: str, inputs: Properties, place: str, output: str) -> dict[str, Any]:
    """The outputs that an Azure template declares, of the types that it says, each in Azure's own form."""
    template = inputs.get(place)
    template = template.get("template") if isinstance(template, dict) and place == "properties" else template
    try:
        template = json.loads(template) if isinstance(template, str) else template
    except ValueError:
        return {}
    declared = template.get("outputs") if isinstance(template, dict) else None
    if not isinstance(declared, dict):
        return {}
    made = {"int": 1, "bool": False, "array": [], "object": {}}
    answers = {}
    for name, row in declared.items():
        kind = str(row.get("type", "string")) if isinstance(row, dict) else "string"
        text = f"{forms.slug(name)}-{forms.text(seed + name, 'hex:8')}"
        answers[name] = {"type": kind, "value": made.get(kind.lower(), text)}
    return {output: json.dumps(answers) if place == "templateContent" else answers}


def _letters(seed: str, inputs: Properties) -> dict[str, Any]:
    letters = forms.text(seed, f"alnum:{_whole(inputs.get('length'), 16)}") or ""
    if inputs.get("lower") is False:
        letters = letters.upper()
    return {"result": letters, "id": "none"}


def _bytes(seed: str, inputs: Properties) -> dict[str, Any]:
    raw = forms.digest(seed, "bytes", _whole(inputs.get("byteLength", inputs.get("length")), 8))
    prefix = inputs.get("prefix") if isinstance(inputs.get("prefix"), str) else ""
    url = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return {
        "hex": f"{prefix}{raw.hex()}",
        "dec": f"{prefix}{int.from_bytes(raw, 'big')}",
        "b64Std": f"{prefix}{base64.b64encode(raw).decode()}",
        "b64Url": f"{prefix}{url}",
        "base64": base64.b64encode(raw).decode(),
        "id": url,
    }


def _integer(seed: str, inputs: Properties) -> dict[str, Any]:
    low = _whole(inputs.get("min"), 0)
    high = max(low, _whole(inputs.get("max"), low))
    result = low + int.from_bytes(forms.digest(seed, "integer", 4), "big") % (high - low + 1)
    return {"result": result, "id": str(result)}


def _shuffle(seed: str, inputs: Properties) -> dict[str, Any]:
    given = inputs.get("inputs")
    items = given if isinstance(given, list) else []
    shuffled = sorted(items, key=lambda item: forms.digest(seed, str(reveal(item)), 8))
    return {"results": shuffled[: _whole(inputs.get("resultCount"), len(shuffled))], "id": "-"}


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
