"""Which clouds there are. Only those that are chosen are imported, as their SDKs are large."""

from collections.abc import Iterator

from infra.shape import Cloud
from stacks.settings import Settings


def chosen(settings: Settings) -> Iterator[Cloud]:
    """The clouds that the settings choose, in their order."""
    for name in settings.clouds:
        yield OFFERED[name](settings)


def _aws(settings: Settings) -> Cloud:
    from infra.aws.cloud import Aws  # noqa: PLC0415 - importing its SDK takes a second: only if chosen

    assert settings.aws  # noqa: S101 - the settings refuse a chosen cloud without its section
    return Aws(settings.context, settings.aws)


OFFERED = {"aws": _aws}
