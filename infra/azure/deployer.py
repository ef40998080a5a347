"""Who deploys: GitHub's workflows, as managed identities that their tokens are exchanged for. No secrets."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pulumi
from pulumi_azure_native import authorization, managedidentity, resources

from infra.azure import rights
from infra.azure.identity import Identity
from infra.azure.keys import Key
from infra.azure.names import RESOURCE_GROUP, ROLE, Account, own
from infra.azure.policy import (
    ACCESS_ADMINISTRATOR,
    CLUSTER_ADMIN,
    CLUSTER_READER,
    CLUSTER_USER,
    CONTRIBUTOR,
    DNS_CONTRIBUTOR,
    READER,
    SECRETS_USER,
    built_in,
    grant,
    role,
)
from infra.azure.store import Store
from infra.context import Context
from infra.github import ISSUER, Repository
from infra.shape import DeployerArgs, Unsupported

AUDIENCE = "api://AzureADTokenExchange"
MOST = 20  # subjects that an identity can trust


class Deployer(pulumi.ComponentResource):
    """The plan identity looks; an apply identity changes the one resource group that its environment is in.

    `plan` and `apply` are the client ids that workflows name. A token is taken by its subject, exactly: Azure looks at
    no other claim, so which branch may run in an environment is GitHub's own rule alone, and the subject has to hold
    GitHub's numbers: the classic form is refused (docs/adr/0065). `providers` is the tenant, at which a token is
    exchanged, whoever shows it.
    """

    plan: pulumi.Output[str]
    apply: Mapping[str, pulumi.Output[str]]
    providers: Mapping[str, pulumi.Output[str]]

    def __init__(
        self,
        args: DeployerArgs,
        zone: str,
        certificates: Mapping[str, str],
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Deployer", "deployer", None, opts)
        _refuse_classic_subjects(args.repository)
        _refuse_missing(certificates, args.environments)
        self._args, self._zone, self._certificates, self._account, self._ctx = args, zone, certificates, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._state = own(Store, args.state)
        self._key = own(Key, args.key).resource
        groups = {environment: self._group(environment) for environment in args.environments}
        self._reads = self._role("state-reads", "Open secrets of stacks", data_actions=rights.KEY_DECRYPTS)
        self._uses = self._role("state-uses", "Seal and open secrets of stacks", data_actions=rights.KEY_USES)
        self._keeps = self._role("state-keeps", "Keep the state of stacks", data_actions=rights.STATE)
        self._beyond = self._beyond_groups(
            "beyond", "What an environment sets outside its resource group", rights.BEYOND
        )
        self.plan = self._planner(groups).client
        self.apply = {environment: self._applier(environment, group).client for environment, group in groups.items()}
        self.providers = dict.fromkeys(("plan", *args.environments), pulumi.Output.from_input(account.tenant))
        self.register_outputs({"plan": self.plan, "apply": self.apply, "providers": self.providers})

    def _group(self, environment: str) -> resources.ResourceGroup:
        """The group of an environment, empty; its own stack fills it."""
        ctx = replace(self._ctx, environment=environment)
        return resources.ResourceGroup(
            environment,
            resource_group_name=ctx.name("group", RESOURCE_GROUP),
            location=self._account.location,
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )

    def _planner(self, groups: Mapping[str, resources.ResourceGroup]) -> Identity:
        planner = self._identity("plan", self._args.repository.plan_subjects())
        self._args.state.grant_read(planner)
        self._grant(planner, "open", "state-key", self._reads, self._key)
        reader = built_in(READER, self._account)
        for environment, group in groups.items():
            self._grant(planner, "look", environment, reader, group.id)
            for name, cluster in (("find", CLUSTER_USER), ("read", CLUSTER_READER)):
                self._grant(planner, name, f"{environment}-cluster", built_in(cluster, self._account), group.id)
            self._grant(planner, "look", f"{environment}-certificate", reader, self._certificates[environment])
        self._grant(planner, "look", "account", reader, self._account.group_id)
        self._grant(planner, "look", "domain", reader, self._zone)
        looks = self._beyond_groups("beyond-looks", "What a plan reads outside resource groups", rights.BEYOND_READS)
        self._grant(planner, "look", "beyond", looks, self._subscription())
        return planner

    def _applier(self, environment: str, group: resources.ResourceGroup) -> Identity:
        """May change all that is in the group (Azure has no narrower role that makes each of its kinds), give the
        environment's own roles in it to workloads, and keep the environment's state."""
        ctx, name = replace(self._ctx, environment=environment), f"apply-{environment}"
        applier = self._identity(name, (self._args.repository.apply_subject(environment),))
        inside = replace(self._account, group=group.name, group_id=group.id)
        self._grant(applier, "change", environment, built_in(CONTRIBUTOR, self._account), group.id)
        self._grant(applier, "use", f"{environment}-cluster", built_in(CLUSTER_ADMIN, self._account), group.id)
        gives = role(
            f"{environment}-roles",
            "Make roles, and give them to workloads",
            actions=rights.ROLES,
            account=inside,
            ctx=self._ctx,
            parent=self,
        )
        grantable = rights.grantable(self._account, ctx)
        self._grant(applier, "give", f"{environment}-roles", gives, group.id, when=rights.gives_only(grantable))
        self._grant(applier, "change", f"{environment}-beyond", self._beyond, self._subscription())
        # Of a zone's records none is known here: the zone is the narrowest that there is.
        self._grant(applier, "publish", f"{environment}-domain", built_in(DNS_CONTRIBUTOR, self._account), self._zone)
        # The service's certificate is outside the group: on its one secret, the right to read it may be given.
        self._grant(
            applier,
            "give",
            f"{environment}-certificate",
            built_in(ACCESS_ADMINISTRATOR, self._account),
            self._certificates[environment],
            when=rights.gives_only([SECRETS_USER]),
        )
        when = rights.keeps_only(f"{self._ctx.project}/{environment}")
        self._grant(applier, "keep", f"{environment}-state", self._keeps, self._state.container, when=when)
        self._grant(applier, "use", f"{environment}-state-key", self._uses, self._key)
        return applier

    def _identity(self, name: str, subjects: Sequence[str]) -> Identity:
        if len(subjects) > MOST:
            raise Unsupported(f"azure: an identity trusts {MOST} subjects at most, {name} has {len(subjects)}.")
        identity = Identity(name, "workflow of GitHub", account=self._account, ctx=self._ctx, opts=self._child)
        trusted: list[pulumi.Resource] = []
        for number, subject in enumerate(subjects):
            trusted.append(
                managedidentity.FederatedIdentityCredential(
                    f"{name}-{number}",
                    federated_identity_credential_resource_name=f"github-{number}",
                    resource_group_name=self._account.group,
                    resource_name_=identity.id.apply(lambda id_: id_.rpartition("/")[2]),
                    issuer=ISSUER,
                    audiences=[AUDIENCE],
                    subject=subject,
                    # Azure refuses a second one of an identity while the first is under way: one after the other.
                    opts=pulumi.ResourceOptions(parent=self, depends_on=trusted[-1:]),
                )
            )
        return identity

    def _role(self, name: str, description: str, *, data_actions: Sequence[str]) -> pulumi.Output[str]:
        return role(name, description, data_actions=data_actions, account=self._account, ctx=self._ctx, parent=self)

    def _beyond_groups(self, name: str, description: str, actions: Sequence[str]) -> pulumi.Output[str]:
        """The little that an environment sets outside its group: records of flows, scans, the trail of the account."""
        return authorization.RoleDefinition(
            name,
            role_definition_id=self._account.made_id(self._ctx, "role", name),
            role_name=self._ctx.unique_name(name, ROLE),
            role_type="CustomRole",
            description=description,
            scope=self._subscription(),
            assignable_scopes=[self._subscription()],
            permissions=[{"actions": list(actions), "data_actions": [], "not_actions": [], "not_data_actions": []}],
            opts=self._child,
        ).id

    def _subscription(self) -> str:
        return f"/subscriptions/{self._account.subscription}"

    def _grant(
        self,
        identity: Identity,
        verb: str,
        guarded: str,
        role_id: pulumi.Input[str],
        scope: pulumi.Input[str],
        *,
        when: str | None = None,
    ) -> None:
        grant(identity, verb, guarded, role_id, scope, when=when, account=self._account, ctx=self._ctx, parent=self)


def _refuse_classic_subjects(repository: Repository) -> None:
    """Azure compares issuer, subject and audience alone. A classic subject holds names, which others can get after us:
    nothing would tell their tokens from ours. Raises Unsupported."""
    if not repository.immutable_subjects:
        raise Unsupported(
            f"azure: tokens of {repository.owner}/{repository.name} have classic subjects, in which Azure cannot tell "
            "the repository from a later one of the same name; have GitHub issue immutable subjects to it, and set "
            "github.immutableSubjects to true."
        )


def _refuse_missing(certificates: Mapping[str, str], environments: Collection[str]) -> None:
    """Whoever deploys a service also lets it read its certificate. Raises Unsupported where none is named."""
    missing = [environment for environment in environments if environment not in certificates]
    if missing:
        raise Unsupported(
            f"azure: no certificate is named for {', '.join(missing)}; name the Key Vault secret of each environment "
            "as certificates in the section azure of the settings."
        )
