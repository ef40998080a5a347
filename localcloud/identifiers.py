"""How a cloud names a resource: its physical name, its id, its ARN, its link; from `synthetic.toml`, from the examples
in the SDK's documentation, or in the cloud's general form."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from localcloud import computed, forms, sdk
from localcloud.values import SIGNATURE, Properties

# Kinds of Kubernetes that are in no namespace.
CLUSTER_WIDE = ("Namespace", "Cluster", "StorageClass", "CustomResource", "Node", "PriorityClass")
FAMILY = {"awsx": "aws", "eks": "aws", "aws-apigateway": "aws", "aws-native": "aws"}  # packages of the same cloud
PLACES = {"aws": "us-east-1", "gcp": "us-central1", "azure-native": "westeurope"}


@dataclass(frozen=True)
class Context:
    """Where a program is planned: project and stack, configuration (`aws:region` → text), the provider's inputs,
    and the outputs of other stacks by name (`organization/project/stack`)."""

    project: str
    stack: str
    config: Mapping[str, str] = field(default_factory=dict)
    provider: Properties = field(default_factory=dict)
    references: Mapping[str, Properties] = field(default_factory=dict)

    def setting(self, package: str, name: str) -> Any:
        """A provider's setting, from its own inputs or the stack's configuration; None if it has none."""
        own = self.provider.get(name)
        return self.config.get(f"{package}:{name}") if own in (None, "") else own


@dataclass
class Subject:
    """A resource, or a function call (`looked_up`), of which names and ids are wanted.

    seed: what every made-up text depends on. fixed: outputs that are settled, by name.
    """

    token: str
    cls: type | None
    name: str
    seed: str
    inputs: Properties
    context: Context
    looked_up: bool = False
    fixed: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cloud = FAMILY.get(package := sdk.package(self.token), package)
        self.module = self.token.split(":")[1].split("/")[0]
        self.settable = sdk.inputs(self.cls) if self.cls and not self.looked_up else {}
        self.fixed = computed.outputs(self.token, self.seed, self.inputs) | self.fixed
        if self.cloud == "kubernetes" and not self.looked_up:
            kind = self.token.rsplit(":", 1)[-1]
            namespace = {} if kind.startswith(CLUSTER_WIDE) else {"metadata.namespace": "default"}
            self.fixed = {"metadata.name": self.physical_name(), **namespace, **self.fixed}
        self.rows = _rows(self.token)
        if self.looked_up and (twin := _twin(self.token)):
            self.rows += _rows(twin)
        self._asked: set[str] = set()

    def output(self, path: str) -> Any:
        """A settled output, or one that the data tells; None if nothing is known of it."""
        if path in self.fixed:
            return self.fixed[path]
        if path in self._asked:  # a row that needs itself
            return None
        self._asked.add(path)
        try:
            templates = [row[path] for row in self.rows if path in row]
            found = next((value for row in templates if (value := forms.render(row, self.atom)) is not None), None)
            return self._arn() if found is None and path == "arn" and self.cloud == "aws" else found
        finally:
            self._asked.discard(path)

    def text(self, name: str) -> str | None:
        """An output as text, for use inside another one; None if it is not known, no text, or just being made."""
        value = self.output(name)
        if value is None and name == "id" and "plain id" not in self._asked:
            self._asked.add("plain id")
            value = self._plain_id()
            self._asked.discard("plain id")
        return str(value) if isinstance(value, str | int) else None

    def atom(self, atom: str) -> str | None:
        """What stands for an atom of a template: a form, an input, a fact of the context, an output."""
        if (made := forms.text(self.seed, atom)) is not None:
            return made
        given = self.inputs.get(atom)
        if isinstance(given, str | int) and not isinstance(given, bool):
            return str(given)
        own: dict[str, Callable[[], str]] = {
            "name": self.physical_name,
            "auto": self._auto,
            "slug": lambda: forms.slug(self.physical_name()),
        }
        found = own[atom]() if atom in own else self.fact(atom)
        if found is None and given is not None and not isinstance(given, dict | list):
            return forms.text(f"{self.seed} {atom}", "alnum:12")  # unknown or secret: there, but not to be shown
        return found if found is not None else self.text(atom)

    def fact(self, name: str) -> str | None:
        """A fact of the context: region, zone, account, project, subscription and their like; None for others."""
        if name in ("region", "location"):
            return self._place(name)
        makers: dict[str, Callable[[], str | None]] = {
            "partition": lambda: "aws-cn" if self._place("region").startswith("cn-") else "aws",
            "account": lambda: "123456789012" if self.cloud != "gcp" else None,
            "zone": lambda: self._setting("zone") or self._place("region") + ("-a" if self.cloud == "gcp" else "a"),
            "project": self._project,
            "number": lambda: forms.text(f"project {self._project()}", "digits:12") if self.cloud == "gcp" else None,
            "subscription": lambda: self._setting("subscriptionId") or forms.text("azure", "uuid:subscription"),
            "tenant": lambda: self._setting("tenantId") or forms.text("azure", "uuid:tenant"),
            "group": self._resource_group,
        }
        return makers[name]() if name in makers else None

    def _place(self, name: str) -> str:
        given = next(
            (self.inputs[key] for key in ("region", "location") if isinstance(self.inputs.get(key), str)), None
        )
        place = given or self._setting(name) or self._setting("region") or PLACES.get(self.cloud, "us-east-1")
        return re.sub(r"-[a-f]$", "", place) if self.cloud == "gcp" and name == "region" else place

    def _setting(self, name: str) -> str | None:
        value = self.context.setting(self.cloud, name)
        return value if isinstance(value, str) and value else None

    def _project(self) -> str:
        made = forms.slug(f"{self.context.project}-{self.context.stack}")[:30].rstrip("-")
        return self._setting("project") or made

    def _resource_group(self) -> str:
        found = (self.inputs.get(key) for key in ("resourceGroupName", "resourceGroup"))
        return next((value for value in found if isinstance(value, str)), "synthetic")

    def physical_name(self) -> str:
        """The resource's name in the cloud: given, or made as the provider would from the logical name."""
        names = self.name_properties()
        for key in names:
            if isinstance(value := self.inputs.get(key), str) and value:
                return value
            if isinstance(prefix := self.inputs.get(f"{key}Prefix"), str) and prefix:
                return f"{prefix}{forms.text(self.seed, 'digits:14')}"
        metadata = self.inputs.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
            return str(metadata["name"])
        return self._auto() if names or self.cloud == "kubernetes" else self.name

    def _auto(self) -> str:
        """As the providers name what has no name: the logical name and hexadecimal digits."""
        separator, size = {"azure-native": ("", 8), "kubernetes": ("-", 8)}.get(self.cloud, ("-", 7))
        return f"{self.name}{separator}{forms.text(self.seed, f'hex:{size}')}"

    def name_properties(self) -> list[str]:
        """The inputs that may hold the physical name, best first."""
        if self.cls is None:
            return ["name"]
        if self.cloud == "azure-native":
            if not self.looked_up:
                return [own] if (own := own_name(self.cls)) else []
            names = [key for key in self.inputs if key.endswith("Name") and key != "resourceGroupName"]
            return sorted(names, key=lambda key: not self.name.lower().endswith(key[:-4].lower()))
        kind = self.cls.__name__
        kind = kind.removesuffix("Result").removeprefix("Get") if self.looked_up else kind
        stem = kind[:1].lower() + kind[1:]
        likely = ("name", "bucket", *(f"{stem}{end}" for end in ("Name", "Id", "Identifier")))
        accepted = self.inputs if self.looked_up else self.settable
        found = [key for key in (*likely, "identifier", "clusterIdentifier", "family") if key in accepted]
        return found if stem.startswith("bucket") else [key for key in found if key != "bucket"]

    def service(self) -> str:
        """The service of an ARN."""
        return str(data()["services"].get(self.module, self.module))

    def _arn(self) -> str | None:
        """The ARN of a type without a row: the id if it is one, else service, kebab-case type and id or name."""
        if self.cls is None or not any(prop.name == "arn" for prop in sdk.properties(self.cls)):
            return None
        identifier = self.text("id") or self.physical_name()
        if identifier.startswith("arn:"):
            return identifier
        kind = kebab(self.token.rsplit(":", 1)[-1])
        scope = f"{self.fact('region')}:{self.fact('account')}"
        return f"arn:{self.fact('partition')}:{self.service()}:{scope}:{kind}/{identifier}"

    def self_link(self) -> str:
        """A GCP resource's URL."""
        host = "www.googleapis.com/compute" if self.module == "compute" else f"{self.module}.googleapis.com"
        return f"https://{host}/v1/{self.text('id')}"

    def _plain_id(self) -> str:
        """The id of a type that has no row of its own."""
        found = None
        if self.cloud == "azure-native":
            return self._azure_id()
        if self.cls is not None and not self.looked_up:
            examples = sdk.import_examples(self.token, self.cls)
            makers = {"gcp": self._gcp_id, "aws": self._aws_id}
            found = makers[self.cloud](examples) if self.cloud in makers else None
        if self.cloud == "kubernetes":
            metadata = self.inputs.get("metadata")
            namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
            found = f"{namespace if isinstance(namespace, str) else 'default'}/{self.physical_name()}"
        return found or self.physical_name()

    def _aws_id(self, examples: tuple[str, ...]) -> str | None:
        """An id in the shape of the documentation's example of an import."""
        example = examples[0] if examples else ""
        named = sdk.import_property(self.cls) if self.cls else None
        if named and isinstance(value := self.inputs.get(named), str):
            return value
        if example.startswith("arn:") and example.count(":") >= 5 and "," not in example:
            return self._arn_like(example)
        template = next((form for shape, form in AWS_IDS if re.fullmatch(shape, example)), None)
        kept = re.match(r"[a-z-]+-|[A-Z]", example)
        return forms.render(template, self.atom).replace("KEPT", kept.group(0) if kept else "") if template else None

    def _arn_like(self, example: str) -> str | None:
        _, _, service, region, _, last = example.split(":", 5)
        parts = re.split(r"([/:])", last)
        shape = "{uuid}" if re.fullmatch(r"[0-9a-f-]{36}", parts[-1]) else "{name}"
        head = "".join(parts[:2]) if len(parts) > 1 else ""
        scope = "{region}:{account}" if region else ":{account}"
        found = forms.render(f"arn:{{partition}}:{service}:{scope}:{head}{shape}", self.atom)
        return str(found) if found else None

    def _gcp_id(self, examples: tuple[str, ...]) -> str | None:
        """The longest form of the documentation's examples of an import, filled."""
        for example in sorted(examples, key=lambda text: -text.count("/")):
            template = re.sub(r"\{\{?(\w+)\}?\}", lambda match: "{" + sdk.camel(match.group(1)) + "}", example)
            if "{" in template and " " not in template and (found := forms.render(template, self.atom)):
                return str(found)
        return None

    def _azure_id(self) -> str:
        """An Azure resource ID, by the module's resource provider and the names of parents among the inputs."""
        kind = self.token.rsplit(":", 1)[-1]
        if self.looked_up and (match := re.fullmatch(r"(?:get|list)(\w+)", kind)):
            kind = match.group(1)
        template = data()["azure_paths"].get(f"{self.module}:{kind}")
        if template is None:
            namespace = data()["azure_namespaces"].get(self.module, f"Microsoft.{self.module.capitalize()}")
            parents = "".join(f"/{_collection(self.module, key)}/{{{key}}}" for key in self._parents())
            template = f"{namespace}{parents}/{plural(kind)}/{{name}}"
        if template.startswith("Microsoft."):
            template = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + template
        return str(forms.render(template, self.atom) or f"/subscriptions/{self.fact('subscription')}/{self.name}")

    def _parents(self) -> Iterator[str]:
        for key, (_, required) in self.settable.items():
            if (
                required
                and key.endswith("Name")
                and key != "resourceGroupName"
                and isinstance(self.inputs.get(key), str)
            ):
                yield key


