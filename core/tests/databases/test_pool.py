"""The pool of connections, at the end of its block and of its process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OUTLIVES_MODULES = """
import math, sys
from flowstone.blocks.databases import SqliteDatabase, pool

database = SqliteDatabase(path=sys.argv[1])
database.execute("CREATE TABLE t (a)")
math.holder = database, pool  # a module of the interpreter is cleared after all others
"""


def test_a_block_that_outlives_the_modules_ends_without_a_word(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUTLIVES_MODULES, tmp_path / "a.db"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
