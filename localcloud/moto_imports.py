"""What Moto imports and reads, and need not: packages for calls that nobody makes here, and the same model again."""

import importlib
import sys
from types import ModuleType
from typing import Any

import boto3
import moto.core.utils
from moto.core.base_backend import AccountSpecificBackend
from moto.core.loaders import create_loader


def spare_moto_imports() -> None:
    """Before API Gateway's first call: a validator of OpenAPI documents, which ImportRestApi alone would use."""
    if "openapi_spec_validator" in sys.modules:
        return
    _module("openapi_spec_validator", validate=_refuse)
    _module("openapi_spec_validator.validation")
    _module("openapi_spec_validator.validation.exceptions", OpenAPIValidationError=ValueError)


def read_each_model_once() -> None:
    """Before EC2's first import: it parses the description of EC2 three times, two thirds of a second of each start,
    as each session of boto3 reads by itself; EKS makes one for each role. A service's router reads it once more."""
    loader, session = create_loader(), AccountSpecificBackend.get_session()
    session._session.register_component("data_loader", loader)
    setattr(moto.core.utils, "create_loader", lambda: loader)  # noqa: B010 - an import, not an export
    told = boto3.Session
    setattr(boto3, "Session", lambda: session)  # noqa: B010 - mypy takes no assignment to a class
    try:
        importlib.import_module("moto.ec2.models.availability_zones_and_regions")
        importlib.import_module("moto.eks.utils")
    finally:
        setattr(boto3, "Session", told)  # noqa: B010 - as above


def _refuse(*_: object, **__: object) -> None:
    raise ValueError("This emulator does not import APIs.")


def _module(name: str, **members: Any) -> None:
    module = ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