# Shapes of ids in AWS's documentation, and the template of an id like it; KEPT is the example's prefix.
AWS_IDS = (
    (r"[a-z]+(?:-[a-z]+)*-[0-9a-f]{8,17}", "KEPT{hex:17}"),
    (r"[0-9a-f]{8}-[0-9a-f-]{27}", "{uuid}"),
    (r"\d{12}", "{account}"),
    (r"[A-Z](?=[A-Z]*\d)[A-Z0-9]{9,}", "KEPT{upper:13}"),
)


@cache
def own_name(cls: type) -> str | None:
    """The input that names an Azure resource itself, not a parent: optional, as the SDK can make one up."""
    accepted = sdk.inputs(cls)
    names = [key for key, (_, required) in accepted.items() if not required and (key.endswith("Name") or key == "name")]
    stem = cls.__name__.lower()
    best = [key for key in names if key != "name" and stem.endswith(key[:-4].lower())]
    return next(iter([*best, *(key for key in names if key in ("resourceName", "name")), *names]), None)


@cache
def _collection(module: str, key: str) -> str:
    """The collection of Azure resources that a parent's name is taken from: `accountName` → `storageAccounts`."""
    for token, name in sdk.classes("azure-native", module):
        if own_name(sdk.resource_class(token)) == key:
            return plural(name)
    return plural(key[:-4])


