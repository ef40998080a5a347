"""Where a stack's service answers, from what the stack's engine says; the engine is a small program."""

import json
from pathlib import Path
from typing import Any

import pytest

from rollout import engine, reach
from rollout.__main__ import main
from rollout.errors import RolloutError

URL = "https://predict.staging.example.com"
SETTINGS = """config:
  groundwork:callers:
    audience: predict
    perMinute: 600
"""


def cloud(url: Any) -> dict[str, Any]:
    return {"service": {"cluster": "c", "name": "predict", "url": url}, "registry": "r"}


def test_clouds_that_share_a_name_share_an_address() -> None:
    assert reach.addresses({"aws": cloud(URL), "azure": cloud(URL), "release": "x"}) == [URL]
    assert reach.addresses({"aws": cloud(URL), "gcp": cloud("https://other.example.com:8443")}) == [
        "https://other.example.com:8443",
        URL,
    ]


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"aws": {"registry": "r"}},
        {"aws": cloud("http://predict.example.com")},
        {"aws": cloud("https://a b")},
        {"aws": cloud("https://$(id)")},
        {"aws": cloud(None)},
        {"aws": {"service": "[secret]"}},
    ],
)
def test_outputs_without_an_address_are_refused(found: dict[str, Any]) -> None:
    with pytest.raises(RolloutError):
        reach.addresses(found)


def test_who_tests_makes_fewer_calls_than_one_caller_may(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.staging.yaml").write_text(SETTINGS)
    assert reach.callers(tmp_path, "staging") == ("predict", 8.0)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("perMinute: 600", "perMinute: many"),
        ("perMinute: 600", "perMinute: 0"),
        ("audience: predict", "audience: 'a b'"),
    ],
)
def test_settings_that_do_not_say_who_calls_are_refused(right: str, wrong: str, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.staging.yaml").write_text(SETTINGS.replace(right, wrong))
    with pytest.raises(RolloutError, match=r"groundwork:callers"):
        reach.callers(tmp_path, "staging")
    with pytest.raises(RolloutError, match=r"Pulumi\.prod\.yaml"):
        reach.callers(tmp_path, "prod")


def test_the_answer_goes_to_later_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Pulumi.staging.yaml").write_text(SETTINGS)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setattr(engine.Engine, "outputs", lambda self: {"aws": cloud(URL)})
    assert main(["reach", "--stack", "staging", "--github-output", "-C", str(tmp_path)]) == 0
    assert (tmp_path / "output").read_text() == f"addresses={URL}\naudience=predict\nrate=8\n"
    assert json.loads(capsys.readouterr().out) == {"addresses": [URL], "audience": "predict", "rate": 8.0}
    assert main(["reach", "--stack", "local", "-C", str(tmp_path)]) == 1
    assert "changes the stack" in capsys.readouterr().err
