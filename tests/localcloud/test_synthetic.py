"""Made-up outputs: their types, their forms, and that nothing in them depends on the machine or the run."""

from __future__ import annotations

import base64
import importlib
import ipaddress
import json
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi import _types
from pulumi.runtime import rpc

from localcloud import forms, sdk, synthetic
from localcloud.errors import UnsupportedError
from localcloud.identifiers import data
from localcloud.policy_document import document
from localcloud.values import RESOURCE, SIGNATURE, UNKNOWN, Properties, Secret

CONTEXT = synthetic.Context("shop", "dev", {"aws:region": "eu-central-1", "gcp:project": "shop-1"})
ACCOUNT = "123456789012"


def made(token: str, inputs: Properties | None = None, **changes: Any) -> synthetic.Synthetic:
    """The answer for a resource named `web` of the type."""
    context = synthetic.Context(**{**vars(CONTEXT), **changes})
    return synthetic.outputs(token, "web", f"urn:pulumi:dev::shop::{token}::web", inputs or {}, context)


def called(token: str, **args: Any) -> Properties:
    """The result of a function call."""
    return synthetic.invoke(token, args, None, CONTEXT)


@pytest.mark.parametrize(
    ("token", "inputs", "output", "form"),
    [
        ("aws:s3/bucket:Bucket", {"bucket": "data"}, "arn", r"arn:aws:s3:::data"),
        ("aws:s3/bucket:Bucket", {}, "bucketRegionalDomainName", r"web-[0-9a-f]{7}\.s3\.eu-central-1\.amazonaws\.com"),
        ("aws:ec2/vpc:Vpc", {}, "arn", rf"arn:aws:ec2:eu-central-1:{ACCOUNT}:vpc/vpc-[0-9a-f]{{17}}"),
        ("aws:ec2/vpc:Vpc", {}, "defaultSecurityGroupId", r"sg-[0-9a-f]{17}"),
        ("aws:iam/role:Role", {"path": "/ci/", "name": "a"}, "arn", rf"arn:aws:iam::{ACCOUNT}:role/ci/a"),
        (
            "aws:lb/loadBalancer:LoadBalancer",
            {},
            "arn",
            rf"arn:aws:elasticloadbalancing:eu-central-1:{ACCOUNT}:loadbalancer/app/web-[0-9a-f]{{7}}/[0-9a-f]{{16}}",
        ),
        (
            "aws:ecr/repository:Repository",
            {"name": "app"},
            "repositoryUrl",
            rf"{ACCOUNT}\.dkr\.ecr\.eu-central-1.*/app",
        ),
        (
            "aws:ecs/service:Service",
            {"cluster": "arn:aws:ecs:x:1:cluster/main", "name": "a"},
            "arn",
            r".*:service/main/a",
        ),
        ("aws:rds/instance:Instance", {"engine": "mysql"}, "endpoint", r"web-[0-9a-f]{7}\.[a-z0-9]{12}\..*:3306"),
        ("aws:rds/instance:Instance", {"engine": "postgres"}, "endpoint", r".*:5432"),
        ("aws:dms/endpoint:Endpoint", {}, "endpointArn", rf"arn:aws:dms:eu-central-1:{ACCOUNT}:endpoint/.+"),
        ("aws:iam/user:User", {}, "uniqueId", r"AIDA[A-Z2-7]{17}"),
        ("gcp:serviceaccount/account:Account", {"accountId": "a"}, "email", r"a@shop-1\.iam\.gserviceaccount\.com"),
        ("gcp:compute/network:Network", {}, "selfLink", r"https://www\.googleapis\.com/compute/v1/projects/shop-1/.+"),
        ("gcp:storage/bucket:Bucket", {"name": "b"}, "url", r"gs://b"),
        ("gcp:compute/address:Address", {}, "address", r"\d+\.\d+\.\d+\.\d+"),
        (
            "azure-native:storage:StorageAccount",
            {"resourceGroupName": "rg"},
            "type",
            r"Microsoft\.Storage/storageAccounts",
        ),
        ("azure-native:app:ManagedEnvironment", {"resourceGroupName": "rg"}, "provisioningState", r"Succeeded"),
        (
            "tls:index/privateKey:PrivateKey",
            {"algorithm": "RSA"},
            "privateKeyPem",
            r"(?s)-----BEGIN PRIVATE KEY-----\n.*",
        ),
        ("random:index/randomPassword:RandomPassword", {"length": 30}, "result", r"[a-z0-9]{30}"),
        ("random:index/randomId:RandomId", {"byteLength": 4}, "hex", r"[0-9a-f]{8}"),
    ],
)
def test_an_output_has_the_form_that_the_cloud_gives_it(token: str, inputs: Properties, output: str, form: str) -> None:
    found = made(token, inputs)

    assert re.fullmatch(form, found.outputs[output]), found.outputs[output]
    assert output in found.paths


