"""The command line: `python -m localcloud COMMAND -C DIR -s STACK`, with options named as the Pulumi CLI names them."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from localcloud import display, history, operations
from localcloud.errors import LocalcloudError
from localcloud.events import Event
from localcloud.judging import Judge
from localcloud.masking import Mask, masked
from localcloud.monitor import Inspect
from localcloud.options import parser, refuse_unsupported, selection
from localcloud.project import Project, load
from localcloud.providers import Provider
from localcloud.state import Snapshot, StateFile, lock, verified
from localcloud.values import Properties, reveal

Handler = Callable[[argparse.Namespace, Project], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. 0: done; 1: an error or a refusal, told in a sentence; 130: Ctrl-C."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    mask = Mask()
    try:
        refuse_unsupported(words)
        options = parser().parse_args(words)
        options.packs = _packs(options)
        if isinstance(options.stack, list):  # `plan` takes several
            if len(options.stack) > 1:
                return _plans(options)
            options.stack = options.stack[0]
        project = load(options.cwd, options.stack, options.config, paths=options.config_path)
        mask = project.mask
        return HANDLERS[options.command](options, project)
    except LocalcloudError as error:
        _say(f"error: {mask(str(error))}")
        return 1
    except KeyboardInterrupt:
        _say("Stopped. What was done is in the state; the same command goes on from there.")
        return 130
    except Exception as error:  # noqa: BLE001 - a fault of our own: its traceback could show a secret
        place = traceback.extract_tb(error.__traceback__)[-1]
        where, text = f"{Path(place.filename).name}:{place.lineno}", mask(f"{type(error).__name__}: {error}")
        _say(f"error: localcloud itself failed at {where}: {text}. Please report it.")
        return 1


def providers() -> dict[str, Callable[[Properties], Provider]]:
    """The providers that localcloud has, by package; each is imported when a program first needs it."""

    def aws(config: Properties) -> Provider:
        from localcloud.aws.provider import Provider as AwsProvider  # noqa: PLC0415 - boto3 loads only when AWS is used

        return AwsProvider(config)

    return {"aws": aws}


def _print(text: Any) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the process ends with a complaint


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _log(severity: str, message: str) -> None:
    _say(f"{severity}: {message}")


@contextlib.contextmanager
def _teller(options: argparse.Namespace, *, dry_run: bool) -> Iterator[Callable[[Event], None]]:
    """Shows events: as a tree that grows in a terminal, a line each elsewhere."""
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from localcloud.tree import LiveTree  # noqa: PLC0415 - drawing is for terminals alone

        with LiveTree(dry_run=dry_run, diff=options.diff) as tree:
            yield tree.note
        return

    def tell(event: Event) -> None:
        for line in display.event_lines(event, dry_run=dry_run, diff=options.diff):
            _say(line)

    yield tell


def _report(options: argparse.Namespace, result: operations.Result, *, dry_run: bool) -> int:
    _say(display.summary(result, dry_run=dry_run))
    if options.json and options.command != "preview":  # which prints a digest
        _print(json.dumps(display.result_document(result, masked(result.outputs)), indent=2))
    if options.expect_no_changes and result.changes:
        raise LocalcloudError(f"No changes were expected, and there are {result.changes}; they are listed above.")
    if options.expect_no_changes and result.others:
        raise LocalcloudError(
            f"No changes were expected, and {len(result.others)} components or providers change, as {result.others[0]}."
        )
    return 0


def _packs(options: argparse.Namespace) -> list[tuple[Path, Mapping[str, Any]]]:
    """The packs with their configurations; as for the Pulumi CLI, all packs have one or none has."""
    files = getattr(options, "policy_pack_config", [])
    packs = getattr(options, "policy_pack", [])
    if files and len(files) != len(packs):
        raise LocalcloudError(
            f"There are {len(files)} --policy-pack-config for {len(packs)} --policy-pack: one for each, in order."
        )
    if files:
        from localcloud import pack_configuration  # noqa: PLC0415 - JSON schemas load only where there is a pack

    configurations = [pack_configuration.read(file) for file in files] or [{} for _ in packs]
    return list(zip(packs, configurations, strict=True))


@contextlib.contextmanager
def _judged(
    options: argparse.Namespace, project: Project, *, dry_run: bool
) -> Iterator[tuple[Inspect | None, Callable[[dict[str, Properties]], None]]]:
    """The packs' inspection of each resource, and of the whole stack; nothing where no pack was named."""
    if not options.packs:
        yield None, lambda _outputs: None
        return

    with Judge(
        options.packs,
        project,
        lambda violation: _say(display.violation_line(violation)),
        dry_run=dry_run,
        stop_at_once=not dry_run,
    ) as judge:
        yield judge.inspect, judge.finish


