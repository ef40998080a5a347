"""ECR: repositories and the clean-up of their images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from localcloud.aws.account import Account
from localcloud.aws.calls import ProviderError, all_of, changed, if_found, tag_changes, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "RepositoryNotFoundException"
NO_POLICY = "RepositoryPolicyNotFoundException"


def _mutability(inputs: Properties) -> dict[str, Any]:
    filters = inputs.get("imageTagMutabilityExclusionFilters")
    return {
        "imageTagMutability": inputs["imageTagMutability"],
        **({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
    }


def create_repository(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the repository's name."""
    encryption = inputs.get("encryptionConfigurations")
    account.client("ecr").create_repository(
        repositoryName=inputs["name"],
        tags=tag_list(tags),
        imageScanningConfiguration=inputs.get("imageScanningConfiguration", {}),
        **_mutability(inputs),
        **({"encryptionConfiguration": encryption[0]} if encryption else {}),
    )
    return str(inputs["name"])


def read_repository(account: Account, name: str, _: Properties) -> Properties | None:
    """Two calls, as the tags go by ARN."""
    ecr = account.client("ecr")
    answer = if_found(ecr.describe_repositories, GONE, repositoryNames=[name])
    if answer is None:
        return None
    about = answer["repositories"][0]
    return {
        "name": about["repositoryName"],
        "arn": about["repositoryArn"],
        "registryId": about["registryId"],
        "repositoryUrl": about["repositoryUri"],
        "imageTagMutability": about["imageTagMutability"],
        "imageTagMutabilityExclusionFilters": about.get("imageTagMutabilityExclusionFilters"),
        "imageScanningConfiguration": about.get("imageScanningConfiguration"),
        "encryptionConfigurations": [about["encryptionConfiguration"]],
        "tags": tag_map(ecr.list_tags_for_resource(resourceArn=about["repositoryArn"])["tags"]),
    }


def update_repository(account: Account, name: str, old: Properties, new: Properties) -> None:
    """Mutability of tags, scanning and tags."""
    ecr = account.client("ecr")
    if changed(old, new, "imageTagMutability", "imageTagMutabilityExclusionFilters"):
        ecr.put_image_tag_mutability(repositoryName=name, **_mutability(new))
    if changed(old, new, "imageScanningConfiguration"):
        scanning = new.get("imageScanningConfiguration") or {"scanOnPush": False}
        ecr.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration=scanning)
    added, removed = tag_changes(old, new)
    if added or removed:
        arn = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryArn"]
        if removed:
            ecr.untag_resource(resourceArn=arn, tagKeys=removed)
        if added:
            ecr.tag_resource(resourceArn=arn, tags=tag_list(added))


def delete_repository(account: Account, name: str, inputs: Properties) -> None:
    """With forceDelete, together with its images."""
    try:
        account.client("ecr").delete_repository(repositoryName=name, force=bool(inputs.get("forceDelete")))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "RepositoryNotEmptyException":
            raise ProviderError(
                f"the repository {name} still holds images. Delete them, or set forceDelete and apply that first."
            ) from None
        if code != GONE:
            raise


def list_repositories(account: Account) -> Iterator[tuple[str, Tags]]:
    """Every repository of the registry."""
    ecr = account.client("ecr")
    for row in all_of(ecr, "describe_repositories", "repositories"):
        yield row["repositoryName"], tag_map(ecr.list_tags_for_resource(resourceArn=row["repositoryArn"])["tags"])


def put_policy(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the repository's name."""
    account.client("ecr").put_lifecycle_policy(
        repositoryName=inputs["repository"], lifecyclePolicyText=inputs["policy"]
    )
    return str(inputs["repository"])


def update_policy(account: Account, _: str, __: Properties, new: Properties) -> None:
    """Writes the policy anew."""
    put_policy(account, new, {})


def read_policy(account: Account, name: str, _: Properties) -> Properties | None:
    """A repository has one or none."""
    answer = if_found(
        account.client("ecr").get_lifecycle_policy, GONE, "LifecyclePolicyNotFoundException", repositoryName=name
    )
    return answer and {
        "repository": answer["repositoryName"],
        "registryId": answer["registryId"],
        "policy": answer["lifecyclePolicyText"],
    }


def delete_policy(account: Account, name: str, _: Properties) -> None:
    """The images stay."""
    if_found(
        account.client("ecr").delete_lifecycle_policy, GONE, "LifecyclePolicyNotFoundException", repositoryName=name
    )


def put_access(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is the repository's name."""
    account.client("ecr").set_repository_policy(repositoryName=inputs["repository"], policyText=inputs["policy"])
    return str(inputs["repository"])


def update_access(account: Account, _: str, __: Properties, new: Properties) -> None:
    """Writes the policy anew."""
    put_access(account, new, {})


def read_access(account: Account, name: str, _: Properties) -> Properties | None:
    """One call tells all."""
    answer = if_found(account.client("ecr").get_repository_policy, GONE, NO_POLICY, repositoryName=name)
    return answer and {
        "repository": answer["repositoryName"],
        "policy": answer["policyText"],
        "registryId": answer["registryId"],
    }


def delete_access(account: Account, name: str, _: Properties) -> None:
    """The repository stays."""
    if_found(account.client("ecr").delete_repository_policy, GONE, NO_POLICY, repositoryName=name)


def find_access(account: Account, inputs: Properties) -> str | None:
    """By its repository."""
    return str(inputs["repository"]) if read_access(account, inputs["repository"], inputs) else None


KINDS = (
    Kind(
        "aws:ecr/repository:Repository",
        create=create_repository,
        read=read_repository,
        update=update_repository,
        delete=delete_repository,
        list=list_repositories,
        read_back=frozenset(
            {
                "name",
                "imageTagMutability",
                "imageTagMutabilityExclusionFilters",
                "imageScanningConfiguration",
                "encryptionConfigurations",
                "tags",
            }
        ),
        computed=frozenset(["encryptionConfigurations"]),
        kept={"forceDelete": "steers the deletion; no cloud reports it"},
        replaces=frozenset(["name", "encryptionConfigurations"]),
        defaults={"imageTagMutability": "MUTABLE"},
        name_input="name",
        auto_name=str.lower,
        tagged=True,
    ),
    Kind(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        create=put_policy,
        read=read_policy,
        update=update_policy,
        delete=delete_policy,
        find=lambda account, inputs: (read_policy(account, inputs["repository"], inputs) or {}).get("repository"),
        read_back=frozenset(["repository", "policy"]),
        replaces=frozenset(["repository"]),
    ),
    Kind(
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        create=put_access,
        read=read_access,
        update=update_access,
        delete=delete_access,
        find=find_access,
        read_back=frozenset(["repository", "policy"]),
        replaces=frozenset(["repository"]),
        delete_before_replace=True,
    ),
)
