"""What a cloud would answer, made up: typed by the SDK's own annotations, well-formed, the same on every run.

Outputs that the program gave as inputs are echoed; the others come, in this order, from a row of `synthetic.toml`,
from the form that the property's name or documentation tells (`forms.py`), and from the type alone. Each made-up
value's path is listed, so that a plan can mark it.
"""

from __future__ import annotations

import base64
import collections.abc
import json
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from localcloud import forms, policy_document, sdk
from localcloud.values import SIGNATURE, UNKNOWN, Properties, Secret, has_secret, has_unknown, reveal, walk

DEPTH = 6  # of nested objects made up; some types of the SDKs contain themselves
LOCATIONS = {"aws": "us-east-1", "gcp": "us-central1", "azure-native": "westeurope"}
# Properties that a cloud assigns though the SDK lets a program set them.
ASSIGNED = re.compile(
    r"(?i)output[- ]only|\(output\)|read[- ]only|(?:will be|automatically|is|are|one) (?:\w+ )?(?:assigned|generated|allocated|computed)"
)


@dataclass(frozen=True)
class Context:
    """Where a program is planned: project and stack, configuration (`aws:region` → text), the provider's inputs,
    and the outputs of other stacks by name (`organization/project/stack`)."""

    project: str
    stack: str
    config: Mapping[str, str] = field(default_factory=dict)
    provider: Properties = field(default_factory=dict)
    references: Mapping[str, Properties] = field(default_factory=dict)


class Synthetic(NamedTuple):
    """The made-up answer for one resource: id, all outputs, and the paths of those that no input gave."""

    id: str
    outputs: Properties
    paths: frozenset[str]


def outputs(
    token: str, name: str, urn: str, inputs: Properties, context: Context, *, id_: str | None = None
) -> Synthetic:
    """The outputs of a resource. `id_` is given where the program reads an existing one (`Type.get`).

    Raises sdk.UnknownType for a type that no installed SDK knows.
    """
    if token == "pulumi:pulumi:StackReference":  # noqa: S105 - a type token
        return _stack_reference(inputs, context, id_ or name)
    if token.startswith(sdk.BUILT_IN):
        return Synthetic(id_ or forms.text(urn, "uuid") or "", dict(inputs), frozenset())
    cls = sdk.resource_class(token)
    answer = _Answer(token, cls, name, urn, inputs, context)
    if id_ is not None:
        answer.fixed["id"] = id_
    found: Properties = dict(inputs)
    for prop in sdk.properties(cls):
        if prop.name not in ("id", "urn"):
            found[prop.name] = answer.property(prop)
    identifier = id_ or answer.text("id") or _plain_id(answer)
    return Synthetic(identifier, found, frozenset(answer.made))


def invoke(token: str, args: Properties, result_type: type | None, context: Context) -> Properties:
    """The result of a provider's function. `result_type` is the SDK's result class where the caller knows it.

    Raises sdk.UnknownType for a function that no installed SDK knows.
    """
    if token == "aws:iam/getPolicyDocument:getPolicyDocument":  # noqa: S105 - a function token
        return policy_document.document(args)
    cls = result_type or sdk.function_result(token)
    seed = f"{token} {json.dumps(_comparable(args), sort_keys=True)}"
    function = token.rsplit(":", 1)[-1]
    answer = _Answer(token, cls, re.sub(r"^(get|list)", "", function), seed, args, context, looked_up=True)
    found: Properties = dict(args)
    for prop in sdk.properties(cls) if cls else ():
        found[prop.name] = answer.property(prop)
    return found


def _stack_reference(inputs: Properties, context: Context, stack: str) -> Synthetic:
    known = context.references.get(str(inputs.get("name", stack)))
    found: Properties = {"name": inputs.get("name", stack), "outputs": UNKNOWN, "secretOutputNames": UNKNOWN}
    if known is not None:
        found["outputs"] = known
        found["secretOutputNames"] = [name for name, value in known.items() if has_secret(value)]
    return Synthetic(stack, found, frozenset())


