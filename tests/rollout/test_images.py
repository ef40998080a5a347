"""How an image gets from where it was built to the registries of an environment. Docker and the clouds are fakes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rollout import clouds, images
from rollout.errors import RolloutError
from rollout.images import Images, closure, targets_of
from tests.rollout.fake_cloud import FakeCloud

RELEASE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
SOURCE = "ghcr.io/example/groundwork/app"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"
GAR = "europe-west1-docker.pkg.dev/example/app/app"
ACR = "exampleapp.azurecr.io/app"
ACR_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/exampleapp"
DOCKER = """#!/bin/sh
echo "$*" >>{directory}/said
ls "$DOCKER_CONFIG" >/dev/null || exit 9
case "$*" in
login*) cat >>{directory}/passwords; exit $(cat {directory}/login 2>/dev/null || echo 0);;
*inspect*) cat {directory}/there 2>/dev/null || exit 1; exit 0;;
*create*) cat {directory}/arrives >{directory}/there 2>/dev/null || {{ echo no space >&2; exit 1; }};;
esac
"""


def row(type_: str, name: str, **changed: Any) -> dict[str, Any]:
    return {
        "urn": f"urn:{name}",
        "type": type_,
        "parent": None,
        "provider": None,
        "dependencies": [],
        "propertyDependencies": {},
        **changed,
    }


PLAN: dict[str, Any] = {
    "resources": [
        row("pulumi:pulumi:Stack", "stack"),
        row("pulumi:providers:aws", "provider", parent="urn:stack"),
        row("aws:kms/key:Key", "key", parent="urn:stack", provider="urn:provider::id"),
        row("aws:s3/bucket:Bucket", "bucket", parent="urn:stack", provider="urn:provider", dependencies=["urn:key"]),
        row(
            "aws:ecr/repository:Repository",
            "images",
            parent="urn:stack",
            provider="urn:provider",
            propertyDependencies={"encryptionConfigurations": ["urn:key"]},
        ),
        row("aws:ecs/service:Service", "service", dependencies=["urn:images"]),
    ]
}


class FakeEngine:
    """A stack whose outputs name the registries once it was brought up."""

    def __init__(self, outputs: dict[str, Any], *, is_up: bool = True) -> None:
        self.found, self.is_up, self.targets = outputs, is_up, list[str]()

    def outputs(self) -> dict[str, Any]:
        return self.found if self.is_up else {}

    def state(self) -> bytes:
        return b"{}" if self.is_up else b""

    def resources(self) -> list[dict[str, Any]]:
        return [{"type": images.REGISTRIES[2], "id": ACR_ID}]

    def up(self, targets: Sequence[str]) -> None:
        self.targets += targets
        self.is_up = True


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker`: `there` is the digest that a registry has, `arrives` the one that a copy gets, `said` its words."""
    stub = tmp_path / "bin" / "docker"
    stub.parent.mkdir()
    stub.write_text(DOCKER.format(directory=tmp_path))
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_made-up")
    monkeypatch.setenv("GITHUB_ACTOR", "someone")
    monkeypatch.setattr(clouds, "ecr_login", lambda region: ("AWS", f"aws of {region}"))
    monkeypatch.setattr(clouds, "token", lambda cloud: f"token of {cloud}")
    (tmp_path / "arrives").write_text(RELEASE)
    return tmp_path


def bring(outputs: dict[str, Any], plan: dict[str, Any] = PLAN, *, is_up: bool = True) -> tuple[str, FakeEngine]:
    engine = FakeEngine(outputs, is_up=is_up)
    return Images(SOURCE).bring(plan, RELEASE, engine.up, engine), engine  # type: ignore[arg-type] # as much of an engine as is asked


def said(docker: Path) -> list[str]:
    return (docker / "said").read_text().splitlines()


def test_a_registry_comes_up_first_with_what_it_needs_and_nothing_else(docker: Path) -> None:
    _done, engine = bring({"aws": {"registry": ECR}}, is_up=False)
    assert engine.targets == ["urn:stack", "urn:provider", "urn:key", "urn:images"]
    _done, engine = bring({"aws": {"registry": ECR}})
    assert engine.targets == []


def test_needs_come_before_what_needs_them() -> None:
    assert closure(PLAN, ["urn:service"])[-2:] == ["urn:images", "urn:service"]
    assert "urn:bucket" not in closure(PLAN, ["urn:service"])


def test_an_image_is_copied_byte_for_byte_by_its_digest(docker: Path) -> None:
    done, _engine = bring({"aws": {"registry": ECR}})
    assert done == f"{ECR.partition('/')[0]} got it"
    copy = next(line for line in said(docker) if "create" in line)
    tag = f"{ECR}:release-111111111111"
    assert copy == f"buildx imagetools create --prefer-index=false --tag {tag} {SOURCE}@{RELEASE}"
    assert said(docker)[-1].endswith(tag)


@pytest.mark.parametrize(
    ("target", "user", "password"),
    [(ECR, "AWS", "aws of eu-west-1"), (GAR, "oauth2accesstoken", "token of gcp")],
)
def test_passwords_go_by_standard_input_alone(docker: Path, target: str, user: str, password: str) -> None:
    bring({"one": {"registry": target}})
    assert said(docker)[0] == "login --username someone --password-stdin ghcr.io"
    assert said(docker)[1] == f"login --username {user} --password-stdin {target.partition('/')[0]}"
    assert (docker / "passwords").read_text() == f"ghs_made-up{password}"
    assert password not in (docker / "said").read_text()