def _preview(options: argparse.Namespace, project: Project) -> int:
    from localcloud import digest  # noqa: PLC0415 - no other command prints one

    events: list[Event] = []
    logs: list[tuple[str, str]] = []

    def log(severity: str, message: str) -> None:
        logs.append((severity, message))
        _log(severity, message)

    def told(result: operations.Result) -> None:
        if options.json:
            _print(json.dumps(digest.document(project, events, result.resources, logs, result.seconds), indent=4))

    try:
        with _teller(options, dry_run=True) as show, _judged(options, project, dry_run=True) as (inspect, finish):

            def tell(event: Event) -> None:
                events.append(event)
                show(event)

            result = operations.preview(
                project,
                providers(),
                tell,
                log,
                refresh=options.refresh,
                parallel=options.parallel,
                inspect=inspect,
                selection=selection(options),
            )
            finish({row.urn: row.outputs for row in result.resources})
    except LocalcloudError as error:
        logs.append(("error", str(error)))
        told(operations.Result())
        raise
    told(result)
    return _report(options, result, dry_run=True)


def _up(options: argparse.Namespace, project: Project) -> int:
    if options.packs and not options.skip_preview:
        _preview_first(options)
    with _teller(options, dry_run=False) as tell, _judged(options, project, dry_run=False) as (inspect, finish):
        result = operations.up(
            project,
            providers(),
            tell,
            _log,
            refresh=options.refresh,
            parallel=options.parallel,
            inspect=inspect,
            selection=selection(options),
        )
        finish({row.urn: row.outputs for row in result.resources})
    return _report(options, result, dry_run=False)


def _preview_first(options: argparse.Namespace) -> None:
    """A mandatory violation anywhere stops before the first change, so the whole program is judged beforehand.

    In a process of its own: one process runs one program.
    """
    command = _command("preview", options, options.stack)
    for name in ("target", "exclude", "replace", "target_replace"):
        command += [f"--{name.replace('_', '-')}={urn}" for urn in getattr(options, name)]
    for name in ("target_dependents", "exclude_dependents", "refresh"):
        command += [f"--{name.replace('_', '-')}"] if getattr(options, name) else []
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        raise LocalcloudError("Nothing was changed: the preview failed, see above.")


def _command(name: str, options: argparse.Namespace, stack: str) -> list[str]:
    """The command for one stack in a process of its own, with the options of this one."""
    command = [sys.executable, "-m", "localcloud", name, "-C", str(options.cwd), "-s", stack]
    command += [word for pack in options.policy_pack for word in ("--policy-pack", str(pack))]
    command += [word for file in options.policy_pack_config for word in ("--policy-pack-config", str(file))]
    command += [word for text in options.config for word in ("-c", text)]
    return command + (["--config-path"] if options.config_path else [])


def _refresh(options: argparse.Namespace, project: Project) -> int:
    with _teller(options, dry_run=options.preview_only) as tell:
        result = operations.refresh(
            project,
            providers(),
            tell,
            parallel=options.parallel,
            selection=selection(options),
            dry_run=options.preview_only,
        )
    _say(f"{len(result.gone)} gone, {len(result.drifted)} drifted, of {len(result.resources)}")
    if options.json:
        _print(json.dumps(display.result_document(result, masked(result.outputs)), indent=2))
    if options.expect_no_changes and (result.gone or result.drifted):
        raise LocalcloudError("No changes were expected; they are listed above.")
    return 0


def _destroy(options: argparse.Namespace, project: Project) -> int:
    dry_run = options.preview_only
    with _teller(options, dry_run=dry_run) as tell:
        result = operations.destroy(
            project,
            providers(),
            tell,
            refresh=options.refresh,
            parallel=options.parallel,
            selection=selection(options),
            dry_run=dry_run,
        )
    return _report(options, result, dry_run=dry_run)


def _graph(options: argparse.Namespace, project: Project) -> int:
    """What the state holds; without a state, what the program declares; with --preview, what `up` would do."""
    from localcloud import evaluation, graph  # noqa: PLC0415 - only this command needs the SDKs' type data

    snapshot = StateFile(project.state_file, project.salt).load()
    if options.preview:
        events: list[Event] = []
        operations.preview(project, providers(), events.append, _log)
        nodes, what = graph.of_preview(events), "What an update would do."
    elif snapshot.resources:
        nodes, what = graph.of_state(snapshot), "What the state holds."
    else:
        nodes = graph.of_plan(evaluation.evaluate(project, _log))
        what = "What the program declares. There is no state yet, so all of it is to be created."
    text = graph.rendered(nodes, f"{project.name} / {project.stack}", what, options.out, as_json=options.json)
    if options.out is None:
        _print(text.removesuffix("\n"))
        return 0
    try:
        options.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LocalcloudError(f"The graph cannot be written to {options.out}: {error.strerror}.") from error
    _say(f"{len(nodes)} resources drawn in {options.out}")
    return 0


