"""Buckets (containers in storage accounts), each with a purpose."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pulumi
from pulumi_azure_native import monitor, resources, storage

from infra.azure.keys import Key
from infra.azure.names import CONTAINER, DIAGNOSTICS, LOCK, STORAGE_ACCOUNT, Account, own
from infra.azure.policy import BLOB_READER, built_in, grant, role
from infra.azure.regions import PAIRS
from infra.context import Context, joined
from infra.shape import Identity, Purpose, StoreArgs, Unsupported

BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
REMOVES = ("delete", "deleteBlobVersion/action")  # a blob, which leaves a version; and a version
RECOVERY_DAYS = 30  # for so long a deleted object can be brought back
# Three zones; and three zones with a copy in the region that Azure pairs with this one, to be read from there.
ZONES, PAIRED = "Standard_ZRS", "Standard_RAGZRS"


class Door(Protocol):
    """What opens a private endpoint of a network."""

    def door(self, name: str, resource: pulumi.Input[str], kind: str, *, parent: pulumi.Resource) -> pulumi.Resource:
        """A private endpoint to one kind of service of a resource."""


@dataclass(frozen=True)
class Ages:
    """Days until an object moves to a colder class, until it goes, and until an overwritten version goes."""

    colder: dict[str, int]
    gone: int | None
    overwritten_gone: int


AGES: dict[str, Ages] = {
    "data": Ages({"tier_to_cool": 90}, None, 90),
    "models": Ages({"tier_to_cool": 90}, None, 365),
    "logs": Ages({"tier_to_cool": 30, "tier_to_cold": 90}, 400, 30),
    "flows": Ages({"tier_to_cool": 30, "tier_to_cold": 90}, 400, 30),
    "audit": Ages({"tier_to_cool": 30, "tier_to_cold": 90}, 2555, 30),  # seven years
    "state": Ages({}, None, 90),
}


class Store(pulumi.ComponentResource):
    """A private bucket: versioned, encrypted with a customer-managed key, reached over TLS with a token alone.

    Old versions go in the end. With `locked_days` nobody can change or delete an object before its time. It has a
    storage account of its own, as keys, locks, copies and networks are an account's business. Only the state of the
    stacks is reached from outside the network (docs/adr/0040).
    """

    name: pulumi.Output[str]
    account: pulumi.Output[str]
    container: pulumi.Output[str]

    def __init__(
        self,
        purpose: Purpose | Literal["flows"],
        args: StoreArgs,
        door: Door | None,
        replica_location: str | None,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Store", purpose, None, opts)
        if purpose == "logs" and args.locked_days:
            raise Unsupported(
                "azure: the bucket of the access logs cannot be locked, as on no cloud; leave out locked_days there "
                "and lock the bucket 'audit'."
            )
        self.purpose, self._args, self._account, self._ctx = purpose, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._writer: pulumi.Output[str] | None = None
        self._eraser: pulumi.Output[str] | None = None
        bucket = private_account(
            purpose,
            own(Key, args.key),
            sku=_sku(args, account.location, replica_location),
            locked=bool(args.locked_days),
            public=purpose == "state",
            account=account,
            ctx=ctx,
            parent=self,
        )
        self.name, self.account = bucket.name, bucket.id
        service = self._keep()
        self.container = storage.BlobContainer(
            purpose,
            container_name=joined((purpose,), CONTAINER),
            account_name=bucket.name,
            resource_group_name=account.group,
            public_access=storage.PublicAccess.NONE,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable, depends_on=[service]),
        ).id
        self._record(service)
        if args.locked_days:
            self._lock(args.locked_days)
        if door:
            door.door(purpose, bucket.id, "blob", parent=self)
        self.register_outputs({"name": self.name, "account": self.account, "container": self.container})

    def uri(self, prefix: str = "") -> pulumi.Output[str]:
        """`https://ACCOUNT.blob.core.windows.net/CONTAINER/prefix`; for the state, what `pulumi login` takes."""
        if self.purpose == "state":
            return pulumi.Output.concat("azblob://", self.purpose, "?storage_account=", self.name)
        return pulumi.Output.concat("https://", self.name, ".blob.core.windows.net/", self.purpose, "/", prefix)

    def copy_uri(self, prefix: str = "") -> None:
        """The account's copy in the paired region is Azure's own: what is erased here goes there too."""

    def grant_read(self, identity: Identity, prefix: str = "") -> None:
        """Let it list and read what lies under the prefix."""
        self._grant(identity, "read", prefix, built_in(BLOB_READER, self._account), _reads_under(prefix))

    def grant_write(self, identity: Identity, prefix: str = "") -> None:
        """Let it put objects under the prefix. Azure's own roles that write also delete: this one does not."""
        if self._writer is None:
            self._writer = role(
                f"{self.purpose}-writer",
                f"Put objects into {self.purpose}; neither read nor delete them",
                data_actions=[f"{BLOBS}/write", f"{BLOBS}/add/action"],
                account=self._account,
                ctx=self._ctx,
                parent=self,
            )
        self._grant(identity, "write", prefix, self._writer, _writes_under(prefix))

    def grant_erase(self, identity: Identity, prefix: str) -> None:
        """Let it list and remove blobs under the prefix, with all versions and snapshots."""
        if self._eraser is None:
            self._eraser = role(
                f"{self.purpose}-eraser",
                f"Remove objects of {self.purpose} with all their versions",
                data_actions=[f"{BLOBS}/read", *(f"{BLOBS}/{action}" for action in REMOVES)],
                account=self._account,
                ctx=self._ctx,
                parent=self,
            )
        self._grant(identity, "erase", prefix, self._eraser, _erases_under(prefix))

    def _grant(self, identity: Identity, verb: str, prefix: str, role_id: pulumi.Input[str], when: str) -> None:
        guarded = f"{self.purpose}-{prefix.strip('/')}" if prefix else self.purpose
        grant(
            identity,
            verb,
            guarded,
            role_id,
            self.container,
            when=when if prefix else None,
            account=self._account,
            ctx=self._ctx,
            parent=self,
        )

    def _keep(self) -> storage.BlobServiceProperties:
        """What becomes of objects in time."""
        deleted: storage.DeleteRetentionPolicyArgsDict = {"enabled": True, "days": RECOVERY_DAYS}
        # People's data: what is erased is not kept for a month all the same. Versions stand against mistakes.
        erased: storage.DeleteRetentionPolicyArgsDict = {"enabled": False} if self._args.kept_days else deleted
        service = storage.BlobServiceProperties(
            self.purpose,
            account_name=self.name,
            resource_group_name=self._account.group,
            blob_services_name="default",
            is_versioning_enabled=True,
            change_feed={"enabled": True, "retention_in_days": 90},
            delete_retention_policy=erased,
            container_delete_retention_policy=deleted,
            opts=self._child,
        )
        ages = AGES[self.purpose]
        storage.ManagementPolicy(
            self.purpose,
            account_name=self.name,
            resource_group_name=self._account.group,
            management_policy_name="default",
            policy={"rules": [*_rules(ages), *_kept(self.purpose, self._args.kept_days)]},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[service]),
        )
        return service

    def _record(self, service: storage.BlobServiceProperties) -> None:
        """Where it is written down who came for the objects."""
        if not self._args.logs_to:
            return
        monitor.DiagnosticSetting(
            self.purpose,
            name=self._ctx.name(f"{self.purpose}-access", DIAGNOSTICS),
            resource_uri=service.id,
            storage_account_id=own(Store, self._args.logs_to).account,
            logs=[{"category": name, "enabled": True} for name in ("StorageRead", "StorageWrite", "StorageDelete")],
            opts=self._child,
        )

    def _lock(self, days: int) -> None:
        """Hold every object of the account for so many days; Azure's services may append to their logs meanwhile.

        Azure takes no policy that is locked at birth: a template makes it, then locks it (docs/adr/0041). It is on
        the account, as Azure makes a container of its own for the audit trail.
        """
        states = ["Unlocked"] if self._ctx.disposable else ["Unlocked", "Locked"]
        resources.Deployment(
            f"{self.purpose}-lock",
            deployment_name=self._ctx.name(f"{self.purpose}-lock", LOCK),
            resource_group_name=self._account.group,
            properties={
                "mode": resources.DeploymentMode.INCREMENTAL,
                "parameters": {"account": {"value": self.name}},
                "template": _locking(days, states, self._account.location),
            },
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )


def private_account(
    name: str,
    key: Key,
    *,
    sku: str,
    kind: str = "StorageV2",
    locked: bool = False,
    public: bool = False,
    account: Account,
    ctx: Context,
    parent: pulumi.Resource,
) -> storage.StorageAccount:
    """A storage account without shared keys, public objects or (but for the state) a way in from outside.

    Azure's own services come in to deliver logs, by the trust of the subscription.
    """
    files = kind == "FileStorage"  # it knows no tiers, and keeps nothing but files
    return storage.StorageAccount(
        name,
        account_name=ctx.unique_name(name, STORAGE_ACCOUNT),
        resource_group_name=account.group,
        location=account.location,
        kind=kind,
        sku={"name": sku},
        access_tier=None if files else storage.AccessTier.HOT,
        minimum_tls_version="TLS1_2",
        enable_https_traffic_only=True,
        allow_blob_public_access=False,
        allow_shared_key_access=False,
        allow_cross_tenant_replication=False,
        default_to_o_auth_authentication=True,
        is_local_user_enabled=False,
        public_network_access="Enabled" if public else "Disabled",
        network_rule_set={
            "default_action": storage.DefaultAction.ALLOW if public else storage.DefaultAction.DENY,
            "bypass": "AzureServices",
        },
        identity={"type": "UserAssigned", "user_assigned_identities": [key.user.id]},
        encryption=_encryption(key, files=files),
        immutable_storage_with_versioning={"enabled": True} if locked else None,
        tags=ctx.tags,
        opts=pulumi.ResourceOptions(parent=parent, protect=not ctx.disposable),
    )


