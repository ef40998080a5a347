"""Plans: the document that other rooms build on, its marks, the table, and what is said when a program cannot be."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from localcloud import __main__ as cli
from localcloud import plan
from localcloud.errors import LocalcloudError
from localcloud.secrets import Passphrase, new_salt
from tests.localcloud import planning

pytestmark = pytest.mark.drawn(4)
ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "localcloud" / "plan.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
SECRET = 'hunter2 said "no"'
Document = dict[str, Any]


@functools.cache
def document_of(name: str) -> Document:
    """The plan of a program of `programs/`."""
    with tempfile.TemporaryDirectory() as directory:
        return planning.document(Path(directory), name)


def planned(directory: Path, source: str, **config: Any) -> Document:
    """The plan of a program's text."""
    found = planning.planned(directory, dedent(source), {f"planned:{key}": value for key, value in config.items()})
    return plan.graph(found)


def named(document: Document, name: str, kind: str = "") -> Document:
    """The resource of a name, and of a type that ends so where names are not unique."""
    (row,) = [row for row in document["resources"] if row["name"] == name and row["type"].endswith(kind)]
    return dict(row)


def at(value: Any, pointer: str) -> Any:
    """What a JSON Pointer leads to."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def line_of(source: str, text: str) -> int:
    """The number of the one line that holds a text."""
    (found,) = [number for number, line in enumerate(source.splitlines(), 1) if text in line]
    return found


@pytest.fixture
def stack(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs the command over a program's text: exit code, standard output, standard error."""

    def run(source: str, *words: str) -> tuple[int, str, str]:
        (tmp_path / "Pulumi.yaml").write_text("name: planned\nruntime: python\n", encoding="utf-8")
        if not (tmp_path / "Pulumi.dev.yaml").exists():
            (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n", encoding="utf-8")
        (tmp_path / "__main__.py").write_text(dedent(source), encoding="utf-8")
        code = cli.main(["plan", "-C", str(tmp_path), "-s", "dev", *words])
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", planning.names())
def test_the_plan_of_a_program_is_of_the_schema(name: str) -> None:
    document = document_of(name)

    VALIDATOR.validate(document)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert sum(row["custom"] for row in document["resources"]) >= 7


@pytest.mark.slow
@pytest.mark.parametrize("name", planning.names())
def test_each_urn_and_each_pointer_of_a_plan_leads_somewhere(name: str) -> None:
    document = document_of(name)
    before: set[str] = set()
    for row in document["resources"]:
        used = {row["parent"], row["provider"], *row["dependencies"]} - {None}
        used.update(*row["propertyDependencies"].values())
        assert used <= before, row["urn"]
        assert row["urn"] not in before
        assert set(row["propertyDependencies"]) <= set(row["inputs"]), row["urn"]
        before.add(row["urn"])
        for pointer in row["synthetic"]:
            at(row, pointer)
    for pointer in document["synthetic"]:
        at(document, pointer)


@pytest.mark.slow
@pytest.mark.parametrize("name", planning.names())
def test_each_resource_of_a_program_tells_a_line_that_declares_one(name: str) -> None:
    lines = (planning.PROGRAMS / f"{name}.py").read_text(encoding="utf-8").splitlines()
    for row in document_of(name)["resources"]:
        if row["type"] == "pulumi:pulumi:Stack":
            assert row["source"] is None
            continue
        assert row["source"]["file"] == "__main__.py", row["urn"]
        kind = row["type"].rsplit(":", 1)[-1]
        told = lines[row["source"]["line"] - 1]
        assert "(" in told, row["urn"]
        assert kind in told or row["type"].startswith(("pulumi:providers", "pulumi-python")), (row["urn"], told)


@pytest.mark.slow
def test_plans_are_the_same_in_another_process_and_directory(tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from tests.localcloud import planning\n"
        "for name in planning.names():\n"
        "    document = planning.document(Path(sys.argv[1]) / name, name)\n"
        "    print(json.dumps([name, document]), file=sys.stdout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    other = dict(json.loads(line) for line in done.stdout.splitlines())
    assert list(other) == planning.names()
    for name, document in other.items():
        assert json.dumps(document) == json.dumps(document_of(name)), name


def owned(schema: Any, pointer: str = "") -> Iterator[tuple[str, Document]]:
    """Each object of the schema whose properties are ours."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield pointer, schema
        for name, item in schema.items():
            yield from owned(item, f"{pointer}/{name}")
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from owned(item, f"{pointer}/{index}")


def test_the_schema_is_one_and_leaves_nothing_open_that_is_ours() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    found = dict(owned(SCHEMA))

    assert len(found) > 10
    for pointer, schema in found.items():
        assert schema["additionalProperties"] is False, pointer
        assert set(schema["required"]) == set(schema["properties"]), pointer


RANDOM = """
    import pulumi
    import pulumi_random as random

    class Pair(pulumi.ComponentResource):
        def __init__(self, name):
            super().__init__("tests:index:Pair", name)
            inner = pulumi.ResourceOptions(parent=self)
            self.first = random.RandomId(f"{name}-first", byte_length=4, opts=inner)
            self.second = random.RandomId(
                f"{name}-second",
                byte_length=8,
                keepers={"first": self.first.hex, "fixed": "a-fixed-text"},
                opts=pulumi.ResourceOptions.merge(inner, pulumi.ResourceOptions(protect=True)),
            )
            self.register_outputs({"hex": self.first.hex, "fixed": "a-fixed-text"})

    pair = Pair("pair")
    last = random.RandomPet("last", length=2, opts=pulumi.ResourceOptions(depends_on=[pair.second]))
    pulumi.export("hex", pulumi.Output.concat("x-", pair.second.hex))
    pulumi.export("length", last.length)
"""


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/extra", 1),
        ("/version", 2),
        ("/config/no-namespace", "x"),
        ("/config/planned:number", 3),
        ("/resources/1/extra", 1),
        ("/resources/1/urn", "pair"),
        ("/resources/1/source", {"file": "__main__.py", "line": 0}),
        ("/resources/1/source", {"file": "__main__.py", "line": 1, "column": 2}),
        ("/resources/1/propertyDependencies/hex", []),
        ("/resources/1/synthetic", ["/options/protect"]),
        ("/outputs/hex", {"$secret": "hunter2"}),
        ("/outputs/hex", {"$secret": True, "value": "hunter2"}),
        ("/outputs/hex", {"$asset": {"kind": "file", "path": "x", "sha256": "y"}}),
        ("/synthetic", ["outputs/hex"]),
    ],
)
def test_a_document_that_is_no_plan_is_refused(tmp_path: Path, pointer: str, value: Any) -> None:
    document = planned(tmp_path, RANDOM)
    VALIDATOR.validate(document)
    holder, _, name = pointer.rpartition("/")
    at(document, holder)[name] = value

    assert not VALIDATOR.is_valid(document)


def test_dependencies_are_told_by_resource_and_by_property(tmp_path: Path) -> None:
    document = planned(tmp_path, RANDOM)
    first, second, last = (named(document, name) for name in ("pair-first", "pair-second", "last"))

    assert (first["dependencies"], first["propertyDependencies"]) == ([], {})
    assert second["dependencies"] == [first["urn"]]
    assert second["propertyDependencies"] == {"keepers": [first["urn"]]}
    assert last["dependencies"] == [second["urn"]]
    assert last["propertyDependencies"] == {}


def test_a_component_is_no_custom_resource_and_the_parent_of_its_own(tmp_path: Path) -> None:
    document = planned(tmp_path, RANDOM)
    pair, second = named(document, "pair"), named(document, "pair-second")

    assert (pair["custom"], pair["type"], pair["provider"]) == (False, "tests:index:Pair", None)
    assert (second["custom"], second["parent"]) == (True, pair["urn"])
    assert second["options"]["protect"] is True
    assert document["resources"][0]["custom"] is False


def test_a_resource_tells_the_urns_that_it_had_before_its_parents_too(tmp_path: Path) -> None:
    document = planned(
        tmp_path,
        """
        import pulumi
        import pulumi_random as random

        parent = pulumi.ComponentResource(
            "tests:index:Pair", "new", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")])
        )
        random.RandomPet(
            "pet", opts=pulumi.ResourceOptions(parent=parent, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)])
        )
        random.RandomPet("plain")
        """,
    )
    prefix = "urn:pulumi:dev::planned::"

    assert named(document, "new")["options"]["aliases"] == [f"{prefix}tests:index:Pair::old"]
    assert f"{prefix}random:index/randomPet:RandomPet::pet" in named(document, "pet")["options"]["aliases"]
    assert "aliases" not in named(document, "plain")["options"]


def test_a_resource_tells_the_line_that_declares_it(tmp_path: Path) -> None:
    source = dedent(RANDOM)
    document = planned(tmp_path, RANDOM)

    for name, text in (
        ("pair", 'Pair("pair")'),
        ("pair-first", "self.first ="),
        ("pair-second", "self.second ="),
        ("last", "last ="),
    ):
        assert named(document, name)["source"] == {"file": "__main__.py", "line": line_of(source, text)}


def test_a_resource_of_another_file_or_of_a_library_tells_the_projects_own_line(tmp_path: Path) -> None:
    library = tmp_path / "lib" / "site-packages"
    library.mkdir(parents=True)
    text = "import pulumi_random as random\n\n\ndef make(name):\n    random.RandomPet(name)\n"
    (tmp_path / "parts.py").write_text(text, encoding="utf-8")
    (library / "bought.py").write_text(text, encoding="utf-8")
    document = planned(
        tmp_path,
        """
        import sys
        sys.path.append("lib/site-packages")
        sys.modules.pop("parts", None), sys.modules.pop("bought", None)
        import bought, parts
        parts.make("ours")
        bought.make("theirs")
        """,
    )

    assert named(document, "ours")["source"] == {"file": "parts.py", "line": 5}
    assert named(document, "theirs")["source"] == {"file": "__main__.py", "line": 7}


def test_what_is_made_up_is_marked_and_what_the_program_gave_is_not(tmp_path: Path) -> None:
    document = planned(tmp_path, RANDOM)
    second = named(document, "pair-second")

    assert {"/outputs/id", "/outputs/hex", "/inputs/keepers/first", "/outputs/keepers/first"} <= set(
        second["synthetic"]
    )
    assert not {"/inputs/byteLength", "/outputs/byteLength", "/inputs/keepers/fixed"} & set(second["synthetic"])
    assert document["synthetic"] == ["/outputs/hex"]


def test_what_a_component_registers_is_marked_though_it_comes_before_its_children(tmp_path: Path) -> None:
    assert named(planned(tmp_path, RANDOM), "pair")["synthetic"] == ["/outputs/hex"]


def test_made_up_values_below_a_name_with_dots_and_slashes_are_marked(tmp_path: Path) -> None:
    document = planned(
        tmp_path,
        """
        import pulumi_azure_native.managedidentity as identities
        import pulumi_azure_native.containerinstance as instances
        instances.ContainerGroup("app", resource_group_name="rg", os_type="Linux", containers=[],
            identity={"type": "UserAssigned", "user_assigned_identities": ["/subscriptions/1/a.b"]})
        """,
    )

    assert (
        "/outputs/identity/userAssignedIdentities/~1subscriptions~11~1a.b/principalId"
        in named(document, "app")["synthetic"]
    )


def test_an_asset_that_holds_a_made_up_value_is_marked_as_a_whole(tmp_path: Path) -> None:
    document = planned(
        tmp_path,
        """
        import pulumi
        import pulumi_aws as aws
        bucket = aws.s3.Bucket("bucket")
        source = bucket.arn.apply(lambda arn: pulumi.StringAsset(f"read {arn}"))
        aws.s3.BucketObject("made", bucket=bucket, source=source)
        aws.s3.BucketObject("given", bucket="b", source=pulumi.FileAsset("data.txt"))
        """,
    )
    made, given = named(document, "made"), named(document, "given")

    assert {"/inputs/source", "/inputs/bucket"} <= set(made["synthetic"])
    assert made["inputs"]["bucket"] == {"$resource": named(document, "bucket")["urn"]}
    assert not [pointer for pointer in given["synthetic"] if pointer.startswith("/inputs")]
    assert given["inputs"]["source"]["$asset"]["path"] == "data.txt"


def test_a_text_that_holds_what_a_function_answered_is_marked_and_the_settings_in_it_are_not(tmp_path: Path) -> None:
    document = planned(
        tmp_path,
        """
        import pulumi
        import pulumi_aws as aws
        import pulumi_random as random
        who, where = aws.get_caller_identity(), aws.get_region()
        random.RandomPet("pet", keepers={"a": f"arn:x:{who.account_id}:y", "b": f"{where.region}-c", "c": "plain"})
        pulumi.export("account", who.account_id)
        """,
    )

    assert "/inputs/keepers/a" in named(document, "pet")["synthetic"]
    assert not {"/inputs/keepers/b", "/inputs/keepers/c"} & set(named(document, "pet")["synthetic"])
    assert document["synthetic"] == ["/outputs/account"]


SECRETIVE = """
    import base64, json
    import pulumi
    import pulumi_random as random

    config = pulumi.Config()
    clear = config.require("password")
    inner = config.require_object("database")["password"]
    given = pulumi.Output.secret("given-in-the-program")
    pet = random.RandomPet("pet", keepers={
        "setting": config.require_secret("password"), "clear": clear, "inner": f"a:{inner}",
        "json": json.dumps({"password": clear}), "given": given, "open": "open"})
    made = random.RandomPassword("made", length=40)
    user = random.RandomPet("user", prefix=made.result.apply(lambda text: "p-" + text))
    pulumi.export("user", pulumi.Output.concat(given, "!"))
    pulumi.export("made", made.result)
    pulumi.export("list", [clear, "open"])
    pulumi.info(f"the password is {clear}")
