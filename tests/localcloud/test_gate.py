"""The gate, over TLS and with boto3, as workloads meet it."""

import hashlib
import http.client
import json
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localcloud import emulator
from localcloud.emulator import Emulator
from tests.localcloud.emulated import (
    ACCOUNT,
    ALLOW_ROOT,
    REGION,
    ROOT,
    Keys,
    assumed,
    calls,
    client,
    document,
    role,
    running,
    trust,
)

pytestmark = pytest.mark.slow
VIA_S3 = f"s3.{REGION}.amazonaws.com"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator")) as found:
        yield found


@pytest.fixture
def name() -> str:
    """A name that no other test of this emulator uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def key(cloud: Emulator) -> str:
    """The ARN of a customer-managed key whose policy leaves the decision to the account."""
    return str(client(cloud, "kms").create_key(Policy=document(ALLOW_ROOT))["KeyMetadata"]["Arn"])


@pytest.fixture
def bucket(cloud: Emulator, name: str, key: str) -> str:
    """A bucket like those of the project: encrypted with the key, TLS only."""
    s3 = client(cloud, "s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    tls_only = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    s3.put_bucket_policy(Bucket=name, Policy=document(tls_only))
    return name


def allow(action: str | list[str], resource: str | list[str], **condition: Any) -> dict[str, Any]:
    found = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**found, "Condition": condition} if condition else found


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def raw(
    cloud: Emulator, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, bytes]:
    """One request by hand, the Host header as given or right."""
    trusted = ssl.create_default_context(cafile=str(cloud.ca_bundle))
    connection = http.client.HTTPSConnection("127.0.0.1", port(cloud), context=trusted, timeout=20)
    try:
        connection.putrequest(method, path, skip_host="Host" in (headers or {}))
        for header, value in {"Content-Length": str(len(body or b"")), **(headers or {})}.items():
            connection.putheader(header, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def port(cloud: Emulator) -> int:
    return int(urlsplit(cloud.url).port or 0)


def signed(
    cloud: Emulator, method: str, path: str, body: bytes = b"", service: str = "s3", *, keys: Keys | None = None,
    headers: dict[str, str] | None = None, at: datetime | None = None,
) -> dict[str, str]:  # fmt: skip
    """Headers that sign a request, made by botocore."""
    keys = keys or Keys(cloud.access_key, cloud.secret_key)
    request = AWSRequest(method, cloud.url + path, headers or {}, body)
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(
        Credentials(keys.access_key, keys.secret_key, keys.token), service, REGION
    )
    if at:
        original = botocore.auth.get_current_datetime
        botocore.auth.get_current_datetime = lambda *a, **k: at.replace(tzinfo=None)
        try:
            signer.add_auth(request)
        finally:
            botocore.auth.get_current_datetime = original
    else:
        signer.add_auth(request)
    return {k: str(v) for k, v in request.headers.items()}


# --- who calls ----------------------------------------------------------------------------------------


SERVICES: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("s3", "list_buckets", {}, "InvalidAccessKeyId", "SignatureDoesNotMatch"),
    ("sts", "get_caller_identity", {}, "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ("iam", "list_roles", {}, "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ("ec2", "describe_vpcs", {}, "AuthFailure", "AuthFailure"),
    ("kms", "list_keys", {}, "UnrecognizedClientException", "InvalidSignatureException"),
    ("dynamodb", "list_tables", {}, "UnrecognizedClientException", "InvalidSignatureException"),
    ("lambda", "list_functions", {}, "UnrecognizedClientException", "InvalidSignatureException"),
    ("cloudwatch", "list_metrics", {}, "UnrecognizedClientException", "InvalidSignatureException"),
]


@pytest.mark.parametrize(("service", "operation", "arguments", "expected", "_"), SERVICES)
def test_an_unknown_key_is_refused_in_the_protocol_of_the_service(
    cloud: Emulator, service: str, operation: str, arguments: dict[str, Any], expected: str, _: str
) -> None:
    stranger = client(cloud, service, Keys("AKIAIOSFODNN7EXAMPLE", "secret"))
    with pytest.raises(ClientError) as error:
        getattr(stranger, operation)(**arguments)
    assert code(error) == expected


@pytest.mark.parametrize(("service", "operation", "arguments", "_", "expected"), SERVICES)
def test_a_forged_signature_is_refused_in_the_protocol_of_the_service(
    cloud: Emulator, service: str, operation: str, arguments: dict[str, Any], _: str, expected: str
) -> None:
    forger = client(cloud, service, Keys(cloud.access_key, "not the secret"))
    with pytest.raises(ClientError) as error:
        getattr(forger, operation)(**arguments)
    assert code(error) == expected


def test_an_unsigned_request_is_refused(cloud: Emulator, bucket: str) -> None:
    assert raw(cloud, "GET", f"/{bucket}/")[0] == 403
    assert b"AccessDenied" in raw(cloud, "GET", f"/{bucket}/")[1]
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert b"MissingAuthenticationToken" in raw(cloud, "POST", "/", form, body)[1]


def test_a_web_identity_gets_no_session_unsigned(cloud: Emulator, name: str) -> None:
    arn = role(cloud, name)
    with pytest.raises(ClientError) as error:
        client(cloud, "sts").assume_role_with_web_identity(
            RoleArn=arn, RoleSessionName="test", WebIdentityToken="anything"
        )
    assert code(error) == "MissingAuthenticationToken"


def test_the_old_signature_is_refused(cloud: Emulator, bucket: str) -> None:
    status, _ = raw(cloud, "GET", f"/{bucket}/", {"Authorization": f"AWS {cloud.access_key}:abc="})
    assert status == 400


def test_a_changed_body_is_refused(cloud: Emulator, bucket: str) -> None:
    headers = signed(cloud, "PUT", f"/{bucket}/k", b"one")
    status, text = raw(cloud, "PUT", f"/{bucket}/k", headers, b"two")
    assert (status, b"XAmzContentSHA256Mismatch" in text) == (400, True)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    headers = signed(cloud, "POST", "/", b"Action=ListRoles&Version=2010-05-08", "iam", headers=form)
    status, text = raw(cloud, "POST", "/", headers, b"Action=ListUsers&Version=2010-05-08")
    assert (status, b"SignatureDoesNotMatch" in text) == (403, True)


def test_a_changed_path_or_query_is_refused(cloud: Emulator, bucket: str) -> None:
    headers = signed(cloud, "GET", f"/{bucket}/one")
    assert raw(cloud, "GET", f"/{bucket}/two", headers)[0] == 403
    assert raw(cloud, "GET", f"/{bucket}/one?versionId=1", headers)[0] == 403


def test_an_amazon_header_that_was_not_signed_is_refused(cloud: Emulator, bucket: str) -> None:
    headers = {**signed(cloud, "PUT", f"/{bucket}/k", b""), "x-amz-copy-source": "/other/secret"}
    status, text = raw(cloud, "PUT", f"/{bucket}/k", headers)
    assert (status, b"not signed" in text) == (403, True)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_request_from_another_time_is_refused(cloud: Emulator, bucket: str, minutes: int) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    status, text = raw(cloud, "GET", f"/{bucket}/", signed(cloud, "GET", f"/{bucket}/", at=at))
    assert (status, b"RequestTimeTooSkewed" in text) == (403, True)


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_that_is_a_little_wrong_is_no_obstacle(cloud: Emulator, bucket: str, minutes: int) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    assert raw(cloud, "GET", f"/{bucket}/", signed(cloud, "GET", f"/{bucket}/", at=at))[0] == 200


def test_a_temporary_key_needs_its_own_token(cloud: Emulator, name: str) -> None:
    keys = assumed(cloud, role(cloud, name))
    client(cloud, "sts", keys).get_caller_identity()
    other = assumed(cloud, f"arn:aws:iam::{ACCOUNT}:role/{name}")
    for token in (None, "wrong", other.token):
        with pytest.raises(ClientError) as error:
            client(cloud, "sts", Keys(keys.access_key, keys.secret_key, token)).get_caller_identity()
        assert code(error) == "InvalidClientTokenId"


def test_the_administrators_key_takes_no_token(cloud: Emulator) -> None:
    with pytest.raises(ClientError) as error:
        client(cloud, "s3", Keys(cloud.access_key, cloud.secret_key, "token")).list_buckets()
    assert code(error) == "InvalidToken"


def test_a_session_ends_with_its_role(cloud: Emulator, name: str) -> None:
    arn = role(cloud, name)
    keys = assumed(cloud, arn)
    client(cloud, "iam").delete_role(RoleName=name)
    with pytest.raises(ClientError) as error:
        client(cloud, "sts", keys).get_caller_identity()
    assert code(error) == "InvalidClientTokenId"
    role(cloud, name)
    with pytest.raises(ClientError) as error:  # a new role of the same name is another role
        client(cloud, "sts", keys).get_caller_identity()
    assert code(error) == "InvalidClientTokenId"


def test_an_iam_user_calls_with_its_own_rights(cloud: Emulator, bucket: str, name: str) -> None:
    iam = client(cloud, "iam")
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    keys = Keys(made["AccessKeyId"], made["SecretAccessKey"])
    assert client(cloud, "sts", keys).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{name}"
    with pytest.raises(ClientError) as error:
        client(cloud, "s3", keys).list_objects_v2(Bucket=bucket)
    assert code(error) == "AccessDenied"
    own = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": "${aws:username}/*"})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(own))
    client(cloud, "s3", keys).list_objects_v2(Bucket=bucket, Prefix=f"{name}/x")
    with pytest.raises(ClientError):
        client(cloud, "s3", keys).list_objects_v2(Bucket=bucket, Prefix="other/x")
    iam.update_access_key(UserName=name, AccessKeyId=keys.access_key, Status="Inactive")
    with pytest.raises(ClientError) as error:
        client(cloud, "s3", keys).list_objects_v2(Bucket=bucket, Prefix=f"{name}/x")
    assert code(error) == "InvalidAccessKeyId"


def test_the_administrator_is_the_accounts_root(cloud: Emulator) -> None:
    assert client(cloud, "sts").get_caller_identity()["Arn"] == ROOT


# --- by which way -------------------------------------------------------------------------------------


def test_a_plain_http_call_is_refused(cloud: Emulator) -> None:
    with socket.create_connection(("127.0.0.1", port(cloud)), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        try:
            answer = plain.recv(1024)
        except ConnectionResetError:
            answer = b""
    assert b"HTTP" not in answer


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "169.254.169.254", "localhost.evil.org", ""])
def test_only_loopback_names_are_answered(cloud: Emulator, host: str) -> None:
    status, _ = raw(cloud, "GET", "/", {"Host": host})
    assert status in {400, 421}


def test_a_bucket_may_be_in_the_name_of_the_host(cloud: Emulator, bucket: str) -> None:
    client(cloud, "s3").put_object(Bucket=bucket, Key="a b/ä?.txt", Body=b"hello")
    path, host = f"/{quote('a b/ä?.txt')}", f"{bucket}.s3.localhost:{port(cloud)}"
    request = AWSRequest("GET", f"https://{host}{path}")
    S3SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "s3", REGION).add_auth(request)
    headers = {**{k: str(v) for k, v in request.headers.items()}, "Host": host}
    assert raw(cloud, "GET", path, headers) == (200, b"hello")


def test_the_control_interface_is_the_administrators_alone(cloud: Emulator, name: str) -> None:
    keys = assumed(cloud, role(cloud, name, allow("*", "*")))
    for path in ("/moto-api/reset", "/moto-api/data.json", "/_localcloud/health", "/moto-api/../moto-api/reset"):
        assert raw(cloud, "POST", path)[0] == 403
        assert raw(cloud, "POST", path, {"Authorization": "Bearer wrong"})[0] == 403
        assert raw(cloud, "POST", path, signed(cloud, "POST", path, keys=keys))[0] == 403
    assert client(cloud, "iam").get_role(RoleName=name)
    path = "/moto-api/config"
    assert raw(cloud, "GET", path, signed(cloud, "GET", path))[0] in {200, 201}


def test_instance_metadata_is_not_served(cloud: Emulator) -> None:
    assert raw(cloud, "GET", "/latest/meta-data/iam/security-credentials/")[0] == 403
    assert raw(cloud, "PUT", "/latest/api/token")[0] == 403


# --- bodies -------------------------------------------------------------------------------------------


def test_objects_come_back_as_they_went(cloud: Emulator, bucket: str) -> None:
    s3 = client(cloud, "s3")
    for size in (0, 1, 70_000, 3_000_000):
        content = hashlib.shake_128(str(size).encode()).digest(size)
        s3.put_object(
            Bucket=bucket, Key=f"of {size}", Body=content, Metadata={"with_underscore": "1", "with-dash": "2"}
        )
        found = s3.get_object(Bucket=bucket, Key=f"of {size}")
        assert found["Body"].read() == content
        assert found["Metadata"] == {"with_underscore": "1", "with-dash": "2"}


def test_a_stream_of_unknown_length_is_taken(cloud: Emulator, bucket: str, tmp_path: Any) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"z" * 9_000_000)
    s3 = client(cloud, "s3")
    s3.upload_file(str(file), bucket, "by parts")  # above 8 MB: a multipart upload
    s3.download_file(bucket, "by parts", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def test_a_checksum_in_the_trailer_is_checked(cloud: Emulator, bucket: str) -> None:
    def upload(checksum: str, length: int = 5) -> tuple[int, bytes]:
        headers = {
            "content-encoding": "aws-chunked", "x-amz-trailer": "x-amz-checksum-crc32",
            "x-amz-decoded-content-length": str(length), "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }  # fmt: skip
        request = AWSRequest("PUT", f"{cloud.url}/{bucket}/k", headers)
        request.context["checksum"] = {"request_algorithm": {"in": "trailer", "algorithm": "crc32"}}
        S3SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "s3", REGION).add_auth(request)
        body = f"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n".encode()
        return raw(cloud, "PUT", f"/{bucket}/k", {k: str(v) for k, v in request.headers.items()}, body)

    assert upload("NhCmhg==")[0] == 200
    assert client(cloud, "s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"
    assert upload("AAAAAA==")[0] == 400
    assert upload("NhCmhg==", length=6)[0] == 400


def test_a_refused_upload_is_never_sent(cloud: Emulator, bucket: str) -> None:
    trusted = ssl.create_default_context(cafile=str(cloud.ca_bundle))
    head = f"PUT /{bucket}/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", port(cloud)), timeout=20) as plain,
        trusted.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(head.encode())
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "headers", [{"Transfer-Encoding": "chunked"}, {"Transfer-Encoding": "gzip"}, {"Content-Length": "-1"}]
)
def test_a_request_of_unclear_length_is_refused(cloud: Emulator, headers: dict[str, str]) -> None:
    assert raw(cloud, "PUT", "/b/k", {"Content-Length": "5", **headers}, b"hello")[0] == 400


# --- presigned URLs -----------------------------------------------------------------------------------


def test_a_presigned_url_serves_what_its_signer_may_read(cloud: Emulator, bucket: str, key: str, name: str) -> None:
    client(cloud, "s3").put_object(Bucket=bucket, Key="in/a", Body=b"hello")
    client(cloud, "s3").put_object(Bucket=bucket, Key="out/a", Body=b"secret")
    reader = assumed(
        cloud, role(cloud, name, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/in/*"), allow("kms:Decrypt", key))
    )
    s3 = client(cloud, "s3", reader, config={"signature_version": "s3v4"})

    def fetch(key: str, **change: str) -> tuple[int, bytes]:
        url = urlsplit(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=60))
        query = url.query
        for old, new in change.items():
            query = query.replace(f"{old.replace('_', '-')}=", f"{new}=")
        return raw(cloud, "GET", f"{url.path}?{query}")

    assert fetch("in/a") == (200, b"hello")
    assert fetch("out/a")[0] == 403
    assert fetch("in/a", X_Amz_Signature="X-Amz-Signature=0")[0] == 403
    url = urlsplit(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "in/a"}, ExpiresIn=60))
    assert raw(cloud, "GET", url.path.replace("in/a", "out/a") + f"?{url.query}")[0] == 403
    assert raw(cloud, "PUT", f"{url.path}?{url.query}", body=b"x")[0] == 403
    assert raw(cloud, "GET", f"{url.path}?{url.query.replace('Expires=60', 'Expires=600')}")[0] == 403
    assert raw(cloud, "GET", f"{url.path}?{url.query.replace('Expires=60', 'Expires=6000000')}")[0] == 400


def test_a_presigned_url_runs_out(cloud: Emulator, bucket: str) -> None:
    client(cloud, "s3").put_object(Bucket=bucket, Key="a", Body=b"hello")
    s3 = client(cloud, "s3", config={"signature_version": "s3v4"})
    url = urlsplit(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a"}, ExpiresIn=1))
    threading.Event().wait(2.1)
    status, text = raw(cloud, "GET", f"{url.path}?{url.query}")
    assert (status, b"Request has expired" in text) == (403, True)


def test_a_presigned_upload_works(cloud: Emulator, bucket: str) -> None:
    s3 = client(cloud, "s3", config={"signature_version": "s3v4"})
    url = urlsplit(s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a"}))
    assert raw(cloud, "PUT", f"{url.path}?{url.query}", body=b"hello")[0] == 200
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"hello"


# --- what a role may do -------------------------------------------------------------------------------


@pytest.fixture
def server(cloud: Emulator, bucket: str, key: str, name: str) -> Keys:
    """A role with the grants of the project's server: read one prefix, write another."""
    return assumed(
        cloud,
        role(
            cloud, name,
            allow(["s3:GetObject", "s3:GetObjectVersion"], f"arn:aws:s3:::{bucket}/models/*"),
            allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": ["models/*"]}),
            allow("s3:PutObject", f"arn:aws:s3:::{bucket}/lake/*"),
            allow(["kms:Decrypt", "kms:GenerateDataKey"], key, StringEquals={"kms:ViaService": VIA_S3}),
        ),
    )  # fmt: skip


def test_a_role_reads_and_writes_its_prefixes_and_nothing_else(cloud: Emulator, bucket: str, server: Keys) -> None:
    root, s3 = client(cloud, "s3"), client(cloud, "s3", server)
    for prefix in ("models", "data", "lake"):
        root.put_object(Bucket=bucket, Key=f"{prefix}/a", Body=prefix.encode())
    assert s3.get_object(Bucket=bucket, Key="models/a")["Body"].read() == b"models"
    assert s3.head_object(Bucket=bucket, Key="models/a")["ContentLength"] == 6
    assert s3.list_objects_v2(Bucket=bucket, Prefix="models/")["KeyCount"] == 1
    s3.put_object(Bucket=bucket, Key="lake/b", Body=b"x")
    refused = [
        lambda: s3.get_object(Bucket=bucket, Key="data/a"),
        lambda: s3.get_object(Bucket=bucket, Key="lake/a"),
        lambda: s3.get_object(Bucket=bucket, Key="models"),
        lambda: s3.get_object(Bucket=bucket, Key="/models/a"),
        lambda: s3.get_object(Bucket=bucket, Key="lake/../models/a"),
        lambda: s3.put_object(Bucket=bucket, Key="models/a", Body=b"x"),
        lambda: s3.put_object(Bucket=bucket, Key="lakes", Body=b"x"),
        lambda: s3.delete_object(Bucket=bucket, Key="lake/b"),
        lambda: s3.list_objects_v2(Bucket=bucket),
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix="data/"),
        lambda: s3.list_object_versions(Bucket=bucket, Prefix="models/"),
        lambda: s3.put_object_tagging(Bucket=bucket, Key="lake/b", Tagging={"TagSet": []}),
        lambda: s3.put_object(Bucket=bucket, Key="lake/c", Body=b"x", Tagging="a=b"),
        lambda: s3.put_object(Bucket=bucket, Key="lake/c", Body=b"x", ACL="public-read"),
        lambda: s3.put_bucket_policy(Bucket=bucket, Policy="{}"),
        lambda: s3.get_bucket_policy(Bucket=bucket),
        s3.list_buckets,
        lambda: s3.create_bucket(Bucket=f"{bucket}x"),
        lambda: s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": []}),
    ]
    for call in refused:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == "AccessDenied"
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket=bucket, Key="data/a")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert root.get_object(Bucket=bucket, Key="models/a")["Body"].read() == b"models"


def test_a_copy_needs_both_ends(cloud: Emulator, bucket: str, server: Keys) -> None:
    root, s3 = client(cloud, "s3"), client(cloud, "s3", server)
    root.put_object(Bucket=bucket, Key="models/a", Body=b"model")
    root.put_object(Bucket=bucket, Key="data/a", Body=b"data")
    s3.copy_object(Bucket=bucket, Key="lake/copy", CopySource={"Bucket": bucket, "Key": "models/a"})
    for target, source in (("lake/copy", "data/a"), ("models/copy", "models/a"), ("lake/copy", "models/../data/a")):
        for given in ({"Bucket": bucket, "Key": source}, quote(f"{bucket}/{source}", safe="")):
            with pytest.raises(ClientError) as error:
                s3.copy_object(Bucket=bucket, Key=target, CopySource=given)
            assert code(error) == "AccessDenied"
    assert root.get_object(Bucket=bucket, Key="lake/copy")["Body"].read() == b"model"
    upload = root.create_multipart_upload(Bucket=bucket, Key="lake/big")["UploadId"]
    part = {"Bucket": bucket, "Key": "lake/big", "UploadId": upload, "PartNumber": 1}
    s3.upload_part_copy(**part, CopySource={"Bucket": bucket, "Key": "models/a"})
    with pytest.raises(ClientError) as error:
        s3.upload_part_copy(**part, CopySource={"Bucket": bucket, "Key": "data/a"})
    assert code(error) == "AccessDenied"


def test_a_version_of_its_own_is_another_right(cloud: Emulator, bucket: str, name: str, key: str) -> None:
    root = client(cloud, "s3")
    root.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = root.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    latest = assumed(cloud, role(cloud, name, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), allow("kms:*", key)))
    s3 = client(cloud, "s3", latest)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="a", VersionId=version)
    assert code(error) == "AccessDenied"


def test_of_a_batch_only_what_is_allowed_is_deleted(cloud: Emulator, bucket: str, name: str) -> None:
    root = client(cloud, "s3")
    for entry in ("tmp/a", "tmp/b", "keep/<c>&"):
        root.put_object(Bucket=bucket, Key=entry, Body=b"x")
    cleaner = assumed(cloud, role(cloud, name, allow("s3:DeleteObject", f"arn:aws:s3:::{bucket}/tmp/*")))
    s3 = client(cloud, "s3", cleaner)
    answer = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "tmp/a"}, {"Key": "keep/<c>&"}, {"Key": "tmp/b"}]}
    )
    assert {d["Key"] for d in answer["Deleted"]} == {"tmp/a", "tmp/b"}
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("keep/<c>&", "AccessDenied")]
    alone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "keep/<c>&"}], "Quiet": True})
    assert [e["Key"] for e in alone["Errors"]] == ["keep/<c>&"]
    assert [o["Key"] for o in root.list_objects_v2(Bucket=bucket)["Contents"]] == ["keep/<c>&"]


def test_multipart_uploads_stay_with_their_key(cloud: Emulator, bucket: str, server: Keys) -> None:
    root, s3 = client(cloud, "s3"), client(cloud, "s3", server)
    mine = s3.create_multipart_upload(Bucket=bucket, Key="lake/big")["UploadId"]
    tag = s3.upload_part(Bucket=bucket, Key="lake/big", UploadId=mine, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"ETag": tag, "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="lake/big", UploadId=mine, MultipartUpload=parts)
    with pytest.raises(ClientError) as error:
        s3.create_multipart_upload(Bucket=bucket, Key="models/big")
    assert code(error) == "AccessDenied"
    theirs = root.create_multipart_upload(Bucket=bucket, Key="models/big")["UploadId"]
    with pytest.raises(ClientError) as error:  # another's upload by way of a key that may be written
        s3.upload_part(Bucket=bucket, Key="lake/big", UploadId=theirs, PartNumber=1, Body=b"x")
    assert code(error) == "NoSuchUpload"


def test_absence_is_told_only_to_those_who_may_list(cloud: Emulator, bucket: str, name: str, key: str) -> None:
    read = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    blind = client(cloud, "s3", assumed(cloud, role(cloud, name, read)))
    seeing = client(cloud, "s3", assumed(cloud, role(cloud, f"{name}2", read, allow("s3:ListBucket", "*"))))
    with pytest.raises(ClientError) as error:
        blind.get_object(Bucket=bucket, Key="nothing")
    assert code(error) == "AccessDenied"
    with pytest.raises(ClientError) as error:
        seeing.get_object(Bucket=bucket, Key="nothing")
    assert code(error) == "NoSuchKey"
    for s3, status in ((blind, 403), (seeing, 404)):
        with pytest.raises(ClientError) as error:
            s3.head_object(Bucket=bucket, Key="nothing")
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    with pytest.raises(ClientError) as error:
        blind.get_object(Bucket=f"{bucket}-not", Key="nothing")
    assert code(error) in {"NoSuchBucket", "AccessDenied"}


def test_a_bucket_policy_grants_and_denies(cloud: Emulator, bucket: str, name: str, key: str) -> None:
    arn = role(cloud, name, allow("kms:*", key))
    s3 = client(cloud, "s3", assumed(cloud, arn))
    root = client(cloud, "s3")
    root.put_object(Bucket=bucket, Key="a", Body=b"x")
    grant = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Principal": {"AWS": arn}}
    root.put_bucket_policy(Bucket=bucket, Policy=document(grant))
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"
    deny = {**grant, "Effect": "Deny", "Principal": "*"}
    root.put_bucket_policy(Bucket=bucket, Policy=document(grant, deny))
    for each in (s3, root):
        with pytest.raises(ClientError) as error:
            each.get_object(Bucket=bucket, Key="a")
        assert code(error) == "AccessDenied"
    root.put_bucket_policy(Bucket=bucket, Policy=document({**deny, "Action": "s3:*", "Resource": "*"}))
    root.delete_bucket_policy(Bucket=bucket)  # root always may, or nobody could


def test_an_upload_with_the_wrong_encryption_is_denied_by_policy(cloud: Emulator, bucket: str, key: str) -> None:
    deny = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {
            "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key},
            "Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "false"},
        },
    }  # fmt: skip
    s3 = client(cloud, "s3")
    s3.put_bucket_policy(Bucket=bucket, Policy=document(deny))
    other = client(cloud, "kms").create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="a", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=other)
    assert code(error) == "AccessDenied"


def test_reading_needs_the_buckets_key_too(cloud: Emulator, bucket: str, name: str, key: str) -> None:
    client(cloud, "s3").put_object(Bucket=bucket, Key="a", Body=b"x")
    objects = allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*")
    without = client(cloud, "s3", assumed(cloud, role(cloud, name, objects)))
    tried: list[Callable[[], Any]] = [
        lambda: without.get_object(Bucket=bucket, Key="a"),
        lambda: without.put_object(Bucket=bucket, Key="b", Body=b"x"),
        lambda: without.create_multipart_upload(Bucket=bucket, Key="b"),
    ]
    for call in tried:
        with pytest.raises(ClientError, match="kms:") as error:
            call()
        assert code(error) == "AccessDenied"
    without.head_object(Bucket=bucket, Key="a")  # tells no content, needs no key
    context = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/a"}
    with_key = role(cloud, f"{name}2", objects, allow("kms:Decrypt", key, StringEquals=context))
    s3 = client(cloud, "s3", assumed(cloud, with_key))
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"
    client(cloud, "s3").put_object(Bucket=bucket, Key="other", Body=b"x")
    with pytest.raises(ClientError):
        s3.get_object(Bucket=bucket, Key="other")


def test_a_key_policy_that_names_nobody_shuts_roles_out(cloud: Emulator, name: str) -> None:
    arn = role(cloud, name, allow("kms:*", "*"))
    closed = client(cloud, "kms").create_key(
        Policy=document({**ALLOW_ROOT, "Principal": {"AWS": f"{ROOT[:-4]}user/x"}})
    )
    kms = client(cloud, "kms", assumed(cloud, arn))
    with pytest.raises(ClientError) as error:
        kms.encrypt(KeyId=closed["KeyMetadata"]["KeyId"], Plaintext=b"x")
    assert code(error) == "AccessDeniedException"
    direct = client(cloud, "kms").create_key(Policy=document({**ALLOW_ROOT, "Principal": {"AWS": arn}}))["KeyMetadata"]
    bare = client(cloud, "kms", assumed(cloud, role(cloud, f"{name}2")))
    blob = kms.encrypt(KeyId=direct["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    with pytest.raises(ClientError):
        bare.decrypt(CiphertextBlob=blob)


def test_a_grant_lets_a_role_use_a_key(cloud: Emulator, name: str, key: str) -> None:
    arn = role(cloud, name)
    kms = client(cloud, "kms", assumed(cloud, arn))
    client(cloud, "kms").create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt"])
    kms.encrypt(KeyId=key, Plaintext=b"x")
    with pytest.raises(ClientError):
        kms.generate_data_key(KeyId=key, KeySpec="AES_256")


def test_nothing_is_served_under_a_key_that_is_gone(cloud: Emulator, bucket: str, key: str) -> None:
    s3, kms = client(cloud, "s3"), client(cloud, "kms")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    kms.disable_key(KeyId=key.rpartition("/")[2])
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="a")
    assert code(error) == "KMS.DisabledException"
    kms.enable_key(KeyId=key.rpartition("/")[2])
    s3.get_object(Bucket=bucket, Key="a")
    kms.schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=7)
    tried: list[Callable[[], Any]] = [
        lambda: s3.get_object(Bucket=bucket, Key="a"),
        lambda: s3.put_object(Bucket=bucket, Key="b", Body=b""),
    ]
    for call in tried:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == "KMS.KMSInvalidStateException"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="b", ServerSideEncryption="aws:kms", SSEKMSKeyId=str(uuid.uuid4()))
    assert code(error) == "KMS.NotFoundException"
    s3.delete_object(Bucket=bucket, Key="a")


def test_a_boundary_and_a_session_policy_limit_a_role(cloud: Emulator, bucket: str, name: str, key: str) -> None:
    root = client(cloud, "s3")
    for entry in ("in/a", "out/a"):
        root.put_object(Bucket=bucket, Key=entry, Body=b"x")
    inside = document(allow("s3:*", f"arn:aws:s3:::{bucket}/in/*"), allow("kms:*", "*"))
    limit = client(cloud, "iam").create_policy(PolicyName=name, PolicyDocument=inside)["Policy"]["Arn"]
    bounded = role(cloud, name, allow("*", "*"), PermissionsBoundary=limit)
    free = role(cloud, f"{name}2", allow("*", "*"))
    for keys in (
        assumed(cloud, bounded), assumed(cloud, free, Policy=inside), assumed(cloud, free, PolicyArns=[{"arn": limit}]),
    ):  # fmt: skip
        s3 = client(cloud, "s3", keys)
        s3.get_object(Bucket=bucket, Key="in/a")
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket=bucket, Key="out/a")
        assert code(error) == "AccessDenied"
    client(cloud, "s3", assumed(cloud, free)).get_object(Bucket=bucket, Key="out/a")


def test_an_attached_policy_counts_by_its_default_version(cloud: Emulator, bucket: str, name: str, key: str) -> None:
    iam = client(cloud, "iam")
    arn = role(cloud, name)
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    s3 = client(cloud, "s3", assumed(cloud, arn))
    s3.list_objects_v2(Bucket=bucket)
    with pytest.raises(ClientError):
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    iam.detach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    with pytest.raises(ClientError):
        s3.list_objects_v2(Bucket=bucket)


def test_principal_tags_stand_in_policies(cloud: Emulator, bucket: str, name: str) -> None:
    own = allow("s3:ListBucket", "*", StringEquals={"s3:prefix": "${aws:PrincipalTag/team}/"})
    s3 = client(cloud, "s3", assumed(cloud, role(cloud, name, own, Tags=[{"Key": "team", "Value": "ml"}])))
    s3.list_objects_v2(Bucket=bucket, Prefix="ml/")
    with pytest.raises(ClientError):
        s3.list_objects_v2(Bucket=bucket, Prefix="other/")


def test_a_condition_key_that_is_not_modelled_never_opens(cloud: Emulator, bucket: str, name: str) -> None:
    both = [
        allow("s3:ListBucket", "*", StringNotEquals={"aws:MadeUp": "x"}),
        allow("s3:GetBucketLocation", "*"),
        {**allow("s3:GetBucketLocation", "*", StringEquals={"aws:MadeUp": "x"}), "Effect": "Deny"},
    ]
    s3 = client(cloud, "s3", assumed(cloud, role(cloud, name, *both)))
    for call in (s3.list_objects_v2, s3.get_bucket_location):
        with pytest.raises(ClientError) as error:
            call(Bucket=bucket)
        assert code(error) == "AccessDenied"


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("ec2", "describe_vpcs", {}),
        ("iam", "list_roles", {}),
        ("lambda", "list_functions", {}),
        ("kms", "create_key", {}),
        ("s3", "put_bucket_versioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}}),
        ("sts", "decode_authorization_message", {"EncodedMessage": "x"}),
        ("cloudformation", "list_stacks", {}),
        ("sts", "get_session_token", {}),
    ],
)
def test_a_call_that_is_not_in_the_table_is_denied_as_not_modelled(
    cloud: Emulator, name: str, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    keys = assumed(cloud, role(cloud, name, allow("*", "*")))
    with pytest.raises(ClientError, match="not modelled") as error:
        getattr(client(cloud, service, keys), operation)(**arguments)
    assert code(error) in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
    assert calls(cloud)[-1]["decision"] == "NotModelled"


@pytest.mark.parametrize(
    "path", ["/{b}/k?tagging&acl", "/{b}/k?versionId=1&versionId=2", "/{b}?made-up", "/v20180820/x", "/{b}/k?Action=x"]
)
def test_a_request_that_can_be_read_in_two_ways_is_denied(cloud: Emulator, bucket: str, name: str, path: str) -> None:
    keys = assumed(cloud, role(cloud, name, allow("*", "*")))
    path = path.format(b=bucket)
    status, text = raw(cloud, "GET", path, signed(cloud, "GET", path, keys=keys))
    assert (status, b"not modelled" in text) == (403, True)


def test_an_operation_named_in_two_places_is_denied(cloud: Emulator, name: str) -> None:
    keys = assumed(cloud, role(cloud, name, allow("dynamodb:DescribeTable", "*"), allow("sns:Publish", "*")))
    target = {"X-Amz-Target": "DynamoDB_20120810.DescribeTable", "Content-Type": "application/x-amz-json-1.0"}
    path, body = "/?Action=ListTables", b'{"TableName": "x"}'
    headers = signed(cloud, "POST", path, body, "dynamodb", keys=keys, headers=target)
    assert b"not modelled" in raw(cloud, "POST", path, headers, body)[1]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    path, body = "/?Action=ListTopics", b"Action=Publish&TopicArn=arn:aws:sns:eu-central-1:123456789012:x&Message=m"
    headers = signed(cloud, "POST", path, body, "sns", keys=keys, headers=form)
    assert b"not modelled" in raw(cloud, "POST", path, headers, body)[1]


def test_workloads_reach_the_other_services_that_they_are_granted(cloud: Emulator, name: str, key: str) -> None:
    """One call each of the table's services: allowed with the grant, denied without."""
    admin = {s: client(cloud, s) for s in ("dynamodb", "sqs", "sns", "ecr", "logs", "secretsmanager", "ssm")}
    admin["dynamodb"].create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )  # fmt: skip
    queue = admin["sqs"].create_queue(QueueName=name)["QueueUrl"]
    topic = admin["sns"].create_topic(Name=name)["TopicArn"]
    admin["ecr"].create_repository(repositoryName=name)
    admin["logs"].create_log_group(logGroupName=name)
    secret = admin["secretsmanager"].create_secret(Name=name, SecretString="s", KmsKeyId=key)["ARN"]
    admin["ssm"].put_parameter(Name=f"/{name}/p", Value="v", Type="SecureString", KeyId=key)
    here = f"{REGION}:{ACCOUNT}"
    grants = [
        allow(["dynamodb:PutItem", "dynamodb:BatchGetItem"], f"arn:aws:dynamodb:{here}:table/{name}"),
        allow("sqs:SendMessage", f"arn:aws:sqs:{here}:{name}"),
        allow("sns:Publish", topic),
        allow("ecr:GetAuthorizationToken", "*"),
        allow("ecr:BatchGetImage", f"arn:aws:ecr:{here}:repository/{name}"),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:{here}:log-group:{name}:*"),
        allow("cloudwatch:PutMetricData", "*", StringEquals={"cloudwatch:namespace": "Mine"}),
        allow("secretsmanager:GetSecretValue", secret),
        allow("ssm:GetParameter", f"arn:aws:ssm:{here}:parameter/{name}/*"),
        allow("kms:Decrypt", key),
    ]
    with_grants = assumed(cloud, role(cloud, name, *grants))
    without = assumed(cloud, role(cloud, f"{name}2"))

    def use(keys: Keys) -> list[Any]:
        it = {s: client(cloud, s, keys) for s in (*admin, "cloudwatch")}
        event = {"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": "m"}
        return [
            lambda: it["dynamodb"].put_item(TableName=name, Item={"k": {"S": "x"}}),
            lambda: it["dynamodb"].batch_get_item(RequestItems={name: {"Keys": [{"k": {"S": "x"}}]}}),
            lambda: it["sqs"].send_message(QueueUrl=queue, MessageBody="m"),
            lambda: it["sns"].publish(TopicArn=topic, Message="m"),
            it["ecr"].get_authorization_token,
            lambda: it["ecr"].batch_get_image(repositoryName=name, imageIds=[{"imageTag": "x"}]),
            lambda: it["logs"].create_log_stream(logGroupName=name, logStreamName="s"),
            lambda: it["logs"].put_log_events(logGroupName=name, logStreamName="s", logEvents=[event]),
            lambda: it["cloudwatch"].put_metric_data(Namespace="Mine", MetricData=[{"MetricName": "m", "Value": 1}]),
            lambda: it["secretsmanager"].get_secret_value(SecretId=name),
            lambda: it["ssm"].get_parameter(Name=f"/{name}/p", WithDecryption=True),
        ]

    for call in use(with_grants):
        call()
    for call in use(without):
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) in {"AccessDenied", "AccessDeniedException"}
    with pytest.raises(ClientError):
        client(cloud, "cloudwatch", with_grants).put_metric_data(
            Namespace="Other", MetricData=[{"MetricName": "m", "Value": 1}]
        )
    with pytest.raises(ClientError):
        client(cloud, "dynamodb", with_grants).get_item(TableName=name, Key={"k": {"S": "x"}})


# --- assuming roles -----------------------------------------------------------------------------------


def test_a_role_is_assumed_by_whom_its_trust_policy_names(cloud: Emulator, name: str) -> None:
    caller_arn = role(cloud, name)
    caller = client(cloud, "sts", assumed(cloud, caller_arn))
    named = role(cloud, f"{name}-named", trusted=trust(AWS=caller_arn))
    account = role(cloud, f"{name}-account", trusted=trust(AWS=ROOT))
    service = role(cloud, f"{name}-service", trusted=trust(Service="ecs-tasks.amazonaws.com"))
    caller.assume_role(RoleArn=named, RoleSessionName="test")
    for arn in (account, service, f"arn:aws:iam::{ACCOUNT}:role/none"):
        with pytest.raises(ClientError) as error:
            caller.assume_role(RoleArn=arn, RoleSessionName="test")
        assert code(error) == "AccessDenied"
    may = document(allow("sts:AssumeRole", "*"))
    client(cloud, "iam").put_role_policy(RoleName=name, PolicyName="assume", PolicyDocument=may)
    caller.assume_role(RoleArn=account, RoleSessionName="test")
    with pytest.raises(ClientError):
        caller.assume_role(RoleArn=service, RoleSessionName="test")
    with pytest.raises(ClientError) as error:  # not a crash, as in Moto's own enforcement
        client(cloud, "sts").assume_role(RoleArn=service, RoleSessionName="test")
    assert code(error) == "AccessDenied"


def test_an_external_id_is_asked_for(cloud: Emulator, name: str) -> None:
    wanted = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
    arn = role(cloud, name, trusted=document({**wanted, "Condition": {"StringEquals": {"sts:ExternalId": "right"}}}))
    sts = client(cloud, "sts")
    sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId="right")
    for extra in ({}, {"ExternalId": "wrong"}):
        with pytest.raises(ClientError):
            sts.assume_role(RoleArn=arn, RoleSessionName="test", **extra)
    with pytest.raises(ClientError, match="900 to 3600"):
        sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId="right", DurationSeconds=7200)


# --- credentials of containers ------------------------------------------------------------------------


def fetch(uri: str, token: str | None, method: str = "GET") -> tuple[int, dict[str, Any]]:
    url = urlsplit(uri)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
    try:
        connection.request(method, url.path, headers={"Authorization": token} if token else {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_container_gets_temporary_credentials_of_its_role(cloud: Emulator, name: str) -> None:
    arn = role(cloud, name, trusted=trust(Service="ecs-tasks.amazonaws.com"))
    given = emulator.control(
        cloud, "/_localcloud/credentials", {"role_arn": arn, "service": "ecs-tasks.amazonaws.com", "session": "task-1"}
    )
    status, found = fetch(given["uri"], given["token"])
    assert (status, found["RoleArn"]) == (200, arn)
    left = datetime.fromisoformat(found["Expiration"]) - datetime.now(UTC)
    assert timedelta(minutes=30) < left <= timedelta(hours=1)
    keys = Keys(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
    assert client(cloud, "sts", keys).get_caller_identity()["Arn"].endswith(f"assumed-role/{name}/task-1")
    assert fetch(given["uri"], given["token"])[1] == found
    assert fetch(given["uri"], None)[0] == 403
    assert fetch(given["uri"], "wrong")[0] == 403
    assert fetch(given["uri"], given["token"], "POST")[0] == 403
    assert fetch(given["uri"] + "x", given["token"])[0] == 403
    client(cloud, "iam").delete_role(RoleName=name)
    assert fetch(given["uri"], given["token"])[0] == 404


def test_a_role_that_does_not_trust_the_service_gives_no_credentials(cloud: Emulator, name: str) -> None:
    other = role(cloud, name, trusted=trust(Service="ec2.amazonaws.com"))
    statement = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    only = {"Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:*"}}}
    conditional = role(cloud, f"{name}2", trusted=document({**statement, **only}))
    ask = {"role_arn": other, "service": "ecs-tasks.amazonaws.com"}
    with pytest.raises(emulator.EmulatorError, match=r"trust policy .* does not let ecs-tasks"):
        emulator.control(cloud, "/_localcloud/credentials", ask)
    with pytest.raises(emulator.EmulatorError, match="trust policy"):
        emulator.control(cloud, "/_localcloud/credentials", {**ask, "role_arn": conditional})
    source = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/c/1"
    assert emulator.control(cloud, "/_localcloud/credentials", {**ask, "role_arn": conditional, "source_arn": source})
    with pytest.raises(emulator.EmulatorError, match="does not exist"):
        emulator.control(cloud, "/_localcloud/credentials", {**ask, "role_arn": f"{other}-none"})


# --- the record ---------------------------------------------------------------------------------------


def test_each_call_is_written_down_with_the_statement_that_decided(
    cloud: Emulator, bucket: str, server: Keys, key: str
) -> None:
    s3 = client(cloud, "s3", server)
    s3.put_object(Bucket=bucket, Key="lake/x", Body=b"x")
    with pytest.raises(ClientError):
        s3.get_object(Bucket=bucket, Key="data/x")
    allowed, denied = calls(cloud)[-2:]
    assert allowed["principal"].endswith("/test")
    assert (allowed["action"], allowed["resource"]) == ("s3:PutObject", f"arn:aws:s3:::{bucket}/lake/x")
    assert (allowed["decision"], allowed["statement"], allowed["status"]) == ("Allow", "grants statement 2", 200)
    assert [(c["action"], c["resource"]) for c in allowed["also"]] == [("kms:GenerateDataKey", key)]
    assert (denied["operation"], denied["decision"], denied["status"]) == ("s3:GetObject", "ImplicitDeny", 403)
    with pytest.raises(ClientError):
        client(cloud, "s3", Keys(cloud.access_key, "wrong")).list_buckets()
    assert (calls(cloud)[-1]["decision"], calls(cloud)[-1]["principal"]) == ("Refused", None)


def test_no_secret_is_written_down(cloud: Emulator, bucket: str, server: Keys) -> None:
    client(cloud, "s3", server).put_object(Bucket=bucket, Key="lake/x", Body=b"x")
    url = client(cloud, "s3", server).generate_presigned_url("get_object", {"Bucket": bucket, "Key": "lake/x"})
    raw(cloud, "GET", url.removeprefix(cloud.url))
    written = (cloud.directory / emulator.CALLS).read_text() + (cloud.directory / emulator.LOG).read_text()
    for secret in (server.secret_key, str(server.token), cloud.secret_key, "X-Amz-Signature"):
        assert secret not in written


def test_many_callers_at_once_get_their_own_answers(cloud: Emulator, bucket: str) -> None:
    wrong: list[str] = []

    def work(number: int) -> None:
        s3 = client(cloud, "s3")
        for i in range(10):
            body = f"{number}-{i}".encode()
            s3.put_object(Bucket=bucket, Key=f"{number}/{i}", Body=body)
            if s3.get_object(Bucket=bucket, Key=f"{number}/{i}")["Body"].read() != body:
                wrong.append(f"{number}/{i}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert client(cloud, "s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 80