class _Answer:
    """One answer in the making: what is known of the resource or call, and which paths were made up."""

    def __init__(
        self,
        token: str,
        cls: type | None,
        name: str,
        seed: str,
        inputs: Properties,
        context: Context,
        *,
        looked_up: bool = False,
    ) -> None:
        self.token = token
        self.cls = cls
        self.cloud = sdk.package(token)
        self.module = token.split(":")[1].split("/", maxsplit=1)[0]
        self.name = name
        self.seed = seed
        self.inputs = inputs
        self.context = context
        self.looked_up = looked_up
        self.settable = sdk.inputs(cls) if cls and not looked_up else {}
        self.made: set[str] = set()
        self.fixed: dict[str, Any] = _computed(token, seed, inputs)
        self._asked: set[str] = set()
        self._rows = [*_rows(token)]
        if looked_up and (twin := _twin(token)):
            self._rows.append({key: value for key, value in _row(twin).items() if key != "id"})

    # Properties

    def property(self, prop: sdk.Property) -> Any:
        """The value of a top-level property: the input completed, or made up."""
        given = self.inputs.get(prop.name)
        if given is not None:
            return self._completed(given, prop.kind, prop.name, 0)
        settable = prop.name in self.settable
        if (value := self._known_value(prop.name)) is not None:
            return self._record(prop.name, _coerced(value, prop.kind))
        if prop.optional and settable and not self.looked_up:
            return None
        if prop.optional and self.looked_up and not _is_scalar(prop.kind):
            return None
        return self._made_up(prop.kind, prop.name, prop.doc, settable=settable, depth=0)

    def _known_value(self, path: str) -> Any:
        if path in self.fixed:
            return self.fixed[path]
        for row in self._rows:
            if path in row and (value := self._render(row[path], path)) is not None:
                return value
        if path == "arn" and self.cloud == "aws":
            return self._arn()
        return {"tagsAll": self._tags, "effectiveLabels": self._labels, "pulumiLabels": self._labels}.get(
            path, lambda: None
        )()

    def _tags(self) -> Any:
        defaults = (reveal(self.context.provider.get("defaultTags")) or {}) if self.cloud == "aws" else {}
        tags = defaults.get("tags") if isinstance(defaults, dict) else None
        return (tags or {}) | (self.inputs.get("tags") or {}) if self.cloud == "aws" else None

    def _labels(self) -> Any:
        return (self.context.provider.get("defaultLabels") or {}) | (self.inputs.get("labels") or {})

    def _record(self, path: str, value: Any) -> Any:
        given = set() if path in ("tagsAll", "effectiveLabels", "pulumiLabels") else walk(value, path)
        self.made.update(leaf for leaf, item in given if item is not None)
        return value

    def _completed(self, given: Any, kind: Any, path: str, depth: int) -> Any:
        """What the program gave, in the output's type, with the nested properties that a cloud assigns."""
        if given is UNKNOWN or (isinstance(given, dict) and SIGNATURE in given):
            return given
        if isinstance(given, Secret):
            return Secret(_coerced(given.value, kind))
        if isinstance(given, list):
            item_kind = _item_kind(kind)
            return [self._completed(item, item_kind, f"{path}[{n}]", depth + 1) for n, item in enumerate(given)]
        if not isinstance(given, dict) or not sdk.is_object(kind) or depth > DEPTH:
            return _coerced(given, kind)
        found: Properties = {}
        settable = sdk.inputs(kind)
        for prop in sdk.properties(kind):
            inner = f"{path}.{prop.name}"
            if given.get(prop.name) is not None:
                found[prop.name] = self._completed(given[prop.name], prop.kind, inner, depth + 1)
            elif (value := self._known_value(inner)) is not None:
                found[prop.name] = self._record(inner, value)
            elif prop.name == "id" and self.cloud == "azure-native" and isinstance(given.get("name"), str):
                collection = path.rsplit(".", maxsplit=1)[-1].split("[", maxsplit=1)[0]
                found[prop.name] = self._record(inner, f"{self.text('id')}/{collection}/{given['name']}")
            elif not prop.optional or prop.name not in settable or ASSIGNED.search(prop.doc):
                found[prop.name] = self._made_up(prop.kind, inner, prop.doc, settable=prop.name in settable, depth=depth + 1)
        return {**given, **found}

    def _made_up(self, kind: Any, path: str, doc: str, *, settable: bool, depth: int) -> Any:
        """A value of the type, well-formed by its name and documentation; its leaves are recorded."""
        if sdk.is_object(kind):
            return self._object(kind, path, settable=settable, depth=depth)
        origin = typing.get_origin(kind)
        if kind is dict or origin in (dict, collections.abc.Mapping):
            return {}
        if kind is list or origin in (list, collections.abc.Sequence):
            return self._list(_item_kind(kind), path, doc, settable=settable, depth=depth)
        if kind is Any or not isinstance(kind, type):
            return None
        return self._record(path, self._scalar(kind, path, doc, settable=settable))

    def _object(self, kind: type, path: str, *, settable: bool, depth: int) -> Any:
        if depth >= DEPTH:
            return None
        found = {}
        for prop in sdk.properties(kind):
            inner = f"{path}.{prop.name}"
            if (value := self._known_value(inner)) is not None:
                found[prop.name] = self._record(inner, value)
            elif not (prop.optional and settable):
                found[prop.name] = self._made_up(prop.kind, inner, prop.doc, settable=settable, depth=depth + 1)
        return found

    def _list(self, kind: Any, path: str, doc: str, *, settable: bool, depth: int) -> Any:
        if sdk.is_object(kind) and (settable or depth >= DEPTH - 1):
            return []
        many = self.looked_up and depth == 0 and not sdk.is_object(kind)
        return [
            self._made_up(kind, f"{path}[{n}]", doc, settable=settable, depth=depth + 1) for n in range(3 if many else 1)
        ]

    def _scalar(self, kind: type, path: str, doc: str, *, settable: bool) -> Any:
        enum = sdk.enum_of(kind)
        if enum is None and path in self.settable:
            enum = sdk.enum_of(self.settable[path][0])
        if enum is not None:
            return next(iter(enum)).value
        if kind is bool:
            return forms.default_truth(doc)
        if kind in (int, float):
            number = forms.default_number(doc)
            return kind(number if number is not None else 443 if path.lower().endswith("port") else 1)
        if kind is not str:
            return None
        default = forms.default_text(doc) if settable else None
        return default or self._text_form(path, doc)

    def _text_form(self, path: str, doc: str) -> str:
        """A text by what it is called, by what is said of it, or else the resource's name and a hash."""
        leaf = re.sub(r"\[\d+\]", "", path).split(".")[-1]
        seed = self.seed if "." not in path and "[" not in path else f"{self.seed} {path}"

        def known(atom: str) -> str | None:
            return forms.text(seed, atom) or self.atom(atom)

        if leaf == "arn" or leaf.endswith("Arn"):
            template = next((form for end, form in _data()["arns"].items() if leaf.lower().endswith(end.lower())), None)
            generic = f"arn:{{partition}}:{self._service()}:{{region}}:{{account}}:{_kebab(leaf[:-3] or 'item')}/{{name}}"
            if self.cloud == "aws" and (found := forms.render(template or generic, known)):
                return str(found)
        if leaf in _data()["ids"] and (found := forms.render(_data()["ids"][leaf], known)):
            return str(found)
        if leaf == "selfLink" and self.cloud == "gcp":
            return self._self_link()
        if leaf == "type" and self.cloud == "azure-native" and (own := self.text("id")):
            parts = own.split("/providers/")[-1].split("/")
            return "/".join([parts[0], *parts[1::2]])
        if leaf == "name" and path == "name":
            return self.physical_name() if self.cloud != "gcp" or "name" in self.settable else str(self.text("id"))
        if leaf == "description":
            return ""
        return (
            forms.legal_value(doc)
            or forms.from_name(leaf, known)
            or forms.from_documentation(doc, known)
            or f"{forms.slug(self.name)}-{forms.text(seed + leaf, 'hex:8')}"
        )

    # Names and identifiers

    def text(self, name: str) -> str | None:
        """An output by name as text, for use inside another one; None while it is being made or if it is no text."""
        if name in self._asked:
            return None
        self._asked.add(name)
        try:
            value = self._known_value(name)
            if value is None and name == "id":
                value = _plain_id(self)
        finally:
            self._asked.discard(name)
        return str(value) if isinstance(value, str | int) else None

    def atom(self, atom: str) -> str | None:
        """What stands for an atom of a template: a form, an input, a fact of the context, an output."""
        if (made := forms.text(self.seed, atom)) is not None:
            return made
        value = self.inputs.get(atom)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        if atom == "name":
            return self.physical_name()
        if atom == "auto":
            return self._auto()
        if atom == "slug":
            return forms.slug(self.physical_name())
        if (fact := self._fact(atom)) is not None:
            return fact
        if atom in self.inputs and not isinstance(value, dict | list):
            return forms.text(f"{self.seed} {atom}", "alnum:12")  # unknown or secret: there, but not to be shown
        return self.text(atom)

    def _fact(self, atom: str) -> str | None:
        provider, config = self.context.provider, self.context.config

        def setting(name: str, default: str) -> str:
            for value in (provider.get(name), config.get(f"{self.cloud}:{name}")):
                if isinstance(value, str) and value:
                    return value
            return default

        given = [self.inputs.get(key) for key in ("region", "location")]
        place = next((value for value in given if isinstance(value, str) and value), None)
        if atom == "region":
            region = place or setting("region", LOCATIONS.get(self.cloud, "us-east-1"))
            return re.sub(r"-[a-f]$", "", region) if self.cloud == "gcp" else region
        if atom == "location":
            return place or setting("location", "") or setting("region", LOCATIONS.get(self.cloud, "westeurope"))
        facts = {
            "partition": lambda: "aws-cn" if (self._fact("region") or "").startswith("cn-") else "aws",
            "account": lambda: "123456789012" if self.cloud != "gcp" else None,
            "zone": lambda: setting("zone", f"{self._fact('region')}{'-a' if self.cloud == 'gcp' else 'a'}"),
            "project": lambda: setting("project", forms.slug(f"{self.context.project}-{self.context.stack}")[:30].rstrip("-")),
            "number": lambda: forms.text(f"project {self._fact('project')}", "digits:12") if self.cloud == "gcp" else None,
            "subscription": lambda: setting("subscriptionId", forms.text("azure", "uuid:subscription") or ""),
            "tenant": lambda: setting("tenantId", forms.text("azure", "uuid:tenant") or ""),
            "group": lambda: next(
                (value for key in ("resourceGroupName", "resourceGroup") if isinstance(value := self.inputs.get(key), str)),
                "synthetic",
            ),
        }
        return facts[atom]() if atom in facts else None

    def physical_name(self) -> str:
        """The resource's name in the cloud: given, or made as the provider would from the logical name."""
        for key in self._name_properties():
            if isinstance(value := self.inputs.get(key), str) and value:
                return value
            prefix = self.inputs.get(f"{key}Prefix")
            if isinstance(prefix, str) and prefix:
                return f"{prefix}{forms.text(self.seed, 'digits:14')}"
        metadata = self.inputs.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
            return str(metadata["name"])
        return self._auto() if self._name_properties() or self.cloud == "kubernetes" else self.name

    def _auto(self) -> str:
        separator, size = ("", 8) if self.cloud == "azure-native" else ("-", 8 if self.cloud == "kubernetes" else 7)
        return f"{self.name}{separator}{forms.text(self.seed, f'hex:{size}')}"

    def _name_properties(self) -> list[str]:
        if self.cls is None or self.looked_up:
            return ["name", *(key for key in self.inputs if key.endswith("Name") and key != "resourceGroupName")]
        if self.cloud == "azure-native":
            own = own_name(self.cls)
            return [own] if own else []
        stem = self.cls.__name__[0].lower() + self.cls.__name__[1:]
        likely = ("name", stem, f"{stem}Name", f"{stem}Id", f"{stem}Identifier", "identifier", "clusterIdentifier", "family")
        return [key for key in likely if key in self.settable]

    def _service(self) -> str:
        return str(_data()["services"].get(self.module, self.module))

    def _arn(self) -> str | None:
        """The ARN: of the documentation's example for an import, else the general form."""
        if self.cls is None or not any(prop.name == "arn" for prop in sdk.properties(self.cls)):
            return None
        identifier = self.text("id")
        if identifier and identifier.startswith("arn:"):
            return identifier
        kind = _kebab(self.token.rsplit(":", 1)[-1])
        found = forms.render(
            f"arn:{{partition}}:{self._service()}:{{region}}:{{account}}:{kind}/", self.atom
        )
        return f"{found}{identifier or self.physical_name()}"

    def _self_link(self) -> str:
        host = "www.googleapis.com/compute" if self.module == "compute" else f"{self.module}.googleapis.com"
        return f"https://{host}/v1/{self.text('id')}"

    def _render(self, template: Any, path: str) -> Any:
        if path in self._asked and path not in ("id",):
            return None
        self._asked.add(path)
        try:
            return forms.render(template, self.atom)
        finally:
            self._asked.discard(path)


