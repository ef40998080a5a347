"""Application Auto Scaling: what may be scaled, and by which policy. The emulator stores both and scales nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localcloud.aws.answers import code, fit, present
from localcloud.aws.calls import all_of, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags
from localcloud.aws.meaning import same

if TYPE_CHECKING:
    from localcloud.aws.account import Account

# the API describes targets and policies one namespace at a time; these are the ones looked through for inventories
_NAMESPACES = ("ecs", "dynamodb", "ec2", "lambda", "rds", "sagemaker")
_KEY = {"serviceNamespace": "ServiceNamespace", "resourceId": "ResourceId", "scalableDimension": "ScalableDimension"}


def _client(account: Account) -> Any:
    return account.client("application-autoscaling")


def _key(inputs: Properties) -> dict[str, Any]:
    return {argument: inputs[name] for name, argument in _KEY.items()}


def _delete_unless_gone(call: Any, **arguments: Any) -> None:
    try:
        call(**arguments)
    except ClientError as error:
        # AWS says so by ObjectNotFoundException, the emulator in words
        gone = code(error) == "ObjectNotFoundException" or "found for service namespace" in str(error)
        if not gone:
            raise


def _everything(account: Account, operation: str, key: str) -> Iterator[dict[str, Any]]:
    for namespace in _NAMESPACES:
        yield from all_of(_client(account), operation, key, ServiceNamespace=namespace)


# --- Target


def _register(account: Account, inputs: Properties, **more: Any) -> None:
    said = present(RoleARN=inputs.get("roleArn"), SuspendedState=to_cloud(inputs.get("suspendedState")))
    capacity = {"MinCapacity": inputs["minCapacity"], "MaxCapacity": inputs["maxCapacity"]}
    _client(account).register_scalable_target(**_key(inputs), **capacity, **said, **more)


def _create_target(account: Account, inputs: Properties, tags: Tags) -> str:
    _register(account, inputs, **({"Tags": tags} if tags else {}))
    return str(inputs["resourceId"])


def _parts(name: str, inputs: Properties) -> dict[str, Any]:
    """Namespace, resource and dimension, from the inputs or from an import's `NAMESPACE/RESOURCE/DIMENSION`."""
    if inputs.get("resourceId"):
        return _key(inputs)
    namespace, _, rest = name.partition("/")
    resource, _, dimension = rest.rpartition("/")
    return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}


def _read_target(account: Account, target: str, inputs: Properties) -> Properties | None:
    key = _parts(target, inputs)
    key["ResourceIds"] = [key.pop("ResourceId")]
    rows = all_of(_client(account), "describe_scalable_targets", "ScalableTargets", **key)
    if not rows:
        return None
    found = rows[0]
    return present(
        **{name: found[argument] for name, argument in _KEY.items()},
        arn=found.get("ScalableTargetARN"),
        minCapacity=found["MinCapacity"],
        maxCapacity=found["MaxCapacity"],
        roleArn=found.get("RoleARN"),
        suspendedState=to_wire(found.get("SuspendedState")),
        # the emulator does not keep them
        tags=inputs.get("tags") or {},
    )


_RUNNING = {"dynamicScalingInSuspended": False, "dynamicScalingOutSuspended": False, "scheduledScalingSuspended": False}


def _update_target(account: Account, _target: str, old: Properties, new: Properties) -> None:
    # what is not said stays as it is, so a state that is declared no more has to be said
    resumed = {"suspendedState": _RUNNING} if old.get("suspendedState") and not new.get("suspendedState") else {}
    _register(account, {**new, **resumed})


def _delete_target(account: Account, _target: str, inputs: Properties) -> None:
    _delete_unless_gone(_client(account).deregister_scalable_target, **_key(inputs))


def _list_targets(account: Account) -> list[tuple[str, Tags]]:
    return [(row["ResourceId"], {}) for row in _everything(account, "describe_scalable_targets", "ScalableTargets")]


def _find_target(account: Account, inputs: Properties) -> str | None:
    return str(inputs["resourceId"]) if _read_target(account, "", inputs) else None


TARGET = Kind(
    token="aws:appautoscaling/target:Target",
    create=_create_target,
    read=_read_target,
    update=_update_target,
    delete=_delete_target,
    list=_list_targets,
    find=_find_target,
    read_back=frozenset({*_KEY, "minCapacity", "maxCapacity", "roleArn", "suspendedState"}),
    computed=frozenset({"roleArn"}),
    kept={"tags": "the tags of a scalable target"},
    replaces=frozenset({*_KEY, "roleArn"}),
    delete_before_replace=True,
)


# --- Policy


def _number(bound: Any) -> float | None:
    return None if bound in (None, "") else float(bound)


