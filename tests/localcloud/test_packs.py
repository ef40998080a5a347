"""Real policy packs, written for each test, run over the real analyzer protocol."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi_policy", reason="policy packs need the package pulumi-policy, which is not installed")

from localcloud.packs import Analyzed, PackError, PolicyPack, Violation
from localcloud.values import RESOURCE, SIGNATURE, UNKNOWN, Secret

BUCKET = Analyzed(
    urn="urn:pulumi:dev::shop::aws:s3/bucket:Bucket::data",
    type="aws:s3/bucket:Bucket",
    name="data",
    properties={"bucket": "shop-data", "acl": "public-read", "tags": {"owner": "ml"}},
)
PREAMBLE = """
from pulumi_policy import (
    EnforcementLevel, PolicyConfigSchema, PolicyPack, ResourceValidationPolicy, StackValidationPolicy,
)
"""
ACL = """
def acl(args, report_violation):
    if args.props.get("acl") == "public-read":
        report_violation("A bucket must not be public: " + args.props["bucket"])

POLICY = ResourceValidationPolicy("no-public-bucket", "Buckets are private.", acl)
"""

MakePack = Callable[..., Path]


@pytest.fixture(name="make_pack")
def _make_pack(tmp_path: Path) -> MakePack:
    def make(program: str, settings: str = "runtime: python\nversion: 1.10\n") -> Path:
        directory = tmp_path / "pack"
        directory.mkdir()
        (directory / "PulumiPolicy.yaml").write_text(settings)
        (directory / "__main__.py").write_text(PREAMBLE + textwrap.dedent(program))
        return directory

    return make


def run(directory: Path, **options: Any) -> PolicyPack:
    """The pack, not started yet, with the patience of a test."""
    settings: dict[str, Any] = {"project": "shop", "stack": "dev", "dry_run": False, "patience": 20.0}
    return PolicyPack(directory, **settings | options)


def refusal(directory: Path, **options: Any) -> str:
    """The sentence with which the pack is refused."""
    with pytest.raises(PackError) as caught, run(directory, **options):
        pass
    return str(caught.value)


def one_policy(body: str, level: str = "MANDATORY") -> str:
    """A pack of one resource policy with the given function body."""
    return (
        f"def check(args, report_violation):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
        "PolicyPack('rules', [ResourceValidationPolicy('rule', 'A rule.', check)],"
        f" enforcement_level=EnforcementLevel.{level})\n"
    )


def test_a_pack_tells_its_name_its_version_and_its_policies(make_pack: MakePack) -> None:
    program = f"""{ACL}
def whole(args, report_violation): pass

PolicyPack("shop-rules", [POLICY, StackValidationPolicy("few", "Few resources.", whole,
    enforcement_level=EnforcementLevel.MANDATORY)])
