"""One comment of ours among many, whoever else writes, and never an older head over a newer one."""

from collections.abc import Callable, Iterator

import pytest

from rollout import render, sticky
from rollout.errors import RolloutError
from rollout.github import Api, ApiError
from rollout.sticky import marker
from tests.rollout.fake_github import FakeGitHub, Row

OLD, NOW, NEXT = "1" * 40, "a" * 40, "2" * 40


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        fake.add_pull(sha=NOW)
        yield fake


@pytest.fixture
def api(github: FakeGitHub) -> Api:
    return Api(github.token, github.repository, github.url, wait=0)


def text(sha: str, content: str = "what changes") -> str:
    return f"{marker(sha)}\n{content}\n"


def moves_to(github: FakeGitHub, sha: str) -> Callable[[], None]:
    def move() -> None:
        github.pulls[0]["head"]["sha"] = sha

    return move


def writes(github: FakeGitHub) -> list[str]:
    return [f"{row['method']} {row['path'].rpartition('/')[2]}" for row in github.requests if row["method"] != "GET"]


def bodies(github: FakeGitHub) -> list[str]:
    return [row["body"] for row in github.comments[1]]


def test_the_first_run_creates_the_comment_and_the_next_updates_it(github: FakeGitHub, api: Api) -> None:
    assert sticky.upsert(api, 1, text(NOW, "first"), NOW)
    assert sticky.upsert(api, 1, text(NOW, "second"), NOW)
    assert bodies(github) == [text(NOW, "second")]


def test_a_comment_about_an_older_head_is_the_same_comment(github: FakeGitHub, api: Api) -> None:
    row = github.add_comment(1, text(OLD))
    assert sticky.upsert(api, 1, text(NOW), NOW)
    assert [(each["id"], each["body"]) for each in github.comments[1]] == [(row["id"], text(NOW))]


def test_it_is_found_behind_150_comments_and_in_front_of_them(github: FakeGitHub, api: Api) -> None:
    for number in range(150):
        github.add_comment(1, f"comment {number}", "someone")
    ours = github.add_comment(1, text(OLD))
    for number in range(150):
        github.add_comment(1, f"later {number}", "someone")
    assert sticky.upsert(api, 1, text(NOW), NOW)
    assert len(github.comments[1]) == 301
    assert ours["body"] == text(NOW)


IMPOSTORS: dict[str, Row] = {
    "a person": {"login": "stranger", "type": "User", "id": 9},
    "a person with a like name": {"login": "github-actions", "type": "User", "id": 9},
    "a person with the very name": {"login": "github-actions[bot]", "type": "User", "id": 9},
    "a bot of another name": {"login": "evil[bot]", "type": "Bot", "id": 9},
    "a bot with the name in other case": {"login": "GitHub-Actions[bot]", "type": "Bot", "id": 9},
}


@pytest.mark.parametrize("user", IMPOSTORS.values(), ids=IMPOSTORS.keys())
def test_an_impostor_s_marker_is_left_alone(github: FakeGitHub, api: Api, user: Row) -> None:
    fake = github.add_comment(1, text(NOW, "trust me"), user)
    assert sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [text(NOW, "trust me"), text(NOW)]
    sticky.supersede(api, 1, NEXT)
    assert fake["body"] == text(NOW, "trust me")


@pytest.mark.parametrize(
    "body",
    [
        f"> {marker(NOW)}\nquoted",
        f"Somebody wrote:\n{marker(NOW)}\n",
        f" {marker(NOW)}\n",
        marker("x"),
        marker(NOW.upper()),
        f"{marker(NOW)} and more",
        "<!-- groundwork-rollout drift -->\n",
        "",
    ],
)
def test_another_comment_of_the_same_bot_is_left_alone(github: FakeGitHub, api: Api, body: str) -> None:
    github.add_comment(1, body)
    assert sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [body, text(NOW)]


def test_a_comment_whose_author_is_deleted_is_left_alone(github: FakeGitHub, api: Api) -> None:
    github.add_comment(1, text(NOW, "a ghost's"))["user"] = None
    assert sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [text(NOW, "a ghost's"), text(NOW)]


def test_a_stale_run_writes_nothing_and_says_who_overtook_the_comment(github: FakeGitHub, api: Api) -> None:
    github.add_comment(1, text(OLD))
    assert not sticky.upsert(api, 1, text(OLD, "late"), OLD)
    assert bodies(github) == [render.superseded(text(OLD), NOW)]


