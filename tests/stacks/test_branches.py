"""Which branch deploys which environment: read from the one map, and refused where it does not say it plainly."""

from pathlib import Path

import pytest
import yaml

from rollout import branches as rollout_branches
from stacks import branches
from stacks.branches import BranchesError
from stacks.settings import BootstrapSettings, SettingsError, read
from tests.stacks.test_settings import ROOT, configuration

GOOD = {
    "default": "main",
    "branches": {
        "dev": {"environment": "dev", "stack": "dev", "reviewers": []},
        "main": {"environment": "prod", "stack": "prod", "reviewers": ["acme/ml"]},
    },
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for environment in ("dev", "prod", "local", "bootstrap-aws"):
        (tmp_path / f"Pulumi.{environment}.yaml").touch()
    (tmp_path / ".github").mkdir()
    return tmp_path


def reading(place: Path, text: str) -> branches.Branches:
    (place / ".github/branches.yaml").write_text(text)
    return branches.read(place / ".github/branches.yaml", place)


def test_the_map_of_this_repository_is_what_the_account_s_settings_have() -> None:
    settings = read(configuration("bootstrap-aws"), project="groundwork", stack="bootstrap-aws")
    assert isinstance(settings, BootstrapSettings)
    assert settings.environments == {"dev": "dev", "staging": "staging", "prod": "main"}
    assert settings.repository.default == "main"


def test_each_environment_has_its_branch(place: Path) -> None:
    found = reading(place, yaml.safe_dump(GOOD))
    assert (found.default, found.of) == ("main", {"dev": "dev", "prod": "main"})


WRONG = {
    "nothing": ("", "has no `default` or no `branches`"),
    "a list": ("[dev, main]", "has no `default` or no `branches`"),
    "no default": ("branches: {main: {environment: prod, stack: prod}}", "has no `default` or no `branches`"),
    "no branches": ("default: main\nbranches: {}", "has no `default` or no `branches`"),
    "a default that deploys nothing": (
        "default: trunk\nbranches: {main: {environment: prod, stack: prod}}",
        "no row for it",
    ),
    "no YAML": ("default: [main", "cannot be read"),
    "an object": ("default: !!python/object/apply:os.getcwd []", "cannot be read"),
    "no environment": ("default: main\nbranches: {main: {stack: prod}}", "has no environment for the branch main"),
    "a row that is a word": ("default: main\nbranches: {main: prod}", "has no environment for the branch main"),
    "an environment in capitals": (
        "default: main\nbranches: {main: {environment: PROD, stack: PROD}}",
        "has no environment for the branch main",
    ),
    "an unknown environment": (
        "default: main\nbranches: {main: {environment: live, stack: live}}",
        "deploys live from main, which is no environment to deploy",
    ),
    "the laptop's": (
        "default: main\nbranches: {main: {environment: local, stack: local}}",
        "deploys local from main, which is no environment to deploy",
    ),
    "an account": (
        "default: main\nbranches: {main: {environment: bootstrap-aws, stack: bootstrap-aws}}",
        "deploys bootstrap-aws from main, which is no environment to deploy",
    ),
    "another stack": (
        "default: main\nbranches: {main: {environment: prod, stack: dev}}",
        "has another stack than prod for the branch main",
    ),
    "an environment twice": (
        "default: dev\nbranches: {dev: {environment: dev, stack: dev}, d2: {environment: dev, stack: dev}}",
        "deploys dev from dev and from d2",
    ),
    "a branch twice": (
        "default: main\nbranches:\n  main: {environment: dev, stack: dev}\n  main: {environment: prod, stack: prod}",
        "says 'main' twice",
    ),
    "an environment twice in a row": (
        "default: main\nbranches: {main: {environment: dev, environment: prod, stack: prod}}",
        "says 'environment' twice",
    ),
    "a pattern": ("default: main\nbranches: {'*': {environment: prod, stack: prod}}", "names the branch '*'"),
    "a way out": ("default: main\nbranches: {a/../b: {environment: prod, stack: prod}}", "names the branch 'a/../b'"),
    "a quote": ("default: main\nbranches: {'a\"b': {environment: prod, stack: prod}}", "names the branch"),
    "a number": ("default: main\nbranches: {7: {environment: prod, stack: prod}}", "names the branch 7"),
    "a line break": ('default: "main\\n"\nbranches: {main: {environment: prod, stack: prod}}', "names the branch"),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_map_that_does_not_say_it_plainly_is_refused(place: Path, text: str) -> None:
    written, sentence = WRONG[text]
    with pytest.raises(BranchesError) as refused:
        reading(place, written)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith(".github/branches.yaml ")
    assert "\n" not in str(refused.value)


def test_a_map_that_is_missing_is_told_with_the_settings(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    with pytest.raises(BranchesError, match="cannot be read"):
        branches.read(place / ".github/branches.yaml", place)
    missing = branches.BranchesError(".github/branches.yaml cannot be read.")
    monkeypatch.setattr(branches, "read", lambda: (_ for _ in ()).throw(missing))
    with pytest.raises(SettingsError, match=r"branches\.yaml cannot be read"):
        read(configuration("bootstrap-gcp"), project="groundwork", stack="bootstrap-gcp")


def test_the_settings_of_an_account_have_no_branch_of_their_own() -> None:
    found = configuration("bootstrap-aws")
    found["github"] = {**found["github"], "branch": "main"}
    with pytest.raises(SettingsError, match="branch is not a setting"):
        read(found, project="groundwork", stack="bootstrap-aws")


def test_every_environment_with_settings_is_on_the_map() -> None:
    settings = {path.suffixes[-2].removeprefix(".") for path in ROOT.glob("Pulumi.*.yaml")}
    deployed = {stack for stack in settings if stack != "local" and not stack.startswith("bootstrap-")}
    assert set(branches.read().of) == deployed


def test_who_trusts_and_who_deploys_read_the_same_map() -> None:
    found = rollout_branches.read()
    assert branches.read() == branches.Branches(found.default, {row.environment: row.branch for row in found.rows})
