"""Who deploys: GitHub's workflows, by their OpenID Connect tokens, as roles of this account. No keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pulumi
import pulumi_aws as aws

from infra.aws.names import POLICY, ROLE, Account
from infra.aws.policy import Condition, Statement, allow, document, grant
from infra.aws.reach import Reach, looks
from infra.context import Context
from infra.github import ISSUER
from infra.shape import DeployerArgs

AUDIENCE = "sts.amazonaws.com"
HOUR = 3600
# What AWS itself keeps for those who look and change nothing; neither opens what data or secrets hold.
LOOKS = ("SecurityAudit", "job-function/ViewOnlyAccess")


@dataclass
class Deploying:
    """A role that workflows take on."""

    workload: str
    id: pulumi.Output[str]
    principal: pulumi.Output[str]


class Deployer(pulumi.ComponentResource):
    """One role that looks, for plans, and one for each environment, that changes this environment alone.

    A token must be for AWS, and name the repository by its number too, which no later owner of its name has. What
    changes an environment must also run in it, from the branch that is deployed to it. A plan takes no lock, as it
    writes no state: its role cannot write at all.
    """

    plan: pulumi.Output[str]
    apply: Mapping[str, pulumi.Output[str]]

    def __init__(
        self,
        args: DeployerArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Deployer", "deployer", None, opts)
        self._args, self._account, self._ctx = args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        github = aws.iam.OpenIdConnectProvider(
            "github", url=ISSUER, client_id_lists=[AUDIENCE], tags=ctx.tags, opts=self._child
        )
        self._issuer = github.arn
        self.plan = self._plan().principal
        self.apply = {environment: self._apply(environment).principal for environment in args.environments}
        self.register_outputs({"plan": self.plan, "apply": self.apply})

    def _plan(self) -> Deploying:
        planner = self._role("plan", {"sub": list(self._args.repository.plan_subjects())})
        self._args.state.grant_read(planner)
        grant(planner, "look", "environments", looks(self._account, self._ctx.project), parent=self)
        self._use_key(planner, "kms:Decrypt")
        return planner

    def _apply(self, environment: str) -> Deploying:
        repository = self._args.repository
        claims = {
            "sub": repository.apply_subject(environment),
            "environment": environment,
            "ref": f"refs/heads/{self._args.environments[environment]}",
        }
        deployer = self._role(f"apply-{environment}", claims)
        ctx = replace(self._ctx, environment=environment)
        reach = Reach(ctx, self._account, shared=self._args.key.id)
        boundary = aws.iam.Policy(
            f"{environment}-boundary",
            name=ctx.name("boundary", POLICY),
            description=f"What no role of {environment} reaches beyond",
            policy=document(*reach.named(), *reach.tagged(), *reach.handed_on()),
            tags=self._ctx.tags,
            opts=self._child,
        )
        grant(deployer, "change", environment, [*reach.named(), *reach.tagged(), *reach.names()], parent=self)
        grant(deployer, "change", f"{environment}-roles", reach.roles(boundary.arn), parent=self)
        grant(deployer, "write", f"{environment}-state", self._state(environment), parent=self)
        self._use_key(deployer, "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
        return deployer

    def _role(self, name: str, claims: Mapping[str, str | list[str]]) -> Deploying:
        asked = {"aud": AUDIENCE, "repository_id": str(self._args.repository.id), **claims}
        when: Condition = {"StringEquals": {f"{ISSUER.removeprefix('https://')}:{key}": asked[key] for key in asked}}
        trust = allow(["sts:AssumeRoleWithWebIdentity"], None, principal={"Federated": self._issuer}, when=when)
        role = aws.iam.Role(
            name,
            name=self._ctx.name(name, ROLE),
            description=f"{self._ctx.project}: what workflows {name} as",
            assume_role_policy=document(trust),
            max_session_duration=HOUR,
            tags=self._ctx.tags,
            opts=self._child,
        )
        for policy in LOOKS:
            aws.iam.RolePolicyAttachment(
                f"{name}-{policy.rpartition('/')[2]}",
                role=role.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=self._child,
            )
        return Deploying(name, role.name, role.arn)

    def _use_key(self, identity: Deploying, *actions: str) -> None:
        """The key of the state, which encrypts the secrets in it and in the settings."""
        grant(identity, "use", "state-key", [allow(actions, [self._args.key.id])], parent=self)

    def _state(self, environment: str) -> list[Statement]:
        """The state of one environment, where Pulumi keeps it in a bucket; others' is not even to be read."""
        stack = f"{self._ctx.project}/{environment}"
        own = [f"stacks/{stack}.{end}" for end in ("json", "json.bak", "pulumi-tags")]
        own += [f"{kept}/{stack}/*" for kept in ("backups", "history", "journal")] + [f"locks/organization/{stack}/*"]
        objects = self._objects([f".pulumi/{path}" for path in own])
        bucket = pulumi.Output.concat("arn:aws:s3:::", self._args.state.name)
        return [
            allow(["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], objects),
            allow(["s3:GetObject"], self._objects([".pulumi/meta.yaml"])),
            allow(["s3:ListBucket"], [bucket]),
        ]

    def _objects(self, paths: Sequence[str]) -> list[pulumi.Output[str]]:
        return [pulumi.Output.concat("arn:aws:s3:::", self._args.state.name, "/", path) for path in paths]
