"""Keys: rotated, named, and open to nobody but the account and the writers of logs."""

import pytest

from infra.aws.keys import Key
from infra.context import Context
from tests.infra.evaluated import CONTEXT, DISPOSABLE, evaluated, only


def test_the_key_of_the_data_is_open_to_what_the_account_allows_alone() -> None:
    key = only(evaluated(lambda account: Key("data", account=account, ctx=CONTEXT)), "Key")
    (statement,) = key.document()
    assert statement["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    assert {"kms:PutKeyPolicy", "kms:Decrypt", "kms:GenerateDataKey"} <= set(statement["Action"])
    assert key.inputs["enableKeyRotation"] is True


def test_the_key_of_the_logs_is_open_to_the_log_groups_of_this_environment() -> None:
    key = only(evaluated(lambda account: Key("logs", account=account, ctx=CONTEXT)), "Key")
    _, groups, clusters, deliveries, *_ = key.document()
    assert groups["Principal"] == {"Service": "logs.eu-west-1.amazonaws.com"}
    assert groups["Condition"] == {
        "ArnLike": {
            "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:111122223333:log-group:/groundwork/dev/*"
        }
    }
    assert clusters["Principal"] == groups["Principal"]
    assert clusters["Condition"]["ArnLike"] == {
        "kms:EncryptionContext:aws:logs:arn": (
            "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/eks/groundwork-dev-*/cluster"
        )
    }
    assert deliveries["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert deliveries["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


@pytest.mark.parametrize(("ctx", "days"), [(CONTEXT, 30), (DISPOSABLE, 7)])
def test_a_deleted_key_waits_as_long_as_aws_allows_unless_it_is_disposable(ctx: Context, days: int) -> None:
    key = only(evaluated(lambda account: Key("data", account=account, ctx=ctx)), "Key")
    assert key.inputs["deletionWindowInDays"] == days
