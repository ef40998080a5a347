"""The app without a server of its own: a gateway (API Gateway), a function per call (Lambda), a table (DynamoDB)."""

import json
import math

import pulumi
import pulumi_aws as aws

from infra.aws.names import FUNCTION, GATEWAY, TABLE, Account
from infra.aws.policy import Statement, allow, document, grant
from infra.aws.watch import Log
from infra.context import Context
from infra.shape import ApiArgs, Callers, Identity

ROUTE = "POST /predict"
SECONDS = 10  # that a call may take, a cold start included
MEMORY_MIB = 1024
EXPIRES = "expires"  # of a call: from when on DynamoDB removes it (app/calls.py)
ACCESS = {  # what the gateway writes down of each call; never the token, never the body
    "requestId": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "from": "$context.identity.sourceIp",
    "who": "$context.authorizer.claims.sub",
    "path": "$context.path",
    "method": "$context.httpMethod",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "error": "$context.error.message",
}


class Api(pulumi.ComponentResource):
    """`/predict` for callers with a token, throttled; each call is stored in a table until it `EXPIRES`.

    The function runs in the private network: it reaches storage and table, and no way leads to the internet.
    """

    url: pulumi.Output[str]
    table: pulumi.Output[str]
    calls: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: ApiArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Api", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._kept = self._table()
        self.table, self.calls = self._kept.name, pulumi.Output.concat("dynamodb://", self._kept.name)
        self.url = self._gateway(self._function()).api_endpoint
        self.register_outputs({"url": self.url, "table": self.table})

    def grant_erase(self, identity: Identity) -> None:
        """Let it remove a call from the table by its id."""
        grant(identity, "erase", self._name, self._on_table("dynamodb:DeleteItem"), parent=self)

    def _table(self) -> aws.dynamodb.Table:
        return aws.dynamodb.Table(
            self._name,
            name=self._ctx.name(self._name, TABLE),
            billing_mode="PAY_PER_REQUEST",
            hash_key="id",
            attributes=[{"name": "id", "type": "S"}],
            ttl={"attribute_name": EXPIRES, "enabled": True},
            server_side_encryption={"enabled": True, "kms_key_arn": self._args.container.key.id},
            point_in_time_recovery={"enabled": True},
            deletion_protection_enabled=not self._ctx.disposable,
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not self._ctx.disposable),
        )

    def _function(self) -> aws.lambda_.Function:
        container, name = self._args.container, self._name
        variables = {**container.environment, "CALLS": self.calls, "CALLS_DAYS": str(self._args.kept_days)}
        log = Log(name, container.key, ctx=self._ctx, opts=self._child)
        grants = [
            log.grant_write(container.runs_as),
            grant(container.runs_as, "store", name, self._on_table("dynamodb:PutItem"), parent=self),
            grant(container.runs_as, "join", f"{name}-network", self._joining(), parent=self),
            self._opened_registry(),
        ]
        return aws.lambda_.Function(
            name,
            name=self._ctx.name(name, FUNCTION),
            description="One prediction a call",
            package_type="Image",
            image_uri=container.image.uri,
            image_config={"commands": list(container.command)} if container.command else None,
            role=container.runs_as.principal,
            timeout=SECONDS,
            memory_size=MEMORY_MIB,
            # One call takes well under a second: so many at once are what the callers may ask for.
            reserved_concurrent_executions=_per_second(self._args.callers) + 1,
            environment={"variables": variables},
            kms_key_arn=container.key.id,
            vpc_config={"subnet_ids": container.network.subnets, "security_group_ids": [container.network.members]},
            logging_config={"log_format": "JSON", "log_group": log.name},
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=grants),
        )

    def _on_table(self, action: str) -> list[Statement]:
        """One action on the one table, which DynamoDB encrypts with our key on its caller's behalf."""
        through = {"StringEquals": {"kms:ViaService": f"dynamodb.{self._account.region}.amazonaws.com"}}
        key_use = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
        return [
            allow([action], [self._kept.arn]),
            allow(key_use, [self._args.container.key.id], when=through),
        ]

    def _joining(self) -> list[Statement]:
        """What Lambda, as this identity, needs to join the network; the function's own code is denied it."""
        interfaces = [
            self._account.arn("ec2", f"{kind}/*") for kind in ("network-interface", "security-group", "subnet")
        ]
        actions = [
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:UnassignPrivateIpAddresses",
        ]
        # Looking at networks is not to be had for one alone: EC2 knows no narrower resource for it.
        looking = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
        function = self._account.arn("lambda", f"function:{self._ctx.name(self._name, FUNCTION)}")
        own_code: Statement = {
            "Effect": "Deny",
            "Action": [*actions, *looking],
            "Resource": ["*"],  # denying has no narrower form
            "Condition": {"ArnEquals": {"lambda:SourceFunctionArn": function}},
        }
        return [allow(actions, interfaces), allow(looking, ["*"]), own_code]

    def _opened_registry(self) -> pulumi.Resource:
        """Lambda itself fetches the image, and not as the function's identity."""
        functions = self._account.arn("lambda", f"function:{self._ctx.name(self._name, FUNCTION)}")
        statement = allow(
            ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            None,
            principal={"Service": "lambda.amazonaws.com"},
            when={"StringEquals": {"aws:SourceAccount": self._account.id}, "ArnEquals": {"aws:SourceArn": functions}},
            sid="FunctionsOfThisApi",
        )
        url = self._args.container.image.registry.url
        return aws.ecr.RepositoryPolicy(
            self._name,
            repository=url.apply(lambda text: text.partition("/")[2]),  # HOST/REPOSITORY
            policy=document(statement),
            opts=self._child,
        )

    def _gateway(self, function: aws.lambda_.Function) -> aws.apigatewayv2.Api:
        name, callers = self._name, self._args.callers
        api = aws.apigatewayv2.Api(
            name,
            name=self._ctx.name(name, GATEWAY),
            description="Predictions, for callers with a token",
            protocol_type="HTTP",
            tags=self._ctx.tags,
            opts=self._child,
        )
        authorizer = aws.apigatewayv2.Authorizer(
            name,
            name=self._ctx.name(name, GATEWAY),
            api_id=api.id,
            authorizer_type="JWT",
            identity_sources=["$request.header.Authorization"],
            jwt_configuration={"issuer": callers.issuer, "audiences": [callers.audience]},
            opts=self._child,
        )
        integration = aws.apigatewayv2.Integration(
            name,
            api_id=api.id,
            integration_type="AWS_PROXY",
            integration_uri=function.invoke_arn,
            payload_format_version="2.0",
            timeout_milliseconds=1000 * SECONDS,
            opts=self._child,
        )
        route = aws.apigatewayv2.Route(
            name,
            api_id=api.id,
            route_key=ROUTE,
            target=pulumi.Output.concat("integrations/", integration.id),
            authorization_type="JWT",
            authorizer_id=authorizer.id,
            opts=self._child,
        )
        self._stage(api, route)
        aws.lambda_.Permission(
            name,
            function=function.name,
            action="lambda:InvokeFunction",
            principal="apigateway.amazonaws.com",
            source_arn=pulumi.Output.concat(api.execution_arn, "/*/", ROUTE.replace(" ", "")),
            opts=self._child,
        )
        return api

    def _stage(self, api: aws.apigatewayv2.Api, route: aws.apigatewayv2.Route) -> None:
        log = Log(f"{self._name}-access", self._args.container.key, ctx=self._ctx, opts=self._child)
        rate = _per_second(self._args.callers)
        aws.apigatewayv2.Stage(
            self._name,
            api_id=api.id,
            name="$default",
            auto_deploy=True,
            default_route_settings={
                "throttling_rate_limit": rate,
                "throttling_burst_limit": 2 * rate,
                "detailed_metrics_enabled": True,
            },
            access_log_settings={"destination_arn": log.arn, "format": json.dumps(ACCESS)},
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[route]),
        )


def _per_second(callers: Callers) -> int:
    """The gateway counts by the second, and all callers together."""
    return math.ceil(callers.per_minute / 60)
