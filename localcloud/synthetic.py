"""What a cloud would answer, made up: typed by the SDK's own annotations, well-formed, the same on every run.

Outputs that the program gave as inputs are echoed; the others come, in this order, from a row of `synthetic.toml`,
from the form that the property's name or documentation tells (`forms.py`), and from the type alone. Each made-up
value's path is listed, so that a plan can mark it.
"""

from __future__ import annotations

import collections.abc
import json
import re
import typing
from typing import Any, NamedTuple

from localcloud import dynamic, forms, kubernetes, policy_document, references, sdk
from localcloud.identifiers import Context, Subject, data, is_marked, kebab, plural
from localcloud.values import RESOURCE, SIGNATURE, UNKNOWN, Properties, Secret, has_secret, has_unknown, reveal, walk

EMPTY_POLICY = '{"Version":"2012-10-17","Statement":[]}'
POLICIES = ("policy", "policyDocument", "policyJson", "assumeRolePolicy", "resourcePolicy", "inlinePolicy")
# Functions that only write down what they are given.
RENDERED = {
    "aws:iam/getPolicyDocument:getPolicyDocument": policy_document.document,
    "kubernetes:yaml:decode": kubernetes.decoded,
    **dict.fromkeys(kubernetes.RENDERING, kubernetes.unrendered),
}
DEPTH = 6  # of nested objects made up; some types of the SDKs contain themselves
ERROR = re.compile(r"(^|[.a-z])[eE]rrors?(Message|Code|Details)?($|[.\[])")
# A key, a role or IPv6 that the program did not ask for is not there; to make one up would deceive a rule.
UNSET = re.compile(r"(?i)kms|key|ipv6|arn$")
# Nested properties that a cloud assigns though the SDK lets a program set them.
ASSIGNED = re.compile(
    r"(?i)output[- ]only|\(output\)|read[- ]only|"
    r"(?:will be|automatically|is|are|one) (?:\w+ )?(?:assigned|generated|allocated|computed)"
)
TAGS = {"tagsAll": ("defaultTags", "tags"), "effectiveLabels": ("defaultLabels", "labels")}
TAGS["pulumiLabels"] = TAGS["effectiveLabels"]


class Synthetic(NamedTuple):
    """The made-up answer for one resource: id, all outputs, and the paths of those that no input gave."""

    id: str
    outputs: Properties
    paths: frozenset[str]


def outputs(
    token: str, name: str, urn: str, inputs: Properties, context: Context, *, id_: str | None = None
) -> Synthetic:
    """The outputs of a resource. `id_` is given where the program reads an existing one (`Type.get`).

    Raises sdk.UnknownTypeError for a type that no installed SDK knows.
    """
    if token == "pulumi:pulumi:StackReference":  # noqa: S105 - a type token
        return _stack_reference(inputs, context, id_ or name)
    if token.startswith(dynamic.PREFIX):
        return _dynamic(token, name, urn, inputs, id_)
    if token.startswith(sdk.BUILT_IN):
        return Synthetic(id_ or forms.text(urn, "uuid") or "", dict(inputs), frozenset())
    cls = sdk.resource_class(token)
    fixed = {} if id_ is None else {"id": id_}
    answer = _Answer(Subject(token, cls, name, urn, inputs, context, fixed=fixed), reading=id_ is not None)
    found: Properties = dict(inputs)
    for prop in sdk.properties(cls):
        if prop.name not in ("id", "urn"):
            found[prop.name] = answer.property(prop)
    return Synthetic(id_ or answer.subject.text("id") or "", found, frozenset(answer.made))


def invoke(token: str, args: Properties, result_type: type | None, context: Context) -> Properties:
    """The result of a provider's function, or of a component's method (`package:module:Class/method`).

    `result_type` is the SDK's result class where the caller knows it.

    Raises sdk.UnknownTypeError for a function that no installed SDK knows.
    """
    if token in RENDERED:
        return RENDERED[token](args)
    method = "/" in token.rpartition(":")[2]
    cls = result_type or (sdk.method_result(token) if method else sdk.function_result(token))
    seed = f"{token} {json.dumps(_comparable(args), sort_keys=True)}"
    name = re.sub(r"^(get|list)", "", token.rsplit(":", 1)[-1])
    answer = _Answer(Subject(token, cls, name, seed, args, context, looked_up=True), reading=False)
    given = {} if method else args
    return {**given, **{prop.name: answer.property(prop) for prop in (sdk.properties(cls) if cls else ())}}


