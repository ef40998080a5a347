"""Wrong settings are refused in sentences that say what to do; the four environments' own are right."""

import copy
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.settings import BootstrapSettings, Settings, SettingsError, read

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("local", "dev", "staging", "prod")


def configuration(environment: str) -> dict[str, Any]:
    """What a stack's file says, without the namespace."""
    document = yaml.safe_load((ROOT / f"Pulumi.{environment}.yaml").read_text())
    return {key.removeprefix("groundwork:"): value for key, value in document["config"].items()}


def changed(path: str, value: Any, environment: str = "dev") -> dict[str, Any]:
    """A stack's configuration with one value set, or taken away if it is `...`."""
    found = copy.deepcopy(configuration(environment))
    *sections, key = path.split(".")
    place = found
    for section in sections:
        place = place[section]
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return found


def refusal(found: dict[str, Any], stack: str = "dev", hidden: tuple[str, ...] = ()) -> str:
    with pytest.raises(SettingsError) as refused:
        read(found, project="groundwork", stack=stack, hidden=hidden)
    return str(refused.value)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_settings_of_each_environment_are_right(environment: str) -> None:
    settings = read(configuration(environment), project="groundwork", stack=environment)
    assert settings.environment == environment
    assert settings.clouds == (("aws",) if environment == "local" else ("aws", "gcp", "azure"))
    assert isinstance(settings, Settings)
    assert settings.context.disposable == (environment == "local")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_environments_differ_in_values_alone(environment: str) -> None:
    only_some = {"disposable", "gcp", "azure"}
    assert configuration(environment).keys() - only_some == configuration("dev").keys() - only_some


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_the_settings_of_each_cloud_s_bootstrap_are_right(cloud: str) -> None:
    stack = f"bootstrap-{cloud}"
    settings = read(configuration(stack), project="groundwork", stack=stack)
    assert isinstance(settings, BootstrapSettings)
    assert settings.clouds == (cloud,)
    assert settings.repository.subject("pull_request") == "repo:example@1234567/groundwork@7654321:pull_request"


@pytest.mark.parametrize("found", [["gcp"], ["aws", "gcp"]])
def test_a_bootstrap_is_of_the_one_cloud_that_it_is_named_after(found: list[str]) -> None:
    settings = configuration("bootstrap-aws") | {"clouds": found, "gcp": configuration("dev")["gcp"]}
    assert "the one cloud that the stack is named after" in refusal(settings, "bootstrap-aws")


def test_values_arrive_as_text_too_as_the_engine_hands_them_over() -> None:
    found = configuration("local")
    as_text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}
    assert read(as_text, project="groundwork", stack="local") == read(found, project="groundwork", stack="local")