def _output(options: argparse.Namespace, project: Project) -> int:
    outputs = operations.outputs_of(StateFile(project.state_file, project.salt).load())
    shown = reveal(outputs) if options.show_secrets else masked(outputs)
    if options.name is not None:
        if options.name not in shown:
            raise LocalcloudError(
                f"The stack {project.stack!r} has no output {options.name!r}; it has: {', '.join(shown) or 'none'}."
            )
        value = shown[options.name]
        _print(json.dumps(value) if options.json or not isinstance(value, str) else value)
    elif options.json:
        _print(json.dumps(shown, indent=2))
    else:
        for name, value in shown.items():
            _print(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")
    return 0


def _export(options: argparse.Namespace, project: Project) -> int:
    file = StateFile(project.state_file, project.salt)
    _print(json.dumps(file.render(file.load(), show_secrets=options.show_secrets), indent=2))
    return 0


def _import(options: argparse.Namespace, project: Project) -> int:
    try:
        text = options.file.read_text(encoding="utf-8") if options.file else sys.stdin.read()
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise LocalcloudError(f"The state to import cannot be read: {error}.") from error
    file = StateFile(project.state_file, project.salt)
    with lock(project.lock_file):
        try:
            snapshot: Snapshot = verified(file.parse(document))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LocalcloudError(f"This is no deployment as `pulumi stack export` writes it: {error!r}.") from error
        prefix = f"urn:pulumi:{project.stack}::{project.name}::"
        strange = [row.urn for row in snapshot.resources if not row.urn.startswith(prefix)]
        if strange:
            raise LocalcloudError(f"This state belongs to another stack or project: {strange[0]}.")
        file.save(snapshot)
    _say(f"{len(snapshot.resources)} resources imported")
    return 0


def _restore(options: argparse.Namespace, project: Project) -> int:
    if options.list:
        for path in history.kept(project.state_file):
            _print(path.stem)
        return 0
    with lock(project.lock_file):
        _say(f"The state of {history.restore(project.state_file, options.earlier).stem} is back.")
    return 0


def _plan(options: argparse.Namespace, project: Project) -> int:
    from localcloud import evaluation, plan  # noqa: PLC0415 - only this command needs the SDKs' type data

    with _judged(options, project, dry_run=True) as (inspect, finish):
        planned = evaluation.evaluate(project, _log, inspect)
        finish({row.urn: row.outputs for row in planned.resources})
    document = plan.graph(planned)
    columns = shutil.get_terminal_size((120, 24)).columns  # 120 where no terminal is
    _print(json.dumps(document, indent=2) if options.json else plan.table(document, columns))
    return 0


def _plans(options: argparse.Namespace) -> int:
    """The plans of several stacks, each in a process of its own, as many at once as there are processors."""
    from localcloud import forks, plan  # noqa: PLC0415 - only this command needs the SDKs' type data

    stacks = list(dict.fromkeys(options.stack))
    commands = [[*_command("plan", options, stack), "--json"] for stack in stacks]
    if forks.possible():
        found = forks.outputs([partial(main, command[3:]) for command in commands])
    else:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            run = partial(subprocess.run, stdout=subprocess.PIPE, text=True, check=False)
            found = [(done.returncode, done.stdout) for done in pool.map(run, commands)]
    done = dict(zip(stacks, found, strict=True))
    if failed := [stack for stack, (code, _) in done.items() if code]:
        raise LocalcloudError(f"No plan of {', '.join(failed)}: see above.")
    documents = {stack: json.loads(text) for stack, (_, text) in done.items()}
    _print(json.dumps(list(documents.values()), indent=2) if options.json else plan.comparison(documents))
    return 0


HANDLERS: dict[str, Handler] = {
    "plan": _plan,
    "preview": _preview,
    "up": _up,
    "refresh": _refresh,
    "destroy": _destroy,
    "graph": _graph,
    "output": _output,
    "export": _export,
    "import": _import,
    "restore": _restore,
}


if __name__ == "__main__":
    gc.disable()  # one short run: looking for garbage took a quarter of it, and found none worth having
    code = main()
    sys.stdout.flush()
    sys.stdout = sys.stderr  # what a program leaves for the end of the process must not follow a document
    sys.exit(code)
