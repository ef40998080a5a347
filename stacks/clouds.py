"""Which clouds there are. Only those that are chosen are imported, as their SDKs are large."""

from collections.abc import Iterator

from infra.context import Context
from infra.parts import Cloud
from stacks.settings import BootstrapSettings, Clouds, Settings


def chosen(settings: Settings | BootstrapSettings) -> Iterator[Cloud]:
    """The clouds that the settings choose, in their order."""
    for name in settings.clouds:
        yield OFFERED[name](settings.context, settings.of)


def _aws(context: Context, of: Clouds) -> Cloud:
    from infra.aws.cloud import Aws  # noqa: PLC0415 - importing its SDK takes a second: only if chosen

    assert of.aws  # noqa: S101 - the settings refuse a chosen cloud without its section
    return Aws(context, of.aws)


def _gcp(context: Context, of: Clouds) -> Cloud:
    from infra.gcp.cloud import Gcp  # noqa: PLC0415 - as above

    assert of.gcp  # noqa: S101 - as above
    return Gcp(context, of.gcp)


def _azure(context: Context, of: Clouds) -> Cloud:
    from infra.azure.cloud import Azure  # noqa: PLC0415 - as above

    assert of.azure  # noqa: S101 - as above
    return Azure(context, of.azure)


OFFERED = {"aws": _aws, "gcp": _gcp, "azure": _azure}
