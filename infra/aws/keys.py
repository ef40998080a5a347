"""Customer-managed encryption keys (KMS)."""

import pulumi
import pulumi_aws as aws

from infra.aws.names import KEY_ALIAS, Account, cluster_log_group, clusters, log_groups, trail_arn
from infra.aws.policy import Statement, allow, document
from infra.context import Context
from infra.shape import KeyPurpose

# In a key's policy "*" is the key itself: there is no narrower form, as its ARN is not known before it exists.
THIS_KEY = ["*"]
ADMINISTRATION = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
]
USE = [
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
]


class Key(pulumi.ComponentResource):
    """A key that is rotated each year and outlives a mistake by its waiting time.

    The account's own IAM policies decide who may use it. The key of the logs is also open to the services that
    write logs and send alerts, for this environment's alone.
    """

    id: pulumi.Output[str]

    def __init__(
        self,
        purpose: KeyPurpose | str,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Key", purpose, None, opts)
        statements = [
            allow(
                [*ADMINISTRATION, *USE],
                THIS_KEY,
                principal={"AWS": account.root},
                sid="TheAccountDecides",
            )
        ]
        if purpose == "logs":
            statements += [*_log_writers(account, ctx), *_trail_and_alerts(account, ctx)]
        key = aws.kms.Key(
            purpose,
            description=f"{ctx.project} {ctx.environment}: {purpose}",
            policy=document(*statements),
            enable_key_rotation=True,
            deletion_window_in_days=7 if ctx.disposable else 30,
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=not ctx.disposable),
        )
        aws.kms.Alias(
            purpose,
            name="alias/" + ctx.name(purpose, KEY_ALIAS),
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id = key.arn
        self.register_outputs({"id": self.id})


def _log_writers(account: Account, ctx: Context) -> list[Statement]:
    groups = {
        "CloudWatchLogsOfThisEnvironment": log_groups(ctx),
        "CloudWatchLogsOfItsClusters": cluster_log_group(clusters(ctx)),
    }
    return [
        *(
            allow(
                [*USE, "kms:DescribeKey"],
                THIS_KEY,
                principal={"Service": f"logs.{account.region}.amazonaws.com"},
                when={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": account.arn("logs", f"log-group:{pattern}")}},
                sid=sid,
            )
            for sid, pattern in groups.items()
        ),
        # Unconditional, as AWS documents no condition key in this call; the bucket's policy holds them.
        allow(
            ["kms:Decrypt", "kms:GenerateDataKey"],
            THIS_KEY,
            principal={"Service": "logging.s3.amazonaws.com"},
            sid="AccessLogsOfBuckets",
        ),
    ]


def _trail_and_alerts(account: Account, ctx: Context) -> list[Statement]:
    trail = trail_arn(account, ctx)
    return [
        # S3 decrypts to reuse a bucket's key; each call names the trail that it is for.
        allow(
            ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            THIS_KEY,
            principal={"Service": "cloudtrail.amazonaws.com"},
            when={"StringEquals": {"aws:SourceArn": trail}},
            sid="TrailOfThisEnvironment",
        ),
        allow(
            ["kms:Decrypt", "kms:GenerateDataKey"],
            THIS_KEY,
            principal={"Service": "cloudwatch.amazonaws.com"},
            when={"StringEquals": {"aws:SourceAccount": account.id}},
            sid="AlarmsOfThisAccount",
        ),
    ]
