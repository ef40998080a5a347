"""Rows of a state as a program's registrations make them, secrets kept marked."""

from __future__ import annotations

from pathlib import Path

from localcloud.callbacks import BOUND
from localcloud.monitor import Registration
from localcloud.state import Resource
from localcloud.values import Properties, Secret, has_secret, reveal


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
        extra={BOUND: {when: list(names) for when, names in registration.hooks.items()}} if registration.hooks else {},
    )


def marked(values: Properties, like: Properties) -> Properties:
    """The plain values with those secret that are secret in `like`."""
    return {name: Secret(reveal(value)) if has_secret(like.get(name)) else value for name, value in values.items()}


def outputs_of(resource: Resource, outputs: Properties) -> Properties:
    """Plain outputs with those secret whose input is, or that `additional_secret_outputs` names."""
    secret = {name for name, value in resource.inputs.items() if has_secret(value)}
    secret |= set(resource.additional_secret_outputs)
    return {name: Secret(value) if name in secret else value for name, value in outputs.items()}