def test_an_image_that_is_there_is_not_copied_again(docker: Path) -> None:
    (docker / "there").write_text(f"{RELEASE}\n")
    done, _engine = bring({"aws": {"registry": ECR}})
    assert done.endswith("had it")
    assert not [line for line in said(docker) if "create" in line]


def test_what_arrives_with_another_digest_stops(docker: Path) -> None:
    (docker / "arrives").write_text(OTHER)
    with pytest.raises(RolloutError, match=f"What arrived at .* is {OTHER}, not {RELEASE}"):
        bring({"aws": {"registry": ECR}})


def test_a_copy_that_fails_and_a_login_that_is_refused_are_sentences(docker: Path) -> None:
    (docker / "arrives").unlink()
    with pytest.raises(RolloutError, match=r"was not copied to 123456789012.*no space"):
        bring({"aws": {"registry": ECR}})
    (docker / "login").write_text("1")
    with pytest.raises(RolloutError, match=r"The registry ghcr\.io refuses someone"):
        bring({"aws": {"registry": ECR}})


@pytest.mark.parametrize("target", ["example.com/app", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.com/app"])
def test_a_registry_that_nobody_knows_gets_no_password(docker: Path, target: str) -> None:
    with pytest.raises(RolloutError, match="Nobody knows how to log in"):
        bring({"aws": {"registry": target}})
    assert (docker / "passwords").read_text() == "ghs_made-up"


@pytest.mark.parametrize("target", ["-v/app", "host/app@sha256:1", "host/app --x", "host", "https://host/app", 7])
def test_an_output_that_is_no_repository_is_refused(target: Any) -> None:
    with pytest.raises(RolloutError, match="is no repository of images"):
        targets_of({"aws": {"registry": target}})


def test_a_source_that_is_no_repository_is_refused(docker: Path) -> None:
    engine = FakeEngine({})
    with pytest.raises(RolloutError, match="is no repository of images"):
        Images("--help").bring(PLAN, RELEASE, engine.up, engine)  # type: ignore[arg-type] # as much of an engine as is asked


def test_each_declared_registry_has_to_be_named(docker: Path) -> None:
    with pytest.raises(RolloutError, match="1 registries are declared, and the stack's outputs name 0"):
        bring({"aws": {"url": "x"}, "more": "text"})
    done, _engine = bring({}, {"resources": []})
    assert done == "the stack has no registry"


def test_without_docker_nothing_is_copied(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RolloutError, match="docker cannot be run"):
        bring({"aws": {"registry": ECR}})


# Azure's registry has no address that a runner reaches


@pytest.fixture
def azure(docker: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    with FakeCloud() as cloud:
        monkeypatch.setitem(clouds.BASES, "azure", f"{cloud.url}/")
        monkeypatch.setattr(clouds, "PAUSE", 0)
        yield cloud


def test_azures_registry_fetches_the_image_itself_and_is_waited_for(azure: FakeCloud, docker: Path) -> None:
    looks: Iterator[Any] = iter([(202, {"Location": f"{azure.url}/operations/1"}, {}), (200, {}, {})])
    azure.answers[f"POST {ACR_ID}/importImage"] = (202, {"Location": f"{azure.url}/operations/1"}, {})
    azure.answers["GET /operations/1"] = lambda: next(looks)
    done, _engine = bring({"azure": {"registry": ACR}})
    assert done == "exampleapp.azurecr.io fetched it"
    what, authorization, body = azure.requests[0]
    assert what == f"POST {ACR_ID}/importImage?api-version=2023-07-01"
    assert authorization == "Bearer token of azure"
    assert body["source"]["registryUri"] == "ghcr.io"
    assert body["source"]["sourceImage"] == f"example/groundwork/app@{RELEASE}"
    assert body["targetTags"] == ["app:release-111111111111"]
    assert len(azure.requests) == 3
    assert not (docker / "said").exists()


def test_an_import_that_fails_is_told_without_the_password(azure: FakeCloud) -> None:
    azure.answers[f"POST {ACR_ID}/importImage"] = (403, {}, {"error": {"message": "no ghs_made-up"}})
    with pytest.raises(RolloutError, match="403") as raised:
        bring({"azure": {"registry": ACR}})
    assert "ghs_made-up" not in str(raised.value)


def test_the_token_does_not_follow_azure_to_another_host(azure: FakeCloud) -> None:
    azure.answers[f"POST {ACR_ID}/importImage"] = (202, {"Location": "http://127.0.0.1:9/elsewhere"}, {})
    with pytest.raises(RolloutError, match="another host"):
        bring({"azure": {"registry": ACR}})


def test_an_import_without_end_is_given_up(azure: FakeCloud) -> None:
    azure.answers[f"POST {ACR_ID}/importImage"] = (202, {"Location": f"{azure.url}/operations/1"}, {})
    azure.answers["GET /operations/1"] = (202, {"Location": f"{azure.url}/operations/1"}, {})
    times = iter(range(0, 10_000, 500))
    with pytest.raises(RolloutError, match="within 900 s"):
        clouds.import_image(
            ACR_ID, f"{SOURCE}@{RELEASE}", "app:x", ("a", "b"), clock=lambda: next(times), sleep=lambda _seconds: None
        )


def test_a_cloud_where_nobody_is_logged_in_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise ValueError("a tree of errors")

    monkeypatch.setattr(clouds, "_google", nobody)
    with pytest.raises(RolloutError, match="Nobody is logged in to gcp"):
        clouds.token("gcp")


def test_a_repository_of_the_project_is_one(docker: Path) -> None:
    assert targets_of({"aws": {"registry": ECR}, "gcp": {"registry": GAR}, "azure": {"registry": ACR}, "x": 1}) == [
        ECR,
        GAR,
        ACR,
    ]
