from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click
import pytest

from flowstone.cli.app import COMMANDS, flowstone
from flowstone.cli.commands import Commands
from flowstone_testing.programs import COMMAND, Home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import InProcess

PROGRAM = """
from flowstone import flow, suspend_flow_run

@flow(name="harvest", flow_run_name="harvest-{field}")
def harvest(field):
    pass

@flow(flow_run_name="hayloft")
def store():
    suspend_flow_run()

harvest("north")
harvest("south")
store(return_state=True)
"""


def complete(home: Home, line: str) -> list[str]:
    """Return what the shell is offered for the last word of a line."""
    words = line.split(" ")
    done = home.run(
        _FLOWSTONE_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
    )
    assert done.err == ""
    return [offered.partition(",")[2] for offered in done.out.splitlines() if offered]


def test_commands_are_completed(home: Home) -> None:
    assert complete(home, "flowstone ru") == ["run"]
    assert complete(home, "flowstone run re") == ["resume", "retry"]
    assert set(COMMANDS) <= set(complete(home, "flowstone "))
    assert complete(home, "flowstone run ls --st") == ["--state"]
    assert "failed" in complete(home, "flowstone run ls --state f")
    assert not home.path.exists()


def test_names_are_completed(home: Home) -> None:
    home.python(PROGRAM)
    home.run("block", "create", "local-directory", "barn", "basepath=/tmp/barn")
    home.run("variable", "set", "weather", "dry")
    home.run("limit", "set", "tractors", "--slots", "2")
    assert complete(home, "flowstone run show har") == ["harvest-south", "harvest-north"]
    assert complete(home, "flowstone run delete harvest-n") == ["harvest-north"]
    assert complete(home, "flowstone run ls --before harvest-n") == ["harvest-north"]
    assert complete(home, "flowstone run cancel h") == ["hayloft"]  # the others have ended
    assert complete(home, "flowstone run ls --flow h") == ["harvest"]
    assert complete(home, "flowstone block show loc") == ["local-directory/barn"]
    assert complete(home, "flowstone block create local") == ["local-directory"]
    assert complete(home, "flowstone variable get w") == ["weather"]
    assert complete(home, "flowstone limit show t") == ["tractors"]


def test_a_completion_makes_no_home_and_fails_nowhere(home: Home) -> None:
    assert complete(home, "flowstone run show x") == []
    assert complete(home, "flowstone block show x") == []
    assert not home.path.exists()
    home.path.mkdir(mode=0o700)
    (home.path / "flowstone.db").write_text("not a database at all")
    assert complete(home, "flowstone run show x") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(home: Home, shell: str) -> None:
    script = home.run("completion", shell).out
    assert f"_FLOWSTONE_COMPLETE={shell}_complete" in script
    assert not home.path.exists()


def test_bash_takes_the_script(home: Home) -> None:
    bash = shutil.which("bash")
    assert bash
    program = f'eval "$({COMMAND} completion bash)" && complete -p flowstone'
    done = home.execute([bash, "--norc", "-c", program])
    assert "_flowstone_completion" in done.out


def make_context(words: tuple[str, ...]) -> click.Context:
    ctx = click.Context(flowstone, info_name="flowstone")
    for word in words:
        ctx = click.Context(flowstone, parent=ctx, info_name=word)
    return ctx


def walk(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, Commands):
        ctx = make_context(words)
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            yield from walk(below, (*words, name))


@pytest.mark.parametrize("words", list(walk(flowstone, ())), ids=" ".join)
def test_every_command_takes_h(cli: InProcess, words: tuple[str, ...]) -> None:
    done = cli(*words, "-h")
    assert done.code == 0
    assert done.out.startswith(" ".join(("Usage: flowstone", *words)))
    assert "-h, --help" in done.out
