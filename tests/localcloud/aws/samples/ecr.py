"""Samples of ECR."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample


def ecr(account: Account) -> Any:
    return account.client("ecr")


def clean_up(days: int) -> str:
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    return json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})


FILTERS = [{"filterType": "WILDCARD", "filter": "dev*"}]


def pull_by(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "ecr:BatchGetImage"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


SAMPLES = {
    "repository": Sample(
        "aws:ecr/repository:Repository",
        {
            "name": "org/app",
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": Ref("key", "arn")}],
            "forceDelete": True,
            "tags": {"project": "p"},
        },
        changes={
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": None,
            "tags": {"project": "q", "owner": "o"},
        },
        behind={
            "imageTagMutability": lambda a, i, _: ecr(a).put_image_tag_mutability(
                repositoryName=i, imageTagMutability="MUTABLE"
            ),
            "imageScanningConfiguration": lambda a, i, _: ecr(a).put_image_scanning_configuration(
                repositoryName=i, imageScanningConfiguration={"scanOnPush": False}
            ),
            "tags": lambda a, _, outputs: ecr(a).untag_resource(resourceArn=outputs["arn"], tagKeys=["project"]),
        },
        steers=frozenset(["forceDelete"]),
    ),
    "repository-with-exceptions": Sample(
        "aws:ecr/repository:Repository",
        {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": FILTERS},
        changes={"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "test*"}]},
        behind={
            "imageTagMutabilityExclusionFilters": lambda a, i, _: ecr(a).put_image_tag_mutability(
                repositoryName=i,
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "x*"}],
            )
        },
    ),
    "clean-up": Sample(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        {"repository": Ref("repository", "name"), "policy": clean_up(7)},
        changes={"policy": clean_up(14)},
        behind={
            "policy": lambda a, i, _: ecr(a).put_lifecycle_policy(repositoryName=i, lifecyclePolicyText=clean_up(1))
        },
    ),
    "pull-by-functions": Sample(
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        {"repository": Ref("repository", "name"), "policy": pull_by("lambda.amazonaws.com")},
        changes={"policy": pull_by("ecs.amazonaws.com")},
        behind={
            "policy": lambda a, i, _: ecr(a).set_repository_policy(repositoryName=i, policyText=pull_by("x.example"))
        },
    ),
}
