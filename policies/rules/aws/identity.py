"""Who may do what: policies, trust, keys that do not expire."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource, is_known, listed
from policies.rule import Rule, Verdict, fail
from policies.rules.aws.reading import (
    SAYS_NOTHING_OF_WHO,
    Statement,
    actions,
    conditions,
    each_statement,
    everywhere,
    open_to_all,
    setters,
)

ROLE = "aws:iam/role:Role"
IDENTITY_POLICIES = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy",
    ROLE,
)
ATTACHMENTS = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive",
    "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment",
    ROLE,
)
ADMINISTRATORS = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
RESOURCE_POLICIES = {
    "aws:sqs/queue:Queue": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
    "aws:sns/topic:Topic": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:efs/fileSystemPolicy:FileSystemPolicy": "policy",
    "aws:secretsmanager/secret:Secret": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
    "aws:backup/vaultPolicy:VaultPolicy": "policy",
    "aws:opensearch/domain:Domain": "accessPolicies",
    "aws:opensearch/domainPolicy:DomainPolicy": "accessPolicies",
    "aws:elasticsearch/domain:Domain": "accessPolicies",
    "aws:dynamodb/resourcePolicy:ResourcePolicy": "policy",
    "aws:cloudwatch/eventBusPolicy:EventBusPolicy": "policy",
    "aws:kinesis/resourcePolicy:ResourcePolicy": "policy",
}
ASSUME = ("sts:assumerole", "sts:*", "*")
BY_WEB = ("sts:assumerolewithwebidentity", "sts:assumerole*", "sts:*", "*")
# Pools of the public, told apart by their audience: a subject there is one person's.
BY_AUDIENCE = ("cognito-identity.amazonaws.com", "accounts.google.com", "www.amazon.com", "graph.facebook.com")
# Claims of GitHub's tokens that name a repository as the subject does.
BY_REPOSITORY = ("repository", "repository_id", "job_workflow_ref")
EXACT = ("stringequals", "stringlike", "stringequalsignorecase", "arnlike", "arnequals")


def _documents(resource: Resource) -> Iterator[str]:
    """The paths of the identity policies that a resource holds."""
    if resource.type == ROLE:
        yield from (f"inlinePolicies.{index}.policy" for index, _ in enumerate(listed(resource.get("inlinePolicies"))))
    else:
        yield "inlinePolicy" if "ssoadmin" in resource.type else "policy"


def _each(resource: Resource, judge: object) -> Iterator[Verdict]:
    for path in _documents(resource):
        yield from each_statement(resource, path, judge)  # type: ignore[arg-type]  # the judges below


def _by_tag(row: Statement) -> bool:
    """Whether a statement holds only for what carries a tag, or for what a service does on the caller's behalf."""
    return any("tag/" in key or key.startswith("aws:calledvia") for _, key, _ in conditions(row))


def _is_boundary(policy: Resource, graph: Graph) -> bool:
    """Whether a policy only limits what others grant."""
    return "boundary" in f"{policy.name} {policy.get('name', '')}".lower() or bool(
        setters(graph, policy, "permissionsBoundary", ROLE, "aws:iam/user:User")
    )


