"""What an upsert does beside the standard tests."""

from __future__ import annotations

import pytest

from flowstone.blocks import SqliteDatabase
from flowstone.errors import RowsInvalid


def test_a_key_is_created_once() -> None:
    keys = ["item", "shop"]
    with SqliteDatabase() as database:
        for number in range(3):
            rows = [{"item": "tea", "shop": 1, "left": number}]
            same = keys if number else keys[::-1]
            assert database.upsert("stock", rows, same, create=True) == 1
        assert database.fetch_all("SELECT left FROM stock") == [(2,)]
        assert database.fetch_one("SELECT count(*) FROM pragma_index_list('stock')") == (1,)
        database.upsert("other", [{"item": "tea", "shop": 1}], keys, create=True)
        assert database.fetch_one("SELECT count(*) FROM pragma_index_list('other')") == (1,)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ([], "no key column was named. Name columns"),
        (["item", "shop"], "the rows lack the key columns 'shop'. Name columns"),
        ("item", "in 2 of 3 rows, the key is NULL or that of another row. Make the keys unique"),
    ],
)
def test_keys_that_do_not_fit_are_told(keys: list[str] | str, told: str) -> None:
    rows = [{"item": item, "left": 1} for item in ("tea", "tea", None)]
    with SqliteDatabase() as database, pytest.raises(RowsInvalid) as caught:
        database.upsert("stock", rows, keys, create=True)
    assert told in str(caught.value)
