"""What a program may not ask for, against the table in README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pulumi
import pytest
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from localcloud import refusals
from localcloud.errors import UnsupportedError
from localcloud.monitor import Monitor
from tests.localcloud.clouds import World
from tests.localcloud.planning import planned

README = Path(refusals.__file__).with_name("README.md")


class Group(pulumi.ComponentResource):
    """A component that a plugin would make."""

    def __init__(self, name: str) -> None:
        super().__init__("refused:index:Group", name, {}, None, remote=True)


class Package(pulumi.runtime.ResourceModule):
    """The SDK that has it."""

    mod_info: ClassVar = {
        "pkg": "refused",
        "mod": "index",
        "fqn": __name__,
        "classes": {"refused:index:Group": "Group"},
    }

    def version(self) -> None:
        return None

    def construct(self, name: str, typ: str, urn: str) -> pulumi.Resource:
        raise NotImplementedError


pulumi.runtime.register_resource_module("refused", "index", Package())
PRELUDE = """
import pulumi
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_monitor, register_package
from tests.localcloud.test_refusals import Group

async def known():
    return "time"

def registered():
    return register_package("terraform-provider", "0.1.0", "", "time", "0.1.0", "e30=")
"""
PET = 'pulumi.CustomResource("random:index/randomPet:RandomPet", "pet", {{"length": 1}}, {})'
# What is refused → a program that uses it, in one line.
PROGRAMS = {
    "packageRef": PET.format("pulumi.ResourceOptions(), package_ref=known()"),
    "remote": 'Group("made")',
    "envVarMappings": 'options = pulumi.ResourceOptions(env_var_mappings={"A": "B"})\n'
    'pulumi.ProviderResource("random", "mine", {}, options)',
    "state_migrations": PET.format("pulumi.ResourceOptions(state_migrations=[lambda args: None])"),
    "Call": 'pulumi.runtime.call("refused:index:Group/getKubeconfig", {}, None)',
    "RegisterPackage": PET.format("pulumi.ResourceOptions(), package_ref=registered()"),
    "ExistsResource": 'get_monitor().ExistsResource(resource_pb2.ExistsResourceRequest(type="test:a:B", id="x"))',
}
HONOURED = """acceptResources acceptSecrets accepts_byte_string additionalSecretOutputs aliasSpecs aliasURNs aliases
custom customTimeouts deleteBeforeReplace deleteBeforeReplaceDefined deletedWith dependencies hideDiffs hooks
ignoreChanges importId name object parent pluginDownloadURL propertyDependencies protect provider providers
replaceOnChanges replace_with replacement_trigger retainOnDelete sourcePosition supportsPartialValues
supportsResultReporting transforms type version"""
ROWS = {row.name: row for row in (*refusals.FIELDS, *refusals.CALLS)}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    return World(tmp_path)


def test_the_readme_shows_what_is_refused_as_it_is() -> None:
    section = README.read_text(encoding="utf-8").partition("## Programs\n")[2].partition("\n## ")[0]
    table = section[section.index("|") :]
    assert table.strip() == "\n".join(refusals.table()).strip()


@pytest.mark.parametrize("name", sorted(ROWS))
def test_an_update_refuses_what_the_table_says_and_tells_what_to_do(world: World, name: str) -> None:
    row = ROWS[name]
    with pytest.raises(UnsupportedError, match=re.escape(f"What to do here: {row.instead}.")) as caught:
        world.up(PRELUDE + PROGRAMS[name])
    assert row.what in str(caught.value)
    assert world.cloud.calls == []


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_plan_takes_what_the_table_says_that_it_takes(tmp_path: Path, name: str) -> None:
    if ROWS[name].planned:
        planned(tmp_path, PRELUDE + PROGRAMS[name])
        return
    with pytest.raises(UnsupportedError):
        planned(tmp_path, PRELUDE + PROGRAMS[name])


def test_each_call_of_the_sdks_protocol_is_answered_or_refused() -> None:
    calls = {name for name in vars(resource_pb2_grpc.ResourceMonitorServicer) if name[0].isupper()}
    assert {name for name in calls if not callable(getattr(Monitor, name, None))} == set()
    assert calls >= {row.name for row in refusals.CALLS}


def test_each_field_of_a_registration_is_honoured_or_refused() -> None:
    """A field that a later SDK brings is named here once somebody knows what localcloud makes of it."""
    honoured = HONOURED.split()
    of_plugins = {"pluginChecksums", "parentStackTraceHandle", "stackTrace", "snippetId"}
    fields = set(resource_pb2.RegisterResourceRequest.DESCRIPTOR.fields_by_name)
    assert fields == {*honoured} | of_plugins | {row.name for row in refusals.FIELDS}
