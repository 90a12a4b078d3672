"""Commands that packages bring: in a group of core's, at the top, broken, unknown, and clashing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pluggy
import pytest

import flowstone as flowstone_package
from flowstone.cli.app import COMMANDS, flowstone
from flowstone.cli.commands import Commands
from flowstone.errors import ConfigurationError
from flowstone.plugins import Collection

from .test_plugins import install

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

PLUGIN = """
from flowstone.plugins import Collection, hookimpl

@hookimpl
def collection():
    return Collection(
        commands={
            "garden": "garden_commands:garden",
            "plugin weed": "garden_commands:weed",
            "dig": "not_there:dig",
            "run ls": "garden_commands:weed",
            "secret": "garden_commands:weed",
        },
        command_help={
            "garden": "Look after the garden.",
            "plugin weed": "Pull out what nobody planted.",
            "dig": "Dig a hole.",
            "run ls": "List what runs in the garden.",
            "secret": "Bury something.",
        },
    )
"""
COMMANDS_OF_IT = """
import click
from flowstone.errors import ConfigurationError

@click.group()
def garden():
    "Look after the garden."

@garden.command("water")
@click.option("--litres", type=int, default=1)
def water(litres):
    if litres > 9:
        raise ConfigurationError("--litres", "that is a flood", "Take less.")
    click.echo(f"{litres} l")

@click.command("weed")
@click.argument("plant")
def weed(plant):
    click.echo(f"{plant} is out")
"""


@pytest.fixture
def garden(home: Home) -> dict[str, str]:
    environ = install(home, "garden", PLUGIN)
    (home.directory / "site/garden_commands.py").write_text(COMMANDS_OF_IT)
    return environ


def listed(out: str) -> dict[str, str]:
    """Return the commands that a help lists, each with what it says of them."""
    rows = out.split("Commands:\n")[1].partition("\n\n")[0]
    return dict(row.strip().split("  ", 1) for row in rows.splitlines())


def test_a_command_of_a_package_is_in_a_group(home: Home, garden: dict[str, str]) -> None:
    done = home.run("plugin", "weed", "ivy", **garden)
    assert (done.code, done.out) == (0, "ivy is out\n")
    assert (
        "Usage: flowstone plugin weed [OPTIONS] PLANT"
        in home.run("plugin", "weed", "--help", **garden).out
    )


def test_a_group_of_a_package_is_at_the_top(home: Home, garden: dict[str, str]) -> None:
    assert home.run("garden", "water", "--litres", "3", **garden).out == "3 l\n"
    done = home.run("garden", "water", "--litres", "10", **garden)
    assert (done.code, done.err) == (1, "Error: --litres: that is a flood. Take less.\n")


def test_help_lists_commands_of_packages_and_imports_none(
    home: Home, garden: dict[str, str]
) -> None:
    (home.directory / "site/garden_commands.py").write_text("raise SystemExit(9)\n")
    done = home.run("--help", **garden)
    commands = listed(done.out)
    assert list(commands) == sorted(commands)  # those of other packages here among them
    assert {*COMMANDS, "dig", "garden"} <= commands.keys()
    assert commands["garden"].strip() == "Look after the garden."
    assert listed(home.run("plugin", "--help", **garden).out)["weed"].strip() == (
        "Pull out what nobody planted."
    )


def test_a_broken_command_of_a_package_ends_with_its_error(
    home: Home, garden: dict[str, str]
) -> None:
    done = home.run("dig", **garden)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error: plugin 'garden' of garden 1.2 is broken")
    assert "command 'dig' can't be loaded: ModuleNotFoundError" in done.err


def test_a_command_of_a_broken_plugin_says_so(home: Home) -> None:
    environ = install(home, "garden", f"{PLUGIN}\nimport not_there\n")
    done = home.run("garden", "water", **environ)
    assert done.code == 1
    assert "No module named 'not_there'" in done.err
    done = home.run("gardn", **environ)
    assert done.code == 2
    assert "No such command 'gardn'." in done.err
    assert "It may belong to a broken plugin: plugin 'garden'" in done.err


def test_no_package_takes_a_command_of_core(home: Home, garden: dict[str, str]) -> None:
    assert home.run("run", "ls", **garden).out == "There are no runs yet.\n"
    assert "rotate" in listed(home.run("secret", "--help", **garden).out)
    clash = (
        "`flowstone run ls` of garden can't be called: "
        "Flowstone itself has a command of that name.\n"
    )
    assert home.run("run", "--help", **garden).err.strip() == clash.strip()
    done = home.run("--help", **garden)
    assert "`flowstone secret` of garden can't be called" in done.err
    assert listed(done.out)["secret"].strip() == COMMANDS["secret"][1]


def test_a_command_that_a_known_package_would_bring_says_which(home: Home) -> None:
    site = home.directory / "bare"  # core, and nothing beside it
    site.mkdir()
    for module in (click, flowstone_package, pluggy):
        (site / module.__name__).symlink_to(Path(str(module.__file__)).parent)
    argv = [sys.executable, "-S", "-m", "flowstone", "plugin", "check", "garden"]
    done = home.execute(argv, PYTHONPATH=str(site))
    assert done.code == 2
    wanted = "No such command 'check'. To install it, run `pip install flowstone-testing`."
    assert wanted in done.err


def test_a_shell_completes_commands_of_packages(home: Home, garden: dict[str, str]) -> None:
    def complete(line: str) -> list[str]:
        words = line.split(" ")
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        done = home.run(**garden, **asked, _FLOWSTONE_COMPLETE="bash_complete")
        assert (done.code, done.err) == (0, "")
        return [each.partition(",")[2] for each in done.out.splitlines()]

    assert complete("flowstone ga") == ["garden"]
    assert complete("flowstone garden wa") == ["water"]
    assert complete("flowstone plugin we") == ["weed"]
    assert "water" not in complete("flowstone gardn wa")


def test_a_command_without_help_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="command_help has no entry for it"):
        Collection(commands={"dig": "garden:dig"})


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_lazy_command_of_core_is_there(name: str) -> None:
    with click.Context(flowstone, info_name="flowstone") as context:
        command = flowstone.get_command(context, name)
        assert command is not None
        assert command.name == name
        if isinstance(command, Commands):
            with click.Context(command, context, info_name=name) as inner:
                for each in command.commands or command._lazy:
                    found = command.get_command(inner, each)
                    assert found is not None
                    assert found.name == each
