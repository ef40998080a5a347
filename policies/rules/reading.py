"""How rules read what a program wrote: values that are there, that are absent, and that nobody knows yet."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from policies.graph import HIDDEN, Graph, Resource, is_known, listed
from policies.rule import Judge, Verdict, fail, undetermined

UNKNOWN = object()
ADMINISTRATION = (22, 3389)
GUARDED = {
    20: "FTP",
    21: "FTP",
    22: "SSH",
    23: "Telnet",
    135: "RPC",
    445: "SMB",
    1433: "SQL Server",
    1521: "Oracle",
    2375: "Docker",
    2376: "Docker",
    2379: "etcd",
    3306: "MySQL",
    3389: "RDP",
    5432: "PostgreSQL",
    5900: "VNC",
    5985: "WinRM",
    5986: "WinRM",
    6379: "Redis",
    9200: "Elasticsearch",
    10250: "the kubelet",
    11211: "memcached",
    27017: "MongoDB",
}


def given(resource: Resource) -> Mapping[str, Any]:
    """The inputs; the outputs where a policy pack's host knows no inputs."""
    return resource.inputs or resource.outputs


def every(value: Any, path: str, where: str = "") -> Iterator[tuple[str, Any]]:
    """What lies at a dotted path, each with its own path; `*` stands for each item of a list, or of an object.

    None where there is nothing, UNKNOWN where it, or something around it, is unknown or secret.
    """
    if value in HIDDEN:
        yield where or path, UNKNOWN
        return
    if not path:
        yield where, value
        return
    part, _, rest = path.partition(".")
    if part == "*":
        items = value.items() if isinstance(value, Mapping) else enumerate(listed(value))
        for key, item in items:
            yield from every(item, rest, f"{where}.{key}".lstrip("."))
        return
    inner = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
        inner = value[int(part)]
    if inner is None:
        if "*" not in rest:
            yield f"{where}.{part}.{rest}".strip("."), None
        return
    yield from every(inner, rest, f"{where}.{part}".lstrip("."))


def read(resource: Resource, path: str) -> Any:
    """The input at a dotted path without `*`; None where there is none, UNKNOWN where nobody knows it yet."""
    return next(iter(every(given(resource), path)))[1]


def same(value: Any, other: Any) -> bool:
    """Whether two settings mean the same: `True` and `"true"`, `Deny` and `deny`, 1 and `"1"` do."""
    return str(value).lower() == str(other).lower()


def one_of(value: Any, *others: Any) -> bool:
    """Whether a setting means the same as one of the others."""
    return any(same(value, other) for other in others)


def on(resource: Resource, path: str, default: bool = False) -> bool:
    """Whether a switch is known to be on; `default` is what the cloud takes where the program says nothing."""
    value = read(resource, path)
    return default if value is None else same(value, True)


def must(
    path: str, *good: Any, message: str, absent: bool = False, when: Callable[[Resource], bool] | None = None
) -> Judge:
    """A judge that demands one of these values at a path (`*` for each item).

    `{}` in the message becomes what is there. absent: whether nothing at the path is fine, since the cloud's own
    choice is. when: of which resources the demand is made.
    """

    def judge(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
        if when is not None and not when(resource):
            return
        for where, value in every(given(resource), path):
            if value is UNKNOWN:
                yield undetermined(f"Nobody knows {where} before the deployment.", where)
            elif (value is None and not absent) or (value is not None and not one_of(value, *good)):
                yield fail(message.format("unset" if value is None else value), where)

    return judge


def must_have(path: str, *, message: str, when: Callable[[Resource], bool] | None = None) -> Judge:
    """A judge that demands something, whatever it is, at a path (`*` for each item). What is unknown is there."""

    def judge(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
        if when is not None and not when(resource):
            return
        for where, value in every(given(resource), path):
            if value is None or value in ("", [], {}):
                yield fail(message, where)

    return judge


def must_not(
    path: str, *bad: Any, message: str, absent: bool = False, when: Callable[[Resource], bool] | None = None
) -> Judge:
    """A judge that refuses these values at a path. absent: whether nothing there is as bad."""

    def judge(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
        if when is not None and not when(resource):
            return
        for where, value in every(given(resource), path):
            if value is UNKNOWN:
                yield undetermined(f"Nobody knows {where} before the deployment.", where)
            elif (value is None and absent) or (value is not None and one_of(value, *bad)):
                yield fail(message.format("unset" if value is None else value), where)

    return judge


def both(*judges: Judge) -> Judge:
    """A judge that says what each of these says."""

    def judge(resource: Resource, graph: Graph) -> Iterator[Verdict]:
        for each in judges:
            yield from each(resource, graph)

    return judge


def is_world(address: Any) -> bool:
    """Whether an address range is the internet, or so much of it that it may as well be; `*` and Azure's tags, too."""
    text = str(address).strip().lower()
    if text in ("*", "internet", "any", "::"):
        return True
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    widest = 4 if network.version == 4 else 7
    return network.prefixlen <= widest and not (network.version == 6 and network.is_private)


def ports(ranges: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """Port ranges as pairs: `22`, `"20-25"`, `"22,80"`, `"*"`. What reads otherwise is left out."""
    for item in ranges:
        for text in str(item).split(","):
            first, _, last = text.strip().partition("-")
            if first in ("*", "any", ""):
                yield 0, 65535
            elif first.isdigit() and (last or first).isdigit():
                yield int(first), int(last or first)


def guarded_ports(ranges: Iterable[Any]) -> list[int]:
    """The ports of administration and of data stores that lie in these ranges, SSH and RDP first."""
    pairs = list(ports(ranges))
    return sorted(
        (port for port in GUARDED if any(low <= port <= high for low, high in pairs)),
        key=lambda port: (port not in ADMINISTRATION, port),
    )


def named(port_numbers: list[int]) -> str:
    """Ports for a sentence: `22 (SSH), 3389 (RDP) and 5 others`."""
    shown = ", ".join(f"{port} ({GUARDED[port]})" for port in port_numbers[:3])
    return shown + (f" and {len(port_numbers) - 3} others" if len(port_numbers) > 3 else "")


def made_up(resource: Resource, path: str) -> bool:
    """Whether the value at a dotted path, or what is around it, comes of a plan and not of the program."""
    pointer = "/inputs/" + path.replace(".", "/")
    return any(pointer == each or pointer.startswith(f"{each}/") for each in resource.synthetic)


def names_of(resource: Resource) -> set[str]:
    """What other resources may call this one by: its ids and names, as far as known."""
    keys = (
        "id",
        "name",
        "selfLink",
        "url",
        "arn",
        "bucket",
        "accountName",
        "resourceName",
        "vaultName",
        "registryName",
    )
    found = [value for row in (resource.inputs, resource.outputs) for key in keys if (value := row.get(key))]
    return {value for value in found if isinstance(value, str)}


def uses(user: Resource, used: Resource, name: str = "") -> bool:
    """Whether the first's input `name`, or any, is an output of the second, or names it."""
    urns = user.references.get(name, ()) if name else [urn for row in user.references.values() for urn in row]
    if used.urn in urns:
        return True
    values = [given(user).get(name)] if name else list(given(user).values())
    return any(isinstance(value, str) and value in names_of(used) for value in values)


def known(value: Any) -> bool:
    """Whether a value that was read is there and can be judged."""
    return value is not None and value is not UNKNOWN and is_known(value)
