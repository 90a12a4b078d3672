"""The vault: seals secrets with AES-256-GCM, by a key from the settings or from a file at home."""

from __future__ import annotations

import os
import stat
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from flowstone.errors import SecretKeyInvalid, SecretUnreadable, StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.settings import Settings

#: A token is ``fs1.<key id>.<nonce and ciphertext, base64>``.
SCHEME = "fs1"
KEY_BYTES = 32
NONCE_BYTES = 12
SHORTEST_PASSPHRASE = 16
#: There is no place to keep a salt where the passphrase is all there is; it is ours, and fixed.
SALT = b"flowstone secret key, version 1"


def sealed_with(token: str) -> str:
    """Return the id of the key that a token was sealed with; empty for what is no token."""
    scheme, _, rest = token.partition(".")
    return rest.partition(".")[0] if scheme == SCHEME else ""


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    cipher: Any


class Vault:
    """Fills the `Secrets` port.

    The key is ``settings.secret_key``: base64 of 32 bytes, or a passphrase of 16 or more
    characters, stretched by scrypt. Without one it is ``<home>/secret.key``, readable by its owner
    only, which is made when something is first sealed. Nothing is read before that.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._key: _Key | None = None

    @property
    def path(self) -> Path:
        """Where the key file is, if there is one."""
        return self._settings.home / "secret.key"

    def seal(self, value: bytes, purpose: str) -> str:
        """Return a token that only `open`, with the same purpose and key, can read."""
        key = self._ready(make=True)
        assert key is not None
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + key.cipher.encrypt(nonce, value, purpose.encode())
        return f"{SCHEME}.{key.id}.{urlsafe_b64encode(sealed).decode()}"

    def open(self, token: str, purpose: str) -> bytes:
        """Return what was sealed.

        Raises:
            SecretKeyInvalid: the key can't be used.
            SecretUnreadable: it was sealed with another key or purpose, or was changed.
        """
        # Costs 30 ms; a process that opens no secret must not pay it.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        key = self._ready(make=False)
        scheme, _, rest = token.partition(".")
        key_id, _, body = rest.partition(".")
        if scheme != SCHEME:
            raise SecretUnreadable(f"for {purpose}", "it is not a token of this Flowstone's")
        if key is None:
            problem = f"it was sealed with key {key_id}, and there is no key file {self.path}"
            raise SecretUnreadable(f"for {purpose}", problem, key=key_id)
        if key_id != key.id:
            problem = f"it was sealed with key {key_id}, and the key of this process is {key.id}"
            raise SecretUnreadable(f"for {purpose}", problem, key=key_id)
        try:
            sealed = urlsafe_b64decode(body)
            clear: bytes = key.cipher.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode()
            )
        except (InvalidTag, NotBase64, ValueError):
            problem = "it was changed since, or sealed for something else"
            raise SecretUnreadable(f"for {purpose}", problem) from None
        return clear

    def _ready(self, *, make: bool) -> _Key | None:
        with self._lock:
            if self._key is None:
                raw = self._raw(make=make)
                if raw is None:
                    return None
                # Cost 30 ms; a process that seals no secret must not pay it.
                from hashlib import sha256  # noqa: PLC0415

                from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

                key_id = sha256(b"flowstone key id" + raw).hexdigest()[:8]
                self._key = _Key(key_id, AESGCM(raw))
            return self._key

    def _raw(self, *, make: bool) -> bytes | None:
        text = self._settings.secret_key
        if text is not None:
            return _from_setting(text)
        if not self.path.exists():
            if not make:
                return None
            self._make()
        return self._read()

    def _read(self) -> bytes:
        path = self.path
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            raw_text = path.read_bytes()
        except OSError as error:
            problem = f"it can't be read ({error.strerror})"
            raise SecretKeyInvalid(str(path), problem) from error
        if os.name == "posix" and mode & 0o077:
            problem = f"others may read it (mode {mode:04o}); run `chmod 600 {path}`"
            raise SecretKeyInvalid(str(path), problem)
        raw = _decoded(raw_text.decode("ascii", "replace").strip())
        if raw is None:
            raise SecretKeyInvalid(str(path), "it does not hold base64 of 32 bytes")
        return raw

    def _make(self) -> None:
        """Make the key file whole or not at all; of several processes, one wins."""
        path = self.path
        draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with os.fdopen(
                    os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
                ) as file:
                    file.write(urlsafe_b64encode(os.urandom(KEY_BYTES)) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.link(draft, path)
            except FileExistsError:
                pass  # somebody else was first; theirs is the key
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnusable(
                str(path),
                f"the key that seals secrets can't be kept there ({error.strerror})",
                "Make the directory writable, or set FLOWSTONE_SECRET_KEY.",
            ) from error


def _from_setting(text: str) -> bytes:
    if (raw := _decoded(text)) is not None:
        return raw
    if len(text) < SHORTEST_PASSPHRASE:
        problem = "it is neither base64 of 32 bytes nor a passphrase of 16 or more characters"
        raise SecretKeyInvalid("FLOWSTONE_SECRET_KEY", problem)
    from hashlib import scrypt  # noqa: PLC0415 - loads OpenSSL: 5 ms, see above

    return scrypt(text.encode(), salt=SALT, n=2**14, r=8, p=1, dklen=KEY_BYTES)


def _decoded(text: str) -> bytes | None:
    try:
        raw = b64decode(text.encode().translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except NotBase64:
        return None
    return raw if len(raw) == KEY_BYTES else None
