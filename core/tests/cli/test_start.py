"""How the command is started, and what it says of a wrong command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flowstone_testing.programs import Home


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
