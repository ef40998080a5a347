"""What the engine's benchmark measures in a process of its own: `… URL up DIR FILE`, `replay FILE`, `grow SIZE`.

Each prints a line of JSON. A replay makes the recorded calls in the order in which they were answered, with the names
that the first emulator gave exchanged for those that this one gave.
"""

from __future__ import annotations

import gc
import json
import pickle
import re
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z0-9_-]{6,}")


def memory() -> float:
    """The most memory that this process held (MiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def up(url: str, directory: str, file: str) -> dict[str, Any]:
    """Two runs of `up`; the boto3 calls of the first are written to the file."""
    from botocore import client as botocore_client  # noqa: PLC0415 - not measured where it is not used

    from localcloud import operations  # noqa: PLC0415 - likewise, no cost of other measures
    from localcloud.__main__ import providers  # noqa: PLC0415 - likewise, no cost of other measures
    from localcloud.project import load  # noqa: PLC0415 - likewise, no cost of other measures

    calls: list[tuple[str, str, str, Any, Any]] = []
    made, lock = botocore_client.BaseClient._make_api_call, threading.Lock()

    def recorded(client: Any, operation: str, parameters: Any) -> Any:
        answer: Any = None
        try:
            answer = made(client, operation, parameters)
        except Exception as error:
            answer = getattr(error, "response", {"Error": {"Code": type(error).__name__}})
            raise
        finally:
            body = parameters.get("Body") if isinstance(parameters, dict) else None
            if not hasattr(body, "read"):
                with lock:
                    model = client.meta.service_model
                    calls.append((model.service_name, client.meta.region_name, operation, parameters, _plain(answer)))
        return answer

    botocore_client.BaseClient._make_api_call = recorded
    seconds = []
    for turn in range(2):
        project = load(Path(directory), "local", [f"groundwork:aws.endpoint={url}"], paths=True)
        begun = time.perf_counter()
        operations.up(project, providers(), lambda _event: None, lambda _severity, _message: None)
        seconds.append(time.perf_counter() - begun)
        if turn == 0:
            Path(file).write_bytes(pickle.dumps(calls))
    return {"seconds": seconds, "memory": memory()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if name != "ResponseMetadata"}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def replay(url: str, file: str) -> dict[str, Any]:
    """The recorded calls again, by one client a service and region."""
    import boto3  # noqa: PLC0415 - likewise, no cost of other measures
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - likewise, no cost of other measures

    calls = pickle.loads(Path(file).read_bytes())  # the process before this one wrote it
    clients: dict[tuple[str, str], Any] = {}
    names: dict[str, str] = {}
    otherwise = 0
    begun = time.perf_counter()
    for service, region, operation, parameters, before in calls:
        client = clients.get((service, region))
        if client is None:
            client = clients[service, region] = boto3.client(service, region_name=region, endpoint_url=url)
        try:
            after = client._make_api_call(operation, _renamed(parameters, names))
        except ClientError as error:
            after = error.response
        except BotoCoreError as error:
            after = {"Error": {"Code": type(error).__name__}}
        otherwise += ("Error" in after) != ("Error" in before)
        _learn(before, after, names)
    return {"seconds": time.perf_counter() - begun, "calls": len(calls), "otherwise": otherwise}


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return NAME.sub(lambda found: names.get(found[0], found[0]), value) if isinstance(value, str) else value


def _learn(before: Any, after: Any, names: dict[str, str]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() & after.keys():
            _learn(before[key], after[key], names)
    elif isinstance(before, list) and isinstance(after, list):
        for one, other in zip(before, after, strict=False):
            _learn(one, other, names)
    elif isinstance(before, str) and isinstance(after, str) and before != after:
        old, new = NAME.findall(before), NAME.findall(after)
        if len(old) == len(new):
            names |= {one: other for one, other in zip(old, new, strict=True) if one != other}


def grow(size: int) -> dict[str, Any]:
    """A preview and two runs of `up` of so many resources on a cloud in memory."""
    from tests.localcloud.clouds import World  # noqa: PLC0415 - likewise, no cost of other measures

    seconds = []
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        world.program(
            f"for p in range({size} // 10):\n"
            "    part = pulumi.ComponentResource('test:index:Part', f'part-{p}')\n"
            "    last = None\n"
            "    for n in range(9):\n"
            "        value = last.arn if last else '1'\n"
            "        last = Thing(f't-{p}-{n}', value=value, opts=Options(parent=part))\n"
        )
        for run in (world.preview, world.up, world.up):
            begun = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begun)
    return {"seconds": seconds, "memory": memory()}


def main() -> None:
    """Runs one of them."""
    gc.disable()  # as the command line does
    url, what, *words = sys.argv[1:]
    found = up(url, *words) if what == "up" else replay(url, *words) if what == "replay" else grow(int(words[0]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
