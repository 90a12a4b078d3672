"""The secrets of saved blocks, to check values that are about to be saved in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import from_json

from flowstone.blocks import codec
from flowstone.blocks.documents import PREFIX
from flowstone.context.current import services
from flowstone.errors import SecretKeyInvalid, SecretUnreadable
from flowstone.ports.paging import iterate_documents
from flowstone.records.redaction import register
from flowstone.secrets.walk import leaf_texts

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Tokens whose secrets are registered already: opening them is the slow part.
_opened: set[str] = set()


def register_saved_secrets() -> None:
    """Register the secrets of all saved blocks in this process, as if it had loaded the blocks.

    Secrets whose key is missing are skipped. References are not resolved.
    """
    sealer = services().sealer

    def register_token(token: str, purpose: str) -> str:
        if token not in _opened:
            try:
                clear = sealer.open(token, purpose)
            except (SecretKeyInvalid, SecretUnreadable):
                return token
            for text in _list_texts(clear):
                register(text)
            _opened.add(token)
        return token

    for document in iterate_documents(services().documents, PREFIX, prefix=True):
        codec.reseal(document.body, document.kind, register_token)


def _list_texts(clear: bytes) -> Iterable[str]:
    try:
        return leaf_texts(from_json(clear))
    except ValueError:  # a secret of bytes is sealed as it is
        return leaf_texts(clear)
