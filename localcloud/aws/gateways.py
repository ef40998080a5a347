"""API Gateway v2: HTTP APIs, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.account import Account
from localcloud.aws.calls import all_of, changed, if_found, retag, to_cloud, to_wire
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "NotFoundException"
OF_API = ("corsConfiguration", "description", "disableExecuteApiEndpoint", "name", "protocolType", "version")
LEFT_OUT: dict[str, Any] = {"Description": "", "DisableExecuteApiEndpoint": False, "Version": ""}
OF_STAGE = (
    *("accessLogSettings", "autoDeploy", "defaultRouteSettings", "description", "name", "stageVariables"),
    "tags",
)


def _arn(account: Account, path: str) -> str:
    return f"arn:{account.partition}:apigateway:{account.region}::{path}"


def _execution(account: Account, api: str) -> str:
    return f"arn:{account.partition}:execute-api:{account.region}:{account.account_id}:{api}"


def _said(inputs: Properties, names: Iterable[str]) -> dict[str, Any]:
    said: dict[str, Any] = to_cloud({name: inputs[name] for name in names if name in inputs})
    return said


def create_api(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the one that API Gateway gives."""
    return str(account.client("apigatewayv2").create_api(Tags=tags, **_said(inputs, OF_API))["ApiId"])


def read_api(account: Account, id_: str, _: Properties) -> Properties | None:
    """One call tells all."""
    about = if_found(account.client("apigatewayv2").get_api, GONE, ApiId=id_)
    if about is None:
        return None
    return {
        **to_wire({key: about[key] for name in OF_API if (key := name[:1].upper() + name[1:]) in about}),
        "arn": _arn(account, f"/apis/{id_}"),
        "apiEndpoint": about["ApiEndpoint"],
        "executionArn": _execution(account, id_),
        "tags": about.get("Tags", {}),
    }


def update_api(account: Account, id_: str, old: Properties, new: Properties) -> None:
    """An API that is given no rules for browsers keeps those that it has, so that they are deleted."""
    client = account.client("apigatewayv2")
    names = [name for name in OF_API if name != "protocolType"]
    if changed(old, new, *names):
        client.update_api(ApiId=id_, **{**LEFT_OUT, **_said(new, names)})
    if old.get("corsConfiguration") and not new.get("corsConfiguration"):
        client.delete_cors_configuration(ApiId=id_)
    arn = _arn(account, f"/apis/{id_}")
    retag(
        old,
        new,
        lambda tags: client.tag_resource(ResourceArn=arn, Tags=tags),
        lambda names: client.untag_resource(ResourceArn=arn, TagKeys=names),
    )


def delete_api(account: Account, id_: str, _: Properties) -> None:
    """With all that it is made of."""
    if_found(account.client("apigatewayv2").delete_api, GONE, ApiId=id_)


