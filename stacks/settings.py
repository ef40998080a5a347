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
from infra.azure.args import AzureArgs
from infra.context import Context
from infra.gcp.args import GcpArgs
from infra.github import Repository
from infra.shape import Accelerator, Callers, Fleet, Scale
from stacks import branches
from stacks.cloud_sections import BOOTSTRAP, SECTIONS
from stacks.section import Section, between, boolean, each, matching, network, one_of, private, shown

CLOUDS = tuple(SECTIONS)
DATA_CLASSES = ("public", "internal", "confidential", "restricted")
DISPOSABLE = "local"  # the one environment that may be disposable
PROD_MINIMUM = 3  # copies


class SettingsError(pulumi.RunError):
    """Settings that cannot be used; the message has a sentence for each."""


@dataclass(frozen=True)
class Clouds:
    """What each chosen cloud alone needs to know; None for those that are not chosen."""

    aws: AwsArgs | None = None
    gcp: GcpArgs | None = None
    azure: AzureArgs | None = None


@dataclass(frozen=True)
class BootstrapSettings:
    """A cloud's whole account: the repository that deploys to it, and to which environments from which branches."""

    environment: str
    context: Context
    clouds: tuple[str, ...]
    of: Clouds
    repository: Repository
    environments: Mapping[str, str]


@dataclass(frozen=True)
class Settings:
    """One environment. `addresses` is its private range; predictions are kept for `lake_days`; `retrain` is a cron
    schedule in UTC; alerts go to the e-mail address `alerts_to`; `budget` is in US dollars a month, for each cloud."""

    environment: str
    context: Context
    clouds: tuple[str, ...]
    of: Clouds
    release: str
    domain: str
    port: int
    addresses: str
    callers: Callers
    scale: Scale
    replicated: bool
    lake_days: int
    kubernetes: bool
    fleet: Fleet
    ssh_key: str
    ssh_from: tuple[str, ...]
    retrain: str
    alerts_to: str
    runbook: str
    budget: int

    @classmethod
    def load(cls) -> "Settings | BootstrapSettings":
        """The settings of the stack that runs. Raises SettingsError."""
        config = pulumi.Config()
        found = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
        start = f"{config.name}:"
        own = {key.removeprefix(start): value for key, value in found.items() if key.startswith(start)}
        hidden = {key for key in own if pulumi_config.is_config_secret(start + key)}
        hidden |= {key.removeprefix(start) for key in pulumi_config.get_config_secret_keys_env()}
        return read(own, project=config.name, stack=pulumi.get_stack(), hidden=hidden)


