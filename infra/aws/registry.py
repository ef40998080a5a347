"""Container images (ECR)."""

import pulumi
import pulumi_aws as aws

from infra.aws.names import REPOSITORY
from infra.aws.policy import allow, grant
from infra.context import Context
from infra.shape import Identity, Image, Key

UNTAGGED_DAYS = 7
KEPT_IMAGES = 100  # releases to roll back to

PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
PUSH = ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]


class Registry(pulumi.ComponentResource):
    """One app's images: tags never move, each push is scanned, the old and the nameless go."""

    url: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, key: Key, *, ctx: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("groundwork:aws:Registry", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        repository = aws.ecr.Repository(
            name,
            name=ctx.name(name, REPOSITORY),
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": key.id}],
            force_delete=ctx.disposable,
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        aws.ecr.LifecyclePolicy(
            name,
            repository=repository.name,
            policy=pulumi.Output.json_dumps({"rules": [_UNTAGGED_GO, _OLD_ONES_GO]}),
            opts=child,
        )
        self.url, self.arn = repository.repository_url, repository.arn
        self.register_outputs({"url": self.url, "arn": self.arn})

    def image(self, release: str) -> Image:
        """One image by its digest."""
        return Image(pulumi.Output.concat(self.url, "@", release), self)

    def grant_pull(self, identity: Identity) -> None:
        """Let it fetch images."""
        self._grant(identity, "pull", PULL)

    def grant_push(self, identity: Identity) -> None:
        """Let it add images, and see which layers are there already."""
        self._grant(identity, "push", [*PULL, *PUSH])

    def _grant(self, identity: Identity, verb: str, actions: list[str]) -> None:
        statements = [
            allow(actions, [self.arn]),
            # Logging in is to the account's registry as a whole: the API knows no narrower resource.
            allow(["ecr:GetAuthorizationToken"], ["*"]),
        ]
        grant(identity, verb, f"{self.pulumi_resource_name}-images", statements, parent=self)


_UNTAGGED_GO = {
    "rulePriority": 1,
    "description": "Images without a tag go",
    "selection": {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": UNTAGGED_DAYS,
    },
    "action": {"type": "expire"},
}
_OLD_ONES_GO = {
    "rulePriority": 2,
    "description": "The newest stay",
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
    "action": {"type": "expire"},
}
