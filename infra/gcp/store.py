"""Buckets (Cloud Storage), each with a purpose."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.keys import DAY, Key
from infra.gcp.names import BUCKET, Account
from infra.gcp.policy import own, role
from infra.shape import Identity, Purpose, StoreArgs, Unsupported

ABANDONED_UPLOAD_DAYS = 7
RECOVERABLE_DAYS = 7  # what was deleted for good can be had back for so long
ACCESS_LOGS = "access/"  # where in the bucket of the logs the other buckets' access logs lie
ACCESS_LOGGER = "group:cloud-storage-analytics@google.com"  # Cloud Storage's own, which delivers access logs

# Two regions of one continent make a bucket of both: what Cloud Storage calls the continent, and Cloud KMS.
CONTINENTS = {"asia": ("ASIA", "asia"), "europe": ("EU", "europe"), "us": ("US", "us")}


@dataclass(frozen=True)
class Ages:
    """Days until an object moves to a colder class, until it goes, and until an overwritten version goes."""

    colder: dict[str, int]
    gone: int | None
    overwritten_gone: int


AGES: dict[Purpose, Ages] = {
    "data": Ages({"NEARLINE": 90}, None, 90),
    "models": Ages({"NEARLINE": 90}, None, 365),
    "logs": Ages({"NEARLINE": 30, "COLDLINE": 90}, 400, 30),
    "audit": Ages({"NEARLINE": 30, "COLDLINE": 90}, 2555, 30),  # seven years
    "state": Ages({}, None, 365),
}


class Store(pulumi.ComponentResource):
    """A private bucket: versioned, encrypted with a customer-managed key, with no access but by IAM.

    Old versions move to colder classes and go in the end. With `locked_days` nobody can change or delete an
    object before its time, so that there are no versions to keep. Only a disposable environment's bucket is
    emptied when it is destroyed. A replicated one lies in two regions under one name (docs/adr/0030).
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        purpose: Purpose,
        args: StoreArgs,
        replica_region: str | None = None,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Store", purpose, None, opts)
        _refuse_locked_logs(purpose, args)
        self.purpose, self._args, self._account, self._ctx = purpose, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._replaces: pulumi.Output[str] | None = None
        self._erases: pulumi.Output[str] | None = None
        key, place = own(args.key, Key), _Place(account.region, None)
        if args.replicated:
            place, location = _two_regions(account.region, replica_region)
            key = key.spanning(location)
        logs = own(args.logs_to, Store) if args.logs_to else None
        final = ctx.disposable or args.kept_days  # people's data: what is erased is not kept for a week all the same
        bucket = gcp.storage.Bucket(
            purpose,
            name=ctx.unique_name(purpose, BUCKET),
            project=account.project,
            location=place.location,
            custom_placement_config={"data_locations": list(place.regions)} if place.regions else None,
            rpo="ASYNC_TURBO" if place.regions else None,
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            encryption={"default_kms_key_name": key.id},
            versioning={"enabled": not args.locked_days},  # Cloud Storage refuses versions beside a retention policy
            retention_policy=_retention(args.locked_days, ctx),
            soft_delete_policy={"retention_duration_seconds": 0 if final else RECOVERABLE_DAYS * DAY},
            lifecycle_rules=_lifecycle(AGES[purpose], args.kept_days, versioned=not args.locked_days),
            logging={"log_bucket": logs.name, "log_object_prefix": f"{ACCESS_LOGS}{purpose}"} if logs else None,
            force_destroy=ctx.disposable,
            labels=ctx.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=not ctx.disposable,
                depends_on=[key.open_to("storage"), *(logs.deliveries if logs else [])],
            ),
        )
        self.name = bucket.name
        self.deliveries: list[pulumi.Resource] = [self._take_access_logs()] if purpose == "logs" else []
        self.register_outputs({"name": self.name})

    def uri(self, prefix: str = "") -> pulumi.Output[str]:
        """`gs://bucket/prefix`, as Google's own clients write it."""
        return pulumi.Output.concat("gs://", self.name, "/", prefix)

    def copy_uri(self, prefix: str = "") -> None:
        """A bucket of two regions is one bucket: what is erased is erased in both."""

    def grant_read(self, identity: Identity, prefix: str = "") -> None:
        """Let it list and read what lies under the prefix."""
        self._grant(identity, "read", "roles/storage.objectViewer", prefix, lists=True)

    def grant_write(self, identity: Identity, prefix: str = "") -> None:
        """Let it put objects under the prefix.

        To put an object where one is takes the permission to delete it, which Google's roles give with more: what
        was there stays as a version. In a locked bucket nothing can be replaced, and nothing of it is granted.
        """
        self._grant(identity, "write", "roles/storage.objectCreator", prefix)
        if not self._args.locked_days:
            self._grant(identity, "replace", self._role_to_replace(), prefix)

    def grant_erase(self, identity: Identity, prefix: str) -> None:
        """Let it list and remove every generation under the prefix."""
        if self._erases is None:
            self._erases = role(
                f"{self.purpose}-erase",
                ["storage.objects.delete", "storage.objects.list"],
                "Remove objects with all their versions",
                account=self._account,
                ctx=self._ctx,
                parent=self,
            )
        self._grant(identity, "erase", self._erases, prefix, lists=True)

    def _grant(
        self, identity: Identity, verb: str, what: pulumi.Input[str], prefix: str, *, lists: bool = False
    ) -> None:
        guarded = f"{self.purpose}-{prefix.strip('/')}" if prefix else self.purpose
        gcp.storage.BucketIAMMember(
            f"{identity.workload}-{verb}-{guarded}",
            bucket=self.name,
            role=what,
            member=identity.principal,
            condition=self._under(prefix, lists=lists) if prefix else None,
            opts=self._child,
        )

    def _under(self, prefix: str, *, lists: bool) -> gcp.storage.BucketIAMMemberConditionArgsDict:
        """Objects under the prefix alone; a listing is of the bucket, and asks for a prefix that it has to name."""
        objects = pulumi.Output.format(
            'resource.name.startsWith("projects/_/buckets/{0}/objects/{1}")', self.name, prefix
        )
        listing = f' || api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("{prefix}")'
        return {
            "title": f"under {prefix}",
            "expression": pulumi.Output.concat(objects, listing if lists else ""),
        }

    def _role_to_replace(self) -> pulumi.Output[str]:
        if self._replaces is None:
            self._replaces = role(
                f"{self.purpose}-replace",
                ["storage.objects.delete"],
                "Put an object where one is; what was there stays as a version",
                account=self._account,
                ctx=self._ctx,
                parent=self,
            )
        return self._replaces

    def _take_access_logs(self) -> pulumi.Resource:
        return gcp.storage.BucketIAMMember(
            "access-logs",
            bucket=self.name,
            role="roles/storage.objectCreator",
            member=ACCESS_LOGGER,
            condition=self._under(ACCESS_LOGS, lists=False),
            opts=self._child,
        )