"""
    with run(make_pack(program)) as pack:
        assert (pack.name, pack.version) == ("shop-rules", "1.10")
        assert [(each.name, each.description, each.level, each.type) for each in pack.policies] == [
            ("few", "Few resources.", "mandatory", "stack"),
            ("no-public-bucket", "Buckets are private.", "advisory", "resource"),
        ]


def test_a_resource_that_keeps_the_rules_has_no_violation(make_pack: MakePack) -> None:
    with run(make_pack(f"{ACL}\nPolicyPack('rules', [POLICY])")) as pack:
        assert pack.analyze(replace(BUCKET, properties={"bucket": "shop-data"})) == []


@pytest.mark.parametrize("level", ["advisory", "mandatory"])
def test_a_violation_names_policy_resource_and_level(make_pack: MakePack, level: str) -> None:
    directory = make_pack(f"{ACL}\nPolicyPack('rules', [POLICY], enforcement_level=EnforcementLevel.{level.upper()})")
    with run(directory) as pack:
        assert pack.analyze(BUCKET) == [
            Violation(
                policy="no-public-bucket",
                pack="rules",
                version="1.10",
                level=level,
                message="Buckets are private.\nA bucket must not be public: shop-data",
                urn=BUCKET.urn,
                description="Buckets are private.",
            )
        ]


def test_a_policy_sees_options_parent_and_provider_as_with_the_cli(make_pack: MakePack) -> None:
    program = one_policy("""
        options = args.opts
        report_violation(repr([
            options.protect, list(options.ignore_changes), options.delete_before_replace, list(options.aliases),
            list(options.additional_secret_outputs), options.custom_timeouts.create_seconds, options.parent,
            args.provider.resource_type, args.provider.name, dict(args.provider.props), args.urn, args.name,
        ]))
    """)
    provider = Analyzed(
        "urn:pulumi:dev::shop::pulumi:providers:aws::local", "pulumi:providers:aws", "local", {"region": "eu-west-1"}
    )
    resource = replace(
        BUCKET,
        options={
            "protect": True,
            "ignoreChanges": ["tags"],
            "deleteBeforeReplace": False,
            "aliases": ["urn:old"],
            "additionalSecretOutputs": ["arn"],
            "customTimeouts": {"create": 90.0},
            "retainOnDelete": True,
        },
        parent="urn:parent",
        provider=provider,
    )
    with run(make_pack(program)) as pack:
        [violation] = pack.analyze(resource)
    seen = [True, ["tags"], False, ["urn:old"], ["arn"], 90.0, "urn:parent"]
    seen += ["pulumi:providers:aws", "local", {"region": "eu-west-1"}, BUCKET.urn, "data"]
    assert violation.message == f"A rule.\n{seen!r}"


def test_a_policy_sees_a_resource_reference_as_its_id_and_no_internal_property(make_pack: MakePack) -> None:
    reference = {SIGNATURE: RESOURCE, "urn": "urn:key"}
    properties = {
        "key": reference | {"id": "key-1"},
        "component": reference,
        "later": [reference | {"id": ""}],
        "__defaults": [],
    }
    program = one_policy("""
        report_violation(args.props["key"] + " " + args.props["component"] + " " + " ".join(sorted(args.props)))
        args.props["later"][0]
    """)
    with run(make_pack(program), dry_run=True) as pack:
        seen, unknown = pack.analyze(replace(BUCKET, properties=properties))
    assert seen.message == "A rule.\nkey-1 urn:key component key later"
    assert "string value at .later.0 can't be known during preview" in unknown.message


def test_an_unknown_value_in_a_preview_is_advice_that_names_the_property(make_pack: MakePack) -> None:
    program = one_policy("report_violation('read ' + args.props['tags']['owner'])")
    with run(make_pack(program), dry_run=True) as pack:
        [violation] = pack.analyze(replace(BUCKET, properties={"tags": {"owner": UNKNOWN}}))
    assert violation.level == "advisory"
    assert violation.urn == BUCKET.urn
    assert "string value at .tags.owner can't be known during preview" in violation.message


def test_a_stack_policy_sees_every_resource_and_what_depends_on_what(make_pack: MakePack) -> None:
    program = """
def whole(args, report_violation):
    for resource in args.resources:
        for dependency in resource.property_dependencies.get("bucket", []):
            report_violation(f"{resource.name} needs {dependency.name} below {resource.parent.name}", resource.urn)
    report_violation(f"{len(args.resources)} resources")

PolicyPack("rules", [StackValidationPolicy("whole", "The whole.", whole, EnforcementLevel.MANDATORY)])
"""
    root = Analyzed("urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", "pulumi:pulumi:Stack", "shop-dev", {})
    policy = Analyzed(
        "urn:pulumi:dev::shop::aws:s3/bucketPolicy:BucketPolicy::tls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "tls",
        {"bucket": "shop-data"},
        parent=root.urn,
        dependencies=[BUCKET.urn],
        property_dependencies={"bucket": [BUCKET.urn], "policy": []},
    )
    with run(make_pack(program)) as pack:
        assert pack.analyze(BUCKET) == []
        found = pack.analyze_stack([root, BUCKET, policy])
    assert [(each.urn, each.level, each.message) for each in found] == [
        (policy.urn, "mandatory", "The whole.\ntls needs data below shop-dev"),
        (root.urn, "mandatory", "The whole.\n3 resources"),
    ]


def test_configuration_sets_levels_for_all_and_for_one_policy(make_pack: MakePack) -> None:
    program = f"""{ACL}
def other(args, report_violation): report_violation("other")

