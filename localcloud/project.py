"""A Pulumi project and one of its stacks as files: Pulumi.yaml, Pulumi.STACK.yaml, configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from localcloud.errors import LocalcloudError
from localcloud.masking import Mask
from localcloud.secrets import Passphrase, passphrase

DIRECTORY = ".localcloud"
SHORTEST_SECRET = 4  # characters
STACK_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")  # as Pulumi's own check of stack names


@dataclass(frozen=True)
class Project:
    """`root` holds Pulumi.yaml; `main` is the program's directory; `config` has full keys (`project:key`) and texts.

    opened: the texts in clear of all that is under `secure`, also deep inside an object. mask: hides them, and the
    secrets that a run learns of.
    """

    name: str
    root: Path
    main: Path
    stack: str
    config: dict[str, str]
    secret_keys: frozenset[str]
    salt: str | None
    opened: frozenset[str] = frozenset()
    mask: Mask = field(default_factory=Mask, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.mask.add(self.secret_texts)

    @property
    def secret_texts(self) -> tuple[str, ...]:
        """Texts that no output may hold, longest first, also as JSON writes them. Those under four letters would hide
        half of every output, and are left out."""
        texts = self.opened | {value for key, value in self.config.items() if key in self.secret_keys}
        written = texts | {json.dumps(text)[1:-1] for text in texts}
        return tuple(
            sorted((text for text in written if len(text) >= SHORTEST_SECRET), key=lambda text: (-len(text), text))
        )

    def masked(self, text: str) -> str:
        """The text with every secret setting in it, and every secret that the run knows of, as Pulumi shows one."""
        return self.mask(text)

    @property
    def directory(self) -> Path:
        """Where the state and the run files of this checkout live; ignored by git, readable by its owner alone."""
        return self.root / DIRECTORY

    @property
    def state_file(self) -> Path:
        """The stack's deployment, in Pulumi's format."""
        return _state_file(self.root, self.name, self.stack)

    @property
    def lock_file(self) -> Path:
        """Held by the one process that may change the stack."""
        return self.state_file.with_suffix(".lock")


def load(
    directory: Path,
    stack: str,
    overrides: Sequence[str] = (),
    *,
    paths: bool = False,
) -> Project:
    """The project that `directory` or one of its parents holds, with one stack's configuration.

    overrides: `key=value` texts; with `paths`, a key such as `project:aws.region` reaches into an object.
    Values under `secure` are opened with the passphrase that the state has, too.
    """
    root = _root(directory)
    project = _yaml(root / "Pulumi.yaml")
    name = project.get("name")
    if not isinstance(name, str):
        raise LocalcloudError(f"{root / 'Pulumi.yaml'} has no `name`. Add one, as in `name: my-project`.")
    if not STACK_NAME.fullmatch(stack):
        raise LocalcloudError(f"{stack!r} is no stack name: letters, digits, `_`, `.` and `-` alone.")
    stack_file = root / f"Pulumi.{stack}.yaml"
    if not stack_file.exists():
        others = sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml"))
        raise LocalcloudError(
            f"There is no stack {stack!r}: {stack_file} does not exist. "
            f"This project has: {', '.join(others) or 'none'}."
        )
    settings = _yaml(stack_file)
    salt = settings.get("encryptionsalt")
    values = _defaults(name, project) | _keyed(name, settings.get("config") or {})
    secrets: set[str] = set()
    opened: set[str] = set()
    state = _state_file(root, name, stack)
    for key, value in values.items():

        def open_(ciphertext: str, key: str = key) -> str:
            if salt is None:
                raise LocalcloudError(
                    f"{key} in {stack_file.name} is encrypted and cannot be opened: the stack has no "
                    "`encryptionsalt` of a passphrase. Set it anew with `pulumi config set --secret`, "
                    "with a passphrase secrets provider."
                )
            secrets.add(key)
            text = Passphrase(passphrase(state.with_name("passphrase")), salt).decrypt(ciphertext)
            opened.add(text)
            return text

        values[key] = _opened(value, open_)
    for text in overrides:
        _override(name, values, text, paths)
    main = (root / (project.get("main") or ".")).resolve()
    if not main.is_relative_to(root):
        raise LocalcloudError(f"`main` in {root / 'Pulumi.yaml'} leaves the project: {project['main']}.")
    config = {key: _text(value) for key, value in values.items()}
    return Project(name, root, main, stack, config, frozenset(secrets), salt, frozenset(opened))


def _state_file(root: Path, project: str, stack: str) -> Path:
    return root / DIRECTORY / "stacks" / project / f"{stack}.json"


def _root(directory: Path) -> Path:
    start = directory.resolve()
    for candidate in (start, *start.parents):
        if (candidate / "Pulumi.yaml").exists():
            return candidate
    raise LocalcloudError(f"No Pulumi.yaml in {start} or above it. Name the project's directory with -C.")


def _yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LocalcloudError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    if not isinstance(document, dict):
        raise LocalcloudError(f"{path} must hold a mapping at its top, not a {type(document).__name__}.")
    return document


def _full(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _keyed(project: str, config: dict[str, Any]) -> dict[str, Any]:
    return {_full(project, str(key)): value for key, value in config.items()}


def _defaults(project: str, document: dict[str, Any]) -> dict[str, Any]:
    """Values that Pulumi.yaml gives to every stack: plain, under `value`, or under `default`."""
    found = {}
    for key, value in _keyed(project, document.get("config") or {}).items():
        if not isinstance(value, dict):
            found[key] = value
        elif "value" in value or "default" in value:
            found[key] = value.get("value", value.get("default"))
    return found


def _opened(value: Any, open_: Callable[[str], str]) -> Any:
    """The value with everything under `secure` in clear."""
    if isinstance(value, dict) and set(value) == {"secure"}:
        return open_(str(value["secure"]))
    if isinstance(value, dict):
        return {name: _opened(item, open_) for name, item in value.items()}
    if isinstance(value, list):
        return [_opened(item, open_) for item in value]
    return value


def _override(project: str, values: dict[str, Any], text: str, paths: bool) -> None:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise LocalcloudError(f"-c {text!r} is not of the form key=value.")
    full = _full(project, key)
    if not paths or "." not in full.partition(":")[2]:
        values[full] = value
        return
    namespace, _, path = full.partition(":")
    first, *rest = path.split(".")
    holder = values.setdefault(f"{namespace}:{first}", {})
    for step in rest[:-1]:
        holder = holder.setdefault(step, {}) if isinstance(holder, dict) else holder
    if not isinstance(holder, dict):
        raise LocalcloudError(f"-c {text!r} reaches into {namespace}:{first}, which is no object.")
    holder[rest[-1]] = yaml.safe_load(value) if value in ("true", "false") or value.isdigit() else value


def _text(value: Any) -> str:
    """A value as the CLI hands it to a program: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