WRONG = [
    ("organisation", "Acme", "lower-case"),
    ("organisation", "a", "3 to 20"),
    ("organisation", "x" * 21, "3 to 20"),
    ("owner", "me@example.com", "at most 63"),
    ("owner", "", "at most 63"),
    ("costCenter", "R&D", "at most 63"),
    ("dataClass", "secret", "public or internal or confidential or restricted"),
    ("clouds", [], "a list"),
    ("clouds", ["ibm"], "aws, gcp, azure"),
    ("clouds", ["aws", "aws"], "a list"),
    ("clouds", "aws", "a list"),
    ("release", "latest", "never a tag"),
    ("release", "sha256:" + "0" * 63, "64 hexadecimal digits"),
    ("release", "sha256:" + "A" * 64, "64 hexadecimal digits"),
    ("domain", "localhost", "a domain name"),
    ("domain", "-a.example.com", "a domain name"),
    ("domain", "a." * 40 + "com", "at most 64"),
    ("domain", "a.example.com\nb", "a domain name"),
    ("port", 80, "1024 to 65535"),
    ("port", "http", "1024 to 65535"),
    ("port", 8080.5, "1024 to 65535"),
    ("port", True, "1024 to 65535"),
    ("port", "٨٠٨٠", "1024 to 65535"),
    ("addresses", "10.0.0.0/8", "from /16 to /20"),
    ("addresses", "10.10.0.1/16", "from /16 to /20"),
    ("addresses", "8.8.0.0/16", "a private network"),
    ("addresses", 10, "a private network"),
    ("callers.networks", ["0.0.0.0/0"], "the whole internet is none"),
    ("callers.networks", [], "a list"),
    ("callers.issuer", "http://login.example.com", "https URL"),
    ("callers.audience", "", "tokens"),
    ("callers.perMinute", 1, "at least 10"),
    ("replicated", "maybe", "true or false"),
    ("lakeDays", 0, "days from 1 to 365 that predictions are kept"),
    ("kubernetes", 1, "true or false"),
    ("trainer.accelerator", "gpu", "none or gpu-small or gpu-large"),
    ("trainer.maximum", 0, "from 1 to 100"),
    ("trainer.maximum", 101, "from 1 to 100"),
    ("trainer.onDemand", 101, "from 0 to 100"),
    ("trainer.idleMinutes", 1, "from 5 to 1440"),
    ("trainer.sshKey", "-----BEGIN OPENSSH PRIVATE KEY-----", "the public half"),
    ("trainer.sshFrom", ["0.0.0.0/0"], "never the whole internet"),
    ("retrain", "@daily", "as cron writes it"),
    ("retrain", "* * * * *", "as cron writes it"),
    ("alertsTo", "nobody", "e-mail"),
    ("runbook", "http://example.com", "https URL"),
    ("budget", 0, "US dollars"),
    ("gcp.project", "Example", "a project's id"),
    ("gcp.projectNumber", "x", "number"),
    ("gcp.region", "europe-west1-b", "a region"),
    ("gcp.zones", ["b"], "two to four"),
    ("gcp.billingAccount", "1", "billing account"),
    ("azure.subscription", "mine", "subscription's id"),
    ("azure.location", "West Europe", "a region"),
    ("azure.zones", ["a"], "1 to 3"),
    ("azure.certificate", "https://acme.vault.azure.net/secrets/predict", "the id of the Key Vault secret"),
    ("azure.certificate", "/subscriptions/x/secrets/predict", "the id of the Key Vault secret"),
    ("azure.budgetSince", "2026-13", "the month (YYYY-MM)"),
    ("azure.budgetSince", "2026-12-01", "the month (YYYY-MM)"),
    ("azure.certificates", {"dev": "predict"}, "for each environment"),
    ("disposable", "maybe", "true or false"),
    ("disposable", True, "only the stack local may lose its data"),
    ("scale", "many", "a mapping"),
    ("scale", ["3"], "a mapping"),
    ("scale.minimum", 0, "from 1 to 100"),
    ("scale.minimum", -1, "from 1 to 100"),
    ("scale.maximum", 1, "at least the minimum, 2"),
    ("scale.maximum", 1000, "from 1 to 100"),
    ("scale.cpuIn", 80, "under cpuOut, 75"),
    ("scale.cpuOut", 100, "from 1 to 99"),
    ("aws.region", "eu-west-1a", "a region"),
    ("aws.region", "cn-north-1", "a region of AWS's public partition"),
    ("aws.zones", ["a"], "two to four"),
    ("aws.zones", ["a", "a"], "two to four"),
    ("aws.zones", "ab", "two to four"),
    ("aws.hostedZone", "example.com", "Route 53"),
    ("aws.endpoint", "http://emulator.example.com:4566", "over https unless it is on this machine"),
    ("aws.endpoint", "https://user:password@example.com", "over https"),
    ("aws.endpoint", "https://localhost:99999", "over https"),
    ("aws.endpoint", "https://[::1", "over https"),
    ("aws.endpoint", "localhost:4566", "over https"),
]


@pytest.mark.parametrize(("path", "value", "allowed"), WRONG)
def test_a_wrong_setting_is_refused_by_its_key_with_what_is_allowed(path: str, value: Any, allowed: str) -> None:
    sentence = refusal(changed(path, value))
    assert f"groundwork:{path} is " in sentence
    assert json.dumps(value)[:60] in sentence
    assert "in stack dev" in sentence
    assert allowed in sentence
    assert "Run `pulumi config " in sentence


REQUIRED = [
    *("organisation", "owner", "costCenter", "dataClass", "clouds", "release", "domain", "port", "addresses"),
    *("scale.minimum", "scale.maximum", "aws.region", "aws.zones", "aws.hostedZone"),
    *("callers.issuer", "callers.audience", "trainer.maximum", "trainer.sshKey", "retrain", "alertsTo", "runbook"),
    *("budget", "gcp.project", "gcp.projectNumber", "gcp.region", "gcp.zones", "gcp.managedZone", "gcp.billingAccount"),
    *("azure.subscription", "azure.tenant", "azure.location", "azure.zones", "azure.dnsZone", "azure.dnsGroup"),
    *("azure.certificate", "azure.budgetSince"),
]


@pytest.mark.parametrize("path", REQUIRED)
def test_a_missing_setting_is_named_with_the_command_that_sets_it(path: str) -> None:
    sentence = refusal(changed(path, ...))
    assert f"groundwork:{path} is missing in stack dev" in sentence
    assert "Run `pulumi config set " in sentence


@pytest.mark.parametrize(("path", "value", "allowed"), [*WRONG, *((path, ..., "missing") for path in REQUIRED)])
def test_the_command_that_a_sentence_offers_mends_it(path: str, value: Any, allowed: str) -> None:
    found = changed(path, value)
    for command in re.findall(r"`pulumi config ([^`]+)`", refusal(found)):
        run(command, found)
    assert isinstance(read(found, project="groundwork", stack="dev"), Settings)


