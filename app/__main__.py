"""The application's commands: each prints one line for people (stderr) and one JSON line (stdout)."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import dataset, documents, jobs
from app.dataset import DataError, People
from app.jobs import JobError
from app.store import FORMS, Store, StoreError, open_store

if TYPE_CHECKING:
    from app.calls import Calls


class SettingError(Exception):
    """A setting is missing or wrong; the message is a sentence that names it."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, or 1 with a sentence on stderr."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except (SettingError, DataError, JobError, StoreError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)  # noqa: T201 - the command's answer
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description="Height in, weight out.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    def table(command: argparse.ArgumentParser) -> None:
        command.add_argument("--rows", type=int, default=dataset.ROWS, help="rows to generate (%(default)s)")
        command.add_argument("--seed", type=_seed, default=dataset.SEED, help="of table and split")

    generate = add("generate", "Writes the generated table to a CSV file.", _generate)
    generate.add_argument("--output", type=Path, required=True, metavar="FILE")
    table(generate)
    train = add("train", "Stores the table as a data version, and a model fitted to it.", _train)
    train.add_argument(
        "--data",
        type=Path,
        metavar="CSV",
        help="your own table, not the landed (incoming/people.csv) or the generated one",
    )
    table(train)
    evaluate = add("evaluate", "Measures a model on the held-out rows of its data.", _evaluate)
    publish = add("publish", "Makes an evaluated model the one that is served.", _publish)
    for command in (evaluate, publish):
        command.add_argument("--version", type=_version, help="(default: the one trained last)")
    add("rollback", "Serves the model again that was served before.", _rollback)
    add("serve", "Answers predictions until SIGTERM.", _serve)
    add("function", "Answers predictions call by call, and stores each call.", _function)
    return parser


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is not a whole number of at most 15 digits")
    return int(text)


def _version(text: str) -> str:
    if len(text) != 16 or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is not a version: 16 hexadecimal digits")
    return text


def _generate(options: argparse.Namespace) -> int:
    content = _table(options)[0].to_csv()
    path: Path = options.output
    try:
        if path.exists() and path.read_bytes() != content:
            raise SettingError(f"{path} exists and is another file; name a new one with --output.")
        path.write_bytes(content)
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {error.strerror}.") from None
    answer = {"file": str(path), "rows": options.rows, "sha256": documents.sha256(content)}
    return _say(f"{options.rows} people are in {path}.", "generate", answer)


def _train(options: argparse.Namespace) -> int:
    data = _store("DATA_STORE")
    people, source = (None if options.data else jobs.landed(data)) or _table(options)
    answer = jobs.train(people, source, options.seed, data, _store("MODEL_STORE"))
    what = "is trained" if answer["created"] else "was there already: same data, same model"
    return _say(
        f"Model {answer['version']} {what} ({answer['rows']} people, data {answer['data_version']}, "
        f"rmse {answer['metrics']['rmse']:.3f} lb).",
        "train",
        answer,
    )


def _evaluate(options: argparse.Namespace) -> int:
    answer = jobs.evaluate(_store("DATA_STORE"), _store("MODEL_STORE"), options.version)
    return _say(
        f"Model {answer['version']}: rmse {answer['metrics']['rmse']:.3f} lb on {answer['rows']} held-out people; "
        f"predicting the mean, {answer['baseline']['rmse']:.3f} lb.",
        "evaluate",
        {"event": "evaluation", "rmse": answer["metrics"]["rmse"], **answer},  # what the platform makes metrics of
    )


def _publish(options: argparse.Namespace) -> int:
    answer = jobs.publish(_store("MODEL_STORE"), options.version)
    what = "is published" if answer["created"] else "is the current one already"
    return _say(f"Model {answer['version']} {what}.", "publish", answer)


def _rollback(_options: argparse.Namespace) -> int:
    answer = jobs.rollback(_store("MODEL_STORE"))
    return _say(f"Model {answer['version']} is served again, {answer['from']} no more.", "rollback", answer)


def _serve(_options: argparse.Namespace) -> int:
    _log()
    return _answer("serve", None)


