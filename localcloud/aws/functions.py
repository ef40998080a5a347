"""Lambda: functions that are container images, and who may call them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.answers import present
from localcloud.aws.calls import all_of, changed, if_found, retag
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "ResourceNotFoundException"
PLAIN = {"description": "Description", "memorySize": "MemorySize", "role": "Role", "timeout": "Timeout"}
# AWS changes these in place; the emulator's UpdateFunctionConfiguration ignores them
FIXED = ("architectures", "ephemeralStorage", "imageConfig", "kmsKeyArn", "tracingConfig")
IMAGE = {"commands": "Command", "entryPoints": "EntryPoint", "workingDirectory": "WorkingDirectory"}
NETWORK = {"subnetIds": "SubnetIds", "securityGroupIds": "SecurityGroupIds"}
LOG = {
    "logFormat": "LogFormat",
    "logGroup": "LogGroup",
    "applicationLogLevel": "ApplicationLogLevel",
    "systemLogLevel": "SystemLogLevel",
}


def _translated(block: Any, names: dict[str, str]) -> dict[str, Any] | None:
    return {cloud: block[wire] for wire, cloud in names.items() if block.get(wire)} if block else None


def _settings(inputs: Properties) -> dict[str, Any]:
    network = inputs.get("vpcConfig") or {}
    return {
        **{cloud: inputs[name] for name, cloud in PLAIN.items() if name in inputs},
        "Environment": {"Variables": (inputs.get("environment") or {}).get("variables", {})},
        "VpcConfig": {cloud: network.get(wire, []) for wire, cloud in NETWORK.items()},
        **present(LoggingConfig=_translated(inputs.get("loggingConfig"), LOG)),
    }


def _concurrency(account: Account, name: str, old: Properties, new: Properties) -> None:
    """-1 stands for none of its own."""
    client, wanted = account.client("lambda"), new["reservedConcurrentExecutions"]
    if wanted >= 0:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=wanted)
    elif old.get("reservedConcurrentExecutions", -1) >= 0:
        client.delete_function_concurrency(FunctionName=name)


def create_function(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the function's name. How many calls may run at once is told after it."""
    tracing, storage = inputs.get("tracingConfig"), inputs.get("ephemeralStorage")
    account.client("lambda").create_function(
        FunctionName=inputs["name"],
        PackageType=inputs["packageType"],
        Code={"ImageUri": inputs["imageUri"]},
        Tags=tags,
        **_settings(inputs),
        **present(
            Architectures=inputs.get("architectures"),
            EphemeralStorage=storage and {"Size": storage["size"]},
            ImageConfig=_translated(inputs.get("imageConfig"), IMAGE),
            KMSKeyArn=inputs.get("kmsKeyArn"),
            TracingConfig=tracing and {"Mode": tracing["mode"]},
        ),
    )
    _concurrency(account, inputs["name"], {}, inputs)
    return str(inputs["name"])


def _invoke(account: Account, arn: str, version: str = "2015-03-31", how: str = "invocations") -> str:
    path = f"path/{version}/functions/{arn}/{how}"
    return f"arn:{account.partition}:apigateway:{account.region}:lambda:{path}"


def _outputs(account: Account, about: dict[str, Any]) -> Properties:
    arn = about["FunctionArn"]
    qualified = f"{arn}:{about['Version']}"
    return {
        "arn": arn,
        "invokeArn": _invoke(account, arn),
        "qualifiedArn": qualified,
        "qualifiedInvokeArn": _invoke(account, qualified),
        "responseStreamingInvokeArn": _invoke(account, arn, "2021-11-15", "response-streaming-invocations"),
        "lastModified": about["LastModified"],
        "sourceCodeSize": about["CodeSize"],
        "signingJobArn": "",
        "signingProfileVersionArn": "",
        "version": about["Version"],
    }


def read_function(account: Account, name: str, _: Properties) -> Properties | None:
    """Two calls, as the limit of calls at once is told apart."""
    client = account.client("lambda")
    answer = if_found(client.get_function, GONE, FunctionName=name)
    if answer is None:
        return None
    about = answer["Configuration"]
    image, network = about.get("ImageConfigResponse", {}).get("ImageConfig", {}), about.get("VpcConfig", {})
    return {
        **{wire: about.get(cloud) for wire, cloud in PLAIN.items()},
        **_outputs(account, about),
        "name": about["FunctionName"],
        "packageType": about["PackageType"],
        "imageUri": answer["Code"]["ImageUri"],
        "imageConfig": {wire: image[cloud] for wire, cloud in IMAGE.items() if image.get(cloud)},
        "architectures": about.get("Architectures"),
        "environment": {"variables": about.get("Environment", {}).get("Variables", {})},
        "ephemeralStorage": {"size": about["EphemeralStorage"]["Size"]},
        "kmsKeyArn": about.get("KMSKeyArn"),
        "tracingConfig": {"mode": about["TracingConfig"]["Mode"]},
        "vpcConfig": {wire: network.get(cloud, []) for wire, cloud in NETWORK.items()},
        "reservedConcurrentExecutions": client.get_function_concurrency(FunctionName=name).get(
            "ReservedConcurrentExecutions", -1
        ),
        "tags": answer.get("Tags", {}),
    }


