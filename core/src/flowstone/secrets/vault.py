"""The vault: seals secrets with AES-256-GCM, with a key from the settings or from a file."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from flowstone.errors import SecretKeyInvalid, SecretUnreadable
from flowstone.secrets.key_file import KEY_BYTES, KeyFile, decode_key

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.settings import Settings

#: A token is ``fs1.<key id>.<nonce and ciphertext, base64>``.
SCHEME = "fs1"
NONCE_BYTES = 12
SHORTEST_PASSPHRASE = 16
#: A passphrase has no place to store a salt; so the salt is fixed.
SALT = b"flowstone secret key, version 1"
#: Seals the secrets in golden documents, which are made up: any test run can open them.
GOLDEN_KEY = "golden documents hold no secrets of anybody"


def read_key_id(token: str) -> str:
    """Return the id of the key that a token was sealed with; empty if it is not a token."""
    scheme, _, rest = token.partition(".")
    return rest.partition(".")[0] if scheme == SCHEME else ""


class _Key(NamedTuple):
    id: str
    cipher: Any


class _Ring(NamedTuple):
    """The keys of a process: all of them open, the first one seals; and the state of their file."""

    keys: tuple[_Key, ...]
    stamp: object

    def key(self, key_id: str) -> _Key | None:
        return next((key for key in self.keys if key.id == key_id), None)


class Vault:
    """Implements the `Sealer` port.

    The key is ``settings.secret_key``: base64 of 32 bytes, or a passphrase of 16 or more
    characters, stretched with scrypt; ``settings.secret_key_old`` can open, too. Without a setting,
    the keys are in ``<home>/secret.key``, readable only by its owner, one per line; the first one
    seals. The file is created when something is first sealed. Nothing is read before that.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._ring: _Ring | None = None

    @property
    def file(self) -> KeyFile:
        """The key file, for use when no setting has a key."""
        return KeyFile(self._settings.home / "secret.key")

    @property
    def path(self) -> Path:
        """The path of that file."""
        return self.file.path

    def key(self) -> str:
        """Return the id of the key that seals; create a key if there is none."""
        return self._load_keys(make=True).keys[0].id

    def seal(self, value: bytes, purpose: str) -> str:
        """Return a token that only `open`, with the same purpose and key, can read."""
        key = self._load_keys(make=True).keys[0]
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + key.cipher.encrypt(nonce, value, purpose.encode())
        return f"{SCHEME}.{key.id}.{urlsafe_b64encode(sealed).decode()}"

    def open(self, token: str, purpose: str) -> bytes:
        """Return the value that was sealed.

        Raises:
            SecretKeyInvalid: the key can't be used.
            SecretUnreadable: it was sealed with another key or purpose, or was modified.
        """
        # Takes 30 ms to import; only needed to open a secret.
        from cryptography.exceptions import InvalidTag

        ring = self._load_keys(make=False)
        scheme, _, rest = token.partition(".")
        key_id, _, body = rest.partition(".")
        if scheme != SCHEME:
            raise SecretUnreadable(f"for {purpose}", "it was not encrypted by Flowstone")
        key = ring.key(key_id)
        if key is None:
            raise SecretUnreadable(f"for {purpose}", self._describe_lack(key_id, ring), key=key_id)
        try:
            sealed = urlsafe_b64decode(body)
            clear: bytes = key.cipher.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode()
            )
        except (InvalidTag, NotBase64, ValueError):
            problem = "it was changed, or encrypted for another purpose"
            raise SecretUnreadable(f"for {purpose}", problem) from None
        return clear

    def _describe_lack(self, key_id: str, ring: _Ring) -> str:
        if not ring.keys:
            return f"it was encrypted with key {key_id}, and there is no key file {self.path}"
        own = ", ".join(key.id for key in ring.keys)
        keys = f"key of this process is {own}" if len(ring.keys) == 1 else f"keys here are {own}"
        return f"it was encrypted with key {key_id}, and the {keys}"

    def _load_keys(self, *, make: bool) -> _Ring:
        """Return the keys; read the file again if it has changed, as by a rotation."""
        with self._lock:
            # Before reading the file, so that a change in between is noticed the next time.
            stamp = None if self._settings.secret_key is not None else self.file.stamp()
            if self._ring is None or self._ring.stamp != stamp:
                if self._settings.secret_key is None and stamp is None and make:
                    self.file.make()
                    stamp = self.file.stamp()
                raw = self._raw(is_there=stamp is not None)
                self._ring = _Ring(tuple(map(_key, raw)), stamp)
            if make and not self._ring.keys:
                self._ring = None
                raise SecretKeyInvalid(str(self.path), "it no longer exists")
            return self._ring

    def _raw(self, *, is_there: bool) -> list[bytes]:
        own, old = self._settings.secret_key, self._settings.secret_key_old
        before = [] if old is None else [_from_setting(old, "FLOWSTONE_SECRET_KEY_OLD")]
        if own is not None:
            return [_from_setting(own, "FLOWSTONE_SECRET_KEY"), *before]
        return [*(self.file.read() if is_there else []), *before]


def _key(raw: bytes) -> _Key:
    # Takes 30 ms to import; only needed to seal a secret.
    from hashlib import sha256

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return _Key(sha256(b"flowstone key id" + raw).hexdigest()[:8], AESGCM(raw))


def _from_setting(text: str, variable: str) -> bytes:
    if (raw := decode_key(text)) is not None:
        return raw
    if len(text) < SHORTEST_PASSPHRASE:
        problem = "it is neither base64 of 32 bytes nor a passphrase of 16 or more characters"
        raise SecretKeyInvalid(variable, problem)
    from hashlib import scrypt  # loads OpenSSL: 5 ms, see above

    return scrypt(text.encode(), salt=SALT, n=2**14, r=8, p=1, dklen=KEY_BYTES)
