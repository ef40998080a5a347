"""What Moto imports for calls that nobody makes here, in place of the packages that it would have to bring along."""

import sys
from types import ModuleType
from typing import Any


def spare_moto_imports() -> None:
    """Before API Gateway's first call: a validator of OpenAPI documents, which ImportRestApi alone would use."""
    if "openapi_spec_validator" in sys.modules:
        return
    _module("openapi_spec_validator", validate=_refuse)
    _module("openapi_spec_validator.validation")
    _module("openapi_spec_validator.validation.exceptions", OpenAPIValidationError=ValueError)


def _refuse(*_: object, **__: object) -> None:
    raise ValueError("This emulator does not import APIs.")


def _module(name: str, **members: Any) -> None:
    module = ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
