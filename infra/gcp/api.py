"""The app without a server of its own: a gateway (API Gateway), a function (Cloud Run), a table (Firestore)."""

import base64
import hashlib
import json
import math

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.identity import Identity
from infra.gcp.keys import Key
from infra.gcp.names import DATABASE, GATEWAY, RUN_SERVICE, Account
from infra.gcp.openapi import document
from infra.gcp.policy import own, role
from infra.gcp.watch import Log
from infra.shape import ApiArgs
from infra.shape import Identity as AnIdentity

SECONDS = 10  # that a call may take, a cold start included
CPU, MEMORY = "1", "1Gi"
AT_ONCE = 8  # calls that one copy of the function answers at the same time
COLLECTION = "calls"
EXPIRES = "expires"  # of a call: from when on Firestore removes it (app/calls.py)
HASHED = 8  # hexadecimal characters of what the gateway is told, in its configuration's name: that cannot be altered


class Api(pulumi.ComponentResource):
    """`/predict` for callers with a token, throttled; each call is stored in a table until it `EXPIRES`.

    The function runs in the private network: it reaches storage and table, and no way leads to the internet. It has
    an address of its own, but answers the gateway alone.
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
        super().__init__("groundwork:gcp:Api", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._key = own(args.container.key, Key)
        self._kept = self._table()
        self.table = self._kept.name
        self.calls = pulumi.Output.format("firestore://{0}/{1}/{2}", account.project, self.table, COLLECTION)
        self._expiry()
        self.url = pulumi.Output.concat("https://", self._gateway(self._function()).default_hostname)
        self.register_outputs({"url": self.url, "table": self.table})

    def _table(self) -> gcp.firestore.Database:
        disposable = self._ctx.disposable
        return gcp.firestore.Database(
            self._name,
            name=self._ctx.name(self._name, DATABASE),
            project=self._account.project,
            location_id=self._account.region,
            type="FIRESTORE_NATIVE",
            cmek_config={"kms_key_name": self._key.id},
            point_in_time_recovery_enablement="POINT_IN_TIME_RECOVERY_ENABLED",
            delete_protection_state="DELETE_PROTECTION_DISABLED" if disposable else "DELETE_PROTECTION_ENABLED",
            deletion_policy="DELETE" if disposable else "ABANDON",
            opts=pulumi.ResourceOptions(
                parent=self, protect=not disposable, depends_on=[self._key.open_to("firestore")]
            ),
        )

    def _expiry(self) -> None:
        """Firestore removes a document within a day of its time; an index of times would be one busy spot."""
        gcp.firestore.Field(
            self._name,
            project=self._account.project,
            database=self.table,
            collection=COLLECTION,
            field=EXPIRES,
            ttl_config={},
            index_config={},
            opts=self._child,
        )

    def _function(self) -> gcp.cloudrunv2.Service:
        container, account = self._args.container, self._account
        variables = {**container.environment, "CALLS": self.calls, "CALLS_DAYS": str(self._args.kept_days)}
        full_name = self._ctx.name(self._name, RUN_SERVICE)
        written = f'resource.type="cloud_run_revision" AND resource.labels.service_name="{full_name}"'
        log = Log(self._name, self._key, written, account=account, ctx=self._ctx, opts=self._child)
        return gcp.cloudrunv2.Service(
            self._name,
            name=full_name,
            description="One prediction a call",
            project=account.project,
            location=account.region,
            ingress="INGRESS_TRAFFIC_ALL",  # the gateway is outside of every network; IAM keeps everyone else out
            deletion_protection=False,  # it holds no data
            template={
                "containers": [
                    {
                        "image": container.image.uri,
                        "args": list(container.command),
                        "envs": [{"name": key, "value": variables[key]} for key in sorted(variables)],
                        "resources": {
                            "limits": {"cpu": CPU, "memory": MEMORY},
                            "cpu_idle": True,
                            "startup_cpu_boost": True,
                        },
                    }
                ],
                "scaling": {"min_instance_count": 0, "max_instance_count": self._copies()},
                "max_instance_request_concurrency": AT_ONCE,
                "timeout": f"{SECONDS}s",
                "service_account": container.runs_as.id,
                "encryption_key": self._key.id,
                "execution_environment": "EXECUTION_ENVIRONMENT_GEN2",
                "vpc_access": {
                    "egress": "ALL_TRAFFIC",
                    "network_interfaces": [
                        {
                            "network": container.network.id,
                            "subnetwork": container.network.subnets[0],
                            "tags": [container.network.members],
                        }
                    ],
                },
            },
            labels=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log, self._key.open_to("run"), self._grant_store()]),
        )

    def _copies(self) -> int:
        """One call takes well under a second: so many copies are what one caller may ask for, however it bursts."""
        return max(2, math.ceil(self._args.callers.per_minute / 60 / AT_ONCE) + 1)

    def _grant_store(self) -> pulumi.Resource:
        """Let the function add calls to the one database; it may neither read nor change nor delete them."""
        add = ["datastore.entities.create"]
        return self._grant(self._args.container.runs_as, "store", add, "Store calls, and nothing else")

    def grant_erase(self, identity: AnIdentity) -> None:
        """Let it find and remove a call by its id."""
        remove = ["datastore.entities.delete", "datastore.entities.get"]
        self._grant(identity, "erase", remove, "Remove calls, whose ids somebody knows")

    def _grant(self, identity: AnIdentity, verb: str, permissions: list[str], why: str) -> pulumi.Resource:
        """A role of its own, on this one database."""
        account, ctx = self._account, self._ctx
        granted = role(f"{self._name}-{verb}", permissions, why, account=account, ctx=ctx, parent=self)
        database = pulumi.Output.format("projects/{0}/databases/{1}", account.project, self.table)
        return gcp.projects.IAMMember(
            f"{identity.workload}-{verb}s-{self._name}",
            project=account.project,
            role=granted,
            member=identity.principal,
            condition={
                "title": f"database of {self._name}",
                "expression": pulumi.Output.format('resource.name == "{0}"', database),
            },
            opts=self._child,
        )

    def _gateway(self, function: gcp.cloudrunv2.Service) -> gcp.apigateway.Gateway:
        name, account, ctx = self._name, self._account, self._ctx
        caller = Identity(f"{name}-gateway", "gateway", account=account, ctx=ctx, opts=self._child)
        may_call = gcp.cloudrunv2.ServiceIamMember(
            f"{name}-gateway",
            project=account.project,
            location=account.region,
            name=function.name,
            role="roles/run.invoker",
            member=caller.principal,
            opts=self._child,
        )
        api = gcp.apigateway.Api(
            name,
            api_id=ctx.name(name, GATEWAY),
            display_name=f"{ctx.project} {ctx.environment} {name}",
            project=account.project,
            labels=ctx.tags,
            opts=self._child,
        )
        gcp.projects.Service(  # or else the gateway knows the key of no caller
            name,
            project=account.project,
            service=api.managed_service,
            disable_on_destroy=False,  # it goes with the API
            opts=self._child,
        )
        config = self._config(api, caller, may_call)
        return gcp.apigateway.Gateway(
            name,
            gateway_id=ctx.name(name, GATEWAY),
            display_name=f"{ctx.project} {ctx.environment} {name}",
            api_config=config.id,
            project=account.project,
            region=account.region,
            labels=ctx.tags,
            opts=self._child,
        )

    def _config(self, api: gcp.apigateway.Api, caller: Identity, may_call: pulumi.Resource) -> gcp.apigateway.ApiConfig:
        """What the gateway is told. It cannot be changed: what says something else has another name."""
        name, account, ctx = self._name, self._account, self._ctx
        told = json.dumps(document(ctx.name(name, GATEWAY), self._address(), self._args.callers, SECONDS), indent=1)
        mark = hashlib.sha256(told.encode()).hexdigest()[:HASHED]
        return gcp.apigateway.ApiConfig(
            name,
            api=api.api_id,
            api_config_id=ctx.name(f"{name}-{mark}", GATEWAY),
            display_name=f"{ctx.project} {ctx.environment} {name}",
            project=account.project,
            openapi_documents=[
                {"document": {"path": "openapi.json", "contents": base64.b64encode(told.encode()).decode()}}
            ],
            gateway_config={"backend_config": {"google_service_account": caller.id}},
            labels=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may_call]),
        )

    def _address(self) -> str:
        """Where the function answers: Cloud Run makes the name of a service, project and region."""
        service = self._ctx.name(self._name, RUN_SERVICE)
        return f"https://{service}-{self._account.number}.{self._account.region}.run.app"
