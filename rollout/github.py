"""GitHub's REST API, as far as the rollout asks it: pages, retries, downloads, and errors that are sentences.

The forms of the answers are those of docs.github.com/en/rest (version 2022-11-28).
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from rollout.branches import REPOSITORY
from rollout.errors import RolloutError

# login of whoever speaks with a workflow's GITHUB_TOKEN. No person can have it: logins of people have no brackets.
# (The token cannot ask who it is: GET /user is refused to it.)
BOT = "github-actions[bot]"
ANSWER_LIMIT = 32 * 2**20  # bytes of one answer
PAGE_LIMIT = 200  # pages of one list, of 100 rows each
RETRIES = 4
WAIT_LIMIT = 30  # seconds before one retry, also when GitHub asks for more
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of an answer
HOPS = 3  # redirects of one download
TOKEN = re.compile(r"[\x21-\x7e]+")
HINTS = {
    401: "GITHUB_TOKEN is not valid",
    403: "the job's `permissions` may lack it, or GitHub's rate limit is used up",
    404: "it does not exist, or the job's `permissions` do not let the token see it",
    410: "it is gone",
    429: "GitHub's rate limit is used up; run this again later",
}


class ApiError(RolloutError):
    """GitHub refused a request. `status` is that of HTTP; 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One repository of one GitHub.

    A path without a slash before it is of the repository (`pulls/7`; "" is the repository itself), one with a slash is
    from the root. Faults that pass (429, 502, 503, 504, a broken connection) are tried again, at most four times. A
    POST is, too: who creates something looks for doubles afterwards.
    """

    def __init__(
        self, token: str, repository: str, base_url: str = "https://api.github.com", *, wait: float = 1
    ) -> None:
        """:param wait: seconds before the second retry; each later one waits twice as long"""
        if not TOKEN.fullmatch(token):
            raise RolloutError("GITHUB_TOKEN is empty or no token. A step gets it by `env`, from github.token.")
        if not REPOSITORY.fullmatch(repository):
            raise RolloutError("GITHUB_REPOSITORY is to name the repository, as OWNER/REPO.")
        if not _safe(base_url, base_url):
            raise RolloutError("GITHUB_API_URL is to begin with https://, or the token would travel in clear.")
        self.repository = repository
        self._base = base_url.rstrip("/")
        self._token = token
        self._session = requests.Session()
        retries = Retry(
            total=RETRIES,
            redirect=0,
            status_forcelist=(429, 502, 503, 504),
            allowed_methods=None,
            backoff_factor=wait,
            backoff_max=WAIT_LIMIT,
            retry_after_max=WAIT_LIMIT,
            raise_on_status=False,
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retries))

    @classmethod
    def from_environment(cls) -> Api:
        """The repository and token of a workflow's step: GITHUB_TOKEN, GITHUB_REPOSITORY, GITHUB_API_URL."""
        return cls(
            os.environ.get("GITHUB_TOKEN", ""),
            os.environ.get("GITHUB_REPOSITORY", ""),
            os.environ.get("GITHUB_API_URL") or "https://api.github.com",
        )

    def get(self, path: str, **params: str | int) -> Any:
        """What a path answers.

        :raises ApiError: GitHub refuses, does not answer, or answers with what is no JSON or too long
        """
        return self._ask("GET", self._url(path), params)[0]

    def pages(self, path: str, key: str = "", **params: str | int) -> Iterator[Any]:
        """The rows of all pages of a list.

        :param key: what the rows stand under, where the answer is an object, as in `workflow_runs`
        :raises ApiError: as `get` does, and where a list does not end
        """
        url, query = self._url(path), {"per_page": 100, **params}
        for _ in range(PAGE_LIMIT):
            content, following = self._ask("GET", url, query)
            rows = content.get(key) if key and isinstance(content, dict) else content
            if not isinstance(rows, list):
                raise ApiError(f"GitHub answered GET {_path(url)} with no list. The API may have changed.")
            yield from rows
            if not following:
                return
            if _origin(following) != _origin(self._base):
                raise ApiError(f"GitHub says that GET {_path(url)} goes on at another host; that is not followed.")
            url, query = following, {}
        raise ApiError(f"The list GET {_path(url)} has more than {PAGE_LIMIT} pages; it is not read on.")

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Creates. Raises as `get` does."""
        return self._ask("POST", self._url(path), {}, body)[0]

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Changes. Raises as `get` does."""
        return self._ask("PATCH", self._url(path), {}, body)[0]

    def delete(self, path: str) -> None:
        """Deletes; what is gone already is no error. Otherwise raises as `get` does."""
        try:
            self._ask("DELETE", self._url(path), {})
        except ApiError as error:
            if error.status not in (404, 410):
                raise

    def download(self, path: str, limit: int) -> bytes:
        """The bytes of a file, such as an artifact's zip, that GitHub answers by redirecting to a storage.

        The token is for GitHub: it never goes to where a redirect leads.

        :param limit: bytes; a longer one is refused, having read no more than that
        :raises ApiError: as `get` does, and where it is longer
        """
        url = self._url(path)
        for hop in range(HOPS + 1):
            with self._send("GET", url, {}, None, authorized=hop == 0) as response:
                target = response.headers.get("Location")
                if response.status_code in (301, 302, 303, 307, 308) and target:
                    url = urljoin(url, target)
                    if not _safe(url, self._base):
                        raise ApiError(f"The download {path} leads to an address without TLS; that is not followed.")
                    continue
                if response.status_code != requests.codes.ok:
                    raise self._refused("GET", path, response)
                return _read(response, limit, f"The download {path}")
        raise ApiError(f"The download {path} is redirected more than {HOPS} times; that is not followed.")

    def _url(self, path: str) -> str:
        if path.startswith("/"):
            return f"{self._base}{path}"
        return f"{self._base}/repos/{self.repository}{'/' if path else ''}{path}"

    def _ask(
        self, method: str, url: str, params: Mapping[str, str | int], body: Mapping[str, Any] | None = None
    ) -> tuple[Any, str]:
        """The content, and the address of the next page ("" if there is none)."""
        with self._send(method, url, params, body) as response:
            if not 200 <= response.status_code < 300:
                raise self._refused(method, _path(url), response)
            content = _read(response, ANSWER_LIMIT, f"GitHub's answer to {method} {_path(url)}")
            following = response.links.get("next", {}).get("url", "")
        if not content:
            return None, following
        try:
            return json.loads(content), following
        except (ValueError, RecursionError) as error:
            raise ApiError(f"GitHub answered {method} {_path(url)} with what is no JSON.") from error

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str | int],
        body: Mapping[str, Any] | None,
        *,
        authorized: bool = True,
    ) -> requests.Response:
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"} if authorized else {}
        try:
            return self._session.request(
                method,
                url,
                params=params,
                json=body,
                headers=headers,
                # Given also where there is no token to send: without it requests would look for one in a .netrc.
                auth=self._authorize if authorized else lambda request: request,
                allow_redirects=False,
                stream=True,
                timeout=TIMEOUT,
            )
        except requests.RequestException as error:
            # Neither the exception's text nor the address: a signed address is as good as a password.
            where = f"{method} {_path(url)}" if authorized else "a download"
            raise ApiError(f"GitHub did not answer {where} ({type(error).__name__}). Run this again later.") from None

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _refused(self, method: str, path: str, response: requests.Response) -> ApiError:
        status = response.status_code
        if 300 <= status < 400:
            hint = "the repository has moved; see docs/runbook.md for what to set anew"
        else:
            hint = HINTS.get(status, "run this again later" if status >= 500 else "")
        try:
            content = json.loads(_read(response, 2**16, "The error"))
            said = content.get("message") if isinstance(content, dict) else None
        except (ValueError, RecursionError, RolloutError):
            said = None
        text = f": {_printable(str(said)).replace(self._token, '***')}" if said else ""
        return ApiError(f"GitHub answered {method} {path} with {status}{text}{f' ({hint})' if hint else ''}.", status)


def _read(response: requests.Response, limit: int, what: str) -> bytes:
    """The body, read piece by piece: nothing longer than the limit is ever held."""
    content = bytearray()
    try:
        for piece in response.iter_content(2**16):
            content += piece
            if len(content) > limit:
                raise ApiError(f"{what} is longer than {limit:,} bytes; it is not read.")
    except requests.RequestException as error:
        raise ApiError(f"{what} broke off ({type(error).__name__}). Run this again later.") from None
    return bytes(content)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:200])


def _path(url: str) -> str:
    return urlsplit(url).path


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _safe(url: str, base: str) -> bool:
    """Whether what is sent there cannot be read on the way: TLS, or this machine where the API itself is on it."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and _loopback(url) and _loopback(base)


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def field(row: Any, *names: str) -> Any:
    """What stands at a place of an answer; None where the place is not there (GitHub has null for what was deleted)."""
    for name in names:
        row = row.get(name) if isinstance(row, dict) else None
    return row
