from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app import __main__ as commands
from app import dataset
from tests.app.crowd import Loop, people

if TYPE_CHECKING:
    from tests.app.conftest import Stores

Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(stores: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: its exit code, its JSON line and what it says."""
    monkeypatch.setenv("DATA_STORE", "s3://data/people/")
    monkeypatch.setenv("MODEL_STORE", "s3://models/height-weight/")
    for name in ("LAKE", "CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> tuple[int, dict[str, Any], str]:
        code = commands.main(list(arguments))
        out, error = capsys.readouterr()
        assert out.count("\n") == (1 if code == 0 else 0)
        assert error.endswith("\n")
        return code, json.loads(out) if out else {}, error

    return command


def test_the_commands_lead_a_model_into_service_and_back(run: Run) -> None:
    code, trained, said = run("train")
    assert (code, trained["command"], trained["rows"]) == (0, "train", 25_000)
    assert said == (
        f"Model {trained['version']} is trained (25000 people, data {trained['data_version']}, rmse 10.108 lb).\n"
    )
    assert "was there already" in run("train")[2]
    assert run("publish")[0] == 1
    code, evaluated, said = run("evaluate")
    assert (code, evaluated["version"], evaluated["better"]) == (0, trained["version"], True)
    assert evaluated["metrics"]["rmse"] < evaluated["baseline"]["rmse"]
    assert (evaluated["event"], evaluated["rmse"]) == ("evaluation", evaluated["metrics"]["rmse"])
    code, published, said = run("publish")
    assert (code, published["version"], published["created"]) == (0, trained["version"], True)
    assert "is published. Nothing is served yet, and it beats predicting the mean" in said
    assert "stays the current one. It is the current one already" in run("publish")[2]
    other = run("train", "--seed", "2")[1]["version"]
    assert run("evaluate", "--version", other)[0] == run("models", "promote", other)[0] == 0
    assert run("models", "rollback")[1]["version"] == trained["version"]
    code, refused, said = run("publish", "--version", other)
    assert (code, refused["version"], refused["created"]) == (0, trained["version"], False)
    assert f"Model {other} was rolled back from." in said
    code, _, said = run("rollback")
    assert (code, said[:9]) == (1, "rollback:")


def test_all_of_it_run_again_with_nothing_new_changes_nothing(run: Run, stores: Stores) -> None:
    for command in ("train", "evaluate", "publish"):
        assert run(command)[0] == 0
    before = written(stores)
    for command in ("train", "evaluate", "publish", "train", "evaluate", "publish"):
        assert run(command)[1]["created"] is False
    assert written(stores) == before


def written(stores: Stores) -> set[tuple[str, str, str]]:
    """Every write that the stores have seen."""
    return {
        (bucket, item["Key"], item["VersionId"])
        for bucket in ("data", "models")
        for item in stores.s3.list_object_versions(Bucket=bucket)["Versions"]
    }


def test_a_table_of_the_users_own_is_trained_on(run: Run, tmp_path: Path, stores: Stores) -> None:
    path = tmp_path / "people.csv"
    path.write_text("height,weight\n" + "".join(f"{60 + i / 10},{100 + i}\n" for i in range(100)))
    code, trained, _ = run("train", "--data", str(path))
    assert (code, trained["rows"]) == (0, 100)
    key = f"people/versions/{trained['data_version']}/manifest.json"
    manifest = json.loads(stores.s3.get_object(Bucket="data", Key=key)["Body"].read())
    assert manifest["source"].startswith("file, SHA-256 ")
    assert run("train", "--data", str(path))[1]["created"] is False


def test_a_bad_table_ends_with_a_sentence_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("height,weight\n68,heavy\n")
    assert run("train", "--data", str(path))[::2] == (
        1,
        "train: people.csv, row 2, column weight: 'heavy' is not a number.\n",
    )


def test_generate_writes_the_table_once_and_never_over_another_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    assert run("generate", "--output", str(path))[1]["rows"] == 25_000
    assert dataset.parse_csv(path.read_bytes(), "people.csv") == dataset.generate()
    assert run("generate", "--output", str(path))[0] == 0
    code, _, said = run("generate", "--output", str(path), "--seed", "2")
    assert (code, "exists and is another file" in said) == (1, True)
    assert run("generate", "--output", str(tmp_path / "none" / "x.csv"))[0] == 1


def test_drift_says_what_it_finds_in_one_event(run: Run, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE", "s3://data/lake/")
    code, found, said = run("drift")
    assert (code, found["model"], found["rebuild"], said) == (0, None, True, "No model is served yet: train one.\n")
    version = stores.publish()
    code, found, said = run("drift")
    assert (code, found["model"], found["share"], "event" in found) == (0, version, None, False)
    assert "Too little is known" in said
    loop = Loop(now=datetime.now(UTC))
    loop.ask(people(400, 1, taller=4.0), tell=False)
    for key, content in loop.lake.objects.items():
        stores.lake.write(key, content)
    code, found, said = run("drift")
    assert (code, found["event"], found["rebuild"], found["rows"]) == (0, "drift", True, 400)
    assert found["share"] > 1
    assert f"Model {version} is to be built again. The last 400 heights are" in said
    assert json.loads(stores.models.read("drift.json").data)["share"] == found["share"]
    monkeypatch.delenv("LAKE")
    assert run("drift")[1]["rows"] == 0


def test_the_registry_is_shown_to_people_and_to_programs(run: Run, stores: Stores) -> None:
    assert run("models", "list")[1:] == (
        {"command": "models list", "models": []},
        "There is no model yet. Train one: python -m app train\n",
    )
    first, second = stores.publish(seed=1), stores.publish(seed=2)
    code, found, said = run("models", "list")
    assert (code, {row["version"]: row["state"] for row in found["models"]}) == (
        0,
        {first: "previous", second: "current"},
    )
    assert said.count("\n") == 3
    assert run("models", "show", first)[1]["manifest"]["version"] == first
    code, found, said = run("models", "show")
    assert (found["version"], f"version        {second}  (current)" in said) == (second, True)
    assert run("models", "rollback")[1]["version"] == first
    code, _, said = run("models", "promote", "0123456789abcdef")
    assert (code, "There is no model version" in said) == (1, True)


def test_training_goes_on_from_the_table_of_the_model_that_is_served(run: Run, tmp_path: Path, stores: Stores) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(dataset.generate(200, 5).to_csv())
    first = run("train", "--data", str(path))[1]
    assert run("train")[1]["data_version"] != first["data_version"]  # nothing is served: the generated table
    assert run("evaluate", "--version", first["version"])[0] == run("models", "promote", first["version"])[0] == 0
    again = run("train")[1]
    assert (again["version"], again["data_version"]) == (first["version"], first["data_version"])
    stores.data.write("incoming/people.csv", dataset.generate(300, 6).to_csv())
    assert run("train")[1]["rows"] == 300  # what landed is newer


def test_one_person_is_forgotten_by_the_id_of_a_prediction(
    run: Run, stores: Stores, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE", "s3://data/lake/")
    loop = Loop(now=datetime.now(UTC))
    ids = loop.ask(people(600, 1))
    for key, content in loop.lake.objects.items():
        stores.lake.write(key, content)
    trained = run("train", "--rows", "500")[1]
    assert trained["labels"]["rows"] > 500
    told = stores.data.read(f"labels/{trained['labels']['version']}/labels.csv").data.decode()
    rows = told.count(f"{ids[3]},")
    monkeypatch.setenv("CALLS", "dynamodb://none")
    refused = "forget: dynamodb://none did not remove the record: ResourceNotFoundException.\n"
    assert run("forget", ids[3])[::2] == (1, refused)
    monkeypatch.setenv("CALLS", "dynamodb://calls")
    dynamodb.put_item(TableName="calls", Item={"id": {"S": ids[3]}})
    code, found, said = run("forget", ids[3])
    assert (code, found["models"], found["removed"]["calls"]) == (0, [trained["version"]], 1)
    assert [found["removed"][kind] for kind in ("predictions", "feedback", "labels")] == [1, 20, rows]
    assert f"Models that saw them: {trained['version']}; train again." in said
    code, _, said = run("evaluate")
    assert (code, "Run `python -m app train` again" in said) == (1, True)
    again = run("train", "--rows", "500")[1]
    assert again["version"] != trained["version"]
    assert run("evaluate")[0] == 0
    assert run("forget", "someone")[0] == 1


def test_a_population_that_moved_can_be_generated(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    assert run("generate", "--output", str(path), "--rows", "500", "--taller", "1.9", "--heavier", "8")[0] == 0
    assert path.read_bytes() == dataset.generate(500, taller=1.9, heavier=8.0).to_csv()
    with pytest.raises(SystemExit):
        run("generate", "--output", str(path), "--taller", "nan")


@pytest.mark.parametrize(("name", "command"), [("DATA_STORE", "train"), ("MODEL_STORE", "publish")])
def test_a_missing_store_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, name: str, command: str) -> None:
    monkeypatch.delenv(name)
    code, _, said = run(command)
    assert (code, said.startswith(f"{command}: {name} is not set")) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["train", "--seed", "-1"], ["publish", "--version", "latest"]])
def test_wrong_arguments_are_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        commands.main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m app" in capsys.readouterr().err
