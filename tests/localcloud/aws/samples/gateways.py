"""Samples of API Gateway v2."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS

LAMBDA = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/"
ISSUER = "https://issuer.example.com"


def gateways(account: Account) -> Any:
    return account.client("apigatewayv2")


def change_api(**said: Any) -> Behind:
    return lambda a, i, _: gateways(a).update_api(ApiId=i, **said)


def change(word: str, **said: Any) -> Behind:
    def write(account: Account, made: str, outputs: Any) -> None:
        where = {"ApiId": outputs["apiId"], f"{word.capitalize()}Id": made}
        getattr(gateways(account), f"update_{word}")(**where, **said)

    return write


def token(audience: str) -> dict[str, Any]:
    return {"issuer": ISSUER, "audiences": [audience]}


SAMPLES = {
    "api": Sample(
        "aws:apigatewayv2/api:Api",
        {
            "name": "predict",
            "description": "Predictions",
            "protocolType": "HTTP",
            "version": "1",
            "corsConfiguration": {"allowOrigins": ["https://example.com"], "maxAge": 60},
            "tags": TAGS,
        },
        changes={
            "description": "changed",
            "version": None,
            "disableExecuteApiEndpoint": True,
            "corsConfiguration": None,
            "tags": OTHER_TAGS,
        },
        behind={
            "description": change_api(Description="x"),
            "version": change_api(Version="x"),
            "disableExecuteApiEndpoint": change_api(DisableExecuteApiEndpoint=True),
            "corsConfiguration": change_api(CorsConfiguration={"AllowOrigins": ["*"]}),
            "tags": lambda a, _, outputs: gateways(a).tag_resource(ResourceArn=outputs["arn"], Tags={"added": "1"}),
        },
    ),
    "stage": Sample(
        "aws:apigatewayv2/stage:Stage",
        {
            "apiId": Ref("api"),
            "name": "$default",
            "autoDeploy": True,
            "description": "all calls",
            "accessLogSettings": {"destinationArn": Ref("log-group", "arn"), "format": '{"id": "$context.requestId"}'},
            "defaultRouteSettings": {
                "throttlingRateLimit": 5,
                "throttlingBurstLimit": 10,
                "detailedMetricsEnabled": True,
            },
            "stageVariables": {"Release": "1"},
            "tags": TAGS,
        },
    ),
    "integration": Sample(
        "aws:apigatewayv2/integration:Integration",
        {
            "apiId": Ref("api"),
            "integrationType": "AWS_PROXY",
            "integrationUri": f"{LAMBDA}a/invocations",
            "integrationMethod": "POST",
            "payloadFormatVersion": "2.0",
            "timeoutMilliseconds": 10000,
            "description": "the function",
        },
        changes={
            "integrationUri": f"{LAMBDA}b/invocations",
            "integrationMethod": "GET",
            "payloadFormatVersion": "1.0",
            "timeoutMilliseconds": 5000,
            "description": "changed",
        },
        behind={
            "integrationUri": change("integration", IntegrationUri=f"{LAMBDA}x/invocations"),
            "integrationMethod": change("integration", IntegrationMethod="PUT"),
            "payloadFormatVersion": change("integration", PayloadFormatVersion="1.0"),
            "timeoutMilliseconds": change("integration", TimeoutInMillis=50),
            "description": change("integration", Description="x"),
        },
    ),
    "authorizer": Sample(
        "aws:apigatewayv2/authorizer:Authorizer",
        {
            "apiId": Ref("api"),
            "name": "callers",
            "authorizerType": "JWT",
            "identitySources": ["$request.header.Authorization"],
            "jwtConfiguration": token("predict"),
        },
        changes={
            "name": "others",
            "identitySources": ["$request.header.Token"],
            "jwtConfiguration": token("other"),
        },
        behind={
            "name": change("authorizer", Name="x"),
            "identitySources": change("authorizer", IdentitySource=["$request.querystring.token"]),
            "jwtConfiguration": change("authorizer", JwtConfiguration={"Audience": ["x"], "Issuer": ISSUER}),
        },
    ),
    "api-route": Sample(
        "aws:apigatewayv2/route:Route",
        {
            "apiId": Ref("api"),
            "routeKey": "POST /predict",
            "target": "integrations/<<integration.id>>",
            "authorizationType": "JWT",
            "authorizerId": Ref("authorizer"),
            "authorizationScopes": ["predict"],
        },
        changes={
            "routeKey": "PUT /predict",
            "target": "integrations/other",
            "authorizationType": "NONE",
            "authorizerId": "other",
            "authorizationScopes": ["predict", "more"],
        },
        behind={
            "routeKey": change("route", RouteKey="$default"),
            "target": change("route", Target="integrations/x"),
            "authorizationType": change("route", AuthorizationType="NONE"),
            "authorizerId": change("route", AuthorizerId="x"),
            "authorizationScopes": change("route", AuthorizationScopes=["x"]),
        },
    ),
}