def _stack_reference(inputs: Properties, context: Context, stack: str) -> Synthetic:
    name = inputs.get("name", stack)
    known = context.references.get(str(name))
    if known is None:
        return Synthetic(stack, {"name": name, "outputs": UNKNOWN, "secretOutputNames": UNKNOWN}, frozenset())
    return Synthetic(stack, references.answer(str(name), known), frozenset())


def _dynamic(token: str, name: str, urn: str, inputs: Properties, id_: str | None) -> Synthetic:
    """A dynamic resource: the outputs that its class declares (`size: Output[int]`), typed as it says.

    None of the program's create is run: a plan makes nothing.
    """
    hints = sdk.dynamic_hints(token)
    found: Properties = dict(inputs)
    made = {key for key, kind in hints.items() if inputs.get(key) is None and kind in _SCALARS}
    for key in hints.keys() - {"id", "urn"}:
        if inputs.get(key) is None:
            found[key] = _SCALARS[hints[key]](f"{urn} {key}", name, key) if key in made else UNKNOWN
    return Synthetic(id_ or forms.text(urn, "uuid") or "", found, frozenset(made))


_SCALARS: dict[Any, Any] = {
    str: lambda seed, name, key: (
        forms.from_name(key, lambda atom: forms.slug(name) if atom in ("name", "slug") else forms.text(seed, atom))
        or f"{forms.slug(name)}-{forms.text(seed, 'hex:8')}"
    ),
    int: lambda _seed, _name, _key: 1,
    float: lambda _seed, _name, _key: 1.0,
    bool: lambda _seed, _name, _key: False,
}


