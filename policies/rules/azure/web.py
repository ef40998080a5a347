"""App Service: web apps and functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies.graph import Graph, Resource
from policies.rule import Judge, Rule, Verdict, fail
from policies.rules.reading import both, every, given, made_up, must, must_not, read
from policies.rules.workloads import digest_verdict, image_verdict, secret_verdict

APP, SLOT = "azure-native:web:WebApp", "azure-native:web:WebAppSlot"
SETTINGS = "azure-native:web:WebAppApplicationSettings"


def _images(say: Callable[[Any, str, bool], Iterator[Verdict]]) -> Judge:
    def judge(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
        for path in ("siteConfig.linuxFxVersion", "siteConfig.windowsFxVersion"):
            stack = read(resource, path)
            if isinstance(stack, str) and stack.upper().startswith("DOCKER|"):
                yield from say(stack.partition("|")[2], path, made_up(resource, path))

    return judge


def _secrets(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    rows = [
        (f"{path}.value", row.get("name"), row.get("value"))
        for path, row in every(given(resource), "siteConfig.appSettings.*")
        if isinstance(row, Mapping)
    ]
    table = read(resource, "properties")
    if isinstance(table, Mapping):
        rows += [(f"properties.{name}", name, value) for name, value in table.items()]
    for path, name, value in rows:
        # A Pulumi secret may be here: App Service keeps its settings encrypted and shows them to few.
        if isinstance(value, str):
            yield from secret_verdict(name, value, path, made_up(resource, path))


def _identity(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if read(resource, "identity") is None:
        yield fail("It has no identity, and so needs passwords for whatever it uses.", "identity")


RULES = (
    Rule(
        "GW-AZ-090",
        "A web app must not switch off what protects its callers",
        "high",
        "Over plain HTTP, broken TLS or FTP passwords and data can be read; a debugger's port is a way in.",
        'Leave `https_only` on, `min_tls_version` at "1.2", `ftps_state` at "Disabled" and remote debugging off.',
        ("SC-8", "CM-7"),
        (APP, SLOT),
        both(
            must_not("httpsOnly", False, message="It serves plain HTTP."),
            must_not("siteConfig.minTlsVersion", "1.0", "1.1", message="It takes TLS {}."),
            must_not("siteConfig.ftpsState", "AllAllowed", message="It takes code over plain FTP."),
            must_not("siteConfig.remoteDebuggingEnabled", True, message="A debugger may attach from outside."),
        ),
    ),
    Rule(
        "GW-AZ-091",
        "A web app must serve HTTPS only",
        "medium",
        "Where nothing is said, plain HTTP is served, too.",
        "Set `https_only=True` on it.",
        ("SC-8",),
        (APP, SLOT),
        must("httpsOnly", True, False, message="It serves plain HTTP, too, which is the default."),
        "advisory",
    ),
    Rule(
        "GW-AZ-092",
        "A web app must run an image that stays the same",
        "high",
        "Behind a tag that moves, what was reviewed and what runs are two things.",
        "Name the image by digest: `DOCKER|IMAGE@sha256:…`.",
        ("CM-2", "SI-7", "SR-4"),
        (APP, SLOT),
        _images(image_verdict),
    ),
    Rule(
        "GW-AZ-093",
        "A web app's image must be named by digest",
        "low",
        "A version's tag can be pushed again.",
        "Name the image by digest: `DOCKER|IMAGE@sha256:…`.",
        ("CM-2", "SI-7"),
        (APP, SLOT),
        _images(digest_verdict),
        "advisory",
    ),
    Rule(
        "GW-AZ-094",
        "No password may be written out in a web app's settings",
        "high",
        "It is in the program's history, and whoever may configure the app reads it.",
        "Refer to Key Vault: `@Microsoft.KeyVault(SecretUri=…)`.",
        ("IA-5", "SC-28"),
        (APP, SLOT, SETTINGS),
        _secrets,
    ),
    Rule(
        "GW-AZ-095",
        "A web app must have an identity",
        "low",
        "Without one it keeps passwords for whatever it uses.",
        "Set `identity` on it.",
        ("IA-9", "IA-5"),
        (APP, SLOT),
        _identity,
        "advisory",
    ),
)