def _encryption(key: Key, *, files: bool) -> storage.EncryptionArgsDict:
    """With our key, twice; tables and queues too, which Azure would leave with its own."""
    service: storage.EncryptionServiceArgsDict = {"enabled": True, "key_type": "Account"}
    return {
        "key_source": "Microsoft.Keyvault",
        "key_vault_properties": {"key_vault_uri": key.vault_uri, "key_name": key.name},
        "encryption_identity": {"encryption_user_assigned_identity": key.user.id},
        "require_infrastructure_encryption": True,
        "services": {"file": service}
        if files
        else {"blob": service, "file": service, "queue": service, "table": service},
    }


def _sku(args: StoreArgs, location: str, replica: str | None) -> str:
    """Three zones, or these with a copy in the paired region. Raises Unsupported if the copy is wanted elsewhere."""
    if not args.replicated:
        return ZONES
    if replica is None or PAIRS.get(location) != replica:
        paired = PAIRS.get(location)
        what = f"set azure.replicaLocation to {paired}" if paired else "choose a location that has a pair"
        raise Unsupported(f"azure: {location} keeps its copies in {paired or 'no other region'}; {what}.")
    return PAIRED


def _rules(ages: Ages) -> list[Any]:
    """Lifecycle rules. Azure moves no append blobs, which is what its services log to: they only go."""
    gone = {"days_after_creation_greater_than": ages.overwritten_gone}
    after = "days_after_modification_greater_than"
    rules = [_rule("overwritten", ["blockBlob"], {"version": {"delete": gone}, "snapshot": {"delete": gone}})]
    if ages.colder:
        colder = {to: {after: days} for to, days in ages.colder.items()}
        rules.append(_rule("colder", ["blockBlob"], {"base_blob": colder}))
    if ages.gone:
        rules.append(_rule("gone", ["blockBlob", "appendBlob"], {"base_blob": {"delete": {after: ages.gone}}}))
    return rules