def _bounds(adjustment: Properties) -> dict[str, float | None]:
    return {name: _number(adjustment.get(name)) for name in ("metricIntervalLowerBound", "metricIntervalUpperBound")}


def _step_arguments(block: Properties) -> dict[str, Any]:
    steps = [{**step, **_bounds(step)} for step in block.get("stepAdjustments") or []]
    return dict(to_cloud({**block, "stepAdjustments": steps}))


def _live_steps(block: dict[str, Any], declared: Properties) -> Properties:
    """The block in Pulumi's form, where bounds are texts."""
    live = dict(to_wire(block))
    live["stepAdjustments"] = [
        {**step, **{name: f"{bound:g}" for name, bound in _bounds(step).items() if bound is not None}}
        for step in live.get("stepAdjustments") or []
    ]
    asked = declared.get("stepAdjustments") or []
    wanted, found = ([{**step, **_bounds(step)} for step in steps] for steps in (asked, live["stepAdjustments"]))
    if same(wanted, found, "steps", ("steps",)):
        live["stepAdjustments"] = asked
    return fit(live, declared, _STEP_DEFAULTS) or live if declared else live


_STEP_DEFAULTS = {"metricAggregationType": "Average", "minAdjustmentMagnitude": 0, "stepAdjustments": []}
_STEP, _TRACKING = "stepScalingPolicyConfiguration", "targetTrackingScalingPolicyConfiguration"


def _put_policy(account: Account, inputs: Properties) -> dict[str, Any]:
    said = present(
        StepScalingPolicyConfiguration=_step_arguments(inputs[_STEP]) if inputs.get(_STEP) else None,
        TargetTrackingScalingPolicyConfiguration=to_cloud(inputs.get(_TRACKING)),
    )
    answer = _client(account).put_scaling_policy(
        **_key(inputs), PolicyName=inputs["name"], PolicyType=inputs["policyType"], **said
    )
    return dict(answer)


def _create_policy(account: Account, inputs: Properties, _tags: Tags) -> str:
    _put_policy(account, inputs)
    return str(inputs["name"])


def _read_policy(account: Account, name: str, inputs: Properties) -> Properties | None:
    key, _, tail = name.rpartition("/")
    wanted = inputs.get("name") or tail
    rows = all_of(_client(account), "describe_scaling_policies", "ScalingPolicies", **_parts(key, inputs))
    # the emulator's filter by name lets every name through
    found = next((row for row in rows if row["PolicyName"] == wanted), None)
    if found is None:
        return None
    steps = found.get("StepScalingPolicyConfiguration")
    return present(
        **{name: found[argument] for name, argument in _KEY.items()},
        name=found["PolicyName"],
        arn=found["PolicyARN"],
        policyType=found["PolicyType"],
        alarmArns=[alarm["AlarmARN"] for alarm in found.get("Alarms") or []],
        **{
            _STEP: _live_steps(steps, inputs.get(_STEP) or {}) if steps else None,
            _TRACKING: to_wire(found.get("TargetTrackingScalingPolicyConfiguration")),
        },
    )


def _update_policy(account: Account, name: str, _old: Properties, new: Properties) -> None:
    before = _read_policy(account, name, new) or {}
    after = [alarm["AlarmARN"] for alarm in _put_policy(account, new).get("Alarms") or []]
    # AWS goes on with the policy's alarms; the emulator makes others and leaves those behind
    left = [arn.rpartition(":alarm:")[2] for arn in before.get("alarmArns") or [] if arn not in after]
    if left:
        account.client("cloudwatch").delete_alarms(AlarmNames=left)


def _delete_policy(account: Account, _name: str, inputs: Properties) -> None:
    _delete_unless_gone(_client(account).delete_scaling_policy, PolicyName=inputs["name"], **_key(inputs))


def _list_policies(account: Account) -> list[tuple[str, Tags]]:
    return [(row["PolicyName"], {}) for row in _everything(account, "describe_scaling_policies", "ScalingPolicies")]


def _find_policy(account: Account, inputs: Properties) -> str | None:
    return str(inputs["name"]) if _read_policy(account, inputs["name"], inputs) else None


POLICY = Kind(
    token="aws:appautoscaling/policy:Policy",
    create=_create_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
    list=_list_policies,
    find=_find_policy,
    read_back=frozenset({"name", "policyType", *_KEY, _STEP, _TRACKING}),
    replaces=frozenset({"policyType", *_KEY}),
    unordered=frozenset({f"{_STEP}.stepAdjustments", f"{_TRACKING}.customizedMetricSpecification.dimensions"}),
    defaults={"policyType": "StepScaling"},
    name_input="name",
    delete_before_replace=True,
)

KINDS: tuple[Kind, ...] = (TARGET, POLICY)
