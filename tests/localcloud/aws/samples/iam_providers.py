"""Samples of instance profiles and OIDC providers."""

from __future__ import annotations

from tests.localcloud.aws.samples import Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS
from tests.localcloud.aws.samples.iam import iam

ADDED = [{"Key": "added", "Value": "1"}]

SAMPLES = {
    "profile": Sample(
        "aws:iam/instanceProfile:InstanceProfile",
        {"name": "trainer", "path": "/teams/", "role": Ref("role", "name"), "tags": TAGS},
        changes={"role": Ref("role-in-a-path", "name"), "tags": OTHER_TAGS},
        behind={
            "role": lambda a, i, outputs: iam(a).remove_role_from_instance_profile(
                InstanceProfileName=i, RoleName=outputs["role"]
            ),
            "tags": lambda a, i, _: iam(a).tag_instance_profile(InstanceProfileName=i, Tags=ADDED),
        },
    ),
    "profile-without-role": Sample("aws:iam/instanceProfile:InstanceProfile", {"name": "empty"}),
    "oidc": Sample(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {
            "url": "https://token.actions.githubusercontent.com",
            "clientIdLists": ["sts.amazonaws.com"],
            "thumbprintLists": ["a" * 40],
            "tags": TAGS,
        },
        changes={"thumbprintLists": ["b" * 40], "tags": OTHER_TAGS},
        behind={
            "thumbprintLists": lambda a, i, _: iam(a).update_open_id_connect_provider_thumbprint(
                OpenIDConnectProviderArn=i, ThumbprintList=["c" * 40]
            ),
            "tags": lambda a, i, _: iam(a).tag_open_id_connect_provider(OpenIDConnectProviderArn=i, Tags=ADDED),
        },
    ),
    "oidc-by-its-certificate": Sample(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {"url": "https://issuer.example.com", "clientIdLists": ["one", "two"]},
    ),
}
