"""What `operations.yaml` names with `@`: functions that find a call's resources and condition values.

Each takes the call and, under `each`, the item. It returns ARNs for a resource, texts for a condition key,
endings and texts for a condition key that ends in `/` or `:`.
"""

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from localcloud import moto_state
from localcloud.calls import Call
from localcloud.moto_state import ACCOUNT


class NotModelledError(Exception):
    """What the call asks is not in the table, or cannot be read as the table's terms; the message says what."""


_Values = str | Sequence[str] | Mapping[str, str]


def _text(call: Call, name: str) -> str:
    value = call.parameters.get(name)
    return value if isinstance(value, str) else ""


def _key_arns(key_name: str | None, region: str) -> list[str]:
    """The ARN of a KMS key; none for no key, and for those that AWS itself manages for a service, which
    every principal of the account may use through that service."""
    if not key_name or key_name.rpartition(":")[2].startswith("alias/aws/"):
        return []
    found = moto_state.encryption_key(key_name, region)
    if found is None:
        raise MissingKeyError(key_name, "NotFoundException", f"Key '{key_name}' does not exist")
    if found.key_state == "PendingDeletion":
        raise MissingKeyError(key_name, "KMSInvalidStateException", f"{found.arn} is pending deletion.")
    if found.key_state != "Enabled":
        raise MissingKeyError(key_name, "DisabledException", f"{found.arn} is disabled.")
    return [str(found.arn)]


class MissingKeyError(Exception):
    """Data is encrypted, or would be, under a KMS key that cannot be used; `code` is KMS's."""

    def __init__(self, key_name: str, code: str, message: str) -> None:
        super().__init__(message)
        self.key_name, self.code = key_name, code


def region(call: Call) -> str:
    """Where the call's resource is: an S3 bucket's region may differ from the signature's."""
    found = moto_state.bucket(_text(call, "Bucket")) if call.service == "s3" else None
    return str(found.region_name) if found else call.region


def _stored(call: Call) -> Any | None:
    return moto_state.stored_object(_text(call, "Bucket"), _text(call, "Key"), call.parameters.get("VersionId"))


def _encryption_key_of(found: Any, bucket: Any) -> list[str]:
    if found is None or found.encryption not in {"aws:kms", "aws:kms:dsse"}:
        return []
    return _key_arns(found.kms_key_id, bucket.region_name)


def s3_object_key(call: Call, _: Any) -> _Values:
    """The KMS key under which the object is stored."""
    return _encryption_key_of(_stored(call), moto_state.bucket(_text(call, "Bucket")))


def s3_write_key(call: Call, _: Any) -> _Values:
    """The KMS key under which the object will be stored: the one asked for, or the bucket's."""
    bucket = moto_state.bucket(_text(call, "Bucket"))
    if bucket is None:
        return []
    rule = ((bucket.encryption or {}).get("Rule") or {}).get("ApplyServerSideEncryptionByDefault") or {}
    algorithm = _text(call, "ServerSideEncryption") or rule.get("SSEAlgorithm", "")
    if algorithm not in {"aws:kms", "aws:kms:dsse"}:
        return []
    return _key_arns(_text(call, "SSEKMSKeyId") or rule.get("KMSMasterKeyID"), bucket.region_name)


def s3_upload_key(call: Call, _: Any) -> _Values:
    """The KMS key of a multipart upload under way."""
    bucket = moto_state.bucket(_text(call, "Bucket"))
    found = moto_state.upload(_text(call, "Bucket"), _text(call, "UploadId"))
    if bucket is None or found is None:
        return []
    rule = ((bucket.encryption or {}).get("Rule") or {}).get("ApplyServerSideEncryptionByDefault") or {}
    algorithm = found.sse_encryption or rule.get("SSEAlgorithm", "")
    if algorithm not in {"aws:kms", "aws:kms:dsse"}:
        return []
    return _key_arns(found.kms_key_id or rule.get("KMSMasterKeyID"), bucket.region_name)


def copy_source(call: Call) -> tuple[str, str, str | None]:
    """Bucket, key and version that a copy reads, as Moto reads the header. Raises NotModelledError."""
    text, _, query = _text(call, "CopySource").partition("?")
    version = dict(parse_qsl(query)).get("versionId")
    bucket, _, name = unquote(text).lstrip("/").partition("/")
    if not bucket or not name or bucket.startswith("arn:") or query not in {"", f"versionId={version}"}:
        raise NotModelledError(f"a copy from {_text(call, 'CopySource')!r} is not modelled")
    return bucket, name, version


def s3_source(call: Call, _: Any) -> _Values:
    """The object that a copy reads."""
    bucket, name, _version = copy_source(call)
    return f"arn:aws:s3:::{bucket}/{name}"


def s3_source_version(call: Call, _: Any) -> _Values:
    """The version that a copy reads."""
    return copy_source(call)[2] or ""


def s3_source_key(call: Call, _: Any) -> _Values:
    """The KMS key of the object that a copy reads."""
    source = copy_source(call)
    return _encryption_key_of(moto_state.stored_object(*source), moto_state.bucket(source[0]))


