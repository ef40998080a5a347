"""Where Moto decides otherwise than AWS, or does too much: what is changed in it before it serves its first request.

Written against the Moto version that the requirements pin; see moto_state.py for what is read out of it.
"""

import functools
from collections.abc import Callable
from typing import Any

import moto.backends
import moto.core.responses
import moto.kms.responses
from moto.core.utils import method_names_from_class
from moto.iam.access_control import PermissionResult
from moto.iam.models import IAMBackend
from moto.s3.models import FakeBucket

from localcloud import iam
from localcloud.moto_imports import read_each_model_once, spare_moto_imports
from localcloud.moto_state import ACCOUNT


def adapt_moto() -> None:
    """Puts Moto's own checks out of action, as they ignore conditions and so refuse what AWS allows; and makes
    AWS's 1,500 managed policies in the one partition in use, not in six."""
    spare_moto_imports()
    read_each_model_once()
    from moto.ec2.models.subnets import SubnetBackend  # noqa: PLC0415 - it reads models when it is imported

    remember_what_moto_searches()
    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL  # type: ignore[method-assign] # Moto's own is replaced
    setattr(moto.kms.responses, "validate_policy", lambda *_: None)  # noqa: B010 - an import, not an export
    FakeBucket._log_permissions_enabled_policy = staticmethod(_takes_access_logs)  # type: ignore[method-assign] # Moto's own is replaced
    SubnetBackend.delete_subnet = _unbinding(SubnetBackend.delete_subnet)  # type: ignore[method-assign,assignment] # Moto's own is replaced
    load = IAMBackend._init_aws_policies
    IAMBackend._init_aws_policies = lambda self: load(self) if self.partition == "aws" else []  # type: ignore[method-assign] # Moto's own is replaced


def remember_what_moto_searches() -> None:
    """Moto lists its own folders and the methods of a service's class for each request: a third of its time."""
    names = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: names
    setattr(moto.core.responses, "method_names_from_class", functools.cache(method_names_from_class))  # noqa: B010 - an import, not an export


def _unbinding(delete: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Moto's deletion of a subnet, which leaves it bound to its network ACL; on AWS that goes with it."""

    def delete_subnet(backend: Any, subnet_id: str) -> Any:
        for acl in backend.network_acls.values():
            for name in [name for name, bound in acl._associations.items() if bound.subnet_id == subnet_id]:
                del acl._associations[name]
        return delete(backend, subnet_id)

    return delete_subnet


def _takes_access_logs(target_bucket: Any, target_prefix: str | None) -> bool:
    """Whether a bucket's policy lets S3 deliver access logs to it; Moto knows one spelling of such a policy."""
    text = target_bucket.policy.decode() if target_bucket.policy else '{"Statement": []}'
    request = iam.Request(
        iam.Principal(service="logging.s3.amazonaws.com"),
        "s3:PutObject",
        f"arn:aws:s3:::{target_bucket.name}/{target_prefix or ''}log",
        {"aws:SourceAccount": ACCOUNT, "aws:SecureTransport": "true"},
        ACCOUNT,
    )
    return iam.decide(request, (), iam.policy("the bucket's policy", text)).allowed