def plural(name: str) -> str:
    """The collection's name in an Azure path: `StorageAccount` → `storageAccounts`."""
    lowered = name[:1].lower() + name[1:]
    if lowered.endswith("y") and lowered[-2:-1] not in "aeiou":
        return lowered[:-1] + "ies"
    if lowered.endswith("s") and not lowered.endswith("ss"):
        return lowered
    return lowered + ("es" if lowered.endswith(("ss", "x", "ch")) else "s")


def kebab(name: str) -> str:
    """`LoadBalancer` → `load-balancer`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


@cache
def data() -> dict[str, Any]:
    """What is known of types and functions by token; `synthetic.toml` says how it is written."""
    with (Path(__file__).parent / "synthetic.toml").open("rb") as file:
        return tomllib.load(file)


def _rows(token: str) -> list[Mapping[str, Any]]:
    """What the data says of a token, most telling first."""
    row = data().get(token)
    rows: list[Mapping[str, Any]] = [row] if isinstance(row, dict) else []
    if prefix := data()["kinds"].get(token):
        module, kind = token.split(":")[1].split("/", maxsplit=1)[0], token.rsplit(":", 1)[-1]
        service = data()["services"].get(module, module)
        arn = f"arn:{{partition}}:{service}:{{region}}:{{account}}:{kebab(kind)}/{{id}}"
        rows.append({"id": f"{prefix}{{hex:17}}", "arn": arn})
    return rows


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
    except (sdk.UnknownTypeError, AttributeError):
        return None
    return twin


def is_marked(value: Any) -> bool:
    """Whether a value is an asset, an archive or a resource reference."""
    return isinstance(value, dict) and SIGNATURE in value
