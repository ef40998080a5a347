"""Secrets in state and configuration, encrypted as Pulumi's passphrase secrets manager does.

What is encrypted here the Pulumi CLI opens with the same passphrase, and the other way round. The format is that of
pulumi's pkg/secrets/passphrase and sdk/go/common/resource/config/crypt.go: the key is PBKDF2-HMAC-SHA256 of the
passphrase over an 8-byte salt, a value is AES-256-GCM under a 12-byte nonce.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import os
import secrets
import threading
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from localcloud.errors import LocalcloudError

ITERATIONS = 1_000_000
SALT_BYTES = 8
NONCE_BYTES = 12
KEY_BYTES = 32
CHECK = "pulumi"  # the text whose encryption goes with the salt and tells whether a passphrase is the right one


class SecretsError(LocalcloudError):
    """A secret that cannot be opened, or a passphrase that cannot be had."""


def new_salt(passphrase: str) -> str:
    """A new `encryptionsalt` (in state: `secrets_providers.state.salt`) for a passphrase; takes the time of a key."""
    salt = os.urandom(SALT_BYTES)
    return f"v1:{_text(salt)}:{_sealed(_key(passphrase, salt), CHECK)}"


class Passphrase:
    """A passphrase with a stack's salt. Any thread may use it; the key is derived once, when it is first needed."""

    def __init__(self, passphrase: str, salt: str) -> None:
        version, _, rest = salt.partition(":")
        encoded, _, self._check = rest.partition(":")
        if version != "v1" or not self._check:
            raise SecretsError("The encryption salt is not of Pulumi's form v1:SALT:v1:NONCE:CIPHERTEXT.")
        self.salt = salt
        self._bytes = _bytes(encoded, "The encryption salt")
        self._passphrase = passphrase
        self._lock = threading.Lock()
        self._derived: bytes | None = None

    def encrypt(self, text: str) -> str:
        """`v1:NONCE:CIPHERTEXT`, another one at each call."""
        return _sealed(self._key(), text)

    def decrypt(self, ciphertext: str) -> str:
        """The text in clear; raises SecretsError for a wrong passphrase and for a changed ciphertext."""
        key = self._key()
        try:
            return _opened(key, ciphertext)
        except (InvalidTag, UnicodeDecodeError):
            raise SecretsError(
                "A secret cannot be decrypted: it was changed, or encrypted under another salt. Set it anew."
            ) from None

    def _key(self) -> bytes:
        with self._lock:
            if self._derived is None:
                key = _key(self._passphrase, self._bytes)
                try:
                    right = _opened(key, self._check) == CHECK
                except InvalidTag:
                    right = False
                if not right:
                    raise SecretsError(
                        "The passphrase does not open the stack's secrets. Set PULUMI_CONFIG_PASSPHRASE, or "
                        "PULUMI_CONFIG_PASSPHRASE_FILE, to the one that they were encrypted with."
                    )
                self._derived = key
            return self._derived


def passphrase(path: Path) -> str:
    """The passphrase: PULUMI_CONFIG_PASSPHRASE, the file PULUMI_CONFIG_PASSPHRASE_FILE names, else the file `path`.

    As for the CLI, a variable that is set counts even when empty, and white space around a file's text does not. The
    file `path` is made when it is missing, with a random passphrase, readable by its owner alone.
    """
    if (text := os.environ.get("PULUMI_CONFIG_PASSPHRASE")) is not None:
        return text
    if named := os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return _read(Path(named), f"PULUMI_CONFIG_PASSPHRASE_FILE names {named}, which")
    try:
        if not path.exists():
            _create(path)
        path.chmod(0o600)
    except OSError as error:
        raise SecretsError(f"The passphrase file {path} cannot be made: {error.strerror}.") from error
    text = _read(path, f"The passphrase file {path}")
    if not text:
        raise SecretsError(
            f"The passphrase file {path} is empty. Restore it, or remove it together with the stacks encrypted with it."
        )
    return text


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SecretsError(f"{what} cannot be read: {reason}.") from error


def _create(path: Path) -> None:
    """Makes the file whole or not at all; of several processes that try at once, one wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


@functools.lru_cache(maxsize=8)
def _key(passphrase: str, salt: bytes) -> bytes:
    # A variable's bytes that are not UTF-8 reach Python as surrogates; the CLI takes the bytes.
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(errors="surrogateescape"), salt, ITERATIONS, KEY_BYTES)


def _sealed(key: bytes, text: str) -> str:
    nonce = os.urandom(NONCE_BYTES)
    return f"v1:{_text(nonce)}:{_text(AESGCM(key).encrypt(nonce, text.encode(), None))}"


def _opened(key: bytes, ciphertext: str) -> str:
    """The text in clear; raises InvalidTag when it is not what was encrypted under the key."""
    parts = ciphertext.split(":")
    if len(parts) != 3 or parts[0] != "v1":
        raise SecretsError("A secret is not of Pulumi's form v1:NONCE:CIPHERTEXT.")
    nonce, sealed = (_bytes(part, "A secret") for part in parts[1:])
    if len(nonce) != NONCE_BYTES:
        raise SecretsError(f"A secret has a nonce of {len(nonce)} bytes in place of {NONCE_BYTES}.")
    return AESGCM(key).decrypt(nonce, sealed, None).decode()


def _bytes(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SecretsError(f"{what} is not of Pulumi's form: it holds no base64.") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