def _function(_options: argparse.Namespace) -> int:
    """On Lambda, from call to call; elsewhere a function is a container that answers HTTP, as `serve` does."""
    from app.calls import CallsError, open_calls  # noqa: PLC0415 - functions alone need it

    _log()
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    try:
        calls = open_calls(_setting("CALLS", "the table's address, such as CALLS=dynamodb://TABLE"))
        return _answer_lambda(address, calls) if address else _answer("function", calls)
    except (CallsError, SettingError, StoreError) as error:
        problem = SettingError(str(error))
    if address:
        _cannot_start(address, problem)
    raise problem


def _log() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("botocore", "azure", "google", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _answer_lambda(address: str, calls: Calls) -> int:
    from app import function  # noqa: PLC0415 - the jobs need no Flask
    from app.service import create_app  # noqa: PLC0415 - as above
    from app.serving import Models  # noqa: PLC0415 - as above

    models = Models(open_store(_setting("MODEL_STORE"), seconds=2.0), seconds=30.0)
    app = create_app(models, None, calls)  # the lake is written by a thread, which stands still between calls
    models.refresh()
    _say("Waiting for calls.", "function", {"pid": os.getpid()})
    try:
        function.run(function.Runtime(address), app, models)
    except function.RuntimeApiError as error:
        raise SettingError(str(error)) from None
    return 0


def _cannot_start(address: str, problem: SettingError) -> None:
    """Tells Lambda why, so that the sentence is in its log and in the caller's error."""
    from app.function import Runtime, RuntimeApiError  # noqa: PLC0415 - as above

    with contextlib.suppress(RuntimeApiError):
        Runtime(address).fail(problem)


def _answer(command: str, calls: Calls | None) -> int:
    """Answers HTTP on PORT until SIGTERM."""
    from app import server  # noqa: PLC0415 - the jobs need neither Flask nor waitress
    from app.service import create_app  # noqa: PLC0415 - as above
    from app.serving import Models  # noqa: PLC0415 - as above

    host, port = os.environ.get("HOST") or "127.0.0.1", _port()
    try:
        listener = server.listen(host, port)
    except server.ServeError as error:
        raise SettingError(str(error)) from None
    models = Models(open_store(_setting("MODEL_STORE"), seconds=5.0))
    lake_uri = os.environ.get("LAKE")
    app = create_app(models, open_store(lake_uri, seconds=5.0) if lake_uri else None, calls)
    lake = app.extensions["lake"]

    def started() -> None:
        models.start()
        if lake is not None:
            lake.start()
        shown, bound = listener.getsockname()[:2]
        url = f"http://[{shown}]:{bound}" if ":" in shown else f"http://{shown}:{bound}"
        _say(f"Serving on {url}.", command, {"url": url, "pid": os.getpid()})

    server.serve(app, listener, started)
    models.stop()
    if lake is not None:
        lake.stop()
    return 0


def _table(options: argparse.Namespace) -> tuple[People, str]:
    """The people a command is about, and where they came from."""
    path: Path | None = getattr(options, "data", None)
    if path is None:
        return dataset.generate(options.rows, options.seed), f"generated, seed {options.seed}"
    data = dataset.read(path)
    return dataset.parse_csv(data, path.name), f"file, SHA-256 {documents.sha256(data)}"


def _store(name: str) -> Store:
    return open_store(_setting(name), seconds=30.0)


def _setting(name: str, what: str = "") -> str:
    value = os.environ.get(name, "")
    if not value:
        raise SettingError(f"{name} is not set; give {what or f'the address of the store: {FORMS}'}.")
    return value


def _port() -> int:
    text = os.environ.get("PORT") or "8080"
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise SettingError(f"PORT is {text[:20]!r}; it must be a number from 0 to 65535.")
    return int(text)


def _say(sentence: str, command: str, answer: dict[str, Any]) -> int:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - the command's answer, for people
    print(json.dumps({"command": command, **answer}), flush=True)  # noqa: T201 - and for programs
    return 0


if __name__ == "__main__":
    sys.exit(main())