def list_apis(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of the region."""
    for row in all_of(account.client("apigatewayv2"), "get_apis", "Items"):
        yield row["ApiId"], row.get("Tags", {})


def create_stage(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the stage's name."""
    said = _said(inputs, [name for name in OF_STAGE if name not in ("name", "stageVariables", "tags")])
    account.client("apigatewayv2").create_stage(
        ApiId=inputs["apiId"],
        StageName=inputs["name"],
        StageVariables=inputs.get("stageVariables", {}),
        Tags=tags,
        **said,
    )
    return str(inputs["name"])


def read_stage(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """A stage is told by its API's id, which the inputs say; imports say API/STAGE."""
    api, _, name = id_.rpartition("/")
    api = str(inputs.get("apiId") or api)
    about = if_found(account.client("apigatewayv2").get_stage, GONE, ApiId=api, StageName=name)
    if about is None:
        return None
    wire = to_wire({key: it for key, it in about.items() if key not in ("StageVariables", "Tags")})
    at = f"https://{api}.execute-api.{account.region}.amazonaws.com/"
    return {
        **{key: wire[key] for key in OF_STAGE if key in wire},
        "name": name,
        "apiId": api,
        "stageVariables": about.get("StageVariables", {}),
        "arn": _arn(account, f"/apis/{api}/stages/{name}"),
        "executionArn": f"{_execution(account, api)}/{name}",
        "invokeUrl": at if name == "$default" else at + name,
        "tags": about.get("Tags", {}),
    }


def delete_stage(account: Account, id_: str, inputs: Properties) -> None:
    """The API stays."""
    if_found(account.client("apigatewayv2").delete_stage, GONE, ApiId=inputs["apiId"], StageName=id_)


def list_stages(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of every API."""
    client = account.client("apigatewayv2")
    for api, _ in list_apis(account):
        for row in all_of(client, "get_stages", "Items", ApiId=api):
            yield row["StageName"], row.get("Tags", {})


@dataclass(frozen=True)
class _Part:
    """What kinds of parts of an API share: integrations, authorizers and routes.

    word: in the operations' names. spelling: input → API Gateway's name. same_key: what tells parts of an API apart.
    more: outputs that API Gateway does not tell.
    """

    word: str
    spelling: Mapping[str, str]
    same_key: Callable[[Properties], Any]
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.word.capitalize()}Id"

    def _call(self, account: Account, verb: str, **said: Any) -> Any:
        return getattr(account.client("apigatewayv2"), f"{verb}_{self.word}")(**said)

    def _said(self, inputs: Properties) -> dict[str, Any]:
        given = {cloud: inputs[name] for name, cloud in self.spelling.items() if name in inputs}
        spelled = {cloud: to_cloud(it, {"audiences": "Audience"}) for cloud, it in given.items()}
        return {"ApiId": inputs["apiId"], **spelled}

    def _wire(self, about: dict[str, Any]) -> Properties:
        told = {name: about[cloud] for name, cloud in self.spelling.items() if cloud in about}
        return {name: to_wire(it, {"Audience": "audiences"}) for name, it in told.items()}

    def create(self, account: Account, inputs: Properties, _: Tags) -> str:
        """The id is the one that API Gateway gives."""
        return str(self._call(account, "create", **self._said(inputs))[self.key])

    def read(self, account: Account, id_: str, inputs: Properties) -> Properties | None:
        """A part is told by its API's id, which the inputs say; imports say API/PART."""
        api, _, own = id_.rpartition("/")
        api = str(inputs.get("apiId") or api)
        about = if_found(lambda: self._call(account, "get", **{"ApiId": api, self.key: own}), GONE)
        return about and {"apiId": api, **self.more, **self._wire(about)}

    def update(self, account: Account, id_: str, _: Properties, new: Properties) -> None:
        """A part is written whole."""
        self._call(account, "update", **{self.key: id_, **self._said(new)})

    def delete(self, account: Account, id_: str, inputs: Properties) -> None:
        """The API stays."""
        if_found(lambda: self._call(account, "delete", **{"ApiId": inputs["apiId"], self.key: id_}), GONE)

    def _rows(self, account: Account, api: str) -> list[Any]:
        listed = partial(all_of, account.client("apigatewayv2"), f"get_{self.word}s", "Items")
        return if_found(listed, GONE, ApiId=api) or []

    def list(self, account: Account) -> Iterator[tuple[str, Tags]]:
        """Of every API."""
        for api, _ in list_apis(account):
            yield from ((row[self.key], {}) for row in self._rows(account, api))

    def find(self, account: Account, inputs: Properties) -> str | None:
        """By what tells parts of an API apart."""
        try:
            found = self._rows(account, inputs["apiId"])
        except ClientError as error:  # the emulator knows no GetAuthorizers
            if error.response["Error"]["Code"] not in ("500", "NotImplemented"):
                raise
            return None
        wanted = self.same_key(inputs)
        return next((row[self.key] for row in found if self.same_key(self._wire(row)) == wanted), None)


def _part(token: str, part: _Part, *, replaces: tuple[str, ...] = (), listed: bool = True, **marks: Any) -> Kind:
    return Kind(
        token,
        create=part.create,
        read=part.read,
        update=part.update,
        delete=part.delete,
        list=part.list if listed else None,
        find=part.find,
        read_back=frozenset(["apiId", *part.spelling]),
        replaces=frozenset(["apiId", *replaces]),
        **marks,
    )


KINDS = (
    Kind(
        "aws:apigatewayv2/api:Api",
        create=create_api,
        read=read_api,
        update=update_api,
        delete=delete_api,
        list=list_apis,
        read_back=frozenset([*OF_API, "tags"]),
        replaces=frozenset(["protocolType"]),
        unordered=frozenset(f"corsConfiguration.allow{what}" for what in ("Headers", "Methods", "Origins")),
        name_input="name",
        tagged=True,
    ),
    Kind(
        "aws:apigatewayv2/stage:Stage",
        create=create_stage,
        read=read_stage,
        delete=delete_stage,
        list=list_stages,
        # the emulator ends UpdateStage in a 500 and TagResource in a 404; AWS changes all but the name in place
        read_back=frozenset(["apiId", *OF_STAGE]),
        replaces=frozenset(["apiId", *OF_STAGE]),
        name_input="name",
        tagged=True,
        delete_before_replace=True,
    ),
    _part(
        "aws:apigatewayv2/integration:Integration",
        _Part(
            "integration",
            {
                "description": "Description",
                "integrationMethod": "IntegrationMethod",
                "integrationType": "IntegrationType",
                "integrationUri": "IntegrationUri",
                "payloadFormatVersion": "PayloadFormatVersion",
                "timeoutMilliseconds": "TimeoutInMillis",
            },
            lambda inputs: (inputs["integrationType"], inputs.get("integrationUri")),
            {"integrationResponseSelectionExpression": ""},
        ),
        replaces=("integrationType",),
        computed=frozenset(["integrationMethod", "timeoutMilliseconds"]),
        defaults={"payloadFormatVersion": "1.0"},
    ),
    _part(
        "aws:apigatewayv2/authorizer:Authorizer",
        _Part(
            "authorizer",
            {
                "authorizerType": "AuthorizerType",
                "identitySources": "IdentitySource",
                "jwtConfiguration": "JwtConfiguration",
                "name": "Name",
            },
            lambda inputs: inputs["name"],
        ),
        replaces=("authorizerType",),
        unordered=frozenset(["identitySources", "jwtConfiguration.audiences"]),
        listed=False,
    ),
    _part(
        "aws:apigatewayv2/route:Route",
        _Part(
            "route",
            {
                "authorizationScopes": "AuthorizationScopes",
                "authorizationType": "AuthorizationType",
                "authorizerId": "AuthorizerId",
                "routeKey": "RouteKey",
                "target": "Target",
            },
            lambda inputs: inputs["routeKey"],
        ),
        unordered=frozenset(["authorizationScopes"]),
        defaults={"authorizationType": "NONE"},
    ),
)
