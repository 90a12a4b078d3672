"""DocumentStoreSuite: the standard tests of all document stores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.errors import ObjectAlreadyExists, ObjectNotFound, StaleDocument
from flowstone_testing.conformance.clock import ClockedSuite
from flowstone_testing.conformance.laws import json_objects, law

if TYPE_CHECKING:
    from flowstone.ports import DocumentStore
    from flowstone.records.documents import Document
    from flowstone_testing.conformance.clock import StoreClock

KIND = "block:sample"


def _list_keys(documents: list[Document]) -> list[tuple[str, str]]:
    return [(each.kind, each.name) for each in documents]


class DocumentStoreSuite(ClockedSuite):
    """Join with a fixture `store`: empty, new for each test, and closed after it.

    The store must use the fixture `clock`.
    """

    def test_a_document_reads_back_as_it_was(self, store: DocumentStore) -> None:
        """A saved document must read back unchanged, and `put` must return what `get` returns."""
        body = {"text": "naïve 🪨 \x00", "list": [1, 1.5, None, True], "nested": {"": {}}}
        put = store.put(KIND, "nämé", body)
        assert (put.kind, put.name, put.body, put.version) == (KIND, "nämé", body, 1)
        assert put.created == put.updated
        assert store.get(KIND, "nämé") == put

    @law
    @given(body=json_objects, name=st.text(st.characters(codec="utf-8"), min_size=1))
    def test_any_json_comes_back(
        self, store: DocumentStore, body: dict[str, Any], name: str
    ) -> None:
        """A value was changed: bodies are JSON, names are any text."""
        store.put(KIND, name, body)
        assert store.get(KIND, name).body == body

    def test_saving_again_makes_a_new_version(self, store: DocumentStore) -> None:
        """Without `expected`, the last write wins; the creation time stays."""
        first = store.put(KIND, "a", {"n": 1})
        second = store.put(KIND, "a", {"n": 2})
        assert (second.version, second.body) == (2, {"n": 2})
        assert second.created == first.created
        assert second.updated >= first.updated
        assert store.get(KIND, "a") == second

    def test_times_are_by_the_clock_of_the_store(
        self, store: DocumentStore, clock: StoreClock
    ) -> None:
        """Clients with different clocks saved documents that were changed before their creation."""
        begun = clock.now
        store.put(KIND, "a", {})
        clock.advance(5.0)
        store.put(KIND, "a", {})
        found = store.get(KIND, "a")
        assert (found.created, found.updated) == (begun, begun + 5.0)

    def test_kinds_are_apart(self, store: DocumentStore) -> None:
        """The same name in two kinds means two documents."""
        store.put(KIND, "a", {"n": 1})
        store.put("variable", "a", {"n": 2})
        store.delete(KIND, "a")
        assert store.get("variable", "a").body == {"n": 2}

    def test_only_new_where_none_is(self, store: DocumentStore) -> None:
        """`expected=0` must refuse a name that is taken, and leave its document unchanged."""
        kept = store.put(KIND, "a", {"n": 1}, expected=0)
        with pytest.raises(ObjectAlreadyExists):
            store.put(KIND, "a", {"n": 2}, expected=0)
        assert store.get(KIND, "a") == kept

    @pytest.mark.parametrize("expected", [1, 3])
    def test_only_over_the_expected_version(self, store: DocumentStore, expected: int) -> None:
        """The compare-and-set accepted a save for another version."""
        store.put(KIND, "a", {"n": 1})
        kept = store.put(KIND, "a", {"n": 2}, expected=1)
        with pytest.raises(StaleDocument) as caught:
            store.put(KIND, "a", {"n": 3}, expected=expected)
        assert (caught.value.expected, caught.value.version) == (expected, 2)
        assert store.get(KIND, "a") == kept

    def test_a_version_is_expected_of_what_is_gone(self, store: DocumentStore) -> None:
        """A change to a document that was deleted in the meantime must raise."""
        store.put(KIND, "a", {})
        store.delete(KIND, "a")
        with pytest.raises(StaleDocument):
            store.put(KIND, "a", {}, expected=1)
        with pytest.raises(ObjectNotFound):
            store.get(KIND, "a")

    def test_a_name_can_be_used_again(self, store: DocumentStore) -> None:
        """After a delete, the name is free, and a new document is a first version."""
        store.put(KIND, "a", {"n": 1})
        store.put(KIND, "a", {"n": 2})
        store.delete(KIND, "a")
        assert store.put(KIND, "a", {"n": 3}, expected=0).version == 1

    def test_what_is_not_there_is_not_found(self, store: DocumentStore) -> None:
        """`get` and `delete` of an unknown name must raise, and suggest similar names."""
        store.put(KIND, "my-bucket", {})
        store.put("variable", "my-bukket", {})
        for attempt in (store.get, store.delete):
            with pytest.raises(ObjectNotFound, match="Did you mean 'my-bucket'"):
                attempt(KIND, "my-bukket")

    def test_names_differ_by_case(self, store: DocumentStore) -> None:
        """`A` and `a` are two names."""
        store.put(KIND, "a", {"n": 1})
        store.put(KIND, "A", {"n": 2})
        assert [store.get(KIND, name).body["n"] for name in "aA"] == [1, 2]

    @pytest.mark.parametrize(
        ("kind", "found"),
        [
            ("", [("block:a", "x"), ("block:a", "y"), ("block:b", "x"), ("variable", "x")]),
            ("block:", [("block:a", "x"), ("block:a", "y"), ("block:b", "x")]),
            ("block:b", [("block:b", "x")]),
            ("BLOCK", []),
            ("%", []),
            ("block_", []),
        ],
    )
    def test_documents_are_found_by_how_their_kind_begins(
        self, store: DocumentStore, kind: str, found: list[tuple[str, str]]
    ) -> None:
        """Kinds must match by prefix, literally, and be ordered by kind and name.

        Args:
            store: the store.
            kind: the prefix.
            found: the documents that it matches.
        """
        for saved in (("variable", "x"), ("block:b", "x"), ("block:a", "y"), ("block:a", "x")):
            store.put(*saved, {})
        assert _list_keys(store.find(kind, prefix=True)) == found

    def test_a_kind_is_found_exactly(self, store: DocumentStore) -> None:
        """Documents of kinds that only share a prefix were returned."""
        for saved in (("limit", "b"), ("limit", "a"), ("limitless", "a"), ("lim", "a")):
            store.put(*saved, {})
        assert _list_keys(store.find("limit")) == [("limit", "a"), ("limit", "b")]
        assert store.find("") == []
        assert store.find("LIMIT") == []

    def test_documents_are_found_by_names(self, store: DocumentStore) -> None:
        """Only the requested documents must be returned: a kind may have thousands."""
        for name in "abc":
            store.put(KIND, name, {})
        store.put("variable", "b", {})
        found = store.find(KIND, names=["c", "b", "no such"])
        assert _list_keys(found) == [(KIND, "b"), (KIND, "c")]
        assert store.find(KIND, names=[]) == []

    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_pages_lead_through_all_documents(self, store: DocumentStore, size: int) -> None:
        """A page began with the last document of the previous one, or documents were skipped."""
        saved = [(kind, name) for kind in ("block:a", "block:b") for name in ("a", "b", "ü")]
        for key in (*saved, ("variable", "a")):
            store.put(*key, {})
        found: list[tuple[str, str]] = []
        while page := store.find(
            "block:", prefix=True, after=found[-1] if found else None, limit=size
        ):
            assert len(page) <= size
            found += _list_keys(page)
            assert len(found) <= len(saved)
        assert found == saved

    def test_what_is_kept_is_a_copy(self, store: DocumentStore) -> None:
        """Changing a body after `put` or `get` changed the stored document."""
        body = {"list": [1]}
        put = store.put(KIND, "a", body)
        body["list"].append(2)
        put.body["list"].append(5)
        store.get(KIND, "a").body["list"].append(3)
        store.find(KIND)[0].body["list"].append(4)
        assert store.get(KIND, "a").body == {"list": [1]}

    def test_of_many_writers_one_wins(self, store: DocumentStore) -> None:
        """Two threads replaced the same version: the compare-and-set is not atomic."""
        store.put(KIND, "a", {})

        def attempt(number: int) -> bool:
            try:
                store.put(KIND, "a", {"by": number}, expected=1)
            except StaleDocument:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(attempt, range(8))) == 1
        assert store.get(KIND, "a").version == 2

    def test_closing_twice_is_fine(self, store: DocumentStore) -> None:
        """`close` must be safe to call more than once."""
        store.close()
        store.close()
