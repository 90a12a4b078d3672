from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from time import time
from uuid import RFC_4122, UUID

import pytest

from flowstone.records.ids import derive_id, new_id


def test_an_id_is_a_uuid_of_version_7() -> None:
    before = time()
    key = UUID(new_id())
    assert (key.version, key.variant) == (7, RFC_4122)
    assert before - 0.001 <= (key.int >> 80) / 1000 <= time() + 0.001


def test_ids_sort_by_the_time_of_their_making() -> None:
    keys = [new_id() for _ in range(10_000)]
    assert len(set(keys)) == len(keys)
    stamps = [key[:18] for key in keys]
    assert stamps == sorted(stamps)
    assert all(len(key) == 36 for key in keys)


def test_ids_of_threads_differ() -> None:
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda _: [new_id() for _ in range(5000)], range(4))
        keys = [key for part in parts for key in part]
    assert len(set(keys)) == 20_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_ids_of_its_own() -> None:
    script = """
import os
from flowstone.records.ids import new_id
new_id()
os.fork()
os.write(1, (new_id()[19:31] + "\\n").encode())  # in one piece, unlike print
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert len(set(done.stdout.split())) == 2


def test_a_derived_id_is_the_same_for_the_same_facts() -> None:
    key = derive_id(1_770_000_000.5, "etl/nightly", "cron-1")
    assert key == derive_id(1_770_000_000.5, "etl/nightly", "cron-1")
    assert len({key, derive_id(1_770_000_000.5, "etl/nightlycron-1"), derive_id(0.0, "a")}) == 3
    found = UUID(key)
    assert (found.version, found.variant, len(key)) == (7, RFC_4122, 36)
    assert found.int >> 80 == 1_770_000_000_500