def _plain_id(answer: _Answer) -> str:
    """The id of a type that has no row of its own."""
    if answer.cloud == "azure-native":
        return _azure_id(answer)
    if answer.cls is not None and not answer.looked_up:
        examples = sdk.import_examples(answer.token, answer.cls)
        if answer.cloud == "gcp" and (found := _gcp_id(answer, examples)):
            return found
        if answer.cloud == "aws" and (found := _aws_id(answer, examples)):
            return found
    if answer.cloud == "kubernetes":
        metadata = answer.inputs.get("metadata")
        namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
        return f"{namespace or 'default'}/{answer.physical_name()}"
    return answer.physical_name()


def _aws_id(answer: _Answer, examples: tuple[str, ...]) -> str | None:
    """An id in the shape of the documentation's example of an import."""
    example = examples[0] if examples else ""
    named = sdk.import_property(answer.cls) if answer.cls else None
    if named and isinstance(value := answer.inputs.get(named), str):
        return value
    if example.startswith("arn:") and example.count(":") >= 5 and "," not in example:
        service, last = example.split(":")[2], example.split(":", 5)[5]
        parts = re.split(r"([/:])", last)
        shape = "{uuid}" if re.fullmatch(r"[0-9a-f-]{36}", parts[-1]) else "{name}"
        head = "".join(parts[:2]) if len(parts) > 1 else ""
        scope = "{region}:{account}" if example.split(":")[3] else ":{account}"
        found = forms.render(f"arn:{{partition}}:{service}:{scope}:{head}{shape}", answer.atom)
        return str(found) if found else None
    if match := re.fullmatch(r"([a-z]+(?:-[a-z]+)*-)[0-9a-f]{8,17}", example):
        return f"{match.group(1)}{answer.atom('hex:17')}"
    if re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", example):
        return answer.atom("uuid")
    if re.fullmatch(r"\d{12}", example):
        return answer.atom("account")
    if re.fullmatch(r"[A-Z](?=[A-Z]*\d)[A-Z0-9]{9,}", example):
        return f"{example[0]}{answer.atom('upper:13')}"
    return None