def test_a_stale_run_leaves_the_comment_about_the_current_head_alone(github: FakeGitHub, api: Api) -> None:
    github.add_comment(1, text(NOW))
    assert not sticky.upsert(api, 1, text(OLD, "late"), OLD)
    assert bodies(github) == [text(NOW)]
    assert writes(github) == []


def test_a_stale_run_where_there_is_no_comment_writes_none(github: FakeGitHub, api: Api) -> None:
    assert not sticky.upsert(api, 1, text(OLD), OLD)
    assert writes(github) == []


def test_to_supersede_twice_changes_nothing_more_and_the_comment_is_still_found(github: FakeGitHub, api: Api) -> None:
    github.add_comment(1, text(OLD))
    sticky.supersede(api, 1, NOW)
    (once,) = bodies(github)
    assert NOW in once
    sticky.supersede(api, 1, NOW)
    assert bodies(github) == [once]
    assert writes(github) == [f"PATCH {github.comments[1][0]['id']}"]
    sticky.supersede(api, 1, NEXT)
    assert NEXT in bodies(github)[0]
    github.pulls[0]["head"]["sha"] = NEXT
    assert sticky.upsert(api, 1, text(NEXT), NEXT)
    assert bodies(github) == [text(NEXT)]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_of_two_runs_at_once_for_one_head_one_comment_stays(github: FakeGitHub, api: Api, moment: str) -> None:
    seen: list[int] = []

    def the_other_run() -> None:
        seen.extend(row["id"] for row in github.comments[1])
        seen.append(github.add_comment(1, text(NOW, "the other's"))["id"])

    github.when("POST", "comments", the_other_run, moment=moment)
    assert sticky.upsert(api, 1, text(NOW, "mine"), NOW)
    assert bodies(github) == [text(NOW, "mine")]
    assert github.comments[1][0]["id"] == min(seen), "the other run keeps the oldest, too"


def test_doubles_that_an_earlier_run_left_are_cleared_away(github: FakeGitHub, api: Api) -> None:
    first = github.add_comment(1, text(OLD))
    github.add_comment(1, "in between", "someone")
    github.add_comment(1, text(OLD))
    github.add_comment(1, text(OLD))
    assert sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [text(NOW), "in between"]
    assert github.comments[1][0]["id"] == first["id"]


def test_a_head_that_moves_before_the_write_is_not_written_about(github: FakeGitHub, api: Api) -> None:
    newer = github.add_comment(1, text(OLD))

    def the_newer_run_was_faster() -> None:
        moves_to(github, NEXT)()
        newer["body"] = text(NEXT, "newer")

    github.when("GET", "comments", the_newer_run_was_faster)
    assert not sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [text(NEXT, "newer")]


def test_a_head_that_moves_after_the_write_is_said_in_the_comment(github: FakeGitHub, api: Api) -> None:
    github.when("POST", "comments", moves_to(github, NEXT))
    assert not sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [render.superseded(text(NOW), NEXT)]


def test_what_a_stale_run_wrote_over_a_newer_one_is_written_again(github: FakeGitHub, api: Api) -> None:
    ours = github.add_comment(1, text(OLD))

    def the_stale_run_was_late() -> None:
        ours["body"] = text(OLD, "stale")

    github.when("PATCH", "comments", the_stale_run_was_late)
    assert sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [text(NOW)]


def test_a_comment_that_is_deleted_meanwhile_is_written_anew(github: FakeGitHub, api: Api) -> None:
    github.add_comment(1, text(OLD))
    github.when("PATCH", "comments", github.comments[1].clear, moment="before")
    assert sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [text(NOW)]


def test_a_post_that_was_done_though_github_answered_502_leaves_one_comment(github: FakeGitHub, api: Api) -> None:
    github.faults.append({"method": "POST", "status": 502, "after": True})
    assert sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [text(NOW)]
    assert len([row for row in writes(github) if row.startswith("POST")]) == 2


def test_that_others_may_not_comment_is_an_error_and_not_a_second_comment(github: FakeGitHub, api: Api) -> None:
    github.add_comment(1, text(OLD))
    github.faults.append({"method": "PATCH", "status": 403})
    with pytest.raises(ApiError, match="permissions"):
        sticky.upsert(api, 1, text(NOW), NOW)
    assert bodies(github) == [text(OLD)]


def test_a_comment_without_its_marker_is_not_written(github: FakeGitHub, api: Api) -> None:
    for body in ["no marker", text(OLD), f"\n{text(NOW)}"]:
        with pytest.raises(RolloutError, match="marker"):
            sticky.upsert(api, 1, body, NOW)
    assert github.requests == []