PolicyPack("rules", [POLICY, ResourceValidationPolicy("other", "Other.", other)])
"""
    with run(make_pack(program), config={"all": "mandatory", "other": "disabled"}) as pack:
        assert {each.name: each.level for each in pack.policies} == {
            "no-public-bucket": "mandatory",
            "other": "disabled",
        }
        assert [(each.policy, each.level) for each in pack.analyze(BUCKET)] == [("no-public-bucket", "mandatory")]


CONFIGURED = """
def few(args, report_violation):
    report_violation(f"{args.get_config()['most']:g} of {args.get_config()['unit']}")

PolicyPack("rules", [ResourceValidationPolicy("few", "Few.", few, config_schema=PolicyConfigSchema(
    {"most": {"type": "integer", "minimum": 1}, "unit": {"type": "string", "default": "buckets"}}, ["most"]))])
"""


def test_a_policy_gets_its_own_properties_and_their_defaults(make_pack: MakePack) -> None:
    config = {"few": {"enforcementLevel": "mandatory", "most": 3}}
    with run(make_pack(CONFIGURED), config=config) as pack:
        [violation] = pack.analyze(BUCKET)
    assert violation.message == "Few.\n3 of buckets"
    assert violation.level == "mandatory"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "'most' is a required property"),
        ({"few": {"most": 0}}, "0 is less than the minimum of 1"),
        ({"few": "blocking"}, "has enforcement level 'blocking'. Allowed: advisory, mandatory, disabled, remediate"),
        ({"few": {"most": 1, "enforcementLevel": 2}}, "has enforcement level 2"),
        ({"few": {"most": 1}, "fwe": "disabled"}, "has no policy 'fwe' to configure; it has few"),
    ],
)
def test_wrong_configuration_is_refused_with_a_sentence(
    make_pack: MakePack, config: dict[str, Any], sentence: str
) -> None:
    assert sentence in refusal(make_pack(CONFIGURED), config=config)


def test_a_remediation_changes_the_inputs_and_is_told(make_pack: MakePack) -> None:
    program = """
def private(args):
    if args.props.get("acl") == "public-read":
        return {**args.props, "acl": "private"}

def still(args, report_violation):
    if args.props["acl"] != "private" or args.props["bucket"] == "bad":
        report_violation("not private")

PolicyPack("rules", [ResourceValidationPolicy("private", "Private.", still, remediate=private,
    enforcement_level=EnforcementLevel.REMEDIATE)])
"""
    secret = replace(
        BUCKET, properties=BUCKET.properties | {"key": Secret("hunter2"), "arn": UNKNOWN, "__defaults": []}
    )
    with run(make_pack(program)) as pack:
        changed, told = pack.remediate(secret)
        assert changed.properties == secret.properties | {"acl": "private"}
        assert [(each.policy, each.level, each.urn) for each in told] == [("private", "remediate", BUCKET.urn)]
        assert pack.remediate(changed) == (changed, [])
        assert pack.analyze(changed) == []
        bad = replace(changed, properties={"acl": "private", "bucket": "bad"})
        assert [each.level for each in pack.analyze(bad)] == ["mandatory"]


SERVICER = "import os\nfrom pulumi_policy.policy import _PolicyAnalyzerServicer as Servicer\n"


def test_what_still_violates_after_remediation_is_mandatory_whatever_the_pack_says(make_pack: MakePack) -> None:
    program = (
        SERVICER + "Servicer._map_enforcement_level = lambda self, level: 3\n" + one_policy("report_violation('x')")
    )
    with run(make_pack(program)) as pack:
        assert [each.level for each in pack.analyze(BUCKET)] == ["mandatory"]


@pytest.mark.parametrize("understood", [True, False])
def test_a_pack_is_told_the_stack_and_an_older_one_need_not_listen(make_pack: MakePack, understood: bool) -> None:
    body = "told.append(f'{request.organization}/{request.project}/{request.stack} {request.dry_run}')"
    answer = "return proto.AnalyzerStackConfigureResponse()"
    if not understood:
        answer = "context.set_code(grpc.StatusCode.UNIMPLEMENTED); context.set_details('no'); " + answer
    program = f"""{SERVICER}import grpc
from pulumi.runtime import proto
told = []
def configure(self, request, context):
    {body}; {answer}
