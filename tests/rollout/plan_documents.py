"""Small plans, as `python -m localcloud plan --json` prints them."""

from typing import Any

RELEASE = "sha256:" + "1" * 64
HEAD = "urn:pulumi:dev::demo::"


def resource(token: str, name: str, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A row of a plan; `more` are its other fields."""
    return {
        "urn": f"{HEAD}{token}::{name}",
        "type": token,
        "name": name,
        "parent": None,
        "custom": not token.startswith("demo:"),
        "provider": None,
        "inputs": inputs or {},
        "outputs": {},
        "dependencies": [],
        "propertyDependencies": {},
        "options": {},
        "source": {"file": "stacks/__main__.py", "line": 3},
        "synthetic": [],
        **more,
    }


def plan(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A plan of the stack `dev` of a project `demo`."""
    return {
        "version": 1,
        "project": "demo",
        "stack": "dev",
        "config": {"groundwork:release": RELEASE},
        "resources": [resource("pulumi:pulumi:Stack", "demo-dev", custom=False, source=None), *resources],
        "outputs": {},
        "synthetic": [],
        **more,
    }
