"""Private keys: PEM or DER, with or without a passphrase, converted to DER for the connector."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING

from flowstone.errors import CredentialsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

WHERE = "Snowflake"
_FORMS = "Pass an RSA key in PEM, or in DER (PKCS 8) as base64 or in a file."


def encode_key(key: str | bytes) -> str:
    """Return a key as text: PEM unchanged, DER as base64."""
    if isinstance(key, str):
        return key
    return key.decode() if key.lstrip().startswith(b"-----") else base64.b64encode(key).decode()


def read_key_file(path: Path) -> bytes:
    """Return the content of a file with a key.

    Raises:
        CredentialsError: it can't be read.
    """
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        problem = f"private_key_path {str(path)!r} can't be read: {error.strerror}"
        raise CredentialsError(WHERE, problem, "Check the path and its permissions.") from error


def decode_key(key: str | bytes, passphrase: str | None) -> bytes:
    """Return a private key as DER, unencrypted.

    Args:
        key: PEM or DER; as text also with escaped line breaks, or DER as base64.
        passphrase: the passphrase of an encrypted key; None without one.

    Raises:
        CredentialsError: it is not a private key, or the passphrase is missing or wrong.
    """
    from cryptography.hazmat.primitives import serialization  # loads a library of 10 MB

    loaded = _load_key(key, passphrase.encode() if passphrase else None)
    return loaded.private_bytes(
        encoding=serialization.Encoding.DER,
        format=serialization.PrivateFormat.PKCS8,
        encryption_algorithm=serialization.NoEncryption(),
    )


def _load_key(key: str | bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm  # see above
    from cryptography.hazmat.primitives import serialization  # see above

    content = _find_content(key)
    is_pem = content.startswith(b"-----")
    load = serialization.load_pem_private_key if is_pem else serialization.load_der_private_key
    try:
        return load(content, passphrase)
    except TypeError as error:
        problem, remedy = "the private key is encrypted", "Set private_key_passphrase."
        if passphrase is not None:
            problem = "the private key is not encrypted, and a passphrase was given"
            remedy = "Remove private_key_passphrase."
        found = CredentialsError(WHERE, problem, remedy)
        found.__cause__ = error
    except (ValueError, UnsupportedAlgorithm):
        # The library's message may quote the key.
        problem = "the private key can't be read"
        if passphrase is not None:
            problem += ", or private_key_passphrase is wrong"
        found = CredentialsError(WHERE, problem, _FORMS)
    raise found


def _find_content(key: str | bytes) -> bytes:
    content = (key if isinstance(key, bytes) else key.encode()).strip()
    if content.startswith(b"-----"):
        return content.replace(b"\\n", b"\n")
    if isinstance(key, bytes):
        return key
    try:
        return base64.b64decode(content, validate=False)
    except binascii.Error:
        return content