class _Answer:
    """One answer in the making; `made` collects the paths of what was made up."""

    def __init__(self, subject: Subject, *, reading: bool) -> None:
        self.subject = subject
        self.cloud = subject.cloud
        self.reading = reading
        self.made: set[str] = set()

    def property(self, prop: sdk.Property) -> Any:  # noqa: PLR0911 - one return for each source of a value
        """The value of a top-level property: the input completed, or made up; None if it is not set."""
        subject = self.subject
        given = subject.inputs.get(prop.name)
        if (token := sdk.resource_token(prop.kind)) is not None and not _refers(given):
            return self._inside(token, prop)
        if given is not None:
            return self._completed(given, prop.kind, prop.name, 0)
        if prop.name in TAGS:
            return self._all_tags(prop.name)
        if (value := self._named(prop)) is not None:
            return self._record(prop.name, _coerced(value, prop.kind))
        settable = prop.name in subject.settable and not self.reading  # of what exists all is reported
        if prop.optional and not self.reading and self._stays_unset(prop, settable=settable):
            return None
        if settable and prop.name.endswith("Prefix") and prop.name[:-6] in subject.settable:
            return None
        return self._made_up(prop.kind, prop.name, prop.doc, settable=settable, depth=0)

    def _inside(self, token: str, prop: sdk.Property) -> Any:
        """References to what is inside of a component that a plugin makes: one resource, or a list of three."""
        project, stack, chain, name = self.subject.seed.removeprefix("urn:pulumi:").split("::")
        several = typing.get_origin(prop.kind) in (list, collections.abc.Sequence)
        made = [
            {
                SIGNATURE: RESOURCE,
                "urn": f"urn:pulumi:{project}::{stack}::{chain}${token}::{name}-{prop.name}{n or ''}",
                "id": forms.text(f"{self.subject.seed} {prop.name} {n}", "hex:17"),
            }
            for n in range((6 if sdk.is_component(self.subject.cls) else 3) if several else 1)
        ]
        self._record(prop.name, made if several else made[0])
        return made if several else made[0]

    def _named(self, prop: sdk.Property) -> Any:
        """A top-level property that names the resource, or that is known by name."""
        subject = self.subject
        if prop.name == "id":
            return subject.text("id") if prop.kind is str else None
        known = subject.output(prop.name)
        if known is None and prop.kind is str and not prop.optional and prop.name in subject.name_properties():
            return subject.physical_name()
        return known

    def _stays_unset(self, prop: sdk.Property, *, settable: bool) -> bool:
        return settable or (self.subject.looked_up and prop.kind not in (str, int, float, bool))

    def _all_tags(self, name: str) -> Any:
        """The provider's default tags or labels under the resource's own, as the provider merges them."""
        defaults_name, own_name = TAGS[name]
        own = self.subject.inputs.get(own_name)
        own = own if isinstance(own, dict) and not is_marked(own) else {}
        defaults = self.subject.context.setting(self.cloud, defaults_name)
        secret = isinstance(defaults, Secret)
        defaults = defaults.value if secret else defaults
        if defaults is UNKNOWN:
            return UNKNOWN
        if isinstance(defaults, str):  # the SDKs hand over objects as JSON texts
            try:
                defaults = json.loads(defaults)
            except ValueError:
                defaults = None
        defaults = defaults if isinstance(defaults, dict) else {}
        defaults = defaults.get("tags") or {} if name == "tagsAll" else defaults
        merged = defaults | own
        return Secret(reveal(merged)) if secret else merged

    def _record(self, path: str, value: Any) -> Any:
        self.made.update(leaf for leaf, item in walk(value, path) if item is not None)
        return value

    def _completed(self, given: Any, kind: Any, path: str, depth: int) -> Any:
        """What the program gave, in the output's type, with the nested properties that a cloud assigns."""
        if is_marked(given):
            refers = given[SIGNATURE] == RESOURCE and kind is str
            return given.get("id") or given.get("urn") if refers else given
        if isinstance(given, Secret):
            return Secret(_coerced(given.value, kind))
        if isinstance(given, list):
            return self._completed_list(given, kind, path, depth)
        if isinstance(given, dict) and sdk.is_object(kind) and depth <= DEPTH:
            return self._completed_object(given, kind, path, depth)
        return _coerced(given, kind)

    def _completed_list(self, given: list[Any], kind: Any, path: str, depth: int) -> Any:
        if typing.get_origin(kind) in (dict, collections.abc.Mapping):
            # Azure takes a list of identities and answers with an object by identity.
            item_kind = typing.get_args(kind)[1]
            made = (self._made_up(item_kind, f"{path}.{item}", "", settable=False, depth=depth + 1) for item in given)
            return dict(zip(map(str, given), made, strict=True))
        if kind is str:
            return _coerced(given, kind)
        return [self._completed(item, _item_kind(kind), f"{path}[{n}]", depth + 1) for n, item in enumerate(given)]

    def _completed_object(self, given: Properties, kind: type, path: str, depth: int) -> Properties:
        found: Properties = {}
        settable = sdk.inputs(kind)
        for prop in sdk.properties(kind):
            inner = f"{path}.{prop.name}"
            if given.get(prop.name) is not None:
                found[prop.name] = self._completed(given[prop.name], prop.kind, inner, depth + 1)
            elif (value := self.subject.output(inner)) is not None:
                found[prop.name] = self._record(inner, value)
            elif prop.name == "id" and self.cloud == "azure-native" and isinstance(given.get("name"), str):
                collection = path.rsplit(".", maxsplit=1)[-1].split("[", maxsplit=1)[0]
                found[prop.name] = self._record(inner, f"{self.subject.text('id')}/{collection}/{given['name']}")
            elif not prop.optional or prop.name not in settable or ASSIGNED.search(prop.doc):
                free = prop.name in settable and not ASSIGNED.search(prop.doc)
                found[prop.name] = self._made_up(prop.kind, inner, prop.doc, settable=free, depth=depth + 1)
        return {**given, **found}

    def _made_up(self, kind: Any, path: str, doc: str, *, settable: bool, depth: int) -> Any:
        """A value of the type, well-formed by its name and documentation; its leaves are recorded.

        settable: the program could have set it and did not, so that it is what the cloud has by default.
        """
        if sdk.is_object(kind):
            return self._object(kind, path, settable=settable, depth=depth)
        origin = typing.get_origin(kind)
        if kind is dict or origin in (dict, collections.abc.Mapping):
            return {}
        if kind is list or origin in (list, collections.abc.Sequence):
            return self._list(_item_kind(kind), path, doc, settable=settable, depth=depth)
        if kind is Any or not isinstance(kind, type) or ERROR.search(path):
            return None
        return self._record(path, self._scalar(kind, path, doc, settable=settable))

    def _object(self, kind: type, path: str, *, settable: bool, depth: int) -> Any:
        if depth >= DEPTH:
            return None
        found = {}
        for prop in sdk.properties(kind):
            inner = f"{path}.{prop.name}"
            if (value := self.subject.output(inner)) is not None:
                found[prop.name] = self._record(inner, value)
            elif not (prop.optional and settable):
                found[prop.name] = self._made_up(prop.kind, inner, prop.doc, settable=settable, depth=depth + 1)
        return found

    def _list(self, kind: Any, path: str, doc: str, *, settable: bool, depth: int) -> list[Any]:
        # Azure reports in such lists what else refers to a resource; a new one has none.
        if sdk.is_object(kind) and (settable or depth >= DEPTH - 1 or self.cloud == "azure-native"):
            return []
        whole = self.subject.looked_up or sdk.is_component(self.subject.cls)
        several = whole and depth == 0 and not sdk.is_object(kind)
        items = [
            self._made_up(kind, f"{path}[{n}]", doc, settable=settable, depth=depth + 1)
            for n in range((6 if sdk.is_component(self.subject.cls) else 3) if several else 1)
        ]
        return [item for item in items if item not in (None, "")]

    def _scalar(self, kind: type, path: str, doc: str, *, settable: bool) -> Any:
        accepted = self.subject.settable.get(path, (None, False))[0]
        enum = sdk.enum_of(kind) or sdk.enum_of(accepted)
        if enum is not None:
            return next(iter(enum)).value
        if kind is bool:
            return forms.default_truth(doc)
        if kind in (int, float):
            number = forms.default_number(doc)
            return kind(number if number is not None else 443 if path.lower().endswith("port") else 1)
        if kind is not str:
            return None
        return (forms.default_text(doc) if settable else None) or self._text(path, doc, settable=settable)

    def _text(self, path: str, doc: str, *, settable: bool) -> str:
        """A text by what it is called, by what is said of it, or else the resource's name and a hash."""
        leaf = re.sub(r"\[\d+\]", "", path).split(".")[-1]

        def known(atom: str) -> str | None:
            return forms.text(f"{self.subject.seed} {path}", atom) or self.subject.atom(atom)

        if leaf == "description" or (settable and UNSET.search(leaf)):
            return ""
        makers = {"aws": self._aws_text, "gcp": self._gcp_text, "azure-native": self._azure_text}
        own = makers[self.cloud](leaf, path, known, settable) if self.cloud in makers else None
        told = own or forms.legal_value(doc) or forms.from_name(leaf, known, places=settable)
        # What a program could have set and did not is empty, unless it says where the resource is.
        if told is not None or settable:
            return told or ""
        told = None if leaf.endswith("Id") else forms.from_documentation(doc, known)
        return told or f"{forms.slug(self.subject.name)}-{known('hex:8')}"

    def _aws_text(self, leaf: str, _path: str, known: forms.Known, settable: bool) -> str | None:
        if leaf == "arn" or leaf.endswith("Arn"):
            by_end = data()["arns"].items()
            kind = kebab(leaf[:-3] or "item")
            generic = f"arn:{{partition}}:{self.subject.service()}:{{region}}:{{account}}:{kind}/{{name}}"
            template = next((form for end, form in by_end if leaf.lower().endswith(end.lower())), generic)
            return str(forms.render(template, known))
        if leaf in data()["ids"]:
            return str(forms.render(data()["ids"][leaf], known))
        return EMPTY_POLICY if leaf in POLICIES and not settable else None

    def _gcp_text(self, leaf: str, path: str, known: forms.Known, settable: bool) -> str | None:
        if leaf == "selfLink":
            return self.subject.self_link()
        if path == "name":
            return self.subject.physical_name() if settable else self.subject.text("id")
        return known("digits:19") if leaf.endswith("Id") and not settable and leaf != "projectId" else None

    def _azure_text(self, leaf: str, path: str, known: forms.Known, settable: bool) -> str | None:
        if path == "name":
            return self.subject.physical_name()
        if path == "type" and not settable:
            parts = (self.subject.text("id") or "").split("/providers/")[-1].split("/")
            return "/".join([parts[0], *parts[1::2]])
        if not settable and (leaf == "id" or leaf.endswith("ResourceId")):
            kind = plural(leaf.removesuffix("ResourceId") or "item") if leaf != "id" else "items"
            group = "/subscriptions/{subscription}/resourceGroups/{group}/providers"
            return str(forms.render(f"{group}/Microsoft.Resources/{kind}/{{hex:8}}", known))
        return None


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
    return value == "true" if kind is bool and value in ("true", "false") else value


def _refers(given: Any) -> bool:
    """Whether an input is a resource, or a list of resources."""
    return is_marked(given) or (isinstance(given, list) and all(is_marked(item) for item in given))


def _item_kind(kind: Any) -> Any:
    args = typing.get_args(kind)
    item = args[0] if typing.get_origin(kind) in (list, collections.abc.Sequence) and args else Any
    return next((part for part in typing.get_args(item) if sdk.is_object(part)), item)


def _comparable(value: Any) -> Any:
    """The value for a seed: the same for the same arguments, secrets reduced to a digest."""
    if isinstance(value, dict):
        return {name: _comparable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, Secret):
        return forms.digest(json.dumps(_comparable(value.value), sort_keys=True), "secret", 8).hex()
    return "unknown" if value is UNKNOWN else value


__all__ = ["Context", "Synthetic", "invoke", "outputs"]
