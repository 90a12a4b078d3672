"""What the command loads: a person waits for it each time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

LOADED = """
import sys
from click.testing import CliRunner
from flowstone.cli.app import flowstone

done = CliRunner().invoke(flowstone, sys.argv[1:], catch_exceptions=False)
assert done.exit_code == 0, done.output
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEAVY = {"rich", "pydantic", "sqlite3", "cryptography", "pluggy", "asyncio"}


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        # The list of commands has those of packages, which only plugins can tell.
        (["--help"], ["pluggy"]),
        (["--version"], []),
        (["run", "--help"], ["pluggy"]),
        (["run", "ls"], ["sqlite3"]),
        (["run", "ls", "--json"], ["sqlite3"]),
        (["run", "ls", "--help"], []),
        (["block", "--help"], ["pluggy"]),
        (["block", "ls"], ["sqlite3", "pluggy"]),
        (["block", "types"], ["pluggy"]),
        (["plugin", "ls"], ["pluggy"]),
    ],
    ids=lambda words: " ".join(sorted(words) if isinstance(words, set) else words),
)
def test_a_command_loads_only_what_it_needs(
    home: Home, command: list[str], allowed: list[str]
) -> None:
    done = home.python(LOADED, *command)
    assert HEAVY & set(done.out.split()) <= set(allowed)


@pytest.mark.parametrize(
    ("command", "near"),
    [
        (["blok"], "block"),
        (["run", "lst"], "ls"),
        (["block", "creat"], "create"),
        (["plugin", "xs"], "ls"),
    ],
    ids=" ".join,
)
def test_an_unknown_command_names_near_ones(home: Home, command: list[str], near: str) -> None:
    done = home.run(*command)
    assert done.code == 2
    assert f"No such command {command[-1]!r}. Did you mean {near!r}" in done.err


def test_wrong_options_are_usage_errors(home: Home) -> None:
    for command in (["run", "ls", "--limit", "0"], ["run", "show"], ["run", "ls", "--nonsense"]):
        done = home.run(*command)
        assert done.code == 2
        assert done.err.startswith("Usage: flowstone run")


def test_it_is_a_module_of_the_installed_python(home: Home) -> None:
    done = home.execute([sys.executable, "-m", "flowstone", "--version"])
    assert done.out.startswith("flowstone ")
