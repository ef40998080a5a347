"""What a call needs by `operations.yaml`: which actions must be allowed on which resources, in which context."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jmespath  # type: ignore[import-untyped] # ships no types
import yaml

from localcloud import lookups
from localcloud.calls import Call
from localcloud.lookups import NotModelledError
from localcloud.moto_state import ACCOUNT


@dataclass(frozen=True)
class Need:
    """One action that must be allowed on one resource."""

    action: str
    resource: str
    context: Mapping[str, str | Sequence[str]]
    modelled: frozenset[str]


# --- the table ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Service:
    """A service's part of the table."""

    modelled: frozenset[str]
    context: Mapping[str, str]
    operations: Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Table:
    """`operations.yaml`; scopes: name in a credential's scope → botocore's name."""

    services: Mapping[str, Service]
    scopes: Mapping[str, str]


@cache
def table() -> Table:
    """The table; raises ValueError for a row that could never be decided."""
    text = (Path(__file__).parent / "operations.yaml").read_text(encoding="utf-8")
    given = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    every, services, scopes = frozenset(given["modelled"]), {}, dict(given["scopes"])
    for name, part in given["services"].items():
        operations = part["operations"]
        for operation, checks in operations.items():
            _check_rows(f"{name}.{operation}", checks)
        modelled = every | frozenset(key.lower() for key in part.get("modelled", ()))
        services[name] = Service(modelled, part.get("context", {}), operations)
        scopes[part.get("scope", name)] = name
    return Table(services, scopes)


_CHECK_FIELDS = {"action", "resource", "each", "if", "unless", "context", "via"}


def _check_rows(name: str, checks: Sequence[Mapping[str, Any]]) -> None:
    for check in checks:
        if not {"action", "resource"} <= set(check) <= _CHECK_FIELDS:
            raise ValueError(f"operations.yaml: {name} has a check without action or resource, or an unknown field.")
        for text in (check["resource"], *check.get("context", {}).values()):
            if text.startswith("@") and text[1:] not in lookups.FUNCTIONS:
                raise ValueError(f"operations.yaml: {name} names the unknown function {text}.")
        for expression in (check.get("each"), check.get("if"), check.get("unless")):
            if expression:
                _expression(expression)


@cache
def _expression(text: str) -> Any:
    return jmespath.compile(text)


# --- from the operation to its needs ------------------------------------------------------------------


def needs(call: Call) -> list[Need]:
    """What must be allowed for this call. Raises NotModelledError for what the table does not know."""
    service = table().services.get(call.service)
    name = f"{call.credential.service}:{call.operation or 'an unknown operation'}"
    if service is None or call.operation not in service.operations:
        raise NotModelledError(f"{name} is not modelled")
    if call.unclear:
        raise NotModelledError(f"{name} is not modelled in this form: {call.unclear}")
    checks = service.operations[call.operation]
    found: list[Need] = []
    applied = not checks
    for check in checks:
        if not _applies(check, call.parameters):
            continue
        for item in _items(check, call.parameters):
            applied = True
            found += _needs_of(call, service, check, item)
    if not applied:
        raise NotModelledError(f"{name} is not modelled with these parameters")
    return found


def _applies(check: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    wanted, unwanted = check.get("if"), check.get("unless")
    if wanted and not _expression(wanted).search(parameters):
        return False
    return not (unwanted and _expression(unwanted).search(parameters))


def _items(check: Mapping[str, Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
    if "each" not in check:
        return [None]
    return _expression(check["each"]).search(parameters) or []


def _needs_of(call: Call, service: Service, check: Mapping[str, Any], item: Any) -> Iterator[Need]:
    context: dict[str, str | Sequence[str]] = {}
    rows = {**service.context, **check.get("context", {})}
    modelled = service.modelled
    if action_service := table().services.get(check["action"].partition(":")[0]):
        modelled = modelled | action_service.modelled
    for name, text in rows.items():
        for key, value in _context_values(name, text, call, item):
            context[key] = value
            modelled = modelled | {key.lower()}
    if via := check.get("via"):
        context["kms:viaservice"] = f"{via}.{lookups.region(call)}.amazonaws.com"
        context["kms:calleraccount"] = ACCOUNT
        context["aws:viaawsservice"] = "true"
    for resource in _resources(check["resource"], call, item):
        yield Need(check["action"], resource, context, modelled)


def _resources(text: str, call: Call, item: Any) -> Sequence[str]:
    if text.startswith("@"):
        found = lookups.FUNCTIONS[text[1:]](call, item)
        return [found] if isinstance(found, str) else list(found)
    return [_filled(text, call, item)]


def _context_values(name: str, text: str, call: Call, item: Any) -> Iterator[tuple[str, str | Sequence[str]]]:
    if not text.startswith("@"):
        try:
            yield name, _filled(text, call, item)
        except NotModelledError:
            return
        return
    found = lookups.FUNCTIONS[text[1:]](call, item)
    if isinstance(found, Mapping):
        yield from ((f"{name}{ending}", value) for ending, value in found.items())
    elif found:
        yield name, found


_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def _filled(text: str, call: Call, item: Any) -> str:
    """The template with its placeholders filled in. Raises NotModelledError for one without a value."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        fixed = {"account": ACCOUNT, "region": call.region, "item": item}
        found = fixed[name] if name in fixed else _expression(name).search(call.parameters)
        if found is None or isinstance(found, list | dict) or found == "":
            raise NotModelledError(f"{call.service}:{call.operation} is not modelled without {name}")
        return ("true" if found else "false") if isinstance(found, bool) else str(found)

    return _PLACEHOLDER.sub(value, text)
