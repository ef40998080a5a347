"""Rows of a state as a program's registrations make them, secrets kept marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from localcloud.callbacks import BOUND
from localcloud.diff import same
from localcloud.monitor import Registration
from localcloud.state import Resource
from localcloud.values import Properties, Secret, has_secret, has_unknown, plain, reveal

TRIGGER = "replacementTrigger"  # where Pulumi's state keeps the value of that option


def declared(registration: Registration, inputs: Properties, provider: str, root: Path) -> Resource:
    """The row of a registration with its checked inputs; without id and outputs. root: the project's directory."""
    file = Path(registration.source_file)
    inside = registration.source_file and file.is_relative_to(root)
    options = registration.options
    return Resource(
        urn=registration.urn,
        type=registration.type,
        custom=registration.custom,
        inputs=marked(inputs, registration.inputs),
        parent=registration.parent,
        provider=provider,
        dependencies=registration.dependencies,
        property_dependencies=registration.property_dependencies,
        protect=options.get("protect", False),
        retain_on_delete=options.get("retainOnDelete", False),
        additional_secret_outputs=tuple(options.get("additionalSecretOutputs", ())),
        custom_timeouts=options.get("customTimeouts", {}),
        import_id=options.get("importID", ""),
        deleted_with=options.get("deletedWith", ""),
        source_position=f"project:///{file.relative_to(root)}#{registration.source_line}" if inside else "",
        replace_with=tuple(options.get("replaceWith", ())),
        extra=_extra(registration),
    )


def _extra(registration: Registration) -> dict[str, Any]:
    """What the state holds besides, by its names."""
    extra: dict[str, Any] = {}
    if registration.hooks:
        extra[BOUND] = {when: list(names) for when, names in registration.hooks.items()}
    if registration.trigger is not None:
        extra[TRIGGER] = registration.trigger
    return extra


def triggered(old: Resource, trigger: Any) -> bool:
    """Whether the value of `replacement_trigger` changed: an unknown one did, and one that came or went did not."""
    before, after = reveal(old.extra.get(TRIGGER)), reveal(trigger)
    if has_unknown(before) or has_unknown(after):
        return True
    return before is not None and after is not None and not same(before, after)


def marked(values: Properties, like: Properties) -> Properties:
    """The plain values with those secret that are secret in `like`."""
    return {name: Secret(reveal(value)) if has_secret(like.get(name)) else value for name, value in values.items()}


def drifted(old: Resource, inputs: Properties, outputs: Properties) -> tuple[Resource, tuple[str, ...]]:
    """The row as the cloud has it now, itself if nothing differs, and the names of the inputs that do."""
    before = plain(old.inputs)
    changed = tuple(name for name in sorted(inputs.keys() | before.keys()) if inputs.get(name) != before.get(name))
    if not changed and outputs == plain(old.outputs):
        return old, ()
    return replace(old, inputs=marked(inputs, old.inputs), outputs=marked(outputs, old.outputs)), changed


def outputs_of(resource: Resource, outputs: Properties) -> Properties:
    """Plain outputs with those secret whose input is, or that `additional_secret_outputs` names."""
    secret = {name for name, value in resource.inputs.items() if has_secret(value)}
    secret |= set(resource.additional_secret_outputs)
    return {name: Secret(value) if name in secret else value for name, value in outputs.items()}
