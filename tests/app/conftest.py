"""A bucket each for data and models in a mocked S3, and a model on its way into service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from app import dataset, jobs, registry
from app import s3 as s3_module
from app.s3 import S3Store
from app.store import Store


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 client with the buckets `data` and `models`, all in this process."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_CA_BUNDLE", "RELEASE", "COMMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = s3_module.client()
        for bucket in ("data", "models"):
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield client


@dataclass
class Stores:
    """Where a test's data, models and predictions are."""

    data: Store
    models: Store
    lake: Store
    s3: Any

    def train(self, seed: int = 1, rows: int = 500) -> str:
        """Trains on a small table; returns the version."""
        people = dataset.generate(rows, seed)
        return str(jobs.train(people, f"generated, seed {seed}", seed, self.data, self.models)["version"])

    def publish(self, seed: int = 1) -> str:
        """Trains and evaluates a model, and serves it, whether it is better or not; returns the version."""
        version = self.train(seed)
        jobs.evaluate(self.data, self.models)
        registry.promote(self.models, version)
        return version

    def keys(self, bucket: str) -> list[str]:
        """The keys of every object in a bucket."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def damage(self, key: str, data: bytes) -> None:
        """Overwrites an object of the model store behind its back."""
        self.s3.put_object(Bucket="models", Key=f"height-weight/{key}", Body=data)


@pytest.fixture
def stores(s3: Any) -> Stores:
    """The stores at the addresses that the platform gives them."""
    return Stores(
        S3Store("s3://data/people/", s3), S3Store("s3://models/height-weight/", s3), S3Store("s3://data/lake/", s3), s3
    )


@pytest.fixture
def dynamodb(s3: Any) -> Any:
    """A client of DynamoDB, which has the table `calls`."""
    client = boto3.client("dynamodb", region_name="eu-central-1")
    client.create_table(
        TableName="calls",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client