"""


@pytest.fixture
def secretive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose configuration has encrypted values, one of them inside an object."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    salt = new_salt("correct horse")
    box = Passphrase("correct horse", salt)
    settings = {
        "encryptionsalt": salt,
        "config": {
            "planned:password": {"secure": box.encrypt(SECRET)},
            "planned:database": {"user": "reader", "password": {"secure": box.encrypt("deep-in-an-object")}},
            "planned:user": "reader",
        },
    }
    (tmp_path / "Pulumi.dev.yaml").write_text(json.dumps(settings), encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("secretive")
def test_no_secret_is_in_a_plan_nor_in_what_is_said_beside_it(stack: Any) -> None:
    code, out, err = stack(SECRETIVE, "--json")
    document = json.loads(out)

    assert code == 0, err
    for text in ("hunter2", "deep-in-an-object", "given-in-the-program", "correct horse"):
        assert text not in out + err
    VALIDATOR.validate(document)
    hidden = {"$secret": True}
    assert document["config"] == {
        "planned:database": hidden,
        "planned:password": hidden,
        "planned:user": "reader",
    }
    keepers = {"setting": hidden, "clear": hidden, "inner": hidden, "json": hidden, "given": hidden, "open": "open"}
    assert named(document, "pet")["inputs"]["keepers"] == keepers
    assert named(document, "pet")["outputs"]["keepers"] == keepers
    assert named(document, "made")["outputs"]["result"] == hidden
    assert named(document, "user")["inputs"]["prefix"] == hidden
    assert document["outputs"] == {"user": hidden, "made": hidden, "list": [hidden, "open"]}
    assert "the password is [secret]" in err


@pytest.mark.usefixtures("secretive")
def test_no_secret_is_in_the_table_nor_in_what_a_failing_program_says(stack: Any) -> None:
    for source in (SECRETIVE, SECRETIVE + "\n    raise ValueError(f'not with {clear}')\n"):
        _, out, err = stack(source)
        assert "hunter2" not in out + err
    assert "ValueError: not with [secret] (__main__.py:" in err


def test_a_providers_secret_tags_stay_secret_in_what_they_reach(tmp_path: Path) -> None:
    document = planned(
        tmp_path,
        """
        import pulumi
        import pulumi_aws as aws
        tags = pulumi.Output.secret({"tags": {"a": "given-in-the-program"}})
        provider = aws.Provider("p", region=pulumi.Output.secret("ap-south-9"), default_tags=tags)
        aws.sns.Topic("t", tags={"b": "c"}, opts=pulumi.ResourceOptions(provider=provider))
        """,
    )

    assert named(document, "t")["outputs"]["tagsAll"] == {"$secret": True}
    assert named(document, "t")["provider"] == named(document, "p")["urn"]
    assert "given-in-the-program" not in json.dumps(document)
    assert "ap-south-9" not in json.dumps(document)


def test_another_stacks_outputs_are_unknown_and_so_is_what_is_made_of_them(tmp_path: Path) -> None:
    document = planned(
        tmp_path,
        """
        import pulumi
        import pulumi_random as random
        network = pulumi.StackReference("organization/network/dev")
        random.RandomPet("pet", prefix=network.require_output("name").apply(str.upper))
        pulumi.export("name", network.get_output("name"))
        """,
    )

    assert named(document, "pet")["inputs"]["prefix"] == {"$unknown": True}
    assert document["outputs"] == {"name": {"$unknown": True}}
    VALIDATOR.validate(document)


@pytest.mark.parametrize("words", [("--json",), ()])
def test_what_a_program_prints_and_logs_goes_to_standard_error(stack: Any, words: tuple[str, ...]) -> None:
    noisy = """
        import os, subprocess, sys
        import pulumi
        print("printed")
        sys.__stdout__.write("written\\n")
        os.write(1, b"by number\\n")
        subprocess.run(["echo", "by a process"])
        pulumi.warn("a warning")
        pulumi.export("x", 1)
    """
    code, out, err = stack(noisy, *words)
    _, quiet, _ = stack('import pulumi\npulumi.export("x", 1)', *words)

    assert code == 0, err
    assert out == quiet
    for text in ("printed", "written", "by number", "by a process", "warning: a warning"):
        assert text in err


def test_what_a_program_prints_at_the_end_of_the_process_does_not_follow_the_document(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: planned\nruntime: python\n", encoding="utf-8")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n", encoding="utf-8")
    (tmp_path / "__main__.py").write_text("import atexit\natexit.register(print, 'at the end')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "localcloud", "plan", "-C", str(tmp_path), "-s", "dev", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    VALIDATOR.validate(json.loads(done.stdout))
    assert "at the end" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: planned\nruntime: python\n", encoding="utf-8")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n", encoding="utf-8")
    (tmp_path / "__main__.py").write_text("", encoding="utf-8")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "localcloud", "plan", "-C", str(tmp_path), "-s", "dev", "--json"],
            cwd=ROOT,
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, b"")


BARE = 'pulumi.CustomResource("{type}", "x", {{}})'
OWN = """
    class Own(pulumi.CustomResource):
        def __init__(self, name, opts=None):
            super().__init__("{type}", name, {{}}, opts)


    Own("x")
