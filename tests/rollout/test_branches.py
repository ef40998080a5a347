"""The map of branches, and what it resolves. Nothing but the exact refs of the map gets anywhere."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout import outputs
from rollout.__main__ import main
from rollout.branches import Branch, Map, read, resolve
from rollout.errors import RolloutError

REPOSITORY = "example/groundwork"
MAP = Map(
    default="main",
    rows=(
        Branch("dev", "dev", "dev", ()),
        Branch("staging", "staging", "staging", ()),
        Branch("main", "prod", "prod", ("example/ml-platform",)),
    ),
)
GOOD = """
default: main
branches:
  dev: {environment: dev, stack: dev, reviewers: []}
  main: {environment: prod, stack: prod, reviewers: [someone, example/team]}
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "branches.yaml"
    path.write_text(text)
    return path


def test_the_map_of_this_repository_reads_in_the_order_of_promotion() -> None:
    found = read()
    assert [(row.branch, row.environment, row.stack) for row in found.rows] == [
        ("dev", "dev", "dev"),
        ("staging", "staging", "staging"),
        ("main", "prod", "prod"),
    ]
    assert found.default == "main"
    prod = found.of_stack("prod")
    assert prod is not None
    assert prod.reviewers, "nobody is asked before prod"


@pytest.mark.parametrize(("branch", "stack"), [("dev", "dev"), ("staging", "staging"), ("main", "prod")])
@pytest.mark.parametrize("event", ["push", "workflow_dispatch"])
def test_a_push_or_dispatch_at_a_mapped_branch_changes_its_stack_alone(event: str, branch: str, stack: str) -> None:
    found = resolve(MAP, event, f"refs/heads/{branch}")
    assert [(row.stack, row.branch, row.identity) for row in found.stacks] == [(stack, branch, "apply")]


def test_the_schedule_looks_at_all_stacks_and_may_change_none() -> None:
    found = resolve(MAP, "schedule", "refs/heads/main")
    assert [row.stack for row in found.stacks] == ["dev", "staging", "prod"]
    assert {row.identity for row in found.stacks} == {"plan"}
    with pytest.raises(RolloutError, match="refs/heads/main"):
        resolve(MAP, "schedule", "refs/heads/dev")


def test_a_schedule_may_be_about_one_branch_s_stack_alone() -> None:
    found = resolve(MAP, "schedule", "refs/heads/main", branch="staging")
    assert [(row.stack, row.branch, row.identity) for row in found.stacks] == [("staging", "staging", "plan")]
    for event, ref, branch in (
        ("schedule", "refs/heads/main", "prod"),
        ("schedule", "refs/heads/staging", "staging"),
        ("push", "refs/heads/staging", "staging"),
        ("workflow_dispatch", "refs/heads/main", "dev"),
    ):
        with pytest.raises(RolloutError):
            resolve(MAP, event, ref, branch=branch)


def pull(
    ref: str = "refs/pull/7/merge", base: str = "main", head: str = REPOSITORY, repository: str = REPOSITORY
) -> str:
    found = resolve(MAP, "pull_request", ref, base=base, head=head, repository=repository)
    assert {row.identity for row in found.stacks} == {"plan"}
    return ",".join(row.stack for row in found.stacks)


def test_a_pull_request_of_this_repository_may_look_at_its_base_s_stack() -> None:
    assert pull(base="main") == "prod"
    assert pull(base="dev") == "dev"


def test_a_fork_gets_nothing() -> None:
    with pytest.raises(RolloutError, match="fork 'stranger/groundwork'"):
        pull(head="stranger/groundwork")


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": "feature"},
        {"base": "refs/heads/main"},
        {"base": ""},
        {"base": "main "},
        {"base": "Main"},
        {"head": ""},
        {"head": "", "repository": ""},
        {"head": "example", "repository": "example"},
        {"head": "Example/groundwork"},
        {"repository": ""},
        {"ref": "refs/heads/main"},
        {"ref": "refs/pull/7/head"},
        {"ref": "refs/pull/0/merge"},
        {"ref": "refs/pull/7/merge\n"},
        {"ref": ""},
    ],
    ids=str,
)
def test_an_odd_pull_request_resolves_to_nothing(wrong: dict[str, str]) -> None:
    with pytest.raises(RolloutError):
        pull(**wrong)


