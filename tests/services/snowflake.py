"""A Snowflake on this machine: fakesnow behind HTTP of our own, over DuckDB."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from tests.services.servers import ROOT, SETUP, Absent, Program, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Who may log in, and with which password.
ACCOUNT, USER, PASSWORD = "testing-flowstone", "loader", "kaf9-of-the-loader"


@dataclass(frozen=True)
class Snowflake:
    """An account."""

    url: str

    def find_queries(self, words: str, database: str | None) -> list[dict[str, Any]]:
        """Return the queries on a database that have these words in them, oldest first."""
        with urlopen(f"{self.url}/tests/queries") as response:
            queries: list[dict[str, Any]] = json.load(response)
        return [each for each in queries if words in each["sql"] and each["database"] == database]

    def end_sessions(self, database: str | None) -> None:
        """End every session on a database."""
        urlopen(
            Request(f"{self.url}/tests/end-sessions?database={database}", method="POST")
        ).close()


@contextmanager
def snowflake(shared: Path | None = None) -> Iterator[Snowflake]:
    """Start it; 2 s."""
    if find_spec("fakesnow") is None:
        raise Absent("snowflake", "fakesnow", SETUP)
    command = (sys.executable, "-m", "tests.services.snowflake_http", "{port}")
    program = Program("snowflake", (command,), environment={"PYTHONPATH": str(ROOT)})
    with serve(program, shared) as port:
        yield Snowflake(f"http://127.0.0.1:{port}")