def update_function(account: Account, name: str, old: Properties, new: Properties) -> None:
    """Image, settings and limit have a call each."""
    client = account.client("lambda")
    if changed(old, new, "imageUri"):
        client.update_function_code(FunctionName=name, ImageUri=new["imageUri"])
    if changed(old, new, *PLAIN, "environment", "loggingConfig", "vpcConfig"):
        client.update_function_configuration(FunctionName=name, **{"Description": "", **_settings(new)})
    if changed(old, new, "reservedConcurrentExecutions"):
        _concurrency(account, name, old, new)
    arn = f"arn:{account.partition}:lambda:{account.region}:{account.account_id}:function:{name}"
    retag(
        old,
        new,
        lambda tags: client.tag_resource(Resource=arn, Tags=tags),
        lambda names: client.untag_resource(Resource=arn, TagKeys=names),
    )


def delete_function(account: Account, name: str, _: Properties) -> None:
    """With its versions and its policy."""
    if_found(account.client("lambda").delete_function, GONE, FunctionName=name)


def _names(account: Account) -> list[str]:
    return [row["FunctionName"] for row in all_of(account.client("lambda"), "list_functions", "Functions")]


def list_functions(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for name in _names(account):
        yield name, account.client("lambda").get_function(FunctionName=name).get("Tags", {})


def permit(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the statement's."""
    account.client("lambda").add_permission(
        FunctionName=inputs["function"],
        StatementId=inputs["statementId"],
        Action=inputs["action"],
        Principal=inputs["principal"],
        **present(SourceArn=inputs.get("sourceArn"), SourceAccount=inputs.get("sourceAccount")),
    )
    return str(inputs["statementId"])


def _statements(account: Account, function: str) -> list[Any]:
    answer = if_found(account.client("lambda").get_policy, GONE, FunctionName=function)
    return list(json.loads(answer["Policy"])["Statement"]) if answer else []


def read_permission(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """The id is unique in its function alone, which the inputs tell; imports say FUNCTION/STATEMENT."""
    function, _, statement = id_.rpartition("/")
    function = str(inputs.get("function") or function)
    row = next((row for row in _statements(account, function) if row["Sid"] == statement), None)
    if row is None:
        return None
    condition, principal = row.get("Condition", {}), row["Principal"]
    given = {key.lower(): text for test in condition.values() for key, text in test.items()}
    return {
        "function": function,
        "statementId": row["Sid"],
        "action": row["Action"],
        "principal": principal if isinstance(principal, str) else next(iter(principal.values())),
        **present(sourceArn=given.get("aws:sourcearn"), sourceAccount=given.get("aws:sourceaccount")),
    }


def forbid(account: Account, id_: str, inputs: Properties) -> None:
    """The function stays."""
    call = account.client("lambda").remove_permission
    if_found(call, GONE, FunctionName=inputs["function"], StatementId=id_)


def list_permissions(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of every function."""
    for name in _names(account):
        yield from ((row["Sid"], {}) for row in _statements(account, name))


def find_permission(account: Account, inputs: Properties) -> str | None:
    """By its function and id."""
    return str(inputs["statementId"]) if read_permission(account, inputs["statementId"], inputs) else None


KINDS = (
    Kind(
        "aws:lambda/function:Function",
        create=create_function,
        read=read_function,
        update=update_function,
        delete=delete_function,
        list=list_functions,
        read_back=frozenset(
            [
                *PLAIN,
                *FIXED,
                *("environment", "imageUri", "name", "packageType", "reservedConcurrentExecutions", "tags"),
                "vpcConfig",
            ]
        ),
        computed=frozenset(["architectures", "ephemeralStorage", "tracingConfig"]),
        kept={
            "loggingConfig": "lost by CreateFunction and UpdateFunctionConfiguration",
        },
        replaces=frozenset(["name", "packageType", *FIXED]),
        unordered=frozenset(["architectures", "vpcConfig.subnetIds", "vpcConfig.securityGroupIds"]),
        defaults={"memorySize": 128, "reservedConcurrentExecutions": -1, "timeout": 3},
        name_input="name",
        tagged=True,
    ),
    Kind(
        "aws:lambda/permission:Permission",
        create=permit,
        read=read_permission,
        delete=forbid,
        list=list_permissions,
        find=find_permission,
        read_back=frozenset(["action", "function", "principal", "sourceAccount", "sourceArn", "statementId"]),
        replaces=frozenset(["action", "function", "principal", "sourceAccount", "sourceArn", "statementId"]),
        name_input="statementId",
    ),
)