def _kept(container: str, kept_days: Mapping[str, int]) -> list[Any]:
    """What lies under a prefix goes after so many days; a version counts its own days from when it was written."""
    rules = []
    for prefix, days in sorted(kept_days.items()):
        gone = {"delete": {"days_after_creation_greater_than": days}}
        actions = {"base_blob": gone, "version": gone, "snapshot": gone}
        name = f"kept-{prefix.strip('/').replace('/', '-')}"
        rules.append(_rule(name, ["blockBlob"], actions, [f"{container}/{prefix}"]))
    return rules


def _rule(name: str, kinds: list[str], actions: dict[str, Any], prefixes: list[str] | None = None) -> dict[str, Any]:
    filters = {"blob_types": kinds, **({"prefix_match": prefixes} if prefixes else {})}
    definition = {"actions": actions, "filters": filters}
    return {"name": name, "type": "Lifecycle", "enabled": True, "definition": definition}


def _reads_under(prefix: str) -> str:
    """The condition of Azure's access control: reading is by the object's path, listing by the prefix asked for."""
    reads, lists = f"ActionMatches{{'{BLOBS}/read'}}", "SubOperationMatches{'Blob.List'}"
    return (
        f"((!({reads} AND NOT {lists})) OR (@Resource[{BLOBS}:path] StringLike '{prefix}*')) AND "
        f"((!({reads} AND {lists})) OR (@Request[{BLOBS}:prefix] StringLike '{prefix}*'))"
    )


def _erases_under(prefix: str) -> str:
    """Removing is by the object's path as well; a listing of versions is the listing of blobs."""
    removes = " OR ".join(f"ActionMatches{{'{BLOBS}/{action}'}}" for action in REMOVES)
    return f"{_reads_under(prefix)} AND ((!({removes})) OR (@Resource[{BLOBS}:path] StringLike '{prefix}*'))"


def _writes_under(prefix: str) -> str:
    actions = " OR ".join(f"ActionMatches{{'{BLOBS}/{action}'}}" for action in ("write", "add/action"))
    return f"((!({actions})) OR (@Resource[{BLOBS}:path] StringLike '{prefix}*'))"


def _locking(days: int, states: list[str], location: str) -> dict[str, Any]:
    """A template that brings the policy of a storage account through its states, one after the other."""
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    name = "[parameters('account')]"
    steps: list[dict[str, Any]] = []
    for state in states:
        policy = {
            "immutabilityPeriodSinceCreationInDays": days,
            "allowProtectedAppendWrites": True,
            "state": state,
        }
        account = {
            "type": "Microsoft.Storage/storageAccounts",
            "apiVersion": "2024-01-01",
            "name": name,
            "location": location,
            "properties": {"immutableStorageWithVersioning": {"enabled": True, "immutabilityPolicy": policy}},
        }
        parameters = {"account": {"type": "string"}}
        steps.append(
            {
                "type": "Microsoft.Resources/deployments",
                "apiVersion": "2024-03-01",
                "name": f"audit-{state.lower()}",
                "dependsOn": [step["name"] for step in steps],
                "properties": {
                    "mode": "Incremental",
                    "expressionEvaluationOptions": {"scope": "inner"},
                    "parameters": {"account": {"value": name}},
                    "template": {
                        "$schema": schema,
                        "contentVersion": "1.0.0.0",
                        "parameters": parameters,
                        "resources": [account],
                    },
                },
            }
        )
    return {
        "$schema": schema,
        "contentVersion": "1.0.0.0",
        "parameters": {"account": {"type": "string"}},
        "resources": steps,
    }
