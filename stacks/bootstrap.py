"""What belongs to a whole account of a cloud, not to an environment: where stacks keep their state, and who deploys."""

import pulumi

from infra.parts import Cloud
from infra.shape import DeployerArgs, Exchange, StoreArgs
from stacks.settings import BootstrapSettings


class Bootstrap(pulumi.ComponentResource):
    """The bucket and the key of the stacks' state, and the identities of continuous delivery.

    `outputs` has on each cloud the same keys: `state` (`url`, `key`) and `deployer`, what workflows log in with. There
    `plan` and `apply` (by environment) are whom they log in as (AWS: a role's ARN; GCP: a service account; Azure: a
    client id), and `providers` (by `plan` and environment) where they exchange their token (AWS: that role itself;
    GCP: a provider's full name; Azure: a tenant's id).
    """

    def __init__(self, settings: BootstrapSettings, cloud: Cloud, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:stacks:Bootstrap", f"bootstrap-{cloud.name}", None, opts)
        parts = cloud.parts(parent=self)
        key = parts.key("state")
        state = parts.store("state", StoreArgs(key))
        deployer = parts.deployer(DeployerArgs(settings.repository, settings.environments, state, key))
        itself = {"plan": deployer.plan, **deployer.apply}
        self.outputs = {
            "state": {"url": state.uri(), "key": key.id},
            "deployer": {
                "plan": deployer.plan,
                "apply": dict(deployer.apply),
                "providers": dict(deployer.providers if isinstance(deployer, Exchange) else itself),
            },
        }
        self.register_outputs(self.outputs)