"""


@pytest.mark.parametrize("form", [BARE, OWN])
@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("random:index/nothing:Nothing", "has no resource type random:index/nothing:Nothing"),
        ("nowhere:index:Thing", "install the package pulumi-nowhere"),
    ],
)
def test_an_unknown_type_is_an_error_with_its_name_and_line(stack: Any, form: str, token: str, sentence: str) -> None:
    source = "import pulumi\n\n" + dedent(form.format(type=token))
    code, out, err = stack(source, "--json")

    assert (code, out) == (1, "")
    assert sentence in err
    assert "Traceback" not in err
    line = line_of(source, '"x"')
    assert f"error: {token} 'x' (" in err
    assert f"__main__.py:{line})" in err


def test_an_unknown_function_is_an_error_with_its_name(stack: Any) -> None:
    code, out, err = stack('import pulumi\npulumi.runtime.invoke("random:index/getNothing:getNothing", {})', "--json")

    assert (code, out) == (1, "")
    assert "has no function random:index/getNothing:getNothing" in err


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("print('x')\n1 / 0\n", "ZeroDivisionError: division by zero (__main__.py:2)"),
        ("x = (\n", "SyntaxError: '(' was never closed (__main__.py:1)"),
        ("import not_there\n", "ModuleNotFoundError: No module named 'not_there' (__main__.py:1)"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 (__main__.py:2)"),
        (
            "import pulumi\n\n\ndef fail(_):\n    raise KeyError('k')\n\n\n"
            "pulumi.export('x', pulumi.Output.from_input(1).apply(fail))\n",
            "KeyError: 'k' (__main__.py:5)",
        ),
    ],
)
def test_a_program_that_fails_is_told_in_a_sentence_with_its_line(stack: Any, source: str, sentence: str) -> None:
    code, out, err = stack(source, "--json")

    assert (code, out) == (1, "")
    assert f"error: The program of 'planned' stopped: {sentence}\n" in err
    assert "Traceback" not in err


def test_the_table_counts_by_type_and_lists_names_in_aligned_columns(tmp_path: Path) -> None:
    lines = plan.table(planned(tmp_path, RANDOM)).splitlines()

    assert lines == [
        "planned / dev: 3 resources, 1 component",
        "",
        "RESOURCE                COUNT  NAMES",
        "random:index:RandomId       2  pair-first, pair-second",
        "random:index:RandomPet      1  last",
        "",
        "COMPONENT               COUNT  NAMES",
        "tests:index:Pair            1  pair",
        "",
        "Outputs: hex, length",
    ]


def test_a_table_keeps_to_its_width_and_says_how_many_names_it_left_out(tmp_path: Path) -> None:
    many = "import pulumi_random as random\nfor n in range(60): random.RandomPet(f'pet-{n:02}')\n"
    document = planned(tmp_path, many)

    for width in (60, 100):
        text = plan.table(document, width)
        assert max(map(len, text.splitlines())) <= width
        assert ", and " in text
        shown = text.count("pet-")
        assert f"pet-{shown - 1:02}, and {60 - shown} more" in text


def test_a_table_is_plain_text_whatever_names_hold(stack: Any) -> None:
    code, out, _ = stack("import pulumi\npulumi.ComponentResource('a:b:C', 'red\\x1b[31m')\n")

    assert code == 0
    assert "\x1b" not in out
    assert "red?[31m" in out


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ('pulumi.export("x", pet.keepers["nothing"])', r"TypeError: .* \(__main__.py:LINE\)"),
        (
            'os.environ["NOWHERE_TO_BE_FOUND"]',
            r"environment variable 'NOWHERE_TO_BE_FOUND' is not set.*__main__.py:LINE",
        ),
    ],
)
def test_an_error_where_only_the_sdk_runs_is_told_with_the_programs_line(
    tmp_path: Path, statement: str, sentence: str
) -> None:
    source = f'import os\nimport pulumi\nimport pulumi_random as random\npet = random.RandomPet("pet")\n{statement}\n'
    with pytest.raises(LocalcloudError, match=sentence.replace("LINE", "5")):
        planned(tmp_path, source)


REMOTE = """
import pulumi
import pulumi_aws as aws

