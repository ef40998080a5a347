"""The clouds' own interfaces, as far as the rollout asks them, with the identity that the job is logged in as.

What is sent is from the clouds' documentation; it was not seen on an account.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from rollout.errors import RolloutError

BASES = {"gcp": "https://run.googleapis.com/v2/", "azure": "https://management.azure.com/"}
SCOPES = {"gcp": "https://www.googleapis.com/auth/cloud-platform", "azure": "https://management.azure.com/.default"}
REGISTRY_API = "2023-07-01"  # of Azure's container registries
IMPORT_SECONDS = 900.0
PAUSE = 5.0  # seconds between two looks at how far an import is
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of an answer


class UnansweredError(RolloutError):
    """A cloud gave no answer for now: it can be asked again."""


def token(cloud: str) -> str:
    """A short-lived token of GCP or Azure. Raises RolloutError where nobody is logged in."""
    try:
        return _google() if cloud == "gcp" else _microsoft()
    except Exception as error:  # noqa: BLE001 - each library has a tree of errors of its own; none holds a sentence for us
        raise RolloutError(f"Nobody is logged in to {cloud} ({type(error).__name__}).") from None


def _google() -> str:
    from google.auth import default  # noqa: PLC0415 - loaded only where GCP is asked
    from google.auth.transport.requests import Request  # noqa: PLC0415 - as above

    credentials, _project = default(scopes=[SCOPES["gcp"]])
    credentials.refresh(Request())  # type: ignore[no-untyped-call] # google-auth types it in part
    return str(credentials.token)


def _microsoft() -> str:
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - loaded only where Azure is asked

    return DefaultAzureCredential().get_token(SCOPES["azure"]).token


def ask(cloud: str, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What GCP's or Azure's REST interface answers to a GET; {} where that is empty.

    :param path: a resource's id, as the state has it
    :raises UnansweredError: it does not answer, or says that it cannot for now
    :raises RolloutError: it refuses, or answers with what is no JSON object
    """
    response = _send(cloud, "GET", BASES[cloud] + path.lstrip("/"), None, query or {})
    try:
        content = response.json() if response.content else {}
    except requests.RequestException:
        content = None
    if response.status_code == requests.codes.too_many_requests or response.status_code >= 500:
        raise UnansweredError(f"{cloud} answers {response.status_code} about {path}")
    if not response.ok:
        said = content.get("error", {}).get("message", "") if isinstance(content, dict) else ""
        raise RolloutError(f"{cloud} answers {response.status_code} about {path}: {str(said)[:200]}")
    if not isinstance(content, dict):
        raise RolloutError(f"{cloud} answers about {path} with what is no JSON object.")
    return content


def _send(
    cloud: str, method: str, url: str, body: dict[str, Any] | None, query: Mapping[str, str]
) -> requests.Response:
    """One request. The token goes to the cloud's own address alone."""
    if not url.startswith(BASES[cloud]):
        raise RolloutError(f"{cloud} names another host to ask; that is not followed.")
    headers = {"Authorization": f"Bearer {token(cloud)}"}
    try:
        return requests.request(
            method, url, params=query, json=body, headers=headers, timeout=TIMEOUT, allow_redirects=False
        )
    except requests.RequestException as error:
        raise UnansweredError(f"{cloud} does not answer ({type(error).__name__}). Run this again.") from None


def aws(service: str, region: str) -> Any:
    """A boto3 client."""
    import boto3  # noqa: PLC0415 - loaded only where AWS is asked

    return boto3.client(service, region_name=region)


def ecr_login(region: str) -> tuple[str, str]:
    """User and password of the account's registry in a region, good for twelve hours."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded only where AWS is asked

    try:
        row = aws("ecr", region).get_authorization_token()["authorizationData"][0]
    except (BotoCoreError, ClientError) as error:
        raise RolloutError(f"AWS gives no login to its registry: {type(error).__name__}.") from None
    user, _, password = base64.b64decode(row["authorizationToken"]).decode().partition(":")
    return user, password


def import_image(
    registry_id: str,
    source: str,
    target: str,
    login: tuple[str, str],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Has an Azure registry fetch an image by its digest, and waits until it has.

    :param registry_id: `/subscriptions/…/registries/NAME`
    :param source: HOST/REPOSITORY@sha256:…
    :param target: REPOSITORY:TAG
    :param login: user and password at the source's host
    :raises RolloutError: it refuses, or is not done within IMPORT_SECONDS
    """
    host, _, image = source.partition("/")
    credentials = {"username": login[0], "password": login[1]}
    body = {
        "source": {"registryUri": host, "sourceImage": image, "credentials": credentials},
        "targetTags": [target],
        "mode": "Force",  # a tag is of one digest: having it already is no error
    }
    url = f"{BASES['azure']}{registry_id.lstrip('/')}/importImage"
    answer = _send("azure", "POST", url, body, {"api-version": REGISTRY_API})
    ends = clock() + IMPORT_SECONDS
    while answer.status_code == requests.codes.accepted and (where := answer.headers.get("Location")):
        if clock() >= ends:
            raise RolloutError(f"Azure's registry did not fetch {image} within {IMPORT_SECONDS:.0f} s.")
        sleep(PAUSE)
        answer = _send("azure", "GET", where, None, {})
    if not answer.ok:
        said = answer.text[:200].replace(login[1], "[secret]") if login[1] else answer.text[:200]
        raise RolloutError(f"Azure's registry did not fetch {image}: {answer.status_code} {said}")