def run(command: str, found: dict[str, Any]) -> None:
    """What `pulumi config set|rm` does to a configuration, as far as our sentences use it."""
    verb, *words = shlex.split(command)
    assert words[-2:] == ["--stack", "dev"]
    nested = words[0] == "--path"
    key, *value = words[1:-2] if nested else words[:-2]
    assert key.startswith("groundwork:")
    steps = key.removeprefix("groundwork:").split(".") if nested else [key[11:]]
    place: Any = found
    for step in steps[:-1]:
        place = place.setdefault(step, {})
    if verb == "rm":
        del place[steps[-1]]
    else:
        place[steps[-1]] = value[0]


@pytest.mark.parametrize(
    ("path", "nearest"),
    [("organization", "organisation"), ("costcenter", "costCenter"), ("scale.minimun", "scale.minimum")],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(path: str, nearest: str) -> None:
    sentence = refusal(changed(path, "x"))
    assert f"groundwork:{path} is not a setting" in sentence
    assert f"did you mean groundwork:{nearest}?" in sentence
    assert "pulumi config rm" in sentence


def test_an_unknown_key_like_none_is_refused_with_all_names() -> None:
    assert "there are addresses, alertsTo, aws, azure, budget, callers, clouds" in refusal(changed("zzz", "x"))


def test_all_mistakes_are_told_at_once_one_a_line() -> None:
    found = changed("port", 80)
    found["prot"] = 8080
    found["scale"]["minimum"] = 0
    assert len(refusal(found).splitlines()) == 3


def test_prod_is_never_under_three() -> None:
    sentence = refusal(changed("scale.minimum", 2, "prod"), "prod")
    assert "groundwork:scale.minimum is 2 in stack prod; allowed is at least 3 in prod." in sentence


def test_only_an_emulator_needs_no_hosted_zone() -> None:
    assert "groundwork:aws.hostedZone is missing" in refusal(changed("aws.hostedZone", ...))
    read(configuration("local"), project="groundwork", stack="local")


def test_a_whole_account_needs_no_certificate_of_its_own_and_names_that_of_each_environment() -> None:
    settings = read(configuration("bootstrap-azure"), project="groundwork", stack="bootstrap-azure")
    assert settings.of.azure
    assert (settings.of.azure.certificate, settings.of.azure.budget_since) == (None, None)
    named = {name: configuration(name)["azure"]["certificate"] for name in ("dev", "staging", "prod")}
    assert settings.of.azure.certificates == named


def test_who_brings_up_the_account_on_gcp_is_told_which_right_on_the_bill_to_give_by_hand() -> None:
    text = (ROOT / "Pulumi.bootstrap-gcp.yaml").read_text()
    commands = " ".join(line.strip().removeprefix("#").strip() for line in text.splitlines() if "#" in line)
    for role, identity in (("costsManager", ".deployer.apply.dev"), ("viewer", ".deployer.plan")):
        assert re.search(
            rf"add-iam-policy-binding BILLING_ACCOUNT --role=roles/billing\.{role} [^#]*{identity}", commands
        )


def test_a_secret_is_never_shown_however_wrong() -> None:
    sentence = refusal(changed("port", "hunter2"), hidden=("port",))
    assert "groundwork:port is a secret" in sentence
    assert "hunter2" not in sentence
    assert "hunter2" not in refusal(changed("aws.region", "hunter2"), hidden=("aws",))
    assert "hunter2" not in refusal(changed("aws", "hunter2"), hidden=("aws",))


def test_a_huge_or_odd_value_is_shown_short_and_on_one_line() -> None:
    sentence = refusal(changed("owner", "\x1b[31m\n" + "x" * 10_000))
    assert len(sentence) < 500
    assert "\x1b" not in sentence
    assert len(sentence.splitlines()) == 1


@pytest.mark.parametrize("stack", ["Dev", "dev_eu", "", "x" * 21, "9dev"])
def test_a_stack_whose_name_is_no_environment_is_refused(stack: str) -> None:
    assert "pulumi stack rename" in refusal(configuration("dev"), stack)


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_what_the_section_of_a_cloud_says_matters_only_if_it_is_chosen(cloud: str) -> None:
    found = changed(cloud, "nonsense")
    assert f"groundwork:{cloud} is " in refusal(found)
    found["clouds"] = [other for other in ("aws", "gcp", "azure") if other != cloud]
    settings = read(found, project="groundwork", stack="dev")
    assert getattr(settings.of, cloud) is None


def test_an_unknown_key_cannot_smuggle_control_characters_into_the_message() -> None:
    sentence = refusal(changed("x\x1b[31m\ny", 1))
    assert "\x1b" not in sentence
    assert len(sentence.splitlines()) == 1