def _gcp_id(answer: _Answer, examples: tuple[str, ...]) -> str | None:
    """The longest form of the documentation's examples of an import, filled."""
    for example in sorted(examples, key=lambda text: -text.count("/")):
        template = re.sub(r"\{\{?(\w+)\}?\}", lambda match: "{" + sdk.camel(match.group(1)) + "}", example)
        if "{" in template and " " not in template and (found := forms.render(template, answer.atom)):
            return str(found)
    return None


def _azure_id(answer: _Answer) -> str:
    """An Azure resource ID, by the module's resource provider and the names of parents among the inputs."""
    type_name = answer.token.rsplit(":", 1)[-1]
    if answer.looked_up and (match := re.fullmatch(r"(?:get|list)(\w+)", type_name)):
        type_name = match.group(1)
    template = _data()["azure_paths"].get(f"{answer.module}:{type_name}")
    if template is None:
        namespace = _data()["azure_namespaces"].get(answer.module, f"Microsoft.{answer.module.capitalize()}")
        parents = "".join(f"/{_collection(answer.module, key)}/{{{key}}}" for key in _azure_parents(answer))
        template = f"{namespace}{parents}/{_plural(type_name)}/{{name}}"
    if template.startswith("Microsoft."):
        template = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + template
    return str(forms.render(template, answer.atom) or f"/subscriptions/{answer.atom('subscription')}/{answer.name}")


