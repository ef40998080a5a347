"""States and secrets against Pulumi's own schemas, types and encryption (its Go module), so that the CLI takes them."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from localcloud.errors import LocalcloudError
from localcloud.secrets import Passphrase, new_salt
from localcloud.state import StateFile
from tests.localcloud import pulumi_go
from tests.localcloud.clouds import World

pytestmark = pytest.mark.slow
Document = dict[str, Any]
PASSPHRASE = "correct horse"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
STACK = "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev"
PROVIDER = "urn:pulumi:dev::shop::pulumi:providers:aws::local"
KEY = "urn:pulumi:dev::shop::aws:kms/key:Key::data"
BUCKET = "urn:pulumi:dev::shop::aws:s3/bucket:Bucket::data"
PROGRAM = """
class Part(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("demo:index:Part", name, None, opts)
        self.thing = Thing(f"{name}-thing", value="1", opts=Options(
            parent=self, protect=True, ignore_changes=["tags"], replace_on_changes=["value"],
            additional_secret_outputs=["arn"], retain_on_delete=True,
            custom_timeouts=pulumi.CustomTimeouts(create="1m30s", delete="2h"),
            aliases=[pulumi.Alias(name="before")]))
        self.register_outputs({"arn": self.thing.arn})

part = Part("part")
Thing("b", value=part.thing.arn, password=pulumi.Output.secret("hunter2"), tags={"list": [1, 2.5, None, True]},
      opts=Options(depends_on=[part], delete_before_replace=True))
Thing("c", fixed=VALUE, opts=Options(deleted_with=part.thing))
pulumi.export("token", pulumi.Output.secret({"deep": "hunter3"}))
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    return World(tmp_path)


def hand_made() -> Document:
    """A deployment as the CLI writes it: the salt and the ciphertext are not looked into."""
    resources = [
        {"urn": STACK, "custom": False, "type": "pulumi:pulumi:Stack"},
        {"urn": PROVIDER, "custom": True, "id": "8e3d", "type": "pulumi:providers:aws", "parent": STACK},
        {"urn": KEY, "custom": True, "id": "k", "type": "aws:kms/key:Key", "provider": f"{PROVIDER}::8e3d"},
        {
            "urn": BUCKET,
            "custom": True,
            "id": "b",
            "type": "aws:s3/bucket:Bucket",
            "inputs": {"key": "k", "n": 1.5, "secret": {SIGNATURE: SECRET, "ciphertext": "v1:a:b"}, "none": None},
            "outputs": {"tags": {"a": ["b", True]}},
            "parent": STACK,
            "provider": f"{PROVIDER}::8e3d",
            "dependencies": [KEY],
            "propertyDependencies": {"key": [KEY]},
            "customTimeouts": {"create": 90},
            "created": "2026-01-02T03:04:05.6Z",
        },
    ]
    return {
        "version": 3,
        "deployment": {
            "manifest": {"time": "2026-01-02T03:04:05Z", "magic": "", "version": ""},
            "secrets_providers": {"type": "passphrase", "state": {"salt": "v1:a:v1:b:c"}},
            "resources": resources,
            "pending_operations": [
                {"type": "creating", "resource": {name: item for name, item in resources[-1].items() if name != "id"}}
            ],
        },
    }


@functools.cache
def schemas() -> tuple[Document, Registry[Any]]:
    """Pulumi's schema of a deployment, and the registry in which it finds those of resources and properties."""
    folder = pulumi_go.module() / "go" / "common" / "apitype"
    names = ("deployments.json", "resources.json", "property-values.json")
    found = [json.loads((folder / name).read_text(encoding="utf-8")) for name in names]
    registry: Registry[Any] = Registry().with_resources([(row["$id"], Resource.from_contents(row)) for row in found])
    known = set(pulumi_go.ask("resource"))
    properties = found[1]["$defs"]["resourceV3"]["properties"]
    # The schema lags behind the type: what Pulumi itself writes (created, retainOnDelete, …) must not fail it.
    properties.update(dict.fromkeys(known - properties.keys(), True))
    found[0]["$defs"]["deploymentV3"]["properties"]["deployment"]["properties"]["metadata"] = True
    return found[0], registry


def schema_errors(document: Document) -> list[str]:
    schema, registry = schemas()
    # Not the schema as a whole: its `oneOf` would tell only that no version fits.
    validator = Draft202012Validator({"$ref": f"{schema['$id']}#v3"}, registry=registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def integrity_errors(document: Document) -> Iterator[str]:
    """What `pulumi stack import` refuses of a well-formed state (VerifyIntegrity in pulumi's deploy/snapshot.go)."""
    before: dict[str, Document] = {}
    providers: set[str] = set()
    living: set[str] = set()
    for row in document["deployment"].get("resources", []):
        urn = row["urn"]
        if not row.get("type"):
            yield f"{urn} has no type"
        if not row["custom"] and row.get("id"):
            yield f"{urn} is no custom resource and has an id"
        if row["type"].startswith("pulumi:providers:"):
            providers.add(f"{urn}::{row.get('id')}")
        if row.get("provider", "") not in providers | {""} and not row.get("pendingReplacement"):
            yield f"{urn} refers to the unknown provider {row['provider']}"
        named = [row.get("parent"), row.get("deletedWith"), *row.get("dependencies", [])]
        named += [each for urns in row.get("propertyDependencies", {}).values() for each in urns]
        yield from (
            f"{urn} needs {each}, which does not come before it" for each in named if each and each not in before
        )
        if not row.get("delete"):
            if urn in living:
                yield f"{urn} is there twice"
            living.add(urn)
        before[urn] = row


def normal(value: Any) -> Any:
    """The value with times in one spelling, without what Pulumi's types always write empty, or never."""
    if isinstance(value, dict):
        empty: tuple[tuple[str, Any], ...] = (("metadata", {}), ("resources", []))
        return {name: normal(item) for name, item in value.items() if (name, item) not in empty}
    if isinstance(value, list):
        return [normal(item) for item in value]
    try:
        return datetime.fromisoformat(value).isoformat() if isinstance(value, str) and value.endswith("Z") else value
    except ValueError:
        return value


def accept(document: Document) -> None:
    """Fails unless Pulumi's schema, its types and the rules of `pulumi stack import` all take the document whole."""
    assert schema_errors(document) == []
    assert normal(pulumi_go.ask("deployment", document)) == normal(document)
    assert list(integrity_errors(document)) == []


def state(world: World) -> Document:
    found: Document = json.loads(world.project().state_file.read_text(encoding="utf-8"))
    return found


def test_the_checks_take_a_state_as_the_cli_writes_it() -> None:
    accept(hand_made())


@pytest.mark.parametrize(
    ("where", "value", "sentence"),
    [
        (("version",), 4, "version 4 is not 3"),
        (("extra",), 1, 'unknown field "extra"'),
        (("deployment", "manifest", "magic"), "0", "the manifest's magic"),
        (("deployment", "manifest", "time"), "yesterday", "cannot parse"),
        (("deployment", "resources", 3, "retain_on_delete"), True, 'unknown field "retain_on_delete"'),
        (("deployment", "resources", 3, "customTimeouts", "create"), "90s", "cannot unmarshal string"),
        (("deployment", "resources", 3, "propertyDependencies", "key"), KEY, "cannot unmarshal string"),
        (("deployment", "pending_operations", 0, "kind"), "creating", 'unknown field "kind"'),
    ],
)
def test_a_state_that_pulumis_types_refuse_is_found_out(where: tuple[Any, ...], value: Any, sentence: str) -> None:
    document = hand_made()
    put(document, where, value)
    with pytest.raises(pulumi_go.GoError, match=sentence):
        accept_types(document)


def accept_types(document: Document) -> None:
    pulumi_go.ask("deployment", document)


@pytest.mark.parametrize(
    ("where", "value", "sentence"),
    [
        (("deployment", "resources", 3, "custom"), "yes", "'yes' is not of type 'boolean'"),
        (("deployment", "resources", 3, "inputs", "secret"), {SIGNATURE: SECRET}, "inputs.secret"),
        (("deployment", "resources", 3, "unheard"), 1, "'unheard' was unexpected"),
        (("deployment", "pending_operations", 0, "type"), "guessing", "'guessing' is not one of"),
    ],
)
def test_a_state_that_pulumis_schema_refuses_is_found_out(where: tuple[Any, ...], value: Any, sentence: str) -> None:
    document = hand_made()
    put(document, where, value)
    assert sentence in " ".join(schema_errors(document))


@pytest.mark.parametrize(
    ("where", "value", "sentence"),
    [
        (("dependencies",), [BUCKET], f"needs {BUCKET}, which does not come before it"),
        (("parent",), "urn:missing", "needs urn:missing"),
        (("provider",), f"{PROVIDER}::other", "refers to the unknown provider"),
        (("custom",), False, "is no custom resource and has an id"),
        (("urn",), KEY, "is there twice"),
    ],
)
def test_a_state_that_an_import_would_refuse_is_found_out(where: tuple[Any, ...], value: Any, sentence: str) -> None:
    document = hand_made()
    put(document, ("deployment", "resources", 3, *where), value)
    assert sentence in " ".join(integrity_errors(document))


def put(document: Any, where: tuple[Any, ...], value: Any) -> None:
    for step in where[:-1]:
        document = document[step]
    document[where[-1]] = value


def test_a_run_leaves_a_state_that_pulumi_takes(world: World) -> None:
    world.up(PROGRAM.replace("VALUE", "'1'"))
    accept(state(world))
    assert len(state(world)["deployment"]["resources"]) > 5


def test_every_state_on_the_way_of_a_run_is_one_that_pulumi_takes(world: World) -> None:
    path = world.project().state_file
    seen: list[Document] = []
    world.cloud.before = lambda _verb, _name: seen.append(json.loads(StateFile(path).content()))
    world.up(PROGRAM.replace("VALUE", "'1'"))
    world.up(PROGRAM.replace("VALUE", "'2'"))
    assert {row["type"] for one in seen for row in one["deployment"].get("pending_operations", [])} >= {"creating"}
    assert any(row.get("delete") for one in seen for row in one["deployment"]["resources"])
    for one in seen:
        accept(one)


def test_a_failed_run_leaves_a_state_that_pulumi_takes(world: World) -> None:
    world.cloud.fail["create b"] = LocalcloudError("no room")
    with pytest.raises(LocalcloudError, match="no room"):
        world.up(PROGRAM.replace("VALUE", "'1'"))
    accept(state(world))


def test_an_empty_stack_is_a_state_that_pulumi_takes(world: World) -> None:
    world.up("")
    world.destroy()
    accept(state(world))


def test_nothing_of_a_resource_that_pulumi_wrote_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    document = hand_made()
    document["deployment"]["resources"] = [pulumi_go.ask("resource")]
    document["deployment"]["pending_operations"] = [{"type": "deleting", "resource": pulumi_go.ask("resource")}]
    file = StateFile(tmp_path / "state.json")
    file.save(file.parse(copy.deepcopy(document)))
    written = json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))
    for part in ("resources", "pending_operations"):
        assert normal(written["deployment"][part]) == normal(document["deployment"][part])


