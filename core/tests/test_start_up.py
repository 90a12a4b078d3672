"""What a program loads, and what it does not have to wait for: see "What is loaded" in the docs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from flowstone_testing.programs import Home

if TYPE_CHECKING:
    from pathlib import Path

IMPORT = """
import sys
from flowstone import flow, task
"""
HELLO = f"""{IMPORT}
@task
def greet(name: str) -> str:
    return f"hello, {{name}}"

@flow
def hello() -> str:
    return greet("world")

assert hello() == "hello, world"
"""
#: The second call finds the result of the first.
CACHED = f"""{IMPORT}
@task(persist_result=True)
def double(number: int) -> int:
    return 2 * number

@flow
def twice() -> int:
    return double(2) + double(2)

assert twice() == 8
"""
PRINT = "\nprint(*sys.modules)\n"

#: Not loaded by any of these programs, as what they do doesn't need it.
NEVER = {
    "asyncio",
    "click",
    "cloudpickle",
    "cryptography",
    "flowstone.plugins.host",
    "http.client",
    "multiprocessing",
    "pluggy",
    "pyarrow",
    "rich",
    "ssl",
    "subprocess",
}
#: Nor by a program that keeps no results.
NO_RESULTS = NEVER | {
    "concurrent.futures",
    "dataclasses",
    "decimal",
    "flowstone.blocks",
    "flowstone.ports.stores",
    "flowstone.serializers",
    "importlib.metadata",
    "inspect",
    "pydantic",
    "socket",
    "tempfile",
    "uuid",
}
#: Nor by one that has not called a flow yet.
NO_RUN = NO_RESULTS | {
    "datetime",
    "flowstone.bootstrap",
    "flowstone.calls.option_types",
    "flowstone.logging.run_logger",
    "flowstone.records.encoding",
    "flowstone.settings",
    "flowstone.stores",
    "json",
    "logging",
    "pathlib",
    "sqlite3",
    "traceback",
    "urllib.parse",
}


@pytest.mark.parametrize(
    ("program", "absent"),
    [(IMPORT, NO_RUN), (HELLO, NO_RESULTS), (CACHED, NEVER)],
    ids=["import", "hello", "cached"],
)
def test_a_program_loads_only_what_it_needs(tmp_path: Path, program: str, absent: set[str]) -> None:
    loaded = Home(tmp_path, os.environ).python(program + PRINT).out.split()
    assert not absent & set(loaded)
