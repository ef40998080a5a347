"""GitHub's REST API as far as the rollout asks it, on a loopback port, from plain data.

In a test:

    with FakeGitHub(repository="example/groundwork") as github:
        pull = github.add_pull(head="feature", sha="a" * 40)
        run = github.add_run("preview.yml", head_sha="a" * 40)
        github.add_artifact(run["id"], "preview", {"preview.json": b"{}"})
        github.faults.append({"method": "GET", "path": "/pulls", "status": 502, "times": 2})
        ... Api(github.token, github.repository, github.url) ...
        assert github.comments[pull["number"]][0]["body"] == "…"
        assert [row["path"] for row in github.requests if row["method"] == "POST"] == […]

As a process, for tests that run whole workflows: `python -m tests.rollout.fake_github --port 0 --state FILE` prints its
address as one line. `--state` is JSON of the form that `GET /_state` answers (see `load`); what it leaves out is empty.
`GET /_state` and `GET /_requests` tell what has become of it. It ends with its standard input, or by a signal.

The forms are those of docs.github.com/en/rest, cut to the fields that are read. Lists are paged with a `Link` header
(30 rows, at most 100). A request without the token is answered by 401; a download is a redirect to an address of
another "host" (a second loopback name) that answers 400 if the token arrives there, as GitHub's storage does.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

Row = dict[str, Any]

BOT: Row = {"login": "github-actions[bot]", "id": 41898282, "type": "Bot"}
NOW = "2026-11-21T20:00:00Z"
BODY_LIMIT = 65_536  # characters of a comment's or issue's body
DOWNLOAD_HOST = "localhost"  # the API is at 127.0.0.1: another name, so another host to a client
ROUTES: list[tuple[str, re.Pattern[str], str]] = [
    (method, re.compile(f"^{path}$"), name)
    for method, path, name in [
        ("GET", r"", "get_repository"),
        ("GET", r"/pulls", "list_pulls"),
        ("GET", r"/pulls/(\d+)", "get_pull"),
        ("GET", r"/commits/([^/]+)/pulls", "list_pulls_of_commit"),
        ("GET", r"/compare/([^/]+)\.\.\.([^/]+)", "compare"),
        ("GET", r"/issues/(\d+)/comments", "list_comments"),
        ("POST", r"/issues/(\d+)/comments", "create_comment"),
        ("GET", r"/issues/comments/(\d+)", "get_comment"),
        ("PATCH", r"/issues/comments/(\d+)", "update_comment"),
        ("DELETE", r"/issues/comments/(\d+)", "delete_comment"),
        ("GET", r"/issues", "list_issues"),
        ("POST", r"/issues", "create_issue"),
        ("GET", r"/issues/(\d+)", "get_issue"),
        ("PATCH", r"/issues/(\d+)", "update_issue"),
        ("GET", r"/actions/runs", "list_runs"),
        ("GET", r"/actions/workflows/([^/]+)/runs", "list_runs_of_workflow"),
        ("GET", r"/actions/runs/(\d+)", "get_run"),
        ("GET", r"/actions/runs/(\d+)/attempts/(\d+)", "get_run_attempt"),
        ("GET", r"/actions/runs/(\d+)/approvals", "list_approvals"),
        ("GET", r"/actions/runs/(\d+)/artifacts", "list_artifacts_of_run"),
        ("GET", r"/actions/artifacts", "list_artifacts"),
        ("GET", r"/actions/artifacts/(\d+)", "get_artifact"),
        ("GET", r"/actions/artifacts/(\d+)/zip", "download_artifact"),
    ]
]


class RefusedError(Exception):
    """The answer is an error: its status and GitHub's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def archive(files: Mapping[str, bytes | str]) -> bytes:
    """A zip as actions/upload-artifact makes it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return target.getvalue()


class FakeGitHub:
    """One repository of a GitHub. Its attributes are its state: look at them and change them as you like.

    pulls, issues, runs, artifacts   rows in GitHub's form (an artifact also has `run_id` and `zip`, its bytes)
    comments    pull request or issue number → rows, oldest first
    approvals   run id → rows of `GET /actions/runs/ID/approvals`
    commits     SHA → numbers of the pull requests that it came with
    compares    "BASE...HEAD" → "ahead", "behind", "identical", "diverged"; absent: "identical" for the base of a pull
                request and its branch, otherwise 404
    answers     "GET /path?query" or "GET /path", under the repository or from the root → any JSON, before all others
    faults      {"method", "path" (a regular expression searched in the path), "status", "times", "headers", and
                "message" or "content"}; "times" is counted down. With "after": true the request is done all the same.
    meanwhile   {"method", "path", "comment": {"number", "body", "user"}, "when": "before"|"after", "times"}: what
                another run does just before or just after a request that matches
    requests    what was asked, in order: {"method", "path", "query", "body", "status", "token", "host"}
    """

    def __init__(self, repository: str = "example/groundwork", *, token: str = "ghs_fake", port: int = 0) -> None:
        self.repository = repository
        self.token = token
        self.repository_id = 1001
        self.default_branch = "main"
        self.user: Row = dict(BOT)  # whom the token speaks for
        self.pulls: list[Row] = []
        self.issues: list[Row] = []
        self.runs: list[Row] = []
        self.artifacts: list[Row] = []
        self.comments: dict[int, list[Row]] = {}
        self.approvals: dict[int, list[Row]] = {}
        self.commits: dict[str, list[int]] = {}
        self.compares: dict[str, str] = {}
        self.answers: dict[str, Any] = {}
        self.faults: list[Row] = []
        self.meanwhile: list[Row] = []
        self.requests: list[Row] = []
        self._hooks: list[tuple[str, str, str, Callable[[], None]]] = []
        self._last_id = 5000
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"github": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    # --- life

    def __enter__(self) -> FakeGitHub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What GITHUB_API_URL is set to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a workflow's step is given."""
        return {
            "GITHUB_TOKEN": self.token,
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_API_URL": self.url,
            "GITHUB_SERVER_URL": self.url,
        }

    # --- state

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def add_pull(
        self,
        number: int | None = None,
        *,
        head: str = "feature",
        sha: str = "a" * 40,
        base: str = "dev",
        base_sha: str = "b" * 40,
        head_repository: str | None = None,
        head_repository_id: int | None = None,
        state: str = "open",
        merged_as: str | None = None,
    ) -> Row:
        """A pull request; from a fork if `head_repository` is another one. `merged_as`: its merge commit."""
        own = head_repository in (None, self.repository)
        row: Row = {
            "number": number or len(self.pulls) + 1,
            "state": state,
            "title": "A change",
            "user": {"login": "someone", "id": 7, "type": "User"},
            "head": {
                "ref": head,
                "sha": sha,
                "repo": self._repository_row(head_repository, head_repository_id),
                "label": f"{(head_repository or self.repository).partition('/')[0]}:{head}",
            },
            "base": {"ref": base, "sha": base_sha, "repo": self._repository_row(None, None)},
            "merge_commit_sha": merged_as,
            "merged_at": NOW if merged_as else None,
            "author_association": "MEMBER" if own else "NONE",
        }
        self.pulls.append(row)
        self.comments.setdefault(row["number"], [])
        if merged_as:
            row["state"] = "closed"
            self.commits.setdefault(merged_as, []).append(row["number"])
        return row

    def add_run(
        self,
        workflow: str,
        *,
        head_sha: str = "a" * 40,
        head_branch: str = "feature",
        event: str = "pull_request",
        status: str = "completed",
        conclusion: str | None = "success",
        head_repository: str | None = None,
        head_repository_id: int | None = None,
        run_id: int | None = None,
        attempt: int = 1,
    ) -> Row:
        """A run of `.github/workflows/WORKFLOW`."""
        identity = run_id or self.next_id()
        row = {
            "id": identity,
            "name": Path(workflow).stem,
            "path": f".github/workflows/{workflow}",
            "head_sha": head_sha,
            "head_branch": head_branch,
            "event": event,
            "status": status,
            "conclusion": conclusion,
            "run_number": len(self.runs) + 1,
            "run_attempt": attempt,
            "html_url": f"https://github.com/{self.repository}/actions/runs/{identity}",
            "created_at": NOW,
            "updated_at": NOW,
            "run_started_at": NOW,
            "actor": {"login": "someone", "id": 7, "type": "User"},
            "triggering_actor": {"login": "someone", "id": 7, "type": "User"},
            "pull_requests": [],
            "repository": self._repository_row(None, None),
            "head_repository": self._repository_row(head_repository, head_repository_id),
        }
        self.runs.append(row)
        return row

    def add_artifact(
        self, run_id: int, name: str, files: Mapping[str, bytes | str] | bytes, *, expired: bool = False
    ) -> Row:
        """An artifact of a run: files, or the bytes of the download themselves."""
        content = files if isinstance(files, bytes) else archive(files)
        run = next((row for row in self.runs if row["id"] == run_id), None)
        identity = self.next_id()
        row = {
            "id": identity,
            "name": name,
            "size_in_bytes": len(content),
            "expired": expired,
            "created_at": NOW,
            "archive_download_url": f"{self.url}/repos/{self.repository}/actions/artifacts/{identity}/zip",
            "run_id": run_id,
            "zip": content,
            "workflow_run": run
            and {
                "id": run_id,
                "head_branch": run["head_branch"],
                "head_sha": run["head_sha"],
                "repository_id": self.repository_id,
                "head_repository_id": (run["head_repository"] or {}).get("id"),
            },
        }
        self.artifacts.append(row)
        return row

    def add_comment(self, number: int, body: str, user: Row | str | None = None) -> Row:
        """A comment of `user` (a login, or a row; the token's own by default)."""
        author = {"login": user, "id": 9, "type": "User"} if isinstance(user, str) else dict(user or self.user)
        row = {"id": self.next_id(), "body": body, "user": author, "created_at": NOW, "updated_at": NOW}
        self.comments.setdefault(number, []).append(row)
        return row

    def add_issue(
        self,
        title: str,
        body: str = "",
        *,
        user: Row | str | None = None,
        state: str = "open",
        labels: Sequence[str] = (),
        number: int | None = None,
    ) -> Row:
        """An issue; give `number` to choose it."""
        author = {"login": user, "id": 9, "type": "User"} if isinstance(user, str) else dict(user or self.user)
        taken = [row["number"] for row in [*self.issues, *self.pulls]]
        row: Row = {
            "number": number or max(taken, default=0) + 1,
            "title": title,
            "body": body,
            "user": author,
            "state": state,
            "state_reason": None,
            "labels": [{"name": label} for label in labels],
            "created_at": NOW,
        }
        self.issues.append(row)
        self.comments.setdefault(row["number"], [])
        return row

    def when(self, method: str, path: str, do: Callable[[], None], *, moment: str = "after") -> None:
        """Calls `do` once, just before or just after the next request whose path matches: what others do meanwhile."""
        self._hooks.append((method, path, moment, do))

    def to_json(self) -> Row:
        """The state as data; artifacts' bytes in base64."""
        with self._lock:
            return {
                "repository": self.repository,
                "repository_id": self.repository_id,
                "default_branch": self.default_branch,
                "user": self.user,
                "pulls": self.pulls,
                "issues": self.issues,
                "runs": self.runs,
                "artifacts": [row | {"zip": base64.b64encode(row["zip"]).decode()} for row in self.artifacts],
                "comments": self.comments,
                "approvals": self.approvals,
                "commits": self.commits,
                "compares": self.compares,
                "answers": self.answers,
                "faults": self.faults,
                "meanwhile": self.meanwhile,
            }

    def load(self, state: Row) -> None:
        """Takes what `to_json` gave. Rows may be whole, or the arguments of add_pull, add_run, add_issue (told by what
        they lack: a pull's `head` is then a string, a run has `workflow`, an artifact `files` of texts)."""
        for name in ("repository", "repository_id", "default_branch", "user", "token"):
            if name in state:
                setattr(self, name, state[name])
        for row in state.get("pulls", []):
            self.pulls.append(row) if isinstance(row.get("head"), dict) else self.add_pull(**row)
        for row in state.get("runs", []):
            self.runs.append(row) if "workflow" not in row else self.add_run(**row)
        for row in state.get("issues", []):
            self.issues.append(row) if "user" in row and "number" in row else self.add_issue(**row)
        for row in state.get("artifacts", []):
            if "zip" in row:
                self.artifacts.append(row | {"zip": base64.b64decode(row["zip"])})
            else:
                self.add_artifact(row["run_id"], row["name"], row["files"], expired=row.get("expired", False))
        for name in ("comments", "approvals"):
            getattr(self, name).update({int(key): rows for key, rows in state.get(name, {}).items()})
        for name in ("commits", "compares", "answers"):
            getattr(self, name).update(state.get(name, {}))
        self.faults += state.get("faults", [])
        self.meanwhile += state.get("meanwhile", [])
        known = [row["id"] for rows in (self.runs, self.artifacts, *self.comments.values()) for row in rows]
        self._last_id = max([self._last_id, *known])

    def _repository_row(self, name: str | None, identity: int | None) -> Row:
        own = name in (None, self.repository)
        full = name or self.repository
        return {
            "id": identity or (self.repository_id if own else 2002),
            "full_name": full,
            "name": full.partition("/")[2],
            "fork": not own,
            "owner": {"login": full.partition("/")[0], "id": 1 if own else 2},
        }

    # --- answering

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Row, bytes]:
        """Status, headers and body for one request; written down in `requests`."""
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        token = headers.get("Authorization", "").partition(" ")[2]
        given = json.loads(body) if body else None
        log: Row = {"method": method, "path": url.path, "query": query, "body": given, "token": bool(token)}
        log["host"] = headers.get("Host", "")
        with self._lock:
            self.requests.append(log)
            self._run_hooks(method, url.path, "before")
            status, extra, content = self._route(method, url.path, query, given, token)
            self._run_hooks(method, url.path, "after")
            log["status"] = status
        return status, extra, content

    def _run_hooks(self, method: str, path: str, moment: str) -> None:
        for hook in [row for row in self._hooks if row[0] == method and row[2] == moment and re.search(row[1], path)]:
            self._hooks.remove(hook)
            hook[3]()
        for row in self.meanwhile:
            left = row.setdefault("times", 1)
            if left and row["method"] == method and row.get("when", "after") == moment and re.search(row["path"], path):
                row["times"] = left - 1
                self.add_comment(row["comment"]["number"], row["comment"]["body"], row["comment"].get("user"))

    def _route(self, method: str, path: str, query: Row, body: Any, token: str) -> tuple[int, Row, bytes]:
        if path in ("/_state", "/_requests"):
            return _json(200, self.to_json() if path == "/_state" else self.requests)
        fault = self._fault(method, path)
        if fault and not fault.get("after"):
            return _faulty(fault)
        if path.startswith("/_download/"):
            return self._download(path, token)
        if token != self.token:
            return _json(401, {"message": "Bad credentials"})
        try:
            answer = self._dispatch(method, path, query, body)
        except RefusedError as refused:
            answer = _json(refused.status, {"message": str(refused)})
        return _faulty(fault) if fault else answer

    def _fault(self, method: str, path: str) -> Row | None:
        for fault in self.faults:
            left = fault.setdefault("times", 1)
            if left and fault.get("method", method) == method and re.search(fault.get("path", ""), path):
                fault["times"] = left - 1
                return fault
        return None

    def _dispatch(self, method: str, path: str, query: Row, body: Any) -> tuple[int, Row, bytes]:
        prefix = f"/repos/{self.repository}"
        inside = path.removeprefix(prefix) if path.startswith(prefix) else None
        for name in filter(None, [path, inside]):
            for key in (f"{method} {name}?{urlencode(query)}", f"{method} {name}"):
                if key in self.answers:
                    return _json(200, self.answers[key])
        for verb, pattern, name in ROUTES:
            found = pattern.match(inside) if inside is not None and verb == method else None
            if found:
                result = getattr(self, f"_{name}")(*found.groups(), query=query, body=body)
                return self._paged(result, path, query) if isinstance(result, _Page) else result
        raise RefusedError(404, "Not Found")

    def _paged(self, page: _Page, path: str, query: Row) -> tuple[int, Row, bytes]:
        size = min(int(query.get("per_page", 30)), 100)
        number = max(int(query.get("page", 1)), 1)
        last = max(-(-len(page.rows) // size), 1)
        rows = page.rows[(number - 1) * size : number * size]
        links = {"next": number + 1, "last": last} if number < last else {}
        links |= {"prev": number - 1, "first": 1} if number > 1 else {}
        text = ", ".join(
            f'<{self.url}{path}?{urlencode({**query, "page": at})}>; rel="{name}"' for name, at in links.items()
        )
        content = {"total_count": len(page.rows), page.key: rows} if page.key else rows
        return _json(200, content, {"Link": text} if text else None)

    def _get_repository(self, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        return _json(200, self._repository_row(None, None) | {"default_branch": self.default_branch})

    def _list_pulls(self, *, query: Row, body: Any) -> _Page:
        state = query.get("state", "open")
        rows = [row for row in self.pulls if state == "all" or row["state"] == state]
        if "head" in query:
            rows = [row for row in rows if row["head"]["label"].lower() == query["head"].lower()]
        if "base" in query:
            rows = [row for row in rows if row["base"]["ref"] == query["base"]]
        return _Page(sorted(rows, key=lambda row: -row["number"]))

    def _get_pull(self, number: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        return _json(200, _one(self.pulls, "number", int(number)))

    def _list_pulls_of_commit(self, sha: str, *, query: Row, body: Any) -> _Page:
        numbers = self.commits.get(sha, [])
        return _Page([row for row in self.pulls if row["number"] in numbers or row["head"]["sha"] == sha])

    def _compare(self, base: str, head: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        tip = any((pull["base"]["sha"], pull["base"]["ref"]) == (base, head) for pull in self.pulls)
        status = self.compares.get(f"{base}...{head}", "identical" if tip else None)
        if status is None:
            raise RefusedError(404, "Not Found")
        return _json(200, {"status": status, "commits": [], "files": []})

    def _list_comments(self, number: str, *, query: Row, body: Any) -> _Page:
        if int(number) not in self.comments:
            raise RefusedError(404, "Not Found")
        return _Page(self.comments[int(number)])

    def _create_comment(self, number: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        if int(number) not in self.comments:
            raise RefusedError(404, "Not Found")
        _check_body(body)
        return _json(201, self.add_comment(int(number), body["body"]))

    def _comment(self, identity: str) -> tuple[list[Row], Row]:
        for rows in self.comments.values():
            for row in rows:
                if row["id"] == int(identity):
                    return rows, row
        raise RefusedError(404, "Not Found")

    def _get_comment(self, identity: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        return _json(200, self._comment(identity)[1])

    def _update_comment(self, identity: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        _check_body(body)
        row = self._comment(identity)[1]
        row["body"] = body["body"]
        return _json(200, row)

    def _delete_comment(self, identity: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        rows, row = self._comment(identity)
        rows.remove(row)
        return 204, {}, b""

    def _list_issues(self, *, query: Row, body: Any) -> _Page:
        state = query.get("state", "open")
        pulls: list[Row] = [{"body": "", "labels": []} | row | {"pull_request": {}} for row in self.pulls]
        rows = [row for row in [*self.issues, *pulls] if state == "all" or row["state"] == state]
        if "creator" in query:
            rows = [row for row in rows if row["user"]["login"] == query["creator"]]
        for label in filter(None, query.get("labels", "").split(",")):
            rows = [row for row in rows if label in [each["name"] for each in row["labels"]]]
        return _Page(sorted(rows, key=lambda row: -row["number"]))

    def _create_issue(self, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        _check_body(body)
        if not body.get("title"):
            raise RefusedError(422, "Validation Failed")
        return _json(201, self.add_issue(body["title"], body["body"], labels=body.get("labels", [])))

    def _get_issue(self, number: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        return _json(200, _one(self.issues, "number", int(number)))

    def _update_issue(self, number: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        row = _one(self.issues, "number", int(number))
        if "body" in body:
            _check_body(body)
        changes = {key: body[key] for key in ("title", "body", "state", "state_reason") if key in body}
        if "labels" in body:
            changes["labels"] = [{"name": label} for label in body["labels"]]
        row.update(changes)
        return _json(200, row)

    def _list_runs(self, *, query: Row, body: Any) -> _Page:
        rows = self.runs
        for parameter, field in [("event", "event"), ("head_sha", "head_sha"), ("branch", "head_branch")]:
            if parameter in query:
                rows = [row for row in rows if row[field] == query[parameter]]
        if "status" in query:
            rows = [row for row in rows if query["status"] in (row["status"], row["conclusion"])]
        return _Page(sorted(rows, key=lambda row: -row["id"]), "workflow_runs")

    def _list_runs_of_workflow(self, workflow: str, *, query: Row, body: Any) -> _Page:
        page = self._list_runs(query=query, body=body)
        page.rows = [row for row in page.rows if Path(row["path"]).name == workflow]
        return page

    def _get_run(self, identity: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        return _json(200, _one(self.runs, "id", int(identity)))

    def _get_run_attempt(self, identity: str, attempt: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        row = _one(self.runs, "id", int(identity))
        if int(attempt) > row["run_attempt"]:
            raise RefusedError(404, "Not Found")
        return _json(200, row | {"run_attempt": int(attempt)})

    def _list_approvals(self, identity: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        return _json(200, self.approvals.get(int(identity), []))

    def _list_artifacts_of_run(self, identity: str, *, query: Row, body: Any) -> _Page:
        _one(self.runs, "id", int(identity))
        page = self._list_artifacts(query=query, body=body)
        page.rows = [row for row in page.rows if (row["workflow_run"] or {}).get("id") == int(identity)]
        return page

    def _list_artifacts(self, *, query: Row, body: Any) -> _Page:
        rows = [
            {key: value for key, value in row.items() if key not in ("zip", "run_id")}
            for row in sorted(self.artifacts, key=lambda row: -row["id"])
            if query.get("name") in (None, row["name"])
        ]
        return _Page(rows, "artifacts")

    def _get_artifact(self, identity: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        row = _one(self.artifacts, "id", int(identity))
        return _json(200, {key: value for key, value in row.items() if key not in ("zip", "run_id")})

    def _download_artifact(self, identity: str, *, query: Row, body: Any) -> tuple[int, Row, bytes]:
        row = _one(self.artifacts, "id", int(identity))
        if row["expired"]:
            raise RefusedError(410, "Artifact has expired")
        return 302, {"Location": f"http://{DOWNLOAD_HOST}:{self.port}/_download/{identity}?sig=made-up"}, b""

    def _download(self, path: str, token: str) -> tuple[int, Row, bytes]:
        if token:  # Azure's blob storage answers so to a header that it does not understand
            return _json(400, {"message": "InvalidAuthenticationInfo"})
        row = next((row for row in self.artifacts if str(row["id"]) == path.rpartition("/")[2]), None)
        return (200, {"Content-Type": "application/zip"}, row["zip"]) if row else _json(404, {"message": "Not Found"})


class _Page:
    """Rows of a list, and the key that GitHub wraps them in, if it does."""

    def __init__(self, rows: list[Row], key: str = "") -> None:
        self.rows = rows
        self.key = key


def _json(status: int, content: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Row, bytes]:
    return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(content).encode()


def _faulty(fault: Row) -> tuple[int, Row, bytes]:
    if "content" in fault:
        return fault["status"], {"Content-Type": "text/html", **fault.get("headers", {})}, fault["content"].encode()
    return _json(fault["status"], {"message": fault.get("message", "Server Error")}, fault.get("headers"))


def _one(rows: list[Row], key: str, value: int) -> Row:
    for row in rows:
        if row[key] == value:
            return row
    raise RefusedError(404, "Not Found")


def _check_body(body: Any) -> None:
    text = body.get("body") if isinstance(body, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise RefusedError(422, "Validation Failed: body can't be blank")
    if len(text) > BODY_LIMIT:
        raise RefusedError(422, f"Validation Failed: body is too long (maximum is {BODY_LIMIT} characters)")


class _Handler(BaseHTTPRequestHandler):
    """Passes requests to the fake that the class is made for."""

    github: FakeGitHub
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the client's acknowledgement

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, content = self.github.answer(self.command, self.path, dict(self.headers), body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has read what it wanted

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve  # noqa: N815 - the names that the base class calls

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """What was asked is in `requests`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.rollout.fake_github")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, help="JSON, of the form that GET /_state answers")
    options = parser.parse_args(arguments)
    github = FakeGitHub(port=options.port)
    if options.state:
        github.load(json.loads(options.state.read_text()))
    with github:
        sys.stdout.write(f"{github.url}\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