def read(
    found: Mapping[str, Any], *, project: str, stack: str, hidden: Collection[str] = ()
) -> Settings | BootstrapSettings:
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
    settings = _bootstrap(top, project) if stack.startswith(BOOTSTRAP) else _environment(top, project)
    top.taken.update(CLOUDS)  # what the section of a cloud says does not matter while it is not chosen
    top.close()
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _context(top: Section, project: str) -> Context:
    label = "at most 63 lower-case letters, digits, hyphens and underscores (legal as a tag on every cloud)"
    disposable = top.take("disposable", boolean, "true or false", False, default=False)
    if disposable and top.stack != DISPOSABLE:
        top.refuse("disposable", f"false, as only the stack {DISPOSABLE} may lose its data", False)
    return Context(
        project=project,
        environment=top.stack,
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


def _clouds(top: Section) -> tuple[tuple[str, ...], Clouds]:
    chosen = top.take("clouds", each(one_of(CLOUDS)), f"a list of some of {', '.join(CLOUDS)}", list(CLOUDS))
    return chosen, Clouds(**{cloud: SECTIONS[cloud](top.section(cloud)) for cloud in chosen})


def _bootstrap(top: Section, project: str) -> BootstrapSettings:
    context = _context(top, project)
    clouds, of = _clouds(top)
    if len(clouds) != 1 or top.stack != BOOTSTRAP + clouds[0]:
        top.refuse("clouds", "the one cloud that the stack is named after", [top.stack.removeprefix(BOOTSTRAP)])
    github = top.section("github")
    try:
        deployed = branches.read()
    except branches.BranchesError as error:
        top.problems.append(str(error))
        deployed = branches.Branches("main", {})
    name, number = matching(r"[A-Za-z0-9_.-]{1,100}"), between(1, 999_999_999)
    repository = Repository(
        owner=github.take("owner", name, "the repository's owner, as GitHub spells it", "acme"),
        owner_id=github.take("ownerId", number, "GitHub's number for the owner", 1234567),
        name=github.take("repository", name, "the repository's name without its owner", "groundwork"),
        id=github.take("repositoryId", number, "GitHub's number for the repository", 7654321),
        immutable_subjects=github.take(
            "immutableSubjects", boolean, "true (repositories made after 2026-07-15) or false", True
        ),
        default=deployed.default,
    )
    github.close()
    return BootstrapSettings(top.stack, context, clouds, of, repository, deployed.of)


def _environment(top: Section, project: str) -> Settings:
    context = _context(top, project)
    clouds, of = _clouds(top)
    addresses = top.take("addresses", private(16, 20), "a private network from /16 to /20", "10.10.0.0/16")
    fleet, ssh_key, ssh_from = _trainer(top.section("trainer"))
    mail = r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{3,200}"
    return Settings(
        environment=top.stack,
        context=context,
        clouds=clouds,
        of=of,
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
        callers=_callers(top.section("callers"), addresses),
        scale=_scale(top.section("scale"), top.stack),
        replicated=top.take("replicated", boolean, "true or false", True, default=False),
        lake_days=top.take("lakeDays", between(1, 365), "days from 1 to 365 that predictions are kept", 90, default=90),
        kubernetes=top.take("kubernetes", boolean, "true or false", True, default=False),
        fleet=fleet,
        ssh_key=ssh_key,
        ssh_from=ssh_from,
        retrain=top.take(
            "retrain",
            matching(r"[0-9]{1,2} [0-9]{1,2} (\*|[0-9]{1,2}) (\*|[0-9]{1,2}) (\*|[0-6])"),
            "a time in UTC as cron writes it: minute, hour, day, month, weekday",
            "30 2 * * 0",
        ),
        alerts_to=top.take("alertsTo", matching(mail), "an e-mail address", "ml-platform@example.com"),
        runbook=top.take("runbook", matching(r"https://[^\s]{4,200}"), "an https URL", "https://example.com/runbook"),
        budget=top.take("budget", between(1, 1_000_000), "whole US dollars a month, for each cloud", 500),
    )


def _callers(section: Section, addresses: str) -> Callers:
    callers = Callers(
        networks=section.take(
            "networks",
            each(private(8, 32)),
            "a list of private networks (the whole internet is none)",
            ["10.0.0.0/8"],
            default=(addresses,),
        ),
        issuer=section.take(
            "issuer",
            matching(r"https://[^\s]{4,200}"),
            "the https URL of an OpenID Connect issuer",
            "https://login.example.com",
        ),
        audience=section.take(
            "audience", matching(r"[A-Za-z0-9._:/-]{1,200}"), "what tokens are made out to", "predict"
        ),
        per_minute=section.take("perMinute", between(10, 1_000_000), "calls a minute, at least 10", 600, default=600),
    )
    section.close()
    return callers


def _trainer(section: Section) -> tuple[Fleet, str, tuple[str, ...]]:
    kinds: tuple[Accelerator, ...] = ("none", "gpu-small", "gpu-large")
    fleet = Fleet(
        accelerator=section.take("accelerator", one_of(kinds), " or ".join(kinds), "none", default="none"),
        maximum=section.take("maximum", between(1, 100), "a whole number of machines from 1 to 100", 2),
        on_demand=section.take("onDemand", between(0, 100), "a whole number of machines from 0 to 100", 0, default=0),
        idle_minutes=section.take("idleMinutes", between(5, 1440), "minutes from 5 to 1440", 30, default=30),
    )
    key = section.take(
        "sshKey",
        matching(r"(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]{60,1000}( [\x21-\x7e]{1,100})?"),
        "the public half of an SSH key, on one line",
        "ssh-ed25519 " + "A" * 68 + " you@example.com",
    )
    known = section.take(
        "sshFrom",
        lambda value: each(network)(value) if value else (),
        "a list of networks, and never the whole internet",
        ["10.0.0.0/8"],
        default=(),
    )
    if section.close() and fleet.on_demand > fleet.maximum:
        section.refuse("maximum", f"at least onDemand, {fleet.on_demand}", fleet.on_demand)
    return fleet, key, known


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