def s3_source_tags(call: Call, _: Any) -> _Values:
    """The tags of the object that a copy reads."""
    found = moto_state.stored_object(*copy_source(call))
    return moto_state.object_tags(found) if found else {}


def s3_tagged_source(call: Call, item: Any) -> _Values:
    """The object that a copy reads, if its tags are copied along."""
    copied = _text(call, "TaggingDirective") != "REPLACE" and s3_source_tags(call, item)
    return s3_source(call, item) if copied else []


def s3_tagged_target(call: Call, item: Any) -> _Values:
    """The object that a copy makes, if it gets the source's tags."""
    return f"arn:aws:s3:::{_text(call, 'Bucket')}/{_text(call, 'Key')}" if s3_tagged_source(call, item) else []


def s3_existing_tags(call: Call, _: Any) -> _Values:
    """The object's tags."""
    found = _stored(call)
    return moto_state.object_tags(found) if found else {}


def s3_request_tags(call: Call, _: Any) -> _Values:
    """The tags that the request gives to the object."""
    return dict(parse_qsl(_text(call, "Tagging"), keep_blank_values=True))


def s3_request_tag_keys(call: Call, _: Any) -> _Values:
    """Their keys."""
    return [name for name, _ in parse_qsl(_text(call, "Tagging"), keep_blank_values=True)]


def _s3_context_arn(bucket_name: str, name: str) -> str:
    found = moto_state.bucket(bucket_name)
    with_bucket_key = found and ((found.encryption or {}).get("Rule") or {}).get("BucketKeyEnabled") in {True, "true"}
    return f"arn:aws:s3:::{bucket_name}" if with_bucket_key else f"arn:aws:s3:::{bucket_name}/{name}"


def s3_encryption_context(call: Call, _: Any) -> _Values:
    """S3's encryption context: the object's ARN, or the bucket's where bucket keys are on."""
    return _s3_context_arn(_text(call, "Bucket"), _text(call, "Key"))


def s3_source_encryption_context(call: Call, _: Any) -> _Values:
    """The same of the object that a copy reads."""
    bucket, name, _version = copy_source(call)
    return _s3_context_arn(bucket, name)


def s3_encryption_context_keys(_call: Call, _: Any) -> _Values:
    """S3's encryption context has one key."""
    return ["aws:s3:arn"]


def s3_headers(call: Call, _: Any) -> _Values:
    """Every x-amz- header is a condition key of its name."""
    headers = {name for name, _ in call.message.headers if name.startswith("x-amz-")}
    values = {name: call.message.header(name) or "" for name in headers}
    return {**values, "signatureversion": "AWS4-HMAC-SHA256", "resourceaccount": ACCOUNT}


def s3_auth_type(call: Call, _: Any) -> _Values:
    """How the request is signed."""
    return "REST-QUERY-STRING" if call.credential.presigned else "REST-HEADER"


def s3_signature_age(call: Call, _: Any) -> _Values:
    """Milliseconds since a presigned URL was made."""
    age = datetime.now(UTC) - call.credential.moment
    return str(max(0, int(age.total_seconds() * 1000))) if call.credential.presigned else ""


def tls_version(call: Call, _: Any) -> _Values:
    """1.2 or 1.3."""
    return str(call.environ.get("localcloud.tls") or "")


def kms_key(call: Call, _: Any) -> _Values:
    """The key that KeyId names."""
    return _kms_arns(call, _text(call, "KeyId"))


def kms_destination_key(call: Call, _: Any) -> _Values:
    """The key that ReEncrypt encrypts under."""
    return _kms_arns(call, _text(call, "DestinationKeyId"))


def _kms_arns(call: Call, name: str) -> list[str]:
    found = moto_state.encryption_key(name, call.region) if name else None
    if found is None:
        raise NotModelledError(f"the key {name!r} does not exist")
    return [str(found.arn)]


def kms_ciphertext_key(call: Call, _: Any) -> _Values:
    """The key under which the given ciphertext was made; its id opens the ciphertext that Moto makes."""
    blob = call.parameters.get("CiphertextBlob")
    data = blob if isinstance(blob, bytes) else base64.b64decode(str(blob or ""))
    try:
        name = struct.unpack_from("36s", data)[0].decode("ascii")
    except (struct.error, UnicodeDecodeError):
        raise NotModelledError("the ciphertext is none of this emulator's") from None
    return _kms_arns(call, name)


def kms_encryption_context(call: Call, _: Any) -> _Values:
    """The encryption context of the request."""
    found = call.parameters.get("EncryptionContext") or call.parameters.get("SourceEncryptionContext") or {}
    return {str(k): str(v) for k, v in found.items()}


def kms_encryption_context_keys(call: Call, item: Any) -> _Values:
    """Its keys."""
    return list(kms_encryption_context(call, item))


def kms_encryption_algorithm(call: Call, _: Any) -> _Values:
    """SYMMETRIC_DEFAULT unless the request says otherwise."""
    uses = call.operation.startswith(("Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey"))
    return _text(call, "EncryptionAlgorithm") or ("SYMMETRIC_DEFAULT" if uses else "")