def _azure_parents(answer: _Answer) -> list[str]:
    return [
        key
        for key, (_, required) in answer.settable.items()
        if required and key.endswith("Name") and key != "resourceGroupName" and isinstance(answer.inputs.get(key), str)
    ]


@cache
def own_name(cls: type) -> str | None:
    """The input that names an Azure resource itself, not a parent: optional, as the SDK can make one up."""
    accepted = sdk.inputs(cls)
    candidates = [key for key, (_, required) in accepted.items() if not required and (key.endswith("Name") or key == "name")]
    stem = cls.__name__.lower()
    best = [key for key in candidates if key != "name" and stem.endswith(key[:-4].lower())]
    generic = [key for key in candidates if key in ("resourceName", "name")]
    return next(iter([*best, *generic, *candidates]), None)


@cache
def _collection(module: str, key: str) -> str:
    """The collection of Azure resources that a parent's name is taken from: `accountName` → `storageAccounts`."""
    for token, name in sdk.classes("azure-native", module):
        if own_name(sdk.resource_class(token)) == key:
            return _plural(name)
    return _plural(key[:-4])


def _plural(name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    if lowered.endswith("y") and lowered[-2:-1] not in "aeiou":
        return lowered[:-1] + "ies"
    return lowered if lowered.endswith("s") and not lowered.endswith("ss") else lowered + ("es" if lowered.endswith(("ss", "x", "ch")) else "s")


def _computed(token: str, seed: str, inputs: Properties) -> dict[str, Any]:
    """Outputs that are a computation on the inputs."""
    if token == "aws:acm/certificate:Certificate":  # noqa: S105 - a type token
        return {"domainValidationOptions": _domain_validation(seed, inputs)}
    if token.startswith("random:"):
        return _random(token.rsplit(":", 1)[-1], seed, inputs)
    return {}


def _domain_validation(seed: str, inputs: Properties) -> list[Properties]:
    names = [inputs.get("domainName"), *(inputs.get("subjectAlternativeNames") or [])]
    return [
        {
            "domainName": name,
            "resourceRecordName": f"_{forms.text(seed + name, 'hex:32')}.{name.removeprefix('*.')}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_{forms.text(seed + name, 'hex:30')}.acm-validations.aws.",
        }
        for name in dict.fromkeys(name for name in names if isinstance(name, str))
    ]


def _random(kind: str, seed: str, inputs: Properties) -> dict[str, Any]:
    """The resources of the package `random`, which are computations and not clouds."""
    length = inputs.get("length") if isinstance(inputs.get("length"), int) else 16
    if kind in ("RandomPassword", "RandomString"):
        letters = forms.text(seed, f"alnum:{length}") or ""
        if inputs.get("lower") is False:
            letters = letters.upper()
        return {"result": letters, "id": "none" if kind == "RandomPassword" else letters}
    if kind in ("RandomId", "RandomBytes"):
        size = inputs.get("byteLength", inputs.get("length", 8))
        raw = forms.digest(seed, kind, size if isinstance(size, int) else 8)
        prefix = inputs.get("prefix") if isinstance(inputs.get("prefix"), str) else ""
        url = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return {
            "hex": f"{prefix}{raw.hex()}",
            "dec": f"{prefix}{int.from_bytes(raw, 'big')}",
            "b64Std": f"{prefix}{base64.b64encode(raw).decode()}",
            "b64Url": f"{prefix}{url}",
            "base64": base64.b64encode(raw).decode(),
            "id": url,
        }
    if kind == "RandomInteger":
        low, high = inputs.get("min"), inputs.get("max")
        known = isinstance(low, int) and isinstance(high, int) and low <= high
        result = low + int.from_bytes(forms.digest(seed, kind, 4), "big") % (high - low + 1) if known else 1  # type: ignore[operator] # both are whole numbers when known
        return {"result": result, "id": str(result)}
    if kind == "RandomShuffle":
        items = inputs.get("inputs") or []
        shuffled = sorted(items, key=lambda item: forms.digest(seed, str(reveal(item)), 8))
        count = inputs.get("resultCount")
        return {"results": shuffled[:count] if isinstance(count, int) else shuffled, "id": "-"}
    return {}


def _coerced(value: Any, kind: Any) -> Any:
    """The value as the provider stores it: documents given as objects become JSON, numbers as text become numbers."""
    if kind is str and isinstance(value, dict | list):
        return json.dumps(value) if not has_unknown(value) and not has_secret(value) else UNKNOWN
    if kind is str and isinstance(value, bool):
        return "true" if value else "false"
    if kind is str and isinstance(value, int | float):
        return str(value)
    if kind in (int, float) and isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return int(value) if kind is int and value.lstrip("-").isdigit() else float(value)
    if kind is bool and value in ("true", "false"):
        return value == "true"
    return value


def _item_kind(kind: Any) -> Any:
    args = typing.get_args(kind)
    item = args[0] if typing.get_origin(kind) in (list, collections.abc.Sequence) and args else Any
    return next((part for part in typing.get_args(item) if sdk.is_object(part)), item)


def _is_scalar(kind: Any) -> bool:
    return kind in (str, int, float, bool)


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def _comparable(value: Any) -> Any:
    """The value for a seed: the same for the same arguments, secrets reduced to a digest."""
    if isinstance(value, dict):
        return {name: _comparable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, Secret):
        return forms.digest(json.dumps(_comparable(value.value), sort_keys=True), "secret", 8).hex()
    return "unknown" if value is UNKNOWN else value


@cache
def _data() -> dict[str, Any]:
    with (Path(__file__).parent / "synthetic.toml").open("rb") as file:
        return tomllib.load(file)


def _row(token: str) -> Mapping[str, Any]:
    row = _data().get(token)
    return row if isinstance(row, dict) else {}


def _rows(token: str) -> list[Mapping[str, Any]]:
    """What the data says of a token, most telling first."""
    prefix = _data()["kinds"].get(token)
    return [_row(token), *([{"id": f"{prefix}{{hex:17}}", "arn": _ec2_arn(token)}] if prefix else [])]


def _ec2_arn(token: str) -> str:
    module = token.split(":")[1].split("/", maxsplit=1)[0]
    service = _data()["services"].get(module, module)
    return f"arn:{{partition}}:{service}:{{region}}:{{account}}:{_kebab(token.rsplit(':', 1)[-1])}/{{id}}"


@cache
def _twin(token: str) -> str | None:
    """The resource type that a look-up function is of: `aws:s3/getBucket:getBucket` → `aws:s3/bucket:Bucket`."""
    head, module, name = token.split(":")
    if not name.startswith("get"):
        return None
    stem = name[3:]
    middle = f"/{stem[:1].lower()}{stem[1:]}" if "/" in module else ""
    twin = f"{head}:{module.split('/')[0]}{middle}:{stem}"
    try:
        sdk.resource_class(twin)
    except (sdk.UnknownType, AttributeError):
        return None
    return twin


__all__ = ["Context", "Synthetic", "invoke", "outputs", "own_name"]