@dataclass(frozen=True)
class _Place:
    """Where a bucket is, and which two regions of that place hold its objects."""

    location: str
    regions: tuple[str, str] | None


def _refuse_locked_logs(purpose: Purpose, args: StoreArgs) -> None:
    if purpose == "logs" and args.locked_days:
        raise Unsupported(
            "gcp: the bucket of the access logs is not to be locked, as nobody could shorten what callers wrote "
            "into them; leave out locked_days there and lock the bucket 'audit'."
        )


def _two_regions(region: str, other: str | None) -> tuple[_Place, str]:
    """The place of a bucket of two regions, and that of its key. Raises Unsupported."""
    if not other or other == region:
        raise Unsupported(
            f"gcp: a replicated bucket needs a second region besides {region}; name it as replicaRegion in the "
            "section gcp of the settings."
        )
    continent = region.partition("-")[0]
    if other.partition("-")[0] != continent or continent not in CONTINENTS:
        raise Unsupported(
            f"gcp: no bucket spans {region} and {other}; choose two regions of one continent of "
            f"{', '.join(CONTINENTS)} as region and replicaRegion."
        )
    location, key_location = CONTINENTS[continent]
    return _Place(location, (region.upper(), other.upper())), key_location


def _retention(days: int | None, ctx: Context) -> gcp.storage.BucketRetentionPolicyArgsDict | None:
    """A lock is final: nobody, not the project's owner, shortens it. A disposable environment's can be taken off."""
    return {"retention_period": str(days * DAY), "is_locked": not ctx.disposable} if days else None


def _lifecycle(
    ages: Ages, kept_days: Mapping[str, int], *, versioned: bool
) -> list[gcp.storage.BucketLifecycleRuleArgsDict]:
    rules = [_rule("SetStorageClass", {"age": days, "with_state": "ANY"}, to) for to, days in ages.colder.items()]
    if versioned:
        rules.append(_rule("Delete", {"days_since_noncurrent_time": ages.overwritten_gone, "with_state": "ARCHIVED"}))
    if ages.gone:
        rules.append(_rule("Delete", {"age": ages.gone, "with_state": "LIVE"}))
    for prefix, days in sorted(kept_days.items()):
        # `age` counts from an object's creation, also once it is a version of before: both go on the same day.
        rules.append(_rule("Delete", {"age": days, "matches_prefixes": [prefix], "with_state": "ANY"}))
    return [*rules, _rule("AbortIncompleteMultipartUpload", {"age": ABANDONED_UPLOAD_DAYS})]


def _rule(
    does: str, when: gcp.storage.BucketLifecycleRuleConditionArgsDict, to: str | None = None
) -> gcp.storage.BucketLifecycleRuleArgsDict:
    action: gcp.storage.BucketLifecycleRuleActionArgsDict = {"type": does}
    if to:
        action["storage_class"] = to
    return {"action": action, "condition": when}
