"""The application's commands: each prints one line for people (stderr) and one JSON line (stdout)."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app import checkpoints, dataset, documents, forget, jobs, labels, registry, release, tables, verdict
from app.dataset import DataError
from app.jobs import JobError
from app.settings import SettingError, setting
from app.store import Store, StoreError, open_store


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
        command.add_argument("--rows", type=int, help=f"rows to generate ({dataset.ROWS})")
        command.add_argument("--seed", type=_seed, help="of table and split")

    generate = add("generate", "Writes a generated table to a CSV file.", _generate)
    generate.add_argument("--output", type=Path, required=True, metavar="FILE")
    table(generate)
    generate.add_argument("--taller", type=_number, default=0.0, metavar="INCHES", help="than the published people")
    generate.add_argument("--heavier", type=_number, default=0.0, metavar="POUNDS", help="than they are, at any height")
    train = add("train", "Fits a model to a table, and to the labelled rows of the lake.", _train)
    train.add_argument(
        "--data",
        type=Path,
        metavar="CSV",
        help="your own table, not the landed one (incoming/people.csv), the current model's or a generated one",
    )
    table(train)
    evaluate = add("evaluate", "Measures a model and the current one on rows that it was not fitted to.", _evaluate)
    publish = add("publish", "Makes a model the one that is served, if it is better or as good.", _publish)
    for command in (evaluate, publish):
        command.add_argument("--version", type=_version, help="(default: the one trained last)")
    add("drift", "Says whether the current model is to be built again.", _drift)
    add("rollback", "Serves the model again that was served before (as `models rollback`).", _rollback)
    forgotten = add("forget", "Removes one person's rows, and says which models saw them.", _forget)
    forgotten.add_argument("prediction", metavar="ID", help="of the prediction, as /predict answered it")
    _add_models(add("models", "The registry: what there is, what is served, and back.", _models_list))
    add("serve", "Answers predictions until SIGTERM.", _serve)
    add("function", "Answers predictions call by call, and stores each call.", _function)
    return parser


def _add_models(models: argparse.ArgumentParser) -> None:
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text, run in (
        ("list", "Every version, and which one is served.", _models_list),
        ("show", "Lineage, errors and judgement of a version (default: the current one).", _models_show),
        ("promote", "Serves a version because you say so.", _models_promote),
        ("rollback", "Serves the model again that was served before; the current one is withdrawn.", _rollback),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.set_defaults(run=run)
        if name in ("show", "promote"):
            action.add_argument("version", type=_version, nargs="?" if name == "show" else None, metavar="VERSION")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not abs(value) <= 50:  # which NaN is not, either
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is not a number from -50 to 50")
    return value


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is not a whole number of at most 15 digits")
    return int(text)


def _version(text: str) -> str:
    if len(text) != 16 or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is not a version: 16 hexadecimal digits")
    return text


def _generate(options: argparse.Namespace) -> int:
    rows = dataset.ROWS if options.rows is None else options.rows
    seed = dataset.SEED if options.seed is None else options.seed
    content = dataset.generate(rows, seed, taller=options.taller, heavier=options.heavier).to_csv()
    path: Path = options.output
    try:
        if path.exists() and path.read_bytes() != content:
            raise SettingError(f"{path} exists and is another file; name a new one with --output.")
        path.write_bytes(content)
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {error.strerror}.") from None
    answer = {"file": str(path), "rows": rows, "sha256": documents.sha256(content)}
    return _say(f"{rows} people are in {path}.", "generate", answer)


def _train(options: argparse.Namespace) -> int:
    data, models, lake = _store("DATA_STORE"), _store("MODEL_STORE"), _lake()
    name = f"{data.uri()} {models.uri()} {lake and lake.uri()} {options.data} {options.rows} {options.seed}"
    training = documents.sha256(f"{name} {release.code_hash()}".encode())
    folder = Path(os.environ["CHECKPOINTS"]) if os.environ.get("CHECKPOINTS") else None
    gathered = checkpoints.load(folder, training) if folder else None
    goes_on = gathered is not None
    if gathered is None:
        gathered = _gather(options, data, models, lake)
    try:
        if folder and not goes_on:
            checkpoints.save(folder, training, gathered)
        people, source, seed, told = gathered
        answer = jobs.train(people, source, seed, data, models, told=told)
        if folder:
            checkpoints.clear(folder)
    except OSError as error:
        raise SettingError(f"CHECKPOINTS is {folder}, which cannot be written: {error.strerror}.") from None
    what = "is trained" if answer["created"] else "was there already: same data, same model"
    labelled = f" and {answer['labels']['rows']} labelled rows" if answer["labels"]["rows"] else ""
    return _say(
        f"{'Went on from a checkpoint. ' if goes_on else ''}Model {answer['version']} {what} "
        f"({answer['rows']} people, data {answer['data_version']}{labelled}, "
        f"rmse {answer['metrics']['rmse']:.3f} lb).",
        "train",
        {**answer, "resumed": goes_on},
    )


def _gather(options: argparse.Namespace, data: Store, models: Store, lake: Store | None) -> checkpoints.Gathered:
    """What there is to train on: a table as given, landed, asked for, that of the current model, or the generated
    one; and the labels of the lake."""
    seed = dataset.SEED if options.seed is None else options.seed
    people, source = None, ""
    if options.data is not None:
        content = dataset.read(options.data)
        people = dataset.parse_csv(content, options.data.name)
        source = f"file, SHA-256 {documents.sha256(content)}"
    elif found := jobs.landed(data):
        people, source = found
    elif options.seed is None and options.rows is None and (current := jobs.of_current(data, models)):
        people, source, seed = current
    if people is None:
        people = dataset.generate(dataset.ROWS if options.rows is None else options.rows, seed)
        source = f"generated, seed {seed}"
    told = labels.gather(lake, Counter()) if lake else []
    return checkpoints.Gathered(people, source, seed, told)


def _evaluate(options: argparse.Namespace) -> int:
    answer = jobs.evaluate(_store("DATA_STORE"), _store("MODEL_STORE"), options.version)
    return _say(
        f"Model {answer['version']}: rmse {answer['metrics']['rmse']:.3f} lb on {answer['rows']} held-out people; "
        f"predicting the mean, {answer['baseline']['rmse']:.3f} lb. {answer['why']}",
        "evaluate",
        {"event": "evaluation", "rmse": answer["metrics"]["rmse"], **answer},  # what the platform makes metrics of
    )


def _publish(options: argparse.Namespace) -> int:
    answer = jobs.publish(_store("MODEL_STORE"), options.version)
    if answer["created"]:
        return _say(f"Model {answer['version']} is published. {answer['why']}", "publish", answer)
    return _say(f"Model {answer['version']} stays the current one. {answer['why']}", "publish", answer)


def _drift(_options: argparse.Namespace) -> int:
    found = verdict.check(_store("MODEL_STORE"), _lake())
    if found is None:
        answer: dict[str, Any] = {"model": None, "rebuild": True, "reasons": ["No model is served yet."]}
        return _say("No model is served yet: train one.", "drift", answer)
    event = {"event": "drift"} if found["share"] is not None else {}  # what the platform makes a metric of
    if found["rebuild"]:
        said = f"Model {found['model']} is to be built again. {' '.join(found['reasons'])}"
    elif found["share"] is None:
        said = f"Too little is known to judge model {found['model']}: {found['rows']} heights in the lake."
    else:
        said = f"Model {found['model']} holds: the last {found['rows']} heights are {found['share']:.0%} away."
    return _say(said, "drift", {**event, **found})


def _rollback(_options: argparse.Namespace) -> int:
    answer = jobs.rollback(_store("MODEL_STORE"))
    return _say(f"Model {answer['version']} is served again, {answer['from']} no more.", "rollback", answer)


def _models_list(_options: argparse.Namespace) -> int:
    rows = registry.models_list(_store("MODEL_STORE"))
    return _say(tables.of_models(rows), "models list", {"models": rows})


def _models_show(options: argparse.Namespace) -> int:
    found = registry.models_show(_store("MODEL_STORE"), options.version)
    return _say(tables.of_model(found), "models show", found)


def _models_promote(options: argparse.Namespace) -> int:
    answer = registry.promote(_store("MODEL_STORE"), options.version)
    what = "is served now" if answer["created"] else "is the current one already"
    return _say(f"Model {answer['version']} {what}.", "models promote", answer)


def _forget(options: argparse.Namespace) -> int:
    others = forget.copies(os.environ)
    stores = _store("DATA_STORE"), _store("MODEL_STORE"), _lake()
    answer = forget.forget(options.prediction, *stores, others, calls=_calls())
    saw = f" Models that saw them: {', '.join(answer['models'])}; train again." if answer["models"] else ""
    return _say(f"{sum(answer['removed'].values())} rows of it are gone.{saw}", "forget", answer)


def _serve(_options: argparse.Namespace) -> int:
    from app import commands_serve  # noqa: PLC0415 - the jobs need none of it

    return commands_serve.serve()


def _function(_options: argparse.Namespace) -> int:
    from app import commands_serve  # noqa: PLC0415 - as above

    return commands_serve.function()


def _store(name: str) -> Store:
    return open_store(setting(name), seconds=30.0)


def _lake() -> Store | None:
    uri = os.environ.get("LAKE")
    return open_store(uri, seconds=30.0) if uri else None


def _calls() -> Callable[[str], int] | None:
    from app.calls import open_eraser  # noqa: PLC0415 - the other commands need no table

    address = os.environ.get("CALLS")
    return open_eraser(address) if address else None


def _say(sentence: str, command: str, answer: dict[str, Any]) -> int:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - the command's answer, for people
    print(json.dumps({"command": command, **answer}), flush=True)  # noqa: T201 - and for programs
    return 0


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)  # else a job that is a container's first process would not hear of it
    sys.exit(main())
