"""Container images (Artifact Registry)."""

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.keys import DAY, Key
from infra.gcp.names import REPOSITORY, Account
from infra.gcp.policy import own
from infra.shape import Identity, Image
from infra.shape import Key as AnyKey

KEPT_DAYS = 7
KEPT_IMAGES = 100  # releases to roll back to


class Registry(pulumi.ComponentResource):
    """One app's images: tags never move, each push is scanned, the old and the nameless go."""

    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        key: AnyKey,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Registry", name, None, opts)
        self._account, self._name = account, name
        key = own(key, Key)
        repository = gcp.artifactregistry.Repository(
            name,
            repository_id=ctx.name(name, REPOSITORY),
            description=f"{ctx.project} {ctx.environment}: images of {name}",
            project=account.project,
            location=account.region,
            format="DOCKER",
            mode="STANDARD_REPOSITORY",
            docker_config={"immutable_tags": True},
            kms_key_name=key.id,
            vulnerability_scanning_config={"enablement_config": "INHERITED"},  # and the API of scanning is on
            cleanup_policies=[_OLD_ONES_GO, _THE_NEWEST_STAY],
            cleanup_policy_dry_run=False,
            labels=ctx.tags,
            opts=pulumi.ResourceOptions(
                parent=self, protect=not ctx.disposable, depends_on=[key.open_to("artifactregistry")]
            ),
        )
        self._repository = repository.name
        self.url = pulumi.Output.format(
            "{0}-docker.pkg.dev/{1}/{2}/{3}", account.region, account.project, repository.repository_id, name
        )
        self.register_outputs({"url": self.url})

    def image(self, release: str) -> Image:
        """One image by its digest."""
        return Image(pulumi.Output.concat(self.url, "@", release), self)

    def grant_pull(self, identity: Identity) -> None:
        """Let it fetch images."""
        self._grant(identity, "pull", "roles/artifactregistry.reader")

    def grant_push(self, identity: Identity) -> None:
        """Let it add images, and see which layers are there already; it deletes none."""
        self._grant(identity, "push", "roles/artifactregistry.writer")

    def _grant(self, identity: Identity, verb: str, role: str) -> None:
        gcp.artifactregistry.RepositoryIamMember(
            f"{identity.workload}-{verb}-{self._name}",
            project=self._account.project,
            location=self._account.region,
            repository=self._repository,
            role=role,
            member=identity.principal,
            opts=pulumi.ResourceOptions(parent=self),
        )


# What stays wins over what goes, and the newest are counted with or without a tag.
_OLD_ONES_GO: gcp.artifactregistry.RepositoryCleanupPolicyArgsDict = {
    "id": "old-ones-go",
    "action": "DELETE",
    "condition": {"tag_state": "ANY", "older_than": f"{KEPT_DAYS * DAY}s"},
}
_THE_NEWEST_STAY: gcp.artifactregistry.RepositoryCleanupPolicyArgsDict = {
    "id": "the-newest-stay",
    "action": "KEEP",
    "most_recent_versions": {"keep_count": KEPT_IMAGES},
}