@pytest.mark.parametrize(
    ("token", "inputs", "form"),
    [
        ("aws:kms/key:Key", {}, r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("aws:sns/topic:Topic", {"name": "t"}, rf"arn:aws:sns:eu-central-1:{ACCOUNT}:t"),
        ("aws:sqs/queue:Queue", {"name": "q"}, rf"https://sqs\.eu-central-1\.amazonaws\.com/{ACCOUNT}/q"),
        ("aws:ec2/subnet:Subnet", {}, r"subnet-[0-9a-f]{17}"),
        ("aws:backup/selection:Selection", {"name": "s"}, r"s"),
        (
            "gcp:kms/cryptoKey:CryptoKey",
            {"keyRing": "projects/p/locations/l/keyRings/r", "name": "k"},
            r".*/r/cryptoKeys/k",
        ),
        ("gcp:bigquery/dataset:Dataset", {"datasetId": "d"}, r"projects/shop-1/datasets/d"),
        (
            "azure-native:sql:Database",
            {"resourceGroupName": "rg", "serverName": "s"},
            r"/subscriptions/[0-9a-f-]{36}/resourceGroups/rg/providers/Microsoft\.Sql/servers/s/databases/web[0-9a-f]{8}",
        ),
        (
            "azure-native:storage:BlobContainer",
            {"resourceGroupName": "rg", "accountName": "a", "containerName": "c"},
            r".*/providers/Microsoft\.Storage/storageAccounts/a/blobServices/default/containers/c",
        ),
        ("kubernetes:core/v1:Service", {"metadata": {"namespace": "n", "name": "s"}}, r"n/s"),
    ],
)
def test_an_id_has_the_form_that_the_cloud_gives_it(token: str, inputs: Properties, form: str) -> None:
    assert re.fullmatch(form, made(token, inputs).id), made(token, inputs).id


def test_an_input_comes_back_and_is_not_marked_as_synthetic() -> None:
    found = made("aws:sqs/queue:Queue", {"name": "jobs", "fifoQueue": True})

    assert (found.outputs["name"], found.outputs["fifoQueue"]) == ("jobs", True)
    assert not found.paths & {"name", "fifoQueue"}


def test_what_was_not_asked_for_is_not_made_up() -> None:
    database = made("aws:rds/instance:Instance", {"engine": "postgres"}).outputs

    assert database["kmsKeyId"] == ""
    assert database["storageEncrypted"] is None
    assert made("aws:ec2/instance:Instance").outputs["ebsBlockDevices"] == []


def test_nested_objects_that_the_program_gave_are_completed() -> None:
    machine = made("gcp:compute/instance:Instance", {"networkInterfaces": [{"network": "n", "accessConfigs": [{}]}]})
    app = made(
        "azure-native:app:ContainerApp", {"resourceGroupName": "rg", "configuration": {"ingress": {"targetPort": 1}}}
    )
    network = made("azure-native:network:VirtualNetwork", {"resourceGroupName": "rg", "subnets": [{"name": "a"}]})

    assert ipaddress.ip_address(machine.outputs["networkInterfaces"][0]["accessConfigs"][0]["natIp"])
    assert "networkInterfaces[0].accessConfigs[0].natIp" in machine.paths
    assert "networkInterfaces[0].network" not in machine.paths
    assert app.outputs["configuration"]["ingress"]["fqdn"].endswith(".azurecontainerapps.io")
    assert network.outputs["subnets"][0]["id"] == f"{network.id}/subnets/a"


def test_each_domain_of_a_certificate_gets_a_validation_record() -> None:
    names = ["example.org", "www.example.org", "*.example.org"]
    found = made("aws:acm/certificate:Certificate", {"domainName": names[0], "subjectAlternativeNames": names[1:]})

    options = found.outputs["domainValidationOptions"]
    assert [option["domainName"] for option in options] == names
    assert all(option["resourceRecordName"].endswith("example.org.") for option in options)
    assert "domainValidationOptions[2].resourceRecordValue" in found.paths


def test_default_tags_of_the_provider_reach_every_resource() -> None:
    provider = {"defaultTags": json.dumps({"tags": {"owner": "ml", "team": "a"}})}
    found = made("aws:s3/bucket:Bucket", {"tags": {"team": "b"}}, provider=provider)

    assert found.outputs["tagsAll"] == {"owner": "ml", "team": "b"}


def test_the_providers_region_comes_before_the_stacks() -> None:
    assert ":us-west-2:" in made("aws:sns/topic:Topic", {}, provider={"region": "us-west-2"}).id
    assert made("aws:sns/topic:Topic", {}, provider={"region": "cn-north-1"}).id.startswith("arn:aws-cn:")


def test_secrets_and_unknown_values_stay_what_they_are() -> None:
    found = made("aws:ssm/parameter:Parameter", {"value": Secret("hunter2"), "name": UNKNOWN, "type": "SecureString"})

    assert found.outputs["value"] == Secret("hunter2")
    assert found.outputs["name"] is UNKNOWN
    assert "hunter2" not in repr(found)


def test_a_secret_name_is_in_no_identifier() -> None:
    found = made("aws:s3/bucket:Bucket", {"bucket": Secret("hunter2hunter2")})

    assert "hunter2" not in found.id + str({key: value for key, value in found.outputs.items() if key != "bucket"})


def test_a_document_given_as_an_object_comes_back_as_json() -> None:
    policy = {"Version": "2012-10-17", "Statement": []}

    assert json.loads(made("aws:iam/role:Role", {"assumeRolePolicy": policy}).outputs["assumeRolePolicy"]) == policy


def test_a_resource_given_for_a_name_comes_back_as_its_id() -> None:
    reference = {SIGNATURE: RESOURCE, "urn": "urn:pulumi:dev::shop::aws:iam/role:Role::r", "id": "r-1"}

    assert made("aws:iam/rolePolicy:RolePolicy", {"role": reference, "policy": "{}"}).outputs["role"] == "r-1"


def test_a_resource_that_is_read_keeps_its_id_and_reports_all() -> None:
    found = synthetic.outputs("aws:ec2/vpc:Vpc", "old", "urn:x", {}, CONTEXT, id_="vpc-1")

    assert found.id == "vpc-1"
    assert found.outputs["arn"].endswith(":vpc/vpc-1")
    assert ipaddress.ip_network(found.outputs["cidrBlock"])


def test_another_stacks_outputs_are_its_own_or_unknown() -> None:
    known = {"organization/net/dev": {"vpc": "vpc-9", "key": Secret("k")}}
    token, inputs = "pulumi:pulumi:StackReference", {"name": "organization/net/dev"}

    assert made(token, inputs).outputs["outputs"] is UNKNOWN
    found = made(token, inputs, references=known).outputs
    assert (found["outputs"]["vpc"], found["secretOutputNames"]) == ("vpc-9", ["key"])


def test_look_ups_give_as_many_items_as_programs_count_on() -> None:
    keys = called("azure-native:storage:listStorageAccountKeys", accountName="a", resourceGroupName="rg")["keys"]

    assert called("aws:index/getAvailabilityZones:getAvailabilityZones")["names"] == [
        f"eu-central-1{letter}" for letter in "abc"
    ]
    assert len(set(called("aws:ec2/getSubnets:getSubnets")["ids"])) == 3
    assert len([base64.b64decode(key["value"]) for key in keys]) == 2
    assert len(called("gcp:compute/getZones:getZones", region="europe-west1")["names"]) == 3


def test_look_ups_give_what_the_thing_that_is_looked_up_would_have() -> None:
    assert called("aws:s3/getBucket:getBucket", bucket="b")["arn"] == "arn:aws:s3:::b"
    assert called("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == ACCOUNT
    assert called("gcp:organizations/getProject:getProject")["projectId"] == "shop-1"
    assert uuid.UUID(called("azure-native:authorization:getClientConfig")["tenantId"])
    network = called("azure-native:network:getVirtualNetwork", virtualNetworkName="v", resourceGroupName="rg")
    assert network["id"].endswith("/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v")


def test_a_kubeconfig_can_be_read_and_leads_nowhere() -> None:
    token = "azure-native:containerservice:listManagedClusterUserCredentials"
    value = called(token, resourceName="c", resourceGroupName="rg")["kubeconfigs"][0]["value"]

    server = json.loads(base64.b64decode(value))["clusters"][0]["cluster"]["server"]
    assert server == "https://cluster.example.com:443"


def test_a_policy_document_is_rendered_as_the_provider_renders_it() -> None:
    statement = {
        "sid": "Read",
        "actions": ["s3:GetObject", "s3:PutObject"],
        "resources": ["arn:aws:s3:::b/*"],
        "principals": [{"type": "AWS", "identifiers": ["arn:aws:iam::1:root"]}],
        "conditions": [{"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}],
    }
    base = json.dumps({"Version": "2012-10-17", "Statement": {"Sid": "Read", "Effect": "Deny"}})

    found = json.loads(document({"statements": [statement], "sourcePolicyDocuments": [base]})["json"])

    assert found == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Read",
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:GetObject"],
                "Resource": "arn:aws:s3:::b/*",
                "Principal": {"AWS": "arn:aws:iam::1:root"},
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def test_a_policy_document_of_unknown_or_secret_parts_is_unknown_or_secret() -> None:
    assert document({"statements": [{"actions": [UNKNOWN]}]})["json"] is UNKNOWN
    secret = document({"statements": [{"actions": ["a"], "resources": [Secret("arn")]}]})["json"]
    assert isinstance(secret, Secret)
    assert "arn" in secret.value


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="aws:s3/nothing:Nothing"):
        made("aws:s3/nothing:Nothing")
    with pytest.raises(UnsupportedError, match="aws:s3/getNothing:getNothing"):
        called("aws:s3/getNothing:getNothing")


def test_a_type_of_an_sdk_that_is_not_there_names_the_package_to_install() -> None:
    with pytest.raises(UnsupportedError, match="pulumi-no-such-cloud"):
        made("no-such-cloud:index:Thing")


def written(token: str) -> set[str]:
    """The outputs of a type or function, read from the SDK's text: to import every module takes half a minute."""
    package, module, name = token.split(":")
    resources = ((table["fqn"], table["classes"].get(token)) for table in sdk._modules(package))
    places = [place for place in resources if place[1]] or [
        (fqn, None) for fqn in sdk._function_modules(package, module.split("/")[0], module)
    ]
    for fqn, kind in places:
        root, *inner = fqn.split(".")
        folder = Path(str(importlib.import_module(root).__file__)).parent.joinpath(*inner)
        for file in folder.glob("*.py"):
            if file.stem.replace("_", "").lower() == (kind or name).lower():
                start = rf"^class {kind}\(" if kind else rf"(?i)^class {name}Result\b"
                _, body = re.split(start, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
                body = re.split(r"\n(?=\S)", body)[0]
                return {
                    wire or python
                    for wire, python in re.findall(
                        r'@pulumi\.getter(?:\(name="(\w+)"\))?\n(?:.*\n)*?    def (\w+)\(self\)', body
                    )
                }
    pytest.fail(f"the SDK has no {token}")


def test_every_row_of_the_data_is_of_a_type_or_function_that_the_sdks_have() -> None:
    rows = {token: row for token, row in data().items() if ":" in token}

    assert len(rows) > 200
    for token, row in rows.items():
        names = {"id"} | written(token)
        assert {path.split(".")[0] for path in row} <= names, token
    for token in (*data()["kinds"], *(f"azure-native:{name}" for name in data()["azure_paths"])):
        assert written(token), token


@pytest.mark.parametrize(
    "token",
    ["aws:s3/bucket:Bucket", "aws:sns/getTopic:getTopic", "kubernetes:rbac.authorization.k8s.io/v1:Role"],
)
def test_what_is_read_from_an_sdks_text_is_what_its_classes_have(token: str) -> None:
    cls = sdk.function_result(token) if ":get" in token else sdk.resource_class(token)

    assert cls is not None
    assert written(token) - {"id"} == {prop.name for prop in sdk.properties(cls)} - {"id", "urn"}


SAMPLE = [
    *("aws:lambda/function:Function", "aws:eks/cluster:Cluster", "aws:wafv2/webAcl:WebAcl", "aws:glue/job:Job"),
    *("gcp:container/cluster:Cluster", "gcp:sql/databaseInstance:DatabaseInstance", "gcp:redis/instance:Instance"),
    *("azure-native:containerservice:ManagedCluster", "azure-native:web:WebApp", "azure-native:keyvault:Vault"),
    *("kubernetes:apps/v1:Deployment", "kubernetes:core/v1:Pod", "kubernetes:helm.sh/v3:Release"),
]


def _deserializes(token: str) -> None:
    types = _types.resource_types(sdk.resource_class(token))
    found = made(token, {"name": "given"})
    assert found.id
    for name, value in found.outputs.items():
        if name in types and value is not None:
            rpc.translate_output_properties(value, lambda key: key, types[name], transform_using_type_metadata=False)


@pytest.mark.parametrize("token", SAMPLE)
def test_the_sdk_takes_the_outputs_for_its_own_types(token: str) -> None:
    _deserializes(token)


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize("package", ["aws", "gcp", "azure-native"])
def test_the_sdk_takes_the_outputs_of_each_of_its_types(package: str) -> None:
    importlib.import_module(f"pulumi_{package.replace('-', '_')}")
    modules = {key.split(":", 1)[1] for key in rpc._RESOURCE_MODULES if key.startswith(f"{package}:")}
    # Each sixth module, and there each second type: to import all of them takes a minute and a half.
    tokens = [token for module in sorted(modules)[::6] for token, _ in sdk.classes(package, module)]

    assert len(tokens) > 200
    for token in tokens[::2]:
        _deserializes(token)


def test_outputs_are_the_same_in_another_process() -> None:
    code = (
        "from localcloud import synthetic\n"
        "found = synthetic.outputs('aws:lb/loadBalancer:LoadBalancer', 'web', 'urn:x', {},"
        " synthetic.Context('p', 's'))\n"
        "print(sorted(found.paths), {key: found.outputs[key] for key in sorted(found.outputs)}, found.id)\n"
    )
    root = Path(__file__).parents[2]
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(runs) == 1


def test_two_resources_never_share_an_id() -> None:
    ids = {synthetic.outputs("aws:ec2/subnet:Subnet", f"s-{n}", f"urn:{n}", {}, CONTEXT).id for n in range(200)}

    assert len(ids) == 200


@given(st.text(), st.integers(1, 64))
def test_made_up_texts_are_well_formed_for_any_seed(seed: str, size: int) -> None:
    assert re.fullmatch(rf"[0-9a-f]{{{size}}}", forms.text(seed, f"hex:{size}") or "")
    assert re.fullmatch(rf"1\d{{{size - 1}}}", forms.text(seed, f"digits:{size}") or "")
    assert len(base64.b64decode(forms.text(seed, f"base64:{size}") or "", validate=True)) == size
    assert uuid.UUID(forms.text(seed, "uuid")).version == 4
    assert any(
        ipaddress.ip_address(forms.address(seed)) in ipaddress.ip_network(f"{net}.0/24")
        for net in forms.DOCUMENTATION_RANGES
    )
    assert ipaddress.ip_network(forms.text(seed, "cidr") or "")
    assert ipaddress.ip_network(forms.text(seed, "cidr6") or "")
    assert ipaddress.ip_address(forms.text(seed, "ipv6") or "")


@given(st.text(max_size=300))
def test_any_documentation_can_be_read(doc: str) -> None:
    forms.default_text(doc), forms.default_number(doc), forms.default_truth(doc), forms.legal_value(doc)
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", forms.slug(doc))


def test_a_kubernetes_resource_has_the_name_that_the_cluster_would_give_it() -> None:
    token = "kubernetes:apps/v1:Deployment"
    metadata = made(token, {"metadata": {"labels": {"app": "web"}}}).outputs["metadata"]

    assert metadata["name"].startswith("web-")
    assert metadata["namespace"] == "default"
    assert metadata["labels"] == {"app": "web"}
    given = made(token, {"metadata": {"name": "mine", "namespace": "ours"}}).outputs["metadata"]
    assert (given["name"], given["namespace"]) == ("mine", "ours")


def test_an_azure_deployment_answers_the_outputs_of_its_template() -> None:
    template = {"outputs": {"host": {"type": "String", "value": "[x]"}, "count": {"type": "int", "value": "[y]"}}}
    token = "azure-native:resources:Deployment"
    inputs = {"resourceGroupName": "rg", "properties": {"mode": "Incremental", "template": template}}
    outputs = made(token, inputs).outputs["properties"]["outputs"]

    assert outputs["count"] == {"type": "int", "value": 1}
    assert outputs["host"]["value"].startswith("host-")
