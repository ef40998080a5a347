"""What is to become of a resource: its inputs completed, what changes, whether it has to be replaced and may be."""

from __future__ import annotations

from collections.abc import Collection

from localcloud.diff import ignoring, replacing
from localcloud.errors import LocalcloudError
from localcloud.monitor import Inspect, Registration
from localcloud.providers import Change, Provider
from localcloud.rows import marked, triggered
from localcloud.state import Resource
from localcloud.values import Properties, plain


def completed(
    provider: Provider, registration: Registration, old: Resource | None, inspect: Inspect | None
) -> Properties:
    """The inputs to use: as the provider completes them, without changes to ignore, as policies mended them."""
    before = plain(old.inputs) if old else None
    checked = provider.check(registration.type, registration.urn, plain(registration.inputs), before)
    if before is not None:
        checked = ignoring(checked, before, registration.options.get("ignoreChanges", ()))
    if inspect is None:
        return checked
    wanted: Properties = plain(inspect(registration, marked(checked, registration.inputs)))
    return checked if wanted == checked else provider.check(registration.type, registration.urn, wanted, before)


def verdict(
    provider: Provider,
    registration: Registration,
    old: Resource,
    checked: Properties,
    *,
    asked_for: bool,
    replaced: Collection[str],
) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The properties that change, those (or what else) that ask for a replacement, whether that deletes first.

    asked_for: by --replace; replaced: URNs of what this run replaces, which takes along what says so.
    """
    before, options = plain(old.inputs), registration.options
    change = provider.diff(registration.type, before, checked)
    by_option = replacing(before, checked, change.changed, options.get("replaceOnChanges", ()))
    replaces = tuple(dict.fromkeys((*change.replaces, *by_option)))
    if not replaces:
        replaces = _with_others(registration, old, replaced)
    if asked_for or options.get("importID", "") not in ("", old.id, old.import_id):
        replaces = replaces or ("id",)
    return change.changed, replaces, bool(options.get("deleteBeforeReplace", change.delete_before_replace))


def _with_others(registration: Registration, old: Resource, replaced: Collection[str]) -> tuple[str, ...]:
    """The option that asks for a replacement although no property does, or nothing."""
    options = registration.options
    if triggered(old, registration.trigger):
        return ("replacementTrigger",)
    if any(urn in replaced for urn in options.get("replaceWith", ())):
        return ("replaceWith",)
    return ("deletedWith",) if options.get("deletedWith") in replaced else ()


def refuse_replacement(registration: Registration, old: Resource, new: Resource, why: tuple[str, ...]) -> None:
    """Raises LocalcloudError for a replacement that an option forbids. Protection may be taken away with the change."""
    if old.protect and new.protect:
        raise LocalcloudError(
            f"{registration.where} is protected and must be replaced, as {', '.join(why)} changed. "
            "Take the change back, or set protect=False."
        )
    if new.import_id and new.import_id in (old.id, old.import_id):
        raise LocalcloudError(
            f"{registration.where} was imported and must be replaced, as {', '.join(why)} changed. "
            "Take `import_` out of its options first."
        )


def adopt(provider: Provider, resource: Resource, id_: str, where: str) -> Change:
    """Brings a resource that exists already to the declared inputs; what had to change.

    :raises LocalcloudError: it does not exist, or differs in what cannot be changed in place
    """
    live = provider.read(resource.type, id_, plain(resource.inputs))
    if live is None:
        raise LocalcloudError(f"{where} cannot be imported: {id_!r} does not exist.")
    change = provider.diff(resource.type, live[0], plain(resource.inputs))
    if change.replaces:
        raise LocalcloudError(
            f"{where} exists as {id_!r} with other {', '.join(change.replaces)}, "
            "which cannot be changed in place. Delete it, or declare it as it is."
        )
    if change.changed:
        provider.update(resource.type, id_, live[0], plain(resource.inputs))
    return change
