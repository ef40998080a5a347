"""Who deploys: GitHub's workflows, as service accounts that their tokens are exchanged for. No keys."""

from collections.abc import Collection, Mapping

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp import trust
from infra.gcp.identity import Identity
from infra.gcp.names import POOL, Account
from infra.gcp.policy import role
from infra.gcp.rights import APPLY_ROLES, PLAN_PERMISSIONS, PLAN_ROLES, project_wide
from infra.github import ISSUER
from infra.shape import DeployerArgs, Unsupported

# What a stack's deployment reads and writes in the bucket of the state, and what it only reads.
STATE = (
    ".pulumi/stacks/{stack}.",
    ".pulumi/history/{stack}/",
    ".pulumi/backups/{stack}/",
    ".pulumi/journal/{stack}/",
    ".pulumi/locks/organization/{stack}/",
)
META = ".pulumi/meta.yaml"


class Deployer(pulumi.ComponentResource):
    """The plan identity reads; an apply identity changes the one project that its environment is in, and its state.

    `plan` and `apply` are service accounts; `providers` has, for `plan` and for each environment, what a workflow
    exchanges its token at.
    """

    plan: pulumi.Output[str]
    apply: Mapping[str, pulumi.Output[str]]
    providers: Mapping[str, pulumi.Output[str]]

    def __init__(
        self,
        args: DeployerArgs,
        projects: Mapping[str, str],
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Deployer", "deployer", None, opts)
        _apart(args.environments, projects, account.project)
        self._args, self._projects, self._account, self._ctx = args, projects, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._pool = gcp.iam.WorkloadIdentityPool(
            "github",
            workload_identity_pool_id=ctx.name("github", POOL),
            display_name="GitHub",
            description="Workflows that deploy",
            project=account.project,
            opts=self._child,
        )
        self.providers = {
            "plan": self._door("plan", trust.plans(args.repository), trust.PLANS),
            **{
                environment: self._door(environment, trust.applies(args.repository, environment, branch), trust.APPLIES)
                for environment, branch in args.environments.items()
            },
        }
        listing, why = ["storage.objects.list"], "See what there is in the bucket of the state"
        self._lists = role("state-list", listing, why, account=account, ctx=ctx, parent=self)
        self.plan = self._planner().id
        self.apply = {environment: self._applier(environment).id for environment in args.environments}
        self.register_outputs({"plan": self.plan, "apply": self.apply, "providers": self.providers})

    def _door(self, name: str, condition: str, deploys: str) -> pulumi.Output[str]:
        """Takes tokens that were made out to itself alone, and of these what the condition is true of."""
        return gcp.iam.WorkloadIdentityPoolProvider(
            name,
            workload_identity_pool_id=self._pool.workload_identity_pool_id,
            workload_identity_pool_provider_id=self._ctx.name(name, POOL),
            display_name=f"GitHub: {name}",
            project=self._account.project,
            attribute_condition=condition,
            attribute_mapping={"google.subject": trust.SUBJECT, "attribute.deploys": deploys},
            oidc={"issuer_uri": ISSUER},
            opts=self._child,
        ).name

    def _identity(self, name: str, deploys: str) -> Identity:
        identity = Identity(name, "workflow of GitHub", account=self._account, ctx=self._ctx, opts=self._child)
        gcp.serviceaccount.IAMMember(
            name,
            service_account_id=pulumi.Output.format(
                "projects/{0}/serviceAccounts/{1}", self._account.project, identity.id
            ),
            role="roles/iam.workloadIdentityUser",
            member=pulumi.Output.format(
                "principalSet://iam.googleapis.com/{0}/attribute.deploys/{1}/{2}",
                self._pool.name,
                str(self._args.repository.id),
                deploys,
            ),
            opts=self._child,
        )
        return identity

    def _planner(self) -> Identity:
        """Reads what is configured, the state and its secrets, and no data. A plan writes nothing, not even a lock."""
        identity, args = self._identity("plan", "plan"), self._args
        self._use_key(identity, "roles/cloudkms.cryptoKeyDecrypter")
        args.state.grant_read(identity)
        for environment, project in self._projects.items():
            reads = gcp.projects.IAMCustomRole(
                f"plan-{environment}",
                project=project,
                role_id=f"{self._ctx.project.replace('-', '')}plan",
                title=f"{self._ctx.project}: plan",
                description="What Google's roles for reading configuration leave out, or give with data",
                permissions=list(PLAN_PERMISSIONS),
                opts=self._child,
            )
            self._grant(identity, environment, "plan", reads.name)
            for what in PLAN_ROLES:
                self._grant(identity, environment, what.rpartition("/")[2], what)
        return identity

    def _applier(self, environment: str) -> Identity:
        """Changes what the parts are made of, in its project alone; it can grant the roles that they grant."""
        identity, args = self._identity(f"apply-{environment}", f"apply/{environment}"), self._args
        self._use_key(identity, "roles/cloudkms.cryptoKeyEncrypterDecrypter")
        stack = f"{self._ctx.project}/{environment}"
        for prefix in STATE:
            args.state.grant_read(identity, prefix.format(stack=stack))
            args.state.grant_write(identity, prefix.format(stack=stack))
        args.state.grant_read(identity, META)
        self._list_state(identity)
        for what in APPLY_ROLES:
            self._grant(identity, environment, what.rpartition("/")[2], what)
        grantable = project_wide(self._projects[environment], environment, self._ctx)
        self._grant(
            identity,
            environment,
            "grants",
            "roles/resourcemanager.projectIamAdmin",
            'api.getAttribute("iam.googleapis.com/modifiedGrantsByRole", []).hasOnly(['
            + ", ".join(f'"{one}"' for one in grantable)
            + "])",
        )
        return identity

    def _grant(
        self, identity: Identity, environment: str, name: str, what: pulumi.Input[str], when: str | None = None
    ) -> None:
        gcp.projects.IAMMember(
            f"{identity.workload}-{name}-in-{environment}",
            project=self._projects[environment],
            role=what,
            member=identity.principal,
            condition={"title": name, "expression": when} if when else None,
            opts=self._child,
        )

    def _list_state(self, identity: Identity) -> None:
        """The names of what is in the bucket: Pulumi looks there for stacks. Others' state is not to be read."""
        gcp.storage.BucketIAMMember(
            f"{identity.workload}-list-state",
            bucket=self._args.state.name,
            role=self._lists,
            member=identity.principal,
            opts=self._child,
        )

    def _use_key(self, identity: Identity, what: str) -> None:
        gcp.kms.CryptoKeyIAMMember(
            f"{identity.workload}-state",
            crypto_key_id=self._args.key.id,
            role=what,
            member=identity.principal,
            opts=self._child,
        )


def _apart(environments: Collection[str], projects: Mapping[str, str], own: str) -> None:
    """Roles are granted by project: what shares one cannot be kept apart, be it environments, or one of them and the
    project of the state and of these identities, which could then be taken on. Raises Unsupported."""
    missing = [environment for environment in environments if environment not in projects]
    if missing:
        raise Unsupported(
            f"gcp: no project is named for {', '.join(missing)}; name one for each environment as projects in the "
            "section gcp of the settings."
        )
    if len({projects[environment] for environment in environments}) < len(environments):
        raise Unsupported(
            "gcp: environments share a project, in which nothing keeps one's deployer from the other's resources; "
            "give each a project of its own, as projects in the section gcp of the settings."
        )
    shared = [environment for environment in environments if projects[environment] == own]
    if shared:
        raise Unsupported(
            f"gcp: {own} holds the state and the identities that deploy, and is the project of {shared[0]} too, whose "
            "deployer could take on every other's; give the account a project of its own, as project in the section "
            "gcp of the settings."
        )
