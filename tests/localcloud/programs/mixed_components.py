"""Components, explicit providers with default tags, assets, a dynamic resource, look-ups of what exists, references."""

from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_random as random
import pulumi_tls as tls
from pulumi import dynamic


class Echo(dynamic.ResourceProvider):
    """Never called by a plan: creating is for a deployment."""

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Fails if a plan should call it."""
        raise AssertionError("a plan creates nothing")


class EchoResource(dynamic.Resource):
    """A resource of the program's own provider."""

    def __init__(self, name: str, text: pulumi.Input[str]) -> None:
        super().__init__(Echo(), name, {"text": text})


class Buckets(pulumi.ComponentResource):
    """Two buckets and a name."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tests:programs:Buckets", name, opts=opts)
        inner = pulumi.ResourceOptions(parent=self)
        self.first = aws.s3.Bucket(f"{name}-first", opts=inner)
        self.second = aws.s3.Bucket(f"{name}-second", opts=pulumi.ResourceOptions(parent=self, protect=True))
        self.register_outputs({"names": [self.first.bucket, self.second.bucket]})


provider = aws.Provider("europe", region="eu-west-1", default_tags={"tags": {"owner": "ml"}})
buckets = Buckets("pair", opts=pulumi.ResourceOptions(providers=[provider]))
echo = EchoResource("echo", buckets.first.arn)
existing = aws.ec2.Vpc.get("existing", "vpc-0123456789abcdef0")
subnet = aws.ec2.Subnet("subnet", vpc_id=existing.id, cidr_block=existing.cidr_block.apply(lambda block: block))
key = tls.PrivateKey("key", algorithm="RSA")
pair = aws.ec2.KeyPair("pair", public_key=key.public_key_openssh.apply(str.strip))
pet = random.RandomPet("pet")
shuffled = random.RandomShuffle("shuffled", inputs=["a", "b", "c"], result_count=2)
aws.s3.BucketObject("file", bucket=buckets.first, source=pulumi.FileAsset("data.txt"))
aws.s3.BucketObject("folder", bucket=buckets.first.id, source=pulumi.FileArchive("."))
aws.s3.BucketObject("remote", bucket=buckets.first.id, source=pulumi.RemoteAsset("https://example.com/file"))
pulumi.export("first", buckets.first.bucket.apply(lambda name: name.upper()))
pulumi.export("tags", buckets.first.tags_all.apply(lambda tags: tags["owner"]))
pulumi.export("main", shuffled.results.apply(lambda results: results[1]))
pulumi.export("pem", key.private_key_pem)
