"""One comment of ours in a pull request: found again by a hidden marker and by who wrote it, over all pages.

The marker alone proves nothing, as anybody can write it. So only comments of the workflows' own user count, and of
these only those that begin with the marker: another workflow of this repository may repeat a stranger's text, but not
as its first line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rollout import render
from rollout.errors import RolloutError
from rollout.github import BOT, Api, ApiError, field

MARKER = re.compile(r"<!-- groundwork-rollout preview ([0-9a-f]{40}) -->(?:\r?\n|$)")


@dataclass(frozen=True)
class Comment:
    """A comment of ours; `sha` is the head that it is about."""

    id: int
    body: str
    sha: str


def marker(sha: str) -> str:
    """The first line of a comment about a head."""
    return f"<!-- groundwork-rollout preview {sha} -->"


def own(api: Api, number: int) -> list[Comment]:
    """Our comments in a pull request, the oldest first: one, unless two runs wrote at once."""
    found = []
    for row in api.pages(f"issues/{number}/comments"):
        match = MARKER.match(str(field(row, "body")))
        if match and field(row, "user", "login") == BOT and field(row, "user", "type") == "Bot":
            found.append(Comment(int(row["id"]), str(row["body"]), match[1]))
    return sorted(found, key=lambda comment: comment.id)


def upsert(api: Api, number: int, body: str, sha: str) -> bool:
    """Makes the one comment say `body`, which begins with the marker of `sha`.

    Nothing but the pull request's current head is ever written about. What cannot be closed is the moment between the
    last look at the head and the write, as GitHub has no conditional update: so it looks again afterwards, and the
    workflow lets only one run at a time comment on a branch.

    :returns: whether the pull request shows it now; False where its head has moved on
    :raises RolloutError: GitHub refuses, or the body has no marker
    """
    if body.split("\n", 1)[0] != marker(sha):
        raise RolloutError("A comment is to begin with its marker, or the next run would not find it.")
    for _ in range(2):  # the second time only where another run wrote over this one
        found = own(api, number)
        if head(api, number) != sha:
            break
        _write(api, number, found, body)
        if _settle(api, number) == body:
            break
    current = head(api, number)
    if current != sha:
        supersede(api, number, current)
    return current == sha


def supersede(api: Api, number: int, current: str) -> None:
    """Says in the comment that `current` has overtaken it, unless it is about `current`."""
    for comment in own(api, number):
        body = comment.body if comment.sha == current else render.superseded(comment.body, current)
        if body != comment.body:
            api.patch(f"issues/comments/{comment.id}", {"body": body})


def head(api: Api, number: int) -> str:
    """The SHA of a pull request's head, now."""
    return str(field(api.get(f"pulls/{number}"), "head", "sha"))


def _write(api: Api, number: int, found: list[Comment], body: str) -> None:
    if found:
        try:
            api.patch(f"issues/comments/{found[0].id}", {"body": body})
            return
        except ApiError as error:
            if error.status not in (404, 410):  # somebody deleted it just now
                raise
    api.post(f"issues/{number}/comments", {"body": body})


def _settle(api: Api, number: int) -> str:
    """Leaves the oldest of ours, as every run that is at it at the same time does; the body of that one."""
    found = own(api, number)
    for double in found[1:]:
        api.delete(f"issues/comments/{double.id}")
    return found[0].body if found else ""