ODD_REFS = [
    "",
    "main",
    "dev",
    "refs/heads/",
    "refs/heads/main2",
    "refs/heads/mai",
    "refs/heads/Main",
    "refs/heads/MAIN",
    "refs/heads/prod",
    "refs/heads/feature",
    "refs/heads/dev/",
    "refs/heads//dev",
    "refs/heads/dev/x",
    "refs/heads/prod/../dev",
    "refs/heads/../heads/main",
    "refs/heads/main\n",
    "\nrefs/heads/main",
    " refs/heads/main",
    "refs/heads/main ",
    "refs/heads/main\x00",
    "refs/heads/main\nrefs/heads/dev",
    "refs/heads/\uff4dain",  # a wide m
    "refs/heads/m\u0430in",  # a Cyrillic a
    "refs/heads/*",
    "refs/heads/.*",
    "refs/heads/(main)",
    "refs/tags/main",
    "refs/tags/v1",
    "refs/remotes/origin/main",
    "refs/pull/7/merge",
    "heads/main",
    "/refs/heads/main",
    "HEAD",
    "0" * 40,
]


@pytest.mark.parametrize("ref", ODD_REFS, ids=ascii)
@pytest.mark.parametrize("event", ["push", "workflow_dispatch", "schedule"])
def test_an_odd_ref_resolves_to_nothing(event: str, ref: str) -> None:
    with pytest.raises(RolloutError):
        resolve(MAP, event, ref)


@pytest.mark.parametrize(
    "event",
    ["", "Push", "push ", "push\n", "pull_request_target", "workflow_run", "workflow_call", "release", "merge_group"],
    ids=ascii,
)
def test_another_event_resolves_to_nothing(event: str) -> None:
    with pytest.raises(RolloutError, match="resolves to no stack"):
        resolve(MAP, event, "refs/heads/main", base="main", head=REPOSITORY, repository=REPOSITORY)


@pytest.mark.parametrize("more", [{"base": "dev"}, {"head": "stranger/groundwork"}])
def test_a_push_that_says_it_has_a_base_or_a_head_resolves_to_nothing(more: dict[str, str]) -> None:
    with pytest.raises(RolloutError, match="no base and no head"):
        resolve(MAP, "push", "refs/heads/main", **more)


EXACT = {f"refs/heads/{row.branch}" for row in MAP.rows}


@given(
    event=st.sampled_from(["push", "workflow_dispatch", "schedule"]),
    ref=st.one_of(
        st.text(),
        st.text().map(lambda text: f"refs/heads/{text}"),
        st.tuples(st.sampled_from(sorted(EXACT)), st.text(min_size=1)).map("".join),
        st.tuples(st.text(min_size=1), st.sampled_from(sorted(EXACT))).map("".join),
        st.sampled_from(sorted(EXACT)).map(str.upper),
    ).filter(lambda ref: ref not in EXACT),
)
def test_nothing_but_an_exact_ref_resolves(event: str, ref: str) -> None:
    with pytest.raises(RolloutError):
        resolve(MAP, event, ref)


@given(event=st.text(), ref=st.text(), base=st.text(), head=st.text(), repository=st.text())
def test_whatever_is_said_no_odd_event_resolves_and_the_refusal_is_one_plain_line(
    event: str, ref: str, base: str, head: str, repository: str
) -> None:
    with pytest.raises(RolloutError) as caught:
        resolve(MAP, event, ref, base=base, head=head, repository=repository)
    assert str(caught.value).isprintable()
    assert str(caught.value).isascii()


def test_a_stack_takes_its_image_from_the_environment_before() -> None:
    assert MAP.before("dev") is None
    staging, dev = MAP.before("prod"), MAP.before("staging")
    assert staging is not None
    assert dev is not None
    assert (staging.stack, dev.stack) == ("staging", "dev")
    assert MAP.of_stack("local") is None
    with pytest.raises(RolloutError, match="'local'"):
        MAP.before("local")


