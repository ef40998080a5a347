"""The settings of a stack: read once, here and nowhere else, into frozen types.

What is missing, wrong or unknown is collected, and the program stops with a sentence for each: the key, what
was found, what is allowed, and the command that mends it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi.runtime.config as pulumi_config

from infra.aws.args import AwsArgs
from infra.context import Context
from infra.shape import Scale
from stacks.section import Section, between, boolean, each, endpoint, matching, one_of, private, shown, zones

CLOUDS = ("aws",)
DATA_CLASSES = ("public", "internal", "confidential", "restricted")
DISPOSABLE = "local"  # the one environment that may be disposable
PROD_MINIMUM = 3  # copies


class SettingsError(pulumi.RunError):
    """Settings that cannot be used; the message has a sentence for each."""


@dataclass(frozen=True)
class Settings:
    """One environment: `addresses` is its private range, `callers` the networks that may call its service."""

    environment: str
    context: Context
    clouds: tuple[str, ...]
    release: str
    domain: str
    port: int
    addresses: str
    callers: tuple[str, ...]
    scale: Scale
    aws: AwsArgs | None

    @classmethod
    def load(cls) -> "Settings":
        """The settings of the stack that runs. Raises SettingsError."""
        config = pulumi.Config()
        found = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
        start = f"{config.name}:"
        own = {key.removeprefix(start): value for key, value in found.items() if key.startswith(start)}
        hidden = {key for key in own if pulumi_config.is_config_secret(start + key)}
        hidden |= {key.removeprefix(start) for key in pulumi_config.get_config_secret_keys_env()}
        return read(own, project=config.name, stack=pulumi.get_stack(), hidden=hidden)


def read(found: Mapping[str, Any], *, project: str, stack: str, hidden: Collection[str] = ()) -> Settings:
    """The settings in a stack's configuration: key without namespace → text or JSON value.

    Values of the keys in `hidden` are secret and never shown. Raises SettingsError.
    """
    problems: list[str] = []
    top = Section(found, f"{project}:", stack, problems, hidden)
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", stack):
        problems.append(
            f"The stack is named {shown(stack)}, but a stack here is an environment: at most 20 lower-case letters, "
            "digits and hyphens, a letter first. Run `pulumi stack rename dev`."
        )
    label = "at most 63 lower-case letters, digits, hyphens and underscores (legal as a tag on every cloud)"
    clouds = top.take("clouds", each(one_of(CLOUDS)), f"a list of some of {', '.join(CLOUDS)}", ["aws"])
    disposable = top.take("disposable", boolean, "true or false", False, default=False)
    if disposable and stack != DISPOSABLE:
        top.refuse("disposable", f"false, as only the stack {DISPOSABLE} may lose its data", False)
    context = Context(
        project=project,
        environment=stack,
        organisation=top.take(
            "organisation",
            matching(r"[a-z][a-z0-9-]{1,18}[a-z0-9]"),
            "3 to 20 lower-case letters, digits and hyphens, unique among the customers of a cloud",
            "acme-ml",
        ),
        owner=top.take("owner", matching(r"[a-z0-9][a-z0-9_-]{0,62}"), label, "ml-platform"),
        cost_center=top.take("costCenter", matching(r"[a-z0-9][a-z0-9_-]{0,62}"), label, "research"),
        data_class=top.take("dataClass", one_of(DATA_CLASSES), " or ".join(DATA_CLASSES), "internal"),
        disposable=disposable,
    )
    addresses = top.take("addresses", private(16, 20), "a private network from /16 to /20", "10.10.0.0/16")
    settings = Settings(
        environment=stack,
        context=context,
        clouds=clouds,
        release=top.take(
            "release",
            matching(r"sha256:[0-9a-f]{64}"),
            "the digest of an image: sha256: and 64 hexadecimal digits, never a tag",
            "sha256:" + "0" * 64,
        ),
        domain=top.take(
            "domain",
            matching(r"(?=.{4,64}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}"),
            "a domain name in lower case of at most 64 characters",
            "predict.dev.example.com",
        ),
        port=top.take("port", between(1024, 65535), "a whole number from 1024 to 65535", 8080),
        addresses=addresses,
        callers=top.take(
            "callers",
            each(private(8, 32)),
            "a list of private networks (the whole internet is none)",
            ["10.0.0.0/8"],
            default=(addresses,),
        ),
        scale=_scale(top.section("scale"), stack),
        aws=_aws(top.section("aws")) if "aws" in clouds else None,
    )
    top.taken.update(CLOUDS)  # what the section of a cloud says does not matter while it is not chosen
    top.close()
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _scale(section: Section, stack: str) -> Scale:
    copies = "a whole number of copies from 1 to 100"
    percent = "a whole percentage from 1 to 99"
    scale = Scale(
        minimum=section.take("minimum", between(1, 100), copies, 3),
        maximum=section.take("maximum", between(1, 100), copies, 10),
        cpu_out=section.take("cpuOut", between(1, 99), percent, 75, default=75),
        cpu_in=section.take("cpuIn", between(1, 99), percent, 25, default=25),
    )
    if section.close():
        if scale.maximum < scale.minimum:
            section.refuse("maximum", f"at least the minimum, {scale.minimum}", scale.minimum)
        if scale.cpu_in >= scale.cpu_out:
            section.refuse("cpuIn", f"under cpuOut, {scale.cpu_out}", min(25, scale.cpu_out - 1))
        if stack == "prod" and scale.minimum < PROD_MINIMUM:
            section.refuse("minimum", f"at least {PROD_MINIMUM} in prod", PROD_MINIMUM)
    return scale


def _aws(section: Section) -> AwsArgs:
    args = AwsArgs(
        region=section.take(
            "region", matching(r"(?!cn-)[a-z]{2}-[a-z]+-\d"), "a region of AWS's public partition", "eu-west-1"
        ),
        zones=section.take("zones", zones, "a list of two to four letters of the region's zones", ["a", "b"]),
        hosted_zone=section.take(
            "hostedZone",
            matching(r"Z[A-Z0-9]{5,31}"),
            "the id of the Route 53 zone that holds the domain",
            "Z0123456789ABCDEFGHIJ",
            default=None,
        ),
        endpoint=section.take(
            "endpoint",
            endpoint,
            "the address of an AWS-compatible emulator, over https unless it is on this machine",
            "https://localhost:4566",
            default=None,
        ),
    )
    if section.close() and not (args.endpoint or args.hosted_zone):
        needed = "the id of the Route 53 zone that holds the domain; only an emulator (endpoint) needs none"
        section.refuse("hostedZone", needed, "Z0123456789ABCDEFGHIJ")
    return args
