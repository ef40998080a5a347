"""The flame graph: which stacks are of a request, what is drawn of them, and the whole of it on the real service."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.app.load import flames

SERVE = "main (app/__main__.py);Worker._serve (app/server.py)"
TEXT = f"""\
{SERVE};Fast.answer (app/fast.py);predict (app/answers.py) 6
{SERVE};Fast.answer (app/fast.py) 2
{SERVE};Fast.answer (app/fast.py) 1
main (app/__main__.py);Worker._turn (app/server.py) 100
Lake._run (app/lake.py);write (app/s3.py) 40
Thread.run (threading.py);Flask.__call__ (flask/app.py);<b> (app/pages.py) 1
broken line
"""


def test_stacks_begin_where_a_request_does_and_others_are_left_out() -> None:
    assert flames.read(TEXT) == Counter(
        {
            ("Worker._serve (app/server.py)", "Fast.answer (app/fast.py)", "predict (app/answers.py)"): 6,
            ("Worker._serve (app/server.py)", "Fast.answer (app/fast.py)"): 3,
            ("Flask.__call__ (flask/app.py)", "<b> (app/pages.py)"): 1,
        }
    )


def test_a_frame_is_as_wide_as_its_share_and_lies_on_its_caller() -> None:
    picture = flames.render(flames.read(TEXT), "/predict")
    root = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    drawn = {}
    for group in root.iter(f"{space}g"):
        title, box = group.find(f"{space}title"), group.find(f"{space}rect")
        assert title is not None
        assert box is not None
        drawn[title.text] = (float(box.attrib["x"]), float(box.attrib["y"]), float(box.attrib["width"]))
    serve, answer, predict = (
        drawn[name]
        for name in (
            "Worker._serve (app/server.py): 90.0%",
            "Fast.answer (app/fast.py): 90.0%",
            "predict (app/answers.py): 60.0%",
        )
    )
    assert [serve[2], answer[2], predict[2]] == [flames.WIDTH * share for share in (0.9, 0.9, 0.6)]
    assert serve[1] > answer[1] > predict[1]
    assert answer[0] <= predict[0]
    assert predict[0] + predict[2] <= answer[0] + answer[2]
    assert "<b> (app/pages.py): 10.0%" in drawn


@pytest.mark.slow
def test_make_profile_sees_the_functions_that_answer_a_prediction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flames, "PYSPY", tmp_path / "not-installed")
    assert flames.main(["--seconds", "1.5", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "py-spy is not installed" in said.err
    assert "samples within it" in said.out
    picture = (tmp_path / "profile.svg").read_text()
    assert re.search(r"Answers\.predict \(app/answers\.py\): \d", picture)
