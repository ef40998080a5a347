"""Who may call the service: whoever has a token of the callers' own issuer, and nobody without one."""

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.identity import Identity
from infra.gcp.names import POOL, Account
from infra.shape import Callers

ATTRIBUTE = "calls"  # what a federated caller is marked with: the service that it may call


class Admission(pulumi.ComponentResource):
    """A service account that stands for all callers of one service.

    Cloud Run believes Google's tokens alone. A caller trades the token of its own issuer at Google's token
    service, which asks for the right audience, for an ID token of this account, and may do nothing else as it.
    """

    principal: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        callers: Callers,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Admission", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        stands_in = Identity(f"{name}-caller", "caller's machine", account=account, ctx=ctx, opts=child)
        pool = gcp.iam.WorkloadIdentityPool(
            name,
            workload_identity_pool_id=ctx.name(f"{name}-callers", POOL),
            description=f"{ctx.project} {ctx.environment}: who may call {name}",
            project=account.project,
            opts=child,
        )
        gcp.iam.WorkloadIdentityPoolProvider(
            name,
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id=ctx.name(f"{name}-issuer", POOL),
            project=account.project,
            attribute_mapping={"google.subject": "assertion.sub", f"attribute.{ATTRIBUTE}": f"'{name}'"},
            oidc={"issuer_uri": callers.issuer, "allowed_audiences": [callers.audience]},
            opts=child,
        )
        gcp.serviceaccount.IAMMember(
            name,
            service_account_id=pulumi.Output.format("projects/{0}/serviceAccounts/{1}", account.project, stands_in.id),
            role="roles/iam.serviceAccountOpenIdTokenCreator",
            member=pulumi.Output.format(
                "principalSet://iam.googleapis.com/projects/{0}/locations/global/workloadIdentityPools/{1}/attribute.{2}/{3}",
                account.number,
                pool.workload_identity_pool_id,
                ATTRIBUTE,
                name,
            ),
            opts=child,
        )
        self.principal = stands_in.principal
        self.register_outputs({"principal": self.principal})
