"""The passphrase format, held against values that Pulumi's own code wrote and, where Go is, against that code."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud import project, secrets
from localcloud.secrets import Passphrase, SecretsError, new_salt, passphrase

# Written by Pulumi: pkg/secrets/passphrase/manager_test.go, and a stack's file in tests/roundtrip/roundtrip_test.go.
WRITTEN_BY_PULUMI = ("password", "v1:fozI5u6B030=:v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ==")
STACK = ("TestConfigRoundtripComments", "v1:ThS5UPxP9qc=:v1:UZYAXF+ylaJ0rGhv:9OTvBnOEDFgxs7btjzSu+LZ470vLpg==")
STACK_SECRET = "v1:T1ftqhY0hqr+EJK6:+jvd5PMecFx80tcavzuZY4tLatgIfoe/xR72GA=="


@pytest.fixture(autouse=True)
def _no_passphrase_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)


def test_a_secret_that_pulumi_wrote_is_opened() -> None:
    assert Passphrase(*STACK).decrypt(STACK_SECRET) == "secret-value"


def test_a_salt_that_pulumi_wrote_is_taken() -> None:
    keys = Passphrase(*WRITTEN_BY_PULUMI)
    assert keys.decrypt(keys.encrypt("text")) == "text"


def test_what_is_written_here_opens_by_the_documented_algorithm_alone() -> None:
    salt = new_salt("correct horse")
    version, encoded, *check = salt.split(":")
    assert version == "v1"
    assert len(base64.b64decode(encoded)) == 8
    key = hashlib.pbkdf2_hmac("sha256", b"correct horse", base64.b64decode(encoded), 1_000_000, 32)

    def opened(text: str) -> bytes:
        form, nonce, sealed = text.split(":")
        assert form == "v1"
        assert len(base64.b64decode(nonce)) == 12
        return AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(sealed), None)

    assert opened(":".join(check)) == b"pulumi"
    assert opened(Passphrase("correct horse", salt).encrypt("grüße")) == "grüße".encode()


def test_two_salts_and_two_encryptions_of_one_text_differ() -> None:
    keys = Passphrase(*STACK)
    assert keys.encrypt("text") != keys.encrypt("text")
    assert new_salt("one").split(":")[1] != new_salt("one").split(":")[1]


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    keys = Passphrase(*STACK)
    assert keys.decrypt(keys.encrypt(text)) == text


def test_a_wrong_passphrase_is_told_in_a_sentence_that_does_not_show_it() -> None:
    keys = Passphrase("not-the-one", STACK[1])
    for attempt, text in ((keys.decrypt, STACK_SECRET), (keys.encrypt, "text")):
        with pytest.raises(SecretsError, match=r"stack's secrets\. Set PULUMI_CONFIG_PASSPHRASE") as caught:
            attempt(text)
        assert "not-the-one" not in str(caught.value)


def changed(ciphertext: str) -> str:
    """The ciphertext with one bit of its last byte turned."""
    start, _, encoded = ciphertext.rpartition(":")
    data = bytearray(base64.b64decode(encoded))
    data[-1] ^= 1
    return f"{start}:{base64.b64encode(bytes(data)).decode()}"


@pytest.mark.parametrize(
    ("ciphertext", "sentence"),
    [
        (changed(STACK_SECRET), "it was changed"),
        pytest.param(Passphrase(*WRITTEN_BY_PULUMI).encrypt("text"), "under another salt", id="another salt"),
        ("v2" + STACK_SECRET[2:], "not of Pulumi's form v1:NONCE:CIPHERTEXT"),
        ("v1:abc", "not of Pulumi's form"),
        ("v1:T1ftqhY0hqr+EJK6:not base64!", "holds no base64"),
        ("v1:T1ftqhY0:" + STACK_SECRET.rpartition(":")[2], "nonce of 6 bytes in place of 12"),
        ("", "not of Pulumi's form"),
    ],
)
def test_a_ciphertext_that_is_not_ours_is_refused(ciphertext: str, sentence: str) -> None:
    with pytest.raises(SecretsError, match=sentence):
        Passphrase(*STACK).decrypt(ciphertext)


@pytest.mark.parametrize("salt", ["", "v1", "v1:x", "v2" + STACK[1][2:], "v1:not base64!:v1:a:b"])
def test_a_salt_of_another_form_is_refused(salt: str) -> None:
    with pytest.raises(SecretsError, match="encryption salt is not of Pulumi's form"):
        Passphrase("password", salt)


def test_the_key_is_derived_once_and_only_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    derive, calls, lock = hashlib.pbkdf2_hmac, [], threading.Lock()

    def counted(name: str, password: bytes, salt: bytes, iterations: int, length: int) -> bytes:
        with lock:
            calls.append(iterations)
        return derive(name, password, salt, iterations, length)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counted)
    secrets._key.cache_clear()
    keys = Passphrase(*STACK)
    assert calls == []
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(keys.decrypt, [STACK_SECRET] * 32)) == {"secret-value"}
    assert Passphrase(*STACK).decrypt(STACK_SECRET) == "secret-value"
    assert calls == [1_000_000]


def test_a_stacks_secret_settings_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", STACK[0])
    (tmp_path / "Pulumi.yaml").write_text("name: foo\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(
        f"encryptionsalt: {STACK[1]}\nconfig:\n  foo:d:\n    secure: {STACK_SECRET}\n  foo:e: E\n"
    )
    loaded = project.load(tmp_path, "dev")
    assert loaded.config == {"foo:d": "secret-value", "foo:e": "E"}
    assert loaded.secret_keys == {"foo:d"}


def test_the_variable_comes_before_the_files_even_when_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "named").write_text(" from the file \n")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "named"))
    assert passphrase(tmp_path / "own") == "from the file"
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    assert passphrase(tmp_path / "own") == ""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", " kept as it is ")
    assert passphrase(tmp_path / "own") == " kept as it is "
    assert not (tmp_path / "own").exists()


def test_a_named_file_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "absent"))
    with pytest.raises(
        SecretsError, match=r"PULUMI_CONFIG_PASSPHRASE_FILE names .*absent, which cannot be read: No such"
    ):
        passphrase(tmp_path / "own")


def test_a_passphrase_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "passphrase"
    before = os.umask(0)
    try:
        first = passphrase(path)
    finally:
        os.umask(before)
    assert len(first) >= 40
    assert passphrase(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["passphrase"]


def test_a_passphrase_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("kept\n")
    path.chmod(0o644)
    assert passphrase(path) == "kept"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_processes_that_start_at_once_agree_on_one_passphrase(tmp_path: Path) -> None:
    with get_context("spawn").Pool(4) as pool:
        found = pool.map(passphrase, [tmp_path / "passphrase"] * 16, chunksize=1)
    assert len(set(found)) == 1


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_passphrase_file_is_not_taken_for_a_passphrase(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "passphrase").write_bytes(content)
    with pytest.raises(SecretsError, match="is empty"):
        passphrase(tmp_path / "passphrase")


def test_a_place_that_cannot_hold_the_passphrase_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecretsError, match="cannot be made: Not a directory"):
        passphrase(tmp_path / "file" / "deep" / "passphrase")
