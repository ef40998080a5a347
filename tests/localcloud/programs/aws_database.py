"""A database in the account's default network, its password secret, its address in a parameter and a user's data."""

import base64
import json

import pulumi
import pulumi_aws as aws
import pulumi_random as random

vpc = aws.ec2.get_vpc(default=True)
subnets = aws.ec2.get_subnets(filters=[{"name": "vpc-id", "values": [vpc.id]}])
password = random.RandomPassword("password", length=24, special=False)
suffix = random.RandomId("suffix", byte_length=4)
key = aws.kms.Key("key", enable_key_rotation=True)
group = aws.rds.SubnetGroup("db", subnet_ids=[subnets.ids[0], subnets.ids[1]])
database = aws.rds.Instance(
    "db",
    engine="postgres",
    instance_class="db.t4g.micro",
    allocated_storage=20,
    db_name="app",
    username="app",
    password=password.result,
    db_subnet_group_name=group.name,
    kms_key_id=key.arn,
    storage_encrypted=True,
    identifier=suffix.hex.apply(lambda text: f"app-{text}"),
)
secret = aws.secretsmanager.Secret("db")
aws.secretsmanager.SecretVersion(
    "db",
    secret_id=secret.id,
    secret_string=pulumi.Output.all(database.endpoint, password.result).apply(
        lambda found: json.dumps({"endpoint": found[0], "password": found[1]})
    ),
)
image = aws.ec2.get_ami(most_recent=True, owners=["amazon"], filters=[{"name": "name", "values": ["al2023-*"]}])
server = aws.ec2.Instance(
    "server",
    ami=image.id,
    instance_type="t4g.micro",
    subnet_id=subnets.ids[0],
    user_data_base64=database.address.apply(
        lambda host: base64.b64encode(f"#!/bin/sh\necho {host}\n".encode()).decode()
    ),
    ebs_block_devices=[{"device_name": "/dev/sdb", "volume_size": 10}],
)
file_system = aws.efs.FileSystem("shared", encrypted=True)
pulumi.export("port", database.port.apply(lambda port: port + 1))
pulumi.export("host", database.endpoint.apply(lambda endpoint: endpoint.split(":")[0]))
pulumi.export("volume", server.ebs_block_devices.apply(lambda devices: devices[0].volume_id))
pulumi.export("ip", server.public_ip.apply(lambda address: f"http://{address}"))
pulumi.export("mount", file_system.dns_name.apply(lambda name: f"{name}:/"))
pulumi.export("password", password.result)