BAD_MAPS = {
    "empty": "",
    "no YAML": "a: [",
    "not a mapping": "- dev",
    "no branches": "default: main\nbranches: {}\n",
    "branches are a list": "default: main\nbranches: [dev, main]\n",
    "an unknown key at the top": GOOD + "extra: 1\n",
    "no default": GOOD.replace("default: main", ""),
    "a default that is no branch": GOOD.replace("default: main", "default: prod"),
    "a default that is no text": GOOD.replace("default: main", "default: [main]"),
    "an unknown key in a row": GOOD.replace("stack: dev,", "stack: dev, region: x,"),
    "a row without a stack": GOOD.replace("stack: dev,", ""),
    "a row that is no mapping": GOOD.replace("{environment: dev, stack: dev, reviewers: []}", "dev"),
    "the same branch twice": GOOD + "  main: {environment: dev2, stack: dev2, reviewers: []}\n",
    "the same key in a row twice": GOOD.replace("stack: dev,", "stack: dev, stack: prod2,"),
    "two branches on one stack": GOOD.replace("stack: dev", "stack: prod"),
    "two branches on one environment": GOOD.replace("environment: dev", "environment: prod"),
    "a branch with a slash": GOOD.replace("  dev:", "  prod/../dev:"),
    "a branch with a star": GOOD.replace("  dev:", "  'dev*':"),
    "a branch that YAML takes for a truth": GOOD.replace("  dev:", "  on:"),
    "a branch that is a number": GOOD.replace("  dev:", "  1:"),
    "a branch with a line break": GOOD.replace("  dev:", '  "dev\\n":'),
    "a stack that is no name": GOOD.replace("stack: dev", "stack: ../dev"),
    "an environment with a blank": GOOD.replace("environment: dev", "environment: dev x"),
    "an empty stack": GOOD.replace("stack: dev", "stack: ''"),
    "reviewers as text": GOOD.replace("reviewers: []", "reviewers: someone"),
    "no reviewers": GOOD.replace("reviewers: []", "reviewers:"),
    "a reviewer that is no name": GOOD.replace("[someone,", "['some one',"),
    "a reviewer twice": GOOD.replace("[someone,", "[someone, someone,"),
    "a Python object": "!!python/object/apply:os.system ['true']\n",
}


@pytest.mark.parametrize("text", BAD_MAPS.values(), ids=BAD_MAPS.keys())
def test_a_map_of_another_form_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RolloutError, match=r"branches\.yaml"):
        read(path)


def test_the_map_that_the_bad_ones_are_made_of_is_good(tmp_path: Path) -> None:
    assert [row.reviewers for row in read(written(tmp_path, GOOD)).rows] == [(), ("someone", "example/team")]


def test_a_map_that_is_not_there_or_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="cannot be read"):
        read(tmp_path / "nothing.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RolloutError):
        read(tmp_path / "bytes.yaml")


def test_the_command_answers_in_json_and_hands_it_to_later_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert main(["resolve", "--event", "push", "--ref", "refs/heads/main", "--github-output"]) == 0
    answer = json.loads(capsys.readouterr().out)
    row = {"stack": "prod", "environment": "prod", "branch": "main", "before": "staging", "identity": "apply"}
    assert answer == {"event": "push", "ref": "refs/heads/main", "stacks": [row]}
    lines = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert json.loads(lines.pop("stacks")) == [row]
    assert lines == {"stack": "prod", "environment": "prod", "before": "staging"}


def test_of_several_stacks_no_single_one_is_handed_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert main(["resolve", "--event", "schedule", "--ref", "refs/heads/main", "--github-output"]) == 0
    lines = (tmp_path / "output").read_text().splitlines()
    assert lines[1:] == ["stack=", "environment=", "before="]
    assert json.loads(capsys.readouterr().out)["stacks"][2]["stack"] == "prod"


def test_a_refusal_is_a_sentence_exit_1_and_hands_nothing_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    hostile = "refs/heads/x\n::error::owned"
    assert main(["resolve", "--event", "push", "--ref", hostile, "--github-output"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1, "a line of its own would be a command to the runner"
    assert not (tmp_path / "output").exists()


def test_another_map_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, GOOD)
    assert main(["resolve", "--event", "push", "--ref", "refs/heads/staging", "--map", str(path)]) == 1
    assert "refs/heads/dev, refs/heads/main" in capsys.readouterr().err


def test_an_output_outside_of_a_workflow_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    assert main(["resolve", "--event", "push", "--ref", "refs/heads/main", "--github-output"]) == 1
    assert "GITHUB_OUTPUT" in capsys.readouterr().err


def test_an_output_with_a_line_break_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    with pytest.raises(RolloutError, match="line break"):
        outputs.write({"stack": "dev\nenvironment=prod"})
    assert not (tmp_path / "output").exists()