def _administrator(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if _is_boundary(resource, graph):
        return iter(())

    def judge(row: Statement) -> str:
        if not everywhere(row) or _by_tag(row):
            return ""
        if {"*", "*:*"} & set(actions(row)):
            return "It allows every action on every resource"
        return "It allows every action but a few on every resource" if "NotAction" in row else ""

    return _each(resource, judge)


def _whole_service(row: Statement) -> list[str]:
    return [action for action in actions(row) if action.endswith(":*") and action != "*:*"]


def _service(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if _is_boundary(resource, graph):
        return iter(())

    def judge(row: Statement) -> str:
        found = _whole_service(row)
        return (
            f"It allows {', '.join(found)} on every resource" if found and everywhere(row) and not _by_tag(row) else ""
        )

    return _each(resource, judge)


def _service_on_some(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if _is_boundary(resource, graph):
        return iter(())

    def judge(row: Statement) -> str:
        found = _whole_service(row)
        everything = {"*", "*:*"} & set(actions(row))
        if (found or everything or "NotAction" in row) and not everywhere(row):
            return f"It allows {', '.join(found) or 'every action'} where a few would do"
        return ""

    return _each(resource, judge)


def _pass_any(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if _is_boundary(resource, graph):
        return iter(())

    def judge(row: Statement) -> str:
        found = {"iam:passrole", "iam:pass*", *ASSUME[:2]} & set(actions(row))
        anywhere = "*" in listed(row.get("Resource")) or any(
            str(r).endswith(":role/*") for r in listed(row.get("Resource"))
        )
        bound = any(key not in SAYS_NOTHING_OF_WHO for _, key, _ in conditions(row))
        return f"It allows {', '.join(sorted(found))} for every role" if found and anywhere and not bound else ""

    return _each(resource, judge)


def _trust(resource: Resource, _: Graph) -> Iterator[Verdict]:
    def judge(row: Statement) -> str:
        return "Anybody with an account of any company may assume the role" if open_to_all(row) else ""

    return each_statement(resource, "assumeRolePolicy", judge)


def _attached(resource: Resource) -> Iterator[tuple[str, str | None]]:
    """(path, name) of the managed policies that a resource attaches; None for one that nobody knows yet."""
    for key in ("policyArn", "policyArns", "managedPolicyArns", "managedPolicyArn"):
        value = resource.get(key)
        for arn in listed(value):
            yield key, str(arn) if is_known(arn) else None


def _administrators(resource: Resource, _: Graph) -> Iterator[Verdict]:
    for path, arn in _attached(resource):
        if arn and ":aws:policy/" in arn and arn.rsplit("/", 1)[1] in ADMINISTRATORS:
            yield fail(f"It attaches {arn.rsplit('/', 1)[1]}.", path)


def _full_access(resource: Resource, _: Graph) -> Iterator[Verdict]:
    for path, arn in _attached(resource):
        name = (arn or "").rsplit("/", 1)[-1]
        if arn and ":aws:policy/" in arn and "FullAccess" in name and name not in ADMINISTRATORS:
            yield fail(f"It attaches {name}.", path)


def _static_key(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if resource.get("status") != "Inactive":
        yield fail("It is an access key that never expires.")


def _providers(row: Statement) -> list[str]:
    """The OpenID Connect providers that a trust statement admits, by the end of their names."""
    principal = row.get("Principal")
    names = [str(name) for name in listed(principal.get("Federated"))] if isinstance(principal, dict) else []
    web = bool(set(actions(row)) & set(BY_WEB))
    return [name for name in names if (web and ":saml-provider/" not in name) or ":oidc-provider/" in name]


def _claims(row: Statement, claim: str) -> list[str] | None:
    """The values to which a claim of the token is held; None where nothing holds it."""
    found = [
        value
        for operator, key, values in conditions(row)
        if operator.removeprefix("foranyvalue:") in EXACT and key.endswith(f":{claim}")
        for value in values
    ]
    return found or None


def _too_wide(subject: str) -> bool:
    """Whether a subject leaves open whose it is: which repository of GitHub, which namespace, which project."""
    parts = subject.split(":")
    if "*" not in subject and "?" not in subject:
        return False
    if len(parts) < 2:
        return True
    return any(mark in part for part in parts[:2] for mark in "*?") or subject.startswith("system:serviceaccount:*")


def _subject(resource: Resource, _: Graph) -> Iterator[Verdict]:
    def judge(row: Statement) -> str:
        if not _providers(row) or all(name.endswith(BY_AUDIENCE) for name in _providers(row)):
            return ""
        if any("*" not in value for claim in BY_REPOSITORY for value in _claims(row, claim) or []):
            return ""
        if any(operator.startswith("forallvalues:") for operator, _, _ in conditions(row)) and not _claims(row, "sub"):
            return "ForAllValues is true of a token without the claim, so every token of the issuer is admitted"
        subjects = _claims(row, "sub")
        if subjects is None:
            return "No condition holds the token's subject, so every token of the issuer is admitted"
        wide = [subject for subject in subjects if _too_wide(subject)]
        return f"The subject {wide[0]} leaves open whose token it is" if wide else ""

    return each_statement(resource, "assumeRolePolicy", judge)


def _loose(resource: Resource, _: Graph) -> Iterator[Verdict]:
    def judge(row: Statement) -> str:
        if not _providers(row):
            return ""
        if _claims(row, "aud") is None:
            return "No condition holds the token's audience"
        loose = [subject for subject in _claims(row, "sub") or [] if "*" in subject and not _too_wide(subject)]
        other = any(_claims(row, claim) for claim in ("ref", "environment", "job_workflow_ref"))
        return f"The subject {loose[0]} admits every branch and every pull request" if loose and not other else ""

    return each_statement(resource, "assumeRolePolicy", judge)


def _resource_policy(resource: Resource, _: Graph) -> Iterator[Verdict]:
    def judge(row: Statement) -> str:
        return "Its policy lets anybody in" if open_to_all(row) else ""

    return each_statement(resource, RESOURCE_POLICIES[resource.type], judge)


RULES = (
    Rule(
        "GW-AWS-040",
        "A policy must not allow everything",
        "critical",
        "Whoever gets hold of the identity owns the account: data, backups, audit trail and all.",
        "List the actions that the program calls and the ARNs that it calls them on.",
        ("AC-6", "AC-3"),
        IDENTITY_POLICIES,
        _administrator,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-041",
        "A policy must not allow a whole service on every resource",
        "high",
        "Reading one bucket does not need the right to delete every bucket, nor to change who may read them.",
        "List the actions in place of the star, and the ARNs in place of Resource *.",
        ("AC-6",),
        IDENTITY_POLICIES,
        _service,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-042",
        "A policy that names resources must name its actions, too",
        "medium",
        "The star holds deletion and changes of the resource's own policy, now and for actions yet to come.",
        "List the actions in place of the star.",
        ("AC-6",),
        IDENTITY_POLICIES,
        _service_on_some,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-043",
        "Who may pass on or assume roles must be told which",
        "high",
        "It hands the most powerful role of the account to a machine of its own, and is then that role.",
        "Name the roles' ARNs, and hold iam:PassedToService to the service that gets them.",
        ("AC-6", "AC-5"),
        IDENTITY_POLICIES,
        _pass_any,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-044",
        "Nobody unnamed may assume a role",
        "critical",
        "A trust in Principal * hands the role to every account of every company.",
        "Name the service or the role that assumes it; for another company's account add an sts:ExternalId.",
        ("AC-3", "AC-6", "IA-9"),
        (ROLE,),
        _trust,
    ),
    Rule(
        "GW-AWS-045",
        "No administrator's policy may be attached",
        "critical",
        "AdministratorAccess, PowerUserAccess and IAMFullAccess each suffice to take over the account.",
        "Attach a policy of your own with the actions and ARNs that the identity needs.",
        ("AC-6", "AC-2"),
        ATTACHMENTS,
        _administrators,
    ),
    Rule(
        "GW-AWS-046",
        "No FullAccess policy may be attached",
        "medium",
        "The managed FullAccess policies hold every action of a service on every resource of the account.",
        "Attach a policy of your own with the actions and ARNs that the identity needs.",
        ("AC-6",),
        ATTACHMENTS,
        _full_access,
        "advisory",
    ),
    Rule(
        "GW-AWS-047",
        "No access key may lie about",
        "high",
        "It is copied into files and logs and works until somebody notices.",
        "Let the workload assume a role: an instance or task role, pod identity, or OpenID Connect for CI.",
        ("AC-2", "IA-5"),
        ("aws:iam/accessKey:AccessKey",),
        _static_key,
    ),
    Rule(
        "GW-AWS-048",
        "A trust in an issuer must name whose tokens it takes",
        "critical",
        "An issuer such as GitHub or a cluster signs tokens for all its users; without a subject each of them gets in.",
        "Add StringEquals on the issuer's :sub with the exact subject, and on :aud; no ForAllValues, no star.",
        ("AC-3", "IA-9", "SA-9"),
        (ROLE,),
        _subject,
    ),
    Rule(
        "GW-AWS-049",
        "A trust in an issuer must name the exact subject and the audience",
        "medium",
        "Any branch, or any pull request of somebody who may open one, deploys with the role.",
        "Name the environment or branch in the subject and sts.amazonaws.com as the audience, both by StringEquals.",
        ("AC-3", "IA-9"),
        (ROLE,),
        _loose,
        "advisory",
    ),
    Rule(
        "GW-AWS-050",
        "Nobody unnamed may use data, messages, images or secrets",
        "critical",
        "A Principal of * without a condition about the caller opens the queue, topic, image or secret to everybody.",
        "Name the principals, or add a condition on aws:SourceArn, aws:SourceAccount or aws:PrincipalOrgID.",
        ("AC-3", "AC-6"),
        tuple(RESOURCE_POLICIES),
        _resource_policy,
    ),
)