def test_pulumis_own_code_opens_what_is_encrypted_here_and_the_other_way_round() -> None:
    keys = Passphrase(PASSPHRASE, new_salt(PASSPHRASE))
    texts = ["", "hunter2", "grüße\n\u0000", "x" * 10_000]
    request = {
        "passphrase": PASSPHRASE,
        "salt": keys.salt,
        "sealed": [keys.encrypt(text) for text in texts],
        "texts": texts,
    }
    answer = pulumi_go.ask("secrets", request)
    assert answer["opened"] == texts
    assert [keys.decrypt(sealed) for sealed in answer["sealed"]] == texts
    with pytest.raises(pulumi_go.GoError, match="incorrect passphrase"):
        pulumi_go.ask("secrets", request | {"passphrase": "wrong"})


def test_a_runs_secrets_are_opened_by_pulumis_own_code(world: World) -> None:
    world.up(PROGRAM.replace("VALUE", "'1'"))
    document = state(world)
    sealed = [row["ciphertext"] for row in secret_rows(document)]
    salt = document["deployment"]["secrets_providers"]["state"]["salt"]
    answer = pulumi_go.ask("secrets", {"passphrase": PASSPHRASE, "salt": salt, "sealed": sealed, "texts": []})
    assert {'"hunter2"', '{"deep":"hunter3"}'} <= set(answer["opened"])


def secret_rows(value: Any) -> Iterator[Document]:
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            yield value
        for item in value.values():
            yield from secret_rows(item)
    elif isinstance(value, list):
        for item in value:
            yield from secret_rows(item)
