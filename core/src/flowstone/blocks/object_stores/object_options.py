"""Field types that the blocks of several services share: a customer's key, and tags."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, SecretStr

from flowstone.errors import StorageError
from flowstone.records.redaction import register

if TYPE_CHECKING:
    from collections.abc import Mapping

#: All services use AES-256 with a customer's key.
KEY_BYTES = 32
#: The limits of S3 and Azure: the number of tags, and lengths in characters.
MOST_TAGS, LONGEST_TAG, LONGEST_TAG_VALUE = 10, 128, 256
_KEY_FORM = f"it must be {KEY_BYTES} bytes, as bytes or in Base64"


def _encode_key(value: object) -> object:
    """Return a key of bytes in Base64, as it is saved."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _check_key(value: SecretStr | None) -> SecretStr | None:
    if value is not None and _decode(value.get_secret_value()) is None:
        raise ValueError(_KEY_FORM)
    return value


def _decode(text: str) -> bytes | None:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def _check_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    if len(tags) > MOST_TAGS:
        raise ValueError(f"an object has at most {MOST_TAGS} tags, not {len(tags)}")
    for name, value in tags.items():
        if not 1 <= len(name) <= LONGEST_TAG or len(value) > LONGEST_TAG_VALUE:
            raise ValueError(
                f"a tag's name has 1 to {LONGEST_TAG} characters and its value at most "
                f"{LONGEST_TAG_VALUE}, unlike {name[:40]!r}"
            )
    return tags


#: The type of a field for a customer-supplied key: 32 bytes, as bytes or in Base64; or None.
EncryptionKey: TypeAlias = Annotated[
    SecretStr | None, BeforeValidator(_encode_key), AfterValidator(_check_key)
]
#: The type of a field for the tags of new objects.
Tags: TypeAlias = Annotated[dict[str, str], AfterValidator(_check_tags)]


def read_encryption_key(where: str, secret: SecretStr) -> bytes:
    """Return the bytes of a customer-supplied key, which is masked in all output.

    Args:
        where: the bucket, for error messages.
        secret: the value of a field of the type `EncryptionKey`, possibly a reference.

    Raises:
        StorageError: the secret that a reference names is not a key.
    """
    key = _decode(secret.get_secret_value())
    if key is None:
        remedy = "Store 32 random bytes in Base64 there: `openssl rand -base64 32`."
        raise StorageError(where, f"encryption_key can't be used: {_KEY_FORM}", remedy)
    register(base64.b64encode(key).decode())
    return key
