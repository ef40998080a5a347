"""What who deploys may do, as lists and conditions of Azure's access control. Pure."""

from collections.abc import Sequence

from infra.azure.names import Account
from infra.azure.policy import (
    ACR_PULL,
    BLOB_CONTRIBUTOR,
    BLOB_READER,
    KEY_ENCRYPTION_USER,
    QUEUE_SENDER,
    VAULT_CONTRIBUTOR,
)
from infra.context import Context

BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
KEYS = "Microsoft.KeyVault/vaults/keys"
ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"

KEY_DECRYPTS = (f"{KEYS}/read", f"{KEYS}/decrypt/action")
KEY_USES = (*KEY_DECRYPTS, f"{KEYS}/encrypt/action")
STATE = tuple(f"{BLOBS}/{action}" for action in ("read", "write", "add/action", "delete"))
ROLES = tuple(
    f"Microsoft.Authorization/{kind}/{verb}"
    for kind in ("roleAssignments", "roleDefinitions")
    for verb in ("read", "write", "delete")
)
BEYOND = (
    "Microsoft.Insights/diagnosticSettings/delete",
    "Microsoft.Insights/diagnosticSettings/read",
    "Microsoft.Insights/diagnosticSettings/write",
    "Microsoft.Network/networkWatchers/flowLogs/delete",
    "Microsoft.Network/networkWatchers/flowLogs/read",
    "Microsoft.Network/networkWatchers/flowLogs/write",
    "Microsoft.Network/networkWatchers/read",
    "Microsoft.Security/pricings/read",
    "Microsoft.Security/pricings/write",
)
# What a plan reads of the same, to see whether it is still as it was deployed.
BEYOND_READS = tuple(action for action in BEYOND if action.endswith("/read"))
# The roles that the parts of an environment give to its workloads: Azure's own, and ours by their names.
BUILT_IN = (ACR_PULL, BLOB_CONTRIBUTOR, BLOB_READER, KEY_ENCRYPTION_USER, QUEUE_SENDER, VAULT_CONTRIBUTOR)
OURS = (
    "api-calls",
    "api-eraser",
    "data-eraser",
    "data-writer",
    "models-writer",
    "predict-assign",
    "predict-deployer-retrain",
    "predict-encrypt",
    "predict-join",
    "retrain-doorbell",
    "retrain-run",
    "trainer-leave",
)


def grantable(account: Account, ctx: Context) -> tuple[str, ...]:
    """The ids of the roles that an environment gives."""
    return tuple(sorted((*BUILT_IN, *(account.made_id(ctx, "role", name) for name in OURS))))


def gives_only(roles: Sequence[str]) -> str:
    """Assignments may be made and taken away of these roles alone, and for workloads alone.

    Form: Microsoft, "Delegate Azure access management to others" (constrained by roles and principal types).
    """
    ids = ", ".join(roles)
    parts = (
        f"((!(ActionMatches{{'{ASSIGNMENTS}/{verb}'}})) OR "
        f"(@{source}[{ASSIGNMENTS}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{ids}}} AND "
        f"@{source}[{ASSIGNMENTS}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {{'ServicePrincipal'}}))"
        for verb, source in (("write", "Request"), ("delete", "Resource"))
    )
    return " AND ".join(parts)


def keeps_only(stack: str) -> str:
    """The state of one stack (`PROJECT/ENVIRONMENT`), where Pulumi keeps it in a bucket; others' is not to be read."""
    paths = [f".pulumi/stacks/{stack}.{end}" for end in ("json", "json.bak", "pulumi-tags")]
    paths += [f".pulumi/{kept}/{stack}/*" for kept in ("backups", "history", "journal")]
    paths += [f".pulumi/locks/organization/{stack}/*", ".pulumi/meta.yaml"]
    lists = f"ActionMatches{{'{BLOBS}/read'}} AND SubOperationMatches{{'Blob.List'}}"
    one_of = " OR ".join(f"@Resource[{BLOBS}:path] StringLike '{path}'" for path in paths)
    return f"(({lists}) OR ({one_of}))"