class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("pack:index:Group", name, {"bucket": None, "names": None}, opts, remote=True)
    @pulumi.output_type
    class DescribeResult:
        def __init__(self, kubeconfig):
            pulumi.set(self, "kubeconfig", kubeconfig)
        @property
        @pulumi.getter
        def kubeconfig(self) -> str:
            return pulumi.get(self, "kubeconfig")
    def describe(self):
        return pulumi.runtime.call("pack:index:Group/describe", {"__self__": self}, res=self, typ=Group.DescribeResult)
    @property
    @pulumi.getter
    def bucket(self) -> pulumi.Output[aws.s3.Bucket]:
        return pulumi.get(self, "bucket")
    @property
    @pulumi.getter
    def names(self) -> pulumi.Output[list[str]]:
        return pulumi.get(self, "names")

class Pack(pulumi.runtime.ResourceModule):
    mod_info = {"pkg": "pack", "mod": "index", "fqn": __name__, "classes": {"pack:index:Group": "Group"}}
    def version(self):
        return None
    def construct(self, name, typ, urn):
        raise NotImplementedError
sys.modules[__name__] = types.SimpleNamespace(Group=Group)
pulumi.runtime.register_resource_module("pack", "index", Pack())
group = Group("group")
aws.s3.BucketObject("file", bucket=group.bucket.id, key="k")
pulumi.export("third", group.names.apply(lambda names: names[2]))
pulumi.export("kind", group.describe().kubeconfig.apply(lambda text: json.loads(text)["kind"]))
pulumi.export("arn", group.bucket.arn.apply(lambda arn: arn.split(":")[2]))
"""


def test_a_component_that_a_plugin_makes_has_made_up_outputs_of_its_types(tmp_path: Path) -> None:
    source = "import json, sys, types\nsys.modules['pack_of_a_test'] = None\n__name__ = 'pack_of_a_test'\n" + REMOTE
    document = planned(tmp_path, source)

    assert named(document, "group")["custom"] is False
    assert "/inputs/bucket" in named(document, "file")["synthetic"]
    assert document["outputs"]["arn"] == "s3"
    assert document["outputs"]["third"]
    assert document["outputs"]["kind"] == "Config"