def kms_request_alias(call: Call, _: Any) -> _Values:
    """The alias by which the request names the key."""
    name = _text(call, "KeyId")
    return name[name.index("alias/") :] if "alias/" in name else ""


def sts_role(call: Call, _: Any) -> _Values:
    """The role to assume. One that does not exist may be assumed by nobody."""
    return _text(call, "RoleArn") or "*"


def request_tags(call: Call, _: Any) -> _Values:
    """The request's Tags."""
    return {str(tag.get("Key")): str(tag.get("Value")) for tag in call.parameters.get("Tags") or []}


def request_tag_keys(call: Call, item: Any) -> _Values:
    """Their keys."""
    return list(request_tags(call, item))


def _log_group(call: Call) -> str:
    given = _text(call, "logGroupIdentifier") or _text(call, "logGroupName")
    if given.startswith("arn:"):
        return given.removesuffix(":*")
    if not given:
        raise NotModelledError(f"logs:{call.operation} is not modelled without a log group")
    return f"arn:aws:logs:{call.region}:{ACCOUNT}:log-group:{given}"


def logs_group(call: Call, _: Any) -> _Values:
    """The log group as CloudWatch Logs names it in a decision."""
    return f"{_log_group(call)}:log-stream:"


def logs_stream(call: Call, _: Any) -> _Values:
    """The log stream."""
    return f"{_log_group(call)}:log-stream:{_text(call, 'logStreamName')}"


def dynamodb_table(call: Call, _: Any) -> _Values:
    """The table, given by name or ARN."""
    return dynamodb_item_table(call, _text(call, "TableName"))


def dynamodb_item_table(call: Call, item: Any) -> _Values:
    """A table of a batch."""
    name = str(item or "")
    if not name:
        raise NotModelledError(f"dynamodb:{call.operation} is not modelled without a table")
    return name if name.startswith("arn:") else f"arn:aws:dynamodb:{call.region}:{ACCOUNT}:table/{name}"


def dynamodb_index(call: Call, item: Any) -> _Values:
    """An index of the table."""
    return f"{dynamodb_table(call, item)}/index/{_text(call, 'IndexName')}"


def sqs_queue(call: Call, _: Any) -> _Values:
    """The queue behind a queue URL."""
    name = _text(call, "QueueUrl").rstrip("/").rpartition("/")[2]
    if not name:
        raise NotModelledError(f"sqs:{call.operation} is not modelled without a queue")
    return f"arn:aws:sqs:{call.region}:{ACCOUNT}:{name}"


def secret(call: Call, _: Any) -> _Values:
    """The secret's ARN with its random ending; for one that does not exist, the ARN that the name suggests."""
    name = _text(call, "SecretId")
    found = moto_state.secret(name, call.region)
    return found.arn if found else f"arn:aws:secretsmanager:{call.region}:{ACCOUNT}:secret:{name}"


def secret_key(call: Call, _: Any) -> _Values:
    """The secret's KMS key, if it is the customer's."""
    found = moto_state.secret(_text(call, "SecretId"), call.region)
    return _key_arns(found.kms_key_id, call.region) if found else []


def ssm_parameter(call: Call, _: Any) -> _Values:
    """A parameter by name, with or without its leading slash, or ARN; a version or label does not count."""
    return ssm_item(call, _text(call, "Name"))


def ssm_item(call: Call, item: Any) -> _Values:
    """A parameter of a batch."""
    name = str(item or "")
    if name.startswith("arn:"):
        return name
    if not name:
        raise NotModelledError(f"ssm:{call.operation} is not modelled without a name")
    return f"arn:aws:ssm:{call.region}:{ACCOUNT}:parameter/{name.partition(':')[0].lstrip('/')}"


def ssm_keys(call: Call, _: Any) -> _Values:
    """The KMS key of a secure parameter, if it is the customer's."""
    return ssm_item_keys(call, _text(call, "Name"))


def ssm_item_keys(call: Call, item: Any) -> _Values:
    """The same for a parameter of a batch."""
    return _key_arns(moto_state.parameter_key(str(item or ""), call.region), call.region)


FUNCTIONS: Mapping[str, Callable[[Call, Any], _Values]] = {
    f.__name__: f
    for f in (
        s3_object_key, s3_write_key, s3_upload_key, s3_source, s3_source_version, s3_source_key, s3_source_tags,
        s3_tagged_source, s3_tagged_target, s3_existing_tags, s3_request_tags, s3_request_tag_keys,
        s3_encryption_context, s3_source_encryption_context, s3_encryption_context_keys, s3_headers,
        s3_auth_type, s3_signature_age, tls_version, kms_key, kms_destination_key, kms_ciphertext_key,
        kms_encryption_context, kms_encryption_context_keys, kms_encryption_algorithm, kms_request_alias,
        sts_role, request_tags, request_tag_keys, logs_group, logs_stream, dynamodb_table,
        dynamodb_item_table, dynamodb_index, sqs_queue, secret, secret_key, ssm_parameter, ssm_item, ssm_keys,
        ssm_item_keys,
    )
}  # fmt: skip
