"""The whole life of every kind of resource, over the samples of all families."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from keyword import iskeyword
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.core.base_backend import BackendDict
from pulumi._types import resource_types

from localcloud.aws import KINDS
from localcloud.aws.kind import MARK
from localcloud.aws.meaning import same
from tests.localcloud.aws.bench import Bench, Killed, Mortal
from tests.localcloud.aws.samples import Sample, all_samples

SAMPLES = all_samples()
BY_TOKEN: dict[str, list[Sample]] = defaultdict(list)
for each in SAMPLES.values():
    BY_TOKEN[each.token].append(each)


def cases(table: str) -> list[Any]:
    """A parameter (sample, key) for each row of one of the samples' tables."""
    return [pytest.param(name, key, id=f"{name}-{key}") for name, it in SAMPLES.items() for key in getattr(it, table)]


def read(bench: Bench, name: str, made: str, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    found = bench.provider.read(bench.samples[name].token, made, inputs)
    assert found is not None, f"{name} is gone"
    return found


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_resource_reads_back_as_it_was_declared(bench: Bench, name: str) -> None:
    inputs = bench.inputs(name)
    token = SAMPLES[name].token
    made = bench.provider.create(token, bench.urn(name), inputs)
    seen, outputs = read(bench, name, made, inputs)
    assert seen == inputs
    assert bench.provider.diff(token, seen, inputs).changed == ()
    assert {key: outputs[key] for key in inputs} == inputs
    assert MARK not in str(outputs)


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", SAMPLES)
def test_outputs_have_what_the_sdk_declares_and_nothing_else(bench: Bench, name: str) -> None:
    made = bench.make(name)
    declared = resource_types(sdk_class(SAMPLES[name].token))
    inputs = inspect.signature(sdk_class(SAMPLES[name].token)._internal_init).parameters
    computed = {wire for wire in declared if re.sub("([A-Z])", r"_\1", wire).lower() not in inputs}
    outputs = set(bench.made[name]) - {"id"}
    assert made
    assert outputs <= set(declared)
    assert computed - outputs == SAMPLES[name].absent


# samples whose declared inputs an id alone does not tell
NOT_IMPORTABLE = {
    "alias-without-name": "an alias tells its key's id, not that the ARN was declared",
    "machines-of-one-template": "the cloud tells the template's name and its id",
    "validation": "the id is a time",
    "versioning-with-mfa-delete-off": "S3 does not tell what never was on",
}
# kinds whose `read` needs the declared form of a property to recognise it
READ_WITH_INPUTS = {
    "aws:apigatewayv2/authorizer:Authorizer",
    "aws:apigatewayv2/integration:Integration",
    "aws:apigatewayv2/route:Route",
    "aws:apigatewayv2/stage:Stage",
    "aws:appautoscaling/policy:Policy",
    "aws:appautoscaling/target:Target",
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:cloudwatch/logMetricFilter:LogMetricFilter",
    "aws:ec2/route:Route",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ecs/service:Service",
    "aws:ecs/taskDefinition:TaskDefinition",
    "aws:lambda/permission:Permission",
    "aws:lb/listener:Listener",
    "aws:lb/targetGroup:TargetGroup",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
}
IMPORTABLE = [
    name
    for name, it in SAMPLES.items()
    if name not in NOT_IMPORTABLE and it.token not in READ_WITH_INPUTS and not KINDS[it.token].recorded
]


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", IMPORTABLE)
def test_an_import_by_the_id_alone_finds_all_that_was_declared(bench: Bench, name: str) -> None:
    kind, inputs = KINDS[SAMPLES[name].token], bench.inputs(name)
    made = bench.provider.create(kind.token, bench.urn(name), inputs)
    imported, _ = read(bench, name, made, {})
    kept = {path.split(".")[0] for path in kind.kept} | {f"{kind.name_input}Prefix", "region"}
    for key in inputs.keys() - kept:
        assert same(imported.get(key, kind.defaults.get(key)), inputs[key], key, kind.unordered), key


def sdk_class(token: str) -> Any:
    """The SDK's class of a resource type."""
    import pulumi_aws  # noqa: PLC0415 - one second, and only these tests need it

    service, _, rest = token.removeprefix("aws:").partition("/")
    module = f"{service}_" if iskeyword(service) else service
    found = getattr(getattr(pulumi_aws, module), rest.partition(":")[2])
    assert found.pulumi_type == token
    return found


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", [name for name, it in SAMPLES.items() if it.changes])
def test_each_changed_input_is_updated_in_place_and_back(bench: Bench, name: str) -> None:
    provider, token = bench.provider, SAMPLES[name].token
    before = bench.inputs(name)
    made = provider.create(token, bench.urn(name), before)
    for key, value in SAMPLES[name].changes.items():
        after = bench.inputs(name, **{key: value})
        change = provider.diff(token, before, after)
        assert (change.changed, change.replaces) == ((key,), ())
        provider.update(token, made, before, after)
        assert read(bench, name, made, after)[0] == after, key
        provider.update(token, made, after, before)
        assert read(bench, name, made, before)[0] == before, key
    if KINDS[token].tagged:  # the mark must outlive updates of the tags
        assert provider.find(token, bench.urn(name), before, frozenset()) == made


@pytest.mark.sampled(10)
@pytest.mark.parametrize(("name", "key"), cases("behind"))
def test_a_change_behind_our_back_is_seen_and_mended(bench: Bench, name: str, key: str) -> None:
    provider, token = bench.provider, SAMPLES[name].token
    made = bench.make(name)
    inputs = bench.inputs(name)
    SAMPLES[name].behind[key](provider.account, made, bench.made[name])
    seen, _ = read(bench, name, made, inputs)
    assert provider.diff(token, seen, inputs).changed == (key,)
    if key not in KINDS[token].replaces and KINDS[token].update:
        provider.update(token, made, seen, inputs)
        assert read(bench, name, made, inputs)[0] == inputs


@pytest.mark.sampled(10)
@pytest.mark.parametrize(("name", "key"), cases("lost"))
def test_what_the_emulator_is_said_to_lose_is_still_lost(bench: Bench, name: str, key: str) -> None:
    value, probe = SAMPLES[name].lost[key]
    made = bench.make(name, **{key.split(".", maxsplit=1)[0]: value})
    for part in key.split(".")[1:]:
        value = (value[0] if isinstance(value, list) else value)[part]
    reported = probe(bench.provider.account, made)
    assert not same(reported, value), f"the emulator keeps {key} by now: read it back"


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_deleted_is_gone_and_deleting_it_again_is_no_error(bench: Bench, name: str) -> None:
    provider, token = bench.provider, SAMPLES[name].token
    made = bench.make(name)
    inputs = bench.inputs(name)
    assert ((token, made) in provider.inventory()) is bool(KINDS[token].list)
    provider.delete(token, made, inputs)
    assert (provider.read(token, made, inputs) is None) is not bool(SAMPLES[name].leaves)
    assert (token, made) not in provider.inventory()
    provider.delete(token, made, inputs)


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", [name for name, it in SAMPLES.items() if not KINDS[it.token].recorded])
def test_of_a_fresh_emulator_everything_is_gone(bench: Bench, name: str) -> None:
    made = bench.make(name)
    inputs = bench.inputs(name)
    BackendDict.reset()  # as after its end: with what the resource was in
    assert bench.provider.read(SAMPLES[name].token, made, inputs) is None
    bench.provider.delete(SAMPLES[name].token, made, inputs)


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_creation_cut_off_after_any_call_is_found_and_finished(bench: Bench, mortal: Mortal, name: str) -> None:
    token, urn, inputs = SAMPLES[name].token, bench.urn(name), bench.inputs(name)
    for calls in range(1, 30):
        mortal.calls = calls
        try:
            made = mortal.create(token, urn, inputs)
        except Killed:
            found = bench.provider.find(token, urn, inputs, frozenset())
            if found is None:  # so far, it has only asked
                continue
            assert bench.provider.find(token, urn, inputs, frozenset([found])) is None
            made = found
        seen, _ = read(bench, name, made, inputs)
        if bench.provider.diff(token, seen, inputs).changed:
            bench.provider.update(token, made, seen, inputs)
        assert read(bench, name, made, inputs)[0] == inputs
        bench.provider.delete(token, made, inputs)
        if mortal.calls > 0:
            return  # the creation has fewer calls than were allowed
    pytest.fail("more calls than any creation needs")


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", [name for name, it in SAMPLES.items() if it.lacking])
def test_what_is_only_recorded_is_still_unknown_to_the_emulator(bench: Bench, name: str) -> None:
    lacking = SAMPLES[name].lacking
    assert lacking is not None
    made = bench.make(name)
    with pytest.raises(ClientError) as raised:
        lacking(bench.provider.account, made)
    assert raised.value.response["Error"]["Code"] in ("404", "500"), "the emulator knows it by now: make it there"


@pytest.mark.parametrize("token", KINDS)
def test_every_input_of_a_kind_is_tried(token: str) -> None:
    kind, tried = KINDS[token], BY_TOKEN[token]

    def names(table: str) -> set[str]:
        return {key for sample in tried for key in getattr(sample, table)}

    in_place = set() if kind.update is None else set(kind.read_back - kind.replaces - {kind.name_input or ""})
    assert in_place <= names("changes"), "inputs that no sample changes in place"
    assert in_place <= names("behind"), "inputs that no sample changes behind our back"
    if kind.recorded:
        assert any(sample.lacking for sample in tried), "no proof that the emulator has nothing of it"
        return
    assert set(kind.kept) == names("lost") | names("steers"), "kept inputs without a proof, or proofs of none"
    assert set(kind.read_back) <= names("inputs") | names("changes"), "inputs that no sample declares"
    assert kind.replaces | kind.computed <= kind.read_back | set(kind.kept)
