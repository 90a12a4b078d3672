"""Key rotation: reseal every saved secret with a new key; old keys can still open secrets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flowstone.blocks import codec
from flowstone.errors import ConfigurationError, ObjectNotFound, SecretUnreadable, StaleDocument
from flowstone.ports.paging import iterate_documents
from flowstone.secrets.vault import Vault, read_key_id

if TYPE_CHECKING:
    from flowstone.ports import DocumentStore
    from flowstone.records.documents import Document
    from flowstone.settings import Settings


@dataclass(slots=True)
class Rotation:
    """The result of a rotation.

    Attributes:
        key: the id of the key that seals now.
        resumed: whether it finished an earlier rotation and used that one's key.
        resealed: the documents that were sealed again.
        unreadable: the documents with a secret that no key opens; they are unchanged.
        dropped: the number of old keys that were deleted.
    """

    key: str = ""
    resumed: bool = False
    resealed: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    dropped: int = 0


def rotate_file(documents: DocumentStore, settings: Settings, *, drop_old: bool) -> Rotation:
    """Create a new key in the key file, and seal all secrets with it.

    It may be interrupted at any point, and run again: keys are saved before they seal anything,
    and a document is replaced as a whole, only if it has not changed since it was read.

    Args:
        documents: the store of the secrets.
        settings: the settings, which name the key file.
        drop_old: delete the keys that no longer seal anything in this store; what they have
            sealed elsewhere, as in a backup, can't be read any more.

    Raises:
        SecretKeyInvalid: the key file can't be used.
        StoreUnusable: it can't be written.
    """
    vault = Vault(settings)
    vault.key()
    with vault.file.lock():
        found = Rotation(resumed=vault.file.is_unfinished())
        if not found.resumed:
            vault.file.begin()
        _seal_anew(documents, vault, found)
        keys = len(vault.file.read())
        vault.file.finish(keys=1 if drop_old else None)
        found.dropped = keys - len(vault.file.read())
    return found


def rotate_setting(
    documents: DocumentStore, settings: Settings, new_key: str | None = None
) -> Rotation:
    """Seal all secrets with the key in the settings, or with a new one that will be set there.

    Raises:
        ConfigurationError: there is no key other than the one that seals already.
        SecretKeyInvalid: a key can't be used.
    """
    if new_key is not None:
        settings = replace(settings, secret_key=new_key, secret_key_old=settings.secret_key)
    if settings.secret_key_old is None:
        raise ConfigurationError(
            "FLOWSTONE_SECRET_KEY",
            "it has the only key, and a process can't change the environment of others",
            "Set it to a new key, and FLOWSTONE_SECRET_KEY_OLD to the one it has now, wherever "
            "flows run; then do this again. Or name the new one by --new-key.",
        )
    vault = Vault(settings)
    found = Rotation()
    _seal_anew(documents, vault, found)
    return found


def _seal_anew(documents: DocumentStore, vault: Vault, found: Rotation) -> None:
    """Seal every document with the current key, including those saved while it runs."""
    found.key = vault.key()
    while True:
        others = [
            each
            for each in iterate_documents(documents, "", prefix=True)
            if _has_others(each, found)
        ]
        if not others:
            return
        for document in others:
            _replace(documents, vault, document, found)


def _has_others(document: Document, found: Rotation) -> bool:
    if _describe(document) in found.unreadable:
        return False
    return any(read_key_id(token) != found.key for token in codec.tokens(document.body))


def _replace(documents: DocumentStore, vault: Vault, document: Document, found: Rotation) -> None:
    def again(token: str, purpose: str) -> str:
        if read_key_id(token) == found.key:
            return token
        try:
            return vault.seal(vault.open(token, purpose), purpose)
        except SecretUnreadable:
            found.unreadable.add(_describe(document))
            return token

    body = codec.reseal(document.body, document.kind, again)
    if body == document.body:
        found.unreadable.add(_describe(document))
        return
    try:
        documents.put(document.kind, document.name, body, expected=document.version)
    except (StaleDocument, ObjectNotFound):
        return  # saved or deleted in the meantime; the next pass sees the change
    found.resealed.add(_describe(document))


def _describe(document: Document) -> str:
    return f"{document.kind.removeprefix('block:')}/{document.name}"