Servicer.ConfigureStack = configure
""" + one_policy("report_violation(told[0])")
    with run(make_pack(program), dry_run=True, organization="acme") as pack:
        assert pack.analyze(BUCKET)[0].message == "A rule.\nacme/shop/dev True"


def test_a_pack_reads_the_stacks_configuration(make_pack: MakePack) -> None:
    program = "import pulumi\n" + one_policy("""
        report_violation(f"{pulumi.get_project()}/{pulumi.get_stack()} {pulumi.runtime.is_dry_run()} "
                         + pulumi.Config("shop").require("owner"))
    """)
    with run(make_pack(program), dry_run=True, stack_config={"shop:owner": "ml"}) as pack:
        [violation] = pack.analyze(BUCKET)
    assert violation.message == "A rule.\nshop/dev True ml"


def test_a_secret_is_seen_by_the_rule_and_never_shown(make_pack: MakePack) -> None:
    lines: list[str] = []
    program = "import sys, pulumi\n" + one_policy("""
        password = args.props["password"]["value"]
        print("stdout " + password + pulumi.Config("shop").require("token"))
        print("stderr " + password, file=sys.stderr)
        report_violation(f"{len(password)} {password}")
        if args.name == "worse":
            raise ValueError(password)
    """)
    secret = replace(BUCKET, properties={"password": Secret({"value": "hunter2"})})
    options: dict[str, Any] = {"stack_config": {"shop:token": "t0ken"}, "secret_keys": ["shop:token"]}
    with run(make_pack(program), log=lines.append, **options) as pack:
        [violation] = pack.analyze(secret)
        assert violation.message == "A rule.\n7 [secret]"
        with pytest.raises(PackError, match=r"ValueError: \[secret\] \(__main__\.py:\d+\)") as caught:
            pack.analyze(replace(secret, name="worse"))
    assert "hunter2" not in str(caught.value)
    assert "stdout [secret][secret]" in lines
    assert "stderr [secret]" in lines
    assert not any("hunter2" in line or "t0ken" in line for line in lines)


def test_a_policy_that_raises_fails_the_pack_for_good(make_pack: MakePack) -> None:
    directory = make_pack(one_policy("if args.name == 'data': return {}['nothing']"))
    with run(directory) as pack:
        with pytest.raises(PackError) as caught:
            pack.analyze(BUCKET)
        assert (
            f"The policy pack {directory} failed while judging {BUCKET.urn}: KeyError: 'nothing' (__main__.py:"
            in str(caught.value)
        )
        with pytest.raises(PackError, match="KeyError"):
            pack.analyze(replace(BUCKET, name="innocent"))


def test_a_pack_that_dies_half_way_is_an_error(make_pack: MakePack) -> None:
    with (
        run(make_pack("import os\n" + one_policy("os._exit(3)"))) as pack,
        pytest.raises(PackError, match=f"failed while judging {BUCKET.urn}: exit code 3"),
    ):
        pack.analyze(BUCKET)


def test_a_call_that_an_older_pack_does_not_know_is_not_taken_for_the_reason_of_its_end(make_pack: MakePack) -> None:
    program = SERVICER + "from pulumi.runtime import proto\n"
    program += "Servicer.ConfigureStack = proto.AnalyzerServicer.ConfigureStack\n" + one_policy("os._exit(3)")
    with run(make_pack(program)) as pack, pytest.raises(PackError, match="exit code 3"):
        pack.analyze(BUCKET)


def test_a_policy_that_hangs_is_stopped_after_its_patience(make_pack: MakePack) -> None:
    with run(make_pack("import time\n" + one_policy("time.sleep(600)")), patience=3.0) as pack:
        with pytest.raises(PackError, match="gave no answer within 3 s while judging urn:pulumi:dev::shop"):
            pack.analyze(BUCKET)
        with pytest.raises(PackError, match="gave no answer"):
            pack.analyze_stack([BUCKET])


def test_a_pack_that_hangs_at_its_start_is_stopped(make_pack: MakePack) -> None:
    assert "did not start within 1 s, and was stopped" in refusal(make_pack("import time; time.sleep(600)"), patience=1)


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("def broken(:\n    pass\n", "failed to load: SyntaxError: invalid syntax (__main__.py:5)"),
        ("import no_such_module\n", "failed to load: ModuleNotFoundError: No module named 'no_such_module' (__main__."),
        ("PolicyPack('rules', [])\n", "failed to load: TypeError: Missing policies argument (__main__.py:5)"),
        ("pass\n", "failed to load: exit code 0"),
        ("print('hello')\n", "printed 'hello' where its port belongs"),
    ],
)
def test_a_pack_that_does_not_load_is_refused_with_its_reason(make_pack: MakePack, program: str, sentence: str) -> None:
    assert sentence in refusal(make_pack(program))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("description: none\n", "asks for runtime 'nothing'; localcloud runs packs in Python"),
        ("runtime: nodejs\n", "asks for runtime 'nodejs'"),
        ("runtime: {name: python, options: {toolchain: poetry}}\n", "asks for toolchain 'poetry'"),
        ("runtime: {name: python, options: {virtualenv: venv}}\n", "names the virtual environment 'venv'"),
        ("runtime: [\n", "cannot be read"),
        ("- python\n", "asks for runtime 'nothing'"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(make_pack: MakePack, settings: str, sentence: str) -> None:
    assert sentence in refusal(make_pack("", settings))


def test_a_directory_without_settings_is_no_pack(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} is no policy pack: it has no PulumiPolicy.yaml."
    assert "is no policy pack" in refusal(tmp_path / "absent")


def test_a_pack_runs_in_the_virtual_environment_that_it_names(make_pack: MakePack) -> None:
    program = "import sys\n" + one_policy("report_violation(sys.executable)")
    directory = make_pack(program, "runtime: {name: python, options: {virtualenv: venv}}\n")
    (directory / "venv" / "bin").mkdir(parents=True)
    interpreter = directory / "venv" / "bin" / "python"
    interpreter.symlink_to(sys.executable)
    (directory / "venv" / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
    (directory / "venv" / "lib").symlink_to(Path(sys.prefix) / "lib")
    with run(directory) as pack:
        [violation] = pack.analyze(BUCKET)
    assert violation.message == f"A rule.\n{interpreter}"


def test_many_threads_ask_and_each_gets_its_own_answer(make_pack: MakePack) -> None:
    program = "import time\nbusy = []\n" + one_policy("""
        busy.append(1)
        time.sleep(0.001)
        report_violation(f"{args.name} {len(busy)}")
        busy.pop()
    """)
    with run(make_pack(program)) as pack, ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda name: pack.analyze(replace(BUCKET, name=str(name))), range(200)))
    assert [answer[0].message for answer in answers] == [f"A rule.\n{name} 1" for name in range(200)]


def test_threads_that_wait_for_a_pack_that_dies_all_get_the_error(make_pack: MakePack) -> None:
    program = "import os, time\n" + one_policy("time.sleep(0.3)\nos._exit(1)")
    errors: list[str] = []

    def ask(pack: PolicyPack) -> None:
        try:
            pack.analyze(BUCKET)
        except PackError as error:
            errors.append(str(error))

    with run(make_pack(program)) as pack:
        threads = [threading.Thread(target=ask, args=(pack,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=10)
    assert len(errors) == 8
    assert all("exit code 1" in error for error in errors)


def is_gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether the process ends in time; one that waits for a parent to collect it (Z) has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        if not state.strip() or state.strip().startswith("Z"):
            return True
        time.sleep(0.02)
    return False


def test_a_pack_is_gone_with_what_it_started_when_its_block_ends(make_pack: MakePack) -> None:
    program = "import os, subprocess\n" + one_policy("""
        child = subprocess.Popen(["sleep", "60"])
        report_violation(str(os.getpid()))
        report_violation(str(child.pid))
    """)
    with run(make_pack(program)) as pack:
        pids = [int(each.message.rpartition("\n")[2]) for each in pack.analyze(BUCKET)]
    assert len(pids) == 2
    assert all(is_gone(pid) for pid in pids)
    with pytest.raises(PackError, match="is not running any more"):
        pack.analyze(BUCKET)


def test_a_pack_does_not_outlive_an_engine_that_was_killed(make_pack: MakePack, tmp_path: Path) -> None:
    directory = make_pack("import os\n" + one_policy("report_violation(str(os.getpid()))"))
    engine = tmp_path / "engine.py"
    engine.write_text(
        "import sys, time\nfrom pathlib import Path\nfrom localcloud.packs import Analyzed, PolicyPack\n"
        f"with PolicyPack(Path({str(directory)!r}), project='shop', stack='dev', dry_run=False) as pack:\n"
        "    print(pack.analyze(Analyzed('urn', 'a:b:C', 'c', {}))[0].message.split()[-1], flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(engine)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    assert is_gone(pid)
