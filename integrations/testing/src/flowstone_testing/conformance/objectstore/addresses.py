"""Tests of what a store passes to other tools: its access, its addresses."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import PathEscapes, StorageError
from flowstone.secrets.walk import secret_texts
from flowstone_testing.conformance.objectstore.base import ObjectStoreBase

if TYPE_CHECKING:
    from flowstone.blocks import ObjectStore


class AddressTests(ObjectStoreBase):
    """A store refuses what it does not have with a `StorageError`."""

    def test_what_is_told_to_other_tools_shows_no_secret(self, store: ObjectStore) -> None:
        """The repr of the access, or an address, contained a secret."""
        shown = ""
        with suppress(StorageError):
            shown += repr(store.access()) + str(store.access())
        with suppress(StorageError):
            shown += store.uri() + store.uri("a b.txt")
        for secret in secret_texts(store):
            assert secret not in shown

    def test_an_address_leads_back_to_the_folder(self, store: ObjectStore) -> None:
        """`parse_uri` of the block's own address returned other fields, or another place."""
        try:
            uri = store.uri()
        except StorageError:
            with pytest.raises(StorageError):
                store.uri("a.txt")
            return
        fields = {name: getattr(store, name) for name in type(store).model_fields}
        again = type(store)(**{**fields, **type(store).parse_uri(uri)})
        store.write_path("a b/ü.txt", b"x")
        assert again.read_path("a b/ü.txt") == b"x"
        assert again.uri("a b/ü.txt") == store.uri("a b/ü.txt")
        with pytest.raises(PathEscapes):
            store.uri("../a.txt")
